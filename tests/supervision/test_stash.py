"""Stashing: messages put aside for a better moment, none lost, none twice, in order."""

from __future__ import annotations

from collections.abc import Callable
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
    Mailbox,
    Refused,
    Reply,
    Request,
    Restart,
    handles,
)
from supervision.testing import SystemUnderTest, simulate


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Do:
    step: Callable[[Any], object]


@attrs.frozen
class Work(Request[int]):
    number: int


class Open:
    """From now on work is done."""


class Close:
    """From now on work is put aside."""


class Shop(Actor[Any]):
    """Does work while it is open, and puts it aside while it is not."""

    poison = None  # it is made to crash again and again

    def __init__(self, done: list[int] | None = None) -> None:
        super().__init__()
        self.done = [] if done is None else done
        self.is_open = False

    @handles
    def work(self, message: Work) -> int:
        if not self.is_open:
            self.stash()
            return -1  # which is no answer
        self.done.append(message.number)
        return message.number * 10

    @handles
    def open(self, _message: Open) -> None:
        self.is_open = True
        self.unstash()

    @handles
    def close(self, _message: Close) -> None:
        self.is_open = False

    @handles
    def do(self, message: Do) -> None:
        message.step(self)


async def shop(system: SystemUnderTest, done: list[int], **spec: Any) -> ActorRef[Any]:
    made: ChildSpec[Any] = ChildSpec("shop", lambda: Shop(done), **spec)
    return await system.start_child(made)


async def test_stashed_messages_are_handled_next_in_their_order(system: SystemUnderTest) -> None:
    done: list[int] = []
    ref = await shop(system, done)
    for number in range(3):
        ref.tell(Work(number))
    ref.tell(Open())
    ref.tell(Work(3))
    await system.settle()
    assert done == [0, 1, 2, 3]


async def test_what_was_stashed_goes_before_what_waits_already(system: SystemUnderTest) -> None:
    done: list[int] = []
    ref = await shop(system, done)
    system.suspend("/shop")
    for message in (Work(1), Work(2), Open(), Work(3), Work(4)):
        ref.tell(message)
    system.resume("/shop")
    await system.settle()
    assert done == [1, 2, 3, 4]


async def test_whoever_asked_waits_on_and_is_answered_once_it_is_handled(
    system: SystemUnderTest,
) -> None:
    done: list[int] = []
    ref = await shop(system, done)
    replies: list[Reply[int]] = [ref.ask(Work(number), timeout=60) for number in range(3)]
    await trio.sleep(10)
    assert [reply.done for reply in replies] == [False] * 3
    ref.tell(Open())
    assert [await reply for reply in replies] == [0, 10, 20]


async def test_it_may_be_stashed_again_and_again(system: SystemUnderTest) -> None:
    done: list[int] = []
    ref = await shop(system, done)
    reply = ref.ask(Work(1), timeout=60)
    ref.tell(Work(2))
    for _ in range(5):
        ref.tell(Do(lambda actor: actor.unstash()))
        await system.settle()
    assert done == []
    ref.tell(Open())
    assert await reply == 10
    await system.settle()
    assert done == [1, 2]


async def test_to_stash_twice_is_to_stash_once(system: SystemUnderTest) -> None:
    class Twice(Shop):
        def work(self, message: Work) -> int:
            super().work(message)
            return super().work(message)

    ref = await system.spawn(Twice)
    reply = ref.ask(Work(1))
    await system.settle()
    assert ref._cell.life is not None
    assert len(ref._cell.life.stashed or ()) == 1
    ref.tell(Do(lambda actor: Shop.open(actor, Open())))
    assert await reply == 10


async def test_a_task_may_unstash(system: SystemUnderTest) -> None:
    """The actor is idle then: nobody but `unstash` can wake it."""

    async def open_later(actor: Shop) -> None:
        await trio.sleep(1)
        actor.is_open = True
        actor.unstash()

    done: list[int] = []
    ref = await shop(system, done)
    ref.tell(Work(1))
    ref.tell(Do(lambda actor: actor.start_task(open_later, actor)))
    await trio.sleep(2)
    assert done == [1]


async def test_an_async_handler_may_unstash_and_it_comes_after_that_handler(
    system: SystemUnderTest,
) -> None:
    class Slow(Shop):
        async def open(self, message: Open) -> None:  # type: ignore[override]
            super().open(message)
            await trio.sleep(1)
            self.done.append(-1)

    done: list[int] = []
    ref = await system.spawn(Slow, done)
    ref.tell(Work(1))
    ref.tell(Open())
    await trio.sleep(2)
    assert done == [-1, 1]


async def test_as_many_can_be_stashed_as_the_mailbox_holds_and_one_more_is_refused(
    system: SystemUnderTest,
) -> None:
    done: list[int] = []
    ref = await shop(system, done, mailbox=Mailbox(3))
    for number in range(3):
        ref.tell(Work(number))
    await system.settle()
    with pytest.raises(Refused, match="3 messages are stashed already"):
        await ref.ask(Work(3))
    ref.tell(Open())
    await system.settle()
    assert done == [0, 1, 2]


# -- ends ---------------------------------------------------------------------------------


async def test_a_crash_gives_what_was_stashed_to_the_next_life_in_order(
    system: SystemUnderTest,
) -> None:
    def crash(_actor: Shop) -> None:
        raise Boom

    done: list[int] = []
    ref = await shop(system, done)
    system.expect_crash("/shop", Boom)
    replies: list[Reply[int]] = [ref.ask(Work(number)) for number in range(3)]
    ref.tell(Do(crash))
    ref.tell(Open())
    ref.tell(Work(3))
    assert [await reply for reply in replies] == [0, 10, 20]
    await system.settle()
    assert done == [0, 1, 2, 3]


async def test_what_was_stashed_by_the_handler_that_crashed_is_not_tried_again(
    system: SystemUnderTest,
) -> None:
    """Else it would crash each life in turn."""
    tries: list[int] = []

    class Careless(Shop):
        def work(self, message: Work) -> int:
            tries.append(message.number)
            super().work(message)
            raise Boom

    ref = await system.spawn(Careless, path="/careless")
    system.expect_crash("/careless", Boom)
    with pytest.raises(ActorCrashed):
        await ref.ask(Work(1))
    await system.settle()
    assert tries == [1]
    assert ref._cell.lives == 2


async def test_a_stop_answers_what_was_stashed(system: SystemUnderTest) -> None:
    ref = await shop(system, [])
    replies: list[Reply[int]] = [ref.ask(Work(number)) for number in range(3)]
    ref.tell(Work(3))
    await system.settle()
    system.expect_dead_letters("/shop")
    await system.stop("/shop")
    for reply in replies:
        with pytest.raises(ActorStopped):
            await reply
    assert [letter.message for letter in system.dead_letters()] == [Work(3)]


async def test_an_operators_restart_keeps_what_was_stashed(system: SystemUnderTest) -> None:
    done: list[int] = []
    ref = await shop(system, done)
    ref.tell(Work(1))
    await system.settle()
    await system.restart("/shop")
    ref.tell(Open())
    await system.settle()
    assert done == [1]


# -- where it makes no sense --------------------------------------------------------------


async def refusals(system: SystemUnderTest, kind: type[Shop]) -> list[str]:
    refused: list[str] = []
    ref = await system.spawn(lambda: kind(refused), restart=Restart.TEMPORARY)  # type: ignore[arg-type]
    ref.tell(Open())
    await trio.sleep(1)
    return refused


def try_to_stash(actor: Shop) -> None:
    try:
        actor.stash()
    except RuntimeError as error:
        actor.done.append(str(error))  # type: ignore[arg-type]


async def test_only_the_message_in_hand_of_a_plain_handler_can_be_stashed(
    system: SystemUnderTest,
) -> None:
    class InAsyncHandler(Shop):
        async def open(self, _message: Open) -> None:  # type: ignore[override]
            try_to_stash(self)

    class InHook(Shop):
        def on_start(self) -> None:
            try_to_stash(self)

    class InTask(Shop):
        def open(self, _message: Open) -> None:
            self.start_task(self.task)

        async def task(self) -> None:
            try_to_stash(self)

    class InOutcome(Shop):
        def open(self, _message: Open) -> None:
            self.start_task(trio.sleep, 0.0, to=self.make)

        def make(self, _value: None) -> Close:
            try_to_stash(self)
            return Close()

    for kind in (InAsyncHandler, InHook, InTask, InOutcome):
        (refused,) = await refusals(system, kind)
        assert "can only stash in a plain handler" in refused


async def test_what_is_deferred_cannot_be_stashed(system: SystemUnderTest) -> None:
    errors: list[str] = []

    class Both(Shop):
        def work(self, message: Work) -> int:
            promise = self.defer()
            with pytest.raises(RuntimeError) as stashed:
                self.stash()
            with pytest.raises(RuntimeError) as deferred:
                self.defer()
            errors.extend(str(error.value) for error in (stashed, deferred))
            promise.resolve(message.number)
            return 0

    ref = await system.spawn(Both)
    assert await ref.ask(Work(7)) == 7
    assert "has deferred the answer" in errors[0]
    assert "deferred already" in errors[1]


# -- in general ---------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(["work", "work", "open", "close", "crash", "restart"]), max_size=30),
    st.integers(0, 3),
)
def test_whatever_happens_each_piece_of_work_is_done_once_and_in_order(
    script: list[str], seed: int
) -> None:
    async def scenario(system: SystemUnderTest) -> tuple[list[int], int, list[Any]]:
        def crash(_actor: Shop) -> None:
            raise Boom

        done: list[int] = []
        ref = await shop(system, done)
        replies: list[Reply[int]] = []
        system.expect_crash("/shop", Boom)
        for step in script:
            match step:
                case "work":
                    replies.append(ref.ask(Work(len(replies)), timeout=1000))
                case "open":
                    ref.tell(Open())
                case "close":
                    ref.tell(Close())
                case "crash":
                    ref.tell(Do(crash))
                    await trio.sleep(10)  # or the restart intensity is exceeded
                case "restart":
                    await system.restart("/shop")
        ref.tell(Open())
        answers = [await reply for reply in replies]
        return done, len(replies), answers

    done, count, answers = simulate(scenario, seed).result
    assert done == list(range(count))
    assert answers == [10 * number for number in range(count)]
