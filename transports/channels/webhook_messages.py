"""The JSON of webhooks that come in, as messages and reports for the desk. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import attrs
from attrs.validators import max_len, min_len, optional

from models.rooms.content import Composite, Content, Delete, Edit, Media, System, ToolCall
from models.rooms.errors import BadValue
from models.rooms.event import NOTHING
from models.rooms.kinds import EventType
from models.rooms.traffic import DeliveryStatus, InboundMessage, keyed
from models.rooms.wire import loads
from transports.channels.bodies import inbound_content, nothing_to_send

_NAME: list[Any] = [min_len(1), max_len(512)]


@attrs.frozen
class _File:
    """A file, of which the type may be unknown."""

    url: str
    mime_type: str = ""
    filename: str | None = None
    size_bytes: int | None = None


@attrs.frozen
class _Said:
    """Somebody said something: `content`, or `body` and `media`."""

    sender_id: str = attrs.field(validator=_NAME)
    body: str = ""
    media: Sequence[_File] = attrs.field(default=(), validator=max_len(20))
    content: Content | None = None
    external_id: str | None = attrs.field(default=None, validator=optional(_NAME))
    thread_id: str | None = None
    parent_event_id: str | None = None
    room_id: str | None = None
    metadata: Mapping[str, Any] = NOTHING


@attrs.frozen
class _Became:
    """What became of something that was delivered earlier."""

    message_id: str = attrs.field(validator=_NAME)
    status: Literal["queued", "sent", "delivered", "read", "failed"]
    room_id: str | None = None
    recipient: str = ""
    sender: str = ""
    error_code: str | None = None
    error_message: str | None = None
    timestamp: datetime | None = None


def read_message(
    data: bytes,
    channel_id: str,
    *,
    largest: int,
    may_choose_room: bool,
    unnamed: str | None,
) -> tuple[InboundMessage, str | None]:
    """The message, and the room it names.

    Args:
        largest: bytes of it.
        unnamed: keeps a message without `external_id` from being written twice; None if it has to
            have one.
    Raises:
        BadValue: with everything that is wrong with it.
    """
    said = loads(data, _Said, unknown_keys=True, largest=largest)
    content = _content(said)
    faults: list[str] = []
    if said.room_id is not None and not may_choose_room:
        faults.append("room_id: messages of this channel do not choose their room")
    name = said.external_id or unnamed
    if name is None:
        faults.append("external_id: needed where the signature holds no time")
    if name is None or faults:
        raise BadValue(faults)
    message = InboundMessage(
        channel_id,
        said.sender_id,
        content,
        event_type=_event_type(content),
        external_id=said.external_id,
        thread_id=said.thread_id,
        parent_event_id=said.parent_event_id,
        idempotency_key=keyed(channel_id, name),
        provider_message_id=said.external_id,
        metadata=said.metadata,
    )
    return message, said.room_id


def read_status(data: bytes, channel_id: str, provider: str, *, largest: int) -> DeliveryStatus:
    """The report.

    Raises:
        BadValue: with everything that is wrong with it.
    """
    became = loads(data, _Became, unknown_keys=True, largest=largest)
    return DeliveryStatus(
        provider,
        became.message_id,
        became.status,
        room_id=became.room_id,
        channel_id=channel_id,
        recipient=became.recipient,
        sender=became.sender,
        error_code=became.error_code,
        error_message=became.error_message,
        timestamp=became.timestamp,
    )


def _content(said: _Said) -> Content:
    if said.content is None:
        if not said.body.strip() and not said.media:
            raise BadValue(["body: nothing is said"])
        return inbound_content(said.body, _files(said.media))
    if said.body or said.media:
        raise BadValue(["content: goes without 'body' and 'media'"])
    if _ours(said.content):
        raise BadValue(["content: 'system' and 'tool_call' are what rooms say, not people"])
    if nothing_to_send(said.content):
        raise BadValue(["content: nothing is said"])
    return said.content


def _ours(content: Content) -> bool:
    match content:
        case System() | ToolCall():
            return True
        case Composite(parts=parts):
            return any(map(_ours, parts))
        case Edit(new_content=new):
            return _ours(new)
        case _:
            return False


def _files(media: Sequence[_File]) -> Sequence[Media]:
    faults = []
    files = []
    for number, file in enumerate(media):
        try:
            files.append(Media(file.url, file.mime_type, file.filename, file.size_bytes))
        except ValueError:
            faults.append(f"media[{number}]: expected an http, https or data URL, and a size ≥ 0")
    if faults:
        raise BadValue(faults)
    return files


def _event_type(content: Content) -> EventType:
    match content:
        case Edit():
            return EventType.EDIT
        case Delete():
            return EventType.DELETE
        case _:
            return EventType.MESSAGE
