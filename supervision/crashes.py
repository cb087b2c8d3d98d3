"""Crash reports: what an actor died of, what it was handling, and what came before.

Making one must be cheap, because a crash with a restart is an ordinary event: the traceback is
captured without source lines or locals, and formatted when somebody looks. When a whole node dies,
`write_crash_dump` leaves one JSON file behind.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import platform
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import attrs

from supervision.events import NodeEvent
from supervision.messages import Envelope
from supervision.observe import TraceEvent
from supervision.poison import fault_seen
from supervision.showing import clipped, plain, safely, shown

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.node import Node
    from supervision.system import System

logger = logging.getLogger("troupe.supervision")

ERROR_TEXT = 2000
"""Characters of an exception's text that are kept."""
TRACEBACK_TEXT = 20_000
"""Characters of a traceback that are shown; the end is what matters, so the beginning goes."""


@attrs.frozen
class CrashReport(NodeEvent):
    """One fault of one actor."""

    id: str
    error_type: str
    error: str
    """The exception's text. It may quote what users said."""
    where: str
    """The hook, "handler", or the task that raised."""
    message_type: str
    """What it was handling; empty outside handlers."""
    message_id: int
    cause_id: int
    life: int
    """Which instance, counted from 1."""
    last_messages: Sequence[TraceEvent] = attrs.field(default=(), repr=False)
    """The messages up to the fault, oldest first, if the actor keeps them
    (`system.keep_messages`)."""
    message: Any = attrs.field(default=None, repr=False)
    """What it was handling, itself."""
    _stack: traceback.TracebackException | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def traceback(self) -> str:
        """The formatted traceback; its beginning is left out if it is very long."""
        if self._stack is None:
            return f"{self.error_type}: {self.error}\n"
        text = "".join(self._stack.format())
        if len(text) > TRACEBACK_TEXT:
            return f"… ({len(text)} characters)\n{text[-TRACEBACK_TEXT:]}"
        return text

    def as_dict(self, *, bodies: bool = True) -> dict[str, Any]:
        """All of it as JSON-able values.

        Args:
            bodies: also what messages said, bounded and with secrets masked.
        """
        return {
            "id": self.id,
            "at": self.at,
            "path": self.path,
            "life": self.life,
            "where": self.where,
            "error_type": self.error_type,
            "error": self.error,
            "message_type": self.message_type,
            "message_id": self.message_id,
            "cause_id": self.cause_id,
            "message": shown(self.message) if bodies and self.message_type else None,
            "traceback": self.traceback.splitlines(),
            "last_messages": [
                {
                    **plain(event),
                    "message": shown(event.message) if bodies else None,
                }
                for event in self.last_messages
            ],
        }

    def render(self, *, bodies: bool = True) -> str:
        """All of it as text."""
        lines = [f"{self.id}: {self.path} crashed in its life {self.life}, at {self.at:.3f}"]
        if self.message_type:
            lines.append(
                f"handling {self.message_type} {self.message_id}, sent by the handling of "
                f"{self.cause_id or 'nothing: it came from outside'}"
            )
            if bodies:
                lines.append(f"    {shown(self.message)}")
        else:
            lines.append(f"in {self.where}")
        lines += ["", self.traceback.rstrip()]
        if self.last_messages:
            lines += ["", "the last messages up to the fault:"]
        for event in self.last_messages:
            said = f" {shown(event.message, total=200)}" if bodies else ""
            lines.append(
                f"    {event.at:.3f} {event.id} {event.message_type} [{event.outcome}]{said}"
            )
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        return self.render()


class CrashLog:
    """The newest crash reports of a node; all are counted."""

    def __init__(self, node: Node, keep: int) -> None:
        self._node = node
        self._reports: deque[CrashReport] = deque(maxlen=keep)
        self.count = 0

    def __iter__(self) -> Iterator[CrashReport]:
        return iter(tuple(self._reports))

    def find(self, report_id: str) -> CrashReport:
        """A report by its id.

        Raises:
            LookupError: there never was one, or it was dropped for newer ones.
        """
        for report in self._reports:
            if report.id == report_id:
                return report
        kept = ", ".join(report.id for report in self._reports) or "none"
        raise LookupError(
            f"there is no crash report {report_id!r}; of {self.count} so far the newest are kept "
            f"(`crash_reports` in the configuration): {kept}"
        )

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
            error=_text_of(error),
            where=where,
            message_type=type(message).__qualname__ if envelope is not None else "",
            message_id=message_id,
            cause_id=cause_id,
            life=cell.lives,
            last_messages=tuple(cell.ring or ()),
            message=message,
            stack=_stack_of(error),
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
        fault_seen(cell, where, envelope)
        return report.id


def _text_of(error: BaseException) -> str:
    try:
        return clipped(str(error), ERROR_TEXT)
    except Exception:  # noqa: BLE001  somebody's own __str__, whatever it does
        return safely(str, error)


def _stack_of(error: BaseException) -> traceback.TracebackException | None:
    try:
        return traceback.TracebackException(
            type(error), error, _own_frames(error), lookup_lines=False, compact=True
        )
    except Exception:  # noqa: BLE001  it reads attributes of the exception, which may be anything
        return None


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback from the actor's own code on.

    The runtime's frames above it tell a reader nothing, and the position of the call within such a
    long function is what a traceback takes longest to work out: 24 of 29 µs.
    """
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None and _is_runtime(tb):
        tb = tb.tb_next
    return tb


def _is_runtime(tb: TracebackType) -> bool:
    return str(tb.tb_frame.f_globals.get("__name__")).startswith("supervision.")


# -- when the node dies -------------------------------------------------------------------

DUMP_FORMAT = "troupe-crash-dump"
DUMP_ACTORS = 5000
"""Actors in the tree of a dump."""
DUMP_LETTERS = 500
"""Dead letters in a dump, the newest."""


def write_crash_dump(
    directory: str | Path, system: System, reason: object, *, bodies: bool = True
) -> Path | None:
    """Leave one JSON file about a node that dies; returns its path, None if that failed.

    Never raises: what cannot be told is left out, and a shutdown goes on without the file. It
    appears complete or not at all, readable for its owner only. Any thread, for the loop may hang.

    Args:
        directory: made if it is not there; "" is the working directory.
        reason: why the node dies, an exception or a text.
        bodies: also what messages in crash reports said, bounded and with secrets masked.
    """
    try:
        folder = Path(directory or ".")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target = folder / f"troupe-crash-{stamp}-{os.getpid()}-{next(_dumps)}.json"
        text = json.dumps(crash_dump(system, reason, bodies=bodies), indent=1, default=shown)
        unfinished = target.with_suffix(".tmp")
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except Exception as error:  # noqa: BLE001  a shutdown goes on without it
        _say(f"no crash dump could be written to {str(directory)!r}: {safely(str, error)}")
        return None
    _say(f"a crash dump is in {target}")
    return target


def _say(what: str) -> None:
    # Not through logging or sys.stderr: whoever hangs may hold their locks.
    try:
        os.write(2, f"troupe: {what}\n".encode(errors="backslashreplace"))
    except OSError:  # nobody listens
        pass


_dumps = itertools.count(1)


def crash_dump(system: System, reason: object, *, bodies: bool = True) -> dict[str, Any]:
    """What `write_crash_dump` writes, as JSON-able values."""
    node = system._node

    def letters() -> object:
        newest = tuple(node.dead_letters)[-DUMP_LETTERS:]
        return [
            {
                "at": letter.at,
                "path": letter.path,
                "message_type": letter.message_type,
                "reason": letter.reason.value,
            }
            for letter in newest
        ]

    parts: dict[str, Callable[[], object]] = {
        "reason": lambda: str(reason) or repr(reason),
        "node": lambda: node.name,
        "at": node.time,
        "tree": lambda: plain(system.tree(limit=DUMP_ACTORS), depth=100),
        "crashes": lambda: [report.as_dict(bodies=bodies) for report in node.crashes],
        "crash_count": lambda: node.crashes.count,
        "dead_letters": letters,
        "dead_letter_count": lambda: node.dead_letter_count,
        "waits": lambda: plain(system.waits()),
        "stuck": lambda: list(node.stuck),
    }
    dump: dict[str, Any] = {
        "format": DUMP_FORMAT,
        "version": 1,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "pid": os.getpid(),
        "python": platform.python_version(),
    }
    for name, part in parts.items():
        try:
            dump[name] = part()
        except Exception as error:  # noqa: BLE001  the rest is worth having without it
            dump[name] = {"unavailable": f"{type(error).__name__}: {safely(str, error)}"}
    return dump
