"""The contract between a room and its channels, as messages. Everybody sees only these.

A **transport** is one actor for all its rooms: rooms ask it to `Deliver` and tell it of streams,
and it hands what comes in to the desk (`Receive`). An **agent** is one actor for each room it is
attached to: the room asks it to `React`, it tells its progress while it does, and its answer ends
the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from models.rooms.content import ToolCall
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo as ChannelInfo
from models.rooms.room import ChannelBinding, RoomContext
from models.rooms.traffic import DeliveryStatus, InboundMessage, InboundResult, ProviderResult
from models.rooms.turns import Answer as Answer
from models.rooms.turns import Reaction as Reaction
from supervision import Actor, ActorRef, Request

# -- from a room to a transport ---------------------------------------------------------------


@attrs.frozen
class Deliver(Request[ProviderResult]):
    """Bring an event to the people of a room. Answered when it is with them, or cannot be.

    What was interrupted by a crash is asked for again with the same `key`: a provider that takes
    such keys sends nothing twice.
    """

    event: RoomEvent
    """Its content is one this channel can carry, and no longer than it can carry."""
    binding: ChannelBinding
    to: str
    """The recipient's address; "" where the channel knows by itself."""
    key: str
    """The same for every attempt."""


@attrs.frozen
class StreamOpened:
    """An answer begins to be made."""

    room_id: str
    stream_id: str
    event: RoomEvent
    """What it will be an event of: its source, thread and correlation. The text is empty."""


@attrs.frozen
class StreamText:
    """More of it. Pieces that a slow channel could not take in time arrive joined."""

    room_id: str
    stream_id: str
    delta: str = attrs.field(repr=False)


@attrs.frozen
class StreamClosed(Request[ProviderResult]):
    """The answer is made, or was cut off. Answered like a `Deliver`.

    `event` is the answer as it was committed, and is delivered by this message: there will be no
    `Deliver` for it. If parts of the answer have been delivered as events already, it is empty and
    has the metadata `_segmented`, and there is nothing to deliver.
    """

    room_id: str
    stream_id: str
    event: RoomEvent | None
    error: str | None = None
    """Why there is no more of it."""


@attrs.frozen
class RoomAttached(Request[None]):
    """A room has the channel now, and waits for a word: a refusal undoes it."""

    binding: ChannelBinding


@attrs.frozen
class RoomDetached(Request[None]):
    """A room no longer has the channel."""

    room_id: str


@attrs.frozen
class BindingChanged:
    """The room has muted, unmuted or otherwise changed the channel."""

    binding: ChannelBinding


TransportMessage = (
    Deliver
    | StreamOpened
    | StreamText
    | StreamClosed
    | RoomAttached
    | RoomDetached
    | BindingChanged
)


# -- from a channel to the desk ----------------------------------------------------------------


@attrs.frozen
class Receive(Request[InboundResult]):
    """Something came in. Answered once all that it caused is done.

    Args:
        room_id: the room it belongs to; None lets the router find one, or make one.

    Refused (`RefusedFor`) with ChannelNotRegistered, RoomNotFound, BadValue, StoreUnavailable.
    """

    message: InboundMessage
    room_id: str | None = None


@attrs.frozen
class Report(Request[None]):
    """A provider tells what became of something it was given earlier."""

    status: DeliveryStatus


@attrs.frozen
class CatchUp(Request[Sequence[RoomEvent]]):
    """The events of a room after an index which that channel may see, ascending; at most `limit`.

    Refused with RoomNotFound, ChannelNotFound.
    """

    room_id: str
    channel_id: str
    after_index: int = -1
    limit: int = 500
    create: bool = False
    """Make the room if there is none, and let the channel in if it is not: nobody is refused whom
    nobody has detached."""


@attrs.frozen
class MarkReadBy(Request[int]):
    """Somebody on a channel has read up to an event; answered with where the marker stands."""

    room_id: str
    channel_id: str
    event_id: str


DeskMessage = Receive | Report | CatchUp | MarkReadBy


# -- from a room to an agent, and back ----------------------------------------------------------


@attrs.frozen
class TurnText:
    """More text of the answer that a turn is making."""

    turn: str
    delta: str = attrs.field(repr=False)


@attrs.frozen
class TurnTool:
    """A turn uses a tool: once when it starts (pending), once with its outcome."""

    turn: str
    call: ToolCall


@attrs.frozen
class TurnThinking:
    """A turn thinks aloud. Shown to who watches, never kept."""

    turn: str
    delta: str = attrs.field(repr=False)


TurnMessage = TurnText | TurnTool | TurnThinking


@attrs.frozen
class React(Request[Reaction]):
    """An event for an agent that is asked to act on it. One turn at a time."""

    turn: str
    event: RoomEvent
    context: RoomContext
    """`recent_events` holds what this agent may read, without `event` itself."""
    binding: ChannelBinding
    progress: ActorRef[TurnMessage]


@attrs.frozen
class CancelTurn:
    """Nobody wants the answer any more. The turn ends soon, with what it has."""

    turn: str


AgentMessage = React | CancelTurn | BindingChanged


# -- registering ---------------------------------------------------------------------------------


@attrs.frozen
class TransportSpec:
    """A transport: what it says about itself, and how its actor is made."""

    info: ChannelInfo
    start: Callable[[], Actor[Any]]
    """Makes the actor, at every restart. It accepts `TransportMessage`s."""


@attrs.frozen
class AgentSpec:
    """An agent: what it says about itself, and how its actor is made for one room."""

    info: ChannelInfo
    start: Callable[[str], Actor[Any]]
    """Makes the actor for the room of that id. It accepts `AgentMessage`s."""


ChannelSpec = TransportSpec | AgentSpec
