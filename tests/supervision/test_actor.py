"""Actors with plain handlers: steps that nothing interrupts, hooks, order, what a crash costs."""

from __future__ import annotations

import gc
import logging
import math
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    ChildSpec,
    DynamicSupervisor,
    Escalate,
    ExitReason,
    How,
    Refused,
    Reply,
    Request,
    Restart,
    StartFailed,
    Supervisor,
    handles,
    open_system,
)
from supervision.cell import Phase
from supervision.supervisor import StartChild, TerminateChild
from supervision.testing import SystemUnderTest, simulate, system_under_test


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Note:
    value: Any


@attrs.frozen
class Do(Request[Any]):
    step: Callable[[Any], Any]


class Seen(Request[tuple[Any, ...]]):
    """What was noted, in order."""


class Diary(Actor[Any]):
    poison = None  # it is made to crash again and again

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    @handles
    def note(self, message: Note) -> None:
        self.seen.append(message.value)

    @handles
    def do(self, message: Do) -> Any:
        return message.step(self)

    @handles
    def what_was_seen(self, _message: Seen) -> tuple[Any, ...]:
        return tuple(self.seen)


def crash(_actor: Any) -> None:
    raise Boom


# -- the smallest use -----------------------------------------------------------------------


@attrs.frozen
class Add:
    number: int


class Total(Request[int]):
    pass


class Counter(Actor[Add | Total]):
    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.total = start

    @handles
    def add(self, message: Add) -> None:
        self.total += message.number

    @handles
    def how_many(self, _message: Total) -> int:
        return self.total


async def test_the_smallest_use() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3, path="/counter")
        counter.tell(Add(2))
        assert await counter.ask(Total()) == 5


# -- hooks --------------------------------------------------------------------------------


class Hooked(Actor[Any]):
    poison = None

    def __init__(self, diary: list[str]) -> None:
        super().__init__()
        self.diary = diary
        diary.append("init")

    def on_start(self) -> None:
        self.diary.append("start")

    @handles
    def note(self, message: Note) -> None:
        self.diary.append(message.value)

    @handles
    def do(self, message: Do) -> Any:
        return message.step(self)

    def on_stop(self) -> None:
        self.diary.append("stop")

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert isinstance(exception_value, Boom)
        assert exception_type is Boom
        assert traceback is not None
        self.diary.append("failure")


async def test_hooks_run_at_the_beginning_and_the_end_of_each_life(system: SystemUnderTest) -> None:
    diary: list[str] = []
    ref = await system.spawn(Hooked, diary, path="/hooked")
    system.expect_crash("/hooked", Boom)
    ref.tell(Note("a"))
    ref.tell(Do(crash))
    ref.tell(Note("b"))
    await system.settle()
    await system.stop("/hooked")
    assert diary == ["init", "start", "a", "failure", "init", "start", "b", "stop"]


async def test_a_stop_of_its_own_comes_behind_the_messages_that_wait(
    system: SystemUnderTest,
) -> None:
    diary: list[str] = []
    ref = await system.spawn(Hooked, diary, restart=Restart.TEMPORARY)
    system.suspend(ref.path)
    ref.tell(Do(lambda actor: actor.stop()))
    ref.tell(Note("a"))
    system.resume(ref.path)
    assert (await ref.wait_gone()).how is How.NORMAL
    assert diary == ["init", "start", "a", "stop"]


async def test_an_order_to_stop_goes_before_the_messages_that_wait(system: SystemUnderTest) -> None:
    diary: list[str] = []
    ref = await system.spawn(Hooked, diary, path="/hooked")
    system.expect_dead_letters("/hooked")
    for number in range(100):
        ref.tell(Note(str(number)))
    await system.stop("/hooked")
    # All but the turn that was to come before the supervisor's.
    assert diary[:2] == ["init", "start"]
    assert diary[-1] == "stop"
    assert len(diary) <= 3 + system._node.config.slice_messages


@pytest.mark.parametrize("where", ["constructor", "on_start", "async on_start"])
async def test_an_actor_that_cannot_start_is_refused_with_its_reason(
    system: SystemUnderTest, where: str
) -> None:
    class Constructor(Diary):
        def __init__(self) -> None:
            raise Boom(where)

    class OnStart(Diary):
        def on_start(self) -> None:
            raise Boom(where)

    class AsyncOnStart(Diary):
        async def on_start(self) -> None:
            await trio.sleep(1)
            raise Boom(where)

    kinds = {"constructor": Constructor, "on_start": OnStart, "async on_start": AsyncOnStart}
    system.expect_crash("/broken", Boom)
    with pytest.raises(StartFailed) as failed:
        await system.spawn(kinds[where], path="/broken")
    assert isinstance(failed.value.__cause__, Boom)
    assert str(failed.value).startswith("/broken could not be started")
    assert system.find("/broken") is None
    # Nothing is left of it: the path is free.
    await system.spawn(Diary, path="/broken")


async def test_a_start_that_makes_no_new_actor_is_refused(system: SystemUnderTest) -> None:
    known = Diary()

    class Forgetful(Diary):
        def __init__(self) -> None:
            pass

    system.expect_crash(error=TypeError)
    starts: Sequence[Callable[[], Any]] = (lambda: known, lambda: None, Forgetful)
    for start in starts:
        with pytest.raises(StartFailed) as failed:
            await system.spawn(start)
        assert "is no new actor" in str(failed.value.__cause__)


async def test_a_fault_in_on_failure_or_on_stop_is_reported_and_ends_nothing_else(
    system: SystemUnderTest,
) -> None:
    class Clumsy(Diary):
        def on_failure(self, *_error: Any) -> None:
            raise Boom("in on_failure")

        def on_stop(self) -> None:
            raise Boom("in on_stop")

    ref = await system.spawn(Clumsy, path="/clumsy")
    system.expect_crash("/clumsy", Boom)
    ref.tell(Do(crash))
    assert await ref.ask(Seen()) == ()
    await system.stop("/clumsy")
    assert [report.where for report in system.crashes()] == ["handler", "on_failure", "on_stop"]
    assert not ref.alive


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
async def test_whatever_a_handler_raises_is_its_own_crash(
    system: SystemUnderTest, error: type[BaseException]
) -> None:
    """pykka takes what is no Exception for "stop all actors"."""

    def raise_it(_actor: Any) -> None:
        raise error

    ref, other = await system.spawn(Diary, path="/worse"), await system.spawn(Diary)
    system.expect_crash("/worse", error)
    with pytest.raises(ActorCrashed) as crashed:
        await ref.ask(Do(raise_it))
    assert type(crashed.value.__cause__) is error
    assert await ref.ask(Seen()) == ()
    assert await other.ask(Seen()) == ()


async def test_what_nobody_handles_is_logged_by_the_default_on_receive(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    class Curious(Actor[Any]):
        def on_receive(self, message: Any) -> Any:
            return super().on_receive(message)

    ref = await system.spawn(Curious, path="/curious")
    with caplog.at_level(logging.WARNING):
        ref.tell("what a secret")
        await system.settle()
    assert "Unexpected message received by Curious" in caplog.text
    assert "secret" not in caplog.text


# -- steps ----------------------------------------------------------------------------------


class Nosy(Diary):
    """Does everything a handler may do, and notes whether anything came in between."""

    def __init__(self, other: ActorRef[Any]) -> None:
        super().__init__()
        self.other = other
        self.inside = 0

    def note(self, message: Note) -> None:
        assert self.inside == 0
        super().note(message)

    def do(self, message: Do) -> Any:
        assert self.inside == 0
        self.inside += 1
        value = message.step(self)
        self.inside -= 1
        return value

    def what_was_seen(self, _message: Seen) -> tuple[Any, ...]:
        assert self.inside == 0
        return tuple(self.seen)


def tells_itself(actor: Nosy) -> None:
    actor.ref.tell(Note("told"))
    assert actor.seen == []


def asks_itself(actor: Nosy) -> None:
    reply = actor.ref.ask(Seen())
    assert not reply.done
    actor.pipe(reply, to=Note)


def tells_and_asks_another(actor: Nosy) -> None:
    for _ in range(100):
        actor.other.tell(Note("x"))
    actor.pipe(actor.other.ask(Seen()), to=lambda seen: Note(len(seen)))


def spawns(actor: Nosy) -> None:
    reply = actor.system.ref("/").ask(StartChild(ChildSpec("spawned", Diary)))
    assert actor.system.find("/spawned") is None
    actor.pipe(reply, to=lambda ref: Note(ref.path))


def stops_another(actor: Nosy) -> None:
    reply = actor.system.ref("/").ask(TerminateChild("other"))
    assert actor.other.alive
    actor.pipe(reply, to=lambda _none: Note("stopped it"))


def suspends_and_resumes_itself(actor: Nosy) -> None:
    actor.system.suspend(actor.path)
    actor.system.resume(actor.path)
    actor.ref.tell(Note("resumed"))


def starts_tasks_and_timers(actor: Nosy) -> None:
    actor.start_task(trio.sleep, 0, to=lambda _none: Note("task"))
    actor.send_after(0, Note("timer"))


def watches_one_that_is_gone(actor: Nosy) -> None:
    actor.other.on_gone(lambda _reason: None)


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        (tells_itself, {"told"}),
        (asks_itself, {()}),
        (tells_and_asks_another, {100}),
        (spawns, {"/spawned"}),
        (stops_another, {"stopped it"}),
        (suspends_and_resumes_itself, {"resumed"}),
        (starts_tasks_and_timers, {"task", "timer"}),
        (watches_one_that_is_gone, set()),
    ],
)
async def test_a_handler_is_not_re_entered_whatever_it_calls(
    system: SystemUnderTest, step: Callable[[Nosy], None], seen: set[Any]
) -> None:
    other = await system.spawn(Diary, path="/other")
    ref = await system.spawn(Nosy, other, path="/nosy")
    ref.tell(Do(step))
    await trio.sleep(1)
    assert set(await ref.ask(Seen())) == seen


async def test_a_handler_may_stop_its_own_supervisor_and_still_runs_to_its_end(
    system: SystemUnderTest,
) -> None:
    finished: list[str] = []

    def stops_it(actor: Diary) -> None:
        actor.system.ref("/").tell(TerminateChild("top"))
        actor.ref.tell(Note("never handled"))
        finished.append("handler")

    class Polite(Diary):
        def on_stop(self) -> None:
            finished.append("on_stop")

    children: list[ChildSpec[Any]] = [ChildSpec("polite", Polite)]
    await system.spawn(Supervisor, children, path="/top")
    ref = system.ref("/top/polite")
    system.expect_dead_letters("/top/polite")
    ref.tell(Do(stops_it))
    await ref.wait_gone()
    assert finished == ["handler", "on_stop"]
    assert system.find("/top") is None


async def test_a_cancellation_of_the_asker_does_not_come_into_the_handler(
    system: SystemUnderTest,
) -> None:
    ended: list[str] = []

    with trio.CancelScope() as scope:

        def cancels_its_asker(_actor: Any) -> None:
            scope.cancel()
            ended.append("handler")

        ref = await system.spawn(Diary)
        await ref.ask(Do(cancels_its_asker))
    assert scope.cancelled_caught
    assert ended == ["handler"]
    assert system.crashes() == ()


async def test_leaving_the_system_does_not_come_into_a_handler() -> None:
    ended: list[str] = []
    with trio.CancelScope() as scope:
        async with open_system() as system:

            def leaves(_actor: Any) -> None:
                scope.cancel()
                ended.append("handler")

            ref = await system.spawn(Diary)
            ref.tell(Do(leaves))
            await trio.sleep_forever()
    assert ended == ["handler"]
    assert system.crashes() == ()


# -- suspend and resume ---------------------------------------------------------------------


async def test_a_suspended_actor_handles_nothing_until_it_is_resumed(
    system: SystemUnderTest,
) -> None:
    ref = await system.spawn(Diary, path="/diary")
    system.suspend("/diary")
    system.suspend("/diary")
    for number in range(3):
        ref.tell(Note(number))
    asked = ref.ask(Seen(), timeout=math.inf)
    await trio.sleep(10)
    assert not asked.done
    system.resume("/diary")
    system.resume("/diary")
    assert await asked == (0, 1, 2)


async def test_suspending_ends_the_turn_after_the_message_in_hand(system: SystemUnderTest) -> None:
    ref = await system.spawn(Diary, path="/diary")
    ref.tell(Note(0))
    ref.tell(Do(lambda actor: actor.system.suspend("/diary")))
    ref.tell(Note(1))
    await system.settle()
    assert ref._cell.actor.seen == [0]
    system.resume("/diary")
    assert await ref.ask(Seen()) == (0, 1)


async def test_a_suspended_actor_can_be_stopped_and_restarted(system: SystemUnderTest) -> None:
    ref = await system.spawn(Diary, path="/diary")
    ref.tell(Note(0))
    await system.settle()
    system.suspend("/diary")
    ref.tell(Note(1))
    await system.restart("/diary")
    asked = ref.ask(Seen(), timeout=math.inf)
    await trio.sleep(1)
    assert not asked.done  # it still is suspended
    system.resume("/diary")
    assert await asked == (1,)
    system.suspend("/diary")
    await system.stop("/diary")
    assert not ref.alive


async def test_timers_of_a_suspended_actor_wait_with_the_rest(system: SystemUnderTest) -> None:
    ref = await system.spawn(Diary, path="/diary")
    await ref.ask(Do(lambda actor: actor.send_after(1.0, Note("timer"))))
    system.suspend("/diary")
    await trio.sleep(5)
    assert ref._cell.actor.seen == []
    system.resume("/diary")
    assert await ref.ask(Seen()) == ("timer",)


# -- what a crash costs -----------------------------------------------------------------------


async def test_the_message_in_hand_at_a_crash_is_not_retried_and_the_others_are_kept(
    system: SystemUnderTest,
) -> None:
    tries: list[int] = []

    def crash_once(number: int, _actor: Any) -> None:
        tries.append(number)
        if number == 2:
            raise Boom

    ref = await system.spawn(Diary, path="/diary")
    system.expect_crash("/diary", Boom)
    for number in range(5):
        ref.tell(Do(partial(crash_once, number)))
    await system.settle()
    assert tries == [0, 1, 2, 3, 4]
    assert ref._cell.lives == 2


async def test_a_new_life_begins_with_nothing_of_the_old_but_its_mailbox(
    system: SystemUnderTest,
) -> None:
    ref = await system.spawn(Counter, start=3, path="/counter")
    system.expect_crash("/counter")
    ref.tell(Add(2))
    ref.tell(Add("x"))  # type: ignore[arg-type]
    ref.tell(Add(4))
    assert await ref.ask(Total()) == 7


async def test_mail_sent_while_it_is_being_restarted_waits_for_the_new_life(
    system: SystemUnderTest,
) -> None:
    class Slow(Diary):
        async def on_start(self) -> None:
            await trio.sleep(1)

    ref = await system.spawn(Slow, path="/slow")
    system.expect_crash("/slow", Boom)
    ref.tell(Do(crash))
    await trio.sleep(0.5)
    assert ref._cell.phase is Phase.STARTING
    assert ref.alive
    ref.tell(Note("meanwhile"))
    assert await ref.ask(Seen()) == ("meanwhile",)


async def test_a_new_life_does_not_keep_the_old_instance_alive(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    """The error an actor died of refers to its frames, and those to the instance."""
    caplog.set_level(logging.CRITICAL)  # what pytest captures of a log keeps the error, too
    instances: list[weakref.ref[Diary]] = []

    class Remembered(Diary):
        def on_start(self) -> None:
            instances.append(weakref.ref(self))

    ref = await system.spawn(Remembered, path="/diary")
    system.expect_crash("/diary", Boom)
    for _ in range(2):
        ref.tell(Do(crash))
        await system.settle()
    gc.collect()
    assert [instance() is not None for instance in instances] == [False, False, True]
    assert str(ref._cell.reason) == "crashed: Boom"
    assert ref._cell.reason is not None
    assert ref._cell.reason.report == "crash-2"


async def test_escalating_is_for_the_supervisor(system: SystemUnderTest) -> None:
    def escalate(_actor: Any) -> None:
        raise Escalate("no restart can help")

    children: list[ChildSpec[Any]] = [ChildSpec("child", Diary)]
    await system.spawn(Supervisor, children, path="/top")
    ref = system.ref("/top/child")
    system.expect_crash()
    with pytest.raises(ActorCrashed):
        await ref.ask(Do(escalate))
    await system.settle()
    # The supervisor failed; its own restarted it, with its child.
    assert system.ref("/top")._cell.lives == 2
    assert await ref.ask(Seen()) == ()


# -- order ------------------------------------------------------------------------------------


@attrs.frozen
class From:
    sender: int
    number: int


class Order(Diary):
    @handles
    def come(self, message: From) -> None:
        self.seen.append((message.sender, message.number))


def in_order(seen: Sequence[tuple[int, int]]) -> bool:
    """Whether each sender's messages came in the order they were sent."""
    by_sender: dict[int, list[int]] = {}
    for sender, number in seen:
        by_sender.setdefault(sender, []).append(number)
    return all(numbers == sorted(numbers) for numbers in by_sender.values())


@given(
    st.lists(st.lists(st.sampled_from(["tell", "ask", "rest"]), max_size=12), max_size=5),
    st.integers(0, 100),
)
def test_messages_of_one_sender_to_one_receiver_come_in_order(
    scripts: list[list[str]], seed: int
) -> None:
    """Senders are actors, plain and async, and trio tasks; schedules are drawn from the seed."""

    async def scenario(system: SystemUnderTest) -> tuple[Any, ...]:
        receiver = await system.spawn(Order)
        asked: list[Reply[Any]] = []

        async def send(sender: int, script: list[str]) -> None:
            for number, step in enumerate(script):
                if step == "rest":
                    await trio.sleep(0.01)
                elif step == "ask":
                    note = partial(_noting, (sender, number))
                    asked.append(receiver.ask(Do(note)))
                else:
                    receiver.tell(From(sender, number))

        async with trio.open_nursery() as nursery:
            for sender, script in enumerate(scripts):
                if sender % 2:
                    nursery.start_soon(send, sender, script)
                else:
                    actor = await system.spawn(Diary)
                    start = partial(_start_task, partial(send, sender, script))
                    actor.tell(Do(start))
        await trio.sleep(1)
        for reply in asked:
            await reply
        return await receiver.ask(Seen())

    seen = simulate(scenario, seed).result
    assert in_order(seen)
    assert len(seen) == sum(step != "rest" for script in scripts for step in script)


def _noting(value: Any, actor: Diary) -> None:
    actor.seen.append(value)


def _start_task(function: Callable[[], Any], actor: Diary) -> None:
    actor.start_task(function)


async def test_messages_of_a_thread_come_in_order_among_those_of_others() -> None:
    each = 2000
    async with system_under_test() as system:
        receiver = await system.start_child(ChildSpec("order", Order))
        receiver._cell.capacity = 100_000

        def send(sender: int) -> None:
            for number in range(each):
                if number % 50 == 0:
                    receiver.ask(Do(partial(_noting, (sender, number)))).get()
                else:
                    receiver.tell(From(sender, number))

        async with trio.open_nursery() as nursery:
            for sender in range(4):
                nursery.start_soon(trio.to_thread.run_sync, send, sender)
            for number in range(each):
                receiver.tell(From(99, number))
                if number % 20 == 0:
                    await trio.lowlevel.checkpoint()
        seen = await receiver.ask(Seen())
    assert len(seen) == 5 * each
    assert in_order(seen)


async def test_order_is_kept_over_restarts(system: SystemUnderTest) -> None:
    seen: list[tuple[int, int]] = []

    class Keeps(Order):
        def come(self, message: From) -> None:
            seen.append((message.sender, message.number))

    await system.spawn(DynamicSupervisor, intensity=1000, path="/pool")
    receiver = await system.spawn(Keeps, path="/pool/keeps")
    system.expect_crash("/pool/keeps", Boom)
    for number in range(100):
        receiver.tell(From(0, number))
        if number % 7 == 0:
            receiver.tell(Do(crash))
    await system.settle()
    assert seen == [(0, number) for number in range(100)]
    assert receiver._cell.lives == 16


# -- what is not there ------------------------------------------------------------------------


def test_an_actor_outside_a_system_says_what_to_do() -> None:
    counter = Counter()
    with pytest.raises(RuntimeError, match="is not running in a system, so it has no address"):
        _ = counter.ref
    assert repr(counter) == "<Counter not running>"
    with pytest.raises(RuntimeError, match=r"use|Use `await system.spawn\(Counter"):
        Counter.start()


async def test_what_is_left_of_an_actor_can_own_nothing(system: SystemUnderTest) -> None:
    ref = await system.spawn(Diary, path="/diary")
    old: Diary = ref._cell.actor
    await system.restart("/diary")
    with pytest.raises(RuntimeError, match="/diary runs no more"):
        old.send_after(1.0, Note(1))
    with pytest.raises(RuntimeError, match="/diary runs no more"):
        old.start_task(trio.sleep, 1)


async def test_a_path_is_taken_once(system: SystemUnderTest) -> None:
    await system.spawn(Diary, path="/diary")
    with pytest.raises(Refused, match="there already is a child 'diary'"):
        await system.spawn(Diary, path="/diary")
    await system.stop("/diary")
    await system.spawn(Diary, path="/diary")


async def test_defer_needs_somebody_who_asked(system: SystemUnderTest) -> None:
    refused: list[str] = []

    def defer(actor: Diary) -> None:
        try:
            actor.defer()
        except RuntimeError as error:
            refused.append(str(error))

    ref = await system.spawn(Diary)
    ref.tell(Do(defer))
    await system.settle()
    assert len(refused) == 1
    assert "the message in hand was told, not asked" in refused[0]


async def test_a_promise_is_kept_once_and_may_be_kept_from_a_thread(
    system: SystemUnderTest,
) -> None:
    promises: list[Any] = []
    ref = await system.spawn(Diary)
    reply = ref.ask(Do(lambda actor: promises.append(actor.defer())), timeout=math.inf)
    await system.settle()
    assert not reply.done

    def keep() -> None:
        promises[0].resolve(7)
        promises[0].resolve(8)
        promises[0].refuse("too late")

    await trio.to_thread.run_sync(keep)
    assert await reply == 7


async def test_an_ended_life_keeps_no_promises(system: SystemUnderTest) -> None:
    promises: list[Any] = []
    ref = await system.spawn(Diary, path="/diary")
    reply = ref.ask(Do(lambda actor: promises.append(actor.defer())), timeout=math.inf)
    await system.settle()
    await system.restart("/diary")
    promises[0].resolve(7)
    with pytest.raises(ActorStopped):
        await reply


async def test_exit_reasons_say_what_they_are() -> None:
    assert str(ExitReason(How.NORMAL)) == "normal"
    assert str(ExitReason(How.CRASHED, Boom("secret"))) == "crashed: Boom"
    assert [how.value for how in How if ExitReason(how).abnormal] == [
        "crashed",
        "killed",
        "escalated",
    ]


async def test_actors_may_be_made_on_several_threads_at_once() -> None:
    """Two nodes, two loops: whose cell a new instance belongs to must not be mixed up."""
    paths: list[str] = []
    barrier = threading.Barrier(2)

    def node(name: str) -> None:
        async def main() -> None:
            async with system_under_test() as system:
                for number in range(200):
                    ref = await system.spawn(Counter, path=f"/{name}-{number}")
                    paths.append(ref._cell.actor.path)
                    assert await ref.ask(Total()) == 0

        barrier.wait()
        trio.run(main)

    async with trio.open_nursery() as nursery:
        for name in ("a", "b"):
            nursery.start_soon(trio.to_thread.run_sync, node, name)
    assert sorted(paths) == sorted(f"/{name}-{n}" for name in ("a", "b") for n in range(200))
