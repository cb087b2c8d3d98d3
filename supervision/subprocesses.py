"""A worker process and its three pipes; what is said over them is not known here.

Starts it, writes to it, reads from it, and sees it end, whatever happens: when the node's tasks are
cancelled the process is killed, and with it whatever it has started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import attrs
import trio

from supervision.errors import SupervisionError
from supervision.frames import read_some

STDERR_KEPT = 8192
"""Bytes of what a worker last wrote to stderr that its death is reported with."""


@attrs.define(eq=False, slots=False)
class WorkerDied(SupervisionError):
    """The worker process ended though nobody had told it to."""

    actor: str
    pid: int
    status: int
    """Its exit code; negative: the number of the signal that killed it."""
    stderr: str = attrs.field(repr=False)
    """What it last wrote there, at most 8 KiB."""

    def __str__(self) -> str:
        how = f"ended with exit code {self.status}"
        if self.status < 0:
            how = f"was killed by {_signal_name(-self.status)}"
        said = f"; the last it wrote to stderr:\n{self.stderr}" if self.stderr else ""
        return f"the worker process of {self.actor} (pid {self.pid}) {how}{said}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Subprocess:
    """One worker process. Loop thread only.

    Args:
        path: of the actor, for `ps` and for the report of its death.
        take: gets what it writes to stdout, as it comes.
    """

    def __init__(self, path: str, take: Callable[[bytes], None]) -> None:
        self.pid: int | None = None
        self._path = path
        self._take = take
        self._process: trio.Process | None = None
        self._outbox: list[bytes] = []
        self._to_write = trio.Event()
        self._finishing = self._killed = False
        self._stderr = bytearray()

    def send(self, data: bytes) -> None:
        """Write something to its stdin, in time."""
        self._outbox.append(data)
        self._to_write.set()

    def finish(self) -> None:
        """Close its stdin once everything is written, by which it ends."""
        self._finishing = True
        self._to_write.set()

    def kill(self) -> None:
        """SIGKILL it and all that it has started."""
        self._killed = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        except ProcessLookupError:
            pass

    async def run(self) -> Exception:
        """Run it to its end; returns how it ended."""
        # In a group of its own, so that Ctrl-C at the terminal is the node's business alone, and
        # so that what the worker has started can be killed with it.
        group: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
        try:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "supervision.worker_main", self._path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **group,
            )
        except OSError as error:
            return error
        self._process, self.pid = process, process.pid
        if self._killed:
            self.kill()
        await self._attend(process)
        said = self._stderr.decode(errors="replace").strip()
        return WorkerDied(self._path, process.pid, process.returncode or 0, said)

    async def _attend(self, process: trio.Process) -> None:
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        assert stdin is not None
        assert isinstance(stdout, trio.lowlevel.FdStream)
        assert isinstance(stderr, trio.lowlevel.FdStream)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, stdin)
                nursery.start_soon(_read, stdout, self._take)
                nursery.start_soon(_read, stderr, self._take_stderr)
                await process.wait()
                nursery.cancel_scope.cancel()
        finally:
            self.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                # What it has started may hold its pipes open, so they are not read to their end.
                _drain(stdout, self._take)
                _drain(stderr, self._take_stderr)
                for stream in (stdin, stdout, stderr):
                    await stream.aclose()

    async def _write(self, stdin: trio.abc.SendStream) -> None:
        try:
            while True:
                while self._outbox:
                    data, self._outbox = b"".join(self._outbox), []
                    await stdin.send_all(data)
                if self._finishing:
                    await stdin.aclose()
                    return
                self._to_write = trio.Event()
                await self._to_write.wait()
        except trio.BrokenResourceError:
            return  # it is dead, which `process.wait()` tells

    def _take_stderr(self, data: bytes) -> None:
        self._stderr += data
        del self._stderr[:-STDERR_KEPT]


async def _read(stream: trio.abc.ReceiveStream, take: Callable[[bytes], None]) -> None:
    while data := await stream.receive_some():
        take(bytes(data))


def _drain(stream: trio.lowlevel.FdStream, take: Callable[[bytes], None]) -> None:
    """Take what is left in a dead pipe."""
    try:
        while data := read_some(stream.fileno()):
            take(data)
    except BlockingIOError:
        return
