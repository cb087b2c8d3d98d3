"""What a dynamic supervisor decides, as a pure machine: many alike children, each on its own.

The actions are those of `restart.py`. Children are independent: any number may be starting or
stopping at once, each has its own restart intensity (four unrelated calls that crash must not end
all calls), and at shutdown all are stopped together.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from math import inf
from typing import Any

import attrs

from supervision.messages import KILLED, SHUTDOWN, ExitReason, How
from supervision.resilience import BackoffState
from supervision.restart import (
    CLOSING,
    Action,
    Exit,
    Gone,
    RestartWindow,
    Settled,
    Start,
    Stop,
    comes_back,
    no_auto_shutdown,
)
from supervision.spec import ChildSpec, Exhausted, Restart


@attrs.define
class DynamicChild:
    """One child as its supervisor sees it."""

    spec: ChildSpec[Any]
    start_tickets: tuple[Any, ...] = ()
    """Who waits for it to have started."""
    new: bool = True
    """It has never run, so if it cannot start it is forgotten."""
    running: bool = False
    starting: bool = False
    stopping: bool = False
    """It has been told to stop."""
    again: bool = False
    """Start it again once it has stopped (an operator's restart)."""
    stop_tickets: tuple[Any, ...] = ()
    """Who waits for it to have stopped."""
    window: RestartWindow | None = None
    backoff: BackoffState | None = None
    up_since: float = 0.0
    restart_at: float = inf
    """When a backed-off restart is due; `inf` when none is."""
    restarts: int = 0


@attrs.define
class DynamicSupervision:
    """The decisions of one dynamic supervisor. Times are seconds on any one clock."""

    intensity: int = 3
    period: float = 5.0
    exhausted: Exhausted = Exhausted.END_CHILD
    max_children: float = inf
    rng: random.Random = attrs.field(factory=random.Random)

    children: dict[str, DynamicChild] = attrs.field(factory=dict, init=False)
    exited: ExitReason | None = attrs.field(default=None, init=False)
    _alive: int = attrs.field(default=0, init=False)
    """Children running or starting: what an exit waits for."""
    _due: list[tuple[float, str]] = attrs.field(factory=list, init=False)
    """A heap; entries that no child's `restart_at` agrees with are void."""
    _exit: ExitReason | None = attrs.field(default=None, init=False)
    _out: list[Action] = attrs.field(factory=list, init=False)

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling."""
        return self._due[0][0] if self._due else inf

    # -- events ---------------------------------------------------------------------------

    def add(self, spec: ChildSpec[Any], ticket: Any, at: float) -> Sequence[Action]:
        """Start a child; the ticket is settled when it runs."""
        del at
        if self._exit is not None:
            return [Settled(ticket, CLOSING)]
        if spec.id in self.children:
            return [Settled(ticket, f"there already is a child {spec.id!r}")]
        if spec.significant:
            return [Settled(ticket, no_auto_shutdown(spec.id))]
        if len(self.children) >= self.max_children:
            return [Settled(ticket, f"there already are {self.max_children:g} children, the limit")]
        child = self.children[spec.id] = DynamicChild(spec, (ticket,))
        self._start(child)
        return self._flush()

    def started(self, child_id: str, at: float) -> Sequence[Action]:
        """The child asked for by `Start` runs."""
        child = self.children.get(child_id)
        if child is None or not child.starting:
            return ()
        child.starting, child.running, child.new = False, True, False
        child.up_since = at
        if not child.stopping:
            self._settle_starts(child)
        return self._flush()

    def start_failed(self, child_id: str, reason: ExitReason, at: float) -> Sequence[Action]:
        """The child asked for by `Start` failed before it ran."""
        child = self.children.get(child_id)
        if child is None or not child.starting:
            return ()
        child.starting = False
        self._alive -= 1
        if child.stopping or self._exit is not None:
            self._stopped(child, reason)
        else:
            self._settle_starts(child, f"it failed to start: {reason}", reason.error)
            if child.new or child.spec.restart is Restart.TEMPORARY:
                self._forget(child, reason)
            else:
                self._restart(child, reason, at, up_for=0.0)
        return self._flush()

    def ended(self, child_id: str, reason: ExitReason, at: float) -> Sequence[Action]:
        """A running child ended, by itself or because it was told to stop."""
        child = self.children.get(child_id)
        if child is None or not child.running:
            return ()
        child.running = False
        self._alive -= 1
        if child.stopping or self._exit is not None:
            self._stopped(child, reason)
        elif reason.how is How.ESCALATED or comes_back(child.spec.restart, reason):
            self._restart(child, reason, at, up_for=at - child.up_since)
        else:
            self._forget(child, reason)
        return self._flush()

    def time_passed(self, at: float) -> Sequence[Action]:
        """Carry out the backed-off restarts that are due."""
        while self._due and self._due[0][0] <= at:
            when, child_id = heapq.heappop(self._due)
            child = self.children.get(child_id)
            if child is not None and child.restart_at == when:
                self._start(child)
        return self._flush()

    def shut_down(self, at: float) -> Sequence[Action]:
        """Stop all children together, then exit."""
        del at
        if self._exit is None:
            self._stop_all(SHUTDOWN)
        return self._flush()

    def kill(self, at: float) -> Sequence[Action]:
        """Stop all children at once and brutally, then exit."""
        del at
        if self._exit != KILLED and self.exited is None:
            self._stop_all(KILLED)
        return self._flush()

    # -- requests -------------------------------------------------------------------------

    def terminate(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Stop a child and forget it."""
        del at
        child = self.children.get(child_id)
        if child is None:
            return [Settled(ticket, f"there is no child {child_id!r}")]
        child.stop_tickets += (ticket,)
        child.again = False
        self._stop(child)
        return self._flush()

    def restart(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Stop a child and start it; an operator's restart counts towards nothing."""
        del at
        child = self.children.get(child_id)
        if child is None:
            return [Settled(ticket, f"there is no child {child_id!r}")]
        if self._exit is not None or (child.stopping and not child.again):
            return [Settled(ticket, f"child {child_id!r} is being stopped")]
        child.start_tickets += (ticket,)
        child.again = True
        self._stop(child)
        return self._flush()

    def delete(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Dynamic children are forgotten when they end, so there is never one to delete."""
        del at
        return [Settled(ticket, f"child {child_id!r} is dynamic; terminating it forgets it")]

    # -- what happens ---------------------------------------------------------------------

    def _start(self, child: DynamicChild) -> None:
        child.starting = True
        child.restart_at = inf
        self._alive += 1
        self._out.append(Start(child.spec.id))

    def _stop(self, child: DynamicChild, *, brutal: bool = False) -> None:
        if child.stopping and not brutal:
            return
        child.stopping = True
        child.restart_at = inf
        if child.running or child.starting:
            self._out.append(Stop(child.spec.id, brutal))
        else:
            self._stopped(child, SHUTDOWN)

    def _stopped(self, child: DynamicChild, reason: ExitReason) -> None:
        """A child that was told to stop has."""
        if child.again and self._exit is None:
            child.again = child.stopping = False
            child.restarts += 1
            self._start(child)
            return
        self._settle_starts(child, "it was stopped before it had started")
        self._forget(child, reason)
        for ticket in child.stop_tickets:
            self._out.append(Settled(ticket))

    def _settle_starts(
        self, child: DynamicChild, problem: str = "", error: BaseException | None = None
    ) -> None:
        tickets, child.start_tickets = child.start_tickets, ()
        for ticket in tickets:
            self._out.append(Settled(ticket, problem, error))

    def _restart(
        self, child: DynamicChild, reason: ExitReason, at: float, *, up_for: float
    ) -> None:
        if reason.how is How.ESCALATED:
            # This supervisor fails; what its own supervisor makes of that is a new decision.
            self._forget(child, reason)
            self._stop_all(ExitReason(How.CRASHED, reason.error, reason.report))
            return
        delay = 0.0
        if child.spec.backoff is not None:
            child.backoff = child.backoff or BackoffState(child.spec.backoff)
            delay = child.backoff.failed(at, self.rng, up_for=up_for)
        child.window = child.window or RestartWindow(self.intensity, self.period)
        if delay > 0:  # a restart that waited does not count, see restart.py
            child.restarts += 1
            child.restart_at = at + delay
            heapq.heappush(self._due, (child.restart_at, child.spec.id))
        elif child.window.restarted(at):
            child.restarts += 1
            self._start(child)
        else:
            self._forget(child, reason)
            if self.exhausted is Exhausted.ESCALATE:
                self._stop_all(ExitReason(How.SHUTDOWN, reason.error, reason.report))

    def _forget(self, child: DynamicChild, reason: ExitReason) -> None:
        del self.children[child.spec.id]
        self._out.append(Gone(child.spec.id, reason))

    def _stop_all(self, reason: ExitReason) -> None:
        self._exit = reason
        self._due.clear()
        for child in list(self.children.values()):
            self._stop(child, brutal=reason.how is How.KILLED)

    def _flush(self) -> Sequence[Action]:
        if self._exit is not None and self._alive == 0 and self.exited is None:
            self.exited = self._exit
            self._out.append(Exit(self._exit))
        out, self._out = self._out, []
        return out
