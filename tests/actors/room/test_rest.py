"""Rooms that nobody needs are put away, and are there again when somebody does."""

from __future__ import annotations

from typing import Any

import trio

from actors.machines.room.hooking import Hook, HookTrigger
from actors.room.testing import RoomRig
from models.rooms.content import Text
from models.rooms.kinds import ChannelType
from models.rooms.room import RoomTimers
from models.rooms.traffic import InboundMessage
from supervision.testing import SystemUnderTest

WS = ChannelType.WEBSOCKET


def said(text: str) -> InboundMessage:
    return InboundMessage("ws", "user", Text(text))


async def rig_with_room(system: SystemUnderTest, **parts: Any) -> RoomRig:
    rig = await RoomRig.start(system, rest_after=60.0)
    await rig.channel("ws", WS)
    await rig.agent("ai", ["hello"])
    await rig.room("r", "ws", "ai", **parts)
    await rig.rooms.process_inbound(said("hi"), "r")
    return rig


async def test_a_room_that_nobody_uses_goes_with_all_its_actors(system: SystemUnderTest) -> None:
    await rig_with_room(system)
    assert system.find("/rooms/r/agent.ai") is not None
    await trio.sleep(130)
    assert system.find("/rooms/r") is None
    assert system.find("/rooms/r/agent.ai") is None


async def test_it_comes_back_with_the_next_message_and_remembers(system: SystemUnderTest) -> None:
    rig = await rig_with_room(system)
    before = (await rig.rooms.get_room("r")).latest_index
    await trio.sleep(130)
    result = await rig.rooms.process_inbound(said("again"), "r")
    assert result.event is not None
    assert result.event.index == before + 1


async def test_it_comes_back_for_a_verb(system: SystemUnderTest) -> None:
    rig = await rig_with_room(system)
    await trio.sleep(130)
    await rig.rooms.mute("r", "ai")
    assert (await rig.rooms.look("r")).get_binding("ai") is not None


async def test_who_comes_while_it_goes_is_served_all_the_same(system: SystemUnderTest) -> None:
    rig = await rig_with_room(system)
    done: list[int] = []

    async def use(number: int) -> None:
        await trio.sleep(59.9 + number * 0.001)
        result = await rig.rooms.process_inbound(said(str(number)), "r")
        assert result.event is not None
        done.append(result.event.index)
        await rig.rooms.look("r")

    async with trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(use, number)
    assert len(set(done)) == 200


async def test_rooms_with_timers_or_hooks_of_their_own_stay(system: SystemUnderTest) -> None:
    rig = await rig_with_room(system, timers=RoomTimers(closed_after_seconds=10_000))
    await rig.room("hooked", "ws")
    await rig.rooms.add_room_hook("hooked", Hook(HookTrigger.ON_ERROR, lambda e, c: None))
    await trio.sleep(500)
    assert system.find("/rooms/r/room") is not None
    assert system.find("/rooms/hooked/room") is not None
