"""`system.foreign(ref)`: actors of pykka's own runtime, told, asked and watched like ours."""

from __future__ import annotations

import queue
import threading
import time
from functools import partial
from typing import Any

import attrs
import pykka
import pytest
import trio

from supervision import (
    Actor,
    ActorStopped,
    AskTimeout,
    MailboxFull,
    Refuse,
    Refused,
    Request,
    Terminated,
    handles,
    open_system,
)
from supervision.events import ActorStarted, DeadLetter, DeadLetterReason
from supervision.foreign import ForeignRef, _Foreigner
from supervision.messages import NORMAL
from supervision.ref import ActorRef
from supervision.testing import SystemUnderTest

on_thread = trio.to_thread.run_sync


class Worker(pykka.ThreadingActor):
    """A user's own pykka actor. It does what it is told by callables."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message()
        self.told.append(message)
        return tuple(self.told)


class Busy:
    """A request that keeps its worker busy until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._released = threading.Event()

    def __call__(self) -> bool:
        self.begun.set()
        return self._released.wait()

    def release(self) -> None:
        self._released.set()


class BoundedWorker(Worker):
    @staticmethod
    def _create_actor_inbox() -> Any:
        return queue.Queue(1)


def fail() -> None:
    raise KeyError("no such thing")


def refuse() -> None:
    raise Refuse("not now")


def on_time(seconds: float) -> bool:
    time.sleep(seconds)
    return True


# -- tell and ask -------------------------------------------------------------------------


async def test_it_is_told_and_asked() -> None:
    async with open_system() as system:
        worker = system.foreign(Worker.start())
        worker.tell("one")
        await worker.send("two")
        assert await worker.ask("three") == ("one", "two", "three")
        assert await on_thread(lambda: worker.ask("four").get(timeout=5)) == (
            "one",
            "two",
            "three",
            "four",
        )
        await on_thread(worker.pykka.stop)


async def test_an_actor_of_ours_asks_it_and_goes_on_with_the_answer() -> None:
    @attrs.frozen
    class Count(Request[int]):
        pass

    class Asker(Actor[Count]):
        def __init__(self, worker: ForeignRef) -> None:
            super().__init__()
            self.worker = worker

        @handles(Count)
        async def count(self, _message: Count) -> int:
            return len(await self.worker.ask("count"))

    async with open_system() as system:
        worker = system.foreign(Worker.start())
        asker = await system.spawn(Asker, worker)
        assert [await asker.ask(Count()) for _ in range(3)] == [1, 2, 3]
        await on_thread(worker.pykka.stop)


async def test_who_waits_for_it_shows() -> None:
    class Asker(Actor[str]):
        def __init__(self, worker: ForeignRef, busy: Busy) -> None:
            super().__init__()
            self.worker = worker
            self.busy = busy

        async def on_receive(self, message: str) -> bool:
            return bool(await self.worker.ask(self.busy))

    async with open_system() as system:
        worker = system.foreign(Worker.start())
        busy = Busy()
        asker = await system.spawn(Asker, worker, busy, path="/asker")
        asker.tell("begin")
        await on_thread(busy.begun.wait)
        (wait,) = system.waits()
        assert (wait.asker, wait.target) == ("/asker", str(worker.pykka))
        busy.release()
        await on_thread(worker.pykka.stop)


async def test_it_asks_back_while_it_is_asked() -> None:
    class Echo(Actor[str]):
        def on_receive(self, message: str) -> str:
            return message

    async with open_system() as system:
        echo = await system.spawn(Echo)
        worker = system.foreign(Worker.start())
        assert await worker.ask(lambda: echo.pykka.ask("hello")) == "hello"
        await on_thread(worker.pykka.stop)


async def test_what_its_handler_raises_is_a_refusal_and_it_lives() -> None:
    async with open_system() as system:
        worker = system.foreign(Worker.start())
        with pytest.raises(Refused, match="raised KeyError") as refused:
            await worker.ask(fail)
        assert isinstance(refused.value.__cause__, KeyError)
        assert refused.value.__cause__.__traceback__ is not None
        with pytest.raises(Refused, match="refused: not now"):
            await worker.ask(refuse)
        assert await worker.ask("still there") == ("still there",)
        await on_thread(worker.pykka.stop)


async def test_an_exception_about_another_dead_actor_does_not_mean_that_it_stopped() -> None:
    async with open_system() as system:
        dead = Worker.start()
        await on_thread(dead.stop)
        worker = system.foreign(Worker.start())
        with pytest.raises(Refused) as refused:
            await worker.ask(lambda: dead.ask("anybody there?"))
        assert isinstance(refused.value.__cause__, pykka.ActorDeadError)
        await on_thread(worker.pykka.stop)


async def test_a_late_answer_is_dropped_and_harms_nobody() -> None:
    async with open_system() as system:
        worker = system.foreign(Worker.start())
        busy = Busy()

        def fail_late() -> None:
            busy()
            fail()

        for request in (busy, fail_late):
            with pytest.raises(AskTimeout):
                await worker.ask(request, timeout=0.01)
        busy.release()
        assert await worker.ask("alive") == ("alive",)
        await on_thread(worker.pykka.stop)


async def test_an_ask_made_while_answering_inherits_the_deadline() -> None:
    @attrs.frozen
    class Ask(Request[None]):
        pass

    class Middle(Actor[Ask]):
        def __init__(self, worker: ForeignRef) -> None:
            super().__init__()
            self.worker = worker
            self.deadline = 0.0

        @handles(Ask)
        def ask(self, _message: Ask) -> None:
            self.deadline = self.worker.ask("x", timeout=100).deadline

    async with open_system() as system:
        worker = system.foreign(Worker.start())
        middle = await system.spawn(Middle, worker)
        reply = middle.ask(Ask(), timeout=2)
        await reply
        proxy: Any = middle.pykka.proxy()
        assert await proxy.deadline == reply.deadline
        await on_thread(worker.pykka.stop)


# -- its end ------------------------------------------------------------------------------


async def test_the_dead_take_no_asks_and_what_they_are_told_is_a_dead_letter() -> None:
    async with open_system() as system:
        worker = system.foreign(Worker.start())
        await on_thread(worker.pykka.stop)
        assert not worker.alive
        with pytest.raises(ActorStopped):
            await worker.ask("x")
        with pytest.raises(ActorStopped):
            await worker.send("x")
        worker.tell("x")
        (letter,) = system.dead_letters()
        assert (letter.message, letter.reason) == ("x", DeadLetterReason.STOPPED)
        assert letter.path == str(worker.pykka)


async def test_asks_behind_its_stop_are_told_that_it_stopped() -> None:
    async with open_system() as system:
        worker = system.foreign(Worker.start())
        release = threading.Event()
        first = worker.ask(release.wait)
        _stopped = worker.pykka.stop(block=False)
        behind = [worker.ask("x") for _ in range(3)]
        release.set()
        assert await first is True
        for reply in behind:
            with pytest.raises(ActorStopped):
                await reply


async def test_an_ask_that_pykka_loses_is_answered_all_the_same() -> None:
    async with open_system() as system:
        actor = Worker.start()
        worker = system.foreign(actor)
        await on_thread(actor.stop)
        # The window: alive when it was looked at, drained for the last time when put in.
        actor.actor_stopped.clear()
        lost = [worker.ask("x"), await on_thread(worker.ask, "y")]
        actor.actor_stopped.set()
        for reply in lost:
            with pytest.raises(ActorStopped, match="without an answer"):
                await reply


async def test_a_base_exception_ends_it_and_its_asker_is_told() -> None:
    def exit() -> None:
        raise SystemExit

    async with open_system() as system:
        worker = system.foreign(Worker.start())
        with pytest.raises(ActorStopped):
            await worker.ask(exit)


async def test_asks_are_answered_when_the_node_closes() -> None:
    release = threading.Event()
    async with open_system() as system:
        worker = system.foreign(Worker.start())
        reply = worker.ask(release.wait, timeout=100)
        assert not reply.done
    with pytest.raises(ActorStopped, match="closed"):
        await reply
    with pytest.raises(ActorStopped, match="closed"):
        await worker.ask("x")
    with pytest.raises(ActorStopped, match="closed"):
        await (await on_thread(worker.ask, "x"))
    release.set()
    await on_thread(worker.pykka.stop)


async def test_it_is_watched() -> None:
    class Watcher(Actor[Terminated | str]):
        def __init__(self, *workers: ActorRef[Any]) -> None:
            super().__init__()
            self.workers = workers
            self.gone: list[Terminated] = []

        def on_start(self) -> None:
            for worker in self.workers:
                self.watch(worker)
                if worker.alive:
                    self.watch(worker)  # which changes nothing

        @handles(Terminated)
        def terminated(self, message: Terminated) -> None:
            self.gone.append(message)

        @handles(str)
        def unwatch_last(self, _message: str) -> None:
            self.unwatch(self.workers[-1])

    async with open_system() as system:
        workers = [system.foreign(Worker.start()) for _ in range(3)]
        await on_thread(workers[0].pykka.stop)
        watcher = await system.spawn(Watcher, *workers)
        watcher.tell("unwatch")
        proxy: Any = watcher.pykka.proxy()
        assert await proxy.gone == [Terminated(workers[0], NORMAL)]  # it was gone when watched
        await on_thread(workers[1].pykka.stop)
        await on_thread(workers[2].pykka.stop)
        assert await workers[1].wait_gone() is NORMAL
        await trio.sleep(0.1)
        assert await proxy.gone == [Terminated(ref, NORMAL) for ref in workers[:2]]


async def test_a_watcher_that_ended_is_not_told() -> None:
    class Watcher(Actor[Terminated]):
        def __init__(self, worker: ActorRef[Any]) -> None:
            super().__init__()
            self.worker = worker

        def on_start(self) -> None:
            self.watch(self.worker)

        def on_receive(self, message: Terminated) -> None:
            raise AssertionError("told")

    async with open_system() as system:
        worker = system.foreign(Worker.start())
        await system.spawn(Watcher, worker, path="/watcher")
        await system.stop("/watcher")
        await on_thread(worker.pykka.stop)
        await worker.wait_gone()
        assert system.dead_letters() == ()
        assert system.crashes() == ()


async def test_it_subscribes_to_events_until_it_is_gone() -> None:
    class Any_(Actor[str]):
        def on_receive(self, message: str) -> None: ...

    async with open_system() as system:
        worker = system.foreign(Worker.start())
        system.events.subscribe_ref(ActorStarted, worker)
        await system.spawn(Any_, path="/one")
        told = await worker.ask("x")
        assert [event.path for event in told[:-1]] == ["/one"]
        await on_thread(worker.pykka.stop)
        await worker.wait_gone()
        await system.spawn(Any_, path="/two")
        assert system.dead_letters() == ()


# -- what it is ---------------------------------------------------------------------------


async def test_a_ref_tells_what_it_refers_to() -> None:
    async with open_system() as system:
        actor = Worker.start()
        worker = system.foreign(actor)
        assert isinstance(worker, ForeignRef)
        assert worker.pykka is actor
        assert worker.path == f"Worker ({actor.actor_urn})"
        assert repr(worker) == f"<ForeignRef Worker ({actor.actor_urn})>"
        assert worker.accepts == ()
        assert worker.alive
        await on_thread(actor.stop)


async def test_there_is_one_ref_to_an_actor_and_ours_have_their_own() -> None:
    class Any_(Actor[str]):
        def on_receive(self, message: str) -> None: ...

    async with open_system() as system:
        actor = Worker.start()
        assert system.foreign(actor) is system.foreign(actor)
        ours = await system.spawn(Any_, path="/ours")
        (found,) = pykka.ActorRegistry.get_by_class(Any_)  # type: ignore[type-var]
        assert system.foreign(found) is ours
        with pytest.raises(TypeError, match="actor_ref"):
            system.foreign(actor.proxy())  # type: ignore[arg-type]
        await on_thread(actor.stop)


async def test_what_the_runtime_has_no_part_in_says_so() -> None:
    async with open_system() as system:
        worker = system.foreign(Worker.start())
        cell: Any = worker._cell
        assert isinstance(cell, _Foreigner)
        with pytest.raises(AttributeError, match=r"Worker .* is no actor of this node"):
            cell.inbox.append("x")
        await on_thread(worker.pykka.stop)


# -- bounded inboxes ----------------------------------------------------------------------


async def test_a_bounded_inbox_that_is_full_refuses_and_never_blocks() -> None:
    async with open_system() as system:
        worker = system.foreign(BoundedWorker.start())
        busy = Busy()
        held = worker.ask(busy)
        await on_thread(busy.begun.wait)
        worker.tell("one")
        with pytest.raises(MailboxFull) as full:
            worker.tell("two")
        assert full.value.undelivered == "two"
        assert full.value.capacity == 1
        with pytest.raises(MailboxFull):
            await worker.ask("two")
        with pytest.raises(MailboxFull):
            await worker.send("two", timeout=0.02)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.send, "two")
            await trio.sleep(0.02)
            busy.release()
        await held
        last = Busy()
        await worker.send(last)
        await on_thread(last.begun.wait)
        last.release()
        assert await worker.ask("three") == ("one", "two", "three")
        await on_thread(worker.pykka.stop)


async def test_a_handler_of_ours_that_finds_it_full_is_not_harmed() -> None:
    class Sender(Actor[str]):
        def __init__(self, worker: ActorRef[Any]) -> None:
            super().__init__()
            self.worker = worker

        def on_receive(self, message: str) -> None:
            self.worker.tell(message)

    async with open_system() as system:
        worker = system.foreign(BoundedWorker.start())
        busy = Busy()
        held = worker.ask(busy)
        await on_thread(busy.begun.wait)
        sender = await system.spawn(Sender, worker)
        with system.events.subscribe(DeadLetter) as letters:
            for message in ("one", "two"):
                sender.tell(message)
            letter = await anext(letters)
        assert (letter.message, letter.reason) == ("two", DeadLetterReason.FULL)
        busy.release()
        await held
        await on_thread(worker.pykka.stop)


# -- on a clock that jumps ----------------------------------------------------------------


async def test_the_clock_of_a_test_is_held_while_a_foreign_actor_owes_an_answer(
    system: SystemUnderTest,
) -> None:
    worker = system.foreign(Worker.start())
    before = system.now
    assert await worker.ask(partial(on_time, 0.02), timeout=0.5) is True
    assert system.now == before
    await trio.sleep(1000)
    assert system.now == before + 1000
    await on_thread(worker.pykka.stop)


async def test_on_a_held_clock_timeouts_and_deaths_count_in_real_time(
    system: SystemUnderTest,
) -> None:
    actor = Worker.start()
    worker = system.foreign(actor)
    release = threading.Event()
    with pytest.raises(AskTimeout):
        await worker.ask(release.wait, timeout=0.05)
    release.set()
    await on_thread(actor.stop)
    actor.actor_stopped.clear()
    lost = worker.ask("x", timeout=float("inf"))
    actor.actor_stopped.set()
    with pytest.raises(ActorStopped):
        await lost
