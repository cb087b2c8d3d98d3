"""An answer while it is being made, as a channel's `stream` reads it."""

from __future__ import annotations

import attrs
import trio

from models.rooms.event import RoomEvent

LONGEST = 1024 * 1024
"""Characters that wait for a channel which cannot keep up; after them it sees the whole only."""


@attrs.define(eq=False)
class StreamedAnswer:
    """Iterate over it for the text, piece by piece; pieces that came meanwhile are joined.

    When the iteration has ended, `event` and `error` tell what became of the answer.
    """

    room_id: str
    stream_id: str
    draft: RoomEvent
    """What it will be an event of: its source, thread and correlation. The text is empty."""
    to: str
    """The recipient's address; "" where the channel knows by itself."""
    idle: float
    """Seconds without a piece after which it counts as abandoned."""
    event: RoomEvent | None = attrs.field(default=None, init=False)
    """The answer as it was committed; None if it was not, or parts of it were, as events."""
    error: str | None = attrs.field(default=None, init=False)
    """Why there is no more of it."""
    closed: bool = attrs.field(default=False, init=False)
    _waiting: list[str] = attrs.field(factory=list, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False)
    _overflowed: bool = attrs.field(default=False, init=False)
    _news: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)

    def add(self, delta: str) -> bool:
        """More of it. False, once, if there is no room: nothing more is shown until the end."""
        if self.closed or self._overflowed:
            return True
        self._size += len(delta)
        if self._size > LONGEST:
            self._overflowed = True
            return False
        self._waiting.append(delta)
        self._news.set()
        return True

    def close(self, event: RoomEvent | None, error: str | None) -> None:
        """There is no more of it."""
        if not self.closed:
            self.event, self.error, self.closed = event, error, True
            self._news.set()

    def __aiter__(self) -> StreamedAnswer:
        return self

    async def __anext__(self) -> str:
        await trio.lowlevel.checkpoint()
        if not self._waiting and not self.closed:
            with trio.move_on_after(self.idle):
                await self._news.wait()
        if self._waiting:
            piece = "".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            if not self.closed:
                self._news = trio.Event()
            return piece
        if not self.closed:
            self.close(None, "abandoned")
        raise StopAsyncIteration
