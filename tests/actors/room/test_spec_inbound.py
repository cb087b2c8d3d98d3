"""Sentences of §8 to §11, §14 and §42 about what comes in, each tried on the product."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import pytest
import trio

from actors.machines.room.core import PersistencePolicy, RoomSettings
from actors.machines.room.hooking import Hook, HookResult, HookTrigger, InjectedEvent
from actors.room.scripted_agent import Turn
from actors.room.testing import RoomRig
from models.rooms.content import Content, Edit, Text, text_of
from models.rooms.errors import BadValue
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType, EventType
from models.rooms.traffic import InboundResult
from models.rooms.turns import Answer
from supervision.testing import SystemUnderTest
from tests.actors.room.spec_rig import WS, data, drained, pair, said, saying

BEFORE = HookTrigger.BEFORE_BROADCAST
EDIT = EventType.EDIT


@pytest.mark.parametrize("scope", ["", "internal"])
async def test_answers_for_nobody_are_asked_for_by_no_such_word(
    system: SystemUnderTest, scope: str
) -> None:
    rig, two = await pair(system)
    before = await rig.rooms.get_room("r")
    with pytest.raises(BadValue, match="response_visibility"):
        await rig.rooms.process_inbound(said("one", "hi", response_visibility=scope), "r")
    with pytest.raises(BadValue, match="response_visibility"):
        await rig.rooms.send_event("r", "one", "hi", response_visibility=scope)
    assert two.texts == []
    assert await rig.rooms.get_room("r") == before


async def test_a_bad_first_word_makes_no_room(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("one", WS)
    with pytest.raises(BadValue):
        await rig.rooms.process_inbound(said("one", "hi", response_visibility=""))
    assert await rig.rooms.find_rooms() == ()


async def test_nothing_comes_in_by_an_agent(system: SystemUnderTest) -> None:
    rig, two = await pair(system)
    await rig.agent("ai", ["hello"])
    await rig.rooms.attach_channel("r", "ai")
    with pytest.raises(BadValue, match="agent"):
        await rig.rooms.process_inbound(said("ai", "I am the agent"), "r")
    assert two.texts == []


@pytest.mark.parametrize(
    ("kind", "started"), [(ChannelType.VOICE, 0), (ChannelType.REALTIME_VOICE, 0), (WS, 1)]
)
async def test_a_first_word_starts_a_session_unless_its_channel_has_sessions_of_its_own(
    system: SystemUnderTest, kind: ChannelType, started: int
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("one", kind)
    async with rig.rooms.events() as told:
        await rig.rooms.process_inbound(said("one", "hi"))
        announced = await drained(told)
    assert len(data(announced, "room_created")) == 1
    assert len(data(announced, "session_started")) == started


@pytest.mark.parametrize("seconds", [0.1, 1 / 3, 0.7, 30.0])
async def test_what_takes_too_long_leaves_nothing_and_is_told_once(
    system: SystemUnderTest, seconds: float
) -> None:
    rig, two = await pair(system, settings=RoomSettings(process_timeout=seconds))

    async def slow(event: RoomEvent, context: object) -> HookResult:
        await trio.sleep(100)
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, slow, timeout=200))
    before = await rig.rooms.get_room("r")
    async with rig.rooms.events() as told:
        result = await rig.rooms.process_inbound(said("one", "hi"), "r")
        announced = await drained(told)
    assert (result.blocked, result.reason, result.event) == (True, "process_timeout", None)
    assert data(announced, "process_timeout") == [{"timeout": seconds}]
    assert await rig.rooms.get_room("r") == before
    assert two.texts == []


async def test_the_key_of_what_a_hook_adds_makes_no_replay_of_the_message(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)

    def add(event: RoomEvent, context: object) -> HookResult:
        source = EventSource("system", ChannelType.SYSTEM)
        notice = RoomEvent(f"n-{event.id}", "r", source, Text("notice"), event.created_at)
        notice = attrs.evolve(notice, idempotency_key="once")
        return HookResult.allow(injected_events=(InjectedEvent(notice, ("one",)),))

    await rig.rooms.add_hook(Hook(BEFORE, add))
    for text in ("a", "b"):
        await rig.rooms.process_inbound(said("one", text), "r")
    assert two.texts == ["a", "b"]


async def test_what_is_not_kept_is_brought_in_its_place(system: SystemUnderTest) -> None:
    policy = PersistencePolicy(frozenset({EventType.TYPING}))
    rig, two = await pair(system, settings=RoomSettings(persistence=policy))
    two.delay = 1.0
    before = await rig.rooms.get_room("r")
    results: list[InboundResult] = []
    say = saying(rig, results)
    async with trio.open_nursery() as nursery:
        for number, kind in enumerate((EventType.MESSAGE, EventType.TYPING, EventType.MESSAGE)):
            nursery.start_soon(partial(say, str(number), event_type=kind))
            await trio.sleep(0.1)
    assert two.texts == ["0", "1", "2"]
    after = await rig.rooms.get_room("r")
    assert after.event_count == before.event_count + 2
    assert after.delivered_index == after.latest_index


async def test_the_same_id_on_another_channel_is_another_person(system: SystemUnderTest) -> None:
    rig, _ = await pair(system)
    first = await rig.rooms.process_inbound(said("one", "mine", sender="42"), "r")
    assert first.event is not None
    forged = said("two", Edit(first.event.id, Text("forged")), sender="42", event_type=EDIT)
    result = await rig.rooms.process_inbound(forged, "r")
    assert (result.blocked, result.reason) == (True, "not_original_author")
    await rig.rooms.ensure_participant("r", "one", "42")
    await rig.rooms.ensure_participant("r", "two", "42")
    result = await rig.rooms.process_inbound(forged, "r")
    assert not result.blocked


@pytest.mark.parametrize("content", [Text("cleaned"), Edit("nothing", Text("cleaned"))])
async def test_a_hook_that_makes_something_else_of_an_edit_deletes_nothing(
    system: SystemUnderTest, content: Content
) -> None:
    rig, _ = await pair(system)

    def clean(event: RoomEvent, context: object) -> HookResult:
        if event.type is not EDIT:
            return HookResult.allow()
        return HookResult.modify(attrs.evolve(event, content=content))

    await rig.rooms.add_hook(Hook(BEFORE, clean))
    first = await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert first.event is not None
    edit = said("one", Edit(first.event.id, Text("bad")), event_type=EDIT)
    result = await rig.rooms.process_inbound(edit, "r")
    assert result.reason == "target_event_not_found"
    kept = await rig.rooms.get_event("r", first.event.id)
    assert (text_of(kept.content), dict(kept.metadata)) == ("hi", {})


async def test_a_hook_may_let_an_edit_pass_as_a_message(system: SystemUnderTest) -> None:
    rig, two = await pair(system)

    def plain(event: RoomEvent, context: object) -> HookResult:
        message = attrs.evolve(event, type=EventType.MESSAGE, content=Text("instead"))
        return HookResult.modify(message) if event.type is EDIT else HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, plain))
    first = await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert first.event is not None
    edit = said("one", Edit(first.event.id, Text("bad")), event_type=EDIT)
    await rig.rooms.process_inbound(edit, "r")
    kept = await rig.rooms.get_event("r", first.event.id)
    assert (text_of(kept.content), dict(kept.metadata)) == ("hi", {})
    assert two.texts == ["hi", "instead"]


async def test_an_answer_that_is_turned_down_costs_neither_the_others_nor_the_next_turn(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)
    wrong = Answer(Edit("nothing", Text("x")), EDIT)
    await rig.agent("ai", [Turn((wrong, "right")), "next"])
    await rig.rooms.attach_channel("r", "ai")
    result = await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert result.error == "target_event_not_found"
    await rig.rooms.process_inbound(said("one", "again"), "r")
    assert two.texts == ["hi", "right", "again", "next"]


async def test_what_a_binding_says_of_visibility_is_on_what_is_brought(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("one", WS)
    two = await rig.channel("two", WS)
    await rig.room("r", "two")
    await rig.rooms.attach_channel("r", "one", visibility="transport")
    result: Any = await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert two.delivered[0].event.visibility == "transport"
    # On record too: whoever opens the binding later does not show what was whispered by it.
    assert (await rig.rooms.get_event("r", result.event.id)).visibility == "transport"
