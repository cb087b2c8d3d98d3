"""Reading recordings: strictly, with errors that say what is wrong with which line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from supervision.encoding import NotDecodable, decode_message
from supervision.errors import SupervisionError
from supervision.observe import TraceEvent
from supervision.recorder import FORMAT, VERSION


@attrs.define(eq=False, slots=False)
class BadRecording(SupervisionError):
    """A file that is no recording, or none that can be read here."""

    path: str
    problem: str
    line: int = 0
    """Counted from 1; 0 for the file as a whole."""

    def __str__(self) -> str:
        where = f"{self.path}, line {self.line}" if self.line else self.path
        return f"{where}: {self.problem}"


@attrs.frozen
class RecordedMessage:
    """One message as it was handled."""

    at: float
    """Seconds, in the recorded node's time, when the handler was done; of an async handler that is
    not known to have ended, when it began."""
    id: int
    cause: int
    path: str
    type: str
    """`module:qualname`."""
    asked: bool
    seconds: float
    outcome: str
    """As in `TraceEvent`; "started" for an async handler that is not known to have ended."""
    body: Any = attrs.field(default=None, repr=False)
    """As JSON, see encoding.py; `message()` makes the message of it."""
    unencodable: str = ""
    """Why there is no body."""

    @property
    def message_type(self) -> str:
        """The type's name without its module."""
        return self.type.rpartition(":")[2]

    @property
    def began(self) -> float:
        """When its handling began."""
        return self.at - self.seconds

    def message(self) -> Any:
        """The message itself.

        Raises:
            NotDecodable: it was not encodable, its module is not imported, or its class changed.
        """
        if self.unencodable:
            raise NotDecodable(f"message {self.id} ({self.type}): {self.unencodable}")
        return decode_message(self.type, self.body)

    def event(self) -> TraceEvent:
        """As a trace would have shown it, with the JSON for the message: for diagrams."""
        return TraceEvent(
            at=self.at,
            id=self.id,
            cause=self.cause,
            path=self.path,
            message=self.body,
            message_type=self.message_type,
            asked=self.asked,
            seconds=self.seconds,
            outcome=self.outcome,
        )


@attrs.frozen
class Recording:
    """What a file holds."""

    file: str
    node: str
    python: str
    started: str
    """UTC, ISO 8601."""
    at: float
    """The node's time then."""
    paths: str
    """The pattern of what was recorded."""
    messages: Sequence[RecordedMessage] = attrs.field(repr=lambda held: f"<{len(held)}>")
    """In the order in which their handling was done (async handlers: began)."""
    lines: Sequence[RecordedMessage] = attrs.field(repr=lambda held: f"<{len(held)}>")
    """The same as it was recorded: async and stashed messages come twice."""
    lost: int
    """Lines that the recorder could not write."""
    ended: bool
    """It was stopped; otherwise its process died, or it still runs."""
    truncated: str
    """What was left out of an unfinished last line; empty if there is none."""

    def __iter__(self) -> Iterator[RecordedMessage]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    def events(self) -> Sequence[TraceEvent]:
        """All messages as a trace would have shown them: for `follow` and `mermaid`."""
        return tuple(message.event() for message in self.lines)

    def from_outside(self) -> Sequence[RecordedMessage]:
        """The messages that no recorded message has caused: what a replay has to send itself."""
        known = {message.id for message in self.messages}
        return tuple(message for message in self.messages if message.cause not in known)


def read_recording(path: str | Path) -> Recording:
    """Read a recording.

    A last line that the recorder did not finish is left out, and told in `truncated`.

    Raises:
        BadRecording: it is something else, was written by a newer version, or is damaged.
        OSError: it cannot be read.
    """
    data = Path(path).read_bytes()
    return _Reader(str(path)).read(data)


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self._line = 0

    def _bad(self, problem: str) -> BadRecording:
        return BadRecording(self._path, problem, self._line)

    def read(self, data: bytes) -> Recording:
        if not data:
            raise self._bad("it is empty; a recording begins with a header line")
        lines = data.split(b"\n")
        unfinished = lines.pop()
        truncated = ""
        if unfinished:
            try:
                json.loads(unfinished)
                lines.append(unfinished)  # only its line end is missing
            except (ValueError, RecursionError):
                truncated = f"an unfinished last line of {len(unfinished)} bytes was left out"
        if not lines:
            lines, truncated = [unfinished], ""
        head = self._header(lines[0])
        messages: dict[int, RecordedMessage] = {}
        told: list[RecordedMessage] = []
        lost, ended = 0, False
        for number, line in enumerate(lines[1:], start=2):
            self._line = number
            note = self._object(line)
            if ended:
                raise self._bad("there is more after the line that ends the recording")
            if "end" in note:
                ended, lost = True, self._get(note, "lost", int)
            elif "lost" in note:
                lost += self._get(note, "lost", int)
            elif "done" in note:
                done = self._done(note, messages)
                if done is not None:
                    messages[done.id] = done
                    told.append(done)
            else:
                message = self._message(note)
                # A stashed message is handled again, under the same id: the last time counts.
                messages.pop(message.id, None)
                messages[message.id] = message
                told.append(message)
        return Recording(
            file=self._path,
            messages=tuple(messages.values()),
            lines=tuple(told),
            lost=lost,
            ended=ended,
            truncated=truncated,
            **head,
        )

    def _header(self, line: bytes) -> dict[str, Any]:
        self._line = 1
        try:
            head = json.loads(line)
        except (ValueError, RecursionError):
            head = None
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise BadRecording(self._path, "it is no recording of Troupe's")
        version = head.get("version")
        if version != VERSION:
            newer = isinstance(version, int) and version > VERSION
            advice = "read it with a newer Troupe" if newer else "there is no such version"
            raise BadRecording(
                self._path, f"it has version {version!r}, this reads {VERSION}: {advice}"
            )
        return {
            "node": self._get(head, "node", str),
            "python": self._get(head, "python", str),
            "started": self._get(head, "started", str),
            "at": self._get(head, "at", float),
            "paths": self._get(head, "paths", str),
        }

    def _object(self, line: bytes) -> Mapping[str, Any]:
        try:
            note = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._bad(f"it is damaged: {error}") from None
        if not isinstance(note, dict):
            raise self._bad(f"it is damaged: an object was expected, not {type(note).__name__}")
        return note

    def _message(self, note: Mapping[str, Any]) -> RecordedMessage:
        unknown = set(note) - _KEYS
        if unknown:
            raise self._bad(f"nothing here is called {', '.join(sorted(unknown))}")
        if "body" not in note:
            raise self._bad("it has no 'body'")
        return RecordedMessage(
            at=self._get(note, "at", float),
            id=self._get(note, "id", int),
            cause=self._get(note, "cause", int),
            path=self._get(note, "path", str),
            type=self._get(note, "type", str),
            asked=self._get(note, "asked", bool),
            seconds=self._get(note, "seconds", float),
            outcome=self._get(note, "outcome", str),
            body=note["body"],
            unencodable=self._get(note, "unencodable", str) if "unencodable" in note else "",
        )

    def _done(
        self, note: Mapping[str, Any], messages: Mapping[int, RecordedMessage]
    ) -> RecordedMessage | None:
        """The message whose end this tells; None if the line of its beginning was lost."""
        known = messages.get(self._get(note, "done", int))
        if known is None:
            return None
        return attrs.evolve(
            known,
            at=self._get(note, "at", float),
            seconds=self._get(note, "seconds", float),
            outcome=self._get(note, "outcome", str),
        )

    def _get(self, note: Mapping[str, Any], key: str, kind: Callable[..., Any]) -> Any:
        value = note.get(key)
        wanted: Any = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
            name = getattr(kind, "__name__", str(kind))
            found = type(value).__name__ if key in note else "nothing"
            raise self._bad(f"'{key}' must be a {name}, not {found}")
        return kind(value)


_KEYS = frozenset(attrs.fields_dict(RecordedMessage))
