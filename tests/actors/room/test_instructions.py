"""Instructions: from the application to agents, and to nobody else."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from actors.machines.room.hooking import Hook, HookResult, HookTrigger, InjectedEvent
from actors.room.agent import conversation
from actors.room.scripted_agent import Turn
from actors.room.testing import RoomRig
from models.conversation import Instruction, UserSaid
from models.rooms.content import Text, text_of
from models.rooms.errors import BadValue, ChannelNotFound
from models.rooms.event import RoomEvent
from models.rooms.kinds import AgentResponsePolicy, ChannelType, EventType
from models.rooms.traffic import InboundMessage
from models.rooms.turns import Answer
from supervision.testing import SystemUnderTest
from transports.stores.backend import EventFilter

WS = ChannelType.WEBSOCKET
INSTRUCTION = EventType.INSTRUCTION
QUIET = AgentResponsePolicy.ADDRESSED_ONLY
BEFORE = HookTrigger.BEFORE_BROADCAST


async def a_room(system: SystemUnderTest) -> tuple[RoomRig, Any, Any, Any]:
    rig = await RoomRig.start(system)
    ws = await rig.channel("ws", WS)
    await rig.channel("app", ChannelType.SYSTEM)
    one, two = await rig.agent("one", ["sure"]), await rig.agent("two", ["me too"])
    await rig.room("r", "ws", "app", "one", "two", agent_response_policy=QUIET)
    return rig, ws, one, two


async def instruct(rig: RoomRig, text: str, *names: str) -> RoomEvent:
    return await rig.rooms.send_event(
        "r", "app", text, event_type=INSTRUCTION, addressed_to=names or None
    )


async def kept(rig: RoomRig) -> list[str]:
    events = await rig.rooms.get_timeline("r", EventFilter(include_blocked=True))
    return [text_of(event.content) for event in events if event.source.channel_id != "system"]


async def test_an_instruction_reaches_whom_it_names_and_leaves_no_trace(
    system: SystemUnderTest,
) -> None:
    rig, ws, one, two = await a_room(system)
    before = (await rig.rooms.get_room("r")).event_count
    event = await instruct(rig, "say something", "one")
    assert event.type is INSTRUCTION
    assert [react.event.type for react in one.seen] == [INSTRUCTION]
    assert two.seen == []
    assert ws.texts == ["sure"]
    assert await kept(rig) == ["sure"]
    assert (await rig.rooms.get_room("r")).event_count == before + 1
    for name in ("ws", "app", "one"):
        seen = await rig.rooms.catch_up("r", name)
        assert "say something" not in [text_of(event.content) for event in seen]


async def test_an_instruction_names_agents_of_the_room(system: SystemUnderTest) -> None:
    rig, _, _, _ = await a_room(system)
    with pytest.raises(BadValue, match="names the agents"):
        await instruct(rig, "x")
    with pytest.raises(BadValue, match="'ws' is no agent"):
        await instruct(rig, "x", "one", "ws")
    with pytest.raises(ChannelNotFound):
        await instruct(rig, "x", "three")


async def test_nobody_else_instructs(system: SystemUnderTest) -> None:
    rig, _, one, two = await a_room(system)
    with pytest.raises(BadValue, match="only the application"):
        await rig.rooms.process_inbound(
            InboundMessage("ws", "ann", Text("x"), INSTRUCTION, addressed_to=("one",)), "r"
        )
    one.plans = [lambda react: Turn((Answer(Text("x"), INSTRUCTION, addressed_to=("two",)),))]
    await instruct(rig, "go", "one")
    assert two.seen == []
    assert await kept(rig) == []


async def test_a_blocked_instruction_is_not_on_record_either(system: SystemUnderTest) -> None:
    rig, _, one, _ = await a_room(system)
    await rig.rooms.add_hook(Hook(BEFORE, lambda event, context: HookResult.block("no")))
    event = await instruct(rig, "x", "one")
    assert event.blocked
    assert one.seen == []
    assert await kept(rig) == []


async def test_a_hook_changes_the_words_of_an_instruction_and_not_what_it_is(
    system: SystemUnderTest,
) -> None:
    rig, ws, one, _ = await a_room(system)

    def swap(event: RoomEvent, context: object) -> HookResult:
        was = event.type is INSTRUCTION
        other = EventType.MESSAGE if was else INSTRUCTION
        return HookResult.modify(attrs.evolve(event, type=other, content=Text("changed")))

    await rig.rooms.add_hook(Hook(BEFORE, swap))
    await instruct(rig, "x", "one")
    (react,) = one.seen
    assert (react.event.type, text_of(react.event.content)) == (INSTRUCTION, "changed")
    assert ws.texts == ["changed"]  # the agent's answer, which stayed a message
    assert await kept(rig) == ["changed"]


async def test_a_hook_that_injects_one_has_it_dropped(system: SystemUnderTest) -> None:
    rig, _, one, two = await a_room(system)

    def inject(event: RoomEvent, context: object) -> HookResult:
        order = attrs.evolve(event, id="order", type=INSTRUCTION, addressed_to=("two",))
        return HookResult.allow(injected_events=(InjectedEvent(order, ("two",)),))

    await rig.rooms.add_hook(Hook(BEFORE, inject))
    await instruct(rig, "x", "one")
    assert len(one.seen) == 1
    assert two.seen == []


async def test_a_model_reads_an_instruction_as_one(system: SystemUnderTest) -> None:
    rig, _, one, _ = await a_room(system)
    await rig.rooms.process_inbound(
        InboundMessage("ws", "ann", Text("hi"), addressed_to=("two",)), "r"
    )
    await instruct(rig, "be brief", "one")
    items = conversation(one.seen[-1], "You are a clerk.", "")
    assert items[0] == Instruction("You are a clerk.")
    assert items[-1] == Instruction("be brief")
    told = [item.text for item in items if isinstance(item, UserSaid)]
    assert told[0].endswith("hi")
