"""Timers: messages at a time, in order, never into another life."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from supervision import Actor, ActorRef, NotAccepted, Request, Restart, Wake, handles
from supervision.events import DeadLetterReason
from supervision.testing import SystemUnderTest, simulate
from supervision.timers import SWEEP_FROM, Timer, TimerHeap


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Tick:
    name: str = ""


@attrs.frozen
class Do:
    """Run something as the actor."""

    step: Callable[[Any], object]


@attrs.frozen
class DoSlowly:
    """Be busy for a while, the mailbox paused."""

    seconds: float


class Seen(Request[tuple[tuple[float, str], ...]]):
    """When it was sent what."""


class Clock(Actor[Any]):
    """Notes what comes, and when."""

    poison = None  # whose timers would be counted here

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, str]] = []

    @handles
    def tick(self, message: Tick) -> None:
        self.seen.append((self.now, message.name))

    @handles
    def wake(self, message: Wake) -> None:
        self.seen.append((message.at, "wake"))

    @handles
    def do(self, message: Do) -> None:
        message.step(self)

    @handles
    async def do_slowly(self, message: DoSlowly) -> None:
        await trio.sleep(message.seconds)

    @handles
    def what_was_seen(self, _message: Seen) -> tuple[tuple[float, str], ...]:
        return tuple(self.seen)


@pytest.fixture
async def clock(system: SystemUnderTest) -> ActorRef[Any]:
    return await system.spawn(Clock, path="/clock")


async def seen(clock: ActorRef[Any]) -> list[tuple[float, str]]:
    return list(await clock.ask(Seen(), timeout=math.inf))


# -- send_after ---------------------------------------------------------------------------


async def test_a_message_is_sent_after_a_time(clock: ActorRef[Any]) -> None:
    clock.tell(Do(lambda actor: actor.send_after(1.5, Tick("a"))))
    await trio.sleep(1.4)
    assert await seen(clock) == []
    await trio.sleep(0.2)
    assert await seen(clock) == [(1.5, "a")]


async def test_messages_come_in_the_order_of_their_times_then_of_their_arming(
    clock: ActorRef[Any],
) -> None:
    def arm(actor: Clock) -> None:
        for name, when in [("c", 3.0), ("a", 1.0), ("b1", 2.0), ("b2", 2.0), ("b3", 2.0)]:
            actor.send_after(when, Tick(name))

    clock.tell(Do(arm))
    await trio.sleep(5)
    assert [name for _, name in await seen(clock)] == ["a", "b1", "b2", "b3", "c"]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_no_time_at_all_means_behind_what_waits_already(
    clock: ActorRef[Any], seconds: float
) -> None:
    clock.tell(Do(lambda actor: actor.send_after(seconds, Tick("timer"))))
    clock.tell(Tick("told"))
    await trio.sleep(0.1)
    assert await seen(clock) == [(0.0, "told"), (0.0, "timer")]


async def test_a_cancelled_timer_sends_nothing_and_cancelling_again_is_harmless(
    clock: ActorRef[Any],
) -> None:
    timers: list[Timer] = []
    clock.tell(Do(lambda actor: timers.append(actor.send_after(1.0, Tick("never")))))
    clock.tell(Do(lambda actor: timers.append(actor.send_after(1.0, Tick("once")))))
    await trio.sleep(0.5)
    timers[0].cancel()
    timers[0].cancel()
    await trio.sleep(1)
    timers[1].cancel()
    assert await seen(clock) == [(1.0, "once")]


async def test_a_timer_that_the_actor_does_not_handle_is_refused_when_it_is_set(
    clock: ActorRef[Any],
) -> None:
    refused: list[str] = []

    def arm(actor: Clock) -> None:
        with pytest.raises(NotAccepted) as once:
            actor.send_after(1.0, 3)
        with pytest.raises(NotAccepted) as every:
            actor.send_every(1.0, "x")
        refused.extend(error.value.message_type.__name__ for error in (once, every))

    clock.tell(Do(arm))
    await trio.sleep(0.1)
    assert refused == ["int", "str"]


async def test_timers_go_into_a_full_mailbox(system: SystemUnderTest, clock: ActorRef[Any]) -> None:
    clock.tell(Do(lambda actor: actor.send_after(1.0, Tick("timer"))))
    await system.settle()
    clock.tell(DoSlowly(2.0))
    await system.settle()
    for _ in range(1000):
        clock.tell(Tick("told"))
    await trio.sleep(3)
    assert (await seen(clock))[-1] == (2.0, "timer")


# -- send_every ---------------------------------------------------------------------------


async def test_send_every_keeps_its_rate(clock: ActorRef[Any]) -> None:
    clock.tell(Do(lambda actor: actor.send_every(0.5, Tick("beat"))))
    await trio.sleep(2.2)
    assert [when for when, _ in await seen(clock)] == [0.5, 1.0, 1.5, 2.0]


async def test_a_beat_can_be_cancelled_also_by_its_own_message(
    system: SystemUnderTest, clock: ActorRef[Any]
) -> None:
    timers: list[Timer] = []

    class Counting(Clock):
        def tick(self, message: Tick) -> None:
            super().tick(message)
            if len(self.seen) == 3:
                timers[0].cancel()

    counting = await system.spawn(Counting)
    counting.tell(Do(lambda actor: timers.append(actor.send_every(1.0, Tick("beat")))))
    await trio.sleep(10)
    assert await seen(counting) == [(1.0, "beat"), (2.0, "beat"), (3.0, "beat")]
    assert len(system._node.timers) == 0
    del clock


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
async def test_a_rate_must_be_possible(clock: ActorRef[Any], seconds: float) -> None:
    errors: list[str] = []

    def arm(actor: Clock) -> None:
        with pytest.raises(ValueError, match="positive") as error:
            actor.send_every(seconds, Tick())
        errors.append(str(error.value))

    clock.tell(Do(arm))
    await trio.sleep(0.1)
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("late", "beats"),
    [
        (0.0, [1.0, 2.0, 3.0, 4.0]),
        (0.25, [1.25, 2.0, 3.0, 4.0]),
        (0.999, [1.999, 2.0, 3.0, 4.0]),
        (1.5, [2.5, 3.0, 4.0]),
        (2.75, [3.75, 4.0]),
    ],
)
def test_beats_that_the_loop_missed_are_skipped_and_the_rate_is_kept(
    late: float, beats: list[float]
) -> None:
    """The loop is held up at the first beat; what was missed meanwhile is not caught up with."""
    held = MockClock()
    seen_at: list[float] = []

    async def main() -> None:
        from supervision import open_system

        async with open_system() as system:
            ref = await system.spawn(Clock)
            ref.tell(Do(lambda actor: actor.send_every(1.0, Tick("beat"))))
            await trio.testing.wait_all_tasks_blocked()
            held.jump(1.0 + late)
            while held.current_time() < 4.5:
                await trio.testing.wait_all_tasks_blocked()
                # On to the next whole second, which may be a moment away.
                now = held.current_time()
                held.jump(math.floor(now) + 1.0 - now if now % 1.0 else 1.0)
            await trio.testing.wait_all_tasks_blocked()
            seen_at.extend(when for when, _ in await ref.ask(Seen(), timeout=math.inf))

    trio.run(main, clock=held)
    assert [when for when in seen_at if when <= 4.0] == beats


async def test_beats_do_not_pile_up_before_an_actor_that_is_busy_or_suspended(
    system: SystemUnderTest, clock: ActorRef[Any]
) -> None:
    """They are never refused, so a long suspension would be as much memory."""
    clock.tell(Do(lambda actor: actor.send_every(0.02, Tick("beat"))))
    await system.settle()
    system.suspend("/clock")
    await trio.sleep(20)
    assert len(clock._cell.inbox) == 1
    system.resume("/clock")
    await system.settle()
    assert len(await seen(clock)) == 1
    clock.tell(DoSlowly(1.01))
    await trio.sleep(1.05)
    beats = [when for when, _ in await seen(clock)]
    assert len(beats) <= 4  # before it was busy, the one that waited, and those after
    assert beats[-1] == pytest.approx(21.04)


# -- wake_at ------------------------------------------------------------------------------


async def test_wake_at_replaces_the_last_wake_at(clock: ActorRef[Any]) -> None:
    def arm(actor: Clock) -> None:
        actor.wake_at(1.0)
        actor.wake_at(3.0)
        actor.wake_at(2.0)

    clock.tell(Do(arm))
    await trio.sleep(10)
    assert await seen(clock) == [(2.0, "wake")]


async def test_infinity_takes_a_wake_at_back(clock: ActorRef[Any]) -> None:
    clock.tell(Do(lambda actor: actor.wake_at(1.0)))
    clock.tell(Do(lambda actor: actor.wake_at(math.inf)))
    clock.tell(Do(lambda actor: actor.wake_at(math.inf)))
    await trio.sleep(2)
    assert await seen(clock) == []


async def test_a_time_that_has_passed_wakes_at_once_and_says_what_time_it_is(
    clock: ActorRef[Any],
) -> None:
    await trio.sleep(5)
    clock.tell(Do(lambda actor: actor.wake_at(1.0)))
    await trio.sleep(1)
    assert await seen(clock) == [(5.0, "wake")]


async def test_it_can_be_set_again_each_time_it_comes(system: SystemUnderTest) -> None:
    class Machine(Clock):
        def on_start(self) -> None:
            self.wake_at(1.0)

        def wake(self, message: Wake) -> None:
            super().wake(message)
            self.wake_at(message.at + 1.0 if message.at < 3.0 else math.inf)

    machine = await system.spawn(Machine)
    await trio.sleep(10)
    assert await seen(machine) == [(1.0, "wake"), (2.0, "wake"), (3.0, "wake")]


async def test_an_actor_that_handles_no_wake_is_told_so(system: SystemUnderTest) -> None:
    class Deaf(Actor[Any]):
        @handles
        def do(self, message: Do) -> None:
            message.step(self)

    errors: list[NotAccepted] = []

    def arm(actor: Deaf) -> None:
        with pytest.raises(NotAccepted) as refused:
            actor.wake_at(1.0)
        errors.append(refused.value)
        actor.wake_at(math.inf)

    deaf = await system.spawn(Deaf)
    deaf.tell(Do(arm))
    await system.settle()
    assert errors[0].message_type is Wake


# -- one life only -------------------------------------------------------------------------


def crash(_actor: Clock) -> None:
    raise Boom


async def test_timers_of_an_old_life_do_not_fire_into_the_new_one(
    system: SystemUnderTest, clock: ActorRef[Any]
) -> None:
    def arm(actor: Clock) -> None:
        actor.send_after(1.0, Tick("after"))
        actor.send_every(1.0, Tick("every"))
        actor.wake_at(1.0)

    system.expect_crash("/clock", Boom)
    clock.tell(Do(arm))
    clock.tell(Do(crash))
    await trio.sleep(5)
    assert await seen(clock) == []
    assert len(system._node.timers) == 0


async def test_what_has_fired_but_was_not_handled_ends_with_its_life_too(
    system: SystemUnderTest, clock: ActorRef[Any]
) -> None:
    """Fired while the mailbox was paused, then the actor crashed: the new life armed no timer."""

    def arm(actor: Clock) -> None:
        actor.send_after(1.0, Tick("after"))
        actor.wake_at(1.0)

    system.expect_crash("/clock", Boom)
    clock.tell(Do(arm))
    clock.tell(DoSlowly(2.0))
    clock.tell(Do(crash))
    clock.tell(Tick("told"))
    await trio.sleep(5)
    assert await seen(clock) == [(2.0, "told")]
    letters = system.dead_letters()
    assert [type(letter.message) for letter in letters] == [Tick, Wake]
    assert {letter.reason for letter in letters} == {DeadLetterReason.STALE}


async def test_a_timer_set_while_stopping_does_not_reach_the_next_life(
    system: SystemUnderTest,
) -> None:
    class Late(Clock):
        async def on_stop(self) -> None:
            self.send_after(0.1, Tick("late"))
            await trio.sleep(0.5)
            self.send_after(0.1, Tick("later"))

    late = await system.spawn(Late, path="/late")
    await system.restart("/late")
    await trio.sleep(5)
    assert await seen(late) == []


async def test_a_stopped_actor_leaves_no_timers_behind(
    system: SystemUnderTest, clock: ActorRef[Any]
) -> None:
    clock.tell(Do(lambda actor: [actor.send_after(60.0, Tick()) for _ in range(100)]))
    await system.settle()
    assert len(system._node.timers) == 100
    await system.stop("/clock")
    assert len(system._node.timers) == 0


async def test_an_actor_may_have_many_timers(system: SystemUnderTest, clock: ActorRef[Any]) -> None:
    """Each is remembered, to end with the actor; that must not cost more the more there are."""

    def arm(actor: Clock) -> None:
        for _ in range(50_000):
            actor.send_after(60.0, Tick())

    clock.tell(Do(arm))
    await system.settle()
    assert len(system._node.timers) == 50_000
    await system.stop("/clock")


async def test_timers_that_came_are_forgotten(clock: ActorRef[Any]) -> None:
    for _ in range(50):
        clock.tell(Do(lambda actor: [actor.send_after(0.01, Tick()) for _ in range(10)]))
        await trio.sleep(0.1)
    life = clock._cell.life
    assert life is not None
    assert len(life.timers or ()) < 150


async def test_what_is_no_time_is_refused_and_harms_nobody_elses_timers(
    system: SystemUnderTest, clock: ActorRef[Any]
) -> None:
    """A nan in the heap would put the timeouts of the whole node out of order."""
    refused: list[str] = []

    def arm(actor: Clock) -> None:
        for attempt in (actor.wake_at, partial(actor.send_after, message=Tick())):
            with pytest.raises(ValueError, match="not nan") as error:
                attempt(math.nan)
            refused.append(str(error.value))
        actor.send_after(1.0, Tick("a"))

    clock.tell(Do(arm))
    with pytest.raises(ValueError, match="not nan"):
        await clock.ask(Seen(), timeout=math.nan)
    await trio.sleep(2)
    assert len(refused) == 2
    assert await seen(clock) == [(1.0, "a")]


# -- the heap -----------------------------------------------------------------------------


def test_a_heap_of_cancelled_timers_is_swept() -> None:
    heap = TimerHeap()
    kept = [heap.call_at(100.0 + n, lambda: None) for n in range(10)]
    for n in range(20 * SWEEP_FROM):
        heap.call_at(float(n), lambda: None).cancel()
    assert len(heap) == len(kept)
    assert len(heap._heap) < 3 * SWEEP_FROM


@given(
    st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.floats(0, 10)), min_size=1, max_size=40),
    st.integers(0, 3),
)
def test_any_timers_fire_at_their_times_in_order_unless_cancelled_before(
    plan: list[tuple[float, bool, float]], seed: int
) -> None:
    """Each timer may be cancelled at some time; who is cancelled in time never fires."""

    async def scenario(system: SystemUnderTest) -> list[tuple[float, int]]:
        fired: list[tuple[float, int]] = []
        heap = system._node.timers
        for number, (when, cancelled, cancel_at) in enumerate(plan):

            def fire(number: int = number) -> None:
                fired.append((system.now, number))

            timer = heap.call_at(when, fire)
            if cancelled:
                heap.call_at(cancel_at, timer.cancel)
        await trio.sleep(11)
        assert len(heap) == 0
        return fired

    fired = simulate(scenario, seed).result
    # A timer's cancellation is armed after it, so in a tie the timer was first.
    due = sorted(
        (when, number)
        for number, (when, cancelled, cancel_at) in enumerate(plan)
        if not cancelled or when <= cancel_at
    )
    assert [number for _, number in fired] == [number for _, number in due]
    assert [when for when, _ in fired] == pytest.approx([when for when, _ in due])


async def test_an_actor_that_is_gone_is_sent_nothing(system: SystemUnderTest) -> None:
    clock = await system.spawn(Clock, path="/once", restart=Restart.TEMPORARY)
    clock.tell(Do(lambda actor: actor.send_after(1.0, Tick())))
    clock.tell(Do(lambda actor: actor.stop()))
    await trio.sleep(2)
    assert not clock.alive
    assert system.dead_letters() == ()
