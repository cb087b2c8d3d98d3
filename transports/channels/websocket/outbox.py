"""What waits for a client that does not read, in order; bounded, each kind by its own policy."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence

import attrs

from transports.channels.websocket import messages
from transports.channels.websocket.decisions import Chunk

WRITE_CHARACTERS = 32 * 1024
"""Taken for one write, at least."""


class Kind(enum.Enum):
    """Which policy a frame is under."""

    KEPT = "kept"
    """Never dropped: if there are too many, the client has to come back."""
    CHUNK = "chunk"
    """Joined to what waits of the same answer."""
    PASSING = "passing"
    """The oldest is dropped."""


@attrs.define(eq=False)
class _Waiting:
    kind: Kind
    text: str = attrs.field(repr=False)
    chunk: Chunk | None = None
    """Written when its turn has come."""

    @property
    def size(self) -> int:
        return len(self.text) if self.chunk is None else len(self.chunk.text)


class Outbox:
    """The queue of one connection."""

    def __init__(self, most: int, most_characters: int, most_passing: int) -> None:
        self._most = most
        self._most_characters = most_characters
        self._most_passing = most_passing
        self._items: deque[_Waiting] = deque()
        self._size = 0
        self._passing = 0
        self._open_chunks: dict[tuple[str, str], _Waiting] = {}
        """Of each answer the chunk that can still be added to: no frame that stays came since."""
        self.dropped = 0
        """Passing things that waited too long."""
        self.joined = 0
        """Chunks that went out as part of another one."""

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return bool(self._items)

    def __repr__(self) -> str:
        return f"<Outbox: {len(self._items)} waiting, {self.dropped} dropped>"

    @property
    def overflows(self) -> bool:
        """More waits than may: the client has to come back."""
        kept = len(self._items) - self._passing
        return kept > self._most or self._size > self._most_characters

    @property
    def half_full(self) -> bool:
        """It is no time to fetch what the client has missed."""
        return len(self._items) > self._most // 2 or self._size > self._most_characters // 8

    def keep(self, text: str) -> None:
        """Add a frame that is never dropped."""
        self._open_chunks.clear()
        self._add(_Waiting(Kind.KEPT, text))

    def add_passing(self, text: str) -> None:
        """Add a frame that is worth little when it is late."""
        self._add(_Waiting(Kind.PASSING, text))
        self._passing += 1
        if self._passing > self._most_passing:
            index = next(i for i, it in enumerate(self._items) if it.kind is Kind.PASSING)
            self._size -= self._items[index].size
            del self._items[index]
            self._passing -= 1
            self.dropped += 1

    def add_chunk(self, chunk: Chunk) -> None:
        """Add more of an answer."""
        name = (chunk.room_id, chunk.stream_id)
        waiting = self._open_chunks.get(name)
        if waiting is None or waiting.chunk is None:
            waiting = _Waiting(Kind.CHUNK, "", chunk)
            self._open_chunks[name] = waiting
            self._add(waiting)
            return
        self._size -= waiting.size
        waiting.chunk = attrs.evolve(chunk, delta=waiting.chunk.delta + chunk.delta)
        self._size += waiting.size
        self.joined += 1

    def _add(self, waiting: _Waiting) -> None:
        self._items.append(waiting)
        self._size += waiting.size

    def take(self) -> Sequence[str]:
        """As much as is worth one write."""
        texts: list[str] = []
        size = 0
        while self._items and size < WRITE_CHARACTERS:
            waiting = self._items.popleft()
            self._size -= waiting.size
            self._passing -= waiting.kind is Kind.PASSING
            chunk = waiting.chunk
            if chunk is not None:
                self._close(chunk, waiting)
            text = waiting.text if chunk is None else written(chunk)
            texts.append(text)
            size += len(text)
        return texts

    def _close(self, chunk: Chunk, waiting: _Waiting) -> None:
        """It is on its way: nothing can be added to it."""
        name = (chunk.room_id, chunk.stream_id)
        if self._open_chunks.get(name) is waiting:
            del self._open_chunks[name]

    def clear(self) -> None:
        """Nobody will read it any more."""
        self._items.clear()
        self._open_chunks.clear()
        self._size = self._passing = 0


def written(chunk: Chunk) -> str:
    """A chunk as a frame."""
    return messages.stream_chunk(chunk.room_id, chunk.stream_id, chunk.delta, chunk.text)
