"""What comes in from channels, what goes out, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
from attrs.validators import ge, le

from models.rooms.content import Content
from models.rooms.event import NOTHING, DeliveryResult, RoomEvent
from models.rooms.kinds import ChannelType, EphemeralType, EventType, TaskStatus


@attrs.frozen
class InboundMessage:
    """Something came in on a channel."""

    channel_id: str
    sender_id: str
    """An address of the channel; of some channels, a participant."""
    content: Content = attrs.field(repr=False)
    event_type: EventType = EventType.MESSAGE
    external_id: str | None = None
    thread_id: str | None = None
    parent_event_id: str | None = None
    idempotency_key: str | None = None
    raw_payload: Mapping[str, Any] = attrs.field(default=NOTHING, repr=False)
    provider_message_id: str | None = None
    metadata: Mapping[str, Any] = NOTHING
    visibility: str = "all"
    addressed_to: Sequence[str] | None = None
    response_visibility: str | None = None
    created_at: datetime | None = None


def keyed(channel_id: str, external_id: str) -> str:
    """The idempotency key of what has this id at a channel's provider: what comes twice is written
    once. It names the channel, for two channels of a room may both count from 1.
    """
    return f"{channel_id}:{external_id}"


@attrs.frozen
class InboundResult:
    """What became of it, once everything it caused is done."""

    event: RoomEvent | None = None
    """As committed; None if nothing was written."""
    blocked: bool = False
    reason: str | None = None
    error: str | None = None
    """The first failure of an agent that was asked to answer."""
    delivery_results: Mapping[str, DeliveryResult] = NOTHING
    """Of this event, not of the answers to it."""


@attrs.frozen
class ProviderResult:
    """What a channel says of one delivery."""

    success: bool
    provider_message_id: str | None = None
    error: str | None = None
    metadata: Mapping[str, Any] = NOTHING
    """`code` (str), `retryable` (bool) and `retry_after` (seconds) are understood."""


SENT = ProviderResult(True)


@attrs.frozen
class DeliveryStatus:
    """A provider's report about something it was given earlier."""

    provider: str
    message_id: str
    status: str
    """queued, sent, delivered, read or failed."""
    room_id: str | None = None
    channel_id: str | None = None
    recipient: str = ""
    sender: str = ""
    error_code: str | None = None
    error_message: str | None = None
    timestamp: datetime | None = None
    raw: Mapping[str, Any] = attrs.field(default=NOTHING, repr=False)


@attrs.frozen
class Task:
    """Something to do that came up in a room."""

    id: str
    room_id: str
    title: str
    created_at: datetime
    description: str | None = None
    assigned_to: str | None = None
    status: TaskStatus = TaskStatus.PENDING
    metadata: Mapping[str, Any] = NOTHING


@attrs.frozen
class Observation:
    """Something that was noticed in a room."""

    id: str
    room_id: str
    channel_id: str
    content: str
    created_at: datetime
    category: str | None = None
    confidence: float = attrs.field(default=1.0, validator=[ge(0.0), le(1.0)])
    metadata: Mapping[str, Any] = NOTHING


@attrs.frozen
class SessionStarted:
    """Somebody's first word has made a room. The payload of `on_session_started`."""

    room_id: str
    channel_id: str
    channel_type: ChannelType
    participant_id: str
    timestamp: datetime


@attrs.frozen
class ThreadSummary:
    """A thread, from outside."""

    root_event_id: str
    reply_count: int
    last_reply_at: datetime


@attrs.frozen
class EphemeralEvent:
    """Something that passes through a room without being kept: typing, presence, a reaction."""

    id: str
    room_id: str
    type: EphemeralType
    user_id: str
    timestamp: datetime
    channel_id: str | None = None
    data: Mapping[str, Any] = NOTHING


@attrs.frozen
class FrameworkEvent:
    """Something the rooms of this node tell whoever listens; see docs/rooms.md for the types."""

    id: str
    type: str
    timestamp: datetime
    room_id: str | None = None
    channel_id: str | None = None
    event_id: str | None = None
    data: Mapping[str, Any] = NOTHING
