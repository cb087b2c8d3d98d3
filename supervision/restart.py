"""What a supervisor decides, as a pure machine: who is stopped, who is started, when it gives up.

Events and times go in (`ended`, `started`, `time_passed`, ...), actions come out (`Start`, `Stop`,
`Gone`, `Exit`); `supervisor.py` carries them out. The rules are OTP's `supervisor`, checked against
traces of the real one; the differences (back-off, escalation) are in docs/supervision.md.

OTP's supervisor does one thing at a time and lets exits wait in its mailbox meanwhile. Here the
one thing is `_plan`, a queue of steps of which the first may be under way (`_step`), and the waiting
exits are `_pending`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

import attrs

from supervision.messages import NORMAL, SHUTDOWN, ExitReason, How
from supervision.resilience import BackoffState
from supervision.spec import AutoShutdown, ChildSpec, Restart, Strategy


@attrs.frozen
class Start:
    """Start this child; answer with `started` or `start_failed`."""

    id: str


@attrs.frozen
class Stop:
    """Stop this child within its shutdown time, at once if `brutal`; answer with `ended`."""

    id: str
    brutal: bool = False


@attrs.frozen
class Gone:
    """This child, already ended, will not come back as things stand: its mailbox can be emptied."""

    id: str
    reason: ExitReason


@attrs.frozen
class Exit:
    """The supervisor itself ends; all its children have."""

    reason: ExitReason


@attrs.frozen
class Settled:
    """What `ticket` asked for is done, or was refused with `problem`."""

    ticket: Any
    problem: str = ""
    error: BaseException | None = None


Action = Start | Stop | Gone | Exit | Settled


class RestartWindow:
    """Restart intensity: at most `intensity` restarts within any `period` seconds."""

    __slots__ = ("_restarts", "intensity", "period")

    def __init__(self, intensity: int, period: float) -> None:
        self.intensity = intensity
        self.period = period
        self._restarts: deque[float] = deque()

    def restarted(self, at: float) -> bool:
        """Count a restart; False if it is one too many."""
        restarts = self._restarts
        restarts.append(at)
        while at - restarts[0] > self.period:
            restarts.popleft()
        return len(restarts) <= self.intensity


def children_to_restart(strategy: Strategy, ended: str, started: Sequence[str]) -> Sequence[str]:
    """The children to stop (last first) and start again (first first)."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return [ended]
        case Strategy.REST_FOR_ONE:
            return started[started.index(ended) :]
        case Strategy.ONE_FOR_ALL:
            return started


@attrs.define
class Child:
    """One child as its supervisor sees it."""

    spec: ChildSpec[Any]
    running: bool = False
    """Started, and not known to have ended."""
    starting: bool = False
    backoff: BackoffState | None = None
    restart_at: float = inf
    """When a backed-off restart is due; `inf` when none is."""
    restart_root: str = ""
    """The child whose end that restart answers."""
    restarts: int = 0


# The steps of a plan. `_Retry` and `_Call` also wait in `_pending`, like exits.
@attrs.frozen
class _StartStep:
    id: str
    root: str = ""
    """The child whose restart this is part of: if a start fails, the rest of that is dropped."""
    ticket: Any = None


@attrs.frozen
class _LaterStep:
    ids: Sequence[str]
    root: str
    when: float


@attrs.frozen
class _StopStep:
    id: str
    brutal: bool = False


@attrs.frozen
class _Ended:
    id: str
    reason: ExitReason


@attrs.frozen
class _Retry:
    id: str
    reason: ExitReason


@attrs.frozen
class _Call:
    decide: Callable[[float], None]


_Step = _StartStep | _LaterStep | _StopStep | Gone | Exit | Settled


@attrs.define
class Supervision:
    """The decisions of one static supervisor. Times are seconds on any one clock."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    rng: random.Random = attrs.field(factory=random.Random)

    children: dict[str, Child] = attrs.field(factory=dict, init=False)
    """In start order."""
    deadline: float = attrs.field(default=inf, init=False)
    """When `time_passed` is next worth calling."""
    exited: ExitReason | None = attrs.field(default=None, init=False)
    _window: RestartWindow = attrs.field(init=False)
    _plan: deque[_Step] = attrs.field(factory=deque, init=False)
    _step: _StartStep | _StopStep | None = attrs.field(default=None, init=False)
    _pending: deque[_Ended | _Retry | _Call] = attrs.field(factory=deque, init=False)
    _out: list[Action] = attrs.field(factory=list, init=False)
    _booting: bool = attrs.field(default=False, init=False)
    _closing: bool = attrs.field(default=False, init=False)
    _killing: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._window = RestartWindow(self.intensity, self.period)

    # -- events ---------------------------------------------------------------------------

    def boot(self, specs: Iterable[ChildSpec[Any]], at: float) -> Sequence[Action]:
        """Start all children in order. Settled with ticket "boot", or `Exit` if one fails."""
        self._booting = True
        for spec in specs:
            self.children[spec.id] = Child(spec)
            self._plan.append(_StartStep(spec.id))
        self._plan.append(Settled("boot"))
        return self._go_on(at)

    def started(self, child_id: str, at: float) -> Sequence[Action]:
        """The child asked for by `Start` runs."""
        child = self.children.get(child_id)
        if child is not None:
            child.running, child.starting = True, False
        return self._step_done(child_id, _StartStep, at)

    def start_failed(self, child_id: str, reason: ExitReason, at: float) -> Sequence[Action]:
        """The child asked for by `Start` failed before it ran."""
        step = self._step
        child = self.children.get(child_id)
        if child is None or not isinstance(step, _StartStep) or step.id != child_id:
            return self._go_on(at)
        child.running = child.starting = False
        self._step = None
        if self._closing:
            self._out.append(Gone(child_id, reason))
        elif self._booting:
            self._plan.clear()
            self._stop_all(Exit(ExitReason(How.CRASHED, reason.error, reason.report)))
        elif step.ticket is not None:
            del self.children[child_id]
            self._out.append(Gone(child_id, reason))
            self._out.append(Settled(step.ticket, f"it failed to start: {reason}", reason.error))
        else:
            # As in OTP: the rest of this restart is abandoned, and the child is tried again
            # behind whatever else has happened since, counted like any restart.
            self._plan = deque(
                later
                for later in self._plan
                if not (isinstance(later, _StartStep) and later.root == step.root)
            )
            self._pending.append(_Retry(child_id, reason))
        return self._go_on(at)

    def ended(self, child_id: str, reason: ExitReason, at: float) -> Sequence[Action]:
        """A running child ended, by itself or because it was told to stop."""
        child = self.children.get(child_id)
        if child is None:
            return ()
        child.running = False
        if isinstance(self._step, _StopStep) and self._step.id == child_id:
            self._out.extend(self._forgotten(child, reason))
            return self._step_done(child_id, _StopStep, at)
        if any(isinstance(step, _StopStep) and step.id == child_id for step in self._plan):
            self._out.extend(self._forgotten(child, reason))
            return self._go_on(at)
        self._pending.append(_Ended(child_id, reason))
        return self._go_on(at)

    def time_passed(self, at: float) -> Sequence[Action]:
        """Carry out the backed-off restarts that are due."""
        for child in self.children.values():
            if child.restart_at <= at:
                child.restart_at = inf
                self._plan.append(_StartStep(child.spec.id, child.restart_root))
        return self._go_on(at)

    def shut_down(self, at: float) -> Sequence[Action]:
        """Stop all children, last first, then exit."""
        if not self._closing:
            self._close(Exit(SHUTDOWN))
        return self._go_on(at)

    def kill(self, at: float) -> Sequence[Action]:
        """Stop all children at once and brutally, then exit."""
        if self._killing or self.exited is not None:
            return ()
        self._killing = True
        self._close(Exit(ExitReason(How.KILLED)))
        for child in reversed(self.children.values()):
            if child.running or child.starting:
                self._out.append(Stop(child.spec.id, brutal=True))
        return self._go_on(at)

    # -- requests -------------------------------------------------------------------------

    def add(self, spec: ChildSpec[Any], ticket: Any, at: float) -> Sequence[Action]:
        """Start one more child, as the last."""

        def decide(_at: float) -> None:
            if spec.id in self.children:
                self._out.append(Settled(ticket, f"there already is a child {spec.id!r}"))
                return
            self.children[spec.id] = Child(spec)
            self._plan += [_StartStep(spec.id, ticket=ticket), Settled(ticket)]

        return self._call(decide, ticket, at)

    def terminate(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Stop a child and leave it stopped. Its spec stays, unless it is temporary."""

        def decide(_at: float) -> None:
            child = self.children.get(child_id)
            if child is None:
                self._out.append(Settled(ticket, self._no_such(child_id)))
                return
            child.restart_at = inf
            self._plan.append(_StopStep(child_id))
            self._plan.append(Gone(child_id, SHUTDOWN))
            self._plan.append(Settled(ticket))

        return self._call(decide, ticket, at)

    def restart(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Stop a child if it runs, and start it; an operator's restart counts towards nothing."""

        def decide(_at: float) -> None:
            child = self.children.get(child_id)
            if child is None:
                self._out.append(Settled(ticket, self._no_such(child_id)))
                return
            child.restart_at = inf
            child.restarts += 1
            # The start is no ticket's: if it fails the child is retried, not forgotten.
            self._plan += [_StopStep(child_id), _StartStep(child_id, child_id), Settled(ticket)]

        return self._call(decide, ticket, at)

    def delete(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Forget the spec of a child that does not run."""

        def decide(_at: float) -> None:
            child = self.children.get(child_id)
            if child is None:
                self._out.append(Settled(ticket, self._no_such(child_id)))
            elif child.running or child.restart_at < inf:
                self._out.append(Settled(ticket, f"child {child_id!r} runs; terminate it first"))
            else:
                del self.children[child_id]
                self._out += [Gone(child_id, NORMAL), Settled(ticket)]

        return self._call(decide, ticket, at)

    def _no_such(self, child_id: str) -> str:
        known = ", ".join(self.children) or "none"
        return f"there is no child {child_id!r}; there are: {known}"

    def _call(self, decide: Callable[[float], None], ticket: Any, at: float) -> Sequence[Action]:
        if self._closing:
            return [Settled(ticket, "the supervisor is shutting down")]
        self._pending.append(_Call(decide))
        return self._go_on(at)

    # -- the plan -------------------------------------------------------------------------

    def _step_done(self, child_id: str, kind: type, at: float) -> Sequence[Action]:
        if isinstance(self._step, kind) and self._step.id == child_id:  # type: ignore[attr-defined]
            self._step = None
        return self._go_on(at)

    def _go_on(self, at: float) -> Sequence[Action]:
        """Carry the plan on as far as it goes without waiting; then what is pending; and so on."""
        while self._step is None and self.exited is None:
            if self._plan:
                self._perform(self._plan.popleft())
            elif self._pending:
                self._decide(self._pending.popleft(), at)
            else:
                break
        self.deadline = min((child.restart_at for child in self.children.values()), default=inf)
        out, self._out = self._out, []
        return out

    def _perform(self, step: _Step) -> None:
        match step:
            case _StartStep(child_id):
                child = self.children.get(child_id)
                if child is not None and not child.running:
                    child.starting = True
                    child.restart_at = inf
                    self._step = step
                    self._out.append(Start(child_id))
            case _LaterStep(ids, root, when):
                for child_id in ids:
                    if child_id in self.children:
                        self.children[child_id].restart_at = when
                        self.children[child_id].restart_root = root
            case _StopStep(child_id):
                child = self.children.get(child_id)
                if child is None:
                    return
                child.restart_at = inf
                if child.running or child.starting:
                    self._step = step
                    if not self._killing:  # kill() has already said so to all at once
                        self._out.append(Stop(child_id, step.brutal))
                else:
                    self._drop_pending(child)
            case Gone(child_id):
                child = self.children.get(child_id)
                if child is not None and not child.running:
                    self._out.append(step)
                    if child.spec.restart is Restart.TEMPORARY:
                        del self.children[child_id]
            case Settled():
                self._booting = self._booting and step.ticket != "boot"
                self._out.append(step)
            case Exit():
                self.exited = step.reason
                self._out.append(step)

    def _drop_pending(self, child: Child) -> None:
        """Its end waits to be looked at, but stopping it again is the answer to that already."""
        for event in list(self._pending):
            if isinstance(event, _Ended | _Retry) and event.id == child.spec.id:
                self._pending.remove(event)
                self._out.extend(self._forgotten(child, event.reason))

    def _forgotten(self, child: Child, reason: ExitReason) -> Sequence[Action]:
        """A stopped temporary child is never started again, whatever its siblings do."""
        if child.spec.restart is not Restart.TEMPORARY or child.spec.id not in self.children:
            return ()
        del self.children[child.spec.id]
        return [Gone(child.spec.id, reason)]

    def _close(self, last: Exit) -> None:
        self._closing = True
        self._plan.clear()
        self._pending.clear()
        self._stop_all(last)

    def _stop_all(self, last: Exit) -> None:
        self._closing = True
        self._pending.clear()
        for child_id, child in reversed(self.children.items()):
            child.restart_at = inf
            self._plan.append(_StopStep(child_id))
        self._plan.append(last)

    # -- the decisions --------------------------------------------------------------------

    def _decide(self, event: _Ended | _Retry | _Call, at: float) -> None:
        match event:
            case _Call(decide):
                decide(at)
            case _Retry(child_id, reason):
                if child_id in self.children and not self.children[child_id].running:
                    self._restart(self.children[child_id], reason, at)
            case _Ended(child_id, reason):
                child = self.children.get(child_id)
                if child is not None and not child.running:
                    self._child_ended(child, reason, at)

    def _child_ended(self, child: Child, reason: ExitReason, at: float) -> None:
        if reason.how is How.ESCALATED:
            # This supervisor fails; what its own supervisor makes of that is a new decision.
            self._stop_all(Exit(ExitReason(How.CRASHED, reason.error, reason.report)))
            return
        restart = child.spec.restart
        if restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and reason.abnormal):
            self._restart(child, reason, at)
            return
        if restart is Restart.TEMPORARY:
            del self.children[child.spec.id]
        self._out.append(Gone(child.spec.id, reason))
        if child.spec.significant and self._significant_end_closes():
            self._stop_all(Exit(SHUTDOWN))

    def _significant_end_closes(self) -> bool:
        match self.auto_shutdown:
            case AutoShutdown.NEVER:
                return False
            case AutoShutdown.ANY_SIGNIFICANT:
                return True
            case AutoShutdown.ALL_SIGNIFICANT:
                return not any(
                    child.spec.significant and (child.running or child.restart_at < inf)
                    for child in self.children.values()
                )

    def _restart(self, child: Child, reason: ExitReason, at: float) -> None:
        delay = 0.0
        if child.spec.backoff is not None:
            # A backed-off restart is no evidence of a hot loop, so it does not count: an outage of
            # a provider must not climb the tree.
            child.backoff = child.backoff or BackoffState(child.spec.backoff)
            delay = child.backoff.failed(at, self.rng)
        elif not self._window.restarted(at):
            error = reason.error
            self._stop_all(Exit(ExitReason(How.SHUTDOWN, error, reason.report)))
            return
        child.restarts += 1
        group = children_to_restart(self.strategy, child.spec.id, list(self.children))
        for child_id in reversed(group):
            if child_id != child.spec.id:
                self._plan.append(_StopStep(child_id))
        if delay > 0:
            self._plan.append(_LaterStep(tuple(group), child.spec.id, at + delay))
        else:
            self._plan.extend(_StartStep(child_id, child.spec.id) for child_id in group)
