"""The node: what all actors of one process share.

Run queues, registry, timers, dead letters, crash reports. It is the runtime's inside; people hold
a `System` (system.py).
"""

from __future__ import annotations

import itertools
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import enable_ki_protection

from supervision.config import SupervisionConfig
from supervision.crashes import CrashLog
from supervision.errors import SupervisionError
from supervision.events import DeadLetter, DeadLetterReason, EventStream
from supervision.messages import IDLE, SHUTDOWN, Envelope, ExitReason
from supervision.observe import Tap, TraceEvent, TraceFilter, keep_last, outcome_of, report
from supervision.spec import Mailbox
from supervision.timers import TimerHeap
from supervision.waits import WaitGraph

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.foreign import Foreigners
    from supervision.life import Life
    from supervision.watchdog import Watchdog

logger = logging.getLogger("troupe.supervision")


def _nothing() -> None:
    """There is no dispatcher yet."""


class Node:
    """The shared state of one running actor system. Loop thread only, unless a method says so."""

    def __init__(self, config: SupervisionConfig, name: str, rng: random.Random) -> None:
        self.config = config
        self.name = name
        self.rng = rng
        self.token = trio.lowlevel.current_trio_token()
        self.ident = get_ident()
        """The loop's thread."""
        self.time: Callable[[], float] = trio.lowlevel.current_clock().current_time
        """The node's time in seconds. Any thread."""
        self.open = True
        self.nursery: trio.Nursery | None = None
        self.default_mailbox = Mailbox(config.mailbox)
        self.inline = False
        """BlockingActors and workers run on the loop: a simulation has one thread of events."""

        self.ids = itertools.count(1)
        """Message ids. `next` of a count is atomic, so threads draw from it too."""
        self.urgent: deque[Cell] = deque()
        self.realtime: deque[Cell] = deque()
        self.ordinary: deque[Cell] = deque()
        self.asleep = False
        self.dispatcher: trio.lowlevel.Task | None = None
        self.lend: Callable[[], None] = _nothing
        """Run a slice in the calling task, which is about to wait; set by the dispatcher."""
        self.current: Envelope = IDLE
        """What the handler that runs now handles; `IDLE` while none does."""
        self.running: Cell | None = None
        """Whose turn it is."""
        self.turn_started = 0.0
        self.turns = 0

        self.timers = TimerHeap()
        self.waits: WaitGraph[Cell] = WaitGraph(self.time)
        self.events = EventStream()
        self.cells: dict[str, Cell] = {}
        self.crashes = CrashLog(self, config.crash_reports)
        self.dead_letters: deque[DeadLetter] = deque(maxlen=config.dead_letters)
        self.dead_letter_count = 0
        self.tap: Tap | None = None
        """What observes messages, if anything does."""
        self.rings: dict[str, int] = {}
        """How many last messages actors keep, by path pattern; a later pattern overrides."""
        self.watched = True
        """A watchdog is to be started."""
        self.watchdog: Watchdog | None = None
        self.on_close: list[Callable[[], None]] = []
        """What else ends with the node: recorders, the watchdog."""
        self.stuck: list[str] = []
        self.busy_outside = 0
        """Jobs that threads and workers have in hand."""
        self.on_busy_outside: Callable[[bool], None] | None = None
        self.root_reported: Callable[[str, ExitReason | None], None] | None = None
        self.foreigners: Foreigners | None = None
        """Actors of other pykka runtimes that are spoken to, once there is one."""
        self.names = itertools.count(1)
        """For actors that were given no name."""
        self.cut_off: Callable[[], None] | None = None
        """Ends the tree without waiting for anything."""
        self.closing: Callable[[], None] | None = None
        """Ends the dispatcher and the timers."""
        self._mailed: deque[Cell] = deque()

    # -- the loop -------------------------------------------------------------------------

    def wake(self) -> None:
        """The dispatcher sleeps and there is something to do."""
        self.asleep = False
        assert self.dispatcher is not None
        trio.lowlevel.reschedule(self.dispatcher)

    def call_soon(self, step: Callable[[], object]) -> None:
        """Call `step` on the loop. Any thread."""
        try:
            self.token.run_sync_soon(step)
        except trio.RunFinishedError:
            step()

    @enable_ki_protection
    def mailed(self, cell: Cell) -> None:
        """A thread has put mail into this cell's inbox."""
        self._mailed.append(cell)
        try:
            self.token.run_sync_soon(self._collect, idempotent=True)
        except trio.RunFinishedError:
            self._collect()

    @enable_ki_protection
    def _collect(self) -> None:
        mailed = self._mailed
        while mailed:
            try:
                cell = mailed.popleft()
            except IndexError:  # another thread, after the end of the loop
                return
            cell.collect()

    def last_id(self) -> int:
        """The newest message id. Any thread."""
        # An iterator cannot be looked at without being moved, but it tells: "count(42)".
        return int(repr(self.ids)[6:-1]) - 1

    def start_soon(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a task in the node's nursery."""
        assert self.nursery is not None
        self.nursery.start_soon(function, *args)

    def outside(self, change: int) -> None:
        """A thread or worker has taken on (+1) or finished (-1) a job."""
        before = self.busy_outside
        self.busy_outside += change
        if self.on_busy_outside is not None and (before == 0) != (self.busy_outside == 0):
            self.on_busy_outside(self.busy_outside > 0)

    @enable_ki_protection
    def close(self) -> None:
        """The tree has ended: bury what is left, and end the runtime's own tasks."""
        assert self.closing is not None
        try:
            for cell in list(self.cells.values()):
                cell.gone(cell.reason or SHUTDOWN)
            self._collect()
            for end in reversed(self.on_close):
                end()
            self.open = False
        finally:
            self.closing()  # or `open_system` would wait for ever for what serves no more

    # -- the registry ---------------------------------------------------------------------

    def remember(self, cell: Cell) -> None:
        """Make a cell findable by its path."""
        known = self.cells.get(cell.path)
        if known is not None and known is not cell:
            raise SupervisionError(f"there already is an actor at {cell.path}; stop it, or rename")
        self.cells[cell.path] = cell
        if self.rings:
            keep_last(self.rings, cell)
        if cell.parent is not None:
            if cell.parent.children is None:
                cell.parent.children = {}
            cell.parent.children[cell.spec.id] = cell

    def forget(self, cell: Cell) -> None:
        """A cell is gone."""
        if cell.poison is not None:
            cell.poison.close()
        if self.cells.get(cell.path) is cell:
            del self.cells[cell.path]
        siblings = cell.parent.children if cell.parent is not None else None
        if siblings is not None and siblings.get(cell.spec.id) is cell:
            del siblings[cell.spec.id]

    def forget_waits(self, cell: Cell) -> None:
        """An actor that ends waits for nobody."""
        self.waits.forget(cell)

    # -- supervision ----------------------------------------------------------------------

    def child_started(self, cell: Cell) -> None:
        """Tell the supervisor that its child runs."""
        self._report(cell, "started", None)

    def child_ended(self, cell: Cell, reason: ExitReason, *, started: bool) -> None:
        """Tell the supervisor that its child has ended, or that its start failed."""
        self._report(cell, "ended" if started else "start_failed", reason)

    def _report(self, cell: Cell, what: str, reason: ExitReason | None) -> None:
        parent = cell.parent
        if parent is None:
            if self.root_reported is not None:
                self.root_reported(what, reason)
        else:
            parent.signal(self._to_supervisor, parent, cell, what, reason)

    def _to_supervisor(
        self, parent: Cell, cell: Cell, what: str, reason: ExitReason | None
    ) -> None:
        if parent.actor is None:
            cell.gone(reason or cell.reason or SHUTDOWN)
        else:
            parent.actor._child_reported(cell, what, reason)

    # -- faults ---------------------------------------------------------------------------

    def crashed(
        self, cell: Cell, error: BaseException, where: str, envelope: Envelope | None
    ) -> str:
        """Write a crash report; returns its id."""
        return self.crashes.write(cell, error, where, envelope)

    def stuck_here(self, life: Life, what: str) -> None:
        """Something would not end; `open_system` raises it at the end."""
        del life
        self.stuck.append(what)
        logger.error("%s would not end and is left behind", what)

    def dead_letter(self, path: str, message: Any, reason: DeadLetterReason) -> None:
        """A message nobody receives."""
        self.dead_letter_count += 1
        letter = DeadLetter(self.time(), path, message, type(message).__qualname__, reason)
        self.dead_letters.append(letter)
        self.events.publish(letter)

    # -- observing ------------------------------------------------------------------------

    def observed(
        self,
        cell: Cell,
        envelope: Envelope,
        seconds: float,
        error: BaseException | None,
        *,
        outcome: str = "",
        at: float | None = None,
    ) -> None:
        """A message was handled, or its async handler begun, by an actor that is looked at.

        Args:
            outcome: what became of it, if the error and the actor's state do not say it.
            at: when that was; now, if not given.
        """
        if cell.ring is not None or self.tap is not None or cell.poison is not None:
            report(cell, envelope, seconds, outcome or outcome_of(cell, envelope, error), at)

    def observe(self, wanted: TraceFilter, sink: Callable[[TraceEvent], None]) -> None:
        """Show handled messages to `sink` from now on."""
        if self.tap is None:
            self.tap = Tap()
        self.tap.add(wanted, sink)

    def unobserve(self, sink: Callable[[TraceEvent], None]) -> None:
        """Show it no more; with nobody left the fast loop is back."""
        if self.tap is not None:
            self.tap.remove(sink)
            if not self.tap:
                self.tap = None
