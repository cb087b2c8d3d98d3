"""What belongs to one organization is not there for another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actors.room.conversations import Conversations
from actors.room.testing import RoomRig
from models.rooms.content import Text
from models.rooms.errors import IdentityNotFound, RoomNotFound
from models.rooms.identity import Identity
from models.rooms.kinds import Access, ChannelType
from models.rooms.traffic import InboundMessage
from supervision.testing import SystemUnderTest

Verb = Callable[[Conversations], Awaitable[Any]]

VERBS: dict[str, Verb] = {
    "get_room": lambda rooms: rooms.get_room("r"),
    "close_room": lambda rooms: rooms.close_room("r"),
    "attach_channel": lambda rooms: rooms.attach_channel("r", "ws"),
    "set_access": lambda rooms: rooms.set_access("r", "ws", Access.NONE),
    "send_event": lambda rooms: rooms.send_event("r", "ws", "hi"),
    "process_inbound": lambda rooms: rooms.process_inbound(
        InboundMessage("ws", "u", Text("hi")), "r"
    ),
    "post": lambda rooms: rooms.post("r", "hi"),
    "deliver": lambda rooms: rooms.deliver("r", "hi"),
    "get_timeline": lambda rooms: rooms.get_timeline("r"),
    "catch_up": lambda rooms: rooms.catch_up("r", "ws"),
    "get_event": lambda rooms: rooms.get_event("r", "e"),
    "mark_read": lambda rooms: rooms.mark_read("r", "ws", "e"),
    "mark_all_read": lambda rooms: rooms.mark_all_read("r", "ws"),
    "get_unread_count": lambda rooms: rooms.get_unread_count("r", "ws"),
    "list_tasks": lambda rooms: rooms.list_tasks("r"),
    "add_member": lambda rooms: rooms.add_member("r", "ws", "u"),
    "delete_event": lambda rooms: rooms.delete_event("r", "e"),
    "cancel_delivery": lambda rooms: rooms.cancel_delivery("r", "k"),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
async def test_another_organization_finds_no_such_room(system: SystemUnderTest, verb: Verb) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", ChannelType.WEBSOCKET)
    ours, theirs = rig.rooms.of("acme"), rig.rooms.of("other")
    await ours.create_room("r")
    await ours.attach_channel("r", "ws")
    before = await ours.get_room("r")
    with pytest.raises(RoomNotFound):
        await verb(theirs)
    assert await ours.get_room("r") == before


async def test_lists_searches_and_identities_are_of_one_organization(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", ChannelType.WEBSOCKET)
    ours, theirs = rig.rooms.of("acme"), rig.rooms.of("other")
    await ours.create_room("r")
    await ours.attach_channel("r", "ws")
    await ours.send_event("r", "ws", "a red umbrella")
    await ours.put_identity(Identity("ada"))
    await ours.link_address("ada", ChannelType.SMS, "+15550100")
    assert [room.id for room in await ours.find_rooms()] == ["r"]
    assert len(await ours.search("umbrella")) == 1
    assert await ours.resolve_identity(ChannelType.SMS, "+15550100") is not None
    assert await theirs.find_rooms() == ()
    assert len(await theirs.search("umbrella")) == 0
    assert await theirs.get_identity("ada") is None
    assert await theirs.resolve_identity(ChannelType.SMS, "+15550100") is None
    with pytest.raises(IdentityNotFound):
        await theirs.link_address("ada", ChannelType.SMS, "+15550101")
