"""The desk: steps one and two of the pipeline. It finds the room of a message, or makes one.

Rooms are opened when somebody needs them. Messages of one sender that name no room are looked at
one after the other, so that two quick first words do not make two rooms.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio

from actors.machines.room.editing import WITHHELD, readable
from actors.machines.room.instructing import may_show
from actors.machines.room.pipeline import NEWCOMERS
from actors.room.plan import RoomsPlan
from actors.room.registrations import CurrentRegistrations, Registrations, RegistrationsChanged
from actors.room.requests import Inbound, Look, PutAway, ReportDelivery, RoomMade
from actors.room.routing import room_of
from actors.room.tree import room_spec
from actors.room.verbs import AttachChannel
from models.rooms.channel import CatchUp, MarkReadBy, Receive, Report
from models.rooms.content import Edit
from models.rooms.errors import (
    AlreadyThere,
    BadValue,
    ChannelNotFound,
    ChannelNotRegistered,
    NotFound,
    Overloaded,
    RoomAway,
    RoomNotFound,
    RoomsError,
)
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelCategory, ChannelType, RoomStatus
from models.rooms.refusals import RefusedFor, RefuseFor
from models.rooms.room import DETACHED, Room, check_id
from models.rooms.scope import check_scope, may_remember
from models.rooms.traffic import InboundMessage, InboundResult
from supervision import (
    Actor,
    ActorRef,
    Mailbox,
    Overflow,
    Promise,
    Request,
    SupervisionError,
    handles,
)
from supervision.resilience import TokenBucket
from supervision.supervisor import StartChild, TerminateChild
from transports.stores.backend import EVERYTHING, Page
from transports.stores.requests import (
    CreateRoom,
    FindRoomsOfChannel,
    GetEvent,
    GetRoom,
    GetTimeline,
    LoadRoom,
    MarkRead,
    StoreRequest,
    store_fault,
)

logger = logging.getLogger("troupe.rooms")

OPEN_WITHIN = 60.0
"""Seconds that opening a room may take."""
AT_ONCE = 20_000
"""Answers that the desk may owe; whoever asks for one more is refused."""
CASCADE_WITHIN = 900.0
"""Seconds that all that one message causes may take, at most."""


@attrs.frozen
class OpenRoom(Request[ActorRef[Any]]):
    """The actor of a room that exists, started if need be. Refused with RoomNotFound."""

    room_id: str


@attrs.frozen
class MakeRoom(Request[ActorRef[Any]]):
    """A new room and its actor. Refused with AlreadyThere."""

    room: Room


@attrs.frozen
class Locate(Receive):
    """The room of a message, found or made as for any other, and answered with its actor: whoever
    asks hands the message over. Answered with an `InboundResult` if it comes too fast.
    """


@attrs.frozen
class _Routed:
    """Where a message belongs, or why nowhere."""

    receive: Receive
    promise: Promise[Any]
    ref: ActorRef[Any] | None
    error: Exception | None = None


@attrs.frozen
class _Settled:
    """An answer for somebody who asked the desk."""

    promise: Promise[Any]
    value: Any = attrs.field(default=None, repr=False)
    error: Exception | None = None


@attrs.frozen
class _Again:
    """A room was going away when a message came for it."""

    receive: Receive
    promise: Promise[Any]


@attrs.frozen
class DeskStatistics:
    """What came to the desk."""

    received: int
    routed: int
    """Messages that named no room."""
    limited: int
    """Messages that came too fast."""
    opening: int
    owed: int
    """Answers that are outstanding."""


DeskRequests = (
    Receive
    | Report
    | CatchUp
    | MarkReadBy
    | OpenRoom
    | MakeRoom
    | RegistrationsChanged
    | PutAway
    | _Routed
    | _Settled
    | _Again
)


def _sender(receive: Receive) -> tuple[str, str, str | None]:
    return receive.message.channel_id, receive.message.sender_id, receive.room_id


def _again_or_failed(
    receive: Receive, promise: Promise[Any], error: Exception
) -> _Again | _Settled:
    if isinstance(error, RefusedFor) and isinstance(error.error, RoomAway):
        return _Again(receive, promise)
    return _Settled(promise, error=error)


class Desk(Actor[DeskRequests]):
    """Where everything comes in."""

    mailbox = Mailbox(10_000, Overflow.REFUSE)

    def __init__(self, plan: RoomsPlan) -> None:
        super().__init__()
        self._plan = plan
        self._registrations = Registrations()
        self._buckets: dict[str, TokenBucket] = {}
        self._opening: dict[str, trio.Event] = {}
        self._senders: dict[tuple[str, str, str | None], deque[tuple[Receive, Promise[Any]]]] = {}
        """Messages whose room is looked for, by channel, sender and room: their order is kept."""
        self._received = self._routed = self._limited = 0
        self._owed = 0

    async def on_start(self) -> None:
        registry = self.system.find(self._plan.registry)
        if registry is not None:  # else it is not there yet, and will tell
            self._registrations = await registry.ask(CurrentRegistrations())
        self._store = self.system.ref(self._plan.store)
        self._rooms = self.system.ref(self._plan.rooms)

    def statistics(self) -> DeskStatistics:
        """See `DeskStatistics`."""
        return DeskStatistics(
            self._received, self._routed, self._limited, len(self._opening), self._owed
        )

    @handles
    def on_registrations(self, message: RegistrationsChanged) -> None:
        self._registrations = message.registrations

    # -- messages -------------------------------------------------------------------------

    @handles
    def on_receive(self, receive: Receive) -> InboundResult | None:
        channel_id = receive.message.channel_id
        info = self._registrations.infos.get(channel_id)
        if info is None:
            raise RefuseFor(ChannelNotRegistered("registered channel", channel_id))
        if info.type is ChannelType.HOST:
            raise RefuseFor(BadValue(("nothing comes in by a host channel: use post",)))
        if info.category is ChannelCategory.INTELLIGENCE:
            raise RefuseFor(BadValue(("nothing comes in by an agent: it answers",)))
        try:
            check_scope(receive.message.response_visibility)
        except BadValue as wrong:
            raise RefuseFor(wrong) from None
        if not self._has_leave(channel_id):
            self._limited += 1
            return InboundResult(None, True, "rate_limited")
        self._received += 1
        promise = self._owe()
        if receive.room_id is None:
            self._routed += 1
        elif _sender(receive) not in self._senders:
            ref = self._open_now(receive.room_id)
            if ref is not None:
                self._hand_over(receive, promise, ref)
                return None
        self._line_up(receive, promise)
        return None

    def _owe(self) -> Promise[Any]:
        """An answer that comes later; so many may be outstanding, and no more."""
        if self._owed >= AT_ONCE:
            raise RefuseFor(Overloaded("the desk", AT_ONCE))
        self._owed += 1
        return self.defer()

    def _has_leave(self, channel_id: str) -> bool:
        rate = self._plan.inbound_rate
        if rate is None:
            return True
        bucket = self._buckets.get(channel_id)
        if bucket is None:
            bucket = self._buckets[channel_id] = TokenBucket(rate)
        return bucket.try_take(self.now)

    @handles
    def on_put_away(self, message: PutAway) -> None:
        """Whoever wants the room meanwhile waits until it is gone, and opens it anew."""
        if message.room_id not in self._opening:
            done = self._opening[message.room_id] = trio.Event()
            self.start_task(self._put_away, message.room_id, done, name="put a room away")

    async def _put_away(self, room_id: str, done: trio.Event) -> None:
        try:
            await self._rooms.ask(TerminateChild(room_id), timeout=OPEN_WITHIN)
        except SupervisionError as error:
            logger.warning(f"room {room_id} could not be put away: {error}")
        finally:
            del self._opening[room_id]
            done.set()

    def _hand_over(self, receive: Receive, promise: Promise[Any], ref: ActorRef[Any]) -> None:
        if isinstance(receive, Locate):
            self._owed -= 1
            promise.resolve(ref)
            return
        self.pipe(
            ref.ask(Inbound(receive.message), timeout=CASCADE_WITHIN),
            to=lambda result: _Settled(promise, result),
            failed=lambda error: _again_or_failed(receive, promise, error),
        )

    @handles
    def on_again(self, message: _Again) -> None:
        """The room was going away, and took nothing."""
        self._line_up(message.receive, message.promise)

    def _line_up(self, receive: Receive, promise: Promise[Any]) -> None:
        """Its room has to be found, or opened: one message of a sender after the other."""
        line = self._senders.setdefault(_sender(receive), deque())
        line.append((receive, promise))
        if len(line) == 1:
            self._look_for(receive, promise)

    def _look_for(self, receive: Receive, promise: Promise[Any]) -> None:
        self.start_task(
            self._find,
            receive,
            name="find a room",
            to=lambda ref: _Routed(receive, promise, ref),
            failed=lambda error: _Routed(receive, promise, None, error),
        )

    async def _find(self, receive: Receive) -> ActorRef[Any]:
        if receive.room_id is not None:
            return await self._opened_or_made(receive.room_id, receive.message)
        info = self._registrations.infos.get(receive.message.channel_id)
        if info is None:
            raise ChannelNotRegistered("registered channel", receive.message.channel_id)
        room_id = await room_of(receive.message, info, self._ask_store)
        if room_id is not None:
            return await self._opened(room_id)
        return await self._made(
            self._new_room(self._plan.new_id()), receive.message, newcomers=True
        )

    @handles
    def on_routed(self, message: _Routed) -> None:
        receive = message.receive
        if message.ref is not None:
            self._hand_over(receive, message.promise, message.ref)
        else:
            self._owed -= 1
            self._fail(message.promise, message.error)
        sender = _sender(receive)
        line = self._senders[sender]
        line.popleft()
        if line:
            self._look_for(*line[0])
        else:
            del self._senders[sender]

    @handles
    def on_settled(self, message: _Settled) -> None:
        self._owed -= 1
        if message.error is None:
            message.promise.resolve(message.value)
        else:
            self._fail(message.promise, message.error)

    def _fail(self, promise: Promise[Any], error: Exception | None) -> None:
        match error:
            case RefuseFor(error=why) | RefusedFor(error=why):
                promise.fail(RefusedFor(self.path, str(why), why))
            case RoomsError():
                promise.fail(RefusedFor(self.path, str(error), error))
            case SupervisionError():
                promise.fail(error)
            case None:
                promise.refuse("nothing came of it")
            case _:
                raise error

    # -- rooms ----------------------------------------------------------------------------

    def _open_now(self, room_id: str) -> ActorRef[Any] | None:
        """The room's actor, if it runs or is just being restarted."""
        if room_id in self._opening:
            return None
        return self.system.find(f"{self._plan.rooms}/{room_id}/room")

    @handles
    def on_open(self, request: OpenRoom) -> ActorRef[Any] | None:
        ref = self._open_now(request.room_id)
        if ref is None:
            self._answer_later(self._opened, request.room_id)
        return ref

    @handles
    def on_make(self, request: MakeRoom) -> None:
        self._answer_later(self._made, request.room)

    @handles
    def on_report(self, request: Report) -> None:
        self._answer_later(self._reported, request)

    @handles
    def on_catch_up(self, request: CatchUp) -> None:
        self._answer_later(self._caught_up, request)

    @handles
    def on_mark_read(self, request: MarkReadBy) -> None:
        self._answer_later(self._marked, request)

    def _answer_later(self, function: Callable[[Any], Awaitable[Any]], argument: object) -> None:
        promise = self._owe()
        self.start_task(
            function,
            argument,
            to=lambda value: _Settled(promise, value),
            failed=lambda error: _Settled(promise, error=error),
        )

    async def _reported(self, report: Report) -> None:
        status = report.status
        room_id = status.room_id
        if room_id is None and status.channel_id is not None:
            request = FindRoomsOfChannel(status.channel_id, (RoomStatus.ACTIVE,), 1)
            rooms = await self._ask_store(request)
            room_id = rooms[0].id if rooms else None
        if room_id is None:
            raise RoomNotFound("room", status.channel_id or "")
        ref = await self._opened(room_id)
        await ref.ask(ReportDelivery(status))

    async def _caught_up(self, request: CatchUp) -> Sequence[RoomEvent]:
        if request.create:
            await self._let_in(request.room_id, request.channel_id)
        record = await self._ask_store(LoadRoom(request.room_id, 1))
        if record is None:
            raise RoomNotFound("room", request.room_id)
        bindings = {b.channel_id: b for b in record.context.bindings}
        own = bindings.get(request.channel_id)
        if own is None:
            raise ChannelNotFound("channel in the room", request.channel_id)
        seen: list[RoomEvent] = []
        after = request.after_index
        while len(seen) < request.limit:
            page = Page(limit=min(request.limit, 500), after_index=after)
            events = await self._ask_store(GetTimeline(request.room_id, EVERYTHING, page))
            if not events:
                break
            after = events[-1].index
            for event in events:
                source = bindings.get(event.source.channel_id)
                if may_remember(event, own, own.channel_id, source) and may_show(event):
                    seen.append(readable(await self._as_edited(event)))
        return seen[: request.limit]

    async def _as_edited(self, event: RoomEvent) -> RoomEvent:
        """An edit of what was deleted since says no more than that does."""
        if not isinstance(event.content, Edit):
            return event
        target = await self._ask_store(GetEvent(event.room_id, event.content.target_event_id))
        if target is not None and not target.metadata.get("deleted"):
            return event
        return attrs.evolve(event, content=attrs.evolve(event.content, new_content=WITHHELD))

    async def _let_in(self, room_id: str, channel_id: str) -> None:
        """The room is there, and has the channel unless that was detached on purpose."""
        ref = await self._opened_or_made(room_id, None)
        context = await ref.ask(Look())
        detached = context.room.metadata.get(DETACHED, ())
        if context.get_binding(channel_id) is None and channel_id not in detached:
            await ref.ask(AttachChannel(channel_id))

    async def _marked(self, request: MarkReadBy) -> int:
        event = await self._ask_store(GetEvent(request.room_id, request.event_id))
        if event is None:
            raise NotFound("event", request.event_id)
        marked = MarkRead(request.room_id, request.channel_id, event.index)
        marker: int = await self._ask_store(marked)
        return marker

    def _new_room(self, room_id: str) -> Room:
        now = self._plan.wall()
        return Room(room_id, now, now)

    async def _opened_or_made(self, room_id: str, by: InboundMessage | None) -> ActorRef[Any]:
        try:
            return await self._opened(room_id)
        except RoomNotFound:
            try:
                return await self._made(self._new_room(room_id), by, newcomers=True)
            except AlreadyThere:
                return await self._opened(room_id)

    async def _opened(self, room_id: str) -> ActorRef[Any]:
        while (opening := self._opening.get(room_id)) is not None:
            await opening.wait()
        ref = self._open_now(room_id)
        if ref is not None:
            return ref
        done = self._opening[room_id] = trio.Event()
        try:
            if await self._ask_store(GetRoom(room_id)) is None:
                raise RoomNotFound("room", room_id)
            spec = room_spec(room_id, self._plan)
            await self._rooms.ask(StartChild(spec), timeout=OPEN_WITHIN)
        finally:
            del self._opening[room_id]
            done.set()
        return self.system.ref(f"{self._plan.rooms}/{room_id}/room")

    async def _made(
        self, room: Room, by: InboundMessage | None = None, *, newcomers: bool = False
    ) -> ActorRef[Any]:
        try:
            check_id("a room id", room.id)
        except ValueError as error:
            raise BadValue((str(error),)) from None
        if newcomers and self._plan.newcomers:
            # On record with the room itself, which lets them in before its first message.
            room = attrs.evolve(room, metadata={NEWCOMERS: list(self._plan.newcomers)})
        await self._ask_store(CreateRoom(room))
        ref = await self._opened(room.id)
        await ref.ask(RoomMade(by))
        return ref

    async def _ask_store(self, request: StoreRequest[Any]) -> Any:
        try:
            return await self._store.ask(request, timeout=self._plan.store_timeout)
        except SupervisionError as error:
            raise store_fault(error) from error
