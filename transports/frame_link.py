"""What a wire needs of a WebSocket, and nothing more: frames out, frames in, and an end.

Two implementations: `sansio_link.py` drives the protocol object of the `websockets` library and
hands frames to the kernel without a task switch; `trio_link.py` is trio-websocket. The echo
benchmark (bench/echo.py) decides which is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from transports.connection import Connection

WRITE_TIMEOUT = 2.0
"""Seconds that a peer may take to read what is written; then it is lost."""
MOST_MESSAGE = 1024 * 1024
"""Bytes of one message; a longer one ends the connection with code 1009."""


@attrs.define(eq=False)
class LinkClosed(Exception):
    """Nothing comes or goes any more."""

    code: int
    """The peer's close code; 1006 if it went without a word."""
    reason: str = ""

    def __str__(self) -> str:
        return f"the peer closed the connection ({self.code}{self.reason and ' '}{self.reason})"


@attrs.define(eq=False)
class LinkLost(LinkClosed):
    """It broke, or the peer did not read in time."""

    code: int = 1006
    reason: str = "the connection broke"

    def __str__(self) -> str:
        return self.reason


class FrameLink(Protocol):
    """An open WebSocket. One task receives; another one, or none, sends."""

    @property
    def heard_at(self) -> float:
        """When anything last came from the peer, pongs included: trio's seconds."""

    @property
    def unsent(self) -> bool:
        """Some of what was sent waits for the kernel: have a task `flush`."""

    def send_nowait(self, payload: bytes | str) -> bool:
        """Take a frame if that needs no waiting. False: nothing was taken, `send` it.

        Raises:
            LinkClosed: there is nobody to send to.
        """

    async def send(self, payloads: Sequence[bytes | str]) -> None:
        """Send frames, in as few writes as possible; b"" and str become binary and text.

        Raises:
            LinkClosed: there is nobody to send to.
            LinkLost: they were not read in time.
        """

    async def flush(self) -> None:
        """Wait until the kernel has all that was taken. Raises as `send`."""

    async def ping(self) -> None:
        """Ask for a sign of life; `heard_at` shows it. Raises as `send`."""

    async def receive(self) -> Sequence[bytes | str]:
        """Frames that have come, at least one.

        Raises:
            LinkClosed: the connection has ended, whoever ended it.
        """

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and wait for the answer, within the write timeout; then close anyway."""

    def abort(self) -> None:
        """Close without a word. `receive` then raises."""


OpenLink = Callable[[Connection], AbstractAsyncContextManager[FrameLink]]
"""Makes the handshake on a connection whose request has not been read (or was given back).

Raises `HandshakeFailed` on entering; leaving the block closes the connection, come what may.
"""


@attrs.define(eq=False)
class HandshakeFailed(Exception):
    """The peer speaks no WebSocket, or went away. It has been told, and the connection closed."""

    problem: str

    def __str__(self) -> str:
        return self.problem
