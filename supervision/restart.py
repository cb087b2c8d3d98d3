"""What a supervisor decides, as a pure machine: who is stopped, who is started, when it gives up.

Events and times go in (`ended`, `started`, `time_passed`, ...), actions come out (`Start`, `Stop`,
`Gone`, `Exit`); `supervisor.py` carries them out. The rules are OTP's `supervisor`, checked against
traces of the real one; the differences (back-off, escalation) are in docs/supervision.md.

OTP's supervisor does one thing at a time and lets exits wait in its mailbox meanwhile. Here the
one thing is a decision's `_plan`, steps of which the first may be under way (`_step`), and what
waits for a decision (exits, failed restarts, requests) is `_pending`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

import attrs

from supervision.messages import KILLED, NORMAL, SHUTDOWN, ExitReason, How
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
        self._restarts: list[float] = []
        # A list: an empty deque takes ten times as much, and every supervisor has one of these.

    def restarted(self, at: float) -> bool:
        """Count a restart; False if it is one too many."""
        restarts = self._restarts
        restarts.append(at)
        while at - restarts[0] > self.period:
            del restarts[0]
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


def no_auto_shutdown(child_id: str) -> str:
    """What is wrong with a significant child, if its end means nothing to its supervisor."""
    return (
        f"child {child_id!r} is significant, but the `auto_shutdown` of its supervisor is NEVER; "
        "say when the supervisor ends, or make the child insignificant"
    )


def comes_back(restart: Restart, reason: ExitReason) -> bool:
    """Whether a child that ended like this, not being told to, is restarted."""
    return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and reason.abnormal)


@attrs.define
class Child:
    """One child as its supervisor sees it."""

    spec: ChildSpec[Any]
    running: bool = False
    """Started, and not known to have ended."""
    starting: bool = False
    stopping: bool = False
    """It has been told to stop."""
    undecided: _Ended | _Retry | None = None
    """Its end, or its failed restart, still waits in `_pending`."""
    backoff: BackoffState | None = None
    up_since: float = 0.0
    restart_at: float = inf
    """When a backed-off restart is due; `inf` when none is."""
    restarts: int = 0

    @property
    def alive(self) -> bool:
        """It runs, or it will as things stand (OTP: its pid is not `undefined`)."""
        return self.running or self.undecided is not None or self.restart_at < inf


# The steps of a plan, each carried out when the one before is done.
@attrs.frozen
class _StartStep:
    id: str
    ticket: Any = None
    """Who wants to know if the start fails."""
    new: bool = False
    """The child was added by that request, so if it cannot start it is forgotten."""


@attrs.frozen
class _LaterStep:
    ids: Sequence[str]
    when: float


@attrs.frozen
class _StopStep:
    id: str
    keep: bool = False
    """Keep it even if it is temporary: it is started again at once, by hand."""


_Step = _StartStep | _LaterStep | _StopStep | Gone | Exit | Settled


# What waits for its decision. Compared by identity: a child may end the same way twice.
@attrs.frozen(eq=False)
class _Ended:
    id: str
    reason: ExitReason
    up_for: float


@attrs.frozen(eq=False)
class _Retry:
    id: str
    reason: ExitReason
    up_for: float = 0.0


@attrs.frozen(eq=False)
class _Call:
    ticket: Any
    decide: Callable[[], None]


CLOSING = "the supervisor is shutting down"


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
    _backing_off: set[str] = attrs.field(factory=set, init=False)
    """The children with a `restart_at`."""
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
        step = self._step
        if not isinstance(step, _StartStep) or step.id != child_id:
            return ()
        child = self.children[child_id]
        child.running, child.starting = True, False
        child.up_since = at
        self._step = None
        return self._go_on(at)

    def start_failed(self, child_id: str, reason: ExitReason, at: float) -> Sequence[Action]:
        """The child asked for by `Start` failed before it ran."""
        step = self._step
        if not isinstance(step, _StartStep) or step.id != child_id:
            return ()
        child = self.children[child_id]
        child.starting = child.stopping = False
        self._step = None
        if self._booting and not self._closing:
            self._close(ExitReason(How.CRASHED, reason.error, reason.report))
        elif not self._closing:
            # As in OTP: the rest of this restart is abandoned, and the child is tried again behind
            # whatever else has happened since, counted like any restart.
            self._plan.clear()
            if step.ticket is not None:
                problem = f"it failed to start: {reason}"
                self._out.append(Settled(step.ticket, problem, reason.error))
            if step.new or child.spec.restart is Restart.TEMPORARY:
                self._forget(child, reason)
            else:
                self._decide_later(child, _Retry(child_id, reason))
        return self._go_on(at)

    def ended(self, child_id: str, reason: ExitReason, at: float) -> Sequence[Action]:
        """A running child ended, by itself or because it was told to stop."""
        child, step = self.children.get(child_id), self._step
        if child is None or not child.running:
            return ()
        child.running = child.stopping = False
        if isinstance(step, _StopStep) and step.id == child_id:
            self._step = None
            self._stopped(child, reason, keep=step.keep)
        else:
            self._decide_later(child, _Ended(child_id, reason, at - child.up_since))
        return self._go_on(at)

    def time_passed(self, at: float) -> Sequence[Action]:
        """Carry out the backed-off restarts that are due."""
        return self._go_on(at)

    def shut_down(self, at: float) -> Sequence[Action]:
        """Stop all children, last first, then exit."""
        if not self._closing:
            self._close(SHUTDOWN)
        return self._go_on(at)

    def kill(self, at: float) -> Sequence[Action]:
        """Stop all children at once and brutally, then exit."""
        if self._killing or self.exited is not None:
            return ()
        self._killing = True
        for child in reversed(self.children.values()):
            if child.running or child.starting:
                child.stopping = True
                self._out.append(Stop(child.spec.id, brutal=True))
        self._close(KILLED)
        return self._go_on(at)

    # -- requests -------------------------------------------------------------------------

    def add(self, spec: ChildSpec[Any], ticket: Any, at: float) -> Sequence[Action]:
        """Start one more child, as the last."""

        def decide() -> None:
            problem = ""
            if spec.id in self.children:
                problem = f"there already is a child {spec.id!r}"
            elif spec.significant and self.auto_shutdown is AutoShutdown.NEVER:
                problem = no_auto_shutdown(spec.id)
            if problem:
                self._out.append(Settled(ticket, problem))
                return
            self.children[spec.id] = Child(spec)
            self._plan += [_StartStep(spec.id, ticket, new=True), Settled(ticket)]

        return self._call(ticket, decide, at)

    def terminate(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Stop a child and leave it stopped. Its spec stays, unless it is temporary."""

        def decide() -> None:
            if self._knows(child_id, ticket):
                self._plan += [_StopStep(child_id), Gone(child_id, SHUTDOWN), Settled(ticket)]

        return self._call(ticket, decide, at)

    def restart(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Stop a child if it runs, and start it; an operator's restart counts towards nothing."""

        def decide() -> None:
            if self._knows(child_id, ticket):
                self.children[child_id].restarts += 1
                self._plan += [
                    _StopStep(child_id, keep=True),
                    _StartStep(child_id, ticket),
                    Settled(ticket),
                ]

        return self._call(ticket, decide, at)

    def delete(self, child_id: str, ticket: Any, at: float) -> Sequence[Action]:
        """Forget the spec of a child that does not run."""

        def decide() -> None:
            if not self._knows(child_id, ticket):
                return
            child = self.children[child_id]
            if child.alive:
                self._out.append(Settled(ticket, f"child {child_id!r} runs; terminate it first"))
            else:
                self._forget(child, NORMAL)
                self._out.append(Settled(ticket))

        return self._call(ticket, decide, at)

    def _knows(self, child_id: str, ticket: Any) -> bool:
        if child_id in self.children:
            return True
        known = ", ".join(self.children) or "none"
        self._out.append(Settled(ticket, f"there is no child {child_id!r}; there are: {known}"))
        return False

    def _call(self, ticket: Any, decide: Callable[[], None], at: float) -> Sequence[Action]:
        if self._closing:
            return [Settled(ticket, CLOSING)]
        self._pending.append(_Call(ticket, decide))
        return self._go_on(at)

    # -- the plan -------------------------------------------------------------------------

    def _go_on(self, at: float) -> Sequence[Action]:
        """Carry the plan on as far as it goes without waiting; then what is pending; and so on."""
        while self._step is None and self.exited is None:
            if self._plan:
                self._perform(self._plan.popleft())
            elif self._pending:
                self._decide(self._pending.popleft(), at)
            elif not self._plan_due_restart(at):
                break
        idle = self._step is None and self._backing_off
        self.deadline = min(self.children[i].restart_at for i in self._backing_off) if idle else inf
        out, self._out = self._out, []
        return out

    def _perform(self, step: _Step) -> None:
        match step:
            case Settled():
                self._booting = False
                self._out.append(step)
            case Exit():
                self.exited = step.reason
                self._out.append(step)
            case _LaterStep(ids, when):
                for child_id in self.children.keys() & ids:
                    self._set_restart(self.children[child_id], when)
            case _StartStep(child_id) | _StopStep(child_id) | Gone(child_id):
                child = self.children.get(child_id)
                if child is not None:  # a temporary one is forgotten as soon as it is stopped
                    self._perform_on(child, step)

    def _perform_on(self, child: Child, step: _StartStep | _StopStep | Gone) -> None:
        match step:
            case _StartStep():
                self._perform_start(step, child)
            case _StopStep():
                self._perform_stop(step, child)
            case Gone():
                self._out.append(step)

    def _perform_start(self, step: _StartStep, child: Child) -> None:
        if child.running:
            return
        child.starting = True
        self._set_restart(child, inf)
        self._step = step
        self._out.append(Start(child.spec.id))

    def _perform_stop(self, step: _StopStep, child: Child) -> None:
        self._set_restart(child, inf)
        if child.running:
            self._step = step
            if not child.stopping:
                child.stopping = True
                self._out.append(Stop(child.spec.id))
        elif child.undecided is not None:
            # It has ended meanwhile; stopping it is the answer to that.
            reason, child.undecided = child.undecided.reason, None
            self._stopped(child, reason, keep=step.keep)

    def _stopped(self, child: Child, reason: ExitReason, *, keep: bool = False) -> None:
        """A stopped temporary child is never started again, whatever its siblings do."""
        # When all are stopped, nobody is forgotten: this supervisor's own restart starts them anew.
        if child.spec.restart is Restart.TEMPORARY and not keep and not self._closing:
            self._forget(child, reason)

    def _forget(self, child: Child, reason: ExitReason) -> None:
        del self.children[child.spec.id]
        self._out.append(Gone(child.spec.id, reason))

    def _set_restart(self, child: Child, when: float) -> None:
        child.restart_at = when
        if when < inf:
            self._backing_off.add(child.spec.id)
        else:
            self._backing_off.discard(child.spec.id)

    def _close(self, reason: ExitReason) -> None:
        """Drop all plans but one: stop all children, last first, then exit."""
        self._closing = True
        for waiting in (*self._plan, *self._pending):
            if isinstance(waiting, Settled | _Call) and waiting.ticket != "boot":
                self._out.append(Settled(waiting.ticket, CLOSING))
        self._plan.clear()
        self._pending.clear()
        for child_id, child in reversed(self.children.items()):
            if child.starting and not child.stopping:
                # Unlike OTP, which waits: a start that never ends must not keep us from ending.
                child.stopping = True
                self._out.append(Stop(child_id))
            self._plan.append(_StopStep(child_id))
        self._plan.append(Exit(reason))

    # -- the decisions --------------------------------------------------------------------

    def _decide_later(self, child: Child, event: _Ended | _Retry) -> None:
        child.undecided = event
        self._pending.append(event)

    def _decide(self, event: _Ended | _Retry | _Call, at: float) -> None:
        if isinstance(event, _Call):
            event.decide()
            return
        child = self.children.get(event.id)
        if child is None or child.undecided is not event:
            return  # stopped or started again meanwhile
        child.undecided = None
        if event.reason.how is How.ESCALATED:
            # This supervisor fails; what its own supervisor makes of that is a new decision.
            self._close(ExitReason(How.CRASHED, event.reason.error, event.reason.report))
        elif isinstance(event, _Retry) or comes_back(child.spec.restart, event.reason):
            self._restart(child, event, at)
        else:
            self._ended_for_good(child, event.reason)

    def _ended_for_good(self, child: Child, reason: ExitReason) -> None:
        if child.spec.restart is Restart.TEMPORARY:
            self._forget(child, reason)
        else:
            self._out.append(Gone(child.spec.id, reason))
        if child.spec.significant and self._significant_end_closes():
            self._close(SHUTDOWN)

    def _significant_end_closes(self) -> bool:
        match self.auto_shutdown:
            case AutoShutdown.NEVER:
                return False
            case AutoShutdown.ANY_SIGNIFICANT:
                return True
            case AutoShutdown.ALL_SIGNIFICANT:
                children = self.children.values()
                return not any(child.spec.significant and child.alive for child in children)

    def _restart(self, child: Child, event: _Ended | _Retry, at: float) -> None:
        delay = 0.0
        if child.spec.backoff is not None:
            child.backoff = child.backoff or BackoffState(child.spec.backoff)
            delay = child.backoff.failed(at, self.rng, up_for=event.up_for)
        # A restart that waited is no evidence of a hot loop, so it does not count: the outage of a
        # provider must not climb the tree.
        if delay == 0 and not self._window.restarted(at):
            self._close(ExitReason(How.SHUTDOWN, event.reason.error, event.reason.report))
            return
        child.restarts += 1
        root = child.spec.id
        group = children_to_restart(self.strategy, root, tuple(self.children))
        self._plan.extend(_StopStep(child_id) for child_id in reversed(group) if child_id != root)
        if delay > 0:
            self._plan.append(_LaterStep(group, at + delay))
        else:
            self._plan.extend(_StartStep(child_id) for child_id in group)

    def _plan_due_restart(self, at: float) -> bool:
        """Plan the first backed-off restart that is due; False if none is."""
        if not any(self.children[child_id].restart_at <= at for child_id in self._backing_off):
            return False
        due = next(child for child in self.children.values() if child.restart_at <= at)
        self._plan.append(_StartStep(due.spec.id))
        return True
