"""Server-sent events, taken apart however their bytes are cut. Pure.

Not httpx-sse (0.4): it keeps a line that never ends until memory does, and an event without an id
comes with the id of the one before, so that a reader who counts on ids would take it for a repeat.
Source: WHATWG HTML, section 9.2.6 ("Interpreting an event stream").
"""

from __future__ import annotations

import attrs

_BOM = b"\xef\xbb\xbf"


class TooLong(Exception):
    """An event has more bytes than it may."""


@attrs.frozen
class ServerSentEvent:
    """One event of a stream."""

    data: str = attrs.field(repr=False)
    name: str = "message"
    id: str = ""
    """Its own; "" if it has none."""


class EventStreamReader:
    """Takes an event stream apart; what is not UTF-8 in it is replaced."""

    def __init__(self, longest: int, last_id: str = "") -> None:
        """`longest`: bytes that one event may have. `last_id`: where an earlier stream ended."""
        self.last_id = last_id
        """What to send as `Last-Event-ID` to go on after the last event."""
        self.retry: float | None = None
        """Seconds to wait before connecting again, if the server has said so."""
        self._longest = longest
        self._line = bytearray()
        """The line that has begun."""
        self._size = 0
        """Bytes of the event that has begun, without that line."""
        self._data: list[str] = []
        self._name = ""
        self._own_id = ""
        self._id = last_id
        """Becomes `last_id` when the event that has begun is complete."""
        self._after_cr = False
        self._first = True

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that are complete with these bytes.

        Raises:
            TooLong: there is an event of more than `longest` bytes.
        """
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]  # the CR before it ended the line
        self._after_cr = data.endswith(b"\r") or (self._after_cr and not data)
        *ended, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events: list[ServerSentEvent] = []
        for part in ended:
            self._grow(part)
            line = bytes(self._line)
            self._line.clear()
            self._size += len(line)
            event = self._take(line)
            if event is not None:
                events.append(event)
        self._grow(rest)
        return events

    def _grow(self, part: bytes) -> None:
        self._line += part
        if self._size + len(self._line) > self._longest:
            raise TooLong

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        if not line:
            return self._complete()
        name, _, rest = line.partition(b":")
        value = rest.removeprefix(b" ").decode(errors="replace")
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._name = value
            case b"id" if "\0" not in value:
                self._id = self._own_id = value
            case b"retry" if value.isascii() and value.isdigit() and len(value) < 10:
                self.retry = int(value) / 1000
            case _:
                pass  # a comment, which keeps the connection alive, or a field of the future
        return None

    def _complete(self) -> ServerSentEvent | None:
        event = None
        if self._data:
            event = ServerSentEvent("\n".join(self._data), self._name or "message", self._own_id)
        self.last_id = self._id
        self._data.clear()
        self._name = self._own_id = ""
        self._size = 0
        return event
