"""What passes through a room without being kept, ready to be published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from models.rooms.event import NOTHING
from models.rooms.kinds import EphemeralType
from models.rooms.traffic import EphemeralEvent


def ephemeral(
    kind: EphemeralType,
    room_id: str,
    user_id: str,
    data: Mapping[str, Any] = NOTHING,
    *,
    channel_id: str | None = None,
) -> EphemeralEvent:
    """Something that passes through a room now."""
    return EphemeralEvent(uuid4().hex, room_id, kind, user_id, datetime.now(UTC), channel_id, data)


def typing(
    room_id: str, user_id: str, is_typing: bool = True, *, channel_id: str | None = None
) -> EphemeralEvent:
    """Somebody is writing, or has stopped."""
    kind = EphemeralType.TYPING_START if is_typing else EphemeralType.TYPING_STOP
    return ephemeral(kind, room_id, user_id, channel_id=channel_id)


_PRESENCES = {
    "online": EphemeralType.PRESENCE_ONLINE,
    "away": EphemeralType.PRESENCE_AWAY,
    "offline": EphemeralType.PRESENCE_OFFLINE,
}


def presence(
    room_id: str, user_id: str, status: str, *, channel_id: str | None = None
) -> EphemeralEvent:
    """Somebody is online, away or offline; any other status is a custom event with it."""
    kind = _PRESENCES.get(status, EphemeralType.CUSTOM)
    data = {"status": status} if kind is EphemeralType.CUSTOM else NOTHING
    return ephemeral(kind, room_id, user_id, data, channel_id=channel_id)


def read_receipt(
    room_id: str, user_id: str, event_id: str, *, channel_id: str | None = None
) -> EphemeralEvent:
    """Somebody has read up to an event."""
    data = {"event_id": event_id}
    return ephemeral(EphemeralType.READ_RECEIPT, room_id, user_id, data, channel_id=channel_id)


def reaction(
    room_id: str,
    user_id: str,
    target_event_id: str,
    emoji: str,
    action: Literal["add", "remove"] = "add",
    *,
    channel_id: str | None = None,
) -> EphemeralEvent:
    """Somebody reacts to an event, or takes it back."""
    data = {"target_event_id": target_event_id, "emoji": emoji, "action": action}
    return ephemeral(EphemeralType.REACTION, room_id, user_id, data, channel_id=channel_id)


def custom(
    room_id: str, user_id: str, data: Mapping[str, Any], *, channel_id: str | None = None
) -> EphemeralEvent:
    """Anything else."""
    return ephemeral(EphemeralType.CUSTOM, room_id, user_id, data, channel_id=channel_id)
