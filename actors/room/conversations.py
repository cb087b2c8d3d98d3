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

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeVar, overload
from uuid import uuid4

import attrs

from actors.machines.room.hooking import Hook
from actors.machines.room.membership import list_members
from actors.machines.room.proactive import Item, Strategy, strategy_of
from actors.room.deferred import (
    CLEANUP_WITHIN,
    Deferred,
    cut,
    over,
    say,
)
from actors.room.desk import CASCADE_WITHIN, Locate, MakeRoom, OpenRoom
from actors.room.hook_scope import inside_hook, waited_for_by
from actors.room.identity import AddIdentityHook, IdentityHook, RemoveIdentityHook
from actors.room.plan import RoomsPlan
from actors.room.proactive_messages import DeliverProactively, ListDead
from actors.room.registry import AddHook, RegisterChannel, RemoveHook, UnregisterChannel
from actors.room.requests import (
    AddRoomHook,
    Cancel,
    Inbound,
    Look,
    Post,
    Regenerate,
    RemoveRoomHook,
    RoomOperation,
    SendEvent,
)
from actors.room.verbs import (
    AddMember,
    AddObservation,
    AddTask,
    ArchiveRoom,
    AttachChannel,
    CheckTimers,
    CloseRoom,
    DeleteEvent,
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
    SubmitFeedback,
    Unmute,
    UnmuteOutput,
    UpdateBindingMetadata,
    UpdateEvent,
    UpdateRoomMetadata,
    UpdateTask,
)
from models.rooms.channel import CatchUp, ChannelSpec, DeskMessage, MarkReadBy, Report
from models.rooms.content import Content, Text
from models.rooms.ephemeral import Publish
from models.rooms.errors import NotFound, ReentrantCall, RoomAway, RoomNotFound
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.identity import Identity
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ChannelType,
    ParticipantStatus,
    RoomStatus,
    TaskStatus,
)
from models.rooms.refusals import RefusedFor
from models.rooms.room import ChannelBinding, Participant, Room, RoomContext, RoomTimers
from models.rooms.traffic import (
    DeliveryStatus,
    EphemeralEvent,
    FrameworkEvent,
    InboundMessage,
    InboundResult,
    Observation,
    Task,
    ThreadSummary,
)
from supervision import ActorRef, Request, System
from transports.stores.backend import EVERYTHING, EventFilter, Page
from transports.stores.requests import (
    FindRooms,
    GetEvent,
    GetIdentity,
    GetRoom,
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
    StoreRequest,
    store_fault,
)

T = TypeVar("T")

FIRST_PAGE = Page()


class Conversations:
    """The rooms of one node."""

    def __init__(self, system: System, plan: RoomsPlan | None = None) -> None:
        """`plan`: of the node, if it is not the usual one."""
        self._system = system
        self._plan = plan or RoomsPlan()
        self._name = uuid4().hex
        self._numbers = itertools.count(1)

    @property
    def system(self) -> System:
        """The actors behind it all, to look at or to talk to."""
        return self._system

    @property
    def desk(self) -> ActorRef[DeskMessage]:
        """Where channels bring what comes in."""
        return self._system.ref(self._plan.desk)

    # -- asking ---------------------------------------------------------------------------

    async def _ask(self, path: str, request: Request[T], within: float | None = None) -> T:
        try:
            return await self._system.ref(path).ask(request, timeout=within)
        except RefusedFor as refused:
            raise refused.error from None

    async def _store(self, request: StoreRequest[T]) -> T:
        store = self._system.ref(self._plan.store)
        try:
            return await store.ask(request, timeout=self._plan.store_timeout)
        except Exception as error:
            raise store_fault(error) from error

    async def _read(self, room_id: str, request: StoreRequest[T]) -> T:
        """Of a room that is there. Raises RoomNotFound."""
        found = await self._store(request)
        if not found and await self._store(GetRoom(room_id)) is None:
            raise RoomNotFound("room", room_id)
        return found

    async def room(self, room_id: str) -> ActorRef[Any]:
        """The actor of a room, to talk to it directly. Raises RoomNotFound."""
        return await self._ask(self._plan.desk, OpenRoom(room_id), 60.0)

    async def _in_room(self, room_id: str, request: Request[T], within: float = 60.0) -> T:
        scope = waited_for_by(room_id)
        if scope is not None and isinstance(request, RoomOperation | Post | Regenerate):
            raise ReentrantCall(scope.hook)
        while True:
            ref = await self.room(room_id)
            try:
                return await ref.ask(request, timeout=within)
            except RefusedFor as refused:
                if not isinstance(refused.error, RoomAway):
                    raise refused.error from None
                # It is being put away, and took nothing: the desk opens it again.

    async def perform(self, room_id: str, operation: RoomOperation[T]) -> T:
        """Do something to a room; `verbs.py` has all there is."""
        return await self._in_room(room_id, operation)

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
            organization_id,
            timers=clock,
            agent_response_policy=agent_response_policy,
            metadata=metadata,
        )
        await self._ask(self._plan.desk, MakeRoom(room), 60.0)
        return room

    async def get_room(self, room_id: str, organization_id: str | None = None) -> Room:
        """The room, with what its timers have done. Raises RoomNotFound, to other tenants too."""
        return (await self.look(room_id, organization_id)).room

    async def look(self, room_id: str, organization_id: str | None = None) -> RoomContext:
        """A snapshot: room, bindings, participants, newest messages. Raises RoomNotFound."""
        context = await self._in_room(room_id, Look(self._from(room_id)[0]))
        if organization_id is not None and context.room.organization_id != organization_id:
            raise RoomNotFound("room", room_id)
        return context

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
        return await self._store(FindRooms(organization_id, status, metadata, limit, offset))

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

    # -- messages -----------------------------------------------------------------------------

    @overload
    async def process_inbound(
        self,
        message: InboundMessage,
        room_id: str | None = None,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[False] = False,
    ) -> InboundResult: ...

    @overload
    async def process_inbound(
        self,
        message: InboundMessage,
        room_id: str | None = None,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[True],
    ) -> Deferred[InboundResult]: ...

    async def process_inbound(
        self,
        message: InboundMessage,
        room_id: str | None = None,
        *,
        delivery_key: str = "",
        defer_delivery: bool = False,
    ) -> InboundResult | Deferred[InboundResult]:
        """A message from a channel; returns once all that it caused is done.

        Cancelling the task that waits cuts the agents' turns that the message has caused.

        Args:
            delivery_key: by which `cancel_delivery` finds it.
            defer_delivery: return a handle as soon as it is on record.
        Raises:
            ChannelNotRegistered, StoreUnavailable, BadValue. ReentrantCall: a hook that its room
                waits for has named no room.
        """
        scope = inside_hook()
        if scope is not None and scope.decides and room_id is None:
            raise ReentrantCall(scope.hook)
        if scope is not None and room_id is not None:
            run, depth = self._from(room_id)
            find: Callable[[], Awaitable[Any]] = partial(self.room, room_id)
        else:
            run, depth = "", scope.depth if scope is not None else 0
            receive = Locate(message, room_id)
            find = partial(self._ask, self._plan.desk, receive, CASCADE_WITHIN)
        request = Inbound(message, run, depth, delivery_key, self._ticket())
        said: InboundResult | Deferred[InboundResult]
        said = await self._said(find, request, defer_delivery)
        return said

    @overload
    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Content | str,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[False] = False,
        **parts: Any,
    ) -> RoomEvent: ...

    @overload
    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Content | str,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[True],
        **parts: Any,
    ) -> Deferred[RoomEvent]: ...

    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Content | str,
        *,
        delivery_key: str = "",
        defer_delivery: bool = False,
        **parts: Any,
    ) -> RoomEvent | Deferred[RoomEvent]:
        """Say something on a channel that is bound; `parts` are those of `SendEvent`.

        Returns, and is cancelled, like `process_inbound`. With the type `instruction` it directs
        the agents of `addressed_to`, and nobody else sees it.

        Raises:
            ChannelNotFound, RoomClosed, Overloaded, BadValue.
        """
        said = Text(content) if isinstance(content, str) else content
        run, depth = self._from(room_id)
        request = SendEvent(
            channel_id,
            said,
            run=run,
            depth=depth,
            key=delivery_key,
            ticket=self._ticket(),
            **parts,
        )
        find = partial(self.room, room_id)
        sent: RoomEvent | Deferred[RoomEvent]
        sent = await self._said(find, request, defer_delivery)
        return sent

    def _ticket(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    async def _said(
        self, find: Callable[[], Awaitable[Any]], request: Inbound | SendEvent, defer: bool
    ) -> Any:
        """Hand it to its room: `find` gives that, or the result of what is not let in."""
        while True:
            room = await find()
            if isinstance(room, InboundResult):
                return over(room) if defer else room
            try:
                return await say(room, request, defer)
            except RoomAway:
                continue  # it took nothing: the desk opens it again

    async def deliver(
        self,
        room_id: str,
        content: Content | str,
        channel_id: str | None = None,
        strategy: str | Strategy = "immediate",
        *,
        metadata: Mapping[str, Any] = NOTHING,
    ) -> Item:
        """Tell the agents of a room something of your own accord, so that they act on it.

        People do not see it, but what the agents answer. It comes in by a transport, as if
        "system" had said it there. Returns what became of it: delivered, dropped by a hook, or
        failed; pending where deliveries are queued, and inside a hook of that room.

        Args:
            channel_id: the transport; None chooses one, as an agent's id does: of voice, if any.
            strategy: "immediate", "wait_for_idle", "queued", or one with other numbers.
        Raises:
            BadValue: there is no such strategy. ChannelNotFound: the room has no transport.
            RoomNotFound, RoomClosed, Overloaded, StoreUnavailable.
        """
        said = Text(content) if isinstance(content, str) else content
        how = strategy_of(strategy)
        scope, waited = inside_hook(), waited_for_by(room_id)
        depth = scope.depth if scope is not None else 0
        item = Item(self._plan.new_id(), room_id, said, channel_id, how, metadata, depth=depth)
        request = DeliverProactively(item, wait=waited is None)
        return await self._ask(self._plan.proactive, request, CASCADE_WITHIN)

    async def list_dead_deliveries(self, limit: int = 50) -> Sequence[Item]:
        """What was given up of that which `deliver` has queued; the newest last."""
        return await self._ask(self._plan.proactive, ListDead(limit))

    async def post(self, room_id: str, content: Content | str, **parts: Any) -> RoomEvent:
        """The application's own words to the people of a room; `parts` are those of `Post`.

        No agent acts on them unless `addressed_to` names it.
        """
        said = Text(content) if isinstance(content, str) else content
        return await self._in_room(room_id, Post(said, **parts), CASCADE_WITHIN)

    async def regenerate_response(self, room_id: str) -> RoomEvent | None:
        """Have the agents answer the last message again; None if there is nothing to answer."""
        return await self._in_room(room_id, Regenerate(), CASCADE_WITHIN)

    def _from(self, room_id: str) -> tuple[str, int]:
        """The hook that a call comes from: its run, if that room waits for it, and how deep."""
        scope, waited = inside_hook(), waited_for_by(room_id)
        return (waited.run if waited is not None else "", scope.depth if scope is not None else 0)

    async def cancel_delivery(
        self, room_id: str, key: str, reason: str = "", *, within: float = CLEANUP_WITHIN
    ) -> int:
        """Cut the agents' turns of messages with that key; how many ran or waited.

        Nothing else of them ends: people still get them. Raises TimeoutError if the turns have not
        ended after `within` seconds.
        """
        return await cut(await self.room(room_id), Cancel(key, reason), within)

    async def process_delivery_status(self, status: DeliveryStatus) -> None:
        """What a provider reports. Raises RoomNotFound."""
        await self._ask(self._plan.desk, Report(status))

    async def update_event(self, room_id: str, event_id: str, **parts: Any) -> RoomEvent | None:
        """Change an event, as its host; `parts` are those of `UpdateEvent`."""
        return await self.perform(room_id, UpdateEvent(event_id, **parts))

    async def delete_event(
        self, room_id: str, event_id: str, *, cascade_replies: bool = True
    ) -> Sequence[str]:
        return await self.perform(room_id, DeleteEvent(event_id, cascade_replies))

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
        return await self._ask(
            self._plan.desk, CatchUp(room_id, channel_id, after_index, limit), 60.0
        )

    async def get_event(self, room_id: str, event_id: str) -> RoomEvent:
        """Raises NotFound."""
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
        return await self._store(Search(text, room_id, organization_id, limit))

    async def get_thread_summaries(self, room_id: str) -> Sequence[ThreadSummary]:
        return await self._read(room_id, GetThreadSummaries(room_id))

    async def mark_read(self, room_id: str, channel_id: str, event_id: str) -> int:
        """Everything up to that event is read; where the marker stands."""
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
        await self._store(PutIdentity(identity))

    async def get_identity(
        self, identity_id: str, organization_id: str | None = None
    ) -> Identity | None:
        return await self._store(GetIdentity(identity_id, organization_id))

    async def resolve_identity(
        self, channel_type: ChannelType, address: str, organization_id: str | None = None
    ) -> Identity | None:
        return await self._store(ResolveIdentity(channel_type, address, organization_id))

    async def link_address(self, identity_id: str, channel_type: ChannelType, address: str) -> None:
        """Raises IdentityNotFound."""
        await self._store(LinkAddress(identity_id, channel_type, address))

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
