"""Who waits for whom: one edge for every actor whose mailbox is paused by an ask.

An actor waits for at most one other, so the graph is a set of chains, and a ring can only close
at its last edge: following one chain from there finds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WaitGraph(Generic[K]):
    """The waits of one node. Safe from any thread: BlockingActors wait on theirs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waits: dict[K, tuple[K, float]] = {}
        self._lock = threading.Lock()

    def enter(self, asker: K, target: K) -> Sequence[K] | None:
        """`asker` begins to wait for `target`; returns the ring if that would close one.

        A ring is not entered: the caller must not wait.
        """
        with self._lock:
            ring = [asker, target]
            at = target
            while at != asker:
                if at not in self._waits:
                    self._waits[asker] = (target, self._clock())
                    return None
                at = self._waits[at][0]
                ring.append(at)
            return ring

    def leave(self, asker: K) -> None:
        """`asker` waits no longer."""
        with self._lock:
            self._waits.pop(asker, None)

    def edges(self) -> Sequence[tuple[K, K, float]]:
        """(asker, target, since) for every wait, oldest first."""
        with self._lock:
            return [(asker, target, since) for asker, (target, since) in self._waits.items()]
