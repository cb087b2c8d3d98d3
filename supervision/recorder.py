"""The flight recorder: every message of some actors, with times, in a file or in a ring.

A recording is JSON Lines. The first line is the header, each further one a message as it was
handled, or one of three notes:

    {"format": "troupe-recording", "version": 1, "node": "local", "python": "3.11.7",
     "started": "2026-01-31T12:00:00Z", "at": 12.5, "paths": "/calls/c-7/**"}
    {"at": 12.6, "id": 71, "cause": 68, "path": "/calls/c-7/session", "type": "actors.session:Turn",
     "asked": false, "seconds": 0.00012, "outcome": "ok", "body": {"text": "hello"}}
    {"done": 71, "at": 12.9, "seconds": 0.3, "outcome": "ok"}     an async handler recorded above
    {"lost": 17, "at": 13.0}                                      here messages are missing
    {"end": "stopped", "at": 14.0, "messages": 412, "lost": 17}   the last line, if it was stopped

Bodies are written by encoding.py; one that cannot be is `null`, with `unencodable` saying why.
recordings.py reads it all back.

Nothing is lost when an actor crashes. Messages are encoded on the loop as they are handled (that is
part of the handling actor's turn) and written by a thread of the recorder's as soon as it comes to
it, some milliseconds later at most; then the operating system has them, and only its own death can
lose them. The process dying hard (SIGKILL, a segmentation fault) loses what the thread had not come
to. `stop()` also waits until the disk has them.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import trio

from supervision.encoding import NotEncodable, encode_message, name_of
from supervision.observe import STARTED, TraceEvent, TraceFilter
from supervision.writing import MAX_BYTES, WhenFull, Writer, open_new, write_all

if TYPE_CHECKING:
    from supervision.node import Node

FORMAT = "troupe-recording"
VERSION = 1

MAX_BODY = 2**20
"""Bytes of one encoded body."""
CLOSING = 2.0
"""Seconds in which a node that closes lets the writing thread end."""
CHUNK = 100
"""Messages of a ring that are encoded in a row when it is saved."""


def header(node: Node, paths: str) -> bytes:
    """The first line."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "node": node.name,
            "python": platform.python_version(),
            "started": now.replace("+00:00", "Z"),
            "at": node.time(),
            "paths": paths,
        }
    )


def message_line(event: TraceEvent) -> bytes:
    """The line of a message; whatever its body is, this gives one."""
    kind: Any = type(event.message)
    line: dict[str, Any] = {
        "at": event.at,
        "id": event.id,
        "cause": event.cause,
        "path": event.path,
        "type": name_of(kind),
        "asked": event.asked,
        "seconds": event.seconds,
        "outcome": event.outcome,
        "body": None,
    }
    try:
        line["body"] = encode_message(event.message)[1]
        written = _line(line)
        if len(written) <= MAX_BODY:
            return written
        line["unencodable"] = f"{len(written)} bytes, more than the {MAX_BODY} that are recorded"
    except NotEncodable as error:
        line["unencodable"] = str(error)
    except RecursionError:
        line["unencodable"] = "too deep"
    line["body"] = None
    return _line(line)


def done_line(event: TraceEvent) -> bytes:
    """The line that says how an async handler ended that was recorded when it began."""
    return _line(
        {"done": event.id, "at": event.at, "seconds": event.seconds, "outcome": event.outcome}
    )


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


class Recorder:
    """Records the messages of some actors until it is stopped, or the node closes.

    An async context manager: `async with system.record("/calls/c-7/**", file="c-7.jsonl"): ...`
    """

    def __init__(
        self,
        node: Node,
        wanted: TraceFilter,
        *,
        file: str | Path | None = None,
        ring: int | None = None,
        max_bytes: int = MAX_BYTES,
        when_full: WhenFull = WhenFull.STOP,
    ) -> None:
        if (file is None) == (ring is None):
            raise ValueError("record into a file (`file=...`) or into a ring (`ring=...`), one")
        if ring is not None and ring < 1:
            raise ValueError(f"ring is how many messages are kept, not {ring}")
        self._node = node
        self.wanted = wanted
        self.messages = 0
        """Messages seen so far."""
        self.running = True
        self._under_way: set[int] = set()
        self._ring: deque[TraceEvent] = deque(maxlen=ring)
        self._ended = trio.Event()
        self._clock_held = False
        self._writer: Writer | None = None
        if file is not None:
            self._writer = Writer(
                file,
                lambda: header(node, wanted.path),
                lambda count: _line({"lost": count, "at": node.time()}),
                lambda: node.call_soon(self._has_ended),
                max_bytes=max_bytes,
                when_full=when_full,
            )
        node.observe(wanted, self._put)
        node.on_close.append(self._close)

    def __repr__(self) -> str:
        state = "records" if self.running else "has recorded"
        return f"<Recorder {state} {self.wanted.path}: {self.messages} messages, {self.lost} lost>"

    @property
    def lost(self) -> int:
        """Lines that are not in the file: too many, too fast, or the disk failed."""
        return self._writer.lost if self._writer is not None else 0

    @property
    def problem(self) -> OSError | None:
        """Why the file cannot be written any more; None if it can."""
        return self._writer.problem if self._writer is not None else None

    def _put(self, event: TraceEvent) -> None:
        """A message was handled."""
        again = event.id in self._under_way
        if not again:
            self.messages += 1
        if event.outcome == STARTED:
            self._under_way.add(event.id)
        else:
            self._under_way.discard(event.id)
        if self._writer is None:
            self._ring.append(event)
        else:
            self._writer.put(done_line(event) if again else message_line(event))

    # -- the end --------------------------------------------------------------------------

    async def stop(self) -> None:
        """Record no more; returns once the file is on the disk. Harmless to repeat."""
        await trio.lowlevel.checkpoint()
        if self.running:
            self._node.on_close.remove(self._close)
            self._detach()
        if self._writer is not None:
            await self._ended.wait()

    async def __aenter__(self) -> Recorder:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        with trio.CancelScope(shield=True):
            await self.stop()

    def _close(self) -> None:
        """The node closes, and nobody has stopped this recorder."""
        self._detach()
        if self._writer is not None:
            self._writer.join(CLOSING)

    def _detach(self) -> None:
        self.running = False
        node = self._node
        node.unobserve(self._put)
        if self._writer is not None:
            if not self._ended.is_set():
                self._clock_held = True  # a test's clock must not jump while the thread writes
                node.outside(1)
            self._writer.end(_end_line(node.time(), self.messages, self.lost))

    def _has_ended(self) -> None:
        """The thread has said that it ends. Called on the loop."""
        if self._writer is not None:
            self._writer.join(CLOSING)  # which takes microseconds now
        self._ended.set()
        if self._clock_held:
            self._clock_held = False
            self._node.outside(-1)

    # -- rings ----------------------------------------------------------------------------

    def kept(self) -> Sequence[TraceEvent]:
        """The events in the ring, oldest first."""
        return tuple(self._ring)

    async def save(self, file: str | Path) -> int:
        """Write the ring to a file, which `read_recording` reads; returns its number of messages.

        Raises:
            FileExistsError: that file is there already.
            OSError: it cannot be written.
        """
        lines = [header(self._node, self.wanted.path)]
        under_way: set[int] = set()
        messages = 0
        for number, event in enumerate(self.kept()):
            if event.id in under_way:
                lines.append(done_line(event))
            else:
                messages += 1
                lines.append(message_line(event))
            if event.outcome == STARTED:
                under_way.add(event.id)
            if number % CHUNK == 0:
                await trio.lowlevel.checkpoint()
        lines.append(_end_line(self._node.time(), messages, self.messages - messages))
        self._node.outside(1)
        try:
            await trio.to_thread.run_sync(_write_file, Path(file), lines)
        finally:
            self._node.outside(-1)
        return messages


def _end_line(at: float, messages: int, lost: int) -> bytes:
    return _line({"end": "stopped", "at": at, "messages": messages, "lost": lost})


def _write_file(path: Path, lines: Sequence[bytes]) -> None:
    file = open_new(path)
    try:
        write_all(file, b"".join(lines))
        os.fsync(file)
    finally:
        os.close(file)
