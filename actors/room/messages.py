"""All that a room's actor accepts, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from actors.room.delivery import CircuitChanged, Delivered, Resting
from actors.room.hook_runner import HookFailed
from actors.room.household import MemberMessage
from actors.room.outbox import Fired, TurnOver
from actors.room.registrations import RegistrationsChanged
from actors.room.requests import (
    AddRoomHook,
    Cancel,
    CancelOne,
    DeliverItem,
    Inbound,
    Look,
    Post,
    Regenerate,
    RemoveRoomHook,
    RoomOperation,
    SendEvent,
    WhenCommitted,
    WhenQuiet,
)
from actors.room.waiting import Came
from models.rooms.channel import TurnMessage
from models.rooms.event import RoomEvent
from transports.stores.backend import RoomRecord


@attrs.frozen
class Pump:
    """Passages wait to be begun."""


@attrs.frozen
class Late:
    """A passage may have taken too long."""


@attrs.frozen
class Rest:
    """Perhaps the room is needed no more for now."""


@attrs.frozen
class TimersDue:
    """The room's timers have something to do."""


@attrs.frozen
class QuietDue:
    """Somebody who waits for quiet may have waited long enough."""


@attrs.frozen
class Reread:
    """The room as the store has it; None: the store is still away."""

    found: tuple[RoomRecord, Sequence[RoomEvent]] | None
    problem: str = ""


@attrs.frozen
class RoomStatistics:
    """A room from outside."""

    status: str
    events: int
    delivered_index: int
    bindings: int
    participants: int
    under_way: int
    """Messages whose cascade is not over."""
    waiting: int
    """Passages at the door."""
    turns: int
    refused: int
    """Messages that found the room full."""
    stale: int
    """Progress of turns that were over already."""


RoomMessage = (
    Inbound
    | SendEvent
    | Post
    | Regenerate
    | RoomOperation[Any]
    | Look
    | Cancel
    | CancelOne
    | WhenCommitted
    | WhenQuiet
    | DeliverItem
    | AddRoomHook
    | RemoveRoomHook
    | TurnMessage
    | Delivered
    | Resting
    | CircuitChanged
    | MemberMessage
    | TurnOver
    | Fired
    | HookFailed
    | RegistrationsChanged
    | Came
    | Pump
    | Late
    | TimersDue
    | Rest
    | QuietDue
    | Reread
)
