"""Crash reports: what an actor died of, what it was handling, and what came before.

Making one must be cheap, because a crash with a restart is an ordinary event: the traceback is
captured without source lines or locals, and formatted when somebody looks.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from supervision.events import NodeEvent
from supervision.messages import Envelope

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.node import Node

logger = logging.getLogger("troupe.supervision")


@attrs.frozen
class CrashReport(NodeEvent):
    """One fault of one actor."""

    id: str
    error_type: str
    error: str
    """The exception's text. It may quote what users said, so it is for reports, not for logs."""
    where: str
    """The hook, "handler", or the task that raised."""
    message_type: str
    """What it was handling; empty outside handlers."""
    message_id: int
    cause_id: int
    life: int
    """Which instance, counted from 1."""
    last_messages: Sequence[Any] = ()
    """The messages before the fault, oldest first, if the actor's ring is on."""
    _stack: traceback.TracebackException | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def traceback(self) -> str:
        """The formatted traceback."""
        return "".join(self._stack.format()) if self._stack is not None else ""


class CrashLog:
    """The newest crash reports of a node; all are counted."""

    def __init__(self, node: Node, keep: int) -> None:
        self._node = node
        self._reports: deque[CrashReport] = deque(maxlen=keep)
        self.count = 0

    def __iter__(self) -> Any:
        return iter(tuple(self._reports))

    def write(self, cell: Cell, error: BaseException, where: str, envelope: Envelope | None) -> str:
        """Report a fault; returns the report's id."""
        self.count += 1
        node = self._node
        message_id, cause_id, message, _reply = envelope or (0, 0, None, None)
        report = CrashReport(
            at=node.time(),
            path=cell.path,
            id=f"crash-{self.count}",
            error_type=type(error).__qualname__,
            error=str(error),
            where=where,
            message_type=type(message).__qualname__ if envelope is not None else "",
            message_id=message_id,
            cause_id=cause_id,
            life=cell.lives,
            last_messages=tuple(cell.ring or ()),
            stack=traceback.TracebackException(
                type(error), error, error.__traceback__, lookup_lines=False, compact=True
            ),
        )
        self._reports.append(report)
        if logger.isEnabledFor(logging.ERROR):
            logger.error(
                "Unhandled exception in %s (%s, life %d, %s):",
                cell.path,
                where,
                cell.lives,
                report.id,
                exc_info=(type(error), error, error.__traceback__),
            )
        node.events.publish(report)
        node.fault_seen(cell, report)
        return report.id
