"""The worked traces of a room, T1 to T9, T11 and T12."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger, InjectedEvent
from actors.room.scripted_agent import Turn, Use
from actors.room.testing import RoomRig
from models.rooms.content import Media, Text, ToolCall, text_of
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ChannelMediaType,
    ChannelType,
    EventStatus,
    EventType,
    RoomStatus,
)
from models.rooms.room import ChannelCapabilities, RetryPolicy, RoomTimers
from models.rooms.traffic import InboundMessage, Task
from supervision.testing import SystemUnderTest
from transports.stores.backend import EventFilter

WS = ChannelType.WEBSOCKET


def said(channel_id: str, text: str, **parts: Any) -> InboundMessage:
    return InboundMessage(channel_id, "user", Text(text), **parts)


async def messages(rig: RoomRig, room_id: str = "r") -> list[tuple[int, str, str]]:
    """Index, source and text of every message of the timeline."""
    events = await rig.rooms.get_timeline(room_id)
    return [
        (event.index, event.source.channel_id, text_of(event.content))
        for event in events
        if event.type is EventType.MESSAGE
    ]


async def test_t1_a_plain_exchange(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    order: list[str] = []

    def before(event: RoomEvent, context: object) -> HookResult:
        order.append(f"before {text_of(event.content)}")
        return HookResult.allow()

    def after(event: RoomEvent, context: object) -> None:
        order.append(f"after {text_of(event.content)}")

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, before))
    await rig.rooms.add_hook(
        Hook(HookTrigger.AFTER_BROADCAST, after, execution=HookExecution.ASYNC)
    )
    ws = await rig.channel("ws", WS)
    agent = await rig.agent("ai", ["hello"])
    await rig.room("r", "ws", "ai")
    result = await rig.rooms.process_inbound(said("ws", "hi"), "r")
    assert result.event is not None
    assert result.event.status is EventStatus.DELIVERED
    assert agent.histories == [[]]
    assert ws.texts == ["hello"]
    assert order == ["before hi", "after hi", "before hello", "after hello"]
    events = await rig.rooms.get_timeline("r")
    hi, hello = events[-2:]
    assert (hello.index, hello.chain_depth) == (hi.index + 1, 1)
    room = await rig.rooms.get_room("r")
    stored = (await rig.rooms.find_rooms())[0]
    assert stored.delivered_index == room.latest_index == hello.index


@pytest.mark.parametrize(
    ("policy", "deepest"),
    [(AgentResponsePolicy.AGENT_CHAIN, 5), (AgentResponsePolicy.ADDRESSED_ONLY, 1)],
)
async def test_t2_two_agents_answer_each_other_to_a_depth(
    system: SystemUnderTest, policy: AgentResponsePolicy, deepest: int
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    await rig.agent("a", ["from a"])
    await rig.agent("b", ["from b"])
    await rig.room("r", "ws", "a", "b", agent_response_policy=policy)
    await rig.rooms.process_inbound(said("ws", "hi"), "r")
    events = await rig.rooms.get_timeline("r", EventFilter(include_blocked=True))
    talk = [event for event in events if event.type is EventType.MESSAGE]
    assert max(event.chain_depth for event in talk) == deepest
    blocked = [event for event in talk if event.blocked]
    assert all(event.blocked_by == "event_chain_depth_limit" for event in blocked)
    assert {event.chain_depth for event in blocked} == ({5} if deepest == 5 else set())
    seen = await rig.rooms.list_observations("r")
    assert len(seen) == len(blocked)
    assert [event.index for event in events] == list(range(len(events)))


async def test_t3_a_hook_blocks_and_adds_a_notice(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    after: list[str] = []

    def block(event: RoomEvent, context: Any) -> HookResult:
        notice = RoomEvent(
            "notice",
            "r",
            EventSource("system", ChannelType.SYSTEM),
            Text("not like that"),
            event.created_at,
        )
        task = Task("t1", "r", "look at it", event.created_at)
        return HookResult.block(
            "rude", injected_events=(InjectedEvent(notice, ("ws",)),), tasks=(task,)
        )

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, block, name="manners"))
    await rig.rooms.add_hook(
        Hook(HookTrigger.AFTER_BROADCAST, lambda e, c: after.append(e.id), HookExecution.ASYNC)
    )
    ws = await rig.channel("ws", WS)
    other = await rig.channel("ws2", WS)
    agent = await rig.agent("ai", ["hello"])
    await rig.room("r", "ws", "ws2", "ai")
    result = await rig.rooms.process_inbound(said("ws", "hi"), "r")
    assert result.blocked
    assert result.event is not None
    assert result.event.blocked_by == "manners"
    assert (ws.texts, other.texts, agent.seen) == (["not like that"], [], [])
    assert [task.id for task in await rig.rooms.list_tasks("r")] == ["t1"]
    assert result.event.id not in after
    notice = await rig.rooms.get_event("r", "notice")
    assert notice.index == result.event.index + 1


async def test_t4_the_same_key_ten_times_is_one_message(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    other = await rig.channel("ws2", WS)
    await rig.room("r", "ws", "ws2")
    ids: list[str] = []

    async def send() -> None:
        result = await rig.rooms.process_inbound(said("ws", "hi", idempotency_key="k"), "r")
        assert result.event is not None
        ids.append(result.event.id)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(send)
    assert len(ids) == 10
    assert len(set(ids)) == 1
    assert other.texts == ["hi"]
    assert len(await messages(rig)) == 1


async def test_t5_a_read_only_source_is_recorded_and_not_heard(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)

    def file_task(event: RoomEvent, context: object) -> HookResult:
        return HookResult.allow(tasks=(Task("t", "r", "note", event.created_at),))

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, file_task))
    await rig.channel("ws", WS)
    other = await rig.channel("ws2", WS)
    await rig.room("r", "ws", "ws2")
    await rig.rooms.set_access("r", "ws", Access.READ_ONLY)
    result = await rig.rooms.process_inbound(said("ws", "hi"), "r")
    assert (result.blocked, result.reason) == (True, "source_read_only")
    assert other.texts == []
    assert len(await rig.rooms.list_tasks("r")) == 1


async def test_t6_a_muted_agent_thinks_and_is_not_heard(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    ws = await rig.channel("ws", WS)
    plan = Turn(
        ("hello",), tasks=(lambda react: Task("t", "r", "call back", react.event.created_at),)
    )
    agent = await rig.agent("ai", [plan])
    await rig.room("r", "ws", "ai")
    await rig.rooms.mute("r", "ai")
    await rig.rooms.process_inbound(said("ws", "hi"), "r")
    assert len(agent.seen) == 1
    assert ws.texts == []
    assert [task.title for task in await rig.rooms.list_tasks("r")] == ["call back"]
    events = await rig.rooms.get_timeline("r", EventFilter(include_blocked=True))
    assert [event.blocked_by for event in events if event.blocked] == ["source_muted"]


async def test_t7_what_is_for_two_channels_reaches_those_and_no_memory(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    one = await rig.channel("ws1", WS)
    sms = await rig.channel("sms1")
    third = await rig.channel("ws3", WS)
    agent = await rig.agent("ai", ["ok"])
    await rig.room("r", "ws", "ws1", "sms1", "ws3", "ai")
    await rig.rooms.process_inbound(said("ws", "secret", visibility="ws1, sms1"), "r")
    assert (one.texts, sms.texts, third.texts) == (["secret"], ["secret"], [])
    assert agent.seen == []
    await rig.rooms.process_inbound(said("ws", "hello"), "r")
    assert agent.histories == [[]]


async def test_t8_what_a_channel_cannot_carry_is_made_text_and_cut(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    short = ChannelCapabilities((ChannelMediaType.TEXT,), max_length=160)
    sms = await rig.channel("sms", capabilities=short)
    await rig.room("r", "ws", "sms")
    cat = Media("https://example.org/cat.jpg", "image/jpeg", filename="cat.jpg")
    await rig.rooms.process_inbound(InboundMessage("ws", "user", cat), "r")
    await rig.rooms.process_inbound(said("ws", "x" * 200), "r")
    assert sms.texts == ["[Media: cat.jpg]", "x" * 157 + "..."]


async def test_t9_a_gateway_that_fails_is_left_alone_for_a_minute(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    sms = await rig.channel("sms")
    await rig.room("r", "ws", "sms")
    sms.fail(5)
    for number in range(6):
        result = await rig.rooms.process_inbound(said("ws", f"{number}"), "r")
    error = result.delivery_results["sms"].error
    assert error is not None
    assert (error.code, error.message) == ("DeliveryFailed", "circuit_breaker_open")
    assert len(sms.calls) == 5
    await trio.sleep(60)
    result = await rig.rooms.process_inbound(said("ws", "probe"), "r")
    assert result.delivery_results["sms"].error is None
    assert sms.texts[-1] == "probe"


async def test_t11_an_answer_with_a_tool_in_its_middle(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    ws = await rig.channel("ws", WS, streams=True)
    plain = await rig.channel("plain", WS)
    plan = Turn(streams=("Let me ", "check.", Use("clock", "5"), "It is 5."))
    await rig.agent("ai", [plan])
    await rig.room("r", "ws", "plain", "ai")
    await rig.rooms.process_inbound(said("ws", "what time is it?"), "r")
    events = [e for e in await rig.rooms.get_timeline("r") if e.correlation_id is not None]
    kinds = [event.type for event in events]
    assert kinds == [
        EventType.MESSAGE,
        EventType.TOOL_CALL_START,
        EventType.TOOL_CALL_END,
        EventType.MESSAGE,
    ]
    assert len({event.correlation_id for event in events}) == 1
    assert all(event.chain_depth == 1 for event in events)
    assert isinstance(events[2].content, ToolCall)
    assert events[2].content.result == "5"
    stream = ws.streams[0]
    assert "".join(text for _, text in stream.pieces) == "Let me check.It is 5."
    assert stream.closed
    assert stream.event is not None
    assert stream.event.metadata.get("_segmented")
    heard = [call.event.id for call in plain.calls]
    assert heard[-4:] == [event.id for event in events]
    brought = [c.event.id for c in ws.calls if not c.event.metadata.get("_segmented")]
    assert brought == [event.id for event in events]


async def test_an_answer_without_tools_ends_its_stream(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    ws = await rig.channel("ws", WS, streams=True)
    plain = await rig.channel("plain", WS)
    await rig.agent("ai", [Turn(streams=("It ", "is ", "5."), every=0.1)])
    await rig.room("r", "ws", "plain", "ai")
    await rig.rooms.process_inbound(said("ws", "what time is it?"), "r")
    (stream,) = ws.streams
    assert [text for _, text in stream.pieces] == ["It ", "is ", "5."]
    assert stream.event is not None
    assert text_of(stream.event.content) == "It is 5."
    assert plain.texts[-1] == "It is 5."
    assert ws.texts == ["It is 5."]


async def test_t12_an_idle_room_is_paused_and_closed(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    timers = RoomTimers(inactive_after_seconds=60, closed_after_seconds=300)
    await rig.room("r", timers=timers)
    await rig.rooms.attach_channel("r", "ws")
    await rig.rooms.process_inbound(said("ws", "hi"), "r")
    await trio.sleep(60)
    assert (await rig.rooms.get_room("r")).status is RoomStatus.ACTIVE
    await trio.sleep(1)
    assert (await rig.rooms.find_rooms())[0].status is RoomStatus.PAUSED
    await trio.sleep(240)
    assert (await rig.rooms.find_rooms())[0].status is RoomStatus.CLOSED
    result = await rig.rooms.process_inbound(said("ws", "anybody?"), "r")
    assert (result.blocked, result.reason, result.event) == (True, "room_closed", None)


async def test_a_paused_room_is_in_use_again_with_the_next_message(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    await rig.room("r", "ws")
    await rig.rooms.pause_room("r")
    await rig.rooms.process_inbound(said("ws", "hi"), "r")
    assert (await rig.rooms.get_room("r")).status is RoomStatus.ACTIVE


async def test_a_failure_worth_a_retry_is_tried_again(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", WS)
    sms = await rig.channel("sms")
    await rig.room("r", "ws")
    await rig.rooms.attach_channel("r", "sms", retry_policy=RetryPolicy(max_retries=3))
    sms.fail(2)
    result = await rig.rooms.process_inbound(said("ws", "hi"), "r")
    assert result.delivery_results["sms"].error is None
    assert [call.at for call in sms.calls] == pytest.approx([0.0, 1.0, 3.0], abs=0.01)
    sms.fail(1, retryable=False)
    result = await rig.rooms.process_inbound(said("ws", "again"), "r")
    assert result.delivery_results["sms"].error is not None
    assert len(sms.calls) == 4
