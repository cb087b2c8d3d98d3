"""The values of rooms as rows: the whole as a JSON document, and beside it what is looked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import orjson

from models.rooms.event import RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import RoomStatus
from models.rooms.room import ChannelBinding, Participant, Room
from models.rooms.traffic import Observation, Task
from models.rooms.wire import restored, stored
from transports.stores.sql_driver import Row
from transports.stores.sql_words import words_of

ROOM = (
    "id",
    "organization_id",
    "status",
    "created_at",
    "updated_at",
    "event_count",
    "latest_index",
    "timed",
    "metadata",
    "doc",
)
EVENT = (
    "room_id",
    "idx",
    "id",
    "type",
    "status",
    "visibility",
    "channel_id",
    "channel_type",
    "participant_id",
    "correlation_id",
    "parent_id",
    "key",
    "created_at",
    "words",
    "doc",
)
BINDING = ("room_id", "channel_id", "channel_type", "participant_id", "doc")
PARTICIPANT = ("room_id", "id", "external_id", "status", "doc")
PRESENCE = ("room_id", "participant_id", "channel_id")
TASK = ("id", "room_id", "status", "doc")
OBSERVATION = ("id", "room_id", "doc")
IDENTITY = ("id", "organization_id", "doc")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ZERO = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""A zero character in JSON, but not a backslash before "u0000"."""
_OPEN = (RoomStatus.ACTIVE, RoomStatus.PAUSED)


def instant(at: datetime) -> int:
    """Microseconds since 1970, UTC: exact, and in order, in every database."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)  # as the document has it
    return (at - _EPOCH) // _MICROSECOND


def at_instant(microseconds: int) -> datetime:
    """The time, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def document(value: Any) -> str:
    """As text, not bytes, so that people can read it with the database's own tools."""
    return stored(value).decode()


def canonical(value: object) -> str:
    """JSON to look for: equal where the values are, but that zero characters, which PostgreSQL
    does not take, become others.
    """
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return _ZERO.sub("\\1\ufffd", text) if "\\u0000" in text else text


def room_row(room: Room) -> Row:
    """All columns of `ROOM`: without the delivery cursor, which goes its own way."""
    timers = room.timers
    timed = room.status in _OPEN and (
        timers.inactive_after_seconds is not None or timers.closed_after_seconds is not None
    )
    doc = document(room)  # first: it says best what is not JSON
    return (
        room.id,
        room.organization_id,
        room.status.value,
        instant(room.created_at),
        instant(room.updated_at),
        room.event_count,
        room.latest_index,
        timed,
        canonical(room.metadata),
        doc,
    )


def room_of(doc: str, delivered_index: int) -> Room:
    """The record, with the cursor where it stands."""
    room = restored(doc, Room)
    if room.delivered_index == delivered_index:
        return room
    return attrs.evolve(room, delivered_index=delivered_index)


def event_row(event: RoomEvent) -> Row:
    source = event.source
    return (
        event.room_id,
        event.index,
        event.id,
        event.type.value,
        event.status.value,
        event.visibility,
        source.channel_id,
        source.channel_type.value,
        source.participant_id,
        event.correlation_id,
        event.parent_event_id,
        event.idempotency_key,
        instant(event.created_at),
        words_of(event),
        document(event),
    )


def binding_row(binding: ChannelBinding) -> Row:
    return (
        binding.room_id,
        binding.channel_id,
        binding.channel_type.value,
        binding.participant_id,
        document(binding),
    )


def participant_row(participant: Participant) -> Row:
    return (
        participant.room_id,
        participant.id,
        participant.external_id,
        participant.status.value,
        document(participant),
    )


def presence_rows(participant: Participant) -> Sequence[Row]:
    """The channels that somebody is there by."""
    channels = participant.connected_via or (participant.channel_id,)
    return [(participant.room_id, participant.id, channel) for channel in dict.fromkeys(channels)]


def task_row(task: Task) -> Row:
    return (task.id, task.room_id, task.status.value, document(task))


def observation_row(observation: Observation) -> Row:
    return (observation.id, observation.room_id, document(observation))


def identity_row(identity: Identity) -> Row:
    return (identity.id, identity.organization_id, document(identity))


def cursor_rows(room_id: str, cursors: Mapping[str, int]) -> Sequence[Row]:
    # Below 0 nothing is delivered, which is what no cursor says.
    return [(index, room_id, channel_id) for channel_id, index in cursors.items() if index >= 0]
