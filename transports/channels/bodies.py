"""What channels make of contents, and contents of what comes in. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from models.rooms.content import Composite, Content, Media, Rich, System, Text

UNKNOWN_MIME = "application/octet-stream"


def body_of(content: Content) -> str:
    """The words that a text channel sends: of composites all of them, a blank between; else ""."""
    match content:
        case Text(body=body) | Rich(body=body) | System(body=body):
            return body
        case Media(caption=caption):
            return caption or ""
        case Composite(parts=parts):
            return " ".join(filter(None, map(body_of, parts)))
        case _:
            return ""


def media_urls(content: Content) -> Sequence[str]:
    """The addresses of the files in it, in order."""
    match content:
        case Media(url=url):
            return (url,)
        case Composite(parts=parts):
            return tuple(url for part in parts for url in media_urls(part))
        case _:
            return ()


def nothing_to_send(content: Content) -> bool:
    """Whether it is words without a word, so that no request is worth making."""
    match content:
        case Text() | Rich() | System():
            return not body_of(content).strip()
        case Composite(parts=parts):
            return all(map(nothing_to_send, parts))
        case _:
            return False


def inbound_content(body: str, media: Sequence[Media] = ()) -> Content:
    """What somebody sent: words, files, or both.

    One file takes the words as its caption; several become a composite, the words first. A file of
    unknown type has the `mime_type` "", and gets one here.
    """
    files = [_with_type(file) for file in media]
    match files:
        case []:
            return Text(body)
        case [file]:
            return _captioned(file, body) if body else file
        case _:
            words: list[Content] = [Text(body)] if body else []
            return Composite((*words, *files))


def _with_type(file: Media) -> Media:
    return file if file.mime_type else _copy(file, file.caption, UNKNOWN_MIME)


def _captioned(file: Media, body: str) -> Media:
    return _copy(file, body, file.mime_type)


def _copy(file: Media, caption: str | None, mime_type: str) -> Media:
    return Media(file.url, mime_type, file.filename, file.size_bytes, caption)
