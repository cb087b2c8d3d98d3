"""How an ask ends: the table of outcomes, wherever the asker stands; always once, never not."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import pykka
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskCycle,
    AskTimeout,
    BlockingOnLoop,
    ChildSpec,
    DynamicSupervisor,
    Mailbox,
    MailboxFull,
    NotAccepted,
    Overflow,
    Promise,
    Refuse,
    Refused,
    Reply,
    Request,
    Restart,
    SupervisionError,
    handles,
)
from supervision.messages import SHUTDOWN
from supervision.testing import SystemUnderTest, system_under_test

PATIENCE = 0.05
"""Seconds. Virtual on the mock clock; in the tests with threads they really pass."""


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Value(Request[int]):
    number: int = 7


class SlowValue(Request[int]):
    """Answered by an async handler, after a while."""


class SayNo(Request[int]):
    """Refused."""


class SlowlySayNo(Request[int]):
    """Refused by an async handler, after a while, out of a nursery."""


class Crash(Request[int]):
    """Answered with a crash."""


class CrashSlowly(Request[int]):
    """An async handler crashes, after a while, out of a nursery."""


class Never(Request[int]):
    """An async handler that never returns."""


class Later(Request[int]):
    """The answer is deferred."""


@attrs.frozen
class Answer:
    """Resolve what is deferred."""

    number: int


class SayNoLater:
    """Refuse what is deferred."""


class CrashNow:
    """Told to crash."""


class Aside(Request[int]):
    """Stashed, until `Resume`."""


class Resume:
    """Unstash."""


class Unheard(Request[int]):
    """No clerk handles it."""


class Clerk(Actor[Any]):
    """Answers in every way there is."""

    def __init__(self) -> None:
        super().__init__()
        self._owed: list[Promise[int]] = []
        self._open = False

    @handles
    def value(self, message: Value) -> int:
        return message.number

    @handles
    async def slow_value(self, _message: SlowValue) -> int:
        await trio.sleep(PATIENCE / 5)
        return 7

    @handles
    def say_no(self, _message: SayNo) -> int:
        raise Refuse("closed today")

    @handles
    async def slowly_say_no(self, _message: SlowlySayNo) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep(PATIENCE / 5)
            raise Refuse("closed today")

    @handles
    def crash(self, _message: Crash | CrashNow) -> int:
        raise Boom("planned")

    @handles
    async def crash_slowly(self, _message: CrashSlowly) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep(PATIENCE / 5)
            raise Boom("planned")

    @handles
    async def never(self, _message: Never) -> int:
        await trio.sleep_forever()
        raise AssertionError

    @handles
    def later(self, _message: Later) -> int:
        self._owed.append(self.defer())
        return 0  # which does not count

    @handles
    def answer(self, message: Answer) -> None:
        for promise in self._owed:
            promise.resolve(message.number)

    @handles
    def say_no_later(self, _message: SayNoLater) -> None:
        for promise in self._owed:
            promise.refuse("closed by now")

    @handles
    def aside(self, _message: Aside) -> int:
        if not self._open:
            self.stash()
        return 8

    @handles
    def resume(self, _message: Resume) -> None:
        self._open = True
        self.unstash()


# -- where one can ask from --------------------------------------------------------------


@attrs.frozen
class Outcome:
    value: Any = None
    error: BaseException | None = None


@attrs.frozen
class Go:
    """Ask somebody, and have the outcome come to `report`."""

    ref: ActorRef[Any]
    request: Request[Any]
    timeout: float | None
    report: Callable[[Outcome], None]


@attrs.frozen
class Got:
    go: Go
    outcome: Outcome


async def outcome_of(go: Go) -> Outcome:
    try:
        return Outcome(await go.ref.ask(go.request, timeout=go.timeout))
    except SupervisionError as error:
        return Outcome(error=error)


class FromHandler(Actor[Any]):
    @handles
    def go(self, message: Go) -> None:
        def done(value: Any) -> Got:
            return Got(message, Outcome(value))

        def failed(error: Exception) -> Got:
            return Got(message, Outcome(error=error))

        reply = message.ref.ask(message.request, timeout=message.timeout)
        self.pipe(reply, to=done, failed=failed)

    @handles
    def got(self, message: Got) -> None:
        message.go.report(message.outcome)


class FromAsyncHandler(Actor[Any]):
    @handles
    async def go(self, message: Go) -> None:
        message.report(await outcome_of(message))


class FromTask(Actor[Any]):
    @handles
    def go(self, message: Go) -> None:
        self.start_task(outcome_of, message, to=partial(Got, message))

    @handles
    def got(self, message: Got) -> None:
        message.go.report(message.outcome)


Place = Callable[[SystemUnderTest, ActorRef[Any], Request[Any], float | None], Awaitable[Outcome]]


async def from_the_loop(
    _system: SystemUnderTest, ref: ActorRef[Any], request: Request[Any], patience: float | None
) -> Outcome:
    return await outcome_of(Go(ref, request, patience, lambda _outcome: None))


async def from_an_actor(
    kind: type[Actor[Any]],
    system: SystemUnderTest,
    ref: ActorRef[Any],
    request: Request[Any],
    patience: float | None,
) -> Outcome:
    arrived = trio.Event()
    outcomes: list[Outcome] = []

    def report(outcome: Outcome) -> None:
        outcomes.append(outcome)
        arrived.set()

    asker = await system.spawn(kind)
    asker.tell(Go(ref, request, patience, report))
    await arrived.wait()
    await trio.sleep(PATIENCE * 3)
    assert len(outcomes) == 1
    return outcomes[0]


async def from_a_thread(
    _system: SystemUnderTest, ref: ActorRef[Any], request: Request[Any], patience: float | None
) -> Outcome:
    def ask() -> Outcome:
        try:
            return Outcome(ref.ask(request, timeout=patience).get())
        except SupervisionError as error:
            return Outcome(error=error)

    return await trio.to_thread.run_sync(ask)


PLACES: dict[str, Place] = {
    "the loop": from_the_loop,
    "a handler": partial(from_an_actor, FromHandler),
    "an async handler": partial(from_an_actor, FromAsyncHandler),
    "an owned task": partial(from_an_actor, FromTask),
}


# -- the table ---------------------------------------------------------------------------


@attrs.frozen
class Case:
    """One line of the table: what is asked, what happens meanwhile, how it ends."""

    request: Request[Any]
    ends_in: object
    meanwhile: Callable[[SystemUnderTest], Awaitable[None]] | None = None
    crashes: bool = False
    """A crash report is part of it."""
    letters: bool = False
    timeout: float | None = math.inf
    mailbox: Mailbox | None = None
    before: Callable[[SystemUnderTest, ActorRef[Any]], None] | None = None
    restart: Restart = Restart.TEMPORARY
    shutdown: float = 5.0


def telling(message: object) -> Callable[[SystemUnderTest], Awaitable[None]]:
    async def tell(system: SystemUnderTest) -> None:
        system.ref("/clerk").tell(message)

    return tell


async def stopping(system: SystemUnderTest) -> None:
    await system.stop("/clerk")


async def restarting(system: SystemUnderTest) -> None:
    await system.restart("/clerk")
    system.resume("/clerk")


def suspended(system: SystemUnderTest, _ref: ActorRef[Any]) -> None:
    system.suspend("/clerk")


def gone(system: SystemUnderTest, ref: ActorRef[Any]) -> None:
    ref._cell.signal(ref._cell.life.kill)  # type: ignore[union-attr]


def about_to_crash(system: SystemUnderTest, ref: ActorRef[Any]) -> None:
    system.suspend("/clerk")
    ref.tell(CrashNow())


async def resuming(system: SystemUnderTest) -> None:
    system.resume("/clerk")


def full(system: SystemUnderTest, ref: ActorRef[Any]) -> None:
    system.suspend("/clerk")
    ref.tell(Resume())


async def push_out(system: SystemUnderTest) -> None:
    system.ref("/clerk").tell(Resume())
    system.resume("/clerk")


TABLE: dict[str, Case] = {
    "the value": Case(Value(9), 9),
    "the value of an async handler": Case(SlowValue(), 7),
    "the value, deferred": Case(Later(), 3, telling(Answer(3))),
    "the value, stashed for a while": Case(Aside(), 8, telling(Resume())),
    "the value, though a stop is waiting for the async handler": Case(SlowValue(), 7, stopping),
    "the value, of a message that outlived a restart": Case(
        Value(9), 9, restarting, before=suspended, restart=Restart.PERMANENT
    ),
    "a refusal": Case(SayNo(), Refused),
    "a refusal by an async handler": Case(SlowlySayNo(), Refused),
    "a refusal, deferred": Case(Later(), Refused, telling(SayNoLater())),
    "no handler": Case(Unheard(), NotAccepted),
    "no room": Case(Value(), MailboxFull, before=full, mailbox=Mailbox(1)),
    "no room, dropped on arrival": Case(
        Value(), MailboxFull, before=full, mailbox=Mailbox(1, Overflow.DROP_NEWEST)
    ),
    "no room, dropped when others came": Case(
        Value(), MailboxFull, push_out, before=suspended, mailbox=Mailbox(1, Overflow.DROP_OLDEST)
    ),
    "a crash": Case(Crash(), ActorCrashed, crashes=True),
    "a crash of an async handler": Case(CrashSlowly(), ActorCrashed, crashes=True),
    "a crash with the answer deferred": Case(
        Later(), ActorCrashed, telling(CrashNow()), crashes=True
    ),
    "a crash of another message, while it waits": Case(
        Value(),
        ActorStopped,
        resuming,
        crashes=True,
        before=about_to_crash,
    ),
    "a crash of another message, and a restart": Case(
        Value(9), 9, resuming, crashes=True, restart=Restart.PERMANENT, before=about_to_crash
    ),
    "a stop, with the answer deferred": Case(Later(), ActorStopped, stopping),
    "a stop, with the message stashed": Case(Aside(), ActorStopped, stopping),
    "a stop, with the message in the mailbox": Case(
        Value(), ActorStopped, stopping, before=suspended
    ),
    "a kill, with an async handler under way": Case(
        Never(), ActorStopped, stopping, shutdown=PATIENCE / 5
    ),
    "an actor that is gone": Case(Value(), ActorStopped, before=gone, letters=True),
    "no answer in time": Case(Never(), AskTimeout, timeout=PATIENCE, shutdown=0.0),
    "no answer in time, deferred": Case(Later(), AskTimeout, timeout=PATIENCE),
    "no answer in time, stashed": Case(Aside(), AskTimeout, timeout=PATIENCE),
    "no answer in time, in the mailbox": Case(
        Value(), AskTimeout, timeout=PATIENCE, before=suspended
    ),
}


async def play(system: SystemUnderTest, case: Case, place: Place) -> Outcome:
    spec: ChildSpec[Any] = ChildSpec(
        "clerk", Clerk, case.restart, mailbox=case.mailbox, shutdown=case.shutdown
    )
    ref = await system.start_child(spec)
    if case.before is not None:
        case.before(system, ref)
        await trio.sleep(PATIENCE / 5)
    if case.crashes:
        system.expect_crash("/clerk", Boom)
    outcomes: list[Outcome] = []

    async def ask() -> None:
        outcomes.append(await place(system, ref, case.request, case.timeout))

    def came() -> int:
        return ref._cell.handled + len(ref._cell.inbox)

    before = came()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        if case.meanwhile is not None:
            with trio.move_on_after(5):  # a thread asks when it gets to it
                while came() == before:  # noqa: ASYNC110  nothing of a mailbox wakes a test
                    await trio.sleep(PATIENCE / 100)
            await trio.sleep(PATIENCE / 10)
            await case.meanwhile(system)
    await trio.sleep(PATIENCE / 10)
    if system.find("/clerk") is not None:
        system.expect_dead_letters("/clerk")  # what was asked and given up may still be there
        await system.stop("/clerk")
    return outcomes[0]


def check(case: Case, outcome: Outcome, system: SystemUnderTest) -> None:
    if not isinstance(case.ends_in, type):
        assert outcome == Outcome(case.ends_in)
        return
    error = outcome.error
    assert type(error) is case.ends_in
    assert isinstance(error, Refused | ActorCrashed | ActorStopped | AskTimeout)
    assert error.actor == "/clerk"
    if isinstance(error, ActorCrashed):
        assert isinstance(error.__cause__, Boom)
        (report,) = system.crashes()
        assert error.report == report.id
    if isinstance(error, MailboxFull):
        assert error.undelivered == case.request


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("line", TABLE)
async def test_an_ask_ends_in(system: SystemUnderTest, line: str, place: str) -> None:
    case = TABLE[line]
    check(case, await play(system, case, PLACES[place]), system)


@pytest.mark.parametrize("line", TABLE)
async def test_an_ask_from_a_thread_ends_in(line: str) -> None:
    async with system_under_test() as system:  # on the real clock: threads take real time
        case = TABLE[line]
        check(case, await play(system, case, from_a_thread), system)


def test_pykkas_own_errors_catch_what_is_alike() -> None:
    assert issubclass(ActorStopped, pykka.ActorDeadError)
    assert issubclass(AskTimeout, pykka.Timeout)
    assert issubclass(AskCycle, AskTimeout)


# -- what it can still be about --------------------------------------------------------------


async def test_a_restart_that_fails_in_on_start_answers_all_that_wait(
    system: SystemUnderTest,
) -> None:
    lives: list[int] = []

    class Shaky(Actor[Any]):
        def on_start(self) -> None:
            lives.append(1)
            if len(lives) > 1:
                raise Boom

        @handles
        def crash(self, _message: Crash) -> int:
            raise Boom

        @handles
        def value(self, message: Value) -> int:
            return message.number

    system.expect_crash(error=Boom)
    await system.spawn(DynamicSupervisor, path="/pool")
    ref = await system.spawn(Shaky, path="/pool/shaky")
    system.suspend("/pool/shaky")
    asked: list[Reply[int]] = [ref.ask(Crash()), *(ref.ask(Value(n)) for n in range(5))]
    system.resume("/pool/shaky")
    ends: list[type] = []
    for reply in asked:
        with pytest.raises(SupervisionError) as raised:
            await reply
        ends.append(type(raised.value))
    # Three restarts are forgiven; the fourth start is not tried.
    assert ends == [ActorCrashed] + [ActorStopped] * 5
    assert len(lives) == 4
    assert not ref.alive


async def test_a_stop_cannot_overtake_the_crash_of_an_async_handler(
    system: SystemUnderTest,
) -> None:
    """The handler has raised, its crash is signalled, and the order to stop is there already."""
    raising = trio.Event()

    class Doomed(Actor[Any]):
        @handles
        async def crash(self, _message: Crash) -> int:
            await raising.wait()
            raise Boom

    system.expect_crash("/doomed", Boom)
    ref = await system.spawn(Doomed, path="/doomed", restart=Restart.TEMPORARY)
    reply = ref.ask(Crash())
    await system.settle()
    life = ref._cell.life
    assert life is not None
    raising.set()
    # As if the supervisor's order came in the same moment: before the crash, after the handler.
    await trio.lowlevel.checkpoint()
    ref._cell.signals = None
    ref._cell.signalled = False
    system._node.urgent.clear()
    envelope = life.in_hand
    assert envelope is not None
    ref._cell.signal(life.stop, SHUTDOWN)
    ref._cell.signal(life.crash, Boom(), envelope)
    with pytest.raises(ActorCrashed):
        await reply
    assert [report.error_type for report in system.crashes()] == ["Boom"]


async def test_an_asker_that_gives_up_leaves_the_actor_alone(system: SystemUnderTest) -> None:
    clerk = await system.spawn(Clerk, path="/clerk")
    with trio.move_on_after(PATIENCE):
        await clerk.ask(Never(), timeout=math.inf)
    waiting = clerk.ask(Value(1))
    with pytest.raises(AskTimeout):
        await waiting
    await system.stop("/clerk")


async def test_two_tasks_may_wait_for_one_reply(system: SystemUnderTest) -> None:
    clerk = await system.spawn(Clerk)
    reply = clerk.ask(SlowValue())
    answers: list[int] = []

    async def wait() -> None:
        answers.append(await reply)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
    assert answers == [7, 7, 7]
    assert await reply == 7


async def test_one_of_several_waiters_can_be_cancelled(system: SystemUnderTest) -> None:
    clerk = await system.spawn(Clerk)
    reply = clerk.ask(SlowValue())
    answers: list[int] = []

    async def wait(patience: float) -> None:
        with trio.move_on_after(patience):
            answers.append(await reply)

    async with trio.open_nursery() as nursery:
        for patience in (0.001, math.inf, 0.002):
            nursery.start_soon(wait, patience)
    assert answers == [7]


async def test_get_on_the_loop_is_refused_at_once_and_says_what_to_do(
    system: SystemUnderTest,
) -> None:
    clerk = await system.spawn(Clerk, path="/clerk")
    reply = clerk.ask(Value(7))
    with pytest.raises(BlockingOnLoop, match="Write `await reply`"):
        reply.get()
    assert await reply == 7
    with pytest.raises(BlockingOnLoop):
        reply.get()


# -- the ring of waiting actors -----------------------------------------------------------


@attrs.frozen
class Forward(Request[int]):
    """Ask the next one, and so on."""

    along: tuple[ActorRef[Any], ...]


class Waits(Actor[Any]):
    @handles
    async def forward(self, message: Forward) -> int:
        if not message.along:
            return 1
        return await message.along[0].ask(Forward(message.along[1:]), timeout=math.inf)


class WaitsNot(Actor[Any]):
    @handles
    def forward(self, message: Forward) -> int:
        if not message.along:
            return 1
        promise = self.defer()
        reply = message.along[0].ask(Forward(message.along[1:]), timeout=math.inf)
        self.pipe(reply, to=lambda value: (promise, value))
        return 0

    @handles(tuple)
    def got(self, message: tuple[Promise[int], int]) -> None:
        promise, value = message
        promise.resolve(value)


@pytest.mark.parametrize("length", [1, 2, 3, 7])
async def test_a_ring_of_waiting_actors_fails_where_it_closes_and_names_it(
    system: SystemUnderTest, length: int
) -> None:
    ring = [await system.spawn(Waits, path=f"/w{n}") for n in range(length)]
    system.expect_crash()
    with trio.fail_after(1), pytest.raises(ActorCrashed) as crashed:
        await ring[0].ask(Forward((*ring[1:], ring[0])), timeout=math.inf)
    fault: BaseException | None = crashed.value
    while isinstance(fault, ActorCrashed):
        fault = fault.__cause__
    assert isinstance(fault, AskCycle)
    names = [ref.path for ref in ring]
    closing = names[-1:] + names
    assert list(fault.ring) == closing
    assert " → ".join(closing) in str(fault)
    assert system._node.waits.edges() == []


async def test_a_ring_with_one_actor_in_it_that_does_not_pause_is_no_ring(
    system: SystemUnderTest,
) -> None:
    first, last = await system.spawn(Waits), await system.spawn(Waits)
    between = await system.spawn(WaitsNot)
    assert await between.ask(Forward((first, between, last)), timeout=math.inf) == 1


async def test_an_actor_that_waits_no_more_closes_no_ring(system: SystemUnderTest) -> None:
    one, other = await system.spawn(Waits), await system.spawn(Waits)
    assert await one.ask(Forward((other,))) == 1
    assert await other.ask(Forward((one,))) == 1
    slow = await system.spawn(Clerk)
    with pytest.raises(ActorCrashed) as crashed:
        await one.ask(Forward((slow,)))
    assert isinstance(crashed.value.__cause__, NotAccepted)
    system.expect_crash()
    assert await other.ask(Forward((one,))) == 1
