"""What a channel is given in place of content it cannot carry: one pure table."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

import attrs

from models.rooms.content import (
    Audio,
    Composite,
    Content,
    Delete,
    Edit,
    Location,
    Media,
    Rich,
    System,
    Template,
    Text,
    ToolCall,
    Video,
)
from models.rooms.kinds import ChannelMediaType
from models.rooms.room import ChannelCapabilities

Transcoder = Callable[[Content, ChannelCapabilities], Content | None]
"""Any function that does what `transcode` does; None means: it cannot be delivered there."""

ELLIPSIS = "..."

_CARRIED_AS: Mapping[type[Content], ChannelMediaType] = {
    Text: ChannelMediaType.TEXT,
    Rich: ChannelMediaType.RICH,
    Media: ChannelMediaType.MEDIA,
    Audio: ChannelMediaType.AUDIO,
    Video: ChannelMediaType.VIDEO,
    Location: ChannelMediaType.LOCATION,
    Template: ChannelMediaType.TEMPLATE,
}


def transcode(
    content: Content, capabilities: ChannelCapabilities, *, media_links: bool = False
) -> Content | None:
    """`content` itself where the channel can carry it, else the nearest that it can.

    Args:
        media_links: a file that has a caption or a name is told with its address as well.
    Returns:
        None if the channel carries nothing at all.
    """
    media_types = capabilities.media_types
    if not media_types:
        return None
    kind = type(content)
    if kind in _CARRIED_AS and _CARRIED_AS[kind] in media_types:
        return content

    def inner(part: Content) -> Content | None:
        return transcode(part, capabilities, media_links=media_links)

    match content:
        case Composite(parts=parts):
            return _composed(content, [new for part in parts if (new := inner(part)) is not None])
        case Edit(new_content=new) if capabilities.supports_edit:
            fallback = inner(new)
            if fallback is None or fallback is new:
                return content
            return attrs.evolve(content, new_content=fallback)
        case Edit(new_content=new):
            return _correction(inner(new))
        case Delete() if capabilities.supports_delete:
            return content
        case _:
            return _in_words(content, media_links)


def truncated(content: Content, max_length: int | None) -> Content:
    """`content` with no text in it longer than `max_length` characters (3 at least).

    Files, marked-up words and what is no text stay as they are: to cut those is to break them.
    """
    if max_length is None:
        return content
    match content:
        case Text(body=body) if len(body) > max_length:
            return attrs.evolve(content, body=body[: max(0, max_length - len(ELLIPSIS))] + ELLIPSIS)
        case Composite(parts=parts):
            return _with_parts(content, [truncated(part, max_length) for part in parts])
        case Edit(new_content=new):
            shorter = truncated(new, max_length)
            return content if shorter is new else attrs.evolve(content, new_content=shorter)
        case _:
            return content


def _in_words(
    content: Text | Rich | Media | Location | Audio | Video | System | Template | Delete | ToolCall,
    media_links: bool,
) -> Content:
    match content:
        case Text() | System() | ToolCall():
            return content  # words already, or not for people
        case Rich(body=body, plain_text=plain):
            return Text(plain or body)
        case Media():
            return Text(f"[Media: {_media_words(content, media_links)}]")
        case Audio(url=url, transcript=transcript):
            return Text(transcript or _tagged("Voice message", _link(url)))
        case Video(url=url):
            return Text(_tagged("Video", _link(url)))
        case Location(latitude=latitude, longitude=longitude, label=label, address=address):
            return Text(f"[Location: {label or address or ''} ({latitude}, {longitude})]")
        case Template(template_id=template, body=body):
            return Text(body or f"[Template: {template}]")
        case Delete():
            return Text("[Message deleted]")


def _composed(composite: Composite, parts: Sequence[Content]) -> Content | None:
    """Lines if all parts are texts, whatever they were before."""
    if not parts:
        return None
    texts = [part.body for part in parts if isinstance(part, Text)]
    return Text("\n".join(texts)) if len(texts) == len(parts) else _with_parts(composite, parts)


def _with_parts(composite: Composite, parts: Sequence[Content]) -> Composite:
    """The very same if these are its own."""
    own = composite.parts
    same = len(own) == len(parts) and all(map(operator.is_, own, parts))
    return composite if same else Composite(tuple(parts))


def _correction(new: Content | None) -> Content:
    match new:
        case None:
            return Text("[Correction]")
        case Text(body=body):
            return Text(f"Correction: {body}")
        case _:
            return new


def _media_words(media: Media, links: bool) -> str:
    name, link = media.caption or media.filename, _link(media.url)
    if not name:
        return link or media.mime_type
    return f"{name} {link}" if links and link else name


def _tagged(what: str, link: str) -> str:
    return f"[{what}: {link}]" if link else f"[{what}]"


def _link(url: str) -> str:
    """What people could follow: a data URL is the file itself, and would fill pages."""
    return "" if url.startswith("data:") else url
