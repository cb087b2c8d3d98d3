"""One room in memory, and what it says of itself. `memory.py` keeps many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelType, ParticipantStatus, RoomStatus
from models.rooms.room import ChannelBinding, Participant, Room
from models.rooms.traffic import Observation, Task
from transports.stores.backend import DuplicateKey, EventFilter
from transports.stores.sql_words import words_of


@attrs.define(eq=False)
class KeptRoom:
    """One room."""

    room: Room
    """But for `delivered_index`, which is below."""
    delivered_index: int
    events: dict[int, RoomEvent] = attrs.field(factory=dict)
    """By index, ascending."""
    places: dict[str, int] = attrs.field(factory=dict)
    """Indices by id."""
    keys: dict[str, int] = attrs.field(factory=dict)
    """Indices by idempotency key."""
    bindings: dict[str, ChannelBinding] = attrs.field(factory=dict)
    participants: dict[str, Participant] = attrs.field(factory=dict)
    cursors: dict[str, int] = attrs.field(factory=dict)
    markers: dict[str, int] = attrs.field(factory=dict)
    tasks: dict[str, Task] = attrs.field(factory=dict)
    observations: dict[str, Observation] = attrs.field(factory=dict)
    names: set[str] = attrs.field(factory=set)
    """Under which it is found by `find_latest_room`, perhaps in vain."""

    def shown(self) -> Room:
        """The room as others see it."""
        if self.room.delivered_index == self.delivered_index:
            return self.room
        self.room = attrs.evolve(self.room, delivered_index=self.delivered_index)
        return self.room

    def between(self, low: int, high: int, *, newest_first: bool = False) -> Iterator[RoomEvent]:
        """The events with indices from `low` up to, not including, `high`."""
        indices = range(max(low, 0), min(high, self.room.event_count))
        events = self.events
        for index in reversed(indices) if newest_first else indices:
            event = events.get(index)
            if event is not None:
                yield event


def matches(event: RoomEvent, wanted: EventFilter) -> bool:
    """Whether an event is one of those that are wanted."""
    source = event.source
    types, channel_type = wanted.event_types, wanted.source_channel_type
    return (
        (wanted.include_blocked or not event.blocked)
        and (types is None or event.type in types)
        and event.type not in wanted.exclude_types
        and wanted.visibility in (None, event.visibility)
        and wanted.source_channel_id in (None, source.channel_id)
        and (channel_type is None or source.channel_type is channel_type)
        and wanted.correlation_id in (None, event.correlation_id)
        and wanted.participant_id in (None, source.participant_id)
        and wanted.parent_event_id in (None, event.parent_event_id)
        and not (wanted.top_level_only and event.parent_event_id is not None)
        and (wanted.after_time is None or event.created_at > wanted.after_time)
        and (wanted.before_time is None or event.created_at < wanted.before_time)
    )


def new_keys(kept: KeptRoom, events: Sequence[RoomEvent]) -> dict[str, int]:
    """Where the idempotency keys of new events lead, once they are stored.

    Raises:
        DuplicateKey: one is taken.
    """
    keys: dict[str, int] = {}
    for event in events:
        key = event.idempotency_key
        if key is None:
            continue
        if key in kept.keys:
            raise DuplicateKey(kept.events[kept.keys[key]])
        if key in keys:
            raise DuplicateKey(events[keys[key] - events[0].index])
        keys[key] = event.index
    return keys


def move(kept: KeptRoom, cursors: Mapping[str, int]) -> None:
    for channel_id, index in cursors.items():
        if channel_id in kept.bindings and index > kept.cursors.get(channel_id, -1):
            kept.cursors[channel_id] = index


def activity(kept: KeptRoom) -> tuple[datetime, str]:
    return kept.room.updated_at, kept.room.id


def unfinished(kept: KeptRoom) -> bool:
    room = kept.room
    timers = room.timers.inactive_after_seconds, room.timers.closed_after_seconds
    opened = room.status in (RoomStatus.ACTIVE, RoomStatus.PAUSED)
    return kept.delivered_index < room.latest_index or (opened and timers != (None, None))


def takes_part(kept: KeptRoom, name: str, channel_type: ChannelType | None) -> bool:
    def is_bound(channel_id: str) -> bool:
        binding = kept.bindings.get(channel_id)
        return binding is not None and channel_type in (None, binding.channel_type)

    by_binding = any(
        binding.participant_id == name and channel_type in (None, binding.channel_type)
        for binding in kept.bindings.values()
    )
    return by_binding or any(
        name in (participant.id, participant.external_id)
        and participant.status is ParticipantStatus.ACTIVE
        and (
            channel_type is None
            or any(map(is_bound, participant.connected_via or [participant.channel_id]))
        )
        for participant in kept.participants.values()
    )


def score(event: RoomEvent, wanted: Collection[str]) -> float:
    """How much of an event is what is wanted, 0 to 1; 0 if a word is missing, or it is hidden."""
    counts = Counter((words_of(event) or "").split())
    if not all(word in counts for word in wanted):
        return 0.0
    return sum(counts[word] for word in wanted) / counts.total()
