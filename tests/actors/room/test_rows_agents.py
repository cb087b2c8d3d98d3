"""The rows of the specification's §43 that are about agents and hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger, InjectedEvent
from actors.room.scripted_agent import Turn, Use
from actors.room.testing import RoomRig
from models.rooms.channel import AgentSpec, BindingChanged, CancelTurn, React, Reaction
from models.rooms.content import Text, text_of
from models.rooms.event import EventSource, RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelCategory, ChannelType, EventType
from models.rooms.traffic import FrameworkEvent, InboundMessage
from models.rooms.turns import Answer
from supervision import Actor, handles
from supervision.testing import SystemUnderTest
from transports.stores.backend import EventFilter

WS = ChannelType.WEBSOCKET
AFTER = HookTrigger.AFTER_BROADCAST
WITH_BLOCKED = EventFilter(include_blocked=True)


def said(channel_id: str, text: str, **parts: Any) -> InboundMessage:
    return InboundMessage(channel_id, "user", Text(text), **parts)


def figures(system: SystemUnderTest, path: str) -> Any:
    """What an actor tells of itself."""
    return system.state(path).statistics


def moments(*expected: float, within: float = 0.02) -> Any:
    """Times, give or take 20 ms."""
    return pytest.approx(list(expected), abs=within)


async def test_b13_every_streaming_channel_streams_at_its_own_pace(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    fast = await rig.channel("fast", WS, streams=True)
    slow = await rig.channel("slow", WS, streams=True, delay=0.35)
    pieces = tuple("abcdefgh")
    await rig.agent("ai", [Turn(streams=pieces, every=0.1)])
    await rig.room("r", "web", "fast", "slow", "ai")
    began = system.now
    await rig.rooms.process_inbound(said("web", "spell"), "r")
    (quick,), (late,) = fast.streams, slow.streams
    assert [text for _, text in quick.pieces] == list(pieces)
    assert [at - began for at, _ in quick.pieces] == moments(*(0.1 * k for k in range(1, 9)))
    assert "".join(text for _, text in late.pieces) == "abcdefgh"
    assert len(late.pieces) < len(pieces)
    assert quick.event == late.event is not None


@pytest.fixture
def counters() -> list[str]:
    return []


class Counter(Actor[React | CancelTurn | BindingChanged]):
    """Counts its own turns: what it knows is of one room."""

    def __init__(self, made: list[str], room_id: str) -> None:
        super().__init__()
        made.append(room_id)
        self._turns = 0

    @handles
    def on_react(self, react: React) -> Reaction:
        self._turns += 1
        return Reaction((Answer(Text(f"turn {self._turns}")),))

    @handles
    def on_other(self, message: CancelTurn | BindingChanged) -> None:
        """It counts turns only."""


async def test_b14_an_agent_in_two_rooms_is_two_agents(
    system: SystemUnderTest, counters: list[str]
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    info = ChannelInfo("counter", ChannelType.AI, ChannelCategory.INTELLIGENCE)
    await rig.rooms.register_channel(AgentSpec(info, lambda room: Counter(counters, room)))
    await rig.room("r1", "web", "counter")
    await rig.room("r2", "web", "counter")
    for room_id in ("r1", "r1", "r2"):
        await rig.rooms.process_inbound(said("web", "count"), room_id)
    assert counters == ["r1", "r2"]
    assert (await answers(rig, "r1"), await answers(rig, "r2")) == (
        ["turn 1", "turn 2"],
        ["turn 1"],
    )
    await rig.rooms.mute("r1", "counter")
    await rig.rooms.process_inbound(said("web", "count"), "r2")
    assert await answers(rig, "r2") == ["turn 1", "turn 2"]


async def answers(rig: RoomRig, room_id: str) -> list[str]:
    """What agents said in a room."""
    events = await rig.rooms.get_timeline(room_id)
    return [text_of(e.content) for e in events if e.chain_depth and e.type is EventType.MESSAGE]


async def test_b16_whatever_fails_is_told(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    errors: list[tuple[str, str]] = []

    def on_error(event: RoomEvent, context: object) -> None:
        errors.append((event.source.channel_id, event.metadata["error_category"]))

    def broken(event: RoomEvent, context: object) -> HookResult:
        raise ZeroDivisionError

    await rig.rooms.add_hook(Hook(HookTrigger.ON_ERROR, on_error, HookExecution.ASYNC))
    await rig.rooms.add_hook(Hook(AFTER, broken, HookExecution.ASYNC, name="after"))
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    sms = await rig.channel("sms")
    await rig.agent("ai", [Turn(error="the model is away")])
    await rig.room("r", "web", "ws", "sms", "ai")
    sms.fail(code="provider_down")
    async with rig.rooms.events() as told:
        result = await rig.rooms.process_inbound(said("web", "hi"), "r")
        await rig.settled()
        announced = await drained(told)
    assert result.error == "the model is away"
    assert result.event is not None
    assert list(ws.texts) == ["hi"]
    assert sorted(errors) == [("ai", "generation"), ("system", "hook")]
    failed = {e.channel_id: e.data["code"] for e in announced if e.type == "delivery_failed"}
    assert failed == {"sms": "provider_down", "ai": "agent_failed"}
    kept = await rig.rooms.get_event("r", result.event.id)
    assert {name for name, one in kept.delivery_results.items() if one.error} == {"sms", "ai"}
    after = figures(system, "/rooms/r/hooks")["hooks"][f"{AFTER.value}/after"]
    assert (after["calls"], after["failures"]) == (1, 1)


async def test_b16_a_deciding_hook_that_fails_is_told_and_passed_over(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)

    def broken(event: RoomEvent, context: object) -> HookResult:
        raise ZeroDivisionError

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, broken, name="guard"))
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    async with rig.rooms.events() as told:
        result = await rig.rooms.process_inbound(said("web", "hi"), "r")
        announced = await drained(told)
    hooks = [event.data["hook_name"] for event in announced if event.type == "hook_error"]
    assert hooks == ["guard"]
    assert (result.blocked, list(ws.texts)) == (False, ["hi"])


async def drained(told: Any) -> Sequence[FrameworkEvent]:
    """All that was told so far."""
    events: list[FrameworkEvent] = []
    with trio.move_on_after(0.01):
        while True:
            events.append(await anext(told))
    return events


async def test_b31_every_event_reaches_every_channel_once(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    streaming = await rig.channel("streaming", WS, streams=True)
    plain = await rig.channel("plain", WS)
    plan = Turn(streams=("Let me ", "look.", Use("clock", "5"), Use("clock", "6"), "It is 5."))
    await rig.agent("ai", [plan])
    await rig.room("r", "web", "streaming", "plain", "ai")
    await rig.rooms.process_inbound(said("web", "what time is it?"), "r")
    events = await rig.rooms.get_timeline("r")
    shown = [event.id for event in events if event.visibility == "all"]
    assert len(shown) == 1 + 1 + 4 + 1
    for channel in (streaming, plain):
        brought = [c.event.id for c in channel.calls if not c.event.metadata.get("_segmented")]
        assert brought == shown


async def test_b32_an_injected_event_makes_no_agent_answer(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)

    def inject(event: RoomEvent, context: object) -> HookResult:
        if text_of(event.content) != "hi":
            return HookResult.allow()
        source = EventSource("system", ChannelType.SYSTEM)
        note = RoomEvent("note", "r", source, Text("a note"), event.created_at)
        return HookResult.allow(injected_events=(InjectedEvent(note, ("helper", "ws")),))

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, inject))
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    helper = await rig.agent("helper", ["hello"])
    await rig.room("r", "web", "ws", "helper")
    await rig.rooms.process_inbound(said("web", "hi"), "r")
    assert [text_of(react.event.content) for react in helper.seen] == ["hi"]
    assert sorted(ws.texts) == ["a note", "hello", "hi"]
    await rig.rooms.process_inbound(said("web", "and?"), "r")
    assert helper.histories[-1] == ["hi", "a note", "hello"]


async def test_b13_an_answer_that_is_too_deep_is_shown_to_nobody(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS, streams=True)
    await rig.agent("a", [Turn(streams=("from a",))])
    await rig.agent("b", [Turn(streams=("from b",))])
    await rig.room("r", "web", "ws", "a", "b")
    await rig.rooms.process_inbound(said("web", "hi"), "r")
    events = await rig.rooms.get_timeline("r", WITH_BLOCKED)
    spoken = [event for event in events if event.chain_depth]
    heard = [event for event in spoken if not event.blocked]
    assert {event.blocked_by for event in spoken} == {None, "event_chain_depth_limit"}
    assert len(ws.streams) == len(heard)
    assert all(stream.event is not None for stream in ws.streams)
