"""The contract of a store, in plain calls that may block; one suite of tests holds for all of them.

A missing id reads as None. What is returned is the caller's: values, never live records. A backend
is used by one thread at a time. Writes become durable with `flush`; until then they may be lost as
a whole, never in part: each call that writes is atomic, and one that raises has changed nothing.
What names a room, event or task that is not there, and does not say that it raises, does nothing.

An organization that is given must be the one of the room that is found; None does not ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import attrs

from models.rooms.errors import RoomsError
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import ChannelType, EventType, RoomStatus, TaskStatus
from models.rooms.room import ChannelBinding, Participant, Room, RoomContext
from models.rooms.traffic import Observation, Task, ThreadSummary


@attrs.frozen
class EventFilter:
    """Which events of a timeline are wanted. All conditions must hold."""

    event_types: Sequence[EventType] | None = None
    exclude_types: Sequence[EventType] = ()
    """Wins over `event_types`."""
    visibility: str | None = None
    source_channel_id: str | None = None
    source_channel_type: ChannelType | None = None
    correlation_id: str | None = None
    participant_id: str | None = None
    parent_event_id: str | None = None
    top_level_only: bool = False
    after_time: datetime | None = None
    before_time: datetime | None = None
    """Exclusive, both."""
    include_blocked: bool = False

    def __attrs_post_init__(self) -> None:
        if self.parent_event_id is not None and self.top_level_only:
            raise ValueError("parent_event_id and top_level_only contradict each other: give one")
        after, before = self.after_time, self.before_time
        if after is not None and before is not None and after >= before:
            raise ValueError("after_time is not before before_time: nothing can match")


EVERYTHING = EventFilter()


@attrs.frozen
class Page:
    """Which part of what matches: cursors win over the offset."""

    limit: int = attrs.field(default=50)
    offset: int = 0
    after_index: int | None = None
    before_index: int | None = None
    """Exclusive, both."""
    newest_first: bool = False
    """The last `limit` of what matches rather than the first; ascending all the same. The offset
    then leaves out the newest."""

    @limit.validator
    def _sensible(self, _field: object, value: int) -> None:
        if not 1 <= value <= 1000:
            raise ValueError(f"a page holds 1 to 1000 entries, not {value}")


@attrs.define(eq=False)
class DuplicateKey(RoomsError):
    """The idempotency key was used before in this room; nothing was written."""

    original: RoomEvent

    def __str__(self) -> str:
        return "the idempotency key was used before"


@attrs.frozen
class RoomRecord:
    """All that a room's actor needs to go on."""

    context: RoomContext
    cursors: Mapping[str, int] = NOTHING
    """By channel: up to which index its deliveries are done."""


@attrs.frozen
class Change:
    """One atomic write to a room. Whoever sends it owns the room.

    `room` replaces the record except for its `delivered_index`, which `advance` alone moves.
    """

    room: Room
    expected: int
    """`event_count` before; another one in the store is a `Conflict`."""
    events: Sequence[RoomEvent] = ()
    """New ones, with their indices: `expected`, and on."""
    changed: Sequence[RoomEvent] = ()
    """Stored ones whose content, status or metadata is another now; what is stored stays of their
    index, idempotency key and `delivery_results`."""
    bound: Sequence[ChannelBinding] = ()
    """New or changed."""
    unbound: Sequence[str] = ()
    """Channels; their cursors go with them."""
    participants: Sequence[Participant] = ()
    tasks: Sequence[Task] = ()
    observations: Sequence[Observation] = ()
    cursors: Mapping[str, int] = NOTHING
    """By channel that is bound; a cursor never moves backwards, and -1 is that of all that have
    none."""

    def __attrs_post_init__(self) -> None:
        after = self.expected + len(self.events)
        if [event.index for event in self.events] != list(range(self.expected, after)):
            raise ValueError(f"the new events are not numbered from {self.expected} on")
        if self.room.event_count != after:
            raise ValueError(
                f"the room counts {self.room.event_count} events, and after this there are {after}"
            )


class StoreBackend(Protocol):
    """See the module."""

    def open(self) -> None:
        """Connect, and bring the schema up to date.

        Raises:
            NewerSchema: somebody newer wrote it.
            StoreUnavailable: it cannot be reached.
        """

    def close(self) -> None:
        """Write what is not written, and let go."""

    def flush(self) -> None:
        """Make all that was written durable: one commit for many changes.

        Raises:
            StoreUnavailable: it was not; all since the last `flush` is lost.
        """

    def abandon(self) -> None:
        """Undo all that was written since the last `flush`."""

    # -- rooms ----------------------------------------------------------------------------

    def create_room(self, room: Room) -> None:
        """Keep a new room.

        Raises:
            AlreadyThere: the id is taken.
        """

    def get_room(self, room_id: str) -> Room | None: ...

    def load_room(self, room_id: str, window: int) -> RoomRecord | None:
        """The room, its bindings, its participants, its cursors, and its last `window` messages
        (not blocked, ascending): one round trip.
        """

    def delete_room(self, room_id: str) -> bool:
        """Forget a room and all that is in it."""

    def find_rooms(
        self,
        organization_id: str | None,
        status: RoomStatus | None,
        metadata: Mapping[str, Any],
        limit: int,
        offset: int,
    ) -> Sequence[Room]:
        """By activity (`updated_at`, then the id), newest last; the page counts from the oldest.

        Args:
            metadata: these keys have these values.
        """

    def find_latest_room(
        self, participant_id: str, channel_type: ChannelType | None, statuses: Sequence[RoomStatus]
    ) -> Room | None:
        """The room with the newest activity in which that participant is active, on such a
        channel: `participant_id` is a participant's id or external id, or the `participant_id`
        of a binding. "Active" is the status of a participant; "on such a channel": one of the
        channels they came by (`connected_via`, or else `channel_id`) is bound and of that type. A
        binding is always active. No statuses are all statuses.
        """

    def find_rooms_of_channel(
        self, channel_id: str, statuses: Sequence[RoomStatus], limit: int
    ) -> Sequence[Room]:
        """Rooms in which the channel is bound, newest activity first: with a limit of 2, the
        newest, and whether it is the only one.
        """

    def unfinished_rooms(self, after: str, limit: int) -> Sequence[str]:
        """Ids, ascending, greater than `after`, of rooms that a starting node has to open: those
        with deliveries to do (`delivered_index` < `latest_index`), and open ones with timers.
        """

    # -- the one write of a room ------------------------------------------------------------

    def change(self, change: Change) -> None:
        """Carry a change out, whole or not at all.

        Raises:
            RoomNotFound: there is no such room.
            Conflict: the room holds another number of events than expected.
            DuplicateKey: one of the events' idempotency keys was used before in the room.
        """

    # -- the delivery cursor ----------------------------------------------------------------

    def advance(self, room_id: str, cursors: Mapping[str, int], delivered_index: int) -> None:
        """Deliveries are done: by channel, and for the room as a whole. Never backwards."""

    def record_results(self, event: RoomEvent) -> None:
        """Keep the `delivery_results` of a stored event."""

    # -- events -----------------------------------------------------------------------------

    def get_event(self, room_id: str, event_id: str) -> RoomEvent | None: ...

    def get_event_by_key(self, room_id: str, key: str) -> RoomEvent | None: ...

    def get_timeline(self, room_id: str, wanted: EventFilter, page: Page) -> Sequence[RoomEvent]:
        """Ascending by index."""

    def delete_event(self, room_id: str, event_id: str, cascade_replies: bool) -> Sequence[str]:
        """For good; the ids that went, the named one first, () if there was no such event.

        Indices are not reused: `event_count` and `latest_index` of the room stay as they are. A
        key goes with its event. `cascade_replies`: those whose `parent_event_id` it is go too.
        """

    def get_thread_summaries(self, room_id: str) -> Sequence[ThreadSummary]:
        """By root, newest reply last; blocked replies do not count, those of other types do."""

    def search(
        self, text: str, room_id: str | None, organization_id: str | None, limit: int
    ) -> Sequence[RoomEvent]:
        """Messages that hold all words of `text` in what `text_of` says of their content, best
        first; case does not matter, and blocked ones and those with metadata `deleted` never do.
        No words find nothing.
        """

    # -- identities -------------------------------------------------------------------------

    def put_identity(self, identity: Identity) -> None:
        """New or changed; its `channel_addresses` mean it, and those that it has no more do not."""

    def get_identity(self, identity_id: str, organization_id: str | None) -> Identity | None:
        """Of exactly that organization: None is of those that belong to nobody."""

    def resolve_identity(
        self, channel_type: ChannelType, address: str, organization_id: str | None
    ) -> Identity | None:
        """Of exactly that organization, as above; the one that was given the address last."""

    def link_address(self, identity_id: str, channel_type: ChannelType, address: str) -> None:
        """Have that address mean that identity, and be among its `channel_addresses`.

        Raises:
            IdentityNotFound: there is no such identity.
        """

    # -- work -------------------------------------------------------------------------------

    def list_tasks(self, room_id: str, status: TaskStatus | None) -> Sequence[Task]:
        """In the order in which they came, whatever became of them since."""

    def get_task(self, task_id: str) -> Task | None: ...

    def update_task(self, task: Task) -> None:
        """Replace one that is there."""

    def list_observations(self, room_id: str) -> Sequence[Observation]:
        """In the order in which they came."""

    # -- reading ----------------------------------------------------------------------------

    def mark_read(self, room_id: str, channel_id: str, index: int) -> int:
        """Never backwards; returns where the marker stands.

        Raises:
            RoomNotFound: there is no such room.
        """

    def get_unread_count(self, room_id: str, channel_id: str) -> int:
        """Events after the channel's marker that it may see (`scope.may_remember` with the bindings
        as they are; nothing without a binding) and did not write; blocked ones do not count.
        """

    def list_read_markers(self, room_id: str) -> Mapping[str, int]:
        """By channel: the highest index read."""
