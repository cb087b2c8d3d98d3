"""What a store is asked: one request for each method of `backend.py`, with the same arguments.

Each knows how to run itself on a backend, so that every kind of store needs one handler. A store
answers with what the method returns and refuses, as `RefusedFor`, with what it raises; a write is
answered once it is durable. `store_fault` says what any failed ask means to a room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from models.rooms.errors import RoomsError, StoreUnavailable
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import ChannelType, RoomStatus, TaskStatus
from models.rooms.refusals import RefusedFor
from models.rooms.room import Room
from models.rooms.traffic import Observation, Task, ThreadSummary
from supervision import Request
from transports.stores import backend as contract
from transports.stores.backend import EVERYTHING, Change, EventFilter, Page, StoreBackend
from transports.stores.usage import GetUsage

T_co = TypeVar("T_co", covariant=True)

FIRST_PAGE = Page()


class StoreRequest(Request[T_co]):
    """The base of all of them."""

    __slots__ = ()

    def run(self, backend: StoreBackend) -> T_co:
        """Do it, as the one method of the backend that it is named after."""
        raise NotImplementedError

    @property
    def lane(self) -> str | None:
        """Requests of one lane are carried out in the order they were asked; None has no order."""
        return None


StoreMessage = StoreRequest[Any] | GetUsage
"""What every store accepts."""


@attrs.frozen
class RoomRequest(StoreRequest[T_co]):
    """One that names its room, which is its lane."""

    room_id: str

    @property
    def lane(self) -> str | None:
        return self.room_id


@attrs.frozen
class IdentityRequest(StoreRequest[T_co]):
    """One that names an identity, which is its lane."""

    identity_id: str

    @property
    def lane(self) -> str | None:
        return self.identity_id


@attrs.frozen
class CreateRoom(StoreRequest[None]):
    """Refused with `AlreadyThere` if the id is taken."""

    room: Room

    @property
    def lane(self) -> str | None:
        return self.room.id

    def run(self, backend: StoreBackend) -> None:
        backend.create_room(self.room)


@attrs.frozen
class GetRoom(RoomRequest[Room | None]):
    """Answered with None if there is none."""

    def run(self, backend: StoreBackend) -> Room | None:
        return backend.get_room(self.room_id)


@attrs.frozen
class LoadRoom(RoomRequest[contract.RoomRecord | None]):
    """All that the room's actor needs to go on."""

    window: int = 20
    """Messages of history."""

    def run(self, backend: StoreBackend) -> contract.RoomRecord | None:
        return backend.load_room(self.room_id, self.window)


@attrs.frozen
class DeleteRoom(RoomRequest[bool]):
    """Answered with whether it was there."""

    def run(self, backend: StoreBackend) -> bool:
        return backend.delete_room(self.room_id)


@attrs.frozen
class FindRooms(StoreRequest[Sequence[Room]]):
    """Newest activity last; None is any."""

    organization_id: str | None = None
    status: RoomStatus | None = None
    metadata: Mapping[str, Any] = NOTHING
    limit: int = 100
    offset: int = 0

    def run(self, backend: StoreBackend) -> Sequence[Room]:
        return backend.find_rooms(
            self.organization_id, self.status, self.metadata, self.limit, self.offset
        )


@attrs.frozen
class FindLatestRoom(StoreRequest[Room | None]):
    """The one in which somebody was last active."""

    participant_id: str
    channel_type: ChannelType | None = None
    statuses: Sequence[RoomStatus] = (RoomStatus.ACTIVE,)

    def run(self, backend: StoreBackend) -> Room | None:
        return backend.find_latest_room(self.participant_id, self.channel_type, self.statuses)


@attrs.frozen
class FindRoomsOfChannel(StoreRequest[Sequence[Room]]):
    """Those in which the channel is bound."""

    channel_id: str
    statuses: Sequence[RoomStatus] = (RoomStatus.ACTIVE,)
    limit: int = 2
    """Two tell "one" from "several"."""

    def run(self, backend: StoreBackend) -> Sequence[Room]:
        return backend.find_rooms_of_channel(self.channel_id, self.statuses, self.limit)


@attrs.frozen
class UnfinishedRooms(StoreRequest[Sequence[str]]):
    """Ids, page by page: the last one of a page is the `after` of the next."""

    after: str = ""
    limit: int = 1000

    def run(self, backend: StoreBackend) -> Sequence[str]:
        return backend.unfinished_rooms(self.after, self.limit)


@attrs.frozen
class Commit(StoreRequest[None]):
    """Carry a change out. Refused with `RoomNotFound`, `Conflict` or `DuplicateKey`."""

    change: Change

    @property
    def lane(self) -> str | None:
        return self.change.room.id

    def run(self, backend: StoreBackend) -> None:
        backend.change(self.change)


@attrs.frozen
class Advance(RoomRequest[None]):
    """Deliveries are done."""

    cursors: Mapping[str, int]
    delivered_index: int

    def run(self, backend: StoreBackend) -> None:
        backend.advance(self.room_id, self.cursors, self.delivered_index)


@attrs.frozen
class RecordResults(StoreRequest[None]):
    """Keep what became of its deliveries."""

    event: RoomEvent

    @property
    def lane(self) -> str | None:
        return self.event.room_id

    def run(self, backend: StoreBackend) -> None:
        backend.record_results(self.event)


@attrs.frozen
class GetEvent(RoomRequest[RoomEvent | None]):
    """Blocked ones too."""

    event_id: str

    def run(self, backend: StoreBackend) -> RoomEvent | None:
        return backend.get_event(self.room_id, self.event_id)


@attrs.frozen
class GetEventByKey(RoomRequest[RoomEvent | None]):
    """By its idempotency key; blocked ones too."""

    key: str

    def run(self, backend: StoreBackend) -> RoomEvent | None:
        return backend.get_event_by_key(self.room_id, self.key)


@attrs.frozen
class GetTimeline(RoomRequest[Sequence[RoomEvent]]):
    """Ascending by index."""

    wanted: EventFilter = EVERYTHING
    page: Page = FIRST_PAGE

    def run(self, backend: StoreBackend) -> Sequence[RoomEvent]:
        return backend.get_timeline(self.room_id, self.wanted, self.page)


@attrs.frozen
class DeleteEvent(RoomRequest[Sequence[str]]):
    """Answered with the ids that went."""

    event_id: str
    cascade_replies: bool = True

    def run(self, backend: StoreBackend) -> Sequence[str]:
        return backend.delete_event(self.room_id, self.event_id, self.cascade_replies)


@attrs.frozen
class GetThreadSummaries(RoomRequest[Sequence[ThreadSummary]]):
    """By root, newest reply last."""

    def run(self, backend: StoreBackend) -> Sequence[ThreadSummary]:
        return backend.get_thread_summaries(self.room_id)


@attrs.frozen
class Search(StoreRequest[Sequence[RoomEvent]]):
    """Messages that hold all words of the text, best first."""

    text: str
    room_id: str | None = None
    organization_id: str | None = None
    limit: int = 50

    def run(self, backend: StoreBackend) -> Sequence[RoomEvent]:
        return backend.search(self.text, self.room_id, self.organization_id, self.limit)


@attrs.frozen
class PutIdentity(StoreRequest[None]):
    """New or changed."""

    identity: Identity

    @property
    def lane(self) -> str | None:
        return self.identity.id

    def run(self, backend: StoreBackend) -> None:
        backend.put_identity(self.identity)


@attrs.frozen
class GetIdentity(IdentityRequest[Identity | None]):
    """None too if it belongs to another organization."""

    organization_id: str | None = None

    def run(self, backend: StoreBackend) -> Identity | None:
        return backend.get_identity(self.identity_id, self.organization_id)


@attrs.frozen
class ResolveIdentity(StoreRequest[Identity | None]):
    """Whose address is it?"""

    channel_type: ChannelType
    address: str
    organization_id: str | None = None

    def run(self, backend: StoreBackend) -> Identity | None:
        return backend.resolve_identity(self.channel_type, self.address, self.organization_id)


@attrs.frozen
class LinkAddress(IdentityRequest[None]):
    """Refused with `IdentityNotFound`."""

    channel_type: ChannelType
    address: str

    def run(self, backend: StoreBackend) -> None:
        backend.link_address(self.identity_id, self.channel_type, self.address)


@attrs.frozen
class ListTasks(RoomRequest[Sequence[Task]]):
    """Oldest first; None is any status."""

    status: TaskStatus | None = None

    def run(self, backend: StoreBackend) -> Sequence[Task]:
        return backend.list_tasks(self.room_id, self.status)


@attrs.frozen
class GetTask(StoreRequest[Task | None]):
    """Answered with None if there is none."""

    task_id: str

    def run(self, backend: StoreBackend) -> Task | None:
        return backend.get_task(self.task_id)


@attrs.frozen
class UpdateTask(StoreRequest[None]):
    """Replace a task that is there."""

    task: Task

    @property
    def lane(self) -> str | None:
        return self.task.room_id

    def run(self, backend: StoreBackend) -> None:
        backend.update_task(self.task)


@attrs.frozen
class ListObservations(RoomRequest[Sequence[Observation]]):
    """Oldest first."""

    def run(self, backend: StoreBackend) -> Sequence[Observation]:
        return backend.list_observations(self.room_id)


@attrs.frozen
class MarkRead(RoomRequest[int]):
    """Answered with where the marker stands."""

    channel_id: str
    index: int

    def run(self, backend: StoreBackend) -> int:
        return backend.mark_read(self.room_id, self.channel_id, self.index)


@attrs.frozen
class GetUnreadCount(RoomRequest[int]):
    """Events after the marker that the channel may see and did not write."""

    channel_id: str

    def run(self, backend: StoreBackend) -> int:
        return backend.get_unread_count(self.room_id, self.channel_id)


@attrs.frozen
class ListReadMarkers(RoomRequest[Mapping[str, int]]):
    """By channel: the highest index read."""

    def run(self, backend: StoreBackend) -> Mapping[str, int]:
        return backend.list_read_markers(self.room_id)


def store_fault(error: Exception) -> RoomsError:
    """What a failed ask of a store means to whoever asked.

    After a `StoreUnavailable` a write is probably lost, but its answer may have been on its way, or
    the request may still wait. A `LoadRoom` asked later is carried out later, and tells.
    """
    if isinstance(error, RefusedFor):
        return error.error
    if isinstance(error, RoomsError):
        return error
    cause = error.__cause__
    if isinstance(cause, StoreUnavailable):
        return cause
    problem = str(error) if cause is None else f"{error} ({type(cause).__name__}: {cause})"
    return StoreUnavailable(problem)
