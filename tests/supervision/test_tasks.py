"""Owned tasks: their outcome is always a message, and no life ends before its last task has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
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
from supervision.events import ActorStuck, DeadLetterReason
from supervision.tasks import Task
from supervision.testing import SystemUnderTest


class Boom(Exception):
    """The fault that tests plan."""


class Bang(Exception):
    """Another."""


@attrs.frozen
class Do:
    step: Callable[[Any], object]


@attrs.frozen
class Done:
    value: Any


@attrs.frozen
class Failed:
    error: Exception


class Cancelled:
    """The task was cancelled."""


@attrs.frozen
class Unknown:
    """The owner has no handler for it."""

    value: Any = None


class Pause:
    """Be busy for two seconds, the mailbox paused."""


class Seen(Request[tuple[Any, ...]]):
    """What came, in order."""


class Owner(Actor[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    @handles
    def do(self, message: Do) -> None:
        message.step(self)

    @handles
    def outcome(self, message: Done | Failed | Cancelled) -> None:
        self.seen.append(message)

    @handles
    async def pause(self, _message: Pause) -> None:
        await trio.sleep(2)

    @handles
    def what_was_seen(self, _message: Seen) -> tuple[Any, ...]:
        return tuple(self.seen)


def start(
    function: Callable[..., Awaitable[Any]], *args: Any, keep: list[Task] | None = None
) -> Do:
    """Have the owner start a task, its outcomes as messages."""

    def step(actor: Owner) -> None:
        task = actor.start_task(function, *args, to=Done, failed=Failed, cancelled=Cancelled)
        if keep is not None:
            keep.append(task)

    return Do(step)


@pytest.fixture
async def owner(system: SystemUnderTest) -> ActorRef[Any]:
    return await system.spawn(Owner, path="/owner")


async def seen(owner: ActorRef[Any]) -> tuple[Any, ...]:
    return await owner.ask(Seen())


async def give(value: Any, after: float = 0.0) -> Any:
    await trio.sleep(after)
    return value


async def fail(error: BaseException, after: float = 0.0) -> Any:
    await trio.sleep(after)
    raise error


# -- outcomes -----------------------------------------------------------------------------


async def test_a_result_comes_back_as_a_message(owner: ActorRef[Any]) -> None:
    owner.tell(start(give, 7, 1.0))
    await trio.sleep(0.9)
    assert await seen(owner) == ()
    await trio.sleep(0.2)
    assert await seen(owner) == (Done(7),)


async def test_a_result_that_nobody_asked_for_is_dropped(owner: ActorRef[Any]) -> None:
    owner.tell(Do(lambda actor: actor.start_task(give, 7)))
    await trio.sleep(1)
    assert await seen(owner) == ()


async def test_a_failure_comes_back_as_a_message(owner: ActorRef[Any]) -> None:
    error = Boom("a")
    owner.tell(start(fail, error, 1.0))
    await trio.sleep(2)
    assert await seen(owner) == (Failed(error),)


async def test_a_cancelled_task_comes_back_as_a_message(owner: ActorRef[Any]) -> None:
    tasks: list[Task] = []
    owner.tell(start(trio.sleep_forever, keep=tasks))
    await trio.sleep(1)
    tasks[0].cancel()
    tasks[0].cancel()
    await trio.sleep(1)
    ((outcome,)) = await seen(owner)
    assert isinstance(outcome, Cancelled)


async def test_a_task_that_was_cancelled_too_late_has_its_result(owner: ActorRef[Any]) -> None:
    async def shielded() -> int:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        return 7

    tasks: list[Task] = []
    owner.tell(start(shielded, keep=tasks))
    await trio.sleep(0.5)
    tasks[0].cancel()
    await trio.sleep(1)
    assert await seen(owner) == (Done(7),)


async def test_outcomes_go_into_a_full_and_paused_mailbox(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    owner.tell(start(give, 7, 1.0))
    await system.settle()
    owner.tell(Pause())
    await system.settle()
    for number in range(1000):
        owner.tell(Done(number))
    await trio.sleep(5)
    outcomes = await seen(owner)
    assert outcomes[-1] == Done(7)
    assert len(outcomes) == 1001


@pytest.mark.parametrize("how", ["result", "failure"])
async def test_an_outcome_the_owner_does_not_handle_is_its_crash(
    system: SystemUnderTest, owner: ActorRef[Any], how: str
) -> None:
    def step(actor: Owner) -> None:
        if how == "result":
            actor.start_task(give, 7, to=Unknown)
        else:
            actor.start_task(fail, Boom(), failed=Unknown)

    system.expect_crash("/owner", TypeError)
    owner.tell(Do(step))
    await trio.sleep(1)
    (report,) = system.crashes()
    assert "arranged for a Unknown to itself but has no handler for it" in report.error


async def test_a_fault_in_making_the_message_is_its_crash(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    def make(_value: int) -> Done:
        raise Boom

    system.expect_crash("/owner", Boom)
    owner.tell(Do(lambda actor: actor.start_task(give, 7, to=make)))
    await trio.sleep(1)
    (report,) = system.crashes()
    assert report.where == "outcome"


# -- failures -----------------------------------------------------------------------------


async def test_a_failure_nobody_takes_is_the_actors_crash(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    system.expect_crash("/owner", Boom)
    owner.tell(Done("before"))
    owner.tell(Do(lambda actor: actor.start_task(fail, Boom("unseen"), name="worker")))
    await trio.sleep(1)
    (report,) = system.crashes()
    assert (report.where, report.error) == ("task worker", "unseen")
    assert await seen(owner) == ()  # a new instance


async def test_it_answers_who_waits_for_the_actor(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    class Waiting(Request[int]):
        pass

    class Busy(Owner):
        @handles(Waiting)
        async def wait(self, _message: Any) -> int:
            await trio.sleep_forever()

    busy = await system.spawn(Busy, path="/busy")
    system.expect_crash("/busy", Boom)
    busy.tell(Do(lambda actor: actor.start_task(fail, Boom(), 1.0)))
    with pytest.raises(ActorCrashed) as crashed:
        await busy.ask(Waiting())
    assert isinstance(crashed.value.__cause__, Boom)
    del owner


async def in_nurseries(depth: int, error: Exception) -> None:
    if depth == 0:
        await trio.sleep(1)
        raise error
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(in_nurseries, depth - 1, error)


@pytest.mark.parametrize("depth", [1, 2, 5])
async def test_one_failure_comes_out_of_its_nurseries_alone(
    owner: ActorRef[Any], depth: int
) -> None:
    error = Boom("a")
    owner.tell(start(in_nurseries, depth, error))
    await trio.sleep(2)
    assert await seen(owner) == (Failed(error),)


async def fails_on_the_way_out(error: Exception) -> None:
    with trio.CancelScope() as scope:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            scope.shield = True
            raise error from None


async def test_a_failure_while_being_cancelled_is_a_failure_without_the_cancellation(
    owner: ActorRef[Any],
) -> None:
    async def nested() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fails_on_the_way_out, error)

    error = Boom("a")
    tasks: list[Task] = []
    owner.tell(start(nested, keep=tasks))
    await trio.sleep(1)
    tasks[0].cancel()
    await trio.sleep(1)
    assert await seen(owner) == (Failed(error),)


async def test_two_failures_at_once_are_told_together(owner: ActorRef[Any]) -> None:
    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, Boom(), 1.0)
            nursery.start_soon(fails_on_the_way_out, Bang())

    owner.tell(start(both))
    await trio.sleep(2)
    (outcome,) = await seen(owner)
    assert isinstance(outcome.error, ExceptionGroup)
    assert {type(error) for error in outcome.error.exceptions} == {Boom, Bang}


async def test_the_failures_of_several_tasks_crash_it_once_and_are_all_reported(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    def step(actor: Owner) -> None:
        for _ in range(3):
            actor.start_task(fail, Boom(), 1.0)

    system.expect_crash("/owner", Boom)
    owner.tell(Do(step))
    await trio.sleep(2)
    assert len(system.crashes()) == 3
    assert owner._cell.lives == 2


async def test_what_is_worse_than_an_exception_is_the_actors_crash_whatever_it_takes(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    system.expect_crash("/owner", SystemExit)
    owner.tell(start(fail, SystemExit(3)))
    await trio.sleep(1)
    assert owner._cell.lives == 2


# -- the end of a life --------------------------------------------------------------------


async def tidy(diary: list[str], seconds: float) -> None:
    """Takes some time to end."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)
        diary.append("tidied")


@pytest.mark.parametrize("end", ["crash", "stop", "restart"])
async def test_an_actor_is_not_restarted_or_gone_before_its_last_task_has_ended(
    system: SystemUnderTest, end: str
) -> None:
    diary: list[str] = []

    class Tidy(Owner):
        def on_start(self) -> None:
            diary.append("started")
            self.start_task(tidy, diary, 2.0)

    def crash(_actor: Owner) -> None:
        raise Boom

    system.expect_crash("/tidy", Boom)
    ref = await system.spawn(Tidy, path="/tidy")
    await trio.sleep(1)
    if end == "crash":
        ref.tell(Do(crash))
        assert await ref.ask(Seen()) == ()
    elif end == "restart":
        await system.restart("/tidy")
    else:
        await system.stop("/tidy")
        assert not ref.alive
    assert system.now == 3.0
    assert diary == ["started", "tidied"] + (["started"] if end != "stop" else [])


async def test_a_task_cannot_be_started_by_what_is_left_of_an_actor(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    refused: list[str] = []

    async def starts_more(actor: Owner) -> None:
        try:
            await trio.sleep_forever()
        finally:
            try:
                actor.start_task(give, 7)
            except RuntimeError as error:
                refused.append(str(error))

    owner.tell(Do(lambda actor: actor.start_task(starts_more, actor)))
    await system.settle()
    await system.stop("/owner")
    assert len(refused) == 1
    assert refused[0].startswith("/owner is ending, so it cannot start a task")


async def test_tasks_begin_in_on_start_not_in_the_constructor(system: SystemUnderTest) -> None:
    class Eager(Owner):
        def __init__(self) -> None:
            super().__init__()
            self.start_task(give, 7)

    system.expect_crash("/eager", RuntimeError)
    with pytest.raises(Refused):
        await system.spawn(Eager, path="/eager")
    (report,) = system.crashes()
    assert "is being constructed, so it can own nothing yet" in report.error


def test_a_task_that_will_not_end_is_left_behind_and_its_outcome_discarded() -> None:
    """Fenced: the next life does not wait for it, and the node names it when it closes."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    stuck: list[str] = []

    async def main() -> None:
        async with open_system() as system:
            spec: ChildSpec[Any] = ChildSpec("stubborn", Owner, shutdown=1.0)
            ref = await system.start_child(spec)
            with system.events.subscribe(ActorStuck) as events:
                ref.tell(start(stubborn))
                await trio.sleep(1)
                await system.restart("/stubborn")
                stuck.extend(event.what for event in [await anext(events)])
            assert await ref.ask(Seen()) == ()
            await trio.sleep(60)
            assert await ref.ask(Seen()) == ()
            assert [letter.reason for letter in system.dead_letters()] == [DeadLetterReason.STALE]

    async def stubborn() -> int:
        with trio.CancelScope(shield=True):
            await trio.sleep(30)
        return 7

    with pytest.raises(StuckTask) as raised:
        trio.run(main, clock=clock)
    assert len(stuck) == 1
    assert "/stubborn task" in stuck[0]
    assert list(raised.value.stuck) == stuck


def test_a_stuck_hook_that_ends_after_all_does_not_halt_the_next_life() -> None:
    clock = trio.testing.MockClock(autojump_threshold=0)

    class SlowToStop(Owner):
        async def on_stop(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(30)

    async def main() -> None:
        async with open_system() as system:
            ref = await system.start_child(ChildSpec("slow", SlowToStop, shutdown=1.0))
            await system.restart("/slow")
            await trio.sleep(60)
            assert await ref.ask(Seen()) == ()

    with pytest.raises(StuckTask):
        trio.run(main, clock=clock)


# -- pipe ---------------------------------------------------------------------------------


class Value(Request[int]):
    pass


class No(Request[int]):
    pass


class Crash(Request[int]):
    pass


class Never(Request[int]):
    pass


class Source(Actor[Any]):
    @handles
    def value(self, _message: Value) -> int:
        return 7

    @handles
    def no(self, _message: No) -> int:
        raise Refuse("no")

    @handles
    def crash(self, _message: Crash) -> int:
        raise Boom

    @handles
    def never(self, _message: Never) -> int:
        self.defer()
        return 0


def pipe(source: ActorRef[Any], request: Request[Any], *, handled: bool = True) -> Do:
    def step(actor: Owner) -> None:
        reply = source.ask(request, timeout=1.0)
        actor.pipe(reply, to=Done, failed=Failed if handled else None)

    return Do(step)


@pytest.mark.parametrize(
    ("request_", "error"),
    [(No(), Refused), (Crash(), ActorCrashed), (Never(), AskTimeout)],
)
@pytest.mark.parametrize("handled", [True, False])
async def test_a_piped_failure_is_a_message_or_else_a_crash(
    system: SystemUnderTest,
    owner: ActorRef[Any],
    request_: Request[Any],
    error: type[Exception],
    handled: bool,
) -> None:
    source = await system.spawn(Source, path="/source")
    system.expect_crash("/source", Boom)
    if not handled:
        system.expect_crash("/owner", error)
    owner.tell(pipe(source, request_, handled=handled))
    await trio.sleep(3)
    outcomes = await seen(owner)
    if handled:
        (outcome,) = outcomes
        assert type(outcome.error) is error
    else:
        assert outcomes == ()
        assert owner._cell.lives == 2
        assert system.crashes()[-1].where == "piped ask"


async def test_piped_values_come_in_the_order_they_were_settled(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    source = await system.spawn(Source)
    for _ in range(3):
        owner.tell(pipe(source, Value()))
    await trio.sleep(1)
    assert await seen(owner) == (Done(7),) * 3


async def test_a_reply_that_is_settled_can_be_piped_too_and_comes_after_the_handler(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    source = await system.spawn(Source)
    reply = source.ask(Value())
    await reply

    def step(actor: Owner) -> None:
        actor.pipe(reply, to=Done)
        actor.pipe(reply.map(lambda value: value + 1), to=Done)
        actor.seen.append("handler is done")

    owner.tell(Do(step))
    await trio.sleep(1)
    assert await seen(owner) == ("handler is done", Done(7), Done(8))


async def test_a_piped_answer_for_an_actor_that_has_ended_meanwhile_is_dropped(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    class Slow(Actor[Any]):
        @handles
        async def value(self, _message: Value) -> int:
            await trio.sleep(0.5)
            return 7

    slow = await system.spawn(Slow)
    owner.tell(pipe(slow, Value()))
    await trio.sleep(0.1)
    await system.restart("/owner")
    await trio.sleep(1)
    assert await seen(owner) == ()


async def test_what_a_stopped_actor_was_piped_and_did_not_handle_is_stale_not_lost_silently(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    owner.tell(start(give, 7, 1.0))
    await system.settle()
    owner.tell(Pause())
    await trio.sleep(1.5)
    await system.restart("/owner")
    await system.settle()
    assert await seen(owner) == ()
    assert [letter.reason for letter in system.dead_letters()] == [DeadLetterReason.STALE]
    assert [letter.message for letter in system.dead_letters()] == [Done(7)]


# -- tasks that use the actor's things -----------------------------------------------------


async def test_a_task_may_tell_and_ask_its_own_actor(
    system: SystemUnderTest, owner: ActorRef[Any]
) -> None:
    async def chat(actor: Owner) -> Any:
        actor.ref.tell(Done(1))
        return await actor.ref.ask(Seen())

    owner.tell(Do(lambda actor: actor.start_task(chat, actor, to=Done)))
    await trio.sleep(1)
    assert await seen(owner) == (Done(1), Done((Done(1),)))
    del system


async def test_a_temporary_actor_that_is_gone_answers_what_its_tasks_still_ask(
    system: SystemUnderTest,
) -> None:
    replies: list[Reply[Any]] = []

    async def asks_on_the_way_out(actor: Owner) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                replies.append(actor.ref.ask(Seen(), timeout=60))
                actor.ref.tell(Done(1))
                with pytest.raises(AskTimeout):
                    await actor.ref.ask(Seen(), timeout=0.5)

    def step(actor: Owner) -> None:
        actor.start_task(partial(asks_on_the_way_out, actor))
        actor.stop()

    owner = await system.spawn(Owner, path="/once", restart=Restart.TEMPORARY)
    system.expect_dead_letters("/once")
    owner.tell(Do(step))
    await trio.sleep(2)
    assert not owner.alive
    assert [type(reply.error) for reply in replies] == [ActorStopped]
    assert [letter.message for letter in system.dead_letters()] == [Done(1)]
