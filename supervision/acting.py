"""Which actor the running task or thread belongs to.

Inside a plain handler the node knows (`node.current`); an async handler, an owned task and a
BlockingActor's thread carry it in this context variable, so that what they send still names its
cause, their asks inherit the deadline of what they are answering, and a ring of waiting actors is
found when it closes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import trio

from supervision.errors import AskCycle

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.messages import Envelope


class Acting:
    """An actor at work outside the dispatcher."""

    __slots__ = ("cell", "envelope", "fenced", "pausing", "task")

    def __init__(self, cell: Cell, envelope: Envelope, *, pausing: bool) -> None:
        self.cell = cell
        self.envelope = envelope
        """What it is handling, or what the task was started by."""
        self.pausing = pausing
        """Its mailbox is paused meanwhile, so waiting for an answer can close a ring."""
        self.task: trio.lowlevel.Task | None = None
        """The task whose end the mailbox waits for; None for a thread."""
        self.fenced = False
        """Its life was left behind (a thread that would not end); the cell belongs to another."""

    def _is_waited_for(self) -> bool:
        """Whether the mailbox is paused until the running task ends, too.

        A task that a handler starts in its own nursery is; one that it starts in some other, longer
        lived nursery inherits this context, and may outlive the handler. A thread of
        `trio.to_thread` is taken for waited for.
        """
        if self.task is None or not trio.lowlevel.in_trio_task():
            return True
        at: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while at is not None and at is not self.task:
            at = at.parent_nursery.parent_task if at.parent_nursery is not None else None
        return at is not None

    @contextmanager
    def waiting_for(self, target: Cell | None, patience: float) -> Iterator[None]:
        """Note in the node's wait graph that this actor waits for `target`.

        Raises:
            AskCycle: `target` already waits for this actor, directly or through others.
        """
        if target is None or not self.pausing or not self._is_waited_for():
            yield
            return
        waits = self.cell.node.waits
        ring = waits.enter(self.cell, target)
        if ring is not None:
            raise AskCycle(target.path, patience, tuple(cell.path for cell in ring))
        try:
            yield
        finally:
            if not self.fenced:
                waits.leave(self.cell, target)


acting: ContextVar[Acting | None] = ContextVar("acting", default=None)
"""None outside every actor and inside plain handlers."""
