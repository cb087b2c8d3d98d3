from fractions import Fraction
from math import inf, nan
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from supervision.resilience.backoff import Backoff, BackoffState, BackoffStatistics

backoffs = st.builds(
    lambda base, factor, above, quiet: Backoff(base, factor, base + above, quiet),
    base=st.floats(0, 1e3),
    factor=st.floats(1, 1e3),
    above=st.floats(0, 1e6),
    quiet=st.floats(1e-3, 1e6),
)


class LongestDelays(Random):
    """Draws the upper end each time, so that a test sees the ceiling under the jitter."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_longest_delay_doubles_with_each_failure_until_the_maximum() -> None:
    state = BackoffState(Backoff(base=1, factor=2, maximum=10, quiet=60))
    delays = []
    at = 0.0
    for _ in range(6):
        delays.append(state.failed(at, LongestDelays()))
        at += delays[-1]
    assert delays == [1, 2, 4, 8, 10, 10]


def test_after_a_quiet_period_the_delays_start_over() -> None:
    state = BackoffState(Backoff(base=1, factor=2, maximum=10, quiet=60))
    assert state.failed(0.0, LongestDelays()) == 1
    assert state.failed(1.0, LongestDelays()) == 2  # up again at 3
    assert state.failed(62.9, LongestDelays()) == 4  # up again at 66.9
    assert state.failed(126.9, LongestDelays()) == 1


def test_waiting_out_a_long_delay_is_not_quiet() -> None:
    state = BackoffState(Backoff(base=100, factor=2, maximum=1000, quiet=10))
    assert state.failed(0.0, LongestDelays()) == 100
    assert state.failed(100.0, LongestDelays()) == 200


def test_taking_long_to_fail_at_starting_is_not_quiet_if_one_says_so() -> None:
    state = BackoffState(Backoff(base=1, factor=2, maximum=10, quiet=30))
    assert state.failed(0.0, LongestDelays()) == 1
    assert state.failed(41.0, LongestDelays(), up_for=0) == 2  # connecting timed out after 40 s
    assert state.failed(83.0, LongestDelays(), up_for=29.9) == 4
    assert state.failed(130.0, LongestDelays(), up_for=30) == 1


def test_a_child_that_proved_itself_is_forgiven_at_once() -> None:
    state = BackoffState(Backoff(base=1, factor=2, maximum=10, quiet=60))
    state.failed(0.0, LongestDelays())
    state.reset()
    assert state.statistics() == BackoffStatistics(0, -inf, -inf)
    assert state.failed(1.5, LongestDelays()) == 1


def test_a_base_of_zero_never_waits() -> None:
    state = BackoffState(Backoff(base=0, maximum=0))
    assert [state.failed(at, Random(1)) for at in (0.0, 0.0, 0.1)] == [0, 0, 0]


def test_no_number_of_failures_overflows() -> None:
    assert Backoff(base=0.1, factor=2, maximum=30).ceiling(10**400) == 30
    assert Backoff(base=0.1, factor=1, maximum=30).ceiling(10**400) == 0.1
    assert Backoff(base=0, factor=2, maximum=30).ceiling(10**400) == 0


def test_the_same_seed_gives_the_same_delays() -> None:
    def delays(seed: int) -> list[float]:
        state, rng = BackoffState(), Random(seed)
        return [state.failed(at, rng) for at in (0.0, 1.0, 2.0)]

    assert delays(7) == delays(7) != delays(8)


def test_its_state_can_be_looked_at() -> None:
    state = BackoffState(Backoff(base=2, factor=2, maximum=10, quiet=60))
    assert repr(state) == "<BackoffState no failures>"
    assert state.statistics() == BackoffStatistics(failures=0, retry_at=-inf, forgiven_at=-inf)
    state.failed(10.0, LongestDelays())
    assert repr(state) == "<BackoffState 1 in a row, retry at 12.000>"
    assert state.statistics() == BackoffStatistics(failures=1, retry_at=12, forgiven_at=72)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"base": -0.1}, "'base' must be >= 0"),
        ({"base": nan}, "'base' must be >= 0"),
        ({"base": inf, "maximum": inf}, "'base' must be < inf"),
        ({"factor": 0.5}, "'factor' must be >= 1"),
        ({"factor": inf}, "'factor' must be < inf"),
        ({"maximum": inf}, "'maximum' must be < inf"),
        ({"base": 5, "maximum": 4}, "Raise 'maximum' or lower 'base'"),
        ({"quiet": 0}, "'quiet' must be > 0"),
        ({"quiet": nan}, "'quiet' must be > 0"),
    ],
)
def test_a_backoff_that_makes_no_sense_is_refused(fields: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Backoff(**fields)


def test_failures_are_counted_from_zero() -> None:
    with pytest.raises(ValueError, match="count them from 0"):
        Backoff().ceiling(-1)


@given(backoffs, st.integers(0, 300), st.randoms(use_true_random=False))
def test_a_delay_lies_between_nothing_and_the_exact_ceiling(
    backoff: Backoff, n: int, rng: Random
) -> None:
    exact = min(Fraction(backoff.maximum), Fraction(backoff.base) * Fraction(backoff.factor) ** n)
    assert backoff.ceiling(n) == pytest.approx(float(exact), rel=1e-9)
    assert 0 <= backoff.delay(n, rng) <= backoff.ceiling(n) <= backoff.maximum


@given(backoffs, st.integers(0), st.integers(0))
def test_more_failures_never_shorten_the_longest_delay(backoff: Backoff, n: int, more: int) -> None:
    assert backoff.ceiling(n) <= backoff.ceiling(n + more)


@given(st.integers())
def test_the_jitter_is_full(seed: int) -> None:
    backoff, rng = Backoff(base=8, factor=2, maximum=8), Random(seed)
    delays = [backoff.delay(0, rng) for _ in range(1000)]
    in_quarters = [sum(2 * q <= delay < 2 * (q + 1) for delay in delays) for q in range(4)]
    assert all(150 < count < 350 for count in in_quarters)  # 250 each, give or take 7 sigma


class BackoffMachine(RuleBasedStateMachine):
    """The model keeps the whole life of the child and counts the failures not forgiven from it."""

    @initialize(backoff=backoffs, seed=st.integers())
    def begin(self, backoff: Backoff, seed: int) -> None:
        self.state = BackoffState(backoff)
        self.rng, self.same_rng = Random(seed), Random(seed)
        self.up_times: list[float] = []
        """How long the child was up before each of its failures since the last reset."""
        self.now = 0.0
        self.up_at: float | None = None

    def failures_in_a_row(self) -> int:
        quiet = self.state.backoff.quiet
        lasted = [n for n, up_for in enumerate(self.up_times) if up_for >= quiet]
        return len(self.up_times) - (lasted[-1] if lasted else 0)

    def expect(self, delay: float) -> None:
        ceiling = self.state.backoff.ceiling(self.failures_in_a_row() - 1)
        assert delay == self.same_rng.uniform(0, ceiling)
        self.up_at = self.now + delay

    @rule(share=st.floats(0, 2))
    def fails_after_a_share_of_the_quiet_period(self, share: float) -> None:
        self.now = (self.up_at or self.now) + share * self.state.backoff.quiet
        self.up_times.append(0 if self.up_at is None else self.now - self.up_at)
        self.expect(self.state.failed(self.now, self.rng))

    @rule(starting=st.floats(0, 1e3), share=st.floats(0, 2))
    def fails_having_taken_a_while_to_start(self, starting: float, share: float) -> None:
        up_for = share * self.state.backoff.quiet
        self.now = (self.up_at or self.now) + starting + up_for
        self.up_times.append(up_for)
        self.expect(self.state.failed(self.now, self.rng, up_for=up_for))

    @rule()
    def is_declared_healthy(self) -> None:
        self.state.reset()
        self.up_times.clear()
        self.up_at = None

    @invariant()
    def the_statistics_are_those_of_the_model(self) -> None:
        statistics = self.state.statistics()
        assert statistics.failures == self.failures_in_a_row()
        assert statistics.retry_at == (-inf if self.up_at is None else self.up_at)
        assert statistics.forgiven_at == statistics.retry_at + self.state.backoff.quiet


TestBackoffMachine = BackoffMachine.TestCase
