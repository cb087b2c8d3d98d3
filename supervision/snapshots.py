"""Snapshots: a running system as frozen values.

`tree_of` is the supervision tree with what an operator asks first (does it run, how often did it
restart, how much waits for it and since when), `state_of` one actor's inside, `waits_of` who waits
for whom. They are plain values, bounded, with secrets masked: whoever shows them (a terminal, HTTP,
a page, a failing test) needs no more care.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from math import inf
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any

import attrs
import trio

from supervision.cell import Cell
from supervision.dynamic import DynamicSupervision
from supervision.observe import TraceEvent
from supervision.resilience import BreakerStatistics
from supervision.restart import Supervision
from supervision.schemas import MessageSchema, schema_of
from supervision.showing import fields_of, plain, shown
from supervision.supervisor import SupervisorBase

if TYPE_CHECKING:
    pass

SLICE = 0.0005
"""Seconds of the loop that a large tree takes at a time."""
ATTRIBUTES = 200
"""Attributes of an actor that are shown."""


@attrs.frozen
class ActorSnapshot:
    """One actor, and below it its children."""

    path: str
    kind: str
    """Its class; empty while no instance runs."""
    phase: str
    """new, starting, running, stopping, ended (another instance may follow), gone."""
    restarts: int
    mailbox: int
    """Messages that wait."""
    capacity: int
    oldest_wait: float
    """Seconds (real time, to some 10 ms) for which the oldest of them has waited; 0 if none."""
    handled: int
    dropped: int
    busy: float
    """Seconds its handlers have run so far, without the waits of async ones."""
    suspended: bool
    doing: str
    """The message its async handler or its thread has in hand, by type; empty for none."""
    doing_since: float
    """When that began, in the node's time; 0 for none."""
    strategy: str
    """Of a supervisor: one_for_one, one_for_all, rest_for_one, or dynamic. Else empty."""
    intensity: int
    """Of a supervisor: restarts it forgives within `period` seconds."""
    period: float
    restarts_at: float
    """When a backed-off restart is due, in the node's time; 0 if none is."""
    breakers: Mapping[str, str] = attrs.field(factory=dict)
    """The states of the circuit breakers in its `statistics()`, by name, and those of message
    types that have crashed it."""
    last_exit: str = ""
    """How its last life ended; empty before that."""
    children: Sequence[ActorSnapshot] = ()
    more: int = 0
    """Children that are not listed, because of a limit."""

    def __iter__(self) -> Iterator[ActorSnapshot]:
        """This actor and all below it, parents first."""
        todo = [self]
        while todo:
            snapshot = todo.pop()
            yield snapshot
            todo.extend(reversed(snapshot.children))

    def find(self, path: str) -> ActorSnapshot:
        """The actor at a path.

        Raises:
            LookupError: it is not in this tree.
        """
        for snapshot in self:
            if snapshot.path == path:
                return snapshot
        raise LookupError(f"there is no actor at {path} in this tree of {self.path}")

    def __str__(self) -> str:
        lines: list[str] = []
        todo: list[tuple[ActorSnapshot | int, str, str]] = [(self, "", "")]
        while todo:
            item, head, indent = todo.pop()
            if isinstance(item, int):
                lines.append(f"{head}… {item} more")
                continue
            name = item.path if not head else item.path.rpartition("/")[2]
            lines.append(f"{head}{name}  {item.summary()}")
            below: list[ActorSnapshot | int] = [*item.children]
            if item.more:
                below.append(item.more)
            last = len(below) - 1
            for place in range(last, -1, -1):
                branch, rest = ("└─ ", "   ") if place == last else ("├─ ", "│  ")
                todo.append((below[place], indent + branch, indent + rest))
        return "\n".join(lines)

    def summary(self) -> str:
        """One line about it, without its path; what is as it should be is left out."""
        parts = [self.kind or "–"]
        if self.strategy:
            parts[0] += f" ({self.strategy}, {self.intensity} in {self.period:g} s)"
        parts.append("suspended" if self.suspended and self.phase == "running" else self.phase)
        if self.restarts:
            parts.append(f"restarts {self.restarts}")
        if self.restarts_at:
            parts.append(f"starts again at {self.restarts_at:.3f}")
        if self.last_exit:
            parts.append(f"last exit {self.last_exit}")
        if self.mailbox:
            waited = _duration(self.oldest_wait)
            parts.append(f"waiting {self.mailbox}/{self.capacity} for {waited}")
        if self.doing:
            parts.append(f"handles {self.doing} since {self.doing_since:.3f}")
        parts.append(f"handled {self.handled}")
        if self.dropped:
            parts.append(f"dropped {self.dropped}")
        parts.append(f"busy {_duration(self.busy)}")
        parts += [f"{name} {state}" for name, state in self.breakers.items() if state != "closed"]
        return "  ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


@attrs.frozen
class ActorState:
    """One actor's inside."""

    actor: ActorSnapshot
    """As in the tree, without children."""
    type: str
    """Its class as `module:qualname`; empty while no instance runs."""
    attributes: Mapping[str, str]
    """Bounded texts of its attributes, secrets masked."""
    statistics: Any
    """What its `statistics()` gives, as JSON-able values; None if it has none."""
    accepts: Sequence[MessageSchema]
    accepts_anything: bool
    tasks: Sequence[str]
    """The names of the tasks it owns."""
    timers: int
    stashed: int
    owed: int
    """Answers it has deferred."""
    watchers: int
    last_messages: Sequence[TraceEvent]
    """If it keeps them (`system.keep_messages`)."""
    crashes: Sequence[str]
    """The ids of its crash reports that are still kept."""


# -- the tree -----------------------------------------------------------------------------


def tree_of(cell: Cell, *, depth: float = inf, limit: float = inf) -> ActorSnapshot:
    """An actor and what is below it.

    Args:
        depth: levels below it; 0 is the actor alone.
        limit: actors all in all; beyond it children are counted in `more`.
    """
    steps = _snapshots(cell, depth, _Budget(limit))
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            tree: ActorSnapshot = stop.value
            return tree


async def tree_in_slices(cell: Cell, *, depth: float = inf, limit: float = inf) -> ActorSnapshot:
    """The same, a slice at a time, with the loop's other work between."""
    await trio.lowlevel.checkpoint()
    steps = _snapshots(cell, depth, _Budget(limit))
    end = perf_counter() + SLICE
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            tree: ActorSnapshot = stop.value
            return tree
        if perf_counter() > end:
            await trio.lowlevel.checkpoint()
            end = perf_counter() + SLICE


class _Budget:
    def __init__(self, limit: float) -> None:
        self.left = limit - 1


def _snapshots(cell: Cell, depth: float, budget: _Budget) -> Generator[None, None, ActorSnapshot]:
    """Makes a snapshot at a time."""
    below = _children_of(cell)
    shown_here = below if depth > 0 else []
    room = int(min(len(shown_here), max(0, budget.left)))
    budget.left -= room
    children: list[ActorSnapshot] = []
    for child in shown_here[:room]:
        children.append((yield from _snapshots(child, depth - 1, budget)))  # noqa: PERF401
    yield
    return _alone(cell, tuple(children), len(below) - room)


def _alone(cell: Cell, children: Sequence[ActorSnapshot], more: int) -> ActorSnapshot:
    machine = _machine_of(cell)
    strategy = ""
    if isinstance(machine, DynamicSupervision):
        strategy = "dynamic"
    elif isinstance(machine, Supervision):
        strategy = machine.strategy.value
    doing, since = _doing(cell)
    return ActorSnapshot(
        path=cell.path,
        kind=type(cell.actor).__qualname__ if cell.actor is not None else "",
        phase=cell.phase.value,
        restarts=max(0, cell.lives - 1),
        mailbox=len(cell.inbox),
        capacity=cell.capacity,
        oldest_wait=_oldest_wait(cell),
        handled=cell.handled,
        dropped=cell.dropped,
        busy=cell.busy,
        suspended=cell.suspended,
        doing=doing,
        doing_since=since,
        strategy=strategy,
        intensity=machine.intensity if machine is not None else 0,
        period=machine.period if machine is not None else 0.0,
        restarts_at=_restarts_at(cell),
        breakers=_breakers(cell),
        last_exit=str(cell.reason) if cell.reason is not None else "",
        children=children,
        more=more,
    )


def _machine_of(cell: Cell) -> Supervision | DynamicSupervision | None:
    """What decides about the children of a supervisor; None for other actors."""
    return cell.actor._machine if isinstance(cell.actor, SupervisorBase) else None


def _children_of(cell: Cell) -> Sequence[Cell]:
    """In start order; a child that was stopped and may be started again is one too."""
    known: dict[str, Cell] = dict(cell.children or {})
    machine = _machine_of(cell)
    if machine is not None and isinstance(cell.actor, SupervisorBase):
        cells: Mapping[str, Cell] = cell.actor._cells
        listed = {child: cells[child] for child in machine.children if child in cells}
        known = {**listed, **known}
    return list(known.values())


def _doing(cell: Cell) -> tuple[str, float]:
    """What an async handler has in hand. A plain one is done before anybody can look."""
    life = cell.life
    if life is None:
        return "", 0.0
    if life.executor is not None:
        doing = life.executor.doing
        return (type(doing[0][2]).__qualname__, doing[1]) if doing is not None else ("", 0.0)
    if not life.paused or life.in_hand is None:
        return "", 0.0
    return type(life.in_hand[2]).__qualname__, life.since


def _restarts_at(cell: Cell) -> float:
    machine = _machine_of(cell.parent) if cell.parent else None
    child = machine.children.get(cell.spec.id) if machine is not None else None
    return child.restart_at if child is not None and child.restart_at < inf else 0.0


def _oldest_wait(cell: Cell) -> float:
    try:
        oldest = cell.inbox[0][0]
    except IndexError:  # a thread may have dropped it meanwhile
        return 0.0
    watchdog = cell.node.watchdog
    if watchdog is not None:
        return watchdog.age_of(oldest)
    return perf_counter() - cell.backlog_since if cell.backlog_since else 0.0


def _breakers(cell: Cell) -> Mapping[str, str]:
    found: dict[str, str] = {}
    if cell.poison is not None:
        for kind, breaker in cell.poison.breakers.items():
            found[f"message {kind.__qualname__}"] = breaker.state.value
    if getattr(type(cell.actor), "statistics", None) is not None:
        _collect_breakers("", _statistics(cell), found, depth=4)
    return found


def _collect_breakers(name: str, value: Any, found: dict[str, str], depth: int) -> None:
    if isinstance(value, BreakerStatistics):
        found[name or "breaker"] = value.state.value
        return
    if depth == 0 or isinstance(value, str | bytes):
        return
    inside: Any = ()
    kind: Any = type(value)
    fields = fields_of(kind)
    if fields is not None:
        inside = ((field.name, getattr(value, field.name, None)) for field in fields)
    elif isinstance(value, Mapping):
        inside = value.items()
    elif isinstance(value, Sequence):
        inside = enumerate(value)
    for key, held in itertools.islice(inside, 1000):
        _collect_breakers(f"{name}.{key}" if name else str(key), held, found, depth - 1)


def _statistics(cell: Cell) -> Any:
    """What the actor says of itself; text if it raises, None if it says nothing.

    A BlockingActor's thread may be in the middle of a change, and holding the lock that
    `statistics` would wait for, so it is not asked from here.
    """
    if cell.actor is None or cell.remote or cell.life is None:
        return None
    if get_ident() != cell.node.ident:  # a crash dump of a node whose loop hangs
        return None
    method = getattr(cell.actor, "statistics", None)
    if not callable(method) or inspect.iscoroutinefunction(method):
        return None
    value, error = cell.life.guarded(method)
    return value if error is None else f"statistics() failed: {type(error).__qualname__}"


# -- one actor ----------------------------------------------------------------------------


def state_of(cell: Cell) -> ActorState:
    """An actor's inside, between two of its steps.

    The attributes of a BlockingActor are read while its thread may be changing them, so they may
    not fit together.
    """
    actor, life = cell.actor, cell.life
    kind = type(actor) if actor is not None else None
    return ActorState(
        actor=_alone(cell, (), len(_children_of(cell))),
        type=f"{kind.__module__}:{kind.__qualname__}" if kind is not None else "",
        attributes=_attributes(actor) if actor is not None else {},
        statistics=plain(_statistics(cell)),
        accepts=tuple(
            schema_of(message_type, getattr(handler, "__wrapped__", handler))
            for message_type, handler in cell.table.accepted.items()
        ),
        accepts_anything=cell.table.fallback is not None,
        tasks=tuple(sorted(task.name for task in (life.tasks if life else None) or ())),
        timers=sum(not timer.over for timer in (life.timers if life else None) or ()),
        stashed=len((life.stashed if life else None) or ()),
        owed=sum(not reply.done for reply in (life.deferred if life else None) or ()),
        watchers=len(cell.watchers or ()),
        last_messages=tuple(cell.ring or ()),
        crashes=tuple(report.id for report in cell.node.crashes if report.path == cell.path),
    )


def _attributes(actor: Any) -> Mapping[str, str]:
    held: dict[str, Any] = {}
    for base in reversed(type(actor).__mro__):
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = f"_{base.__name__.lstrip('_')}{name}" if name.startswith("__") else name
            if hasattr(actor, mangled) and name not in ("__dict__", "__weakref__"):
                held[name] = getattr(actor, mangled)
    held.update(vars(actor))
    own = {name: value for name, value in held.items() if name not in _RUNTIME_S_OWN}
    found = {
        name: shown(value, name=name) for name, value in itertools.islice(own.items(), ATTRIBUTES)
    }
    if len(own) > ATTRIBUTES:
        found["…"] = f"{len(own) - ATTRIBUTES} more"
    return found


_RUNTIME_S_OWN = frozenset(("_rt_cell", "_rt_wake", "_rt_urn"))
