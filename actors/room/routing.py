"""Asking the store which room a message belongs to; the rule is `machines/room/routing.py`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, assert_never

from actors.machines.room.routing import BoundTo, LatestOf, Look, Question, Route, route
from models.rooms.info import ChannelInfo
from models.rooms.traffic import InboundMessage
from transports.stores.requests import FindLatestRoom, FindRoomsOfChannel, LoadRoom

Ask = Callable[[Any], Awaitable[Any]]

logger = logging.getLogger("troupe.rooms")


async def room_of(message: InboundMessage, info: ChannelInfo, ask: Ask) -> str | None:
    """The room, or None for a new one."""
    steps = route(info, message.sender_id)
    answer: Any = None
    while True:
        try:
            question = steps.send(answer)
        except StopIteration as end:
            found: Route = end.value
            if found.warning:
                logger.warning("a new room: %s", found.warning)
            return found.room_id
        answer = await _asked(question, ask)


async def _asked(question: Question, ask: Ask) -> Any:
    match question:
        case LatestOf(sender, channel_type, statuses):
            return await ask(FindLatestRoom(sender, channel_type, statuses))
        case BoundTo(channel_id, statuses, limit):
            return await ask(FindRoomsOfChannel(channel_id, statuses, limit))
        case Look(room_id):
            record = await ask(LoadRoom(room_id, window=1))
            return None if record is None else record.context
        case _:
            assert_never(question)
