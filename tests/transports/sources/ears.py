"""What stands for the runner of a source: it takes what it is given, and notes how it goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from models.rooms.content import Text
from models.rooms.traffic import InboundMessage, InboundResult
from transports.sources import Source


@attrs.define(eq=False)
class Ear:
    """A feed."""

    channel_id: str = "news"
    messages: list[InboundMessage] = attrs.field(factory=list)
    log: list[str] = attrs.field(factory=list)
    door: trio.Event | None = None
    """It takes no more until this is set."""
    _changed: trio.Event = attrs.field(factory=trio.Event)

    async def __call__(self, message: InboundMessage) -> InboundResult:
        await self.post(message)
        return InboundResult()

    async def post(self, message: InboundMessage) -> None:
        self.messages.append(message)
        self._note("message")
        if self.door is not None:
            await self.door.wait()

    def connected(self) -> None:
        self._note("connected")

    def lost(self, detail: str) -> None:
        self._note(f"lost: {detail}")

    def _note(self, what: str) -> None:
        self.log.append(what)
        self._changed.set()
        self._changed = trio.Event()

    async def heard(self, count: int) -> list[str]:
        """The texts, once there are that many."""
        with trio.fail_after(5):
            while len(self.messages) < count:
                await self._changed.wait()
        return [body(message) for message in self.messages]

    async def noted(self, what: str, times: int = 1) -> None:
        """Wait until it was noted so often."""
        with trio.fail_after(5):
            while self.log.count(what) < times:
                await self._changed.wait()


def body(message: InboundMessage) -> str:
    assert isinstance(message.content, Text)
    return message.content.body


@asynccontextmanager
async def listening(source: Source, ear: Ear | None = None) -> AsyncIterator[Ear]:
    """The source runs, as long as the block does."""
    ear = ear or Ear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.run, ear)
        yield ear
        nursery.cancel_scope.cancel()
