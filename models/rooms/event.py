"""The entry of a timeline: one immutable thing that happened in a room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from models.rooms.content import Content, System, Text
from models.rooms.kinds import (
    ChannelDirection,
    ChannelType,
    DeliveryOutcome,
    EventStatus,
    EventType,
)

NOTHING: Mapping[str, Any] = {}
"""An empty mapping, shared: nobody writes into these."""
SEGMENTED = "_segmented"
"""The metadata of an answer whose parts have been delivered as events already."""


@attrs.frozen
class EventSource:
    """Where an event came from."""

    channel_id: str
    channel_type: ChannelType
    direction: ChannelDirection = ChannelDirection.INBOUND
    participant_id: str | None = None
    external_id: str | None = None
    provider: str | None = None
    raw_payload: Mapping[str, Any] = attrs.field(default=NOTHING, repr=False)
    """What the provider sent, untouched."""
    provider_message_id: str | None = None


@attrs.frozen
class ChannelData:
    """What only the channel's provider understands."""

    provider: str | None = None
    external_id: str | None = None
    thread_id: str | None = None
    """The provider's own thread reference, opaque."""
    extra: Mapping[str, Any] = NOTHING


NO_CHANNEL_DATA = ChannelData()


@attrs.frozen
class DeliveryError:
    """Why a delivery failed."""

    code: str
    message: str = ""
    retryable: bool = True


@attrs.frozen
class DeliveryResult:
    """What became of an event on one channel."""

    channel_id: str
    status: DeliveryOutcome
    provider_message_id: str | None = None
    error: DeliveryError | None = None
    retry_after: float | None = None
    """Seconds after which the provider would take it."""
    provider_result: Mapping[str, Any] | None = None


@attrs.frozen
class RoomEvent:
    """One entry of a room's timeline. Edits and deletes are entries too."""

    id: str
    room_id: str
    source: EventSource
    content: Content = attrs.field(repr=False)
    created_at: datetime
    """Timezone-aware, UTC. Callers may pass one: the start of speech, say."""
    type: EventType = EventType.MESSAGE
    status: EventStatus = EventStatus.PENDING
    blocked_by: str | None = None
    """The hook, or the code of the rule, that blocked it."""
    visibility: str = "all"
    """Who may see it; see `scope.py`."""
    addressed_to: Sequence[str] | None = None
    """Who is asked to act: None is unaddressed, () is nobody, else only these agents."""
    response_visibility: str | None = None
    """The scope of the answers to it."""
    index: int = 0
    """Its place in the room, given by the commit; from 0, without gaps, never reused."""
    chain_depth: int = 0
    """0 for what came from outside; an answer is one deeper than what it answers."""
    parent_event_id: str | None = None
    """The root of its thread."""
    correlation_id: str | None = None
    """Joins the parts of one answer."""
    idempotency_key: str | None = None
    """Unique in its room."""
    metadata: Mapping[str, Any] = NOTHING
    channel_data: ChannelData = NO_CHANNEL_DATA
    delivery_results: Mapping[str, DeliveryResult] = NOTHING
    """By channel; kept only if one failed."""

    @property
    def blocked(self) -> bool:
        """It is on record, and reached nobody."""
        return self.status is EventStatus.BLOCKED


def text_of_event(event: RoomEvent) -> str:
    """The body of a text; "" for everything else."""
    return event.content.body if isinstance(event.content, Text | System) else ""
