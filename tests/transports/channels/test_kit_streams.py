"""A channel that shows answers while they are made."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from models.rooms.channel import RoomAttached, StreamClosed, StreamOpened, StreamText
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType
from models.rooms.traffic import ProviderResult
from supervision import ActorRef
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import DeskUnderTest, binding, desk_in, event
from transports.channels.bodies import body_of
from transports.channels.config import ChannelConfig
from transports.channels.kit import Channel
from transports.channels.results import DeliveryFailed, sent
from transports.channels.streams import LONGEST, StreamedAnswer

INFO = ChannelInfo("sms", ChannelType.SMS)


@pytest.fixture
async def desk(system: SystemUnderTest) -> DeskUnderTest:
    return await desk_in(system)


class Plain(Channel):
    """Shows nothing while it is made."""

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        return sent(f"{key} to {to}: {body_of(event.content)}")


class Ticker(Plain):
    """Shows answers while they are made, at one piece a second."""

    shown: list[Any]

    def __init__(self, shown: list[Any], *args: Any) -> None:
        super().__init__(*args)
        self.shown = shown

    async def stream(self, answer: StreamedAnswer) -> ProviderResult:
        self.shown.append(("begins", answer.to))
        async for piece in answer:
            if piece == "break":
                raise DeliveryFailed("broken", True)
            self.shown.append(piece)
            await trio.sleep(1)
        self.shown.append((body_of(answer.event.content) if answer.event else None, answer.error))
        return sent("shown")


@pytest.fixture
def shown() -> list[Any]:
    return []


@pytest.fixture
async def ticker(system: SystemUnderTest, desk: DeskUnderTest, shown: list[Any]) -> ActorRef[Any]:
    config = ChannelConfig(stream_idle=30, streams=2)
    info = attrs.evolve(INFO, streams=True, recipient_key="phone_number")
    ticker = await system.spawn(Ticker, shown, info, desk.ref, config, path="/ticker")
    await ticker.ask(RoomAttached(binding(phone_number="+15550100")))
    return ticker


def opened(stream_id: str = "s-1") -> StreamOpened:
    return StreamOpened("lobby", stream_id, event(""))


def text(delta: str, stream_id: str = "s-1") -> StreamText:
    return StreamText("lobby", stream_id, delta)


def closed(answer: RoomEvent | None, stream_id: str = "s-1", error: str | None = None) -> Any:
    return StreamClosed("lobby", stream_id, answer, error)


async def test_an_answer_is_shown_while_it_is_made_and_late_pieces_come_joined(
    ticker: ActorRef[Any], shown: list[Any]
) -> None:
    ticker.tell(opened())
    for piece in ("Good", " mor", "ning"):
        ticker.tell(text(piece))
    await trio.sleep(0.5)
    ticker.tell(text(", Ada"))
    await trio.sleep(1)
    result = await ticker.ask(closed(event("Good morning, Ada")))
    assert result.provider_message_id == "shown"
    assert shown == [
        ("begins", "+15550100"),
        "Good morning",
        ", Ada",
        ("Good morning, Ada", None),
    ]


async def test_an_answer_that_was_cut_off_says_why(ticker: ActorRef[Any], shown: list[Any]) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    assert (await ticker.ask(closed(None, error="cancelled"))).success
    assert shown[1:] == ["Good", (None, "cancelled")]


async def test_what_a_broken_stream_did_not_show_is_sent_whole(
    ticker: ActorRef[Any], system: SystemUnderTest
) -> None:
    ticker.tell(opened())
    ticker.tell(text("break"))
    await system.settle()
    result = await ticker.ask(closed(event("the whole")))
    assert result.provider_message_id == "e-7:sms to +15550100: the whole"
    assert system.state("/ticker").statistics["unstreamed"] == 1


async def test_a_stream_that_breaks_at_its_end_is_a_failed_delivery(
    ticker: ActorRef[Any],
) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    await trio.sleep(0.5)
    ticker.tell(text("break"))
    result = await ticker.ask(closed(event("Good break")))
    assert result.metadata == {"code": "broken", "retryable": True}


async def test_of_too_many_streams_the_last_are_sent_whole(
    ticker: ActorRef[Any], system: SystemUnderTest, shown: list[Any]
) -> None:
    for stream_id in ("s-1", "s-2", "s-3"):
        ticker.tell(opened(stream_id))
        ticker.tell(text(stream_id, stream_id))
    await system.settle()
    assert sorted(piece for piece in shown if isinstance(piece, str)) == ["s-1", "s-2"]
    result = await ticker.ask(closed(event("s-3"), "s-3"))
    assert result.provider_message_id == "e-7:sms to +15550100: s-3"


async def test_a_stream_that_nobody_goes_on_with_ends(
    ticker: ActorRef[Any], system: SystemUnderTest, shown: list[Any]
) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    await trio.sleep(40)
    assert shown[1:] == ["Good", (None, "abandoned")]
    assert system.state("/ticker").statistics["streams"] == 0


async def test_an_answer_that_was_delivered_in_parts_is_not_sent_again(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = await system.spawn(Plain, INFO, desk.ref, path="/sms")
    sms.tell(opened())
    sms.tell(text("Good"))
    assert (await sms.ask(closed(event("", metadata={"_segmented": True})))).success
    assert system.state("/sms").statistics["sent"] == 0


async def test_a_channel_without_streams_sends_the_answer_when_it_is_made(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = await system.spawn(Plain, INFO, desk.ref, path="/sms")
    sms.tell(opened())
    sms.tell(text("Good"))
    result = await sms.ask(closed(event("Good morning")))
    assert result.provider_message_id == "e-7:sms to : Good morning"


async def test_a_channel_that_stops_while_it_shows_an_answer_answers(
    system: SystemUnderTest, ticker: ActorRef[Any], shown: list[Any]
) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    await system.settle()
    reply = ticker.ask(closed(event("Good")))
    await system.stop("/ticker")
    assert (await reply).success
    assert shown[-1] == ("Good", None)


async def test_an_answer_that_nobody_reads_does_not_fill_the_memory(
    ticker: ActorRef[Any], system: SystemUnderTest, shown: list[Any]
) -> None:
    ticker.tell(opened())
    ticker.tell(text("first"))
    await system.settle()  # it is busy with that for a second
    for _ in range(5):
        ticker.tell(text("x" * (LONGEST // 2)))
    result = await ticker.ask(closed(event("the whole")))
    assert result.success
    assert len(shown[2]) == LONGEST
    assert shown[-1] == ("the whole", None)
    assert system.state("/ticker").statistics["unstreamed"] == 1
