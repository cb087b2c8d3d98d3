"""Server-sent events: bytes in, events out. Pure.

Not httpx-sse (0.4): it keeps a line that never ends until memory does, and an event without an id
comes with the id of the one before, so that a reader who counts on ids would take it for a repeat.
Source: WHATWG HTML, section 9.2.6 ("Interpreting an event stream").
"""

from __future__ import annotations

import attrs

from models.net.faults import garbled

LONGEST_EVENT = 1 << 20
"""Bytes. One chunk of a chat completion has some hundred; a whole tool call some thousand."""

_BOM = b"\xef\xbb\xbf"


@attrs.frozen
class ServerSentEvent:
    """One event of a stream."""

    data: str = attrs.field(repr=False)
    name: str = "message"
    id: str = ""
    """Its own; "" if it has none."""


class EventStreamReader:
    """Takes an event stream apart, however its bytes are cut."""

    def __init__(self, longest: int = LONGEST_EVENT, last_id: str = "") -> None:
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
            ProviderFault: a line or an event is longer than `longest`, or not UTF-8.
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

    def finish(self) -> list[ServerSentEvent]:
        """The stream is over: its last event, if the blank line after it is missing."""
        events = [self._take(bytes(self._line)), self._take(b"")]
        self._line.clear()
        return [event for event in events if event is not None]

    def _grow(self, part: bytes) -> None:
        self._line += part
        if self._size + len(self._line) > self._longest:
            raise garbled(f"an event of more than {self._longest} bytes")

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        if not line:
            return self._complete()
        name, _, rest = line.partition(b":")
        try:
            value = rest.removeprefix(b" ").decode()
        except UnicodeDecodeError:
            raise garbled("an event that is not UTF-8") from None
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


class SseReader:
    """Of a stream whose events are nothing but data."""

    def __init__(self, longest: int = LONGEST_EVENT) -> None:
        self._events = EventStreamReader(longest)

    def feed(self, data: bytes) -> list[str]:
        """The data of all events that end in these bytes; raises as `EventStreamReader` does."""
        return [event.data for event in self._events.feed(data)]

    def finish(self) -> list[str]:
        """The stream is over: its last event, if the blank line after it is missing."""
        return [event.data for event in self._events.finish()]
