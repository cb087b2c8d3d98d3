"""What the tests of single sentences of the rooms' specification have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import trio

from actors.room.testing import RoomRig
from models.rooms.content import Content, Text
from models.rooms.kinds import ChannelType
from models.rooms.traffic import FrameworkEvent, InboundMessage, InboundResult
from supervision.testing import SystemUnderTest
from transports.channels.scripted import ScriptedChannel

WS = ChannelType.WEBSOCKET


def said(channel_id: str, content: Content | str, **parts: Any) -> InboundMessage:
    """Somebody says something."""
    sender = parts.pop("sender", "user")
    body = Text(content) if isinstance(content, str) else content
    return InboundMessage(channel_id, sender, body, **parts)


async def pair(system: SystemUnderTest, **plan: Any) -> tuple[RoomRig, ScriptedChannel]:
    """A room `r` with the channels `one` and `two`; the second is returned."""
    rig = await RoomRig.start(system, **plan)
    await rig.channel("one", WS)
    two = await rig.channel("two", WS)
    await rig.room("r", "one", "two")
    return rig, two


async def drained(told: AsyncIterator[FrameworkEvent]) -> list[FrameworkEvent]:
    """All that has been told by now."""
    heard: list[FrameworkEvent] = []
    with trio.move_on_after(0.5):
        while True:
            heard.append(await anext(told))
    return heard


def saying(rig: RoomRig, into: list[InboundResult]) -> Callable[..., Any]:
    """For a nursery: say something in `r`, and note what came of it."""

    async def say(content: Content | str, channel_id: str = "one", **parts: Any) -> None:
        result = await rig.rooms.process_inbound(said(channel_id, content, **parts), "r")
        into.append(result)

    return say


def data(events: list[FrameworkEvent], kind: str) -> list[Mapping[str, Any]]:
    """What those of one type say."""
    return [event.data for event in events if event.type == kind]
