"""The dynamic supervisor's machine against one small process for each child.

In `Model` every child is a coroutine that starts, waits for what happens to it, and decides by
itself: no table of states, no counting of who is alive. Hypothesis sends both the same events.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
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

from supervision.dynamic import DynamicSupervision
from supervision.messages import KILLED, SHUTDOWN, ExitReason, How
from supervision.restart import Action, Exit, Gone
from supervision.spec import ChildSpec, Exhausted, Restart
from tests.supervision.test_restart_model import (
    ENDINGS,
    FAILINGS,
    NAMES,
    Children,
    FullDelay,
    ordered,
    plain,
    specs,
)

Process = Generator[None, Any, None]


@attrs.define
class ModelChild:
    """What people want of a child, and its process."""

    spec: ChildSpec[Any]
    process: Process | None = None
    stopped: bool = False
    again: bool = False
    start_tickets: list[str] = attrs.field(factory=list)
    stop_tickets: list[str] = attrs.field(factory=list)
    due: float = inf


@attrs.define
class Model:
    """A dynamic supervisor as a bunch of processes."""

    intensity: int
    period: float
    exhausted: Exhausted
    max_children: float
    now: float = 0.0
    children: dict[str, ModelChild] = attrs.field(factory=dict)
    actions: list[tuple[Any, ...]] = attrs.field(factory=list)
    closing: ExitReason | None = None
    exited: bool = False

    def out(self, *action: Any) -> None:
        self.actions.append(action)

    def send(self, child: str, event: Any) -> None:
        process = self.children[child].process
        assert process is not None
        try:
            process.send(event)
        except StopIteration:
            child_ = self.children.pop(child)
            for ticket in child_.start_tickets:
                self.out("refused", ticket)
            for ticket in child_.stop_tickets:
                self.out("settled", ticket)
        self.perhaps_exit()

    def perhaps_exit(self) -> None:
        if self.closing is not None and not self.children and not self.exited:
            self.exited = True
            self.out("exit", self.closing.how)

    def close(self, reason: ExitReason) -> None:
        if self.exited or (self.closing is not None and reason is not KILLED):
            return
        if self.closing is KILLED:
            return
        self.closing = reason
        for child in list(self.children):
            self.children[child].again = False
            self.send(child, "kill" if reason is KILLED else "stop")
        self.perhaps_exit()

    def add(self, spec: ChildSpec[Any], ticket: str) -> None:
        full = len(self.children) >= self.max_children
        if self.closing is not None or spec.id in self.children or full or spec.significant:
            self.out("refused", ticket)
            return
        child = self.children[spec.id] = ModelChild(spec, start_tickets=[ticket])
        child.process = self.live(child)
        next(child.process)

    def terminate(self, name: str, ticket: str) -> None:
        if name not in self.children:
            self.out("refused", ticket)
            return
        child = self.children[name]
        child.stop_tickets.append(ticket)
        child.again = False
        self.send(name, "stop")

    def restart(self, name: str, ticket: str) -> None:
        child = self.children.get(name)
        if child is None or self.closing is not None or (child.stopped and not child.again):
            self.out("refused", ticket)
            return
        child.start_tickets.append(ticket)
        child.again = True
        self.send(name, "stop")

    def time_passed(self) -> None:
        due = [name for name, child in self.children.items() if child.due <= self.now]
        for name in sorted(due, key=lambda name: (self.children[name].due, name)):
            self.send(name, "due")

    # -- the life of one child ------------------------------------------------------------

    def live(self, child: ModelChild) -> Process:
        restarts: list[float] = []
        failures = 0
        ever_up = False
        while True:
            up_since, reason = yield from self.one_life(child)
            ever_up = ever_up or up_since is not None
            if child.stopped:
                if child.again:
                    continue
                self.out("gone")
                return
            if not self.back(child, ever_up, up_since is not None, reason):
                return
            wait = 0.0
            if (backoff := child.spec.backoff) is not None:
                up_for = self.now - up_since if up_since is not None else 0.0
                failures = 0 if up_for >= backoff.quiet else failures
                wait = min(backoff.maximum, backoff.base * backoff.factor**failures)
                failures += 1
            if wait:
                child.due = self.now + wait
                event = yield
                child.due = inf
                child.stopped = event != "due"
                if child.stopped and not child.again:
                    return
                continue
            restarts = [at for at in restarts if at >= self.now - self.period] + [self.now]
            if len(restarts) > self.intensity:
                if self.exhausted is Exhausted.ESCALATE:
                    self.fail(child, SHUTDOWN)
                return

    def one_life(self, child: ModelChild) -> Generator[None, Any, tuple[float | None, ExitReason]]:
        """From a start to its end; when it came up, if it did, and how it ended."""
        self.out("start", child.spec.id)
        child.stopped = child.again = False
        up_since = None
        while True:
            match (yield):
                case "stop":
                    if not child.stopped:
                        self.out("stop", child.spec.id, False)
                    child.stopped = True
                case "kill":
                    self.out("stop", child.spec.id, True)
                    child.stopped = True
                case "started":
                    up_since = self.now
                    if not child.stopped:
                        self.settle(child, "settled")
                case ExitReason() as reason:
                    return up_since, reason

    def back(self, child: ModelChild, ever_up: bool, was_up: bool, reason: ExitReason) -> bool:
        if not was_up:
            self.settle(child, "refused")
            if not ever_up or child.spec.restart is Restart.TEMPORARY:
                return False
        if reason.how is How.ESCALATED:
            self.fail(child, ExitReason(How.CRASHED))
            return False
        abnormal = reason.how in (How.CRASHED, How.KILLED)
        return child.spec.restart is Restart.PERMANENT or (
            child.spec.restart is Restart.TRANSIENT and abnormal
        )

    def settle(self, child: ModelChild, how: str) -> None:
        for ticket in child.start_tickets:
            self.out(how, ticket)
        child.start_tickets.clear()

    def fail(self, child: ModelChild, reason: ExitReason) -> None:
        """The supervisor fails; the child whose fault it is has ended."""
        self.closing = reason
        for name, other in list(self.children.items()):
            if other is not child:
                other.again = False
                self.send(name, "stop")


class DynamicMatchesModel(RuleBasedStateMachine):
    """The same events to both; the same actions, and no rule broken."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.asked = 0
        self.children = Children()
        self.gone: list[str] = []

    @initialize(
        intensity=st.sampled_from([0, 1, 2, 100]),
        exhausted=st.sampled_from(Exhausted),
        max_children=st.sampled_from([3, inf]),
    )
    def boot(self, intensity: int, exhausted: Exhausted, max_children: float) -> None:
        self.machine = DynamicSupervision(intensity, 5.0, exhausted, max_children, FullDelay())
        self.model = Model(intensity, 5.0, exhausted, max_children)

    def both(self, actions: Sequence[Action], model: Callable[[], Any]) -> None:
        known = set(self.model.children)
        for action in actions:
            if isinstance(action, Exit):
                assert not self.children.alive
            self.children.see(action)
        self.model.now = self.now
        self.model.actions.clear()
        model()
        expected = [action for action in self.model.actions if action != ("gone",)]
        assert sorted(ordered(plain(actions)), key=str) == sorted(ordered(expected), key=str)
        gone = {action.id for action in actions if isinstance(action, Gone)}
        assert gone == known - self.model.children.keys()

    def end(self, child: str) -> None:
        self.children.starting.discard(child)
        self.children.running.discard(child)
        self.children.told.discard(child)

    # -- events ---------------------------------------------------------------------------

    @precondition(lambda self: self.children.starting)
    @rule(data=st.data())
    def a_start_succeeds(self, data: st.DataObject) -> None:
        child = data.draw(st.sampled_from(sorted(self.children.starting)))
        self.children.starting.remove(child)
        self.children.running.add(child)
        self.both(self.machine.started(child, self.now), lambda: self.model.send(child, "started"))

    @precondition(lambda self: self.children.starting)
    @rule(data=st.data(), reason=st.sampled_from(FAILINGS))
    def a_start_fails(self, data: st.DataObject, reason: ExitReason) -> None:
        child = data.draw(st.sampled_from(sorted(self.children.starting)))
        self.end(child)
        self.both(
            self.machine.start_failed(child, reason, self.now),
            lambda: self.model.send(child, reason),
        )

    @precondition(lambda self: self.children.running)
    @rule(data=st.data(), reason=st.sampled_from(ENDINGS))
    def a_child_ends(self, data: st.DataObject, reason: ExitReason) -> None:
        child = data.draw(st.sampled_from(sorted(self.children.running)))
        self.end(child)
        self.both(
            self.machine.ended(child, reason, self.now), lambda: self.model.send(child, reason)
        )

    @precondition(lambda self: not self.children.exited)
    @rule(seconds=st.sampled_from([1.0, 2.0, 5.0, 6.0, 16.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while self.machine.deadline <= until:
            self.now = max(self.now, self.machine.deadline)
            self.both(self.machine.time_passed(self.now), self.model.time_passed)
            assert self.machine.deadline > self.now
        self.now = until

    # -- requests -------------------------------------------------------------------------

    def ticket(self, kind: str) -> str:
        self.asked += 1
        ticket = f"{kind} {self.asked}"
        self.children.tickets[ticket] = 0
        return ticket

    @rule(spec=specs())
    def add(self, spec: ChildSpec[Any]) -> None:
        ticket = self.ticket("add")
        self.both(self.machine.add(spec, ticket, self.now), lambda: self.model.add(spec, ticket))

    @rule(child=st.sampled_from(NAMES))
    def terminate(self, child: str) -> None:
        ticket = self.ticket("terminate")
        self.both(
            self.machine.terminate(child, ticket, self.now),
            lambda: self.model.terminate(child, ticket),
        )

    @rule(child=st.sampled_from(NAMES))
    def restart(self, child: str) -> None:
        ticket = self.ticket("restart")
        self.both(
            self.machine.restart(child, ticket, self.now),
            lambda: self.model.restart(child, ticket),
        )

    @rule(child=st.sampled_from(NAMES))
    def delete(self, child: str) -> None:
        ticket = self.ticket("delete")
        refuse = self.machine.delete(child, ticket, self.now)
        self.both(refuse, lambda: self.model.out("refused", ticket))

    @precondition(lambda self: not self.children.exited)
    @rule(dice=st.integers(0, 39))
    def sometimes_end_it(self, dice: int) -> None:
        if dice == 13:
            self.shut_down()
        elif dice == 31:
            self.kill()

    def shut_down(self) -> None:
        self.both(self.machine.shut_down(self.now), lambda: self.model.close(SHUTDOWN))
        self.children.closing = True
        assert self.children.alive <= self.children.told  # all at once

    def kill(self) -> None:
        self.both(self.machine.kill(self.now), lambda: self.model.close(KILLED))
        self.children.closing = True
        assert self.children.alive <= self.children.told
        assert not self.machine.kill(self.now)

    # -- what always holds ----------------------------------------------------------------

    @invariant()
    def what_the_machine_thinks_is_so(self) -> None:
        if hasattr(self, "machine"):
            children = self.machine.children
            assert {c for c in children if children[c].running} == self.children.running
            assert {c for c in children if children[c].starting} == self.children.starting
            assert set(children) == set(self.model.children)

    @invariant()
    def no_restart_is_forgotten(self) -> None:
        """The deadline may be early (an entry that is void), never late."""
        if hasattr(self, "machine"):
            due = min((child.due for child in self.model.children.values()), default=inf)
            assert self.machine.deadline <= due

    @invariant()
    def only_children_on_their_way_owe_an_answer(self) -> None:
        if hasattr(self, "machine"):
            owed = [ticket for ticket, times in self.children.tickets.items() if not times]
            under_way = self.children.starting | self.children.told
            assert not owed or under_way

    def teardown(self) -> None:
        if not hasattr(self, "machine") or self.children.exited:
            return
        if len(self.children.tickets) % 2:
            self.shut_down()
        if not self.children.exited:
            self.kill()
        while self.children.alive:
            child = min(self.children.alive)
            report = (
                self.machine.start_failed if child in self.children.starting else self.machine.ended
            )
            self.end(child)
            self.both(report(child, KILLED, self.now), partial(self.model.send, child, KILLED))
        self.it_has_exited()

    def it_has_exited(self) -> None:
        assert self.children.exited
        assert all(self.children.tickets.values())


TestDynamicMatchesModel = DynamicMatchesModel.TestCase
TestDynamicMatchesModel.settings = settings(
    report_multiple_bugs=False,
    max_examples=max(200, settings().max_examples),
    stateful_step_count=40,
)
