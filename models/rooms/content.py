"""What can be said: a union of frozen values, told apart by `type` on the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
from attrs.validators import ge, in_, le, optional

from models.rooms.kinds import DeleteType, ToolStatus

DEEPEST = 5
"""Levels of composites inside composites."""

_URL = re.compile(r"(https?://|data:).")


def _url(_content: object, field: attrs.Attribute[Any], value: str) -> None:
    if not _URL.match(value):
        # Not attrs' own check of patterns: its message repeats the value, and that is private.
        raise ValueError(f"'{field.name}' must be an http, https or data URL")


def _bounded(low: float, high: float) -> Any:
    return [ge(low), le(high)]


@attrs.frozen
class Text:
    """Plain words."""

    type: ClassVar[str] = "text"
    body: str
    language: str | None = None


@attrs.frozen
class Rich:
    """Marked-up words, with what a person may press."""

    type: ClassVar[str] = "rich"
    body: str
    format: Literal["html", "markdown"] = attrs.field(
        default="markdown", validator=in_(("html", "markdown"))
    )
    plain_text: str | None = None
    buttons: Sequence[Mapping[str, Any]] = ()
    cards: Sequence[Mapping[str, Any]] = ()
    quick_replies: Sequence[str] = ()


@attrs.frozen
class Media:
    """A file somewhere."""

    type: ClassVar[str] = "media"
    url: str = attrs.field(validator=_url)
    """http, https or data."""
    mime_type: str
    filename: str | None = None
    size_bytes: int | None = attrs.field(default=None, validator=optional(ge(0)))
    caption: str | None = None


@attrs.frozen
class Location:
    """A place on earth, degrees."""

    type: ClassVar[str] = "location"
    latitude: float = attrs.field(validator=_bounded(-90, 90))
    longitude: float = attrs.field(validator=_bounded(-180, 180))
    label: str | None = None
    address: str | None = None


@attrs.frozen
class Audio:
    """A recording."""

    type: ClassVar[str] = "audio"
    url: str = attrs.field(validator=_url)
    mime_type: str = "audio/ogg"
    duration_seconds: float | None = attrs.field(default=None, validator=optional(ge(0)))
    transcript: str | None = None


@attrs.frozen
class Video:
    """A film."""

    type: ClassVar[str] = "video"
    url: str = attrs.field(validator=_url)
    mime_type: str = "video/mp4"
    duration_seconds: float | None = attrs.field(default=None, validator=optional(ge(0)))
    thumbnail_url: str | None = attrs.field(default=None, validator=optional(_url))


@attrs.frozen
class System:
    """What the room says about itself."""

    type: ClassVar[str] = "system"
    body: str
    code: str | None = None
    data: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Template:
    """A message its provider knows by name."""

    type: ClassVar[str] = "template"
    template_id: str
    language: str = "en"
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    body: str | None = None


@attrs.frozen
class Delete:
    """Something said is taken back."""

    type: ClassVar[str] = "delete"
    target_event_id: str
    delete_type: DeleteType = DeleteType.SENDER
    reason: str | None = None


@attrs.frozen
class ToolCall:
    """An agent uses a tool: pending where it starts, with its outcome where it ends."""

    type: ClassVar[str] = "tool_call"
    tool_name: str
    tool_id: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    result: Any = None
    status: ToolStatus = ToolStatus.PENDING
    duration_ms: float | None = attrs.field(default=None, validator=optional(ge(0)))
    error: str | None = None
    structured_content: Any = None


def depth(content: Content) -> int:
    """Levels of composites: 0 for what holds no other content."""
    match content:
        case Composite(parts=parts):
            return 1 + max(map(depth, parts))
        case Edit(new_content=new):
            return depth(new)
        case _:
            return 0


@attrs.frozen
class Composite:
    """Several things said at once."""

    type: ClassVar[str] = "composite"
    parts: Sequence[Content] = attrs.field()

    @parts.validator
    def _not_empty_nor_deep(self, _field: object, parts: Sequence[Content]) -> None:
        if not parts:
            raise ValueError("a composite has at least one part")
        if 1 + max(map(depth, parts)) > DEEPEST:
            raise ValueError(f"composites may be nested {DEEPEST} deep, not deeper")


@attrs.frozen
class Edit:
    """Something said is said differently."""

    type: ClassVar[str] = "edit"
    target_event_id: str
    new_content: Content
    edit_source: Literal["sender", "system"] | None = attrs.field(
        default=None, validator=optional(in_(("sender", "system")))
    )


Content = (
    Text
    | Rich
    | Media
    | Location
    | Audio
    | Video
    | Composite
    | System
    | Template
    | Edit
    | Delete
    | ToolCall
)

CONTENT_TYPES: Mapping[str, type[Content]] = {
    kind.type: kind
    for kind in (
        Text,
        Rich,
        Media,
        Location,
        Audio,
        Video,
        Composite,
        System,
        Template,
        Edit,
        Delete,
        ToolCall,
    )
}
"""By the word of the wire."""


def text_of(content: Content) -> str:
    """The words in it, as a person would read them out; "" if there are none."""
    match content:
        case Text(body=body) | Rich(body=body) | System(body=body):
            return body
        case Media(caption=caption):
            return caption or ""
        case Audio(transcript=transcript):
            return transcript or ""
        case Template(body=words):
            return words or ""
        case Composite(parts=parts):
            return " ".join(filter(None, map(text_of, parts)))
        case Edit(new_content=new):
            return text_of(new)
        case _:
            return ""
