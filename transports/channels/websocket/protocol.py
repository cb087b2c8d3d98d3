"""What the channel and the wires of its connections say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from models.rooms.channel import CatchUp, MarkReadBy, Receive
from models.rooms.ephemeral import Listen, Publish, StopListening
from models.rooms.kinds import EphemeralType
from supervision import ActorRef, Request
from transports.channels.websocket.decisions import Chunk
from transports.channels.websocket.messages import Item

DeskRequest = Receive | CatchUp | MarkReadBy
"""What this channel wants of the desk."""
BusMessage = Publish | Listen | StopListening
"""What it wants of the bus."""

# -- from the channel to a wire --------------------------------------------------------------


@attrs.frozen
class Give(Request[None]):
    """An event of a room. Answered when the kernel, or the wire's own queue, has it."""

    item: Item


@attrs.frozen
class Stream:
    """More of an answer in the making; an empty delta is its beginning."""

    start: str = attrs.field(repr=False)
    """The frame that begins it, for who comes late."""
    chunk: Chunk

    @property
    def room_id(self) -> str:
        return self.chunk.room_id


@attrs.frozen
class EndStream(Request[None]):
    """The answer is made, or cut off. Answered like `Give`."""

    room_id: str
    stream_id: str
    item: Item | None
    """What became of it; None if nothing was written."""
    segmented: bool
    """The item only says so: parts of the answer have been given as events."""
    error: str | None


@attrs.frozen
class Passing:
    """Something that is worth little when it is late."""

    room_id: str
    text: str = attrs.field(repr=False)


@attrs.frozen
class Notice:
    """Something about a room that all who are subscribed are told."""

    room_id: str
    text: str


@attrs.frozen
class LookAgain:
    """Something of the room may have been missed."""

    room_id: str


@attrs.frozen
class RoomGone:
    """The room no longer has the channel."""

    room_id: str


@attrs.frozen
class ChannelFailed:
    """The channel has forgotten all its connections: enter again."""


FromChannel = Give | Stream | EndStream | Passing | Notice | LookAgain | RoomGone | ChannelFailed


# -- from a wire to the channel --------------------------------------------------------------


@attrs.frozen
class Entered:
    """The connection is known."""

    channel_id: str
    connection: str
    """Its name."""
    desk: ActorRef[DeskRequest]


@attrs.frozen
class Enter(Request[Entered]):
    """Somebody is there. Who enters again is not counted twice."""

    wire: ActorRef[FromChannel]
    participant_id: str
    streams: bool
    """It shows answers while they are being made."""


@attrs.frozen
class JoinRoom(Request[None]):
    """Send that connection what happens in a room, from now on.

    Refused if the connection is not known.
    """

    wire: ActorRef[FromChannel]
    room_id: str


@attrs.frozen
class PartRoom:
    """No more of a room."""

    wire: ActorRef[FromChannel]
    room_id: str


@attrs.frozen
class Leave:
    """The connection is at its end."""

    wire: ActorRef[FromChannel]


@attrs.frozen
class Tell:
    """Something that passes, for the others in the room."""

    wire: ActorRef[FromChannel]
    room_id: str
    type: EphemeralType
    data: Mapping[str, Any]


FromWire = Enter | JoinRoom | PartRoom | Leave | Tell
