"""What a BlockingActor's thread asks of the loop, and what the loop knows of it meanwhile."""

from __future__ import annotations

import math
import random
import threading
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    AskCycle,
    AskTimeout,
    BlockingActor,
    NotAccepted,
    Request,
    SupervisionConfig,
    Terminated,
    Wake,
    handles,
    open_system,
)
from supervision.observe import TraceFilter
from supervision.testing import SystemUnderTest, simulate

QUICK = SupervisionConfig(intensity=1_000_000, kill_grace=0.05)


@attrs.frozen
class Got:
    what: Any


@attrs.frozen
class Twice(Request[int]):
    number: int


class Doubler(Actor[Twice]):
    @handles
    def twice(self, message: Twice) -> int:
        return 2 * message.number


@attrs.frozen
class Arrange(Request[Any]):
    """Call a method of the actor's on its thread."""

    method: str
    args: tuple[Any, ...] = ()


class Arranger(BlockingActor[Arrange | Got | Wake | Terminated]):
    """Arranges for messages to itself, and sends what comes to its owner."""

    def __init__(self, owner: ActorRef[Any], doubler: ActorRef[Twice] | None = None) -> None:
        super().__init__()
        self.owner = owner
        self.doubler = doubler

    @handles
    def arrange(self, message: Arrange) -> Any:
        return getattr(self, message.method)(*message.args)

    @handles
    def got(self, message: Got | Wake | Terminated) -> None:
        self.owner.tell(message)

    def pipe_twice(self, number: int) -> None:
        assert self.doubler is not None
        self.pipe(self.doubler.ask(Twice(number)), to=Got)

    def cancel(self, timer: Any) -> None:
        timer.cancel()


# -- timers, watches, pipes ---------------------------------------------------------------


async def test_timers_set_on_the_thread_fire_on_virtual_time(system: SystemUnderTest) -> None:
    probe = await system.probe()
    arranger = await system.spawn(Arranger, probe.ref)
    start = system.now
    await arranger.ask(Arrange("send_after", (60.0, Got("late"))))
    await arranger.ask(Arrange("wake_at", (start + 30,)))
    assert (await probe.expect(Wake, within=31)).at == pytest.approx(start + 30, abs=0.1)
    assert await probe.expect(Got, within=31) == Got("late")
    assert system.now == pytest.approx(start + 60, abs=0.1)


async def test_wake_at_infinity_takes_it_back(system: SystemUnderTest) -> None:
    probe = await system.probe()
    arranger = await system.spawn(Arranger, probe.ref)
    await arranger.ask(Arrange("wake_at", (system.now + 30,)))
    await arranger.ask(Arrange("wake_at", (math.inf,)))
    await probe.expect_nothing(within=60)


async def test_a_repeated_message_comes_until_its_timer_is_cancelled(
    system: SystemUnderTest,
) -> None:
    probe = await system.probe()
    arranger = await system.spawn(Arranger, probe.ref)
    timer = await arranger.ask(Arrange("send_every", (10.0, Got("tick"))))
    await trio.sleep(35)
    assert probe.received == [Got("tick")] * 3
    await arranger.ask(Arrange("cancel", (timer,)))
    await trio.sleep(60)
    assert len(probe.received) == 3


async def test_a_timer_is_not_the_next_lifes(system: SystemUnderTest) -> None:
    probe = await system.probe()
    arranger = await system.spawn(Arranger, probe.ref, path="/arranger")
    await arranger.ask(Arrange("send_after", (10.0, Got("stale"))))
    await system.restart("/arranger")
    await probe.expect_nothing(within=60)


async def test_what_the_thread_arranges_must_have_a_handler(system: SystemUnderTest) -> None:
    probe = await system.probe()
    system.expect_crash("/arranger", NotAccepted)
    arranger = await system.spawn(Arranger, probe.ref, path="/arranger")
    for arrange in ("send_after", "send_every"):
        with pytest.raises(ActorCrashed) as crash:
            await arranger.ask(Arrange(arrange, (1.0, "no handler for str")))
        assert isinstance(crash.value.__cause__, NotAccepted)


async def test_a_watch_from_the_thread_tells_of_the_end(system: SystemUnderTest) -> None:
    probe = await system.probe()
    arranger = await system.spawn(Arranger, probe.ref)
    watched = await system.spawn(Doubler, path="/watched")
    unwatched = await system.spawn(Doubler, path="/unwatched")
    for ref in (watched, unwatched):
        await arranger.ask(Arrange("watch", (ref,)))
    await arranger.ask(Arrange("unwatch", (unwatched,)))
    await system.settle()
    await system.stop("/unwatched")
    await system.stop("/watched")
    assert (await probe.expect(Terminated)).ref is watched
    await probe.expect_nothing()


async def test_a_piped_ask_comes_back_as_a_message(system: SystemUnderTest) -> None:
    probe = await system.probe()
    doubler = await system.spawn(Doubler)
    arranger = await system.spawn(Arranger, probe.ref, doubler)
    await arranger.ask(Arrange("pipe_twice", (21,)))
    assert await probe.expect(Got) == Got(42)


@pytest.mark.parametrize("method", ["start_task", "stash", "unstash", "defer"])
async def test_what_belongs_to_the_loop_says_so(system: SystemUnderTest, method: str) -> None:
    probe = await system.probe()
    system.expect_crash("/arranger", RuntimeError)
    arranger = await system.spawn(Arranger, probe.ref, path="/arranger")
    args = (trio.sleep, 1) if method == "start_task" else ()
    with pytest.raises(ActorCrashed) as crash:
        await arranger.ask(Arrange(method, args))
    assert "/arranger does not run on the event loop" in str(crash.value.__cause__)


# -- causes, deadlines, rings -------------------------------------------------------------


@attrs.frozen
class Relay(Request[Any]):
    """Ask the next one, and wait for the answer here."""

    to: tuple[ActorRef[Any], ...] = ()
    timeout: float | None = None


class Relayer(BlockingActor[Relay]):
    @handles
    def relay(self, message: Relay) -> Any:
        if not message.to:
            return threading.get_ident()
        first, *rest = message.to
        return first.ask(Relay(tuple(rest), message.timeout), timeout=message.timeout).get()


async def test_what_a_thread_sends_names_its_cause(system: SystemUnderTest) -> None:
    events: list[Any] = []
    system._node.observe(TraceFilter(), events.append)
    one, two = await system.spawn(Relayer), await system.spawn(Relayer)
    assert await one.ask(Relay((two,))) != threading.get_ident()
    await system.settle()
    inner, outer = [event for event in events if event.message_type == "Relay"]
    assert (outer.path, inner.path) == (one.path, two.path)
    assert inner.cause == outer.id
    assert inner.outcome == outer.outcome == "ok"


async def test_an_ask_on_the_thread_inherits_the_deadline_of_what_it_answers() -> None:
    gate = threading.Event()

    class Slow(Relayer):
        @handles
        def relay(self, message: Relay) -> Any:
            gate.wait()

    async with open_system(QUICK) as system:
        one, slow = await system.spawn(Relayer), await system.spawn(Slow)
        with pytest.raises(AskTimeout):
            await one.ask(Relay((slow,), timeout=3600), timeout=0.05)
        # The inner ask had an hour of its own, and yet it is over: that is its actor's crash.
        with trio.fail_after(5):
            while not system.crashes():  # noqa: ASYNC110
                await trio.sleep(0.001)
        assert system.crashes()[0].error_type == "AskTimeout"
        gate.set()


async def test_two_that_wait_for_each_other_are_told_at_once(system: SystemUnderTest) -> None:
    system.expect_crash(error=AskCycle)
    system.expect_crash(error=ActorCrashed)
    a, b = await system.spawn(Relayer, path="/a"), await system.spawn(Relayer, path="/b")
    with pytest.raises(ActorCrashed) as outer:
        await a.ask(Relay((b, a)))
    inner = outer.value.__cause__
    assert isinstance(inner, ActorCrashed)
    assert isinstance(inner.__cause__, AskCycle)
    assert inner.__cause__.ring == ("/b", "/a", "/b")


async def test_one_that_waits_for_itself_is_told_at_once(system: SystemUnderTest) -> None:
    system.expect_crash(error=AskCycle)
    a = await system.spawn(Relayer, path="/a")
    with pytest.raises(ActorCrashed) as crash:
        await a.ask(Relay((a,)))
    assert isinstance(crash.value.__cause__, AskCycle)


async def test_asks_from_threads_of_nobodys_are_answered() -> None:
    async with open_system(QUICK) as system:
        one = await system.spawn(Relayer)
        answer = await trio.to_thread.run_sync(lambda: one.ask(Relay()).get())
        assert answer == await one.ask(Relay())


# -- simulations --------------------------------------------------------------------------


@attrs.frozen
class Draw(Request[int]):
    crash: bool = False


class Drawer(BlockingActor[Draw]):
    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0
        self.committed = 0

    @handles
    def draw(self, message: Draw) -> int:
        if message.crash:
            raise ValueError
        self.drawn += 1
        return threading.get_ident()

    def on_batch_end(self) -> None:
        self.committed = self.drawn


class Starter(Drawer):
    @handles
    def draw(self, message: Draw) -> int:
        self.start_task(trio.sleep, 1)
        return 1


async def scenario(system: SystemUnderTest) -> list[Any]:
    system.expect_crash()
    drawers = [await system.spawn(Drawer, path=f"/d{n}") for n in range(3)]
    rng = random.Random(1)
    replies = [rng.choice(drawers).ask(Draw(rng.random() < 0.05)) for _ in range(60)]
    outcomes: list[Any] = []
    for reply in replies:
        try:
            outcomes.append(await reply)
        except ActorCrashed as crash:
            outcomes.append(type(crash.__cause__).__name__)
    return outcomes


def test_in_a_simulation_its_handlers_run_on_the_loop_and_runs_are_repeatable() -> None:
    config = SupervisionConfig(intensity=1_000_000)
    for seed in range(5):
        one, two = (simulate(scenario, seed, config=config) for _ in range(2))
        assert one.log == two.log
        assert one.result == two.result
        assert set(one.result) == {threading.get_ident(), "ValueError"}


def test_in_a_simulation_the_loop_is_as_far_away_as_in_life() -> None:
    async def starts_a_task(system: SystemUnderTest) -> None:
        system.expect_crash(error=RuntimeError)
        starter = await system.spawn(Starter)
        with pytest.raises(ActorCrashed, match="crashed while it had this request"):
            await starter.ask(Draw())

    simulate(starts_a_task, 0)
