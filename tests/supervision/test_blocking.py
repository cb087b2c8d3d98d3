from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from pykka.messages import ProxyGetAttr

from supervision import (
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    BlockingActor,
    ChildSpec,
    DynamicSupervisor,
    Refuse,
    Refused,
    Request,
    Restart,
    StartFailed,
    StuckTask,
    SupervisionConfig,
    handles,
    open_system,
)
from supervision.events import ActorStuck
from supervision.testing import SystemUnderTest

QUICK = SupervisionConfig(intensity=1_000_000, kill_grace=0.05)


@attrs.frozen
class Do(Request[Any]):
    """Have the actor call something on its thread."""

    what: Callable[[Any], Any] = attrs.field(eq=False)


class Doer(BlockingActor[Do]):
    """Does what it is told; `seen` outlives its instances."""

    def __init__(self, seen: list[Any] | None = None) -> None:
        super().__init__()
        self.seen = seen if seen is not None else []
        self.seen.append(("made", threading.current_thread()))

    def on_start(self) -> None:
        self.seen.append(("start", threading.current_thread()))

    @handles
    def do(self, message: Do) -> Any:
        return message.what(self)

    def on_stop(self) -> None:
        self.seen.append(("stop", threading.current_thread()))

    def on_failure(self, *_: Any) -> None:
        self.seen.append(("failure", threading.current_thread()))


def fail(_: Any) -> None:
    raise ValueError("as told")


def no(_: Any) -> None:
    raise Refuse("not today")


async def until(condition: Callable[[], object]) -> None:
    """What another thread does shows only to whoever looks."""
    for _ in range(5000):
        if condition():
            return
        await trio.sleep(0.001)
    raise AssertionError("never")


async def test_handlers_and_hooks_run_on_one_thread_and_the_constructor_on_the_loop() -> None:
    seen: list[Any] = []
    loop = threading.current_thread()
    async with open_system() as system:
        doer = await system.spawn(Doer, seen)
        thread = await doer.ask(Do(lambda _: threading.current_thread()))
        assert thread is not loop
        assert thread.daemon
    assert seen == [("made", loop), ("start", thread), ("stop", thread)]
    assert not thread.is_alive()


async def test_a_refusal_is_an_answer_and_any_other_exception_a_crash() -> None:
    async with open_system(QUICK) as system:
        doer = await system.spawn(Doer, path="/doer")
        with pytest.raises(Refused, match="/doer refused: not today"):
            await doer.ask(Do(no))
        with pytest.raises(ActorCrashed) as crash:
            await doer.ask(Do(fail))
        assert isinstance(crash.value.__cause__, ValueError)
        assert [(report.where, report.message_type) for report in system.crashes()] == [
            ("handler", "Do")
        ]


async def test_a_restart_has_a_new_thread_and_the_failure_hook_ran_on_the_old_one() -> None:
    seen: list[Any] = []
    async with open_system(QUICK) as system:
        doer = await system.spawn(Doer, seen)
        old = await doer.ask(Do(lambda _: threading.current_thread()))
        doer.tell(Do(fail))
        new = await doer.ask(Do(lambda _: threading.current_thread()))
        assert new is not old
        assert ("failure", old) in seen
        assert not old.is_alive()


async def test_what_was_not_begun_at_the_crash_is_for_the_next_life_in_its_order() -> None:
    order: list[int] = []

    def note(number: int, _: Any) -> None:
        order.append(number)

    async with open_system(QUICK) as system:
        doer = await system.spawn(Doer)
        gate = threading.Event()
        begun = doer.ask(Do(lambda _: gate.wait()))
        crash = doer.ask(Do(fail))
        rest = [doer.ask(Do(partial(note, n))) for n in range(40)]
        gate.set()
        assert await begun is True
        with pytest.raises(ActorCrashed):
            await crash
        for reply in rest:
            await reply
    assert order == list(range(40))


async def test_a_start_that_raises_fails_the_spawn() -> None:
    class Unready(Doer):
        def on_start(self) -> None:
            raise OSError("no database")

    async with open_system() as system:
        with pytest.raises(StartFailed) as failure:
            await system.spawn(Unready)
        assert isinstance(failure.value.__cause__, OSError)


def test_async_handlers_and_hooks_are_refused() -> None:
    class Waits(BlockingActor[Do]):
        @handles
        async def do(self, message: Do) -> None: ...

    class Starts(Doer):
        async def on_start(self) -> None: ...  # type: ignore[override]

    for kind in (Waits, Starts):
        with pytest.raises(TypeError, match=r"is `async def`.*no event loop"):
            kind._rt_table()


async def test_the_loop_runs_while_a_thread_waits() -> None:
    gate = threading.Event()
    async with open_system() as system:
        doer = await system.spawn(Doer)
        reply = doer.ask(Do(lambda _: gate.wait()))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        assert not reply.done
        gate.set()
        assert await reply


async def test_stopping_waits_for_the_handler_in_hand_and_gives_the_rest_back() -> None:
    seen: list[Any] = []
    gate, begun = threading.Event(), threading.Event()

    def wait(_: Any) -> str:
        begun.set()
        gate.wait()
        return "finished"

    async with open_system() as system:
        doer = await system.spawn(Doer, seen, path="/doer")
        in_hand = doer.ask(Do(wait))
        waiting = doer.ask(Do(lambda _: seen.append("never")))
        await trio.to_thread.run_sync(begun.wait)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.stop, "/doer")
            await trio.testing.wait_all_tasks_blocked()
            assert not in_hand.done
            gate.set()
        assert await in_hand == "finished"
        with pytest.raises(ActorStopped):
            await waiting
    assert [what for what, _ in seen] == ["made", "start", "stop"]


async def test_stop_from_a_handler_comes_after_the_messages_that_already_wait() -> None:
    done: list[str] = []
    async with open_system() as system:
        doer = await system.spawn(Doer, restart=Restart.TRANSIENT)
        gate = threading.Event()
        first = doer.ask(Do(lambda self: gate.wait() and self.stop()))
        second = doer.ask(Do(lambda _: done.append("second")))
        gate.set()
        await first
        await second
        await doer.wait_gone()
    assert done == ["second"]


async def test_a_thread_that_will_not_end_is_left_behind_by_name() -> None:
    begun, release, tried = threading.Event(), threading.Event(), threading.Event()
    errors: list[BaseException] = []
    delivered: list[str] = []

    def hang(self: Doer) -> str:
        begun.set()
        release.wait()
        for send in (
            lambda: self.ref.tell(Do(lambda _: delivered.append("told"))),
            lambda: self.ref.ask(Do(lambda _: delivered.append("asked"))),
            self.stop,
        ):
            try:
                send()
            except ActorStopped as error:
                errors.append(error)
        tried.set()
        return "too late"

    with pytest.raises(StuckTask) as stuck:  # noqa: PT012
        async with open_system(QUICK) as system:
            with system.events.subscribe(ActorStuck) as events:
                doer = await system.start_child(ChildSpec("doer", Doer, shutdown=0.01))
                hung = doer.ask(Do(hang))
                waiting = doer.ask(Do(lambda _: "from the next life"))
                await trio.to_thread.run_sync(begun.wait)
                await system.restart("/doer")
                with pytest.raises(ActorStopped):
                    await hung
                # The ref goes to the new instance, which goes on with the mailbox.
                assert await waiting == "from the next life"
                assert len(events) == 1
                release.set()
                await trio.to_thread.run_sync(tried.wait)
                assert await doer.ask(Do(lambda _: "still there")) == "still there"
                assert hung.error is not None
    assert len(errors) == 3
    assert delivered == []
    assert len(stuck.value.stuck) == 1
    assert "/doer thread 'troupe /doer', handling Do at " in stuck.value.stuck[0]
    assert stuck.value.stuck[0].endswith(" in do")


async def test_a_fenced_thread_that_waited_does_not_end_the_wait_of_the_next_instance() -> None:
    gate = threading.Event()
    with pytest.raises(StuckTask):  # noqa: PT012
        async with open_system(QUICK) as system:
            slow = await system.spawn(Doer, path="/slow")
            doer = await system.start_child(ChildSpec("doer", Doer, shutdown=0.0))
            first = doer.ask(Do(lambda _: slow.ask(Do(lambda _: gate.wait())).get()))
            await until(system._node.waits.edges)
            await system.restart("/doer")
            with pytest.raises(ActorStopped):
                await first
            second = doer.ask(Do(lambda _: slow.ask(Do(lambda _: "done")).get()))
            await until(system._node.waits.edges)
            gate.set()
            assert await second == "done"


def test_a_hung_thread_keeps_neither_the_system_nor_the_interpreter() -> None:
    program = """
import threading, trio
from supervision import *
begun = threading.Event()
class Hung(BlockingActor[str]):
    def on_receive(self, message: str) -> None:
        begun.set()
        threading.Event().wait()
async def main():
    try:
        async with open_system(SupervisionConfig(shutdown=0.05, kill_grace=0.05)) as system:
            hung = await system.spawn(Hung, path="/hung")
            hung.tell("hang")
            await trio.to_thread.run_sync(begun.wait)
    except StuckTask as stuck:
        print("stuck:", *stuck.stuck)
trio.run(main)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("stuck: /hung thread 'troupe /hung'")


async def test_an_actor_of_pykkas_own_asks_it_and_its_proxy_works() -> None:
    class Attributes(BlockingActor[Any]):
        def __init__(self) -> None:
            super().__init__()
            self.value = 1

        def where(self) -> str:
            return threading.current_thread().name

    async with open_system() as system:
        ref = await system.spawn(Attributes, path="/attributes")
        proxy: Any = ref.pykka.proxy()

        def use() -> list[Any]:
            proxy.value = 2
            return [proxy.value.get(), proxy.where().get()]

        assert await trio.to_thread.run_sync(use) == [2, "troupe /attributes"]
        with pytest.raises(AttributeError):
            await ref.ask(ProxyGetAttr(attr_path=("nothing",)))  # type: ignore[arg-type]
        assert not system.crashes()


async def test_an_ask_that_times_out_leaves_the_thread_alone() -> None:
    gate = threading.Event()
    async with open_system() as system:
        doer = await system.spawn(Doer)
        with pytest.raises(AskTimeout):
            await doer.ask(Do(lambda _: gate.wait()), timeout=0.01)
        gate.set()
        assert await doer.ask(Do(lambda _: 1)) == 1


async def test_the_clock_of_a_test_stands_while_a_thread_works(system: SystemUnderTest) -> None:
    gate = threading.Event()
    doer = await system.spawn(Doer)
    before = system.now
    threading.Timer(0.05, gate.set).start()
    assert await doer.ask(Do(lambda _: gate.wait()), timeout=1.0)
    assert system.now == before
    await trio.sleep(3600)
    assert system.now >= before + 3600


async def test_counters_count_what_the_thread_did(system: SystemUnderTest) -> None:
    doer = await system.spawn(Doer, path="/doer")
    for _ in range(20):
        doer.tell(Do(lambda _: None))
    await doer.ask(Do(lambda _: threading.Event().wait(0.01)))
    await system.settle()
    cell = doer._cell
    assert cell.handled == 21
    assert cell.busy >= 0.01


async def test_it_lives_under_any_supervisor(system: SystemUnderTest) -> None:
    pool = await system.spawn(DynamicSupervisor, path="/pool")
    refs: list[ActorRef[Do]] = [
        await system.start_child(ChildSpec(f"d{n}", Doer), parent="/pool") for n in range(5)
    ]
    threads = {await ref.ask(Do(lambda _: threading.get_ident())) for ref in refs}
    assert len(threads) == 5
    await system.stop("/pool")
    assert not pool.alive
    assert not any(ref.alive for ref in refs)
