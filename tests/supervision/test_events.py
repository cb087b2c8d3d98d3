"""The event stream: topics are types, and nobody waits for a slow subscriber."""

from __future__ import annotations

import attrs
import pytest
import trio

from supervision import Actor, ActorRef, Mailbox, Overflow, handles
from supervision.crashes import CrashReport
from supervision.events import (
    ActorEnded,
    ActorStarted,
    DeadLetter,
    DeadLetterReason,
    EventStream,
    NodeEvent,
)
from supervision.messages import How
from supervision.testing import SystemUnderTest


@attrs.frozen
class Note:
    text: str


@attrs.frozen
class Boom:
    pass


class Worker(Actor[Note | Boom]):
    @handles
    def on_note(self, _message: Note) -> None:
        pass

    @handles
    def on_boom(self, _message: Boom) -> None:
        raise ValueError("boom")


async def test_a_subscriber_gets_its_type_and_all_below_it(system: SystemUnderTest) -> None:
    system.expect_crash("/worker")
    with (
        system.events.subscribe(CrashReport) as crashes,
        system.events.subscribe(NodeEvent) as everything,
    ):
        worker = await system.spawn(Worker, path="/worker")
        worker.tell(Boom())
        await system.settle()
        report = await anext(crashes)
        assert (report.path, report.error) == ("/worker", "boom")
        assert not len(crashes)
        seen = [type(await anext(everything)) for _ in range(len(everything))]
    assert seen == [ActorStarted, CrashReport, ActorEnded, ActorStarted]


async def test_lives_are_counted_and_ends_have_reasons(system: SystemUnderTest) -> None:
    system.expect_crash("/worker")
    with (
        system.events.subscribe(ActorStarted) as started,
        system.events.subscribe(ActorEnded) as ended,
    ):
        worker = await system.spawn(Worker, path="/worker")
        worker.tell(Boom())
        await system.settle()
        await system.stop("/worker")
        assert [(await anext(started)).life for _ in range(len(started))] == [1, 2]
        ends = [await anext(ended) for _ in range(len(ended))]
    assert [(end.life, end.reason.how) for end in ends] == [(1, How.CRASHED), (2, How.SHUTDOWN)]


async def test_a_slow_subscriber_loses_the_oldest_and_knows_how_many() -> None:
    stream = EventStream()
    with stream.subscribe(Note, capacity=2) as slow, stream.subscribe(Note) as fast:
        for text in "abcd":
            stream.publish(Note(text))
        assert slow.dropped == 2
        assert [(await anext(slow)).text, (await anext(slow)).text] == ["c", "d"]
        assert len(fast) == 4
        assert fast.dropped == 0


async def test_after_the_block_nothing_comes_any_more() -> None:
    stream = EventStream()
    with stream.subscribe(Note) as notes:
        assert stream.wants(Note)
    stream.publish(Note("late"))
    assert len(notes) == 0
    assert not stream.wants(Note)


async def test_two_may_take_from_one_subscription(autojump_clock: trio.abc.Clock) -> None:
    stream = EventStream()
    taken: list[str] = []

    async def take() -> None:
        taken.append((await anext(notes)).text)

    with stream.subscribe(Note) as notes:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(take)
            await trio.sleep(1)
            stream.publish(Note("a"))
            await trio.sleep(1)
            stream.publish(Note("b"))
    assert sorted(taken) == ["a", "b"]


async def test_a_cancelled_taker_loses_no_event(autojump_clock: trio.abc.Clock) -> None:
    stream = EventStream()
    with stream.subscribe(Note) as notes:
        with trio.move_on_after(1):
            await anext(notes)
        stream.publish(Note("a"))
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(notes)
        assert (await anext(notes)).text == "a"


@pytest.mark.parametrize("capacity", [0, -1, float("inf")])
def test_a_buffer_has_a_size(capacity: float) -> None:
    with (
        pytest.raises(ValueError, match="capacity"),
        EventStream().subscribe(Note, capacity=capacity),  # type: ignore[arg-type]
    ):
        pass


# -- actors that subscribe ----------------------------------------------------------------


class Clerk(Actor[DeadLetter | Note]):
    def __init__(self) -> None:
        super().__init__()
        self.filed: list[DeadLetter] = []

    @handles
    def on_letter(self, letter: DeadLetter) -> None:
        self.filed.append(letter)

    @handles
    async def on_note(self, _message: Note) -> None:
        await trio.sleep(60)


class OneLetterClerk(Clerk):
    mailbox = Mailbox(1)


class FreshLettersClerk(Clerk):
    mailbox = Mailbox(1, Overflow.DROP_OLDEST)


async def gone(system: SystemUnderTest) -> ActorRef[Note]:
    worker: ActorRef[Note | Boom] = await system.spawn(Worker, path="/gone")
    await system.stop("/gone")
    return worker


async def test_an_actor_subscribes_until_it_is_gone(system: SystemUnderTest) -> None:
    system.expect_dead_letters("/gone")
    nobody = await gone(system)
    clerk = await _clerk(system, Clerk)
    nobody.tell(Note("lost"))
    await system.settle()
    assert [letter.message for letter in clerk.filed] == [Note("lost")]
    assert clerk.filed[0].reason is DeadLetterReason.STOPPED
    await system.stop("/clerk")
    nobody.tell(Note("lost too"))
    assert len(clerk.filed) == 1


async def _clerk(system: SystemUnderTest, kind: type[Clerk]) -> Clerk:
    ref = await system.spawn(kind, path="/clerk")
    system.events.subscribe_ref(DeadLetter, ref)
    actor: Clerk = ref._cell.actor
    return actor


async def test_a_full_mailbox_of_a_dead_letter_subscriber_ends_nothing(
    system: SystemUnderTest,
) -> None:
    """Its dead letters are about itself: sent to it again they would go round for ever."""
    system.expect_dead_letters()
    nobody = await gone(system)

    class Chatty(Actor[Note]):
        @handles
        def on_note(self, message: Note) -> None:
            for _ in range(10):
                nobody.tell(message)

    chatty = await system.spawn(Chatty, path="/chatty")
    clerk = await _clerk(system, OneLetterClerk)
    system.ref("/clerk").tell(Note("busy"))
    await system.settle()
    chatty.tell(Note("hello"))
    await system.settle()
    assert system.tree("/clerk").dropped == 9
    await trio.sleep(61)
    assert [letter.path for letter in clerk.filed] == ["/gone"]


async def test_a_dead_letter_subscriber_may_stop_with_mail_waiting(
    system: SystemUnderTest,
) -> None:
    system.expect_dead_letters()
    await _clerk(system, Clerk)
    for _ in range(3):
        system.ref("/clerk").tell(Note("busy"))
    await system.settle()
    await system.stop("/clerk")
    letters = [letter for letter in system.dead_letters() if letter.path == "/clerk"]
    assert len(letters) == 2


async def test_a_subscriber_that_is_late_keeps_the_newest_if_its_mailbox_says_so(
    system: SystemUnderTest,
) -> None:
    system.expect_dead_letters("/gone")
    nobody = await gone(system)
    clerk = await _clerk(system, FreshLettersClerk)
    system.ref("/clerk").tell(Note("busy"))
    await system.settle()
    for text in "abc":
        nobody.tell(Note(text))
    await trio.sleep(61)
    assert [letter.message.text for letter in clerk.filed] == ["c"]
