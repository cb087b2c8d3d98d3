"""The interpreter under a node: how its threads take turns, and when garbage is collected.

`troupe run` tunes both for the whole process. `open_system` does not: it is a guest in somebody's
program.

Python collects cyclic garbage in generations, and a full collection looks at every object there is:
in a node with many calls that is a pause of 75 to 150 ms, heard by everybody. So here

* what exists once the node has started (modules, classes, the tree) is frozen: no collection looks
  at it again;
* young objects are collected as always, only in bigger portions: a handler's messages are freed by
  their reference counts, and what is left for the collector is little;
* a full collection never happens by itself. It happens when the process has grown by a quarter, and
  by 64 MiB at least, since the last one: cyclic garbage may be what it grew by, and running out of
  memory is worse than a pause. The next one is due after a growth of that size again, so a node
  that grows because it is busy pauses less and less often.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import sys
from time import perf_counter

import attrs

logger = logging.getLogger("troupe.interpreter")

YOUNG = 10_000
"""New objects before a collection of the young: 0.2 ms if all of them are still in use."""

MIDDLE = 10
"""Collections of the young before one of the middle generation: 4 ms at the very worst."""

NEVER = 2**31 - 1
"""Collections of the middle generation before a full one. The greatest number it can be."""

GROWTH = 1.25
LEAST_GROWTH = 64 * 2**20
"""Bytes. Below this much a process only breathes."""

MIB = 2**20


@attrs.define
class CollectionPolicy:
    """When a full collection is worth its pause. Memory goes in, a decision comes out."""

    floor: int
    """Bytes in use after the last full collection."""

    def due(self, in_use: int) -> bool:
        """Whether memory asks for one, with so many bytes in use."""
        return in_use >= max(self.floor * GROWTH, self.floor + LEAST_GROWTH)

    def collected(self, in_use: int) -> None:
        """One has just been done; so many bytes are still in use."""
        self.floor = in_use


class Collector:
    """Python's garbage collector under our policy. Made once the node has started."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        self._policy = CollectionPolicy(resident_memory())

    def look(self) -> None:
        """Collect everything if memory asks for it. Takes microseconds if it does not."""
        before = resident_memory()
        if not self._policy.due(before):
            return
        started = perf_counter()
        found = gc.collect()
        milliseconds = (perf_counter() - started) * 1000
        after = resident_memory()
        self._policy.collected(after)
        logger.warning(
            "memory grew to %d MiB, so all garbage was collected: %d objects, %.0f ms, %d MiB left",
            before // MIB,
            found,
            milliseconds,
            after // MIB,
        )


def resident_memory() -> int:
    """Bytes of memory the process has in use; where no /proc tells, the most it ever had."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def share_among_threads(switch_interval_ms: float) -> None:
    """Let another Python thread hold the interpreter so long while the loop wants it."""
    sys.setswitchinterval(switch_interval_ms / 1000)
