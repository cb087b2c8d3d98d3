"""The static supervisor's machine against OTP's supervisor written the way OTP writes it.

`Otp` below is a process in direct style: it blocks in a start, it blocks in a stop, and meanwhile
exits lie in its inbox. It knows nothing of plans and steps, so it shares no idea with restart.py
but the rules. Hypothesis sends both the same events in any order and expects the same actions;
beside that, what holds whatever the actions are (`Children`) is checked on its own.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from math import inf
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from supervision.messages import KILLED, NORMAL, SHUTDOWN, ExitReason, How
from supervision.resilience import Backoff
from supervision.restart import Action, Exit, Gone, Settled, Start, Stop, Supervision
from supervision.spec import AutoShutdown, ChildSpec, Restart, Strategy

CRASHED = ExitReason(How.CRASHED)
ESCALATED = ExitReason(How.ESCALATED)

Process = Generator[None, Any, Any]


class FullDelay(random.Random):
    """Jitter that always draws the longest delay."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Closing(Exception):
    """Told to end; thrown into the process wherever it waits."""

    def __init__(self, reason: ExitReason) -> None:
        self.reason = reason


@attrs.define
class Otp:
    """OTP's supervisor as a blocking process, with Troupe's differences where they are meant."""

    strategy: Strategy
    intensity: int
    period: float
    auto_shutdown: AutoShutdown
    now: float = 0.0
    specs: dict[str, ChildSpec[Any]] = attrs.field(factory=dict)
    state: dict[str, str] = attrs.field(factory=dict)
    """"down", "starting", "up", "told" (to stop) or "restarting"."""
    inbox: deque[tuple[Any, ...]] = attrs.field(factory=deque)
    blocked_in: tuple[str, str] = ("idle", "")
    actions: list[tuple[Any, ...]] = attrs.field(factory=list)
    restarts: list[float] = attrs.field(factory=list)
    failures: dict[str, int] = attrs.field(factory=dict)
    due: dict[str, float] = attrs.field(factory=dict)
    up_since: dict[str, float] = attrs.field(factory=dict)
    open_tickets: set[str] = attrs.field(factory=set)
    closing: bool = False
    tries: dict[str, object] = attrs.field(factory=dict)
    """Which of a child's "try again" messages counts: the newest."""
    keeping: bool = False
    killed: bool = False
    exited: bool = False
    _process: Process | None = None

    # -- what the world tells it ----------------------------------------------------------

    def boot(self, specs: Sequence[ChildSpec[Any]]) -> None:
        self.specs = {spec.id: spec for spec in specs}
        self.state = dict.fromkeys(self.specs, "down")
        self._process = self._run()
        next(self._process, None)

    def started(self, child: str) -> None:
        assert self.blocked_in == ("start", child)
        self.up_since[child] = self.now
        self.state[child] = "told" if self.state[child] == "told" else "up"
        self._resume(None)

    def start_failed(self, child: str, reason: ExitReason) -> None:
        assert self.blocked_in == ("start", child)
        self.state[child] = "down"
        self._resume(reason)

    def ended(self, child: str, reason: ExitReason) -> None:
        if self.blocked_in == ("stop", child):
            self._resume(reason)
        else:
            self._mail("EXIT", child, reason, self.now - self.up_since[child])

    def call(self, kind: str, argument: Any, ticket: str) -> None:
        if self.closing:
            self.actions.append(("refused", ticket))
            return
        self.open_tickets.add(ticket)
        self._mail(kind, argument, ticket)

    def close(self, reason: ExitReason) -> None:
        if self.exited or self.killed or (self.closing and reason is not KILLED):
            return
        self.killed = reason is KILLED
        assert self._process is not None
        try:
            self._process.throw(Closing(reason))
        except StopIteration:
            pass

    def time_passed(self) -> None:
        self._mail()

    def _mail(self, *message: Any) -> None:
        if message:
            self.inbox.append(message)
        if self.blocked_in[0] == "idle":
            self._resume(None)

    def _resume(self, value: Any) -> None:
        assert self._process is not None
        try:
            self._process.send(value)
        except StopIteration:
            pass

    # -- the process ----------------------------------------------------------------------

    def _run(self) -> Process:
        try:
            reason = yield from self._serve()
        except Closing as closing:
            reason = closing.reason
        while not self.exited:
            try:
                yield from self._terminate_all(brutal=reason is KILLED)
                self.exited = True
            except Closing as closing:  # killed while it stopped in order
                reason = closing.reason
        self.actions.append(("exit", reason.how))

    def _block(self, where: str, child: str) -> Process:
        self.blocked_in = (where, child)
        result = yield
        self.blocked_in = ("busy", "")
        return result

    def _serve(self) -> Process:
        for child in list(self.specs):
            failure = yield from self._start(child)
            if failure is not None:
                return CRASHED
        self.actions.append(("settled", "boot"))
        while True:
            if self.inbox:
                verdict = yield from self._handle(*self.inbox.popleft())
                if verdict is not None:
                    return verdict
            elif any(at <= self.now for at in self.due.values()):
                due = [c for c in self.specs if self.due.get(c, inf) <= self.now]
                yield from self._start_all(due[:1])
            else:
                yield from self._block("idle", "")

    def _handle(self, kind: str, *rest: Any) -> Process:
        match kind, *rest:
            case "EXIT", child, reason, up_for:
                return (yield from self._on_exit(child, reason, up_for))
            case "try again", child, reason, token:
                if self.state.get(child) == "restarting" and self.tries.get(child) is token:
                    if reason.how is How.ESCALATED:
                        return CRASHED
                    return (yield from self._restart(child, up_for=0.0))
            case _, argument, ticket:
                problem = yield from getattr(self, f"_on_{kind}")(argument)
                self.open_tickets.discard(ticket)
                self.actions.append(("refused" if problem else "settled", ticket))
        return None

    def _on_exit(self, child: str, reason: ExitReason, up_for: float) -> Process:
        self.state[child] = "down"
        spec = self.specs[child]
        if reason.how is How.ESCALATED:
            return CRASHED
        abnormal = reason.how in (How.CRASHED, How.KILLED)
        if spec.restart is Restart.PERMANENT or (spec.restart is Restart.TRANSIENT and abnormal):
            return (yield from self._restart(child, up_for=up_for))
        if spec.restart is Restart.TEMPORARY:
            self._delete(child)
        if not spec.significant or self.auto_shutdown is AutoShutdown.NEVER:
            return None
        others = [c for c, s in self.specs.items() if s.significant and self._has_pid(c)]
        if self.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT or not others:
            return SHUTDOWN
        return None

    def _has_pid(self, child: str) -> bool:
        return self.state[child] != "down" or child in self.due

    def _restart(self, child: str, *, up_for: float) -> Process:
        wait = self._wait(child, up_for)
        if not wait:
            self.restarts = [at for at in self.restarts if at >= self.now - self.period]
            self.restarts.append(self.now)
            if len(self.restarts) > self.intensity:
                return SHUTDOWN
        group = list(self.specs)
        if self.strategy is Strategy.ONE_FOR_ONE:
            group = [child]
        elif self.strategy is Strategy.REST_FOR_ONE:
            group = group[group.index(child) :]
        self.state[child] = "down"
        due = self.now + wait
        for sibling in reversed(group):
            if sibling != child:
                yield from self._stop(sibling)
        group = [c for c in group if c in self.specs]
        if wait:
            self.due.update(dict.fromkeys(group, due))
        else:
            yield from self._start_all(group)
        return None

    def _wait(self, child: str, up_for: float) -> float:
        backoff = self.specs[child].backoff
        if backoff is None:
            return 0.0
        before = 0 if up_for >= backoff.quiet else self.failures.get(child, 0)
        self.failures[child] = before + 1
        return min(backoff.maximum, backoff.base * backoff.factor**before)

    def _start_all(self, group: Iterable[str]) -> Process:
        for child in group:
            failure = yield from self._start(child)
            if failure is not None:
                self._try_again(child, failure)
                break

    def _try_again(self, child: str, failure: ExitReason) -> None:
        self.state[child] = "restarting"
        self.tries[child] = token = object()
        self.inbox.append(("try again", child, failure, token))

    def _start(self, child: str) -> Process:
        self.due.pop(child, None)
        self.state[child] = "starting"
        self.actions.append(("start", child))
        return (yield from self._block("start", child))

    def _stop(self, child: str, *, keep: bool = False) -> Process:
        self.due.pop(child, None)
        self.keeping = keep
        exits = [message for message in self.inbox if message[:2] == ("EXIT", child)]
        if exits:  # dead already: the exit is taken out of the inbox
            self.inbox.remove(exits[0])
        elif self.state[child] in ("up", "told"):
            if self.state[child] == "up":
                self.state[child] = "told"
                self.actions.append(("stop", child, False))
            yield from self._block("stop", child)
        was, self.state[child] = self.state[child], "down"
        temporary = self.specs[child].restart is Restart.TEMPORARY
        if temporary and was != "down" and not keep and not self.closing:
            self._delete(child)

    def _delete(self, child: str) -> None:
        del self.specs[child], self.state[child]
        self.failures.pop(child, None)

    def _terminate_all(self, *, brutal: bool) -> Process:
        where, child = self.blocked_in
        if not self.closing:
            self.closing = True
            self.actions += [("refused", ticket) for ticket in sorted(self.open_tickets)]
        starting = [c for c in self.specs if where == "start" and c == child]
        for c in reversed(self.specs):
            if brutal and (self.state[c] in ("up", "told") or c in starting):
                if not self._dead(c):
                    self.state[c] = "told"
                    self.actions.append(("stop", c, True))
            elif c in starting and self.state[c] != "told":
                self.state[c] = "told"
                self.actions.append(("stop", c, False))
        if starting:
            yield from self._block("start", child)
        elif where == "stop":  # what is under way comes first
            yield from self._stop(child, keep=self.keeping)
        for c in list(reversed(self.specs)):
            yield from self._stop(c)

    def _dead(self, child: str) -> bool:
        return any(message[:2] == ("EXIT", child) for message in self.inbox)

    # -- requests: return True to refuse --------------------------------------------------

    def _on_add(self, spec: ChildSpec[Any]) -> Process:
        meaningless = spec.significant and self.auto_shutdown is AutoShutdown.NEVER
        if spec.id in self.specs or meaningless:
            return True
        self.specs[spec.id] = spec
        self.failures.pop(spec.id, None)
        failure = yield from self._start(spec.id)
        if failure is not None:
            self._delete(spec.id)
        return failure is not None

    def _on_terminate(self, child: str) -> Process:
        if child in self.specs:
            yield from self._stop(child)
            return False
        return True

    def _on_restart(self, child: str) -> Process:
        if child not in self.specs:
            return True
        yield from self._stop(child, keep=True)
        failure = yield from self._start(child)
        if failure is not None and self.specs[child].restart is Restart.TEMPORARY:
            self._delete(child)
        elif failure is not None:
            self._try_again(child, failure)
        return failure is not None

    def _on_delete(self, child: str) -> Process:
        yield from ()
        if child not in self.specs or self._has_pid(child):
            return True
        self._delete(child)
        return False

    @property
    def deadline(self) -> float:
        if self.exited or self.blocked_in[0] != "idle":
            return inf
        return min(self.due.values(), default=inf)


@attrs.define
class Children:
    """The children as they really are, and the rules that hold whatever the supervisor decides."""

    starting: set[str] = attrs.field(factory=set)
    running: set[str] = attrs.field(factory=set)
    told: set[str] = attrs.field(factory=set)
    spent: set[str] = attrs.field(factory=set)
    """Temporary children that have ended: nobody but a person may start them again."""
    by_hand: Counter[str] = attrs.field(factory=Counter)
    """How often people have asked for a start."""
    tickets: dict[str, int] = attrs.field(factory=dict)
    exited: bool = False
    closing: bool = False

    @property
    def alive(self) -> set[str]:
        return self.starting | self.running

    def see(self, action: Action) -> None:
        assert not self.exited or isinstance(action, Settled), f"{action} after the exit"
        match action:
            case Start(child):
                assert child not in self.alive, f"{child} is started twice"
                assert not self.closing, f"{child} is started while all are stopped"
                assert child not in self.spent or self.by_hand[child], f"{child} is spent"
                if child in self.spent:
                    self.by_hand[child] -= 1
                    self.spent.remove(child)
                self.starting.add(child)
                self.told.discard(child)
            case Stop(child, brutal):
                assert child in self.alive, f"{child} is stopped and does not run"
                assert child not in self.told or brutal, f"{child} is told twice"
                self.told.add(child)
            case Gone(child):
                assert child not in self.alive, f"{child} is gone and runs"
            case Settled(ticket):
                self.tickets[ticket] = self.tickets.get(ticket, 0) + 1
                assert self.tickets[ticket] == 1, f"{ticket} is settled twice"
            case Exit():
                assert not self.alive, f"the supervisor leaves {self.alive} behind"
                self.exited = True


def plain(actions: Iterable[Action]) -> list[tuple[Any, ...]]:
    """Actions as `Otp` writes them down."""
    lines: list[tuple[Any, ...]] = []
    for action in actions:
        match action:
            case Start(child):
                lines.append(("start", child))
            case Stop(child, brutal):
                lines.append(("stop", child, brutal))
            case Settled(ticket, problem):
                lines.append(("refused" if problem else "settled", ticket))
            case Exit(reason):
                lines.append(("exit", reason.how))
    return lines


def ordered(lines: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """With the answers last: their place among the actions is free."""
    lines = list(lines)
    answers = sorted(line for line in lines if line[0] in ("settled", "refused"))
    return [line for line in lines if line[0] not in ("settled", "refused")] + answers


def never() -> Any:
    raise AssertionError("a pure machine starts nothing")


NAMES = ["a", "b", "c", "d", "e"]
BACKOFFS = [
    None,
    None,
    Backoff(base=2.0, factor=2.0, maximum=8.0, quiet=16.0),
    Backoff(base=0.0),
]
ENDINGS = [*[NORMAL, SHUTDOWN, KILLED] * 3, *[CRASHED] * 9, ESCALATED]
FAILINGS = [*[CRASHED, KILLED] * 6, ESCALATED]


@st.composite
def specs(draw: st.DrawFn, name: str | None = None) -> ChildSpec[Any]:
    restart = draw(st.sampled_from(Restart))
    return ChildSpec(
        name or draw(st.sampled_from(NAMES)),
        never,
        restart,
        significant=restart is not Restart.PERMANENT and draw(st.booleans()),
        backoff=draw(st.sampled_from(BACKOFFS)),
    )


class SupervisionMatchesOtp(RuleBasedStateMachine):
    """The same events to both; the same actions, and no rule broken."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.asked = 0
        self.children = Children()

    @initialize(
        strategy=st.sampled_from(Strategy),
        intensity=st.sampled_from([0, 1, 2, 3, 100, 100]),
        auto_shutdown=st.sampled_from(AutoShutdown),
        children=st.lists(specs(), min_size=1, max_size=5, unique_by=lambda spec: spec.id),
    )
    def boot(
        self,
        strategy: Strategy,
        intensity: int,
        auto_shutdown: AutoShutdown,
        children: list[ChildSpec[Any]],
    ) -> None:
        self.machine = Supervision(strategy, intensity, 5.0, auto_shutdown, FullDelay())
        self.otp = Otp(strategy, intensity, 5.0, auto_shutdown)
        self.both(self.machine.boot(children, self.now), lambda: self.otp.boot(children))

    def both(self, actions: Sequence[Action], otp: Callable[[], Any]) -> None:
        """Compare what the machine decided with what the process does at the same event."""
        for action in actions:
            self.children.see(action)
        self.otp.now = self.now
        self.otp.actions.clear()
        otp()
        assert ordered(plain(actions)) == ordered(self.otp.actions)

    def finish(self, child: str) -> None:
        self.children.starting.discard(child)
        self.children.running.discard(child)
        self.children.told.discard(child)
        if self.otp.specs[child].restart is Restart.TEMPORARY:
            self.children.spent.add(child)

    # -- events ---------------------------------------------------------------------------

    @precondition(lambda self: self.children.starting)
    @rule(data=st.data())
    def a_start_succeeds(self, data: st.DataObject) -> None:
        child = data.draw(st.sampled_from(sorted(self.children.starting)))
        self.children.starting.remove(child)
        self.children.running.add(child)
        self.both(self.machine.started(child, self.now), lambda: self.otp.started(child))

    @precondition(lambda self: self.children.starting)
    @rule(data=st.data(), reason=st.sampled_from(FAILINGS))
    def a_start_fails(self, data: st.DataObject, reason: ExitReason) -> None:
        child = data.draw(st.sampled_from(sorted(self.children.starting)))
        self.finish(child)
        self.both(
            self.machine.start_failed(child, reason, self.now),
            lambda: self.otp.start_failed(child, reason),
        )

    @precondition(lambda self: self.children.running)
    @rule(data=st.data(), reason=st.sampled_from(ENDINGS))
    def a_child_ends(self, data: st.DataObject, reason: ExitReason) -> None:
        child = data.draw(st.sampled_from(sorted(self.children.running)))
        self.finish(child)
        self.both(
            self.machine.ended(child, reason, self.now), lambda: self.otp.ended(child, reason)
        )

    def carry_out_one(self) -> bool:
        """Do what the supervisor waits for, if it waits for anything."""
        told = self.children.running & self.children.told
        if self.children.starting:
            child = min(self.children.starting)
            self.children.starting.remove(child)
            self.children.running.add(child)
            self.both(self.machine.started(child, self.now), lambda: self.otp.started(child))
        elif told:
            child = min(told)
            self.finish(child)
            self.both(
                self.machine.ended(child, SHUTDOWN, self.now),
                lambda: self.otp.ended(child, SHUTDOWN),
            )
        return bool(self.children.alive - (self.children.running - self.children.told))

    @precondition(lambda self: self.children.starting | self.children.told)
    @rule()
    def it_is_obeyed_once(self) -> None:
        self.carry_out_one()

    @precondition(lambda self: self.children.starting | self.children.told)
    @rule()
    def it_is_obeyed(self) -> None:
        while self.carry_out_one():
            pass

    @precondition(lambda self: not self.children.exited)
    @rule(seconds=st.sampled_from([1.0, 2.0, 5.0, 6.0, 16.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while self.machine.deadline <= until:
            self.now = max(self.now, self.machine.deadline)
            before = self.machine.deadline
            self.both(self.machine.time_passed(self.now), self.otp.time_passed)
            assert self.machine.deadline > self.now, f"{before} is due for ever"
        self.now = until

    # -- requests -------------------------------------------------------------------------

    def ask(
        self, kind: str, argument: Any, ask: Callable[[Any, Any, float], Sequence[Action]]
    ) -> None:
        self.asked += 1
        ticket = f"{kind} {self.asked}"
        self.children.tickets[ticket] = 0
        self.both(ask(argument, ticket, self.now), lambda: self.otp.call(kind, argument, ticket))

    @rule(spec=specs())
    def add(self, spec: ChildSpec[Any]) -> None:
        self.children.by_hand[spec.id] += 1
        self.ask("add", spec, self.machine.add)

    @rule(child=st.sampled_from(NAMES))
    def terminate(self, child: str) -> None:
        self.ask("terminate", child, self.machine.terminate)

    @rule(child=st.sampled_from(NAMES))
    def restart(self, child: str) -> None:
        self.children.by_hand[child] += 1
        self.ask("restart", child, self.machine.restart)

    @rule(child=st.sampled_from(NAMES))
    def delete(self, child: str) -> None:
        self.ask("delete", child, self.machine.delete)

    def shut_down(self) -> None:
        self.both(self.machine.shut_down(self.now), lambda: self.otp.close(SHUTDOWN))
        self.children.closing = True

    def kill(self) -> None:
        self.both(self.machine.kill(self.now), lambda: self.otp.close(KILLED))
        self.children.closing = True
        assert self.children.alive <= self.children.told
        assert self.machine.kill(self.now) == ()

    @precondition(lambda self: not self.children.exited)
    @rule(dice=st.integers(0, 39))
    def sometimes_end_it(self, dice: int) -> None:
        if dice == 13:
            self.shut_down()
        elif dice == 31:
            self.kill()

    # -- what always holds ----------------------------------------------------------------

    @invariant()
    def the_deadline_is_the_first_due_restart(self) -> None:
        if hasattr(self, "machine"):
            assert self.machine.deadline == self.otp.deadline

    @invariant()
    def one_thing_at_a_time(self) -> None:
        if hasattr(self, "machine") and not self.otp.closing:
            under_way = self.children.starting | (self.children.told & self.children.running)
            assert len(under_way) <= 1

    @invariant()
    def what_the_machine_thinks_is_so(self) -> None:
        if hasattr(self, "machine"):
            children = self.machine.children
            assert {c for c in children if children[c].running} == self.children.running
            assert {c for c in children if children[c].starting} == self.children.starting
            assert list(children) == list(self.otp.specs)

    @invariant()
    def answers_are_owed_only_while_something_is_under_way(self) -> None:
        if hasattr(self, "machine"):
            idle = self.otp.exited or self.otp.blocked_in[0] == "idle"
            assert not idle or all(self.children.tickets.values())

    def teardown(self) -> None:
        """Wherever it stands, a kill ends it, once its children have."""
        if not hasattr(self, "machine") or self.children.exited:
            return
        if len(self.children.tickets) % 2:
            self.shut_down()
        if not self.children.exited:
            self.kill()
        while self.children.alive:
            child = min(self.children.alive)
            starting = child in self.children.starting
            self.finish(child)
            report = self.machine.start_failed if starting else self.machine.ended
            otp = self.otp.start_failed if starting else self.otp.ended
            self.both(report(child, KILLED, self.now), partial(otp, child, KILLED))
        self.it_has_exited()

    def it_has_exited(self) -> None:
        assert self.children.exited
        assert all(self.children.tickets.values())


TestSupervisionMatchesOtp = SupervisionMatchesOtp.TestCase
TestSupervisionMatchesOtp.settings = settings(
    report_multiple_bugs=False,
    max_examples=max(200, settings().max_examples),
    stateful_step_count=40,
)
