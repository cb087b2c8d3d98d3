"""A store in memory: the whole contract, nothing on disk, and as much as there is memory.

For tests, and for rooms that may be forgotten. Nothing is ever dropped: whoever runs it for long
deletes rooms. `flush` and `abandon` have nothing to do: each write is final when it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import attrs

from models.rooms.errors import AlreadyThere, Conflict, IdentityNotFound, RoomNotFound
from models.rooms.event import RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import (
    ChannelType,
    EventType,
    RoomStatus,
    TaskStatus,
)
from models.rooms.room import ChannelBinding, Room, RoomContext
from models.rooms.scope import may_remember
from models.rooms.traffic import Observation, Task, ThreadSummary
from transports.stores.backend import Change, EventFilter, Page, RoomRecord
from transports.stores.memory_room import (
    KeptRoom,
    activity,
    matches,
    move,
    new_keys,
    score,
    takes_part,
    unfinished,
)
from transports.stores.sql_words import searched_words


class _Rooms:
    """Rooms and what is in them."""

    def __init__(self) -> None:
        self._rooms: dict[str, KeptRoom] = {}
        self._bound: dict[str, set[str]] = {}
        """Rooms by the channels in them."""
        self._named: dict[str, set[str]] = {}
        """Rooms by who may be in them."""
        self._tasks: dict[str, str] = {}
        """Rooms by the tasks in them."""

    def _kept(self, room_id: str) -> KeptRoom:
        kept = self._rooms.get(room_id)
        if kept is None:
            raise RoomNotFound("room", room_id)
        return kept

    # -- rooms ----------------------------------------------------------------------------

    def create_room(self, room: Room) -> None:
        if room.id in self._rooms:
            raise AlreadyThere("room", room.id)
        self._rooms[room.id] = KeptRoom(room, room.delivered_index)

    def get_room(self, room_id: str) -> Room | None:
        kept = self._rooms.get(room_id)
        return None if kept is None else kept.shown()

    def load_room(self, room_id: str, window: int) -> RoomRecord | None:
        kept = self._rooms.get(room_id)
        if kept is None:
            return None
        newest = kept.between(0, kept.room.event_count, newest_first=True)
        messages = (e for e in newest if e.type is EventType.MESSAGE and not e.blocked)
        recent = tuple(islice(messages, window))[::-1]
        bindings, participants = tuple(kept.bindings.values()), tuple(kept.participants.values())
        context = RoomContext(kept.shown(), bindings, participants, recent)
        return RoomRecord(context, dict(kept.cursors))

    def delete_room(self, room_id: str) -> bool:
        kept = self._rooms.pop(room_id, None)
        if kept is None:
            return False
        for channel_id in kept.bindings:
            _leave(self._bound, channel_id, room_id)
        for name in kept.names:
            _leave(self._named, name, room_id)
        for task_id in kept.tasks:
            del self._tasks[task_id]
        return True

    def find_rooms(
        self,
        organization_id: str | None,
        status: RoomStatus | None,
        metadata: Mapping[str, Any],
        limit: int,
        offset: int,
    ) -> Sequence[Room]:
        found = [
            kept
            for kept in self._rooms.values()
            if organization_id in (None, kept.room.organization_id)
            and status in (None, kept.room.status)
            and all(
                key in kept.room.metadata and kept.room.metadata[key] == value
                for key, value in metadata.items()
            )
        ]
        found.sort(key=activity)
        return tuple(kept.shown() for kept in found[offset : offset + limit])

    def find_latest_room(
        self, participant_id: str, channel_type: ChannelType | None, statuses: Sequence[RoomStatus]
    ) -> Room | None:
        rooms = (self._rooms[room_id] for room_id in self._named.get(participant_id, ()))
        found = [
            kept
            for kept in rooms
            if (not statuses or kept.room.status in statuses)
            and takes_part(kept, participant_id, channel_type)
        ]
        return max(found, key=activity).shown() if found else None

    def find_rooms_of_channel(
        self, channel_id: str, statuses: Sequence[RoomStatus], limit: int
    ) -> Sequence[Room]:
        rooms = (self._rooms[room_id] for room_id in self._bound.get(channel_id, ()))
        found = [kept for kept in rooms if not statuses or kept.room.status in statuses]
        found.sort(key=activity, reverse=True)
        return tuple(kept.shown() for kept in found[:limit])

    def unfinished_rooms(self, after: str, limit: int) -> Sequence[str]:
        found = (key for key, kept in self._rooms.items() if key > after and unfinished(kept))
        return tuple(sorted(found)[:limit])

    # -- the one write of a room ----------------------------------------------------------

    def change(self, change: Change) -> None:
        room = change.room
        kept = self._kept(room.id)
        found = kept.room.event_count
        if found != change.expected:
            raise Conflict(room.id, change.expected, found)
        keys = new_keys(kept, change.events)
        # Nothing below can fail.
        kept.room = room
        for event in change.events:
            kept.events[event.index] = event
            kept.places[event.id] = event.index
        kept.keys.update(keys)
        for event in change.changed:
            self._replace(kept, event)
        for binding in change.bound:
            self._bind(kept, binding)
        for channel_id in change.unbound:
            if kept.bindings.pop(channel_id, None) is not None:
                _leave(self._bound, channel_id, room.id)
            kept.cursors.pop(channel_id, None)
        for participant in change.participants:
            kept.participants[participant.id] = participant
            self._name(kept, participant.id, participant.external_id)
        for task in change.tasks:
            kept.tasks[task.id] = task
            self._tasks[task.id] = room.id
        for observation in change.observations:
            kept.observations[observation.id] = observation
        if change.cursors:
            move(kept, change.cursors)

    def _replace(self, kept: KeptRoom, event: RoomEvent) -> None:
        index = kept.places.get(event.id)
        if index is not None:
            old = kept.events[index]
            kept.events[index] = attrs.evolve(
                event,
                index=index,
                idempotency_key=old.idempotency_key,
                delivery_results=old.delivery_results,
            )

    def _bind(self, kept: KeptRoom, binding: ChannelBinding) -> None:
        kept.bindings[binding.channel_id] = binding
        self._bound.setdefault(binding.channel_id, set()).add(kept.room.id)
        self._name(kept, binding.participant_id)

    def _name(self, kept: KeptRoom, *names: str | None) -> None:
        for name in names:
            if name is not None and name not in kept.names:
                kept.names.add(name)
                self._named.setdefault(name, set()).add(kept.room.id)

    # -- the delivery cursor --------------------------------------------------------------

    def advance(self, room_id: str, cursors: Mapping[str, int], delivered_index: int) -> None:
        kept = self._rooms.get(room_id)
        if kept is not None:
            move(kept, cursors)
            kept.delivered_index = max(kept.delivered_index, delivered_index)

    def record_results(self, event: RoomEvent) -> None:
        kept = self._rooms.get(event.room_id)
        index = None if kept is None else kept.places.get(event.id)
        if kept is not None and index is not None:
            stored = kept.events[index]
            kept.events[index] = attrs.evolve(stored, delivery_results=event.delivery_results)

    # -- work -----------------------------------------------------------------------------

    def list_tasks(self, room_id: str, status: TaskStatus | None) -> Sequence[Task]:
        kept = self._rooms.get(room_id)
        tasks = () if kept is None else kept.tasks.values()
        return tuple(task for task in tasks if status in (None, task.status))

    def get_task(self, task_id: str) -> Task | None:
        room_id = self._tasks.get(task_id)
        return None if room_id is None else self._rooms[room_id].tasks[task_id]

    def update_task(self, task: Task) -> None:
        room_id = self._tasks.get(task.id)
        if room_id is not None:
            self._rooms[room_id].tasks[task.id] = task

    def list_observations(self, room_id: str) -> Sequence[Observation]:
        kept = self._rooms.get(room_id)
        return () if kept is None else tuple(kept.observations.values())

    # -- reading --------------------------------------------------------------------------

    def mark_read(self, room_id: str, channel_id: str, index: int) -> int:
        markers = self._kept(room_id).markers
        markers[channel_id] = marker = max(markers.get(channel_id, -1), index)
        return marker

    def get_unread_count(self, room_id: str, channel_id: str) -> int:
        kept = self._rooms.get(room_id)
        own = None if kept is None else kept.bindings.get(channel_id)
        if kept is None or own is None:
            return 0
        after = kept.markers.get(channel_id, -1) + 1
        return sum(
            not event.blocked
            and event.source.channel_id != channel_id
            and may_remember(event, own, channel_id, kept.bindings.get(event.source.channel_id))
            for event in kept.between(after, kept.room.event_count)
        )

    def list_read_markers(self, room_id: str) -> Mapping[str, int]:
        kept = self._rooms.get(room_id)
        return {} if kept is None else dict(kept.markers)


class _Timelines(_Rooms):
    """What was said in them."""

    def get_event(self, room_id: str, event_id: str) -> RoomEvent | None:
        kept = self._rooms.get(room_id)
        index = None if kept is None else kept.places.get(event_id)
        return None if kept is None or index is None else kept.events[index]

    def get_event_by_key(self, room_id: str, key: str) -> RoomEvent | None:
        kept = self._rooms.get(room_id)
        index = None if kept is None else kept.keys.get(key)
        return None if kept is None or index is None else kept.events[index]

    def get_timeline(self, room_id: str, wanted: EventFilter, page: Page) -> Sequence[RoomEvent]:
        kept = self._rooms.get(room_id)
        if kept is None:
            return ()
        low = 0 if page.after_index is None else page.after_index + 1
        high = kept.room.event_count if page.before_index is None else page.before_index
        by_cursor = page.after_index is not None or page.before_index is not None
        skip = 0 if by_cursor else page.offset
        events = kept.between(low, high, newest_first=page.newest_first)
        found = (event for event in events if matches(event, wanted))
        cut = tuple(islice(found, skip, skip + page.limit))
        return cut[::-1] if page.newest_first else cut

    def delete_event(self, room_id: str, event_id: str, cascade_replies: bool) -> Sequence[str]:
        kept = self._rooms.get(room_id)
        if kept is None or event_id not in kept.places:
            return ()
        events = [kept.events[kept.places[event_id]]]
        if cascade_replies:
            replies = (e for e in kept.events.values() if e.parent_event_id == event_id)
            events += [reply for reply in replies if reply.id != event_id]
        for event in events:
            del kept.events[kept.places.pop(event.id)]
            if event.idempotency_key is not None:
                del kept.keys[event.idempotency_key]
        return tuple(event.id for event in events)

    def get_thread_summaries(self, room_id: str) -> Sequence[ThreadSummary]:
        kept = self._rooms.get(room_id)
        replies: dict[str, ThreadSummary] = {}
        for event in () if kept is None else kept.events.values():
            root = event.parent_event_id
            if root is None or event.blocked:
                continue
            known = replies.get(root, ThreadSummary(root, 0, event.created_at))
            last = max(known.last_reply_at, event.created_at)
            replies[root] = ThreadSummary(root, known.reply_count + 1, last)
        return tuple(sorted(replies.values(), key=lambda s: (s.last_reply_at, s.root_event_id)))

    def search(
        self, text: str, room_id: str | None, organization_id: str | None, limit: int
    ) -> Sequence[RoomEvent]:
        """Reads all that it searches: meant for some thousands of events."""
        wanted = searched_words(text)
        if not wanted:
            return ()
        found: list[tuple[float, RoomEvent]] = []
        for kept in self._searched(room_id, organization_id):
            for event in kept.events.values():
                share = score(event, wanted)
                if share:
                    found.append((share, event))
        found.sort(key=lambda hit: (hit[0], hit[1].created_at), reverse=True)
        return tuple(event for _, event in found[:limit])

    def _searched(self, room_id: str | None, organization_id: str | None) -> Iterable[KeptRoom]:
        rooms = self._rooms
        chosen = rooms.values() if room_id is None else [rooms[room_id]] if room_id in rooms else ()
        return [kept for kept in chosen if organization_id in (None, kept.room.organization_id)]


class MemoryBackend(_Timelines):
    """Everything, and the address book. Used by one thread at a time, as every backend."""

    def __init__(self) -> None:
        super().__init__()
        self._identities: dict[str, Identity] = {}
        self._addresses: dict[tuple[str | None, str, str], str] = {}
        """Identities by organization, channel type and address."""

    def __repr__(self) -> str:
        return f"<MemoryBackend: {len(self._rooms)} rooms, {len(self._identities)} identities>"

    def open(self) -> None:
        """It is."""

    def close(self) -> None:
        """What is kept stays, as long as somebody has a reference to it."""

    def flush(self) -> None:
        """Each write is final when it is made."""

    def abandon(self) -> None:
        """Each write is final when it is made."""

    # -- identities -----------------------------------------------------------------------

    def put_identity(self, identity: Identity) -> None:
        old = self._identities.get(identity.id)
        for address in () if old is None else _addresses(old):
            if self._addresses.get(address) == identity.id:
                del self._addresses[address]
        self._identities[identity.id] = identity
        for address in _addresses(identity):
            self._addresses[address] = identity.id

    def get_identity(self, identity_id: str, organization_id: str | None) -> Identity | None:
        found = self._identities.get(identity_id)
        return None if found is None or found.organization_id != organization_id else found

    def resolve_identity(
        self, channel_type: ChannelType, address: str, organization_id: str | None
    ) -> Identity | None:
        identity_id = self._addresses.get((organization_id, channel_type.value, address))
        return None if identity_id is None else self._identities[identity_id]

    def link_address(self, identity_id: str, channel_type: ChannelType, address: str) -> None:
        identity = self._identities.get(identity_id)
        if identity is None:
            raise IdentityNotFound("identity", identity_id)
        known = identity.channel_addresses.get(channel_type.value, ())
        if address not in known:
            addresses = {**identity.channel_addresses, channel_type.value: (*known, address)}
            identity = attrs.evolve(identity, channel_addresses=addresses)
        self.put_identity(identity)


def _leave(index: dict[str, set[str]], name: str, room_id: str) -> None:
    rooms = index[name]
    rooms.discard(room_id)
    if not rooms:
        del index[name]


def _addresses(identity: Identity) -> list[tuple[str | None, str, str]]:
    return [
        (identity.organization_id, str(channel_type), address)
        for channel_type, addresses in identity.channel_addresses.items()
        for address in addresses
    ]
