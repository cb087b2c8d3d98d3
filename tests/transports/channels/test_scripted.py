"""The channel without a wire: it keeps what it is given, and fails on cue."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from models.rooms.channel import (
    RoomAttached,
    RoomDetached,
    StreamClosed,
    StreamOpened,
    StreamText,
)
from models.rooms.content import Text
from supervision import ActorRef, Refused
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import (
    DeskUnderTest,
    binding,
    deliver,
    desk_in,
    event,
)
from transports.channels.scripted import ScriptedChannel


@pytest.fixture
async def desk(system: SystemUnderTest) -> DeskUnderTest:
    return await desk_in(system)


async def started(
    system: SystemUnderTest, desk: DeskUnderTest, channel: ScriptedChannel
) -> ActorRef[Any]:
    return await system.spawn(channel.spec(desk.ref).start, path="/scripted")


async def test_it_keeps_what_it_is_given(system: SystemUnderTest, desk: DeskUnderTest) -> None:
    sms = ScriptedChannel("sms", delay=0.5)
    ref = await started(system, desk, sms)
    begun = system.now
    first = await ref.ask(deliver("one", key="k-1"))
    second = await ref.ask(deliver("two", to="bob", key="k-2"))
    ids = (first.provider_message_id, second.provider_message_id)
    assert ids == ("mock-1", "mock-2")
    assert sms.texts == ["one", "two"]
    assert [(call.to, call.key, call.at - begun) for call in sms.calls] == [
        ("+15550100", "k-1", 0.0),
        ("bob", "k-2", 0.5),
    ]
    assert repr(sms) == "<ScriptedChannel sms: 2 of 2 sent>"


async def test_it_fails_as_often_as_it_is_told(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = ScriptedChannel()
    ref = await started(system, desk, sms)
    sms.fail(2, "rate_limit", retry_after=3.0)
    sms.fail(code="banned", retryable=False)
    results = [await ref.ask(deliver(key=f"k-{number}")) for number in range(4)]
    assert [result.error for result in results] == ["rate_limit", "rate_limit", "banned", None]
    assert results[0].metadata == {"code": "rate_limit", "retryable": True, "retry_after": 3.0}
    assert results[2].metadata["retryable"] is False
    assert results[3].provider_message_id == "mock-1"
    assert (len(sms.calls), len(sms.delivered)) == (4, 1)


async def test_it_hangs_until_its_deadline(system: SystemUnderTest, desk: DeskUnderTest) -> None:
    sms = ScriptedChannel()
    ref = await started(system, desk, sms)
    sms.hang()
    assert (await ref.ask(deliver(), timeout=60)).error == "timeout"
    sms.hang(5)
    sms.recover()
    assert (await ref.ask(deliver())).success
    assert [call.result is None for call in sms.calls] == [True, False]


async def test_somebody_says_something(system: SystemUnderTest, desk: DeskUnderTest) -> None:
    sms = ScriptedChannel("sms")
    with pytest.raises(RuntimeError, match="has no desk yet"):
        await sms.says("+15550100", "hello")
    sms.spec(desk.ref)
    result = await sms.says("+15550100", "hello", room_id="lobby", external_id="x-1")
    assert result.event is not None
    assert result.event.room_id == "lobby"
    (received,) = desk.received
    message = received.message
    assert (message.channel_id, message.content) == ("sms", Text("hello"))
    assert message.external_id == "x-1"


async def test_rooms_come_and_go_and_may_be_refused(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = ScriptedChannel("sms")
    ref = await started(system, desk, sms)
    await ref.ask(RoomAttached(binding(room_id="lobby")))
    await ref.ask(RoomAttached(binding(room_id="attic")))
    await ref.ask(RoomDetached("lobby"))
    sms.refuse_rooms("full")
    with pytest.raises(Refused, match="full"):
        await ref.ask(RoomAttached(binding(room_id="cellar")))
    assert sms.rooms == ["attic"]


async def test_answers_are_kept_as_they_are_made(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    web = ScriptedChannel("web", streams=True)
    ref = await started(system, desk, web)
    assert web.info.streams
    begun = system.now
    ref.tell(StreamOpened("lobby", "s-1", event("")))
    for piece in ("Good ", "morning"):
        ref.tell(StreamText("lobby", "s-1", piece))
        await trio.sleep(1)
    result = await ref.ask(StreamClosed("lobby", "s-1", event("Good morning")))
    assert result.provider_message_id == "mock-1"
    (shown,) = web.streams
    assert [(at - begun, piece) for at, piece in shown.pieces] == [(0, "Good "), (1, "morning")]
    assert shown.closed
    assert web.texts == ["Good morning"]


async def test_without_streams_an_answer_is_one_delivery(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = ScriptedChannel("sms")
    ref = await started(system, desk, sms)
    ref.tell(StreamOpened("lobby", "s-1", event("")))
    ref.tell(StreamText("lobby", "s-1", "Good"))
    await ref.ask(StreamClosed("lobby", "s-1", event("Good morning")))
    assert (web_streams(sms), sms.texts) == (0, ["Good morning"])


def web_streams(channel: ScriptedChannel) -> int:
    return len(channel.streams)


async def test_a_test_can_wait_for_what_is_delivered(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = ScriptedChannel("sms", delay=2)
    ref = await started(system, desk, sms)
    replies = [ref.ask(deliver(str(number), key=f"k-{number}")) for number in range(2)]
    calls = await sms.wait_delivered(2)
    assert sorted(call.key for call in calls) == ["k-0", "k-1"]
    with pytest.raises(trio.TooSlowError):
        await sms.wait_delivered(3)
    assert all([(await reply).success for reply in replies])


async def test_what_was_delivered_before_a_restart_is_still_on_record(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = ScriptedChannel("sms")
    ref = await started(system, desk, sms)
    await ref.ask(deliver("one"))
    await system.restart("/scripted")
    result = await ref.ask(deliver("two", key="k-2"))
    assert (sms.texts, result.provider_message_id) == (["one", "two"], "mock-2")
