"""A terminal, or a pair of pipes, read and written without holding the loop.

No thread is needed, and so none has to be ended: bytes are read when the kernel says that there are
some. Writing waits as well, because a terminal on which somebody has pressed Ctrl-S takes nothing.
POSIX only.
"""

from __future__ import annotations

import os
import re

import trio

_MOST = 512
"""Bytes per write: a pipe or terminal that is ready takes as many without blocking."""
_LONGEST_LINE = 64 * 1024
"""Bytes; what is longer is cut into lines."""
_MOST_WAITING = 1024 * 1024
"""Characters that wait to be shown; more are left out."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Text of somebody else's, without what would move the cursor or change the terminal."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


class Terminal:
    """Lines from one file descriptor, text to another. One task reads, one shows."""

    def __init__(self, source: int = 0, sink: int = 1) -> None:
        """The descriptors stay the caller's, and open."""
        self._source = source
        self._sink = sink
        self._read = bytearray()
        self._ended = False
        self._waiting: list[str] = []
        self._size = 0
        self._news = trio.Event()
        self._shown = trio.Event()
        self.left_out = 0
        """Characters that were not shown, for there were too many."""

    @property
    def interactive(self) -> bool:
        """Whether a person sits at it."""
        return os.isatty(self._source) and os.isatty(self._sink)

    # -- reading --------------------------------------------------------------------------

    async def read_line(self) -> str | None:
        """The next line, without its end; None when there are no more."""
        while True:
            line, newline, rest = bytes(self._read).partition(b"\n")
            if newline or len(line) >= _LONGEST_LINE or (self._ended and line):
                self._read = bytearray(rest)
                return line.decode("utf-8", "replace").rstrip("\r")
            if self._ended:
                return None
            data = await self._some()
            self._ended = not data
            self._read += data

    async def _some(self) -> bytes:
        try:
            await trio.lowlevel.wait_readable(self._source)
        except PermissionError:
            await trio.lowlevel.checkpoint()  # a file on a disk: it can always be read
        try:
            return os.read(self._source, 4096)
        except BlockingIOError:
            return await self._some()
        except OSError:  # the other side of a pseudo-terminal is gone
            return b""

    # -- writing --------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Show text soon, in order."""
        if self._size + len(text) > _MOST_WAITING:
            self.left_out += len(text)
            return
        self._waiting.append(text)
        self._size += len(text)
        self._news.set()

    async def flushed(self) -> None:
        """Until all that was written is shown, or nobody can see it any more."""
        await trio.lowlevel.checkpoint()
        while self._size:
            await self._shown.wait()

    async def show(self) -> None:
        """Show what is written, for ever. A task of whoever owns the terminal."""
        while True:
            while self._waiting:
                text = "".join(self._waiting)
                self._waiting.clear()
                await self._out(text.encode("utf-8", "replace"))
                self._size -= len(text)
            self._shown.set()
            self._shown = trio.Event()
            self._news = trio.Event()
            await self._news.wait()

    async def _out(self, data: bytes) -> None:
        while data:
            try:
                await trio.lowlevel.wait_writable(self._sink)
            except PermissionError:
                await trio.lowlevel.checkpoint()
            try:
                data = data[os.write(self._sink, data[:_MOST]) :]
            except BlockingIOError:
                continue
            except OSError:
                return  # nobody looks any more
