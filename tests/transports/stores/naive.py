"""A store so simple that it is right at a glance: what `test_model.py` compares others with."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from models.rooms.event import RoomEvent
from models.rooms.kinds import EventType
from models.rooms.room import ChannelBinding
from transports.stores.backend import EventFilter, Page


@attrs.define
class NaiveRoom:
    """One room: lists, walked from end to end."""

    count: int = 0
    delivered: int = -1
    events: list[RoomEvent] = attrs.field(factory=list)
    bindings: dict[str, ChannelBinding] = attrs.field(factory=dict)
    cursors: dict[str, int] = attrs.field(factory=dict)
    markers: dict[str, int] = attrs.field(factory=dict)

    def copy(self) -> NaiveRoom:
        """Another one that holds the same."""
        return NaiveRoom(
            self.count,
            self.delivered,
            list(self.events),
            dict(self.bindings),
            dict(self.cursors),
            dict(self.markers),
        )

    def by_key(self, key: str) -> RoomEvent | None:
        """The event that has used that key."""
        return next((event for event in self.events if event.idempotency_key == key), None)

    def move(self, channel_id: str, index: int) -> None:
        """A cursor goes there, if that is forwards."""
        if channel_id in self.bindings and index > self.cursors.get(channel_id, -1):
            self.cursors[channel_id] = index

    def unbind(self, channel_id: str) -> None:
        """The channel leaves, its cursor with it."""
        self.bindings.pop(channel_id, None)
        self.cursors.pop(channel_id, None)

    def delete(self, event_id: str, cascade: bool) -> list[str]:
        """The ids of what goes."""
        gone = [event.id for event in self.events if event.id == event_id]
        if gone and cascade:
            gone += [event.id for event in self.events if event.parent_event_id == event_id]
        self.events = [event for event in self.events if event.id not in gone]
        return gone

    def timeline(self, wanted: EventFilter, page: Page) -> list[RoomEvent]:
        """All that match, and then the page of them."""
        found = [event for event in self.events if all(rule(event) for rule in _rules(wanted))]
        if page.after_index is not None or page.before_index is not None:
            after = -1 if page.after_index is None else page.after_index
            before = self.count if page.before_index is None else page.before_index
            found = [event for event in found if after < event.index < before]
            offset = 0
        else:
            offset = page.offset
        if page.newest_first:
            return found[::-1][offset : offset + page.limit][::-1]
        return found[offset : offset + page.limit]

    def recent(self, window: int) -> list[RoomEvent]:
        """The last messages that were not blocked."""
        found = [e for e in self.events if e.type is EventType.MESSAGE and not e.blocked]
        return found[max(0, len(found) - window) :]

    def unread(self, channel_id: str) -> int:
        """What the channel may see of others, after its marker."""
        if channel_id not in self.bindings:
            return 0
        later = [e for e in self.events if e.index > self.markers.get(channel_id, -1)]
        return len([e for e in later if not e.blocked and self._sees(channel_id, e)])

    def _sees(self, channel_id: str, event: RoomEvent) -> bool:
        source = event.source.channel_id
        if source == channel_id:
            return False
        visibility = event.visibility
        if visibility == "all" and source in self.bindings:
            visibility = self.bindings[source].visibility
        category = self.bindings[channel_id].category.value
        named = [word.strip() for word in visibility.split(",")]
        return visibility == "all" or visibility == category or channel_id in named


Rule = Callable[[RoomEvent], bool]


def _rules(wanted: EventFilter) -> list[Rule]:
    rules: list[Rule] = []
    if not wanted.include_blocked:
        rules.append(lambda e: not e.blocked)
    if wanted.event_types is not None:
        rules.append(lambda e: e.type in (wanted.event_types or ()))
    rules.append(lambda e: e.type not in wanted.exclude_types)
    if wanted.visibility is not None:
        rules.append(lambda e: e.visibility == wanted.visibility)
    if wanted.source_channel_id is not None:
        rules.append(lambda e: e.source.channel_id == wanted.source_channel_id)
    if wanted.parent_event_id is not None:
        rules.append(lambda e: e.parent_event_id == wanted.parent_event_id)
    if wanted.top_level_only:
        rules.append(lambda e: e.parent_event_id is None)
    if wanted.after_time is not None:
        rules.append(lambda e: wanted.after_time is not None and e.created_at > wanted.after_time)
    if wanted.before_time is not None:
        rules.append(lambda e: wanted.before_time is not None and e.created_at < wanted.before_time)
    return rules
