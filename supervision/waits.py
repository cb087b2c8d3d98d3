"""Who waits for whom: an edge for every ask that an actor with a paused mailbox waits for.

Mostly an actor waits for one other at a time, but an async handler may ask several at once from a
nursery. An edge that would close a ring is not entered, so the graph never holds one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import attrs

K = TypeVar("K", bound=Hashable)


@attrs.frozen
class Wait:
    """An actor whose mailbox is paused because it waits for another's answer."""

    asker: str
    target: str
    since: float
    """In the node's time."""
    seconds: float


class WaitGraph(Generic[K]):
    """The waits of one node. Safe from any thread: BlockingActors wait on theirs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # For each asker its targets, with the times at which the waits for them began.
        self._waits: dict[K, dict[K, list[float]]] = {}
        self._lock = threading.Lock()

    def enter(self, asker: K, target: K) -> Sequence[K] | None:
        """`asker` begins to wait for `target`; returns the ring if that would close one.

        A ring is not entered: the caller must not wait.
        """
        with self._lock:
            way = self._way(target, asker)
            if way is not None:
                return [asker, *way]
            self._waits.setdefault(asker, {}).setdefault(target, []).append(self._clock())
            return None

    def _way(self, start: K, goal: K) -> Sequence[K] | None:
        """The chain of waits from one to the other, both included; None if there is none."""
        came_from: dict[K, K] = {}
        todo = [start]
        while todo:
            at = todo.pop()
            if at == goal:
                way = [at]
                while at != start:
                    at = came_from[at]
                    way.append(at)
                return way[::-1]
            for after in self._waits.get(at, ()):
                if after not in came_from:
                    came_from[after] = at
                    todo.append(after)
        return None

    def leave(self, asker: K, target: K) -> None:
        """`asker` waits for `target` no longer (once, if it waits more than once)."""
        with self._lock:
            targets = self._waits.get(asker, {})
            since = targets.get(target)
            if since is None:
                return
            since.pop()
            if not since:
                del targets[target]
            if not targets:
                del self._waits[asker]

    def forget(self, asker: K) -> None:
        """`asker` waits for nobody any more."""
        with self._lock:
            self._waits.pop(asker, None)

    def edges(self) -> Sequence[tuple[K, K, float]]:
        """(asker, target, since) for every wait, oldest first."""
        with self._lock:
            found = [
                (asker, target, since)
                for asker, targets in self._waits.items()
                for target, times in targets.items()
                for since in times
            ]
        return sorted(found, key=lambda edge: edge[2])
