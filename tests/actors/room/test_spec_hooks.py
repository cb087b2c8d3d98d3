"""Sentences of §13 and §42.8: in what order hooks are asked, what of them takes the room's time,
and what they may say themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import trio

from actors.machines.room.core import RoomSettings
from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger
from models.rooms.content import Text, text_of
from models.rooms.errors import ReentrantCall
from models.rooms.event import RoomEvent
from models.rooms.kinds import RoomStatus
from models.rooms.traffic import InboundResult, Observation, Task
from supervision.testing import SystemUnderTest
from tests.actors.room.spec_rig import data, drained, pair, said, saying
from transports.stores.backend import EventFilter, Page

BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST
WITH_BLOCKED = EventFilter(include_blocked=True)


def noting(name: str, into: list[str]) -> Callable[[RoomEvent, object], HookResult]:
    def note(event: RoomEvent, context: object) -> HookResult:
        into.append(name)
        return HookResult.allow()

    return note


async def test_priority_goes_first_then_the_node_then_the_room(system: SystemUnderTest) -> None:
    rig, _ = await pair(system)
    asked: list[str] = []
    await rig.rooms.add_room_hook("r", Hook(BEFORE, noting("room", asked), name="a"))
    await rig.rooms.add_hook(Hook(BEFORE, noting("node", asked), name="b"))
    first = Hook(BEFORE, noting("first", asked), name="c", priority=-1)
    await rig.rooms.add_room_hook("r", first)
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert asked == ["first", "node", "room"]


async def test_failures_are_told_by_name_and_without_what_was_said(
    system: SystemUnderTest,
) -> None:
    rig, _ = await pair(system)

    async def slow(event: RoomEvent, context: object) -> HookResult:
        await trio.sleep(100)
        return HookResult.allow()

    def broken(event: RoomEvent, context: object) -> HookResult:
        raise ValueError(text_of(event.content))

    await rig.rooms.add_hook(Hook(BEFORE, slow, timeout=1))
    await rig.rooms.add_hook(Hook(BEFORE, broken))
    async with rig.rooms.events() as told:
        await rig.rooms.process_inbound(said("one", "hi"), "r")
        announced = await drained(told)
    trigger = BEFORE.value
    assert data(announced, "hook_timeout") == [
        {"hook_name": "slow", "trigger": trigger, "timeout": 1}
    ]
    assert data(announced, "hook_error") == [
        {"hook_name": "slow", "trigger": trigger, "error": "timed_out"},
        {"hook_name": "broken", "trigger": trigger, "error": "ValueError"},
    ]


# -- before the lock -------------------------------------------------------------------------------


async def test_a_hook_that_needs_no_lock_holds_up_nobody_else(system: SystemUnderTest) -> None:
    rig, two = await pair(system)
    asked: list[str] = []

    async def slow(event: RoomEvent, context: object) -> HookResult:
        if text_of(event.content) == "slow":
            await trio.sleep(10)
        asked.append("early")
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, noting("late", asked), priority=-1))
    await rig.rooms.add_hook(Hook(BEFORE, slow, needs_lock=False))
    results: list[InboundResult] = []
    say = saying(rig, results)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: say("slow", sender="a"))
        await trio.sleep(1)
        await say("quick", sender="b")
        assert trio.current_time() < 2
    assert two.texts == ["quick", "slow"]
    assert asked == ["early", "late", "early", "late"]


async def test_what_hooks_before_the_lock_and_in_it_say_counts_together(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)

    def early(event: RoomEvent, context: object) -> HookResult:
        task = Task("t", "r", "look", event.created_at)
        return HookResult.modify(_with(event, "early"), tasks=(task,))

    def late(event: RoomEvent, context: object) -> HookResult:
        seen = Observation("o", "r", "one", "noted", event.created_at)
        return HookResult.modify(_with(event, "late"), observations=(seen,))

    await rig.rooms.add_hook(Hook(BEFORE, early, needs_lock=False))
    await rig.rooms.add_hook(Hook(BEFORE, late))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    await rig.rooms.send_event("r", "one", "ho")
    assert two.texts == ["hi early late", "ho early late"]
    assert len(await rig.rooms.list_tasks("r")) == 1
    assert len(await rig.rooms.list_observations("r")) == 1


def _with(event: RoomEvent, word: str) -> RoomEvent:
    return attrs.evolve(event, content=Text(f"{text_of(event.content)} {word}"))


async def test_what_a_hook_blocks_before_the_lock_is_on_record_as_it_came(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)
    asked: list[str] = []

    def guard(event: RoomEvent, context: object) -> HookResult:
        return HookResult.block("rude")

    await rig.rooms.add_hook(Hook(BEFORE, guard, needs_lock=False))
    await rig.rooms.add_hook(Hook(BEFORE, noting("late", asked)))
    result = await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert result.event is not None
    assert (result.reason, result.event.blocked_by) == ("rude", "guard")
    assert (two.texts, asked) == ([], [])


@pytest.mark.parametrize("needs_lock", [True, False])
async def test_a_hook_may_speak_as_the_sender_of_what_it_is_asked_about(
    system: SystemUnderTest, needs_lock: bool
) -> None:
    rig, two = await pair(system)

    async def ahead(event: RoomEvent, context: object) -> HookResult:
        if text_of(event.content) == "hi":
            await rig.rooms.send_event("r", "one", "sent", participant_id="user")
            await rig.rooms.process_inbound(said("one", "came"), "r")
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, ahead, needs_lock=needs_lock))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert trio.current_time() < 1
    assert two.texts == ["sent", "came", "hi"]


async def test_a_hook_before_the_lock_has_the_time_of_its_message(system: SystemUnderTest) -> None:
    rig, _ = await pair(system, settings=RoomSettings(process_timeout=2.0))

    async def slow(event: RoomEvent, context: object) -> HookResult:
        await trio.sleep(100)
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, slow, needs_lock=False, timeout=200))
    result = await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert (result.reason, result.event, trio.current_time()) == ("process_timeout", None, 2.0)


# -- hooks that speak ------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["send", "inbound"])
async def test_a_hook_that_watches_speaks_without_waiting_for_itself(
    system: SystemUnderTest, door: str
) -> None:
    rig, two = await pair(system)

    async def seen(event: RoomEvent, context: object) -> None:
        if text_of(event.content) != "hi":
            return
        if door == "send":
            await rig.rooms.send_event("r", "one", "seen")
        else:
            await rig.rooms.process_inbound(said("one", "seen"), "r")

    await rig.rooms.add_hook(Hook(AFTER, seen, HookExecution.ASYNC))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    await two.wait_delivered(2)
    assert trio.current_time() < 1
    assert two.texts == ["hi", "seen"]
    depths = [e.chain_depth for e in await rig.rooms.get_timeline("r")]
    assert depths[-2:] == [0, 1]


@pytest.mark.parametrize("door", ["send", "inbound", "routed"])
async def test_a_hook_that_answers_itself_comes_to_an_end(
    system: SystemUnderTest, door: str
) -> None:
    rig, _ = await pair(system)

    async def again(event: RoomEvent, context: object) -> None:
        if door == "send":
            await rig.rooms.send_event("r", "one", "again")
        else:
            await rig.rooms.process_inbound(
                said("one", "again"), "r" if door == "inbound" else None
            )

    await rig.rooms.add_hook(Hook(AFTER, again, HookExecution.ASYNC))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    await trio.sleep(1)
    talk = (await rig.rooms.get_timeline("r", WITH_BLOCKED))[2:]  # after the channels were attached
    assert [(e.chain_depth, e.blocked_by) for e in talk] == [
        *((depth, None) for depth in range(5)),
        (5, "event_chain_depth_limit"),
    ]


async def test_a_hook_that_asks_itself_spends_the_budget_of_the_message_and_no_more(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)

    async def twice(event: RoomEvent, context: object) -> HookResult:
        for _ in range(2):
            await rig.rooms.send_event("r", "one", "more")
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, twice))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    events = await rig.rooms.get_timeline("r", WITH_BLOCKED, Page(limit=500))
    more = [e for e in events if text_of(e.content) == "more"]
    assert len([e for e in more if not e.blocked]) == 50
    assert {e.blocked_by for e in more if e.blocked} == {"reentry_loop_cap"}
    assert two.texts[-1] == "hi"


async def test_a_hook_that_its_room_waits_for_names_the_room_it_speaks_into(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)
    refused: list[str] = []

    async def ask(event: RoomEvent, context: object) -> HookResult:
        try:
            await rig.rooms.process_inbound(said("one", "where?"))
        except ReentrantCall as error:
            refused.append(str(error))
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, ask))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert trio.current_time() < 1
    assert two.texts == ["hi"]
    (words,) = refused
    assert "'ask'" in words


async def test_a_hook_that_its_room_waits_for_may_look_at_it_and_change_nothing_else(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)
    refused: list[str] = []
    seen: list[int] = []

    async def ask(event: RoomEvent, context: object) -> HookResult:
        seen.append((await rig.rooms.get_room("r")).latest_index)
        rooms = rig.rooms
        changes = (
            lambda: rooms.mute("r", "two"),
            lambda: rooms.add_task("r", "t"),
            lambda: rooms.post("r", "x"),
            lambda: rooms.close_room("r"),
            lambda: rooms.regenerate_response("r"),
        )
        for change in changes:
            try:
                await change()
            except ReentrantCall as error:
                refused.append(error.hook)
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, ask))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert trio.current_time() < 1
    assert (seen, refused, two.texts) == ([1], ["ask"] * 5, ["hi"])


async def test_a_hook_that_watches_may_change_its_room(system: SystemUnderTest) -> None:
    rig, _ = await pair(system)

    async def close(event: RoomEvent, context: object) -> None:
        await rig.rooms.close_room("r")

    await rig.rooms.add_hook(Hook(AFTER, close, HookExecution.ASYNC))
    await rig.rooms.process_inbound(said("one", "hi"), "r")
    assert (await rig.rooms.get_room("r")).status is RoomStatus.CLOSED
    assert trio.current_time() < 1
