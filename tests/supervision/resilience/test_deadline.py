from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervision.resilience.deadline import NEVER, Deadline

moments = st.floats(-1e9, 1e9)
spans = st.floats(0, 1e6) | st.just(inf)


def test_time_runs_out() -> None:
    deadline = Deadline.after(now=100.0, seconds=2.5)
    assert deadline.remaining(now=101.0) == 1.5
    assert not deadline.expired(now=102.4)
    assert deadline.remaining(now=102.5) == 0
    assert deadline.expired(now=102.5)
    assert deadline.remaining(now=200.0) == 0


def test_what_is_asked_while_answering_inherits_the_deadline() -> None:
    answer = Deadline.after(now=0.0, seconds=3)
    assert answer.within(now=1.0, seconds=10) == Deadline(3.0)
    assert answer.within(now=1.0, seconds=0.5) == Deadline(1.5)


def test_never_comes_never() -> None:
    assert NEVER.remaining(now=1e300) == inf
    assert not NEVER.expired(now=inf)
    assert NEVER.remaining(now=inf) == inf
    assert NEVER.within(now=1.0, seconds=2) == Deadline(3.0)
    assert Deadline.after(now=5.0, seconds=inf) == NEVER


def test_no_time_at_all_is_over_at_once() -> None:
    assert Deadline.after(now=7.0, seconds=0).expired(now=7.0)


@pytest.mark.parametrize("seconds", [-0.1, -inf, nan])
def test_a_time_that_cannot_be_kept_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="give 0 for one that is over at once, or `inf` for none"):
        Deadline.after(0.0, seconds)


@pytest.mark.parametrize("at", [nan, -inf])
def test_a_moment_that_is_none_is_refused(at: float) -> None:
    with pytest.raises(ValueError, match="'at' must be > -inf"):
        Deadline(at)


@given(moments, spans, moments)
def test_time_remains_until_it_is_expired(start: float, seconds: float, now: float) -> None:
    deadline = Deadline.after(start, seconds)
    assert deadline.remaining(now) >= 0
    assert deadline.expired(now) == (deadline.remaining(now) == 0)


@given(st.lists(spans.map(Deadline), min_size=1))
def test_the_tightest_is_the_earliest_in_whatever_order(deadlines: list[Deadline]) -> None:
    tightest = NEVER
    for deadline in deadlines:
        assert tightest.tightest(deadline) == deadline.tightest(tightest)
        tightest = tightest.tightest(deadline)
    assert tightest == min(deadlines)


class NestedAsks(RuleBasedStateMachine):
    """Asks made while answering. The model: each has an allowance that runs down by itself."""

    @initialize(start=st.integers(-1000, 1000))
    def begin(self, start: int) -> None:
        self.now = float(start)
        self.chain: list[tuple[Deadline, list[float]]] = [(NEVER, [inf])]
        """For each ask under way, outermost first, its deadline and all allowances above it."""

    @rule(eighths=st.integers(0, 100))
    def time_goes_by(self, eighths: int) -> None:
        seconds = eighths / 8
        self.now += seconds
        self.chain = [(one, [left - seconds for left in lefts]) for one, lefts in self.chain]

    @rule(eighths=st.integers(0, 200) | st.just(inf))
    def asks_somebody_else(self, eighths: float) -> None:
        deadline, allowances = self.chain[-1]
        inner = deadline.within(self.now, eighths / 8)
        self.chain.append((inner, [*allowances, eighths / 8]))

    @precondition(lambda self: len(self.chain) > 1)
    @rule()
    def is_answered(self) -> None:
        self.chain.pop()

    @invariant()
    def no_ask_has_more_time_than_anyone_above_it(self) -> None:
        for deadline, allowances in self.chain:
            assert deadline.remaining(self.now) == max(0, min(allowances))
            assert deadline.expired(self.now) == (min(allowances) <= 0)


TestNestedAsks = NestedAsks.TestCase
