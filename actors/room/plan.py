"""What the rooms of a node have in common: where the others live, and the numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from actors.machines.room.core import RoomSettings
from actors.machines.room.identifying import IdentitySettings
from actors.room.hook_config import HooksConfig


def new_id() -> str:
    """An id that nobody else has: 32 hexadecimal digits."""
    return os.urandom(16).hex()  # a UUID object costs four times as much


def wall() -> datetime:
    """The time of day, UTC."""
    return datetime.now(UTC)


@attrs.frozen
class RoomsPlan:
    """Handed to every actor of this folder by the composition root."""

    settings: RoomSettings = attrs.field(factory=RoomSettings)
    identity: IdentitySettings = attrs.field(factory=IdentitySettings)
    hooks: HooksConfig = attrs.field(factory=HooksConfig)
    admission: int = 1000
    """Messages that may be under way in one room; one more is refused."""
    rest_after: float = 600.0
    """Seconds without anything to do after which a room is put away until somebody needs it; those
    with timers stay."""
    turn_timeout: float = 300.0
    """Seconds an agent has for one turn."""
    store_timeout: float = 30.0
    """Seconds the store has for one request."""
    inbound_rate: float | None = None
    """Messages a second that the desk lets in from one channel; None is all."""
    newcomers: tuple[str, ...] = ()
    """Channels that a room has from the start, if a message made it."""
    new_id: Callable[[], str] = new_id
    wall: Callable[[], datetime] = wall
    """The time of day: virtual in tests."""
    rooms: str = "/rooms"
    store: str = "/store"
    channels: str = "/channels"
    registry: str = "/registry"
    senders: str = "/identity"
    bus: str = "/bus"
    sources: str = "/sources"
    desk: str = "/desk"
    proactive: str = "/proactive"
