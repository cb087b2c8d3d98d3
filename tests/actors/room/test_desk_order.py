"""Messages of one sender keep their order, whatever has to be done before a room can take them."""

from __future__ import annotations

from actors.room.testing import RoomRig
from models.rooms.channel import Receive
from models.rooms.content import Text, text_of
from models.rooms.kinds import ChannelType, EventType
from models.rooms.traffic import InboundMessage
from supervision.testing import SystemUnderTest


async def said_in_order(rig: RoomRig, room_id: str) -> None:
    replies = [
        rig.rooms.desk.ask(Receive(InboundMessage("ws", "ada", Text(f"{number}")), room_id))
        for number in range(30)
    ]
    for reply in replies:
        await reply
    events = await rig.rooms.get_timeline(room_id)
    talk = [text_of(event.content) for event in events if event.type is EventType.MESSAGE]
    assert talk == [f"{number}" for number in range(30)]


async def test_while_the_room_is_opened(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", ChannelType.WEBSOCKET)
    await rig.room("r", "ws")
    await system.stop("/rooms/r")
    await said_in_order(rig, "r")


async def test_while_the_room_is_made(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", ChannelType.WEBSOCKET)
    await said_in_order(rig, "new")
