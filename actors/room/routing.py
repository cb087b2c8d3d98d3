"""Asking the store which room a message belongs to; the rule is `machines/room/routing.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from models.rooms.info import ChannelInfo
from models.rooms.kinds import RoomStatus
from models.rooms.traffic import InboundMessage
from transports.stores.requests import FindLatestRoom

Ask = Callable[[Any], Awaitable[Any]]


async def room_of(message: InboundMessage, info: ChannelInfo, ask: Ask) -> str | None:
    """The room, or None for a new one."""
    room = await ask(
        FindLatestRoom(message.sender_id, info.type, (RoomStatus.ACTIVE, RoomStatus.PAUSED))
    )
    return room.id if room is not None else None
