"""One heap of deadlines for the whole node.

A cancel scope per ask would double its cost, and a sleeping task per timer costs sixteen times
as much as a heap entry; so every timeout and every timer message of a node is an entry here, and
one task sleeps until the first of them.

Entries are cancelled by marking their target over. They stay in the heap until their time comes
or until more than half of it is over, when it is swept: a busy node asks hundreds of thousands of
times a second with a timeout of seconds, and must not remember them all.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Protocol

import trio
from trio.lowlevel import enable_ki_protection

SWEEP_FROM = 1024
"""Entries that are over before a sweep is worth its walk through the heap."""


class Due(Protocol):
    """What can wait in the heap."""

    over: bool
    """Nothing to do any more."""

    def fire(self) -> None:
        """The time has come. Runs on the loop, must not raise."""


class Timer:
    """A single call at a time, unless cancelled first."""

    __slots__ = ("_heap", "_step", "over")

    def __init__(self, heap: TimerHeap, step: Callable[[], object]) -> None:
        self._heap = heap
        self._step = step
        self.over = False

    def fire(self) -> None:
        self.over = True
        self._step()

    def cancel(self) -> None:
        """Let the time pass unnoticed. Harmless when it already came."""
        if not self.over:
            self.over = True
            self._heap.forget_one()


class TimerHeap:
    """Deadlines in trio time (seconds), fired on the loop in order of time, then of arming."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        self._order = count()
        self._over = 0
        self._armed = math.inf
        self._scope: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._heap) - self._over

    @enable_ki_protection
    def arm(self, when: float, due: Due) -> None:
        """Fire `due` at `when`. Loop thread only."""
        heapq.heappush(self._heap, (when, next(self._order), due))
        if when < self._armed:
            self._armed = when
            if self._scope is not None:
                self._scope.deadline = when

    @enable_ki_protection
    def call_at(self, when: float, step: Callable[[], object]) -> Timer:
        """Call `step` at `when`. Loop thread only."""
        timer = Timer(self, step)
        self.arm(when, timer)
        return timer

    def forget_one(self) -> None:
        """An entry became over before its time. Sweeps when most of the heap is."""
        self._over += 1
        if self._over > SWEEP_FROM and self._over * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2].over]
            heapq.heapify(self._heap)
            self._over = 0

    @enable_ki_protection
    def fire_due(self) -> None:
        """Fire what is due. On the loop."""
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            due = heapq.heappop(self._heap)[2]
            if due.over:
                self._over = max(0, self._over - 1)
            else:
                due.fire()

    @enable_ki_protection
    async def run(self) -> None:
        """Fire what is due, for ever; run by the node under its shield."""
        while True:
            self.fire_due()
            self._armed = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=self._armed) as self._scope:
                await trio.sleep_forever()
            self._scope = None
