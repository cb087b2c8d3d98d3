"""What a passage through a room waits for, and what it has others do: values, nothing else.

Every way through a room is a generator. It yields a *wait* and is sent the answer, or thrown the
error; between two waits nothing else happens in the room. What it decides it puts into the core's
outbox as *effects*, which the room's actor carries out before it goes on.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from actors.machines.room.hooking import HookTrigger, Part
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.room import ChannelBinding, RoomContext
from models.rooms.traffic import InboundMessage
from transports.stores.backend import Change

if TYPE_CHECKING:
    from actors.machines.room.cascade import Cascade

T = TypeVar("T")

# -- waits -----------------------------------------------------------------------------------------


@attrs.frozen
class Lock:
    """Wait for the room: from here on this passage is the only one. Answered with None."""


LOCK = Lock()


@attrs.frozen
class Resolve:
    """Who is that? Answered with an `IdentityResult`."""

    message: InboundMessage
    event: RoomEvent


@attrs.frozen
class RunHooks:
    """Ask the hooks of a trigger. Answered with a `Verdict`."""

    trigger: HookTrigger
    payload: Any
    part: Part = Part.ALL


@attrs.frozen
class RunIdentityHooks:
    """Ask the identity hooks. Answered with an `IdentityHookResult`, or None."""

    trigger: HookTrigger
    event: RoomEvent
    result: Any


@attrs.frozen
class Keep:
    """Commit. Answered with None once it is on disk; thrown a `RoomsError` if it is not."""

    change: Change


@attrs.frozen
class FindEvent:
    """Read an event. Answered with it, or None."""

    event_id: str


@attrs.frozen
class EraseEvent:
    """Delete an event for good. Answered with the ids that went, the named one first."""

    event_id: str
    cascade_replies: bool


@attrs.frozen
class FindTask:
    """Read a task. Answered with it, or None."""

    task_id: str


@attrs.frozen
class FindKey:
    """Read the event that was committed under an idempotency key. Answered with it, or None."""

    key: str


@attrs.frozen
class FindIdentity:
    """Look into the address book. Answered with the `Identity`, or None."""

    identity_id: str


@attrs.frozen
class TellAttached:
    """Tell a channel of its new room. Answered with None; thrown if it will not have it."""

    binding: ChannelBinding


@attrs.frozen
class TellDetached:
    """Tell a channel that the room has let go of it. Answered with None; thrown if it objects."""

    channel_id: str


Wait = (
    Lock
    | Resolve
    | RunHooks
    | RunIdentityHooks
    | Keep
    | FindEvent
    | EraseEvent
    | FindTask
    | FindKey
    | FindIdentity
    | TellAttached
    | TellDetached
)

Steps = Generator[Wait, Any, T]


class Turned(Exception):
    """The passage ends here, and nothing of it is on record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# -- effects ---------------------------------------------------------------------------------------


@attrs.frozen
class Carry:
    """Have a transport's delivery actor bring an event to its people."""

    channel_id: str
    event: RoomEvent
    binding: ChannelBinding
    to: str
    stream: str = ""
    """It ends this stream, and is delivered by that."""


@attrs.frozen
class OpenStream:
    """An answer begins to be made."""

    channel_id: str
    stream: str
    event: RoomEvent


@attrs.frozen
class StreamMore:
    """More of it."""

    channel_id: str
    stream: str
    delta: str = attrs.field(repr=False)


@attrs.frozen
class EndStream:
    """There is no more of it, and no event comes of it, or its events have been carried already."""

    channel_id: str
    stream: str
    event: RoomEvent | None
    error: str | None


@attrs.frozen
class BeginTurn:
    """Ask an agent to act."""

    channel_id: str
    turn: str
    event: RoomEvent
    context: RoomContext
    binding: ChannelBinding


@attrs.frozen
class StopTurn:
    """Nobody wants the answer any more."""

    channel_id: str
    turn: str


@attrs.frozen
class Fire:
    """Let the asynchronous hooks of a trigger know; `cascade` waits for them."""

    trigger: HookTrigger
    payload: Any
    cascade: Cascade | None


@attrs.frozen
class Announce:
    """Tell whoever listens to the node's rooms."""

    type: str
    data: Mapping[str, Any] = NOTHING
    channel_id: str | None = None
    event_id: str | None = None


@attrs.frozen
class Settle:
    """All that a message caused is done."""

    cascade: Cascade


@attrs.frozen
class KeepResults:
    """Store the delivery results of an event; one of them failed."""

    event: RoomEvent


@attrs.frozen
class PushBinding:
    """Tell a channel that its binding has changed."""

    binding: ChannelBinding


@attrs.frozen
class Forget:
    """The channel is no longer in the room: its actors here may go."""

    channel_id: str


Effect = (
    Carry
    | OpenStream
    | StreamMore
    | EndStream
    | BeginTurn
    | StopTurn
    | Fire
    | Announce
    | Settle
    | KeepResults
    | PushBinding
    | Forget
)

Effects = Sequence[Effect]
