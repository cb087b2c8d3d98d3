"""Sentences of §4, §6, §9, §38 and §42.7 on rooms that change while something is under way."""

from __future__ import annotations

import pytest
import trio

from actors.room.scripted_agent import Turn
from models.rooms.content import Delete, Edit, Text, text_of
from models.rooms.errors import RoomNotFound
from models.rooms.kinds import EventType, RoomStatus
from models.rooms.traffic import InboundResult
from supervision.testing import SystemUnderTest
from tests.actors.room.spec_rig import WS, data, drained, pair, said, saying

# -- channels come and go --------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [True, False])
async def test_an_agent_that_is_unregistered_ends_its_turn_and_begins_no_other(
    system: SystemUnderTest, streams: bool
) -> None:
    rig, two = await pair(system)
    turn = Turn(streams=("la", "te"), every=2.0) if streams else Turn(("late",), after=4.0)
    agent = await rig.agent("ai", [turn])
    await rig.rooms.attach_channel("r", "ai")
    results: list[InboundResult] = []
    say = saying(rig, results)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(say, "hi")
        await trio.sleep(0.5)
        nursery.start_soon(say, "again")
        await trio.sleep(0.5)
        await rig.rooms.unregister_channel("ai")
    assert two.texts == ["hi", "again", "late"]
    assert len(agent.seen) == 1
    failed = [r.delivery_results["ai"].error for r in results if "ai" in r.delivery_results]
    assert [error.code for error in failed if error] == ["channel_not_registered"]
    room = await rig.rooms.get_room("r")
    assert room.delivered_index == room.latest_index


async def test_a_channel_may_be_registered_again_after_it_went_in_the_middle_of_a_delivery(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)
    two.delay = 3.0
    results: list[InboundResult] = []
    say = saying(rig, results)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(say, "a")
        await trio.sleep(1)
        await rig.rooms.unregister_channel("two")
    assert two.texts == ["a"]  # what it had in hand it has finished
    again = await rig.channel("two", WS)
    await say("b")
    assert again.texts == ["b"]


# -- a room closes ---------------------------------------------------------------------------------


async def test_a_room_that_closes_takes_no_answer_of_a_turn_that_runs(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)
    shows = await rig.channel("shows", WS, streams=True)
    await rig.agent("ai", [Turn(streams=("a", "b", "c"), every=2.0)])
    await rig.rooms.attach_channel("r", "shows")
    await rig.rooms.attach_channel("r", "ai")
    results: list[InboundResult] = []
    async with rig.rooms.events() as told:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(saying(rig, results), "hi")
            await trio.sleep(3)
            await rig.rooms.close_room("r")
        announced = await drained(told)
    assert two.texts == ["hi"]
    assert shows.streams[0].closed
    assert not results[0].blocked
    assert data(announced, "room_refused_event") == [
        {"status": "closed", "event_type": "message", "reentry": True}
    ]
    room = await rig.rooms.get_room("r")
    assert room.delivered_index == room.latest_index
    assert (await rig.rooms.find_rooms())[0] == room


async def test_a_room_with_a_thousand_messages_under_way_is_closed_at_once(
    system: SystemUnderTest,
) -> None:
    rig, two = await pair(system)
    two.delay = 0.01
    results: list[InboundResult] = []
    say = saying(rig, results)
    async with trio.open_nursery() as nursery:
        for number in range(1001):
            nursery.start_soon(say, str(number))
        await rig.settled()
        began = trio.current_time()
        room = await rig.rooms.close_room("r")
        assert trio.current_time() - began < 1
    assert room.status is RoomStatus.CLOSED
    assert len([r for r in results if r.reason == "overloaded"]) == 1
    assert len(two.texts) == len([r for r in results if not r.blocked]) == 1000


async def test_another_organization_does_not_see_the_room(system: SystemUnderTest) -> None:
    rig, _ = await pair(system)
    await rig.rooms.create_room("theirs", organization_id="a")
    assert (await rig.rooms.get_room("theirs", "a")).organization_id == "a"
    with pytest.raises(RoomNotFound) as other:
        await rig.rooms.get_room("theirs", "b")
    with pytest.raises(RoomNotFound) as missing:
        await rig.rooms.get_room("nowhere", "b")
    assert str(other.value) == str(missing.value).replace("nowhere", "theirs")


# -- what was said is gone -------------------------------------------------------------------------


async def test_a_turn_that_waits_reads_nothing_that_was_deleted_meanwhile(
    system: SystemUnderTest,
) -> None:
    rig, _ = await pair(system)
    agent = await rig.agent("ai", [Turn(("one",), after=5.0), "two", "three"])
    await rig.rooms.attach_channel("r", "ai")
    say = saying(rig, [])
    async with trio.open_nursery() as nursery:
        for text in ("secret", "private", "hello"):
            nursery.start_soon(say, text)
            await trio.sleep(1)
        events = {text_of(e.content): e.id for e in await rig.rooms.get_timeline("r")}
        deletion = said("one", Delete(events["secret"]), event_type=EventType.DELETE)
        nursery.start_soon(rig.rooms.process_inbound, deletion, "r")
        await rig.rooms.delete_event("r", events["private"])
    assert agent.histories == [[], [""], [""]]


async def test_who_catches_up_reads_nothing_of_what_was_edited_and_then_deleted(
    system: SystemUnderTest,
) -> None:
    rig, _ = await pair(system)
    first = await rig.rooms.process_inbound(said("one", "secret"), "r")
    other = await rig.rooms.process_inbound(said("one", "public"), "r")
    assert first.event is not None
    assert other.event is not None
    for event, text in ((first.event, "secret 2"), (other.event, "public 2")):
        edit = said("one", Edit(event.id, Text(text)), event_type=EventType.EDIT)
        await rig.rooms.process_inbound(edit, "r")
    deletion = said("one", Delete(first.event.id), event_type=EventType.DELETE)
    await rig.rooms.process_inbound(deletion, "r")
    read = repr([event.content for event in await rig.rooms.catch_up("r", "two")])
    assert "secret" not in read
    assert "public 2" in read
    kept = await rig.rooms.get_event("r", first.event.id)
    assert text_of(kept.content) == "secret 2"


async def test_threads_are_counted_and_markers_never_go_back(system: SystemUnderTest) -> None:
    rig, _ = await pair(system)
    root = await rig.rooms.process_inbound(said("one", "root"), "r")
    assert root.event is not None
    reply = await rig.rooms.process_inbound(said("two", "re", parent_event_id=root.event.id), "r")
    assert reply.event is not None
    last = await rig.rooms.process_inbound(said("one", "re", parent_event_id=reply.event.id), "r")
    assert last.event is not None
    (thread,) = await rig.rooms.get_thread_summaries("r")
    assert (thread.root_event_id, thread.reply_count) == (root.event.id, 2)
    assert await rig.rooms.get_unread_count("r", "one") == 1
    await rig.rooms.mark_read("r", "one", last.event.id)
    await rig.rooms.mark_read("r", "one", root.event.id)
    assert await rig.rooms.get_unread_count("r", "one") == 0
    assert dict(await rig.rooms.list_read_markers("r")) == {"one": last.event.index}


@pytest.mark.parametrize(
    "read",
    [
        "get_timeline",
        "get_thread_summaries",
        "list_read_markers",
        "list_tasks",
        "list_observations",
        "list_members",
    ],
)
async def test_nothing_is_read_of_a_room_that_is_not_there(
    system: SystemUnderTest, read: str
) -> None:
    rig, _ = await pair(system)
    verb = getattr(rig.rooms, read)
    await rig.rooms.create_room("empty")
    assert not await verb("empty")
    with pytest.raises(RoomNotFound):
        await verb("nowhere")
    with pytest.raises(RoomNotFound):
        await rig.rooms.get_unread_count("nowhere", "one")
