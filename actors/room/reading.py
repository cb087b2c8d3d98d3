"""The verbs that read what rooms have kept: timelines, work, the address book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from actors.room.asking import Asking
from actors.room.verbs import (
    AddObservation,
    AddTask,
    SubmitFeedback,
    UpdateTask,
)
from models.rooms.channel import CatchUp, MarkReadBy
from models.rooms.errors import IdentityNotFound, NotFound
from models.rooms.event import RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import (
    ChannelType,
    TaskStatus,
)
from models.rooms.traffic import (
    Observation,
    Task,
    ThreadSummary,
)
from transports.stores.backend import EVERYTHING, EventFilter, Page
from transports.stores.requests import (
    GetEvent,
    GetIdentity,
    GetThreadSummaries,
    GetTimeline,
    GetUnreadCount,
    LinkAddress,
    ListObservations,
    ListReadMarkers,
    ListTasks,
    MarkRead,
    PutIdentity,
    ResolveIdentity,
    Search,
)

T = TypeVar("T")

FIRST_PAGE = Page()


class Reading(Asking):
    """Part of `Conversations`."""

    # -- reading ------------------------------------------------------------------------------

    async def get_timeline(
        self, room_id: str, wanted: EventFilter = EVERYTHING, page: Page = FIRST_PAGE
    ) -> Sequence[RoomEvent]:
        """Events, ascending."""
        return await self._read(room_id, GetTimeline(room_id, wanted, page))

    async def catch_up(
        self, room_id: str, channel_id: str, after_index: int = -1, limit: int = 500
    ) -> Sequence[RoomEvent]:
        """What a channel may see of the timeline. Raises RoomNotFound, ChannelNotFound."""
        await self._must_be_ours(room_id)
        return await self._ask(
            self._plan.desk, CatchUp(room_id, channel_id, after_index, limit), 60.0
        )

    async def get_event(self, room_id: str, event_id: str) -> RoomEvent:
        """Raises NotFound."""
        await self._must_be_ours(room_id)
        event = await self._store(GetEvent(room_id, event_id))
        if event is None:
            raise NotFound("event", event_id)
        return event

    async def search(
        self,
        text: str,
        *,
        room_id: str | None = None,
        organization_id: str | None = None,
        limit: int = 50,
    ) -> Sequence[RoomEvent]:
        """Messages that hold all words of `text`, best first."""
        return await self._store(Search(text, room_id, self._whose(organization_id), limit))

    async def get_thread_summaries(self, room_id: str) -> Sequence[ThreadSummary]:
        return await self._read(room_id, GetThreadSummaries(room_id))

    async def mark_read(self, room_id: str, channel_id: str, event_id: str) -> int:
        """Everything up to that event is read; where the marker stands."""
        await self._must_be_ours(room_id)
        return await self._ask(self._plan.desk, MarkReadBy(room_id, channel_id, event_id))

    async def mark_all_read(self, room_id: str, channel_id: str) -> int:
        room = await self.get_room(room_id)
        return await self._store(MarkRead(room_id, channel_id, room.latest_index))

    async def get_unread_count(self, room_id: str, channel_id: str) -> int:
        return await self._read(room_id, GetUnreadCount(room_id, channel_id))

    async def list_read_markers(self, room_id: str) -> Mapping[str, int]:
        return await self._read(room_id, ListReadMarkers(room_id))

    # -- work ---------------------------------------------------------------------------------

    async def add_task(self, room_id: str, title: str, **parts: Any) -> Task:
        return await self.perform(room_id, AddTask(title, **parts))

    async def update_task(self, room_id: str, task_id: str, **parts: Any) -> Task:
        return await self.perform(room_id, UpdateTask(task_id, **parts))

    async def list_tasks(self, room_id: str, status: TaskStatus | None = None) -> Sequence[Task]:
        return await self._read(room_id, ListTasks(room_id, status))

    async def add_observation(
        self, room_id: str, channel_id: str, content: str, **parts: Any
    ) -> Observation:
        return await self.perform(room_id, AddObservation(channel_id, content, **parts))

    async def list_observations(self, room_id: str) -> Sequence[Observation]:
        return await self._read(room_id, ListObservations(room_id))

    async def submit_feedback(
        self, room_id: str, rating: float, comment: str = "", **parts: Any
    ) -> Observation:
        return await self.perform(room_id, SubmitFeedback(rating, comment, **parts))

    # -- identities ---------------------------------------------------------------------------

    async def put_identity(self, identity: Identity) -> None:
        whose = self._whose(identity.organization_id)
        await self._store(PutIdentity(attrs.evolve(identity, organization_id=whose)))

    async def get_identity(
        self, identity_id: str, organization_id: str | None = None
    ) -> Identity | None:
        return await self._store(GetIdentity(identity_id, self._whose(organization_id)))

    async def resolve_identity(
        self, channel_type: ChannelType, address: str, organization_id: str | None = None
    ) -> Identity | None:
        return await self._store(
            ResolveIdentity(channel_type, address, self._whose(organization_id))
        )

    async def link_address(self, identity_id: str, channel_type: ChannelType, address: str) -> None:
        """Raises IdentityNotFound."""
        if self._organization is not None and await self.get_identity(identity_id) is None:
            raise IdentityNotFound("identity", identity_id)
        await self._store(LinkAddress(identity_id, channel_type, address))
