"""The breaker against a model that lives every moment, under any order of events."""

from math import inf
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from supervision.resilience.breaker import BreakerConfig, Circuit, CircuitBreaker, Denied, Permit

# Whole numbers of seconds, so that sums are exact and events often fall on the same moment.
configs = st.builds(
    BreakerConfig,
    failures=st.integers(1, 3),
    rest=st.integers(1, 8).map(float),
    probes=st.integers(1, 3),
    probe_timeout=st.integers(1, 8).map(float),
)
steps = st.integers(0, 6).map(float)


@given(configs, st.lists(st.tuples(steps, st.sampled_from(["allow", "fail", "succeed", "lose"]))))
def test_it_always_comes_back_once_the_provider_does(
    config: BreakerConfig, history: list[tuple[float, str]]
) -> None:
    breaker, at, under_way = CircuitBreaker(config), 0.0, list[Permit]()
    for step, what in history:
        at += step
        if what == "allow" and isinstance(permit := breaker.allow(at), Permit):
            under_way.append(permit)
        elif what != "allow" and under_way:
            permit = under_way.pop(0)
            if what != "lose":
                (breaker.failed if what == "fail" else breaker.succeeded)(permit, at)
    # Whatever happened and whoever was lost, being denied ends: at most one wait for the probes
    # under way, and one rest.
    waits = 0
    while isinstance(decision := breaker.allow(at), Denied):
        assert decision.until > at
        at, waits = decision.until, waits + 1
    assert waits <= 2
    breaker.succeeded(decision, at)
    assert breaker.state is Circuit.CLOSED


@attrs.define
class EagerBreaker:
    """The model: lets every moment happen in order, and remembers who holds which permit."""

    config: BreakerConfig
    now: float = 0.0
    phase: Circuit = Circuit.CLOSED
    failures: int = 0
    probing: dict[Permit, float] = attrs.field(factory=dict)
    """The probes under way and when they are given up."""
    valid: set[Permit] = attrs.field(factory=set)
    """The permits whose outcome counts."""
    rest_ends: float = inf
    opened: int = 0

    def enter(self, phase: Circuit) -> None:
        self.phase, self.failures = phase, 0
        self.rest_ends = self.now + self.config.rest if phase is Circuit.OPEN else inf
        self.opened += phase is Circuit.OPEN
        self.probing.clear()
        self.valid.clear()

    def advance(self, to: float) -> None:
        while (due := min([self.rest_ends, *self.probing.values()])) <= to:
            self.now = due
            self.enter(Circuit.OPEN if self.phase is Circuit.HALF_OPEN else Circuit.HALF_OPEN)
        self.now = to

    def allows(self) -> bool:
        if self.phase is Circuit.HALF_OPEN:
            return len(self.probing) < self.config.probes
        return self.phase is Circuit.CLOSED

    def admitted(self, permit: Permit) -> None:
        self.valid.add(permit)
        if self.phase is Circuit.HALF_OPEN:
            self.probing[permit] = self.now + self.config.probe_timeout

    def outcome(self, permit: Permit, success: bool | None) -> None:
        if permit not in self.valid:
            return
        self.valid.remove(permit)
        probe = self.probing.pop(permit, None) is not None
        if success is True:
            self.failures = 0
            if probe:
                self.enter(Circuit.CLOSED)
        elif success is False:
            self.failures += 1
            if probe or self.failures == self.config.failures:
                self.enter(Circuit.OPEN)


class BreakerMachine(RuleBasedStateMachine):
    """The breaker, asked only when there is a call, against a model that lives every moment."""

    permits: Bundle[Permit] = Bundle("permits")

    @initialize(config=configs)
    def begin(self, config: BreakerConfig) -> None:
        self.breaker = CircuitBreaker(config)
        self.model = EagerBreaker(config)
        self.denied = 0
        self.compared = True
        """Whether the breaker has been told of the model's now."""

    @rule(step=steps)
    def time_goes_by_unnoticed(self, step: float) -> None:
        self.model.advance(self.model.now + step)
        self.compared = False

    @rule()
    def the_owner_wakes(self) -> None:
        self.breaker.time_passed(self.model.now)
        self.compared = True

    @rule(target=permits)
    def a_call_wants_to_begin(self) -> Any:
        decision = self.breaker.allow(self.model.now)
        self.compared = True
        assert isinstance(decision, Permit) == self.model.allows()
        if isinstance(decision, Denied):
            self.denied += 1
            assert decision.until == min([self.model.rest_ends, *self.model.probing.values()])
            assert decision.until > self.model.now
            return multiple()
        assert decision not in self.model.valid
        self.model.admitted(decision)
        return decision

    # Permits come back in any order and however late; those that are drawn by no rule are lost.
    @rule(permit=consumes(permits))
    def a_call_succeeds(self, permit: Permit) -> None:
        self.breaker.succeeded(permit, self.model.now)
        self.model.outcome(permit, success=True)
        self.compared = True

    @rule(permit=consumes(permits))
    def a_call_fails(self, permit: Permit) -> None:
        self.breaker.failed(permit, self.model.now)
        self.model.outcome(permit, success=False)
        self.compared = True

    @rule(permit=consumes(permits))
    def a_caller_loses_interest(self, permit: Permit) -> None:
        self.breaker.cancelled(permit, self.model.now)
        self.model.outcome(permit, success=None)
        self.compared = True

    @rule()
    def an_operator_closes_it(self) -> None:
        self.breaker.time_passed(self.model.now)
        self.breaker.reset()
        self.model.enter(Circuit.CLOSED)
        self.compared = True

    @invariant()
    def there_are_never_more_probes_than_allowed(self) -> None:
        assert self.breaker.statistics().probes <= self.breaker.config.probes

    @invariant()
    def once_told_the_time_it_is_where_the_model_is(self) -> None:
        statistics = self.breaker.statistics()
        assert statistics.denied == self.denied
        if self.compared:
            assert statistics.state is self.model.phase
            assert statistics.failures == self.model.failures
            assert statistics.probes == len(self.model.probing)
            assert statistics.opened == self.model.opened
            assert statistics.deadline == min([self.model.rest_ends, *self.model.probing.values()])


TestBreakerMachine = BreakerMachine.TestCase
