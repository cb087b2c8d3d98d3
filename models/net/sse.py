"""Server-sent events: bytes in, the data of events out. Pure.

Only `data` is of interest here; names, ids and retry times of events are passed over.
Source: WHATWG HTML, section 9.2.6 ("Interpreting an event stream").
"""

from __future__ import annotations

from models.net.faults import garbled

LONGEST_EVENT = 1 << 20
"""Bytes. One chunk of a chat completion has some hundred; a whole tool call some thousand."""


class SseReader:
    """Takes an event stream apart, however its bytes are cut."""

    def __init__(self, longest: int = LONGEST_EVENT) -> None:
        self._longest = longest
        self._line = bytearray()
        """The line that has begun."""
        self._data: list[str] = []
        self._size = 0
        """Bytes in `_data`."""
        self._after_cr = False
        self._first = True

    def feed(self, data: bytes) -> list[str]:
        """The data of all events that end in these bytes.

        Raises:
            ProviderFault: a line or an event is longer than `longest`, or not UTF-8.
        """
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]  # the CR before it ended the line
        self._after_cr = data.endswith(b"\r") or (self._after_cr and not data)
        *ended, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events: list[str] = []
        for part in ended:
            self._line += part
            self._check()
            event = self._take(bytes(self._line))
            self._line.clear()
            if event is not None:
                events.append(event)
        self._line += rest
        self._check()
        return events

    def finish(self) -> list[str]:
        """The stream is over: its last event, if the blank line after it is missing."""
        events = [self._take(bytes(self._line)), self._take(b"")]
        self._line.clear()
        return [event for event in events if event is not None]

    def _check(self) -> None:
        if len(self._line) + self._size > self._longest:
            raise garbled(f"an event of more than {self._longest} bytes")

    def _take(self, line: bytes) -> str | None:
        if self._first:
            line, self._first = line.removeprefix(b"\xef\xbb\xbf"), False
        if not line:
            if not self._data:
                return None
            event = "\n".join(self._data)
            self._data.clear()
            self._size = 0
            return event
        field, _, value = line.partition(b":")
        if field == b"data":
            self._size += len(value) + 1
            try:
                self._data.append(value.removeprefix(b" ").decode())
            except UnicodeDecodeError:
                raise garbled("an event that is not UTF-8") from None
        return None
