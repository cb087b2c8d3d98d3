from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from pykka.messages import ProxyGetAttr

from supervision import (
    ActorCrashed,
    DynamicSupervisor,
    Escalate,
    Refused,
    Request,
    Restart,
    StartFailed,
    SupervisionConfig,
    WorkerActor,
    handles,
    open_system,
)
from supervision.frames import WorkerFault
from supervision.observe import TraceFilter
from supervision.testing import SystemUnderTest, simulate
from tests.supervision.processes import runs
from tests.supervision.worker_actors import (
    Add,
    Call,
    Echo,
    Fail,
    Lock,
    NeedTheNode,
    Note,
    Pid,
    Tell,
    Unmakeable,
    Unready,
    Worker,
)

QUICK = SupervisionConfig(intensity=1_000_000, kill_grace=5.0)


def written(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


# -- the contract -------------------------------------------------------------------------


async def test_constructor_hooks_and_handlers_run_in_one_other_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with open_system(QUICK) as system:
        worker = await system.spawn(Worker, str(log))
        pid = await worker.ask(Pid())
        assert pid != os.getpid()
        assert [await worker.ask(Add(n)) for n in (1, 2, 3)] == [1, 3, 6]
    assert log.read_text() == "".join(f"{hook} {pid}\n" for hook in ("made", "start", "stop"))
    assert not runs(pid)


async def test_order_refusals_and_proxies_are_those_of_every_actor() -> None:
    async with open_system(QUICK) as system:
        worker = await system.spawn(Worker, path="/worker")
        order: list[int] = []
        replies = [worker.ask(Echo(n)) for n in range(100)]
        for reply in replies:
            reply.on_settled(lambda reply: order.append(reply.result()))
        assert [await reply for reply in replies] == list(range(100))
        assert order == list(range(100))

        with pytest.raises(Refused, match="/worker refused: negative"):
            await worker.ask(Add(-1))

        proxy: Any = worker.pykka.proxy()
        assert await trio.to_thread.run_sync(lambda: proxy.add(Add(2)).get()) == 2
        with pytest.raises(AttributeError, match="nothing"):
            await worker.ask(ProxyGetAttr(attr_path=("nothing",)))  # type: ignore[arg-type]

        assert not system.crashes()


async def test_a_crash_comes_with_its_traceback_and_a_new_process_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with open_system(QUICK) as system:
        worker = await system.spawn(Worker, str(log))
        await worker.ask(Add(1))
        crash = worker.ask(Fail())
        after = worker.ask(Add(5))  # in the pipe already, and not begun
        with pytest.raises(ActorCrashed) as crashed:
            await crash
        assert isinstance(crashed.value.__cause__, ValueError)
        (report,) = system.crashes()
        assert report.message_type == "Fail"
        assert 'raise ValueError("as told")' in report.traceback
        assert await after == 5
    assert written(log) == ["made", "start", "failure", "made", "start", "stop"]


@pytest.mark.parametrize(
    ("how", "cause", "text"),
    [("odd", WorkerFault, "Odd: one"), ("exit", SystemExit, "3"), ("escalate", Escalate, "")],
)
async def test_any_exception_is_a_crash(
    how: str, cause: type[BaseException], text: str, system: SystemUnderTest
) -> None:
    system.expect_crash()
    # A supervisor between them, for an escalation ends it.
    await system.spawn(DynamicSupervisor, path="/over", restart=Restart.TEMPORARY)
    worker = await system.spawn(Worker, path="/over/worker", restart=Restart.TEMPORARY)
    with pytest.raises(ActorCrashed) as crash:
        await worker.ask(Fail(how))
    assert isinstance(crash.value.__cause__, cause)
    assert text in str(crash.value.__cause__)
    assert (await worker.wait_gone()).abnormal
    await system.settle()
    assert (system.find("/over") is None) is (how == "escalate")


@pytest.mark.parametrize(("kind", "cause"), [(Unready, OSError), (Unmakeable, LookupError)])
async def test_a_start_that_raises_fails_the_spawn(
    kind: type[Worker], cause: type[Exception]
) -> None:
    async with open_system(QUICK) as system:
        with pytest.raises(StartFailed) as failure:
            await system.spawn(kind)
        assert isinstance(failure.value.__cause__, cause)


async def test_stop_from_a_handler_comes_after_what_waits(tmp_path: Path) -> None:
    async with open_system(QUICK) as system:
        worker = await system.spawn(
            Worker, str(tmp_path / "log"), path="/worker", restart=Restart.TRANSIENT
        )
        first, second = worker.ask(Call("stop")), worker.ask(Add(1))
        await first
        assert await second == 1
        await worker.wait_gone()
    assert written(tmp_path / "log") == ["made", "start", "stop"]


async def test_what_needs_the_node_says_so(system: SystemUnderTest) -> None:
    worker = await system.spawn(Worker)
    complaints = await worker.ask(NeedTheNode(worker))
    assert len(complaints) == 6
    assert all("worker process" in complaint for complaint in complaints)
    assert "cannot ask" in complaints[-1]


# -- refs in a worker ---------------------------------------------------------------------


async def test_refs_travel_there_and_back_and_a_tell_names_its_cause(
    system: SystemUnderTest,
) -> None:
    events: list[Any] = []
    system._node.observe(TraceFilter(), events.append)
    probe = await system.probe()
    worker = await system.spawn(Worker, owner=probe.ref)
    assert await probe.expect(Note) == Note("started")
    worker.tell(Tell(probe.ref, Note("hello")))
    assert await probe.expect(Note) == Note("hello")
    assert await probe.expect(tuple) == (worker, probe.ref)
    assert await worker.ask(Echo([probe.ref, worker])) == [probe.ref, worker]
    by_type = {event.message_type: event for event in events}
    assert by_type["tuple"].cause == by_type["Tell"].id


async def test_what_a_worker_tells_and_nobody_takes_is_a_dead_letter(
    system: SystemUnderTest,
) -> None:
    picky = await system.probe(Note)
    gone = await system.probe(path="/gone")
    await system.stop("/gone")
    system.expect_dead_letters()
    worker = await system.spawn(Worker)
    worker.tell(Tell(picky.ref, 5))
    worker.tell(Tell(gone.ref, Note("")))
    await worker.ask(Pid())
    letters = [(letter.path, letter.reason.value) for letter in system.dead_letters()]
    assert letters == [(picky.ref.path, "not accepted")] * 2 + [("/gone", "stopped")] * 2


# -- what cannot travel -------------------------------------------------------------------


async def test_what_cannot_be_pickled_is_refused_and_the_actor_lives(
    system: SystemUnderTest,
) -> None:
    system.expect_dead_letters("/worker")
    worker = await system.spawn(Worker, path="/worker")
    for value in (threading.Lock(), b"x" * 1_000_001):
        with pytest.raises(Refused, match="no Echo can be sent to its worker process"):
            await worker.ask(Echo(value))
        worker.tell(Echo(value))
    await system.settle()
    assert [letter.reason.value for letter in system.dead_letters()] == ["not accepted"] * 2
    assert await worker.ask(Add(1)) == 1


async def test_an_answer_that_cannot_be_pickled_is_a_crash(system: SystemUnderTest) -> None:
    system.expect_crash(error=TypeError)
    worker = await system.spawn(Worker, restart=Restart.TEMPORARY)
    with pytest.raises(ActorCrashed) as crash:
        await worker.ask(Lock())
    assert "the answer to Lock, a lock, cannot be sent" in str(crash.value.__cause__)


async def test_a_class_that_cannot_be_imported_is_refused_at_the_start() -> None:
    class Local(WorkerActor[Any]):
        pass

    async with open_system(QUICK) as system:
        with pytest.raises(StartFailed) as failure:
            await system.spawn(Local)
        assert "top level of a module" in str(failure.value.__cause__)
        with pytest.raises(StartFailed) as failure:
            await system.spawn(Worker, threading.Lock())
        assert "constructor arguments of Worker" in str(failure.value.__cause__)


def test_async_handlers_are_refused() -> None:
    @attrs.frozen
    class Wait(Request[None]): ...

    class Waits(WorkerActor[Wait]):
        @handles(Wait)
        async def wait(self, message: Wait) -> None: ...

    with pytest.raises(TypeError, match="is `async def`"):
        Waits._rt_table()


def test_without_a_system_the_class_makes_plain_instances() -> None:
    worker = Worker()
    assert worker.add(Add(2)) == 2


# -- the test kit -------------------------------------------------------------------------


async def test_the_clock_of_a_test_stands_while_a_worker_works(system: SystemUnderTest) -> None:
    before = system.now
    worker = await system.spawn(Worker)
    assert await worker.ask(Add(1), timeout=0.001) == 1
    assert system.now == before
    await trio.sleep(3600)
    assert await worker.ask(Add(1)) == 2


def test_in_a_simulation_it_runs_inline() -> None:
    async def scenario(system: SystemUnderTest) -> int:
        worker = await system.spawn(Worker)
        await worker.ask(Add(2))
        return await worker.ask(Pid())

    assert simulate(scenario, 1).result == os.getpid()
