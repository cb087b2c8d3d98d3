"""Answers in the making, at those who show them and at those who do not."""

from __future__ import annotations

from typing import Any

import attrs

from models.rooms.channel import Deliver, StreamClosed, StreamOpened, StreamText
from models.rooms.content import Text, ToolCall
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType, EventType, ToolStatus
from models.rooms.traffic import SENT
from supervision.testing import SystemUnderTest
from tests.transports.channels.websocket.places import (
    World,
    client_of,
    deliver,
    event_of,
    open_world,
)
from transports.channels.websocket import RoomWireConfig

AGENT = EventSource("ai", ChannelType.AI)


def opening(stream_id: str = "s") -> StreamOpened:
    return StreamOpened("r", stream_id, event_of("r", 0, source=AGENT, content=Text("")))


def answer(world: World, body: str, **more: Any) -> RoomEvent:
    return world.commit("r", body, source=AGENT, **more)


async def test_an_answer_is_shown_while_it_is_made_and_comes_once_to_all(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    async with client_of(world) as shows, client_of(world) as plain:
        await shows.enter("ada", stream=True)
        await plain.enter("bob")
        world.channel.tell(opening())
        start = await shows.expect("stream_start", room_id="r", stream_id="s")
        assert start["source"]["channel_id"] == "ai"
        world.channel.tell(StreamText("r", "s", "It is "))
        world.channel.tell(StreamText("r", "s", "five."))
        await shows.expect("stream_chunk", delta="It is ", text="It is ")
        await shows.expect("stream_chunk", delta="five.", text="It is five.")
        event = answer(world, "It is five.")
        assert await world.channel.ask(StreamClosed("r", "s", event)) == SENT
        end = await shows.expect("stream_end", room_id="r", stream_id="s", event_id=event.id)
        assert end["event"]["index"] == 0
        assert end["event"]["content"]["body"] == "It is five."
        assert await plain.events(1) == [(0, "It is five.")]
        # The room delivers it once more, as after a restart.
        await world.channel.ask(deliver(event))
        await shows.quiet()
        await plain.quiet()


async def test_t11_streaming_tool_turn_frames_in_order(system: SystemUnderTest) -> None:
    """T11 and B31: each persisted event reaches each connection exactly once."""
    world = await open_world(system)
    async with client_of(world) as shows, client_of(world) as plain:
        await shows.enter("ada", stream=True)
        await plain.enter("bob")

        async def happen(body: str = "", **more: Any) -> None:
            event = answer(world, body, correlation_id="c", **more)
            assert await world.channel.ask(deliver(event)) == SENT

        call = ToolCall("clock", "t-1")
        world.channel.tell(opening())
        world.channel.tell(StreamText("r", "s", "Let me check."))
        await happen("Let me check.")
        await happen(type=EventType.TOOL_CALL_START, content=call)
        done = attrs.evolve(call, status=ToolStatus.COMPLETED, result="5")
        await happen(type=EventType.TOOL_CALL_END, content=done)
        world.channel.tell(StreamText("r", "s", "It is 5."))
        await happen("It is 5.")
        empty = event_of("r", 0, source=AGENT, content=Text(""), metadata={"_segmented": True})
        assert await world.channel.ask(StreamClosed("r", "s", empty)) == SENT

        frames = [await shows.next() for _ in range(8)]
        assert [it["event"]["type"] if it["type"] == "event" else it["type"] for it in frames] == [
            "stream_start",
            "stream_chunk",
            "message",
            "tool_call_start",
            "tool_call_end",
            "stream_chunk",
            "message",
            "stream_end",
        ]
        assert frames[-1]["event"]["metadata"] == {"_segmented": True}
        await shows.quiet()
        events = [(await plain.expect("event"))["event"] for _ in range(4)]
        assert [event["type"] for event in events] == [
            "message",
            "tool_call_start",
            "tool_call_end",
            "message",
        ]
        assert {event["correlation_id"] for event in events} == {"c"}
        await plain.quiet()


async def test_an_answer_that_fails_says_so_and_what_was_made_is_kept(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    async with client_of(world) as shows:
        await shows.enter(stream=True)
        world.channel.tell(opening())
        world.channel.tell(StreamText("r", "s", "It is "))
        event = answer(world, "It is ")
        await world.channel.ask(StreamClosed("r", "s", event, error="the model went away"))
        await shows.expect("stream_start")
        await shows.expect("stream_chunk")
        await shows.expect("stream_error", stream_id="s", error="the model went away")
        assert await shows.events(1) == [(0, "It is ")]
        world.channel.tell(opening("s2"))
        await world.channel.ask(StreamClosed("r", "s2", None))
        await shows.expect("stream_start", stream_id="s2")
        await shows.expect("stream_error", stream_id="s2")
        await shows.quiet()


async def test_who_comes_late_is_shown_the_beginning_too(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as shows:
        world.channel.tell(opening())
        world.channel.tell(StreamText("r", "s", "It "))
        await shows.enter(stream=True)
        world.channel.tell(StreamText("r", "s", "is"))
        await shows.expect("stream_start", stream_id="s")
        await shows.expect("stream_chunk", delta="is", text="It is")


async def test_two_answers_at_once_are_told_apart(system: SystemUnderTest) -> None:
    """B13 at one channel: every streaming connection gets every answer."""
    world = await open_world(system)
    async with client_of(world) as ada, client_of(world) as bob:
        for client, name in ((ada, "ada"), (bob, "bob")):
            await client.enter(name, stream=True)
        for stream_id in ("s1", "s2"):
            world.channel.tell(opening(stream_id))
        for stream_id in ("s1", "s2"):
            world.channel.tell(StreamText("r", stream_id, f"of {stream_id}"))
        for client in (ada, bob):
            await client.expect("stream_start", stream_id="s1")
            await client.expect("stream_start", stream_id="s2")
            await client.expect("stream_chunk", stream_id="s1", text="of s1")
            await client.expect("stream_chunk", stream_id="s2", text="of s2")


async def test_too_many_answers_give_up_the_oldest_and_too_long_ones_wait_for_their_end(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system, RoomWireConfig(streams=1, stream_text=1000))
    async with client_of(world) as shows:
        await shows.enter(stream=True)
        world.channel.tell(opening("s1"))
        world.channel.tell(opening("s2"))
        world.channel.tell(StreamText("r", "s2", "x" * 1000))
        world.channel.tell(StreamText("r", "s2", "y"))
        await shows.expect("stream_start", stream_id="s1")
        await shows.expect("stream_error", stream_id="s1")
        await shows.expect("stream_start", stream_id="s2")
        await shows.expect("stream_chunk", stream_id="s2")
        event = answer(world, "x" * 1000 + "y")
        await world.channel.ask(StreamClosed("r", "s2", event))
        await shows.expect("stream_end", stream_id="s2")
        event = answer(world, "of the first")
        await world.channel.ask(StreamClosed("r", "s1", event))
        assert await shows.events(1) == [(1, "of the first")]
        statistics = world.statistics("/web-channel")
        assert (statistics["streams"], statistics["streams_given_up"]) == (0, 1)


async def test_what_the_provider_sent_is_not_shown_to_people(system: SystemUnderTest) -> None:
    world = await open_world(system)
    source = EventSource("sms", ChannelType.SMS, raw_payload={"From": "+15550100"})
    async with client_of(world) as client:
        await client.enter()
        event = world.commit("r", "hi", source=source)
        message = deliver(event)
        assert isinstance(message, Deliver)
        await world.channel.ask(message)
        assert (await client.expect("event"))["event"]["source"]["raw_payload"] == {}
