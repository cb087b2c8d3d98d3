"""What a room's actor is asked. The verbs of `Conversations` are these, one to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import attrs

from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import Hook, HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.proactive import Gated, Item, gate
from actors.machines.room.steps import LOCK, Steps
from models.rooms.content import Content
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import ChannelType, EventType
from models.rooms.room import RoomContext
from models.rooms.traffic import DeliveryStatus, InboundMessage, InboundResult, SessionStarted
from supervision import Request

T_co = TypeVar("T_co", covariant=True)

SESSIONS = (ChannelType.VOICE, ChannelType.REALTIME_VOICE, ChannelType.REALTIME_AUDIO_VIDEO)
"""Channels that have sessions, and tell themselves when one has started."""


@attrs.frozen
class Inbound(Request[InboundResult]):
    """A message that belongs to this room. Answered once all that it causes is done."""

    message: InboundMessage
    run: str = ""
    """Of the hook of this room that it comes from: if the room still waits for that, it goes before
    what the hook holds up, and is answered as soon as it is committed."""
    depth: int = 0
    """Of the hooks that it comes from: one more for each hook inside a hook. What comes from a hook
    is answered as soon as it is committed."""
    key: str = ""
    """By which it can be cancelled, with others of the same key."""
    ticket: str = ""
    """By which whoever sends it, and nobody else, asks about it: see `WhenCommitted`."""


@attrs.frozen
class SendEvent(Request[RoomEvent]):
    """An event from the application, on a channel that is bound. Answered like `Inbound`.

    Refused with ChannelNotFound, RoomClosed, Overloaded, StoreUnavailable.
    """

    channel_id: str
    content: Content = attrs.field(repr=False)
    event_type: EventType = EventType.MESSAGE
    chain_depth: int = 0
    participant_id: str | None = None
    metadata: Mapping[str, Any] = NOTHING
    visibility: str = "all"
    provider: str | None = None
    response_visibility: str | None = None
    created_at: datetime | None = None
    parent_event_id: str | None = None
    idempotency_key: str | None = None
    addressed_to: Sequence[str] | None = None
    run: str = ""
    """See `Inbound`."""
    depth: int = 0
    key: str = ""
    ticket: str = ""


@attrs.frozen
class Post(Request[RoomEvent]):
    """The application's own words to the people of a room; agents act only if they are named.

    Answered like `Inbound`. Refused with ChannelNotRegistered, ChannelNotFound,
    ParticipantNotFound, RoomClosed, Overloaded, StoreUnavailable.
    """

    content: Content = attrs.field(repr=False)
    addressed_to: Sequence[str] = ()
    participant_id: str | None = None
    metadata: Mapping[str, Any] = NOTHING
    idempotency_key: str | None = None
    chain_depth: int = 0
    channel_id: str = "host"


@attrs.frozen
class Regenerate(Request[RoomEvent | None]):
    """Have the agents answer the last message once more; None if there is nothing to answer."""


@attrs.frozen
class Look(Request[RoomContext]):
    """A snapshot of the room; what its timers should have done by now is done first."""

    run: str = ""
    """See `Inbound`."""


@attrs.frozen
class Cancel(Request[int]):
    """Cut the agents' turns of messages with this key, and nothing else of them.

    Answered with how many turns ran or waited, once those that ran are over.
    """

    key: str
    reason: str = ""


@attrs.frozen
class CancelOne(Request[int]):
    """The same, of the one message with this ticket."""

    ticket: str
    reason: str = ""


@attrs.frozen
class Committed:
    """A message is on record."""

    event: RoomEvent
    blocked: bool = False
    reason: str | None = None


@attrs.frozen
class WhenCommitted(Request[Committed | None]):
    """Answered as soon as the message with this ticket is on record.

    None: it will not be, or is all over; its own answer tells. Ask in the same step as for it.
    """

    ticket: str


@attrs.frozen
class WhenQuiet(Request[bool]):
    """Answered once no agent has had a turn for a while, and so nothing was being said.

    False: that took too long.
    """

    buffer: float
    """Seconds of quiet, from now on."""
    timeout: float
    """Seconds."""


@attrs.frozen
class DeliverItem(Request[InboundResult]):
    """Tell the agents of this, past all hooks before. Answered like `Inbound`.

    Refused with ChannelNotFound, BadValue, RoomClosed, StoreUnavailable.
    """

    item: Item


@attrs.frozen
class AddRoomHook(Request[None]):
    """A hook of this room alone. Refused with AlreadyThere."""

    hook: Hook


@attrs.frozen
class RemoveRoomHook(Request[bool]):
    """Whether there was one of that name."""

    name: str


@attrs.frozen
class PutAway:
    """The room has nothing to do, and takes nothing more: it may be stopped. To the desk."""

    room_id: str


class RoomOperation(Request[T_co]):
    """The base of what changes the room itself: each knows its own passage."""

    __slots__ = ()

    def passage(self, pipeline: Pipeline) -> Steps[T_co]:
        """The way through the room; it returns the answer."""
        raise NotImplementedError


@attrs.frozen
class RoomMade(RoomOperation[None]):
    """The room is new: tell hooks and listeners. The desk's, once."""

    by: InboundMessage | None = None
    """Whose first word made it."""

    def passage(self, pipeline: Pipeline) -> Steps[None]:
        yield LOCK
        core = pipeline.core
        told = core.record(EventType.SYSTEM, "room_created", "created")
        core.fire(HookTrigger.ON_ROOM_CREATED, told)
        core.announce("room_created")
        if self.by is not None:
            self._began(core, self.by)
        yield from pipeline.let_newcomers_in()

    @staticmethod
    def _began(core: RoomCore, by: InboundMessage) -> None:
        channel_id, sender = by.channel_id, by.sender_id
        kind = core.channels[channel_id].type
        if kind in SESSIONS:
            return
        started = SessionStarted(core.room.id, channel_id, kind, sender, core.now)
        core.fire(HookTrigger.ON_SESSION_STARTED, started)
        core.announce("session_started", {"participant_id": sender}, channel_id=channel_id)


@attrs.frozen
class ReportDelivery(RoomOperation[None]):
    """A provider tells what became of something: hooks may want to know."""

    status: DeliveryStatus

    def passage(self, pipeline: Pipeline) -> Steps[None]:
        yield LOCK
        pipeline.core.fire(HookTrigger.ON_DELIVERY_STATUS, self.status)


@attrs.frozen
class GateItem(RoomOperation[Gated]):
    """Ask the hooks before a proactive delivery. Refused with ChannelNotFound, BadValue."""

    item: Item

    def passage(self, pipeline: Pipeline) -> Steps[Gated]:
        return gate(pipeline, self.item)
