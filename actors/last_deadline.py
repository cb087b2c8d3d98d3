"""The end of an end: what would not stop in time does not keep the process.

trio cannot abandon a task, Python cannot kill a thread, and a handler that never returns takes the
loop with it. So the last deadline is kept by a thread of its own, which needs none of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import NoReturn

LAST_WORDS = 3.0
"""Seconds for the report: it may have to wait for a disk, or for whoever reads stderr."""


class LastDeadline:
    """Ends the process by force at a time, once it was told a time.

    Args:
        code: what the process then exits with.
        report: called first, on a thread that is given some seconds and then left behind.
    """

    def __init__(self, code: int, report: Callable[[], None]) -> None:
        self._code = code
        self._report = report
        # A signal handler may interrupt its own thread anywhere, inside this queue's `put` too:
        # SimpleQueue is the one queue that allows it. An Event or a Lock would dead-lock.
        self._deadlines: SimpleQueue[float] = SimpleQueue()
        threading.Thread(target=self._keep, name="last-deadline", daemon=True).start()

    def within(self, seconds: float) -> None:
        """End by force so many seconds from now, unless an earlier time was set. Any thread.

        Signal handlers too. It cannot be taken back: the process has ended by then, or is ended.
        """
        self._deadlines.put(monotonic() + seconds)

    def _keep(self) -> NoReturn:
        deadline = inf
        while True:
            patience = max(0.0, deadline - monotonic()) if deadline < inf else None
            try:
                deadline = min(deadline, self._deadlines.get(timeout=patience))
            except Empty:
                self._end()

    def _end(self) -> NoReturn:
        report = threading.Thread(target=self._report, name="last-words", daemon=True)
        report.start()
        report.join(LAST_WORDS)
        os._exit(self._code)
