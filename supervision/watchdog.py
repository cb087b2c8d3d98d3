"""The watchdog: a thread that sees what the loop cannot say while it is held up.

A plain handler that never returns, or a task that computes without a checkpoint, cannot be
contained, only seen. The watchdog looks every few milliseconds at which message is being handled,
and twice a second asks the loop for a sign of life:

- a handler over its budget is published as `HandlerOverrun`, with its stack, once the loop is free
  (one that takes twice its budget is always noticed, a shorter one by chance);
- a loop that has been held for `not_live_after` seconds makes the node not live;
- a unix socket of its own (`stack_socket`) answers with what runs and where, even then;
- and it notes which message ids were current when, which tells for how long any message waits.

What it cannot see through: an extension that holds the interpreter itself, for then no thread runs.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left
from collections.abc import Callable
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

import attrs

from supervision.events import HandlerOverrun
from supervision.stacks import stack_of
from supervision.stacksocket import StackSocket
from supervision.tasks import Task

if TYPE_CHECKING:
    from supervision.node import Node

PERIOD = 0.005
"""Seconds between two looks while messages are handled."""
IDLE_PERIOD = 0.05
"""Seconds between two looks at a node that has handled nothing for `IDLE_AFTER` looks. What begins
to hold the loop meanwhile is seen that much later."""
IDLE_AFTER = 100


@attrs.frozen
class Liveness:
    """Whether the loop takes its turns, and what it does."""

    live: bool
    path: str
    """The actor whose handler or task runs; empty if none does, or something else holds it."""
    message_type: str
    message_id: int
    since: float
    """Seconds for which that has run; for something else, for which the loop has not answered."""
    stack: str
    """Of the loop's thread, the innermost frame last."""


class Watchdog:
    """Watches one node. All methods may be called on any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._budget = node.config.handler_budget_ms / 1000
        self._not_live_after = node.config.not_live_after
        self._beat_period = min(0.5, self._not_live_after / 4)
        self._stop = threading.Lock()  # a lock that is never had is the cheapest way to sleep
        self._stop.acquire()
        self._ages = MessageAges()
        # The message in hand: its id, and when it was first seen.
        self._id = 0
        self._seen = 0.0
        self._overrun: HandlerOverrun | None = None
        # The sign of life: when it was asked for, infinity once it was given.
        self._asked_at = float("inf")
        self._next_beat = 0.0
        self._thread = threading.Thread(target=self._run, name="troupe watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns once the thread has ended."""
        self._stop.release()
        self._thread.join()

    @property
    def live(self) -> bool:
        """False once the loop has been held for longer than `not_live_after`."""
        return perf_counter() - self._held_since() < self._not_live_after

    def look(self) -> Liveness:
        """What runs at this moment, with the stack of the loop's thread."""
        node = self._node
        now = perf_counter()
        held_since = self._held_since()
        frame = sys._current_frames().get(node.ident)
        current, running = node.current, node.running
        path, message_type, message_id = "", "", current[0]
        if running is not None and message_id:
            path, message_type = running.path, type(current[2]).__qualname__
        elif frame is not None:
            task = _task_on(frame)
            if task is not None:
                path, message_type = task.life.cell.path, type(task.envelope[2]).__qualname__
        return Liveness(
            live=now - held_since < self._not_live_after,
            path=path,
            message_type="" if message_type == "NoneType" else message_type,
            message_id=message_id,
            since=max(0.0, now - held_since),
            stack=stack_of(frame),
        )

    def age_of(self, message_id: int) -> float:
        """Seconds since a message was sent, to the precision of a look."""
        return self._ages.age_of(message_id, perf_counter())

    # -- the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        quiet = 0
        last_turns = -1
        period = PERIOD
        while not self._stop.acquire(timeout=period):
            now = perf_counter()
            self._watch_handler(now)
            self._watch_loop(now)
            self._ages.note(self._node.last_id(), now)
            turns = self._node.turns
            quiet = quiet + 1 if turns == last_turns and self._id == 0 else 0
            last_turns = turns
            period = PERIOD if quiet < IDLE_AFTER else IDLE_PERIOD

    def _watch_handler(self, now: float) -> None:
        node = self._node
        message_id = node.current[0]
        if message_id != self._id:
            if self._overrun is not None:
                self._report(self._overrun, now - self._seen)
                self._overrun = None
            self._id, self._seen = message_id, now
        elif message_id and self._overrun is None and now - self._seen >= self._budget:
            running, message = node.running, node.current
            frame = sys._current_frames().get(node.ident)
            if running is None or message[0] != message_id or node.current[0] != message_id:
                return  # it ended while we looked
            name = type(message[2]).__qualname__ if message[2] is not None else ""
            self._overrun = HandlerOverrun(
                at=node.time(),
                path=running.path,
                seconds=now - self._seen,
                message_type=name,
                stack=stack_of(frame),
            )

    def _report(self, overrun: HandlerOverrun, seconds: float) -> None:
        node = self._node
        event = attrs.evolve(overrun, at=node.time(), seconds=seconds)
        self._on_loop(lambda: node.events.publish(event))

    def _watch_loop(self, now: float) -> None:
        if now >= self._next_beat and self._asked_at == float("inf"):
            self._asked_at = now
            self._next_beat = now + self._beat_period
            self._on_loop(self._beat)

    def _beat(self) -> None:
        """The loop answers."""
        self._asked_at = float("inf")

    def _on_loop(self, step: Callable[[], object]) -> None:
        if self._node.open:
            self._node.call_soon(step)

    def _held_since(self) -> float:
        """When the loop was last known not to be held by what holds it now."""
        handler = self._seen if self._id else float("inf")
        return min(handler, self._asked_at)


class MessageAges:
    """When which message id was first seen to be the newest: marks, thinned with age."""

    KEEP = 2048

    def __init__(self) -> None:
        # Replaced as a whole when thinned, so that readers on other threads see one or the other.
        self._marks: tuple[list[int], list[float]] = ([0], [0.0])

    def note(self, newest_id: int, now: float) -> None:
        """The newest message is this one. Called by one thread only."""
        ids, times = self._marks
        if ids[-1] == newest_id:
            return
        times.append(now)
        ids.append(newest_id)
        if len(ids) > self.KEEP:
            half = len(ids) // 2
            self._marks = (ids[:half:2] + ids[half:], times[:half:2] + times[half:])

    def age_of(self, message_id: int, now: float) -> float:
        """Seconds since that message was sent; too short by the time between two looks at most."""
        ids, times = self._marks
        # The first mark with an id as high: the message had been sent by then. `note` appends to
        # `times` first, so an id that is found has a time.
        place = bisect_left(ids, message_id)
        return max(0.0, now - times[place]) if place < len(ids) else 0.0


def _task_on(frame: FrameType) -> Task | None:
    """The actor's task that runs on this stack, if one does."""
    at: FrameType | None = frame
    while at is not None:
        if at.f_code is _TASK_RUN:
            owner: Any = at.f_locals.get("self")
            return owner if isinstance(owner, Task) else None
        at = at.f_back
    return None


_TASK_RUN: Any = getattr(Task.run, "__wrapped__", Task.run).__code__


def start_watching(node: Node) -> None:
    """Watch a node until it closes, and answer on its `stack_socket` if it has one."""
    watchdog = Watchdog(node)
    path = node.config.stack_socket
    stack_socket = StackSocket(node.name, watchdog.look, path) if path else None
    watchdog.start()
    node.watchdog = watchdog

    def end() -> None:
        node.watchdog = None
        if stack_socket is not None:
            stack_socket.close()
        watchdog.stop()

    node.on_close.append(end)
