"""What the machine of a connection wants done, and how far the connection has come."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from models.rooms.event import NOTHING
from models.rooms.kinds import EphemeralType
from models.rooms.traffic import InboundMessage
from supervision.secret import Secret
from transports.channels.websocket.messages import Hello, Presence, React, Read, Typing


@attrs.frozen
class Say:
    """Send the client a frame."""

    text: str = attrs.field(repr=False)


@attrs.frozen
class Chunk:
    """Send it more of an answer; what waits of the same answer may be joined."""

    room_id: str
    stream_id: str
    delta: str = attrs.field(repr=False)
    text: str = attrs.field(repr=False)


@attrs.frozen
class ComeIn:
    """Ask the channel to let it in."""

    hello: Hello
    token: Secret | None


@attrs.frozen
class Join:
    """Ask the channel for a room's events, then say `joined`."""

    room_id: str
    epoch: int


@attrs.frozen
class Part:
    """The channel need not send that room's events any more."""

    room_id: str


@attrs.frozen
class Fetch:
    """Ask for the events after an index, then say `page`."""

    room_id: str
    epoch: int
    after_index: int
    create: bool = False
    """Have the room made, or the channel let in, if need be."""


@attrs.frozen
class Submit:
    """Hand a message to its room, then say `answered` or `refused`."""

    room_id: str
    message: InboundMessage


@attrs.frozen
class Pass:
    """Tell the others of the room something that passes."""

    room_id: str
    type: EphemeralType
    data: Mapping[str, Any]


@attrs.frozen
class MarkRead:
    """Move the marker, then tell the others."""

    room_id: str
    event_id: str


@attrs.frozen
class Hang:
    """Close the connection, once all that was said is sent."""

    code: int
    reason: str


Decision = Say | Chunk | ComeIn | Join | Part | Fetch | Submit | Pass | MarkRead | Hang
Decisions = Sequence[Decision]


_PRESENCES = {
    "online": EphemeralType.PRESENCE_ONLINE,
    "away": EphemeralType.PRESENCE_AWAY,
    "offline": EphemeralType.PRESENCE_OFFLINE,
}


def passing_of(said: Typing | Presence | Read | React) -> Pass | MarkRead:
    """What to do about something that a client says in passing."""
    match said:
        case Typing(room_id=room_id, on=on):
            kind = EphemeralType.TYPING_START if on else EphemeralType.TYPING_STOP
            return Pass(room_id, kind, NOTHING)
        case Presence(room_id=room_id, status=status):
            data = NOTHING if status in _PRESENCES else {"status": status}
            return Pass(room_id, _PRESENCES.get(status, EphemeralType.CUSTOM), data)
        case Read(room_id=room_id, event_id=event_id):
            return MarkRead(room_id, event_id)
        case React(room_id=room_id, event_id=event_id, emoji=emoji, action=action):
            data = {"target_event_id": event_id, "emoji": emoji, "action": action}
            return Pass(room_id, EphemeralType.REACTION, data)


class Phase(enum.Enum):
    """How far a connection has come."""

    STARTING = "starting"
    """Its hello has not come."""
    ENTERING = "entering"
    """The channel is being asked."""
    OPEN = "open"
    OVER = "over"


@attrs.define
class RoomCounters:
    """What went over the wire, and what did not."""

    frames_in: int = 0
    events_out: int = 0
    doubles: int = 0
    """Events that came again, and were not sent again."""
    refused: int = 0
    """Frames of the client that could not be used."""
    over_rate: int = 0
