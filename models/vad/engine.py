"""What an engine is: windows of many legs in, one probability of speech each out. No waiting.

An engine remembers something of every leg between two windows. It keeps that in arrays of its own,
one row (*slot*) per leg and rate, which grow as slots are used. Who owns the legs owns the numbers
of the slots (`Slots`), and says before a leg's first window that its slot starts anew: so an engine
that was replaced by a new one, or a slot that had another leg before, need nothing else.
"""

from __future__ import annotations

import heapq
from typing import Protocol

import attrs
import numpy as np
import numpy.typing as npt

RATES = (8000, 16000)
"""Samples per second of the legs; windows of different rates never share a batch."""

Windows = npt.NDArray[np.int16]
"""Shape [B, window_samples(rate)], one row per leg."""
SlotNumbers = npt.NDArray[np.intp]
"""Shape [B], no number twice."""
Probabilities = npt.NDArray[np.float32]
"""Shape [B], each 0 to 1."""


def window_samples(rate: int) -> int:
    """Samples in a window: 32 ms."""
    return rate * 4 // 125


class EngineUnavailable(Exception):
    """An engine cannot run here at all: a file or a package is missing, or the model is another.

    Trying again changes nothing; the message says what would.
    """


class Engine(Protocol):
    """Scores windows. All calls come from one thread at a time."""

    @property
    def name(self) -> str:
        """In a word or two, for people."""

    def reset(self, rate: int, slots: SlotNumbers) -> None:
        """Forget what was heard in these slots; the next window of each is the first of a leg."""

    def infer(self, rate: int, windows: Windows, slots: SlotNumbers) -> Probabilities:
        """The probability of speech in each window, which comes next in its slot.

        A row's result depends on its own slot alone, not on which rows share the batch.
        """


class NoSlot(Exception):
    """As many legs as are allowed have a slot already."""


@attrs.define
class Slots:
    """Numbers from 0 to `limit` - 1, the lowest free one first.

    So an engine's arrays stay as small as the largest number of legs there ever were at a time.
    """

    limit: int
    _free: list[int] = attrs.field(factory=list, init=False)
    _next: int = attrs.field(default=0, init=False)

    def allocate(self) -> int:
        """A number that nobody has.

        Raises:
            NoSlot: all are taken.
        """
        if self._free:
            return heapq.heappop(self._free)
        if self._next == self.limit:
            raise NoSlot
        self._next += 1
        return self._next - 1

    def release(self, slot: int) -> None:
        """Give a number back, once."""
        heapq.heappush(self._free, slot)

    @property
    def taken(self) -> int:
        """How many numbers somebody has."""
        return self._next - len(self._free)


def rows_for(needed: int, at_hand: int) -> int:
    """How many rows an array should have that now has `at_hand` and needs `needed`.

    It doubles: n legs that join one after the other then cost n rows of copying, not n².
    """
    return needed if needed <= at_hand else max(needed, 2 * at_hand, 16)
