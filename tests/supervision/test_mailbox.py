"""Mailboxes: their bounds, what happens to one message more, and who is told."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Actor,
    ActorRef,
    ActorStopped,
    ChildSpec,
    Mailbox,
    MailboxFull,
    NotAccepted,
    Overflow,
    Reply,
    Request,
    Restart,
    SupervisionConfig,
    handles,
)
from supervision.events import DeadLetter, DeadLetterReason
from supervision.testing import SystemUnderTest, simulate, system_under_test


@attrs.frozen
class Note:
    number: int


@attrs.frozen
class Ask(Request[int]):
    number: int


@attrs.frozen
class Do:
    step: Callable[[Any], object]


class Pause:
    """Be busy for a second, the mailbox paused."""


class Unheard:
    """No box handles it."""


class Box(Actor[Any]):
    def __init__(self, seen: list[int]) -> None:
        super().__init__()
        self.seen = seen

    @handles
    def note(self, message: Note) -> None:
        self.seen.append(message.number)

    @handles
    def asked(self, message: Ask) -> int:
        self.seen.append(message.number)
        return message.number

    @handles
    def do(self, message: Do) -> None:
        message.step(self)

    @handles
    async def pause(self, _message: Pause) -> None:
        await trio.sleep(1)


async def box(
    system: SystemUnderTest,
    seen: list[int],
    capacity: int = 3,
    overflow: Overflow = Overflow.REFUSE,
    *,
    name: str = "box",
) -> ActorRef[Any]:
    """A box that is suspended, so that what is sent waits."""
    spec: ChildSpec[Any] = ChildSpec(
        name, lambda: Box(seen), Restart.TEMPORARY, mailbox=Mailbox(capacity, overflow)
    )
    ref = await system.start_child(spec)
    system.suspend(f"/{name}")
    await system.settle()
    return ref


# -- REFUSE -------------------------------------------------------------------------------


async def test_a_full_mailbox_refuses_and_hands_the_message_back(system: SystemUnderTest) -> None:
    seen: list[int] = []
    ref = await box(system, seen)
    for number in range(3):
        ref.tell(Note(number))
    with pytest.raises(MailboxFull) as full:
        ref.tell(Note(3))
    assert full.value.undelivered == Note(3)
    assert full.value.capacity == 3
    assert str(full.value).startswith("/box already has 3 messages waiting. Use `await ref.send")
    system.resume("/box")
    await system.settle()
    ref.tell(Note(4))
    await system.settle()
    assert seen == [0, 1, 2, 4]
    assert ref._cell.dropped == 0


async def test_an_ask_that_finds_no_room_ends_in_mailbox_full(system: SystemUnderTest) -> None:
    ref = await box(system, [], capacity=1)
    ref.tell(Note(0))
    with pytest.raises(MailboxFull):
        await ref.ask(Ask(1))


class FromAsyncHandler(Box):
    @handles
    async def do(self, message: Do) -> None:  # type: ignore[override]
        message.step(self)


class InHook(Actor[Any]):
    def __init__(self, step: Callable[[Any], object]) -> None:
        super().__init__()
        self.step = step

    def on_start(self) -> None:
        self.step(self)


@pytest.mark.parametrize("where", ["handler", "async handler", "hook"])
async def test_inside_an_actor_a_refused_message_is_a_counted_dead_letter(
    system: SystemUnderTest, where: str
) -> None:
    """A slow receiver must never crash an innocent sender."""
    ref = await box(system, [], capacity=2)

    def tell_too_much(_actor: Any) -> None:
        for number in range(5):
            ref.tell(Note(number))

    with system.events.subscribe(DeadLetter) as letters:
        if where == "hook":
            await system.spawn(InHook, tell_too_much)
        else:
            kind = Box if where == "handler" else FromAsyncHandler
            sender = await system.spawn(kind, [])
            sender.tell(Do(tell_too_much))
        await system.settle()
        assert len(letters) == 3
        letter = await anext(letters)
    system.expect_dead_letters("/box")
    assert (letter.path, letter.reason, letter.message) == ("/box", DeadLetterReason.FULL, Note(2))
    assert ref._cell.dropped == 3
    assert len(ref._cell.inbox) == 2
    assert system.crashes() == ()


async def test_in_an_owned_task_it_is_raised(system: SystemUnderTest) -> None:
    ref = await box(system, [], capacity=1)
    ref.tell(Note(0))

    async def tell() -> str:
        with pytest.raises(MailboxFull):
            ref.tell(Note(1))
        return "raised"

    results: list[int] = []
    sender = await system.spawn(Box, results)
    sender.tell(Do(lambda actor: actor.start_task(tell, to=lambda _raised: Note(7))))
    await system.settle()
    assert results == [7]


async def test_in_a_thread_it_is_raised(system: SystemUnderTest) -> None:
    ref = await box(system, [], capacity=1)
    ref.tell(Note(0))

    def tell() -> None:
        with pytest.raises(MailboxFull):
            ref.tell(Note(1))
        with pytest.raises(NotAccepted):
            ref.tell(Unheard())

    await trio.to_thread.run_sync(tell)


# -- DROP_NEWEST and DROP_OLDEST ----------------------------------------------------------


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [(Overflow.DROP_NEWEST, [0, 1, 2]), (Overflow.DROP_OLDEST, [7, 8, 9])],
)
@pytest.mark.parametrize("from_thread", [False, True])
async def test_a_drop_policy_keeps_the_first_or_the_last_and_counts_the_others(
    system: SystemUnderTest, overflow: Overflow, kept: list[int], from_thread: bool
) -> None:
    seen: list[int] = []
    ref = await box(system, seen, overflow=overflow)

    def tell() -> None:
        for number in range(10):
            ref.tell(Note(number))

    if from_thread:
        await trio.to_thread.run_sync(tell)
    else:
        tell()
    await system.settle()
    assert ref._cell.dropped == 7
    assert len(ref._cell.inbox) == 3
    system.resume("/box")
    await system.settle()
    assert seen == kept


@pytest.mark.parametrize(
    ("overflow", "answers"),
    [
        (Overflow.DROP_NEWEST, [0, None, None]),
        (Overflow.DROP_OLDEST, [None, None, 2]),
    ],
)
async def test_who_asked_with_a_message_that_was_dropped_is_told(
    system: SystemUnderTest, overflow: Overflow, answers: list[int | None]
) -> None:
    ref = await box(system, [], capacity=1, overflow=overflow)
    replies: list[Reply[int]] = [ref.ask(Ask(number)) for number in range(3)]
    system.resume("/box")
    for reply, answer in zip(replies, answers, strict=True):
        if answer is None:
            with pytest.raises(MailboxFull):
                await reply
        else:
            assert await reply == answer


@pytest.mark.parametrize("overflow", Overflow)
async def test_what_is_never_refused_is_never_dropped_either(
    system: SystemUnderTest, overflow: Overflow
) -> None:
    """Timers, outcomes and the actor's own stop come whatever the mailbox does with the rest."""
    seen: list[int] = []
    ref = await box(system, seen, overflow=overflow)
    system.resume("/box")

    def arm(actor: Box) -> None:
        for number in range(10):
            actor.send_after(0.5, Note(100 + number))
        actor.start_task(trio.sleep, 0.6, to=lambda _result: Note(200))

    ref.tell(Do(arm))
    await system.settle()
    ref.tell(Pause())
    await trio.sleep(0.8)
    for number in range(5):
        try:
            ref.tell(Note(number))
        except MailboxFull:
            assert overflow is Overflow.REFUSE
    await trio.sleep(2)
    assert seen[:11] == [*range(100, 110), 200]
    # The mailbox was over-full with what is never refused, so there was no room for the rest.
    assert seen[11:] == []
    assert ref._cell.dropped == (0 if overflow is Overflow.REFUSE else 5)


@pytest.mark.parametrize("overflow", Overflow)
async def test_a_stop_of_its_own_is_not_dropped(
    system: SystemUnderTest, overflow: Overflow
) -> None:
    seen: list[int] = []
    ref = await box(system, seen, capacity=1, overflow=overflow)
    system.resume("/box")
    system.expect_dead_letters("/box")

    async def stop_later(actor: Box) -> None:
        await trio.sleep(0.5)
        actor.stop()

    ref.tell(Do(lambda actor: actor.start_task(stop_later, actor)))
    await system.settle()
    ref.tell(Pause())
    await trio.sleep(0.6)
    for number in range(3):
        try:
            ref.tell(Note(number))
        except MailboxFull:
            pass
    await trio.sleep(3)
    assert not ref.alive
    assert seen == []


async def test_a_stop_that_pykka_asks_for_is_not_dropped(system: SystemUnderTest) -> None:
    ref = await box(system, [], capacity=1, overflow=Overflow.DROP_OLDEST)
    system.expect_dead_letters("/box")
    stopped = ref.pykka.stop(block=False)
    for number in range(3):
        ref.tell(Note(number))
    system.resume("/box")
    await stopped
    assert not ref.alive


async def test_senders_on_threads_never_take_mail_away_from_under_the_dispatcher() -> None:
    """DROP_OLDEST takes a message out; a thread that did so could empty the inbox in mid-turn."""
    sent = 4 * 5000
    seen: list[int] = []
    async with system_under_test() as system:
        ref = await system.start_child(
            ChildSpec("box", lambda: Box(seen), mailbox=Mailbox(1, Overflow.DROP_OLDEST))
        )

        def tell() -> None:
            for number in range(5000):
                ref.tell(Note(number))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(trio.to_thread.run_sync, tell)
        await trio.sleep(0.05)
        assert system.crashes() == ()
        assert len(seen) + ref._cell.dropped == sent


# -- send: waiting for room ---------------------------------------------------------------


async def test_send_waits_for_room(system: SystemUnderTest) -> None:
    seen: list[int] = []
    ref = await box(system, seen, capacity=1)
    ref.tell(Note(0))
    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(ref.send, Note(number))
        await trio.sleep(1)
        assert seen == []
        system.resume("/box")
    await system.settle()
    assert sorted(seen) == [0, 1, 2, 3]
    assert ref._cell.room is None


async def test_send_to_a_mailbox_with_room_does_not_wait(system: SystemUnderTest) -> None:
    seen: list[int] = []
    ref = await box(system, seen)
    await ref.send(Note(0))
    assert system.now == 0.0
    system.resume("/box")
    await system.settle()
    assert seen == [0]


@pytest.mark.parametrize("patience", [2.0, None])
async def test_send_gives_up_after_its_time_and_hands_the_message_back(
    system: SystemUnderTest, patience: float | None
) -> None:
    ref = await box(system, [], capacity=1)
    ref.tell(Note(0))
    with pytest.raises(MailboxFull) as full:
        await ref.send(Note(1), timeout=patience)
    assert full.value.undelivered == Note(1)
    assert system.now == (patience or SupervisionConfig().ask_timeout)


async def test_send_ends_when_the_actor_is_gone(system: SystemUnderTest) -> None:
    ref = await box(system, [], capacity=1)
    ref.tell(Note(0))
    system.expect_dead_letters("/box")
    ends: list[str] = []

    async def send() -> None:
        with pytest.raises(ActorStopped):
            await ref.send(Note(1), timeout=math.inf)
        ends.append("told")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        nursery.start_soon(send)
        await trio.sleep(1)
        await system.stop("/box")
    assert ends == ["told"] * 2
    with pytest.raises(ActorStopped):
        await ref.send(Note(1))


async def test_send_of_what_is_not_accepted_does_not_wait_first(system: SystemUnderTest) -> None:
    ref = await box(system, [], capacity=1)
    ref.tell(Note(0))
    with pytest.raises(NotAccepted):
        await ref.send(Unheard())
    assert system.now == 0.0


async def test_room_is_not_given_to_those_who_have_given_up(system: SystemUnderTest) -> None:
    seen: list[int] = []
    ref = await box(system, seen, capacity=1)
    ref.tell(Note(0))

    async def give_up() -> None:
        with trio.move_on_after(1):
            await ref.send(Note(1), timeout=math.inf)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_up)
        await system.settle()
        nursery.start_soon(
            ref.send,
            Note(2),
        )
        await trio.sleep(2)
        system.resume("/box")
    await system.settle()
    assert system.now == 2.0
    assert seen == [0, 2]


async def test_a_handler_that_sends_is_told_when_there_is_no_room_in_time(
    system: SystemUnderTest,
) -> None:
    """Unlike `tell`: who waits for room wants to know."""
    raised: list[int] = []

    class Sender(Actor[Any]):
        @handles
        async def note(self, message: Note) -> None:
            with pytest.raises(MailboxFull):
                await ref.send(message, timeout=1)
            raised.append(message.number)

    ref = await box(system, [], capacity=1)
    ref.tell(Note(0))
    sender = await system.spawn(Sender)
    sender.tell(Note(1))
    await trio.sleep(2)
    assert raised == [1]


async def test_send_belongs_to_the_nodes_own_loop(system: SystemUnderTest) -> None:
    ref = await box(system, [])

    def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="`send` waits on the loop"):
            trio.run(ref.send, Note(1))
        with pytest.raises(RuntimeError, match="`wait_gone` waits on the loop"):
            trio.run(ref.wait_gone)

    await trio.to_thread.run_sync(elsewhere)


# -- where the bounds come from -----------------------------------------------------------


class Roomy(Box):
    mailbox = Mailbox(7, Overflow.DROP_NEWEST)


async def test_the_spec_goes_before_the_class_and_the_class_before_the_configuration() -> None:
    async with system_under_test(SupervisionConfig(mailbox=2)) as system:
        plain = await system.spawn(Box, [])
        roomy = await system.spawn(Roomy, [])
        spec: ChildSpec[Any] = ChildSpec("s", lambda: Roomy([]), mailbox=Mailbox(1))
        narrow = await system.start_child(spec)
        bounds = [(ref._cell.capacity, ref._cell.overflow) for ref in (plain, roomy, narrow)]
    assert bounds == [(2, Overflow.REFUSE), (7, Overflow.DROP_NEWEST), (1, Overflow.REFUSE)]


def test_a_mailbox_holds_one_message_at_least() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Mailbox(0)


# -- dead letters -------------------------------------------------------------------------


async def test_mail_for_one_that_is_gone_is_a_dead_letter_from_anywhere(
    system: SystemUnderTest,
) -> None:
    ref = await box(system, [])
    system.expect_dead_letters("/box")
    ref.tell(Note(0))
    await system.stop("/box")
    ref.tell(Note(1))
    await trio.to_thread.run_sync(ref.tell, Note(2))
    sender = await system.spawn(Box, [])
    sender.tell(Do(lambda actor: ref.tell(Note(3))))
    await system.settle()
    letters = system.dead_letters()
    assert [letter.message.number for letter in letters] == [0, 1, 2, 3]
    assert {letter.reason for letter in letters} == {DeadLetterReason.STOPPED}
    assert "Note(" not in repr(letters[0])  # what people say to each other is not for logs


async def test_the_newest_dead_letters_are_kept_and_all_are_counted() -> None:
    async with system_under_test(SupervisionConfig(dead_letters=10)) as system:
        system.expect_dead_letters()
        ref = await box(system, [])
        await system.stop("/box")
        for number in range(25):
            ref.tell(Note(number))
        assert [letter.message.number for letter in system.dead_letters()] == list(range(15, 25))
        assert system._node.dead_letter_count == 25


async def test_mail_that_a_thread_puts_in_while_the_actor_goes_is_answered_too() -> None:
    """The thread looks at the phase, the loop empties the mailbox, the thread puts its mail in."""
    async with system_under_test() as system:
        system.expect_dead_letters()
        asked: list[Reply[int]] = []
        stop = threading.Event()

        def ask() -> None:
            numbers: Iterator[int] = count()
            while not stop.is_set():
                found = system.find("/box")
                if found is not None:
                    asked.append(found.ask(Ask(next(numbers)), timeout=math.inf))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, ask)
            for _ in range(50):
                await box(system, [], capacity=10_000)
                await trio.sleep(0.001)
                await system.stop("/box")
            stop.set()
        assert len(asked) > 100
        with trio.fail_after(5):
            for reply in asked:
                with pytest.raises((ActorStopped, MailboxFull, NotAccepted)):
                    await reply


# -- in general ---------------------------------------------------------------------------


@given(
    st.sampled_from(Overflow),
    st.integers(1, 5),
    st.lists(st.one_of(st.just(-1), st.integers(1, 4)), max_size=20),
    st.integers(0, 3),
)
def test_a_mailbox_is_a_bounded_queue_whatever_is_done_to_it(
    overflow: Overflow, capacity: int, script: list[int], seed: int
) -> None:
    """Positive steps send so many messages at once; -1 has all that wait handled."""

    async def scenario(system: SystemUnderTest) -> None:
        seen: list[int] = []
        ref = await box(system, seen, capacity, overflow)
        model: list[int] = []
        expected: list[int] = []
        dropped = refused = 0
        numbers = count()
        for step in [*script, -1]:
            if step == -1:
                system.resume("/box")
                await system.settle()
                system.suspend("/box")
                await system.settle()
                expected += model
                model = []
                continue
            for _ in range(step):
                number = next(numbers)
                model.append(number)
                try:
                    ref.tell(Note(number))
                except MailboxFull:
                    refused += 1
                    model.pop()
                if len(model) > capacity:
                    dropped += 1
                    model.pop(0 if overflow is Overflow.DROP_OLDEST else -1)
        assert seen == expected
        assert ref._cell.dropped == dropped
        assert refused == 0 or overflow is Overflow.REFUSE
        assert len(seen) + dropped + refused == next(numbers)

    simulate(scenario, seed)
