"""Rooms, bindings and events as channels meet them, and a desk that keeps what it is given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs

from models.rooms.channel import Deliver, DeskMessage, Receive, Report
from models.rooms.content import Content, Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType
from models.rooms.room import ChannelBinding
from models.rooms.traffic import InboundMessage, InboundResult
from supervision import Actor, ActorRef, handles
from supervision.testing import SystemUnderTest

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def event(content: Content | str = "hello", index: int = 7, **fields: Any) -> RoomEvent:
    said = Text(content) if isinstance(content, str) else content
    source = EventSource("web", ChannelType.WEBSOCKET, participant_id="ada")
    given = {"id": f"e-{index}", "room_id": "lobby", "source": source, "index": index, **fields}
    return RoomEvent(content=said, created_at=AT, **given)


def binding(channel_id: str = "sms", room_id: str = "lobby", **metadata: Any) -> ChannelBinding:
    return ChannelBinding(channel_id, room_id, ChannelType.SMS, AT, metadata=metadata)


def deliver(
    content: Content | str = "hello", to: str = "+15550100", key: str = "k-1", index: int = 7
) -> Deliver:
    return Deliver(event(content, index), binding(), to, key)


class Desk(Actor[DeskMessage]):
    """Commits everything: events `e-0`, `e-1`, … in the room that was named, or `found`."""

    def __init__(self, log: list[Receive], reports: list[Report]) -> None:
        super().__init__()
        self._log = log
        self._reports = reports

    @handles
    def on_receive_message(self, message: Receive) -> InboundResult:
        self._log.append(message)
        room = message.room_id or "found"
        return InboundResult(committed(message.message, room, len(self._log) - 1))

    @handles
    def on_report(self, message: Report) -> None:
        self._reports.append(message)


def committed(message: InboundMessage, room_id: str, index: int) -> RoomEvent:
    source = EventSource(message.channel_id, ChannelType.WEBHOOK, participant_id=message.sender_id)
    return RoomEvent(f"e-{index}", room_id, source, message.content, AT, index=index)


@attrs.define
class DeskUnderTest:
    """What came to the desk."""

    ref: ActorRef[DeskMessage]
    received: list[Receive]
    reports: list[Report]


async def desk_in(system: SystemUnderTest) -> DeskUnderTest:
    received: list[Receive] = []
    reports: list[Report] = []
    ref = await system.spawn(Desk, received, reports, path="/desk")
    return DeskUnderTest(ref, received, reports)
