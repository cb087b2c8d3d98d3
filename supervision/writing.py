"""Writes lines to a file from the loop, without waiting for the disk and without losing count."""

from __future__ import annotations

import enum
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

MAX_BYTES = 256 * 2**20
"""Of one file; a hundred calls' messages of an hour, about."""
BUFFER = 8 * 2**20
"""Bytes that may wait for the writing thread; more are lost, and counted."""
BATCH = 2**18
"""Bytes written at once, about."""


class WhenFull(enum.Enum):
    """What is done when the file has reached its size."""

    STOP = "stop"
    """Keep the beginning. What comes later is counted as lost."""
    ROTATE = "rotate"
    """Keep the end: the file becomes `<name>.1`, replacing an older one, and a new one begins."""


class Writer:
    """Writes lines to a file on a thread of its own. Methods are called on the loop.

    Raises:
        FileExistsError: an older recording is evidence, and never overwritten.
        OSError: the file cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        first: Callable[[], bytes],
        gap: Callable[[int], bytes],
        on_end: Callable[[], object],
        *,
        max_bytes: int = MAX_BYTES,
        when_full: WhenFull = WhenFull.STOP,
    ) -> None:
        self._path = Path(path)
        self._first = first
        self._gap = gap
        self._on_end = on_end
        self._max_bytes = max_bytes
        self._when_full = when_full
        self._lines: deque[bytes] = deque()
        self._added = self._taken = 0
        """Bytes so far; each is counted by one thread."""
        self._arrived = threading.Event()
        self._last: bytes | None = None
        self._size = 0
        self._lost = self._told = 0
        """Lines that found no room, and how many of them the file tells of."""
        self._lost_later = 0
        """Lines that found room, but were not written. Counted by the thread."""
        self._full = False
        self.problem: OSError | None = None
        """Why nothing is written any more."""
        self._file = self._open()
        self._thread = threading.Thread(target=self._run, name="troupe recorder", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines that were not written."""
        return self._lost + self._lost_later

    def put(self, line: bytes) -> None:
        """Have a line written. Never waits; without room, or with a problem, it is lost."""
        if self.problem or self._full or self._added - self._taken > BUFFER:
            self._lost += 1
            return
        if self._lost > self._told:
            line = self._gap(self._lost - self._told) + line
            self._told = self._lost
        self._added += len(line)
        self._lines.append(line)
        if not self._arrived.is_set():
            self._arrived.set()

    def end(self, last: bytes) -> None:
        """Write what is waiting and a last line; then end."""
        self._last = last
        self._arrived.set()

    def join(self, within: float) -> None:
        """Wait for the end, blocking, for so many seconds at most."""
        self._thread.join(within)

    # -- the thread -----------------------------------------------------------------------

    def _open(self) -> int:
        file = open_new(self._path)
        first = self._first()
        write_all(file, first)
        self._size = len(first)
        return file

    def _run(self) -> None:
        try:
            while self._last is None:
                self._arrived.wait()
                self._arrived.clear()
                self._write_waiting()
            self._write_waiting()
            self._write(self._last)
            os.fsync(self._file)
        except OSError as error:
            self.problem = error
            self._lose_waiting()
        finally:
            try:
                os.close(self._file)
            except OSError as error:
                self.problem = self.problem or error
            self._on_end()

    def _write_waiting(self) -> None:
        while self._lines:
            batch: list[bytes] = []
            size = 0
            while self._lines and size < BATCH and self._size + size < self._max_bytes:
                line = self._lines.popleft()
                batch.append(line)
                size += len(line)
            self._taken += size
            try:
                self._write(b"".join(batch))
            except OSError:
                self._lost_later += len(batch)
                raise
            if self._size >= self._max_bytes and self._lines:
                self._be_full()

    def _be_full(self) -> None:
        if self._when_full is WhenFull.STOP:
            self._full = True
            self._lose_waiting()
            return
        os.close(self._file)
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._open()

    def _lose_waiting(self) -> None:
        while self._lines:
            self._taken += len(self._lines.popleft())
            self._lost_later += 1

    def _write(self, data: bytes) -> None:
        write_all(self._file, data)
        self._size += len(data)


def open_new(path: Path) -> int:
    """A new file, for its owner only."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise FileExistsError(
            error.errno, "there already, and a recording is never overwritten; move it", str(path)
        ) from None


def write_all(file: int, data: bytes) -> None:
    """Write, however many steps it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
