"""A room, the channels bound to it, and the people in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, in_, optional

from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ChannelCategory,
    ChannelDirection,
    ChannelMediaType,
    ChannelType,
    DeliveryMode,
    IdentificationStatus,
    ParticipantRole,
    ParticipantStatus,
    RoomStatus,
)

_ID = re.compile(r"[^\s/\x00-\x1f](?:[^/\x00-\x1f]{0,126}[^\s/\x00-\x1f])?")


def check_id(what: str, value: str) -> str:
    """`value`, if it can name something: it becomes a segment of an actor's path.

    Raises:
        ValueError: it is empty, longer than 128 characters, holds "/" or control characters, or
            begins or ends with a blank.
    """
    if not _ID.fullmatch(value):
        raise ValueError(
            f"{what} is 1 to 128 characters without '/', control characters or blanks at its ends: "
            f"{value[:40]!r} will not do"
        )
    return value


@attrs.frozen
class RoomTimers:
    """When a room that nobody uses is put aside. Seconds."""

    inactive_after_seconds: int | None = attrs.field(default=None, validator=optional(ge(0)))
    closed_after_seconds: int | None = attrs.field(default=None, validator=optional(ge(0)))
    last_activity_at: datetime | None = None
    paused_at: datetime | None = None
    close_from: Literal["activity", "paused"] = attrs.field(
        default="activity", validator=in_(("activity", "paused"))
    )
    """What `closed_after_seconds` counts from: the last activity, or the pause."""

    def __attrs_post_init__(self) -> None:
        for moment in (self.last_activity_at, self.paused_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("the times of timers name their time zone: pass UTC")


@attrs.frozen
class Room:
    """A conversation."""

    id: str
    created_at: datetime
    updated_at: datetime
    organization_id: str | None = None
    status: RoomStatus = RoomStatus.ACTIVE
    closed_at: datetime | None = None
    timers: RoomTimers = attrs.field(factory=RoomTimers)
    agent_response_policy: AgentResponsePolicy = AgentResponsePolicy.AGENT_CHAIN
    metadata: Mapping[str, Any] = NOTHING
    event_count: int = 0
    """Events that are stored."""
    latest_index: int = -1
    """Of the newest stored event; -1 while there is none."""
    delivered_index: int = -1
    """All events up to it have been delivered. Moved by the delivery cursor alone."""


DETACHED = "roomkit:detached_channels"
"""The key of room metadata that lists channels which were detached on purpose."""
CONVERSATION_STATE = "_conversation_state"
"""The key of room metadata in which orchestration keeps its state."""


@attrs.frozen
class ChannelCapabilities:
    """What a channel can carry."""

    media_types: Sequence[ChannelMediaType] = (ChannelMediaType.TEXT,)
    max_length: int | None = attrs.field(default=None, validator=optional(gt(0)))
    """Characters of one text."""
    supports_threading: bool = False
    supports_reactions: bool = False
    supports_edit: bool = False
    supports_delete: bool = False
    supports_read_receipts: bool = False
    supports_typing: bool = False
    supports_templates: bool = False
    supports_rich_text: bool = False
    supports_buttons: bool = False
    supports_cards: bool = False
    supports_quick_replies: bool = False
    supports_media: bool = False
    supports_audio: bool = False
    supports_video: bool = False
    max_buttons: int | None = None
    supported_media_types: Sequence[str] = ()
    max_media_size_bytes: int | None = None
    max_audio_duration_seconds: float | None = None
    supported_audio_formats: Sequence[str] = ()
    max_video_duration_seconds: float | None = None
    supported_video_formats: Sequence[str] = ()
    delivery_mode: DeliveryMode = DeliveryMode.BROADCAST
    custom: Mapping[str, Any] = NOTHING


TEXT_ONLY = ChannelCapabilities()


@attrs.frozen
class RateLimit:
    """How often a channel may be used. The first that is given counts."""

    max_per_second: float | None = attrs.field(default=None, validator=optional(gt(0)))
    max_per_minute: float | None = attrs.field(default=None, validator=optional(gt(0)))
    max_per_hour: float | None = attrs.field(default=None, validator=optional(gt(0)))

    @property
    def rate(self) -> float | None:
        """Per second; None is unlimited."""
        if self.max_per_second is not None:
            return self.max_per_second
        if self.max_per_minute is not None:
            return self.max_per_minute / 60
        if self.max_per_hour is not None:
            return self.max_per_hour / 3600
        return None


@attrs.frozen
class RetryPolicy:
    """How a delivery that failed is tried again. Seconds."""

    max_retries: int = attrs.field(default=3, validator=ge(0))
    base_delay_seconds: float = attrs.field(default=1.0, validator=ge(0))
    max_delay_seconds: float = attrs.field(default=60.0, validator=ge(0))
    exponential_base: float = attrs.field(default=2.0, validator=ge(1))
    retryable_errors: Sequence[str] | None = None
    """Codes of errors that are tried again; None is all that say so themselves."""
    jitter: bool = False
    """Wait a random part of the delay, so that many do not come back at once."""


@attrs.frozen
class ChannelBinding:
    """One channel in one room."""

    channel_id: str
    room_id: str
    channel_type: ChannelType
    attached_at: datetime
    category: ChannelCategory = ChannelCategory.TRANSPORT
    direction: ChannelDirection = ChannelDirection.BIDIRECTIONAL
    access: Access = Access.READ_WRITE
    muted: bool = False
    output_muted: bool = False
    visibility: str = "all"
    participant_id: str | None = None
    last_read_index: int | None = None
    """A hint; read markers are what counts."""
    capabilities: ChannelCapabilities = TEXT_ONLY
    """As the channel had them when it was attached."""
    rate_limit: RateLimit | None = None
    retry_policy: RetryPolicy | None = None
    metadata: Mapping[str, Any] = NOTHING

    @property
    def can_write(self) -> bool:
        """What comes from it is broadcast."""
        return self.access in (Access.READ_WRITE, Access.WRITE_ONLY) and not self.muted


@attrs.frozen
class Participant:
    """Somebody in a room: one record, whatever channels they come by."""

    id: str
    room_id: str
    channel_id: str
    """The channel they came by first, or joined by last."""
    joined_at: datetime
    display_name: str | None = None
    role: ParticipantRole = ParticipantRole.MEMBER
    status: ParticipantStatus = ParticipantStatus.ACTIVE
    identification: IdentificationStatus = IdentificationStatus.PENDING
    identity_id: str | None = None
    candidates: Sequence[str] | None = None
    """Identities it may be."""
    connected_via: Sequence[str] = ()
    """Channels, `channel_id` first."""
    external_id: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    metadata: Mapping[str, Any] = NOTHING


@attrs.frozen
class RoomContext:
    """What hooks and channels are shown of a room: a snapshot, shared, never copied."""

    room: Room
    bindings: Sequence[ChannelBinding] = ()
    participants: Sequence[Participant] = ()
    recent_events: Sequence[RoomEvent] = ()
    """Messages, ascending: the last one is the newest."""

    def get_binding(self, channel_id: str) -> ChannelBinding | None:
        """The binding of that channel, if it has one."""
        return next((b for b in self.bindings if b.channel_id == channel_id), None)

    def other_channels(self, channel_id: str) -> Sequence[ChannelBinding]:
        """All bindings but that one."""
        return [b for b in self.bindings if b.channel_id != channel_id]

    def channels_by_type(self, channel_type: ChannelType) -> Sequence[ChannelBinding]:
        """The bindings of that kind."""
        return [b for b in self.bindings if b.channel_type is channel_type]
