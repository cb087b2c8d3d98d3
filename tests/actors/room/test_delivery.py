"""The delivery actor of one binding: its order, its patience, what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio

from actors.machines.room.steps import Carry, EndStream, OpenStream, StreamMore
from actors.room.delivery import (
    IDLE,
    MOST_CRASHES,
    CutStreams,
    Delivered,
    Delivery,
    Ledger,
    Resting,
)
from actors.room.testing import BEGAN
from models.rooms.channel import Deliver, StreamClosed, StreamOpened, StreamText
from models.rooms.content import Text, text_of
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType, EventStatus
from models.rooms.room import ChannelBinding, RateLimit, RetryPolicy
from models.rooms.traffic import SENT, ProviderResult
from supervision import ActorRef
from supervision.faults import Fault, FaultKind, InjectedFault
from supervision.testing import Probe, SystemUnderTest
from transports.channels.scripted import ScriptedChannel

SMS = ChannelBinding("sms", "r", ChannelType.SMS, BEGAN)


def event(number: int, text: str = "") -> RoomEvent:
    """An event as it was committed."""
    return RoomEvent(
        f"e{number}",
        "r",
        EventSource("web", ChannelType.WEBSOCKET),
        Text(text or f"text {number}"),
        BEGAN,
        status=EventStatus.DELIVERED,
        index=number,
    )


def carry(number: int, stream: str = "", **binding: Any) -> Carry:
    return Carry("sms", event(number), attrs.evolve(SMS, **binding), "+15550100", stream)


@attrs.define
class Bench:
    """A delivery actor between a room and a channel."""

    system: SystemUnderTest
    room: Probe
    ref: ActorRef[Any]
    path: str
    ledger: Ledger

    @classmethod
    async def start(cls, system: SystemUnderTest, path: str = "/to") -> Bench:
        room, ledger = await system.probe(Delivered, Resting), Ledger.of("sms")
        ref = await system.spawn(lambda: Delivery(room.ref, "", "sms", ledger), path=path)
        return cls(system, room, ref, path, ledger)

    async def delivered(self, count: int, within: float = 100.0) -> Sequence[Delivered]:
        """What the room was told, once it is so much."""
        with trio.fail_after(within):
            while len(self.told) < count:  # noqa: ASYNC110 - a probe has no event to wait for
                await trio.sleep(0.01)
        return self.told

    @property
    def told(self) -> Sequence[Delivered]:
        return [message for message in self.room.received if isinstance(message, Delivered)]

    @property
    def figures(self) -> Any:
        return self.system.state(self.path).statistics

    def crash(self) -> None:
        self.system.expect_crash(self.path, InjectedFault)
        self.system.inject(self.path, Fault(FaultKind.CRASH, CutStreams, times=1))
        self.ref.tell(CutStreams())


async def channel(system: SystemUnderTest, **options: Any) -> ScriptedChannel:
    """The channel, where the delivery actor looks for it."""
    made = ScriptedChannel("sms", **options)
    desk = await system.probe()
    await system.spawn(made.spec(desk.ref).start, path="/sms")
    return made


async def wire(system: SystemUnderTest, answer: ProviderResult = SENT) -> Probe:
    """A channel that notes all it is told."""
    probe = await system.probe(Deliver, StreamOpened, StreamText, StreamClosed, path="/sms")
    probe.answer(Deliver, with_=answer)
    probe.answer(StreamClosed, with_=answer)
    return probe


# -- order -----------------------------------------------------------------------------------------


async def test_events_are_brought_one_after_the_other(system: SystemUnderTest) -> None:
    sms = await channel(system, delay=0.5)
    bench = await Bench.start(system)
    for number in range(3):
        bench.ref.tell(carry(number))
    told = await bench.delivered(3)
    assert [one.event_id for one in told] == ["e0", "e1", "e2"]
    assert all(one.result.error is None for one in told)
    assert [call.at for call in sms.calls] == pytest.approx([0.0, 0.5, 1.0], abs=0.02)
    assert [call.key for call in sms.calls] == ["e0:sms", "e1:sms", "e2:sms"]
    assert {call.to for call in sms.calls} == {"+15550100"}


async def test_one_that_is_tried_again_holds_back_those_behind_it(system: SystemUnderTest) -> None:
    sms = await channel(system)
    bench = await Bench.start(system)
    sms.fail(2)
    for number in range(2):
        bench.ref.tell(carry(number, retry_policy=RetryPolicy(max_retries=3)))
    await bench.delivered(2)
    assert [call.event.id for call in sms.calls] == ["e0", "e0", "e0", "e1"]
    assert [call.at for call in sms.calls] == pytest.approx([0.0, 1.0, 3.0, 3.0], abs=0.02)
    assert (bench.figures["delivered"], bench.figures["retried"]) == (2, 2)


async def test_what_cannot_be_brought_is_told_and_lets_the_next_through(
    system: SystemUnderTest,
) -> None:
    sms = await channel(system)
    bench = await Bench.start(system)
    sms.fail(1, code="http_400", retryable=False)
    bench.ref.tell(carry(0))
    bench.ref.tell(carry(1))
    first, second = await bench.delivered(2)
    assert first.result.error is not None
    assert (first.result.error.code, second.result.error) == ("http_400", None)
    assert (bench.figures["delivered"], bench.figures["failed"]) == (1, 1)


# -- limits ----------------------------------------------------------------------------------------


async def test_a_rate_that_would_take_more_than_a_minute_gives_the_event_up(
    system: SystemUnderTest,
) -> None:
    sms = await channel(system)
    bench = await Bench.start(system)
    for number in range(3):
        bench.ref.tell(carry(number, rate_limit=RateLimit(max_per_hour=30)))
    told = await bench.delivered(3)
    codes = [one.result.error.code if one.result.error else "" for one in told]
    assert codes == ["", "rate_limited", "rate_limited"]
    assert system.now < 1.0
    assert len(sms.calls) == 1


# -- a channel that is away ------------------------------------------------------------------------


async def test_a_channel_that_is_not_there_yet_is_waited_for(system: SystemUnderTest) -> None:
    bench = await Bench.start(system)
    bench.ref.tell(carry(0))
    await trio.sleep(0.5)
    sms = await channel(system)
    (told,) = await bench.delivered(1)
    assert told.result.error is None
    assert len(sms.calls) == 1


async def test_a_channel_that_stays_away_fails_the_event(system: SystemUnderTest) -> None:
    bench = await Bench.start(system)
    bench.ref.tell(carry(0))
    (told,) = await bench.delivered(1)
    assert told.result.error is not None
    assert told.result.error.code == "channel_unavailable"
    assert system.now == pytest.approx(1.5, abs=0.02)


# -- streams ---------------------------------------------------------------------------------------


async def test_a_stream_is_shown_and_its_event_ends_it(system: SystemUnderTest) -> None:
    sms = await wire(system)
    bench = await Bench.start(system)
    bench.ref.tell(OpenStream("sms", "t1", event(7, "")))
    for piece in ("It ", "is ", "5."):
        bench.ref.tell(StreamMore("sms", "t1", piece))
    bench.ref.tell(carry(7, "t1"))
    await bench.delivered(1)
    opened, *pieces, closed = sms.received
    assert isinstance(opened, StreamOpened)
    assert "".join(piece.delta for piece in pieces) == "It is 5."
    assert isinstance(closed, StreamClosed)
    assert closed.event == event(7)


async def test_pieces_are_joined_while_the_channel_is_busy(system: SystemUnderTest) -> None:
    sms = await channel(system, delay=1.0, streams=True)
    bench = await Bench.start(system)
    bench.ref.tell(carry(0))
    bench.ref.tell(OpenStream("sms", "t1", event(1, "")))
    for letter in "abcdefgh":
        bench.ref.tell(StreamMore("sms", "t1", letter))
    await trio.sleep(0.5)
    assert sms.streams == []
    assert bench.figures["joined"] == 7
    assert bench.figures["waiting"] == 3
    bench.ref.tell(carry(1, "t1"))
    await bench.delivered(2)
    (stream,) = sms.streams
    assert [text for _, text in stream.pieces] == ["abcdefgh"]


async def test_what_was_streamed_to_a_channel_that_then_fails_is_brought_whole(
    system: SystemUnderTest,
) -> None:
    sms = await wire(system, ProviderResult(False, error="down"))
    bench = await Bench.start(system)
    bench.ref.tell(OpenStream("sms", "t1", event(1, "")))
    bench.ref.tell(carry(1, "t1", retry_policy=RetryPolicy(max_retries=1)))
    await bench.delivered(1)
    kinds = [type(message).__name__ for message in sms.received]
    assert kinds == ["StreamOpened", "StreamClosed", "Deliver"]
    assert sms.received[-1].key == "e1:sms"


async def test_a_stream_without_an_event_is_ended_and_nobody_waits_for_that(
    system: SystemUnderTest,
) -> None:
    sms = await wire(system)
    bench = await Bench.start(system)
    bench.ref.tell(OpenStream("sms", "t1", event(1, "")))
    bench.ref.tell(EndStream("sms", "t1", None, "withdrawn"))
    bench.ref.tell(EndStream("sms", "t1", None, "withdrawn"))
    bench.ref.tell(carry(2))
    await bench.delivered(1)
    ends = [message for message in sms.received if isinstance(message, StreamClosed)]
    assert [(end.event, end.error) for end in ends] == [(None, "withdrawn")]


async def test_a_room_that_begins_anew_ends_what_it_was_streaming(system: SystemUnderTest) -> None:
    sms = await wire(system)
    bench = await Bench.start(system)
    bench.ref.tell(OpenStream("sms", "t1", event(1, "")))
    bench.ref.tell(StreamMore("sms", "t1", "It "))
    bench.ref.tell(CutStreams())
    bench.ref.tell(StreamMore("sms", "t1", "is late"))
    await system.settle()
    kinds = [type(message).__name__ for message in sms.received]
    assert kinds == ["StreamOpened", "StreamText", "StreamClosed"]
    assert sms.received[-1].error == "interrupted"


# -- what is asked for twice -----------------------------------------------------------------------


async def test_a_room_that_begins_anew_is_answered_from_memory(system: SystemUnderTest) -> None:
    sms = await channel(system, delay=0.5)
    bench = await Bench.start(system)
    bench.ref.tell(carry(0))
    await bench.delivered(1)
    bench.ref.tell(carry(0))
    again = (await bench.delivered(2))[1]
    assert again == bench.told[0]
    assert len(sms.calls) == 1


async def test_what_is_under_way_is_not_begun_again(system: SystemUnderTest) -> None:
    sms = await channel(system, delay=0.5)
    bench = await Bench.start(system)
    bench.ref.tell(carry(0))
    bench.ref.tell(carry(1))
    await trio.sleep(0.1)
    bench.ref.tell(carry(0))
    bench.ref.tell(carry(1))
    await trio.sleep(5.0)
    assert [call.event.id for call in sms.calls] == ["e0", "e1"]
    assert len(bench.told) == 2


# -- crashes ---------------------------------------------------------------------------------------


async def test_a_crash_loses_nothing_and_brings_nothing_twice(system: SystemUnderTest) -> None:
    sms = await channel(system, delay=0.5)
    bench = await Bench.start(system)
    for number in range(3):
        bench.ref.tell(carry(number))
    await trio.sleep(0.7)
    bench.crash()
    told = await bench.delivered(3)
    assert [one.event_id for one in told] == ["e0", "e1", "e2"]
    assert [text_of(call.event.content) for call in sms.delivered] == ["text 0", "text 1", "text 2"]
    bench.ref.tell(carry(0))
    await bench.delivered(4)
    assert len(sms.calls) == 3


async def test_a_crash_ends_the_streams_that_were_open(system: SystemUnderTest) -> None:
    sms = await wire(system)
    bench = await Bench.start(system)
    bench.ref.tell(OpenStream("sms", "t1", event(1, "")))
    await system.settle()
    bench.crash()
    await trio.sleep(1.0)
    assert [type(m).__name__ for m in sms.received] == ["StreamOpened", "StreamClosed"]
    bench.ref.tell(carry(1, "t1"))
    await bench.delivered(1)
    assert isinstance(sms.received[-1], Deliver)


async def test_an_event_that_crashes_it_again_and_again_is_given_up(
    system: SystemUnderTest,
) -> None:
    sms = await channel(system, delay=100.0)
    bench = await Bench.start(system)
    bench.ref.tell(carry(0))
    for _ in range(MOST_CRASHES):
        await trio.sleep(2.0)
        bench.crash()
    (told,) = await bench.delivered(1)
    assert told.result.error is not None
    assert told.result.error.code == "delivery_crashed"
    sms.delay = 0.0
    bench.ref.tell(carry(1))
    assert (await bench.delivered(2))[1].result.error is None


# -- rest ------------------------------------------------------------------------------------------


async def test_without_work_it_offers_to_go(system: SystemUnderTest) -> None:
    await channel(system)
    bench = await Bench.start(system)
    bench.ref.tell(carry(0))
    await bench.delivered(1)
    await trio.sleep(IDLE - 1)
    assert Resting("sms") not in bench.room.received
    await trio.sleep(IDLE + 2)
    assert Resting("sms") in bench.room.received


async def test_it_stays_while_a_stream_is_open_or_its_breaker_remembers(
    system: SystemUnderTest,
) -> None:
    sms = await wire(system)
    bench = await Bench.start(system)
    bench.ref.tell(OpenStream("sms", "t1", event(1, "")))
    await trio.sleep(5 * IDLE)
    assert bench.room.received == []
    bench.ref.tell(EndStream("sms", "t1", None, None))
    sms.answer(Deliver, with_=ProviderResult(False, error="down"))
    bench.ref.tell(carry(2))
    await trio.sleep(5 * IDLE)
    assert bench.room.received == [bench.told[0]]
