"""Step three of the pipeline: what comes in, as an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from actors.machines.room.core import RoomCore
from models.rooms.content import Composite, Content, Media
from models.rooms.event import ChannelData, EventSource, RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelDirection, ChannelType, EventType
from models.rooms.traffic import InboundMessage


def converted(core: RoomCore, message: InboundMessage, info: ChannelInfo) -> RoomEvent:
    """Step 3: a channel's message as an event."""
    kind = info.type
    if kind is ChannelType.SMS and _holds_media(message):
        kind = ChannelType.MMS
    return RoomEvent(
        id=core.new_id(),
        room_id=core.room.id,
        source=EventSource(
            info.id,
            kind,
            participant_id=message.sender_id or None,
            external_id=message.external_id,
            provider=info.provider,
            raw_payload=message.raw_payload,
            provider_message_id=message.provider_message_id,
        ),
        content=message.content,
        created_at=message.created_at or core.now,
        type=message.event_type,
        visibility=message.visibility,
        addressed_to=message.addressed_to,
        response_visibility=message.response_visibility,
        parent_event_id=message.parent_event_id,
        idempotency_key=message.idempotency_key,
        metadata=message.metadata,
        channel_data=ChannelData(info.provider, message.external_id, message.thread_id),
    )


def _holds_media(message: InboundMessage) -> bool:
    match message.content:
        case Media():
            return True
        case Composite(parts=parts):
            return any(isinstance(part, Media) for part in parts)
        case _:
            return False


class FromApplication(Protocol):
    """What the application wants said; see `requests.SendEvent`."""

    @property
    def channel_id(self) -> str: ...
    @property
    def content(self) -> Content: ...
    @property
    def event_type(self) -> EventType: ...
    @property
    def chain_depth(self) -> int: ...
    @property
    def participant_id(self) -> str | None: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...
    @property
    def visibility(self) -> str: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def response_visibility(self) -> str | None: ...
    @property
    def created_at(self) -> datetime | None: ...
    @property
    def parent_event_id(self) -> str | None: ...
    @property
    def idempotency_key(self) -> str | None: ...
    @property
    def addressed_to(self) -> Sequence[str] | None: ...


def from_application(core: RoomCore, sent: FromApplication) -> RoomEvent:
    """What the application sends, as an event; its channel is bound."""
    binding = core.bindings[sent.channel_id]
    return RoomEvent(
        id=core.new_id(),
        room_id=core.room.id,
        source=EventSource(
            sent.channel_id,
            binding.channel_type,
            ChannelDirection.OUTBOUND,
            participant_id=sent.participant_id,
            provider=sent.provider,
        ),
        content=sent.content,
        created_at=sent.created_at or core.now,
        type=sent.event_type,
        visibility=sent.visibility,
        addressed_to=sent.addressed_to,
        response_visibility=sent.response_visibility,
        chain_depth=sent.chain_depth,
        parent_event_id=sent.parent_event_id,
        idempotency_key=sent.idempotency_key,
        metadata=sent.metadata,
    )
