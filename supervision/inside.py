"""Looking inside a running system: what `System` can tell and show, in process.

Command line, HTTP and pages are thin around this; tests use it as it is. Everything returns frozen
values, bounded and with secrets masked. Loop thread only, where a method does not say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from trio.lowlevel import enable_ki_protection

from supervision.crashes import CrashReport
from supervision.faults import Fault, Injection, inject
from supervision.observe import Trace, TraceFilter, keep_last
from supervision.recorder import Recorder
from supervision.snapshots import (
    ActorSnapshot,
    ActorState,
    state_of,
    tree_in_slices,
    tree_of,
)
from supervision.stacks import TaskStack, stacks_of
from supervision.waits import Wait
from supervision.watchdog import Liveness
from supervision.writing import MAX_BYTES, WhenFull

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.node import Node


class LookingInside:
    """The part of `System` that looks, and does not steer."""

    _node: Node

    def _cell(self, path: str) -> Cell:
        raise NotImplementedError

    # -- snapshots ------------------------------------------------------------------------

    def tree(self, path: str = "/", *, depth: float = inf, limit: float = inf) -> ActorSnapshot:
        """The supervision tree, or the part of it at `path`; `str` of it is a drawing.

        It takes some ten microseconds of the loop's time for each actor, all at once; where there
        are many of them and somebody listens, use `tree_in_slices`.

        Args:
            depth: levels below `path`.
            limit: actors all in all; what is not listed is counted in `more`.

        Raises:
            NoSuchActor: there is none at that path.
        """
        return tree_of(self._cell(path), depth=depth, limit=limit)

    async def tree_in_slices(
        self, path: str = "/", *, depth: float = inf, limit: float = inf
    ) -> ActorSnapshot:
        """As `tree`, but letting the loop go on every half millisecond.

        Its parts are then of slightly different moments.
        """
        return await tree_in_slices(self._cell(path), depth=depth, limit=limit)

    def state(self, path: str) -> ActorState:
        """One actor's attributes, statistics, and what it accepts.

        Raises:
            NoSuchActor: there is none at that path.
        """
        return state_of(self._cell(path))

    def waits(self) -> Sequence[Wait]:
        """Who waits for whose answer with a paused mailbox, oldest first."""
        now = self._node.time()
        return tuple(
            Wait(asker.path, target.path, since, now - since)
            for asker, target, since in self._node.waits.edges()
        )

    def stacks(self, path: str) -> Sequence[TaskStack]:
        """Where an actor's async handler, tasks and thread stand.

        Raises:
            NoSuchActor: there is none at that path.
        """
        return stacks_of(self._cell(path))

    def crash(self, report_id: str) -> CrashReport:
        """A crash report by its id; `str` of it is the whole report.

        Raises:
            LookupError: there never was one, or it was dropped for newer ones.
        """
        return self._node.crashes.find(report_id)

    # -- the loop itself (any thread) -----------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether the loop takes its turns. Any thread.

        False once something has held it for `not_live_after`, and when the node is closed.
        """
        watchdog = self._node.watchdog
        return self._node.open and (watchdog is None or watchdog.live)

    def liveness(self) -> Liveness:
        """What the loop does at this moment, with its stack. Any thread.

        Raises:
            RuntimeError: the node has no watchdog, or is closed.
        """
        watchdog = self._node.watchdog
        if watchdog is None:
            raise RuntimeError("the node has no watchdog: it is closed, or was opened without one")
        return watchdog.look()

    # -- messages -------------------------------------------------------------------------

    @contextmanager
    def trace(
        self,
        path: str = "*",
        *,
        types: Iterable[type | str] = (),
        cause: int | None = None,
        capacity: int = 1000,
    ) -> Iterator[Trace]:
        """Messages as they are handled, from now until the block ends, as an async iterator.

            with system.trace("/calls/c-7/**") as trace:
                async for event in trace: ...

        Actors that no pattern matches are not slowed down.

        Args:
            path: whose: a path, `/calls/c-7/**` (it and all below), or a pattern with `*`.
            types: only messages of these types, by class or name; all, if none is given.
            cause: only that message and what it leads to, through all actors.
            capacity: events that may wait; beyond it the oldest are dropped, and counted in
                `trace.dropped`.
        """
        wanted = TraceFilter.of(path, types)
        trace = Trace(capacity, cause, wanted)
        # To know what a message has led to, all of what was handled must be seen.
        sink = trace.put
        self._node.observe(wanted if cause is None else TraceFilter(), sink)
        try:
            yield trace
        finally:
            self._node.unobserve(sink)

    @enable_ki_protection
    def keep_messages(self, path: str, count: int) -> None:
        """Have actors keep their last messages, for crash reports and `system.state`.

        Also those that match later; a later pattern overrides an earlier one.

        Args:
            path: whose, as for `trace`.
            count: how many; 0 to keep none any more.
        """
        if count < 0:
            raise ValueError(f"count is how many messages are kept, not {count}")
        rings = self._node.rings
        rings.pop(path, None)
        rings[path] = count
        for cell in self._node.cells.values():
            keep_last(rings, cell)
        if not any(rings.values()):
            rings.clear()

    def record(
        self,
        path: str = "*",
        *,
        file: str | Path | None = None,
        ring: int | None = None,
        types: Iterable[type | str] = (),
        max_bytes: int = MAX_BYTES,
        when_full: WhenFull = WhenFull.STOP,
    ) -> Recorder:
        """Record messages from now on, until `await recorder.stop()` or the node closes.

        Args:
            path: whose, as for `trace`.
            file: where to; it must not be there yet.
            ring: or keep the last so many in memory, for `await recorder.save(file)`.
            types: only messages of these types; all, if none is given.
            max_bytes: the largest the file may become.
            when_full: what happens then.

        Raises:
            OSError: the file cannot be made.
        """
        return Recorder(
            self._node,
            TraceFilter.of(path, types),
            file=file,
            ring=ring,
            max_bytes=max_bytes,
            when_full=when_full,
        )

    # -- faults ---------------------------------------------------------------------------

    @enable_ki_protection
    def inject(self, path: str, fault: Fault) -> Injection:
        """Make an actor's messages go wrong on purpose, until the injection is removed.

        Raises:
            FaultInjectionOff: the configuration does not allow it.
            NoSuchActor: there is none at that path.
        """
        return inject(self._cell(path), fault)
