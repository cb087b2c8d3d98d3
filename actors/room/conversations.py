"""`Conversations`: the rooms of a node as an async API. Every verb is a message, and nothing more.

    async with open_system(root=room_services(...)) as system:
        rooms = Conversations(system)
        await rooms.create_room("r1")
        await rooms.attach_channel("r1", "sms", metadata={"phone_number": "+15550100"})
        await rooms.send_event("r1", "sms", Text("Hello"))

What is wrong with a request is raised as the `RoomsError` that says so. Calls from inside a hook of
the same room are nested: they go before the event that the hook holds up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs

from actors.machines.room.hooking import Hook
from actors.machines.room.membership import list_members
from actors.room.desk import MakeRoom
from actors.room.identity import AddIdentityHook, IdentityHook, RemoveIdentityHook
from actors.room.reading import Reading
from actors.room.registry import AddHook, RegisterChannel, RemoveHook, UnregisterChannel
from actors.room.requests import (
    AddRoomHook,
    RemoveRoomHook,
)
from actors.room.speaking import Speaking
from actors.room.verbs import (
    AddMember,
    ArchiveRoom,
    AttachChannel,
    CheckTimers,
    CloseRoom,
    DetachChannel,
    EnsureParticipant,
    Mute,
    MuteOutput,
    PauseRoom,
    RemoveMember,
    RenameMember,
    ReopenRoom,
    ResolveParticipant,
    ResumeRoom,
    SetAccess,
    SetAgentResponsePolicy,
    SetRoomTimers,
    SetVisibility,
    Unmute,
    UnmuteOutput,
    UpdateBindingMetadata,
    UpdateRoomMetadata,
)
from models.rooms.channel import ChannelSpec
from models.rooms.ephemeral import Publish
from models.rooms.event import NOTHING
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ParticipantStatus,
    RoomStatus,
)
from models.rooms.room import ChannelBinding, Participant, Room, RoomTimers
from models.rooms.traffic import (
    EphemeralEvent,
    FrameworkEvent,
)
from transports.stores.backend import Page
from transports.stores.requests import (
    FindRooms,
)

T = TypeVar("T")

FIRST_PAGE = Page()


class Conversations(Speaking, Reading):
    """The rooms of one node."""

    # -- channels of the node -----------------------------------------------------------------

    async def register_channel(self, spec: ChannelSpec) -> None:
        """One more channel for all rooms. Raises AlreadyThere."""
        await self._ask(self._plan.registry, RegisterChannel(spec))

    async def unregister_channel(self, channel_id: str) -> ChannelInfo | None:
        """Let go of a channel; what was bound to it stays bound. None if there was none."""
        return await self._ask(self._plan.registry, UnregisterChannel(channel_id))

    # -- rooms --------------------------------------------------------------------------------

    async def create_room(
        self,
        room_id: str | None = None,
        *,
        organization_id: str | None = None,
        metadata: Mapping[str, Any] = NOTHING,
        timers: RoomTimers | None = None,
        agent_response_policy: AgentResponsePolicy = AgentResponsePolicy.AGENT_CHAIN,
    ) -> Room:
        """A new room. Raises AlreadyThere, BadValue."""
        now = self._plan.wall()
        clock = timers or RoomTimers()
        if clock.last_activity_at is None:
            clock = attrs.evolve(clock, last_activity_at=now)
        room = Room(
            room_id or self._plan.new_id(),
            now,
            now,
            self._whose(organization_id),
            timers=clock,
            agent_response_policy=agent_response_policy,
            metadata=metadata,
        )
        await self._ask(self._plan.desk, MakeRoom(room), 60.0)
        return room

    async def find_rooms(
        self,
        *,
        organization_id: str | None = None,
        status: RoomStatus | None = None,
        metadata: Mapping[str, Any] = NOTHING,
        limit: int = 100,
        offset: int = 0,
    ) -> Sequence[Room]:
        """Rooms as the store has them, newest activity last."""
        return await self._store(
            FindRooms(self._whose(organization_id), status, metadata, limit, offset)
        )

    async def close_room(self, room_id: str) -> Room:
        return await self.perform(room_id, CloseRoom())

    async def archive_room(self, room_id: str) -> Room:
        return await self.perform(room_id, ArchiveRoom())

    async def pause_room(self, room_id: str) -> Room:
        return await self.perform(room_id, PauseRoom())

    async def resume_room(self, room_id: str) -> Room:
        return await self.perform(room_id, ResumeRoom())

    async def reopen_room(self, room_id: str) -> Room:
        return await self.perform(room_id, ReopenRoom())

    async def set_room_timers(self, room_id: str, timers: RoomTimers) -> Room:
        return await self.perform(room_id, SetRoomTimers(timers))

    async def set_agent_response_policy(self, room_id: str, policy: AgentResponsePolicy) -> Room:
        return await self.perform(room_id, SetAgentResponsePolicy(policy))

    async def update_room_metadata(
        self, room_id: str, changes: Mapping[str, Any], unset: Sequence[str] = ()
    ) -> Room:
        return await self.perform(room_id, UpdateRoomMetadata(changes, unset))

    async def check_room_timers(self, room_id: str) -> bool:
        """Do now what is due; rooms do it by themselves, too."""
        return await self.perform(room_id, CheckTimers())

    async def check_all_timers(self, organization_id: str | None = None) -> Sequence[Room]:
        """Do what is due in all open rooms; those that changed."""
        changed = []
        for status in (RoomStatus.ACTIVE, RoomStatus.PAUSED):
            offset = 0
            while rooms := await self.find_rooms(
                organization_id=organization_id, status=status, limit=200, offset=offset
            ):
                due = [room for room in rooms if await self.check_room_timers(room.id)]
                changed += [await self.get_room(room.id) for room in due]
                offset += len(rooms) - len(due)
        return changed

    # -- channels of a room -------------------------------------------------------------------

    async def attach_channel(self, room_id: str, channel_id: str, **parts: Any) -> ChannelBinding:
        """Bind a channel; `parts` are those of `AttachChannel`. Raises ChannelNotRegistered."""
        return await self.perform(room_id, AttachChannel(channel_id, **parts))

    async def detach_channel(self, room_id: str, channel_id: str) -> bool:
        return await self.perform(room_id, DetachChannel(channel_id))

    async def mute(self, room_id: str, channel_id: str) -> ChannelBinding:
        return await self.perform(room_id, Mute(channel_id))

    async def unmute(self, room_id: str, channel_id: str) -> ChannelBinding:
        return await self.perform(room_id, Unmute(channel_id))

    async def mute_output(self, room_id: str, channel_id: str) -> ChannelBinding:
        return await self.perform(room_id, MuteOutput(channel_id))

    async def unmute_output(self, room_id: str, channel_id: str) -> ChannelBinding:
        return await self.perform(room_id, UnmuteOutput(channel_id))

    async def set_access(self, room_id: str, channel_id: str, access: Access) -> ChannelBinding:
        return await self.perform(room_id, SetAccess(channel_id, access))

    async def set_visibility(
        self, room_id: str, channel_id: str, visibility: str
    ) -> ChannelBinding:
        return await self.perform(room_id, SetVisibility(channel_id, visibility))

    async def update_binding_metadata(
        self,
        room_id: str,
        channel_id: str,
        changes: Mapping[str, Any] = NOTHING,
        unset: Sequence[str] = (),
    ) -> ChannelBinding:
        return await self.perform(room_id, UpdateBindingMetadata(channel_id, changes, unset))

    # -- people -------------------------------------------------------------------------------

    async def ensure_participant(
        self, room_id: str, channel_id: str, participant_id: str, display_name: str | None = None
    ) -> Participant:
        return await self.perform(
            room_id, EnsureParticipant(channel_id, participant_id, display_name)
        )

    async def add_member(
        self, room_id: str, channel_id: str, participant_id: str, **parts: Any
    ) -> Participant:
        """Somebody joins; `parts` are those of `AddMember`."""
        return await self.perform(room_id, AddMember(channel_id, participant_id, **parts))

    async def remove_member(
        self,
        room_id: str,
        participant_id: str,
        status: ParticipantStatus = ParticipantStatus.LEFT,
    ) -> Participant:
        return await self.perform(room_id, RemoveMember(participant_id, status))

    async def rename_member(
        self, room_id: str, participant_id: str, display_name: str | None
    ) -> Participant:
        return await self.perform(room_id, RenameMember(participant_id, display_name))

    async def list_members(
        self, room_id: str, *, include_left: bool = False
    ) -> Sequence[Participant]:
        return list_members((await self.look(room_id)).participants, include_left)

    async def resolve_participant(
        self, room_id: str, participant_id: str, identity_id: str, resolved_by: str = "manual"
    ) -> Participant:
        return await self.perform(
            room_id, ResolveParticipant(participant_id, identity_id, resolved_by)
        )

    # -- hooks and listeners --------------------------------------------------------------------

    async def add_hook(self, hook: Hook) -> None:
        """For all rooms. Raises AlreadyThere."""
        await self._ask(self._plan.registry, AddHook(hook))

    async def remove_hook(self, name: str) -> bool:
        return await self._ask(self._plan.registry, RemoveHook(name))

    async def add_room_hook(self, room_id: str, hook: Hook) -> None:
        """For one room. Raises AlreadyThere."""
        await self._in_room(room_id, AddRoomHook(hook))

    async def remove_room_hook(self, room_id: str, name: str) -> bool:
        return await self._in_room(room_id, RemoveRoomHook(name))

    async def add_identity_hook(self, hook: IdentityHook) -> None:
        await self._ask(self._plan.senders, AddIdentityHook(hook))

    async def remove_identity_hook(self, name: str) -> bool:
        return await self._ask(self._plan.senders, RemoveIdentityHook(name))

    @asynccontextmanager
    async def events(self, capacity: int = 1000) -> AsyncIterator[AsyncIterator[FrameworkEvent]]:
        """What the rooms of this node tell, from now on; the oldest are dropped when it is slow."""
        with self._system.events.subscribe(FrameworkEvent, capacity=capacity) as told:
            yield told

    def publish(self, event: EphemeralEvent) -> None:
        """Something that is not kept: typing, presence, a reaction."""
        self._system.ref(self._plan.bus).tell(Publish(event))
