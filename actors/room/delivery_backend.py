"""Where proactive deliveries wait for their turn: the protocol, and one in memory.

Whoever takes items names itself, and says of each what became of it. What it had in hand when it
failed is `recover`ed. An item is delivered at least once; rooms know one again that comes twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

import attrs
import trio

from actors.machines.room.proactive import Item, ItemStatus
from models.rooms.errors import Overloaded


class DeliveryBackend(Protocol):
    """A queue with dead letters."""

    async def enqueue(self, item: Item) -> None:
        """One more, at the end. Raises Overloaded."""

    async def dequeue(self, worker: str, batch: int = 1, within: float = 5.0) -> Sequence[Item]:
        """The next ones, at most `batch`, in progress from now on; none after `within` seconds."""

    async def ack(self, item: Item) -> None:
        """It is done with, for good."""

    async def nack(self, item: Item, error: str) -> Item:
        """It failed: pending again, later, or given up. Returns it as it stands."""

    async def dead_letter(self, item: Item, error: str) -> Item:
        """It is given up now. Returns it as it stands."""

    async def recover(self, worker: str) -> None:
        """What that worker had in hand is pending again."""

    async def get_queue_depth(self) -> int:
        """Items that are pending."""

    async def get_dead_letter_items(self, limit: int = 50) -> Sequence[Item]:
        """What was given up, the newest last."""


@attrs.define
class _Pending:
    item: Item
    due: float


class MemoryBackend:
    """Items of one node, gone with its process. Bounded: one more is refused; of dead letters the
    oldest go.
    """

    def __init__(
        self,
        capacity: int = 1000,
        dead_letters: int = 1000,
        delay: Callable[[int], float] = lambda retries: min(60.0, 2.0**retries),
    ) -> None:
        """`delay`: seconds before the nth retry, n from 1."""
        self._capacity = capacity
        self._delay = delay
        self._pending: deque[_Pending] = deque()
        self._in_progress: dict[str, tuple[str, Item]] = {}
        self._dead: deque[Item] = deque(maxlen=dead_letters)
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return (
            f"<MemoryBackend: {len(self._pending)} pending, {len(self._in_progress)} in progress, "
            f"{len(self._dead)} dead>"
        )

    async def enqueue(self, item: Item) -> None:
        if len(self._pending) + len(self._in_progress) >= self._capacity:
            raise Overloaded("the queue of proactive deliveries", self._capacity)
        self._put(item, -inf)

    def _put(self, item: Item, due: float) -> None:
        self._pending.append(_Pending(attrs.evolve(item, status=ItemStatus.PENDING), due))
        self._changed.set()

    async def dequeue(self, worker: str, batch: int = 1, within: float = 5.0) -> Sequence[Item]:
        until = trio.current_time() + within
        while True:
            now = trio.current_time()
            taken = [waiting for waiting in self._pending if waiting.due <= now][:batch]
            if taken or now >= until:
                break
            self._changed = trio.Event()
            due = min((waiting.due for waiting in self._pending), default=inf)
            with trio.move_on_at(min(until, due)):
                await self._changed.wait()
        items = [attrs.evolve(one.item, status=ItemStatus.IN_PROGRESS) for one in taken]
        for waiting, item in zip(taken, items, strict=True):
            self._pending.remove(waiting)
            self._in_progress[item.id] = (worker, item)
        return items

    async def ack(self, item: Item) -> None:
        self._in_progress.pop(item.id, None)

    async def nack(self, item: Item, error: str) -> Item:
        retries = item.retry_count + 1
        failed = attrs.evolve(item, retry_count=retries, error=error)
        if retries >= item.max_retries:
            return await self.dead_letter(failed, error)
        self._in_progress.pop(item.id, None)
        self._put(failed, trio.current_time() + self._delay(retries))
        return attrs.evolve(failed, status=ItemStatus.PENDING)

    async def dead_letter(self, item: Item, error: str) -> Item:
        self._in_progress.pop(item.id, None)
        dead = attrs.evolve(item, status=ItemStatus.DEAD_LETTER, error=error)
        self._dead.append(dead)
        return dead

    async def recover(self, worker: str) -> None:
        mine = [item for owner, item in self._in_progress.values() if owner == worker]
        for item in reversed(mine):
            del self._in_progress[item.id]
            again = attrs.evolve(item, status=ItemStatus.PENDING)
            self._pending.appendleft(_Pending(again, -inf))
        self._changed.set()

    async def get_queue_depth(self) -> int:
        return len(self._pending)

    async def get_dead_letter_items(self, limit: int = 50) -> Sequence[Item]:
        return tuple(self._dead)[-limit:]
