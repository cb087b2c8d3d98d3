"""Rooms, events and people to keep, and the one way to add to a room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from models.rooms.content import Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelCategory, ChannelType, EventStatus
from models.rooms.room import ChannelBinding, Participant, Room
from models.rooms.traffic import Observation, Task
from transports.stores.backend import Change, StoreBackend

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes past noon."""
    return NOON + timedelta(minutes=minutes)


def a_room(room_id: str = "r", *, minutes: float = 0, **fields: Any) -> Room:
    """A room that was last used then."""
    return Room(id=room_id, created_at=NOON, updated_at=at(minutes), **fields)


def an_event(index: int, body: str = "", *, channel: str = "sms", **fields: Any) -> RoomEvent:
    """A message with that index, `e<index>`, a minute after the one before."""
    room_id = fields.pop("room_id", "r")
    participant = fields.pop("participant_id", None)
    kind = fields.pop("channel_type", ChannelType.SMS)
    source = EventSource(channel_id=channel, channel_type=kind, participant_id=participant)
    fields = {
        "id": f"e{index}" if room_id == "r" else f"{room_id}-e{index}",
        "content": Text(body or f"number {index}"),
        "created_at": at(index),
        **fields,
    }
    return RoomEvent(room_id=room_id, source=source, index=index, **fields)


def a_blocked_one(index: int, body: str = "", **fields: Any) -> RoomEvent:
    """A message that reached nobody."""
    return an_event(index, body, status=EventStatus.BLOCKED, blocked_by="a_hook", **fields)


def a_binding(channel_id: str, room_id: str = "r", **fields: Any) -> ChannelBinding:
    """An SMS channel in a room."""
    kind = fields.pop("channel_type", ChannelType.SMS)
    return ChannelBinding(channel_id, room_id, kind, NOON, **fields)


def an_agent(channel_id: str, room_id: str = "r", **fields: Any) -> ChannelBinding:
    """A channel that thinks."""
    category = ChannelCategory.INTELLIGENCE
    return a_binding(channel_id, room_id, channel_type=ChannelType.AI, category=category, **fields)


def a_participant(participant_id: str, room_id: str = "r", **fields: Any) -> Participant:
    """Somebody on the channel `sms`."""
    channel_id = fields.pop("channel_id", "sms")
    return Participant(participant_id, room_id, channel_id, NOON, **fields)


def a_task(task_id: str, minutes: float = 0, room_id: str = "r", **fields: Any) -> Task:
    """Something to do."""
    return Task(task_id, room_id, f"see to {task_id}", at(minutes), **fields)


def an_observation(name: str, minutes: float = 0, room_id: str = "r", **fields: Any) -> Observation:
    """Something noticed."""
    return Observation(name, room_id, "sms", "so it seems", at(minutes), **fields)


def grown(room: Room, events: Sequence[RoomEvent]) -> Room:
    """The room once these are in it."""
    count = room.event_count + len(events)
    return attrs.evolve(room, event_count=count, latest_index=count - 1) if events else room


def a_change(room: Room, *events: RoomEvent, **parts: Any) -> Change:
    """The change that adds these events to a room, as it was before."""
    return Change(grown(room, events), room.event_count, events, **parts)


def add(backend: StoreBackend, *events: RoomEvent, room_id: str = "r", **parts: Any) -> Room:
    """Add events, and whatever else, to a room that is there."""
    room = backend.get_room(room_id)
    assert room is not None
    change = a_change(room, *events, **parts)
    backend.change(change)
    return change.room


def ids(events: Sequence[RoomEvent]) -> list[str]:
    """Of events, in order."""
    return [event.id for event in events]
