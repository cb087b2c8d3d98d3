"""Actors that mostly wait: `async def` handlers and hooks, the mailbox paused meanwhile."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskCycle,
    AskTimeout,
    ChildSpec,
    Refuse,
    Refused,
    Reply,
    Request,
    Restart,
    StuckTask,
    handles,
    open_system,
)
from supervision.testing import SystemUnderTest, system_under_test


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Slow(Request[Any]):
    """Handled by an async handler, which does this."""

    step: Callable[[Any], Awaitable[Any]]


@attrs.frozen
class Do(Request[Any]):
    """Handled by a plain handler, which does this."""

    step: Callable[[Any], Any]


@attrs.frozen
class Note:
    value: Any


class Seen(Request[tuple[Any, ...]]):
    """What was noted, in order."""


class Waiter(Actor[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.inside = False

    @handles
    async def slow(self, message: Slow) -> Any:
        assert not self.inside
        self.inside = True
        try:
            return await message.step(self)
        finally:
            self.inside = False

    @handles
    def do(self, message: Do) -> Any:
        assert not self.inside
        return message.step(self)

    @handles
    def note(self, message: Note) -> None:
        assert not self.inside
        self.seen.append(message.value)

    @handles
    def what_was_seen(self, _message: Seen) -> tuple[Any, ...]:
        assert not self.inside
        return tuple(self.seen)


def sleeping(seconds: float, note: Any = None) -> Slow:
    async def step(actor: Waiter) -> Any:
        await trio.sleep(seconds)
        actor.seen.append(note)
        return note

    return Slow(step)


async def raise_boom(_actor: Any) -> None:
    await trio.sleep(1)
    raise Boom


async def raise_boom_at_once(_actor: Any) -> None:
    raise Boom


async def wait_for_ever(_actor: Any) -> None:
    await trio.sleep_forever()


@pytest.fixture
async def waiter(system: SystemUnderTest) -> ActorRef[Any]:
    return await system.spawn(Waiter, path="/waiter")


async def test_its_return_value_is_the_answer(waiter: ActorRef[Any]) -> None:
    assert await waiter.ask(sleeping(1, "done")) == "done"


async def test_the_mailbox_is_paused_until_it_returns(waiter: ActorRef[Any]) -> None:
    waiter.tell(sleeping(2, "slow"))
    for number in range(100):
        waiter.tell(Note(number))
    asked = waiter.ask(Seen())
    await trio.sleep(1.9)
    assert not asked.done
    assert await asked == ("slow", *range(100))


async def test_many_of_them_run_one_after_the_other_in_order(waiter: ActorRef[Any]) -> None:
    replies: list[Reply[Any]] = [waiter.ask(sleeping(0.1, n), timeout=60) for n in range(20)]
    assert [await reply for reply in replies] == list(range(20))


async def test_one_that_never_waits_is_as_good_as_a_plain_one(waiter: ActorRef[Any]) -> None:
    async def at_once(_actor: Any) -> int:
        return 7

    replies: list[Reply[Any]] = [waiter.ask(Slow(at_once)) for _ in range(500)]
    assert [await reply for reply in replies] == [7] * 500


@pytest.mark.parametrize("step", [raise_boom, raise_boom_at_once])
async def test_it_may_crash_and_the_mailbox_goes_on_in_the_next_life(
    system: SystemUnderTest, waiter: ActorRef[Any], step: Callable[[Any], Awaitable[None]]
) -> None:
    system.expect_crash("/waiter", Boom)
    crashing = waiter.ask(Slow(step))
    waiter.tell(Note("after"))
    with pytest.raises(ActorCrashed):
        await crashing
    assert await waiter.ask(Seen()) == ("after",)
    (report,) = system.crashes()
    assert (report.where, report.message_type) == ("handler", "Slow")


async def test_it_may_refuse_and_the_actor_lives(waiter: ActorRef[Any]) -> None:
    async def refuse(_actor: Any) -> None:
        await trio.sleep(1)
        raise Refuse("no")

    with pytest.raises(Refused, match="/waiter refused: no"):
        await waiter.ask(Slow(refuse))
    waiter.tell(Slow(refuse))
    waiter.tell(Note("after"))
    assert await waiter.ask(Seen()) == ("after",)


# -- stopping -------------------------------------------------------------------------------


async def test_an_orderly_stop_waits_for_it(system: SystemUnderTest, waiter: ActorRef[Any]) -> None:
    reply = waiter.ask(sleeping(3, "done"))
    await system.settle()
    await system.stop("/waiter")
    assert system.now == 3.0
    assert await reply == "done"


async def test_a_crash_while_a_stop_waits_for_it_is_a_crash_all_the_same(
    system: SystemUnderTest, waiter: ActorRef[Any]
) -> None:
    system.expect_crash("/waiter", Boom)
    reply = waiter.ask(Slow(raise_boom))
    await system.settle()
    await system.stop("/waiter")
    with pytest.raises(ActorCrashed):
        await reply
    assert not waiter.alive


async def test_a_kill_cuts_it_off(system: SystemUnderTest) -> None:
    ends: list[str] = []

    async def tidy(_actor: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ends.append("cut off")

    class Polite(Waiter):
        def on_stop(self) -> None:
            ends.append("on_stop")

    waiter = await system.start_child(ChildSpec("waiter", Polite, shutdown=2.0))
    reply = waiter.ask(Slow(tidy), timeout=math.inf)
    await system.settle()
    await system.stop("/waiter")
    assert system.now == 2.0
    assert ends == ["cut off"]  # who is killed does not stop in order
    with pytest.raises(ActorStopped):
        await reply


async def test_a_kill_that_finds_it_not_begun_answers_it_too(system: SystemUnderTest) -> None:
    waiter = await system.start_child(ChildSpec("waiter", Waiter, shutdown="brutal"))
    reply = waiter.ask(Slow(wait_for_ever), timeout=math.inf)
    await system.stop("/waiter")
    with pytest.raises(ActorStopped):
        await reply


async def test_the_crash_of_an_owned_task_cuts_it_off(
    system: SystemUnderTest, waiter: ActorRef[Any]
) -> None:
    async def start_and_wait(actor: Waiter) -> None:
        actor.start_task(raise_boom, actor)
        await trio.sleep_forever()

    system.expect_crash("/waiter", Boom)
    reply = waiter.ask(Slow(start_and_wait), timeout=math.inf)
    waiter.tell(Note("after"))
    with pytest.raises(ActorCrashed) as crashed:
        await reply
    assert isinstance(crashed.value.__cause__, Boom)
    assert await waiter.ask(Seen()) == ("after",)


async def test_a_late_answer_of_one_that_was_left_behind_is_discarded() -> None:
    answers: list[Any] = []

    async def shielded(actor: Waiter) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(30)
        actor.seen.append("late")
        return "late"

    async def main() -> None:
        async with open_system() as system:
            waiter = await system.start_child(ChildSpec("waiter", Waiter, shutdown=1.0))
            reply = waiter.ask(Slow(shielded), timeout=math.inf)
            await trio.sleep(0.5)
            await system.restart("/waiter")
            with pytest.raises(ActorStopped):
                await reply
            waiter.tell(sleeping(60, "new life"))
            waiter.tell(Note("after"))
            answers.extend(await waiter.ask(Seen(), timeout=math.inf))

    with pytest.raises(StuckTask):
        await trio.to_thread.run_sync(
            lambda: trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
        )
    assert answers == ["new life", "after"]


# -- suspending -------------------------------------------------------------------------------


async def test_it_can_be_suspended_meanwhile_and_takes_no_more_when_it_returns(
    system: SystemUnderTest, waiter: ActorRef[Any]
) -> None:
    reply = waiter.ask(sleeping(1, "slow"))
    waiter.tell(Note("after"))
    await system.settle()
    system.suspend("/waiter")
    assert await reply == "slow"
    await trio.sleep(1)
    assert waiter._cell.actor.seen == ["slow"]
    system.resume("/waiter")
    assert await waiter.ask(Seen()) == ("slow", "after")


async def test_resuming_does_not_end_the_pause(
    system: SystemUnderTest, waiter: ActorRef[Any]
) -> None:
    waiter.tell(sleeping(2, "slow"))
    waiter.tell(Note("after"))
    await system.settle()
    system.suspend("/waiter")
    system.resume("/waiter")
    await trio.sleep(1)
    assert waiter._cell.actor.seen == []
    assert await waiter.ask(Seen()) == ("slow", "after")


# -- what it may do -----------------------------------------------------------------------------


async def test_it_may_wait_for_others_and_in_parallel(system: SystemUnderTest) -> None:
    others = [await system.spawn(Waiter) for _ in range(10)]

    async def gather(_actor: Any) -> int:
        answers: list[int] = []

        async def one(other: ActorRef[Any]) -> None:
            answers.append(await other.ask(sleeping(1, 1)))

        async with trio.open_nursery() as nursery:
            for other in others:
                nursery.start_soon(one, other)
        return sum(answers)

    waiter = await system.spawn(Waiter)
    assert await waiter.ask(Slow(gather)) == 10
    assert system.now == 1.0
    assert system._node.waits.edges() == []


async def test_a_timeout_of_its_own_is_no_cancellation_of_the_actor(
    waiter: ActorRef[Any],
) -> None:
    async def limited(_actor: Any) -> str:
        with trio.move_on_after(1):
            await trio.sleep_forever()
        return "moved on"

    assert await waiter.ask(Slow(limited)) == "moved on"
    assert await waiter.ask(sleeping(1, "again")) == "again"


async def test_an_ask_of_its_own_that_times_out_can_be_caught(system: SystemUnderTest) -> None:
    async def patient(_actor: Any) -> str:
        try:
            await other.ask(Slow(wait_for_ever), timeout=1)
        except AskTimeout:
            return "gave up"
        raise AssertionError

    other = await system.start_child(ChildSpec("other", Waiter, shutdown="brutal"))
    waiter = await system.spawn(Waiter)
    assert await waiter.ask(Slow(patient)) == "gave up"


async def test_it_may_block_for_an_answer_in_a_thread_and_a_ring_is_found_there_too() -> None:
    async with system_under_test() as system:
        waiter, other = await system.spawn(Waiter, path="/w"), await system.spawn(Waiter)

        async def block(actor: Waiter) -> Any:
            return await trio.to_thread.run_sync(lambda: other.ask(sleeping(0.01, 7)).get())

        async def block_for_itself(actor: Waiter) -> Any:
            return await trio.to_thread.run_sync(lambda: actor.ref.ask(Seen()).get())

        assert await waiter.ask(Slow(block)) == 7
        system.expect_crash("/w", AskCycle)
        with pytest.raises(ActorCrashed) as crashed:
            await waiter.ask(Slow(block_for_itself))
        assert isinstance(crashed.value.__cause__, AskCycle)
        assert system._node.waits.edges() == []


async def test_it_may_start_tasks_timers_and_watches(system: SystemUnderTest) -> None:
    async def busy(actor: Waiter) -> None:
        actor.start_task(trio.sleep, 1, to=lambda _none: Note("task"))
        actor.send_after(2, Note("timer"))
        actor.pipe(actor.ref.ask(Seen()), to=lambda seen: Note(len(seen)))
        await trio.sleep(3)
        actor.seen.append("busy")

    waiter = await system.spawn(Waiter)
    await waiter.ask(Slow(busy))
    await trio.sleep(1)
    assert await waiter.ask(Seen()) == ("busy", "task", "timer", 1)


# -- hooks --------------------------------------------------------------------------------------


class Hooked(Waiter):
    def __init__(self, diary: list[str]) -> None:
        super().__init__()
        self.diary = diary

    async def on_start(self) -> None:
        self.diary.append("starting")
        await trio.sleep(1)
        self.diary.append("started")

    async def on_stop(self) -> None:
        self.diary.append("stopping")
        await trio.sleep(1)
        self.diary.append("stopped")

    def note(self, message: Note) -> None:
        self.diary.append(message.value)


async def test_async_hooks_are_waited_for(system: SystemUnderTest) -> None:
    diary: list[str] = []
    ref = await system.spawn(Hooked, diary, path="/hooked")
    assert system.now == 1.0
    assert diary == ["starting", "started"]
    ref.tell(Note("a"))
    await system.settle()
    await system.stop("/hooked")
    assert system.now == 2.0
    assert diary == ["starting", "started", "a", "stopping", "stopped"]


async def test_mail_waits_while_it_starts_and_stops(system: SystemUnderTest) -> None:
    diary: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: system.spawn(Hooked, diary, path="/hooked", restart=Restart.TEMPORARY)
        )
        await trio.sleep(0.5)
        ref = system.ref("/hooked")
        assert ref._cell.phase.value == "starting"
        ref.tell(Note("early"))
        await trio.sleep(1)
        system.expect_dead_letters("/hooked")
        nursery.start_soon(system.stop, "/hooked")
        await trio.sleep(0.5)
        assert ref._cell.phase.value == "stopping"
        ref.tell(Note("late"))
        asked = ref.ask(Seen(), timeout=math.inf)
    with pytest.raises(ActorStopped):
        await asked
    assert diary == ["starting", "started", "early", "stopping", "stopped"]
    assert [letter.message for letter in system.dead_letters()] == [Note("late")]


async def test_a_stop_while_it_starts_lets_it_start_first(system: SystemUnderTest) -> None:
    diary: list[str] = []
    ends: list[str] = []

    async def spawn() -> None:
        with pytest.raises(Refused):
            await system.spawn(Hooked, diary, path="/hooked")
        ends.append("refused")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(spawn)
        await trio.sleep(0.5)
        await system.stop("/hooked")
    assert diary == ["starting", "started", "stopping", "stopped"]
    assert ends == ["refused"]
    assert system.find("/hooked") is None


async def test_a_hook_that_takes_too_long_is_cut_off(system: SystemUnderTest) -> None:
    class Stuck(Waiter):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    await system.start_child(ChildSpec("stuck", Stuck, shutdown=2.0))
    await system.stop("/stuck")
    assert system.now == 2.0


async def test_deferring_is_for_plain_handlers(waiter: ActorRef[Any]) -> None:
    async def defer(actor: Waiter) -> str:
        with pytest.raises(
            RuntimeError, match="an async handler, whose return value is the answer"
        ):
            actor.defer()
        return "returned"

    assert await waiter.ask(Slow(defer)) == "returned"
