"""What goes out on a `FrameLink`: at once if the kernel takes it, else from one task, in order.

Wires hand frames to the kernel in the step that handles a message. Only when it takes no more do
frames wait, in a queue whose policy is the wire's own business, and a task writes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol

import trio

from transports.frame_link import FrameLink, LinkClosed


class Waiting(Protocol):
    """What waits for a peer that does not read."""

    def __bool__(self) -> bool:
        """Whether anything waits."""

    def take(self) -> Sequence[bytes | str]:
        """As much as is worth one write."""


class LinkWriter:
    """Writes to one link, once there is one."""

    def __init__(self, waiting: Waiting, drained: Callable[[], None] = lambda: None) -> None:
        """Write what waits, in its order.

        Args:
            drained: called by the task when all that waited is written.
        """
        self._waiting = waiting
        self._drained = drained
        self._link: FrameLink | None = None
        self._work = trio.Event()
        """There is something for the task."""
        self._asks_for_life = False
        self._goodbye: tuple[int, str] | None = None
        """With what to close once all is written."""

    @property
    def link(self) -> FrameLink | None:
        """The link, while frames can be sent."""
        return self._link

    def open(self, link: FrameLink) -> None:
        """From now on frames can be sent. What waits already is written first."""
        self._link = link
        self._work.set()

    def close(self) -> None:
        """The link is gone."""
        self._link = None

    def sent_at_once(self, payload: bytes | str) -> bool:
        """Whether a frame is with the kernel. If not, it has to wait its turn: queue it, `wake`."""
        link = self._link
        if link is None or self._waiting:
            return False
        try:
            taken = link.send_nowait(payload)
        except LinkClosed:
            return True  # the task that reads knows it too, and ends the wire
        if link.unsent:
            self._work.set()
        return taken

    def wake(self) -> None:
        """There is something to write."""
        self._work.set()

    def look_for_life(self, now: float, ping_interval: float, silence_timeout: float) -> bool:
        """Ping a peer from which nothing came for a while. False: it has been silent for too long.

        Args:
            now: trio's time.
            ping_interval: seconds; call this as often.
        """
        link = self._link
        if link is None:
            return True
        silent_for = now - link.heard_at
        if silent_for >= silence_timeout:
            return False
        if silent_for >= ping_interval / 2:
            self._asks_for_life = True
            self._work.set()
        return True

    def say_goodbye(self, code: int, reason: str) -> None:
        """Close once all is written. The first goodbye counts."""
        if self._goodbye is None:
            self._goodbye = (code, reason)
        self._work.set()

    async def run_beside(
        self, link: FrameLink, read: Callable[[], Awaitable[NoReturn]]
    ) -> NoReturn:
        """Write while `read` reads, which is until the end.

        Raises:
            LinkClosed: that end.
        """
        closed = LinkClosed(1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run, link)
            try:
                await read()
            except LinkClosed as error:
                closed = error  # raised outside: what leaves a nursery is a group
            nursery.cancel_scope.cancel()
        raise closed

    async def run(self, link: FrameLink) -> None:
        """Write what could not be written at once, as much as there is at a time."""
        try:
            while True:
                await self._work.wait()
                self._work = trio.Event()
                while self._waiting or link.unsent:
                    await link.send(self._waiting.take())
                self._drained()
                if self._asks_for_life:
                    self._asks_for_life = False
                    await link.ping()
                if self._goodbye is not None:
                    await link.close(*self._goodbye)
                    return
        except LinkClosed:
            link.abort()  # the task that reads ends the wire
