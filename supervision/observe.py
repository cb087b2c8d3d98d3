"""Observing messages as they are handled: traces, the recorder, rings of last messages.

Nothing of this costs anything while it is off: an actor that somebody observes takes its turns
through a slower loop of the dispatcher, all others through the fast loop, which does not know of
it. Who caused what, and diagrams of it, is causality.py.
"""

from __future__ import annotations

import functools
import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from typing import TYPE_CHECKING, Any

import attrs

from supervision.errors import Refuse
from supervision.events import Subscription
from supervision.messages import Envelope

if TYPE_CHECKING:
    from supervision.cell import Cell

logger = logging.getLogger("troupe.supervision")

OK = "ok"
STARTED = "started"
"""An async handler has begun; a second event with the same id tells how it ended."""
DEFERRED = "deferred"
"""The handler is done, the answer comes later."""
STASHED = "stashed"
"""Put aside; it will be handled again, under the same id."""
REFUSED = "refused"
POISONED = "poisoned"
"""Not handled: its kind has crashed the actor again and again."""
KILLED = "killed"
"""The actor ended while its async handler was under way."""


@attrs.frozen
class TraceEvent:
    """One message as it was handled.

    A plain handler makes one event, when it is done. An async handler makes two: one when it has
    begun (`outcome` is "started"), so that one that never ends is seen too, and one when it is
    done, with its true duration.
    """

    at: float
    """Seconds, in the node's time, when the handler was done (or, "started", when it began)."""
    id: int
    cause: int
    """The id of the message whose handling sent this one; 0 from outside every actor."""
    path: str
    """Who handled it. Who sent it is whoever handled `cause`."""
    message: Any = attrs.field(repr=False)
    message_type: str
    asked: bool
    seconds: float
    """How long the handler took."""
    outcome: str
    """"ok", another word of this module's, or the type of the exception it raised."""

    @property
    def began(self) -> float:
        """When its handling began, in the node's time."""
        return self.at - self.seconds

    @property
    def failed(self) -> bool:
        """Whether it crashed the actor."""
        return self.outcome not in _WORDS


_HANDLED = frozenset((OK, DEFERRED, REFUSED))
_UNDECIDED = frozenset((STASHED, KILLED))
_WORDS = frozenset((OK, STARTED, DEFERRED, STASHED, REFUSED, POISONED, KILLED))


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def path_matches(pattern: str, path: str) -> bool:
    """Whether a path is meant by a pattern.

    A path means itself, `/calls/**` an actor and everything below it, and `*` stands for any text,
    slashes included: `/calls/*` is everything below `/calls`, `*/session` every session.
    """
    if pattern in ("*", path):
        return True
    if pattern.endswith("/**"):
        above = pattern[:-3]
        if path == above or _compiled(above).match(path):
            return True
        pattern = f"{above}/*"
    return _compiled(pattern).match(path) is not None


@attrs.frozen
class TraceFilter:
    """Which messages a trace shows: by path pattern (`path_matches`) and by message type."""

    path: str = "*"
    types: frozenset[str] = frozenset()
    """Type names; empty for all."""

    @classmethod
    def of(cls, path: str, types: Iterable[type | str]) -> TraceFilter:
        """A filter by types or their names."""
        if isinstance(types, str | type):  # one alone is meant as it stands
            types = (types,)
        names = (kind if isinstance(kind, str) else kind.__qualname__ for kind in types)
        return cls(path, frozenset(names))

    def takes(self, path: str, message_type: str) -> bool:
        """Whether a message of that type to that actor is to be shown."""
        return self.takes_type(message_type) and path_matches(self.path, path)

    def takes_type(self, message_type: str) -> bool:
        """Whether messages of that type are."""
        return not self.types or message_type in self.types


Sink = Callable[[TraceEvent], None]

KNOWN_PATHS = 10_000
"""Paths whose observers are remembered; a node that has seen more of them begins anew."""


class Tap:
    """All who observe messages, as one."""

    def __init__(self) -> None:
        self._sinks: list[tuple[TraceFilter, Sink]] = []
        # Matching a pattern costs more than handling a message, so once per path has to do.
        self._by_path: dict[str, Sequence[tuple[TraceFilter, Sink]]] = {}

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, wanted: TraceFilter, sink: Sink) -> None:
        """Give `sink` what `wanted` takes."""
        self._sinks.append((wanted, sink))
        self._by_path = {}

    def remove(self, sink: Sink) -> None:
        """Give it no more."""
        self._sinks = [entry for entry in self._sinks if entry[1] != sink]
        self._by_path = {}

    def at(self, path: str) -> Sequence[tuple[TraceFilter, Sink]]:
        """Who observes the actor at that path."""
        known = self._by_path.get(path)
        if known is None:
            if len(self._by_path) >= KNOWN_PATHS:
                self._by_path = {}
            known = [entry for entry in self._sinks if path_matches(entry[0].path, path)]
            self._by_path[path] = known
        return known

    def wanting(self, path: str, message_type: str) -> Sequence[Sink]:
        """Who wants to see a message of that type to that actor."""
        return [sink for wanted, sink in self.at(path) if wanted.takes_type(message_type)]

    def show(self, event: TraceEvent, sinks: Iterable[Sink]) -> None:
        """Show them an event."""
        for sink in sinks:
            try:
                sink(event)
            except Exception:  # an observer's fault must never be an actor's
                logger.exception("An observer of messages failed, so it gets no more of them")
                self.remove(sink)


def report(
    cell: Cell, envelope: Envelope, seconds: float, outcome: str, at: float | None = None
) -> None:
    """Tell those who observe this actor that it has handled (or begun to handle) a message.

    Args:
        at: when that was, in the node's time; now, if not given.
    """
    message_id, cause, message, reply = envelope
    node = cell.node
    if cell.poison is not None:
        if outcome in _HANDLED:
            cell.poison.handled(message_id)
        elif outcome in _UNDECIDED:
            cell.poison.undecided(message_id)
    tap, ring, message_type = node.tap, cell.ring, type(message).__qualname__
    sinks = tap.wanting(cell.path, message_type) if tap is not None else ()
    if ring is None and not sinks:
        return
    event = TraceEvent(
        node.time() if at is None else at,
        message_id,
        cause,
        cell.path,
        message,
        message_type,
        reply is not None,
        seconds,
        outcome,
    )
    if ring is not None:
        ring.append(event)
    if tap is not None:
        tap.show(event, sinks)


def outcome_of(cell: Cell, envelope: Envelope, error: BaseException | None) -> str:
    """What became of a message that a plain handler, or the plain start of an async one, had."""
    if error is not None:
        return REFUSED if isinstance(error, Refuse) else type(error).__qualname__
    life = cell.life
    if life is not None:
        if life.in_hand is not None and life.in_hand[0] == envelope[0]:
            return STARTED
        if life.stashed and life.stashed[-1][0] == envelope[0]:
            return STASHED
    if envelope[3] is not None and cell.node.current[3] is not envelope[3]:
        return DEFERRED
    return OK


class Trace(Subscription[TraceEvent]):
    """A live trace: iterate over it. What nobody took in time is dropped, oldest first, counted."""

    def __init__(self, capacity: int, cause: int | None, types: TraceFilter) -> None:
        super().__init__(capacity)
        self._types = types
        # Ids of the message and all it led to so far; a dict, because it keeps the order.
        self._lineage: dict[int, None] | None = None if cause is None else {cause: None}

    def put(self, event: TraceEvent) -> None:
        """Add an event, if it descends from what is followed. Never waits."""
        lineage = self._lineage
        if lineage is not None:
            if event.id not in lineage:
                if event.cause not in lineage:
                    return
                lineage[event.id] = None
                if len(lineage) > LINEAGE:
                    del lineage[next(iter(lineage))]
            if not self._types.takes(event.path, event.message_type):
                return
        super().put(event)


LINEAGE = 100_000
"""Descendants of one message that a trace remembers; older ones are forgotten first."""


def keep_last(rings: Mapping[str, int], cell: Cell) -> None:
    """Give a cell the ring that the last matching pattern says, or none."""
    count = 0
    for pattern, wanted in rings.items():
        if path_matches(pattern, cell.path):
            count = wanted
    if count == 0:
        cell.ring = None
    elif cell.ring is None or cell.ring.maxlen != count:
        cell.ring = deque(cell.ring or (), maxlen=count)
