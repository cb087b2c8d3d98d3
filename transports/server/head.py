"""The head of an HTTP request, read just far enough to see who should answer it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

MOST_HEAD = 16 * 1024
"""Bytes; hypercorn and `websockets` allow no more either."""


@attrs.frozen
class Head:
    """What the listener needs of a request; whoever answers it parses the bytes again, strictly."""

    method: str
    path: str
    """Without the query."""
    query: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    """By lower-case name; of repeated ones the last. The values may hold credentials."""

    @property
    def is_websocket(self) -> bool:
        """It asks to become a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def bearer(self) -> str:
        """The token of the authorization header, "" without one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


def parse_head(data: bytes) -> Head | None:
    """The head at the beginning of `data`; None if that is no HTTP/1 request.

    Args:
        data: complete up to the empty line, at least.
    """
    lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    path, _, query = words[1].partition("?")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return None
        headers[name.lower()] = value.strip()
    return Head(words[0], path, query, headers)
