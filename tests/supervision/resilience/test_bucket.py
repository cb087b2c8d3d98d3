from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from supervision.resilience.bucket import BucketStatistics, BurstExceeded, TokenBucket


def test_it_starts_full_and_gives_a_burst_at_once() -> None:
    bucket = TokenBucket(rate=2, burst=3)
    assert [bucket.try_take(at=100.0) for _ in range(4)] == [True, True, True, False]


def test_tokens_come_back_at_the_rate() -> None:
    bucket = TokenBucket(rate=2, burst=3)
    bucket.try_take(0.0, 3)
    assert not bucket.try_take(0.4)
    assert bucket.try_take(0.5)
    assert not bucket.try_take(0.9)
    assert bucket.try_take(1.0)


def test_it_never_holds_more_than_the_burst() -> None:
    bucket = TokenBucket(rate=2, burst=3)
    bucket.try_take(0.0)
    assert [bucket.try_take(1e6) for _ in range(4)] == [True, True, True, False]


def test_reservations_queue_up_behind_each_other() -> None:
    bucket = TokenBucket(rate=2, burst=1)
    assert [bucket.reserve(at=10.0) for _ in range(4)] == [0, 0.5, 1, 1.5]
    assert bucket.reserve(at=11.0) == 1


def test_nobody_overtakes_a_reservation() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.reserve(0.0) == 0
    assert bucket.reserve(0.0) == 1
    assert not bucket.try_take(1.0)  # the token of this second is promised
    assert bucket.try_take(2.0)


def test_looking_at_the_delay_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert [bucket.delay(0.0), bucket.delay(0.0)] == [0, 0]
    bucket.reserve(0.0)
    assert [bucket.delay(0.5), bucket.delay(0.5)] == [0.5, 0.5]


def test_one_a_minute_lets_the_first_through_and_the_second_a_minute_later() -> None:
    bucket = TokenBucket(rate=1 / 60)
    assert bucket.burst == 1
    assert bucket.try_take(0.0)
    assert not bucket.try_take(59.9)
    assert bucket.try_take(60.0)
    assert bucket.reserve(60.0) == pytest.approx(60)


def test_by_default_the_burst_is_one_seconds_worth() -> None:
    assert TokenBucket(rate=5).burst == 5


def test_several_tokens_can_be_taken_together() -> None:
    bucket = TokenBucket(rate=10, burst=100)
    assert bucket.reserve(0.0, 100) == 0
    assert bucket.reserve(0.0, 50) == 5


def test_more_than_the_burst_is_refused_and_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=4)
    for take in (bucket.reserve, bucket.try_take, bucket.delay):
        with pytest.raises(BurstExceeded, match=r"5 tokens at once .* holds 4"):
            take(0.0, 5)
    assert bucket.try_take(0.0, 4)


@pytest.mark.parametrize("n", [0, -1, nan])
def test_nothing_and_less_cannot_be_taken(n: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        TokenBucket(rate=1).reserve(0.0, n)


def test_a_clock_that_steps_back_neither_loses_tokens_nor_makes_any() -> None:
    bucket = TokenBucket(rate=1, burst=2)
    assert bucket.try_take(100.0)
    assert bucket.try_take(10.0)  # what was there still is
    assert not bucket.try_take(20.0)  # these ten seconds have been counted already
    assert not bucket.try_take(100.5)
    assert bucket.try_take(101.0)


def test_its_state_can_be_looked_at() -> None:
    bucket = TokenBucket(rate=2, burst=3)
    assert bucket.statistics() == BucketStatistics(tokens=3, as_of=-inf, rate=2, burst=3)
    bucket.reserve(7.0, 3)
    bucket.reserve(7.0)
    assert bucket.statistics() == BucketStatistics(tokens=-1, as_of=7, rate=2, burst=3)
    assert repr(bucket) == "<TokenBucket -1 of 3 tokens, 2/s>"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"rate": 0}, "'rate' must be >="),
        ({"rate": -1}, "'rate' must be >="),
        ({"rate": nan}, "'rate' must be >="),
        ({"rate": inf}, "'rate' must be <="),
        ({"rate": 1, "burst": 0.5}, "'burst' must be >= 1"),
        ({"rate": 1, "burst": inf}, "'burst' must be <="),
    ],
)
def test_a_bucket_that_makes_no_sense_is_refused(fields: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        TokenBucket(**fields)


rates = st.floats(1e-5, 1e4)
bursts = st.floats(1, 1e3)
times = st.floats(0, 2e9)  # a monotonic clock, or seconds since 1970


@given(rates, bursts, times, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_who_sleeps_for_the_delay_is_served_on_waking(
    rate: float, burst: float, at: float, shares: list[float]
) -> None:
    bucket = TokenBucket(rate, burst)
    for share in shares:
        n = max(share * burst, 1e-3)
        at += bucket.delay(at, n)
        assert bucket.delay(at, n) == 0
        assert bucket.try_take(at, n)


@given(rates, bursts, st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 1)), max_size=20))
def test_no_stretch_of_time_takes_more_than_the_burst_and_the_rate(
    rate: float, burst: float, asks: list[tuple[float, float]]
) -> None:
    bucket = TokenBucket(rate, burst)
    at, begun = 0.0, []
    for step, share in asks:
        at += step
        n = share * burst
        begun.append((at + bucket.reserve(at, n), n))
    assert begun == sorted(begun, key=lambda call: call[0])  # first come, first served
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            taken = sum(n for _, n in begun[first : last + 1])
            seconds = begun[last][0] - begun[first][0]
            assert taken <= (burst + rate * (seconds + 1e-6)) * (1 + 1e-9)


@given(st.floats(1e-5, 0.999), times)
def test_rates_below_one_a_second_work(rate: float, at: float) -> None:
    bucket = TokenBucket(rate)
    assert bucket.try_take(at)
    assert not bucket.try_take(at + 0.99 / rate)
    assert bucket.try_take(at + 1.01 / rate)


@given(st.integers(1, 10_000))
def test_a_fast_bucket_keeps_its_rate_far_from_the_origin_of_time(rate: int) -> None:
    bucket, at = TokenBucket(rate, burst=1), 1.7e9
    bucket.reserve(at)
    for _ in range(1000):
        wait = bucket.reserve(at)
    assert wait == pytest.approx(1000 / rate)


class BucketMachine(RuleBasedStateMachine):
    """The model does not count tokens: it knows exactly when the bucket would be full again."""

    @initialize(rate=rates, burst=bursts, at=st.integers(-1000, 1000))
    def begin(self, rate: float, burst: float, at: int) -> None:
        self.bucket = TokenBucket(rate, burst)
        self.rate, self.burst = Fraction(rate), Fraction(burst)
        self.now = Fraction(at)
        self.latest = self.full_at = Fraction(-(10**9))  # full before anybody came

    def exact_wait(self, n: float) -> Fraction:
        self.latest = max(self.latest, self.now)
        full_at = max(self.full_at, self.latest) + Fraction(n) / self.rate
        return max(Fraction(0), full_at - self.burst / self.rate - self.latest)

    def take(self, n: float) -> None:
        self.full_at = max(self.full_at, self.latest) + Fraction(n) / self.rate

    @rule(eighths=st.integers(-20, 200))
    def the_clock_goes(self, eighths: int) -> None:
        self.now += Fraction(eighths, 8)

    @rule(share=st.floats(1e-3, 1))
    def somebody_looks(self, share: float) -> None:
        n = share * self.bucket.burst
        expected = float(self.exact_wait(n))
        assert self.bucket.delay(float(self.now), n) == pytest.approx(expected, rel=1e-9, abs=1e-6)

    @rule(share=st.floats(1e-3, 1))
    def somebody_reserves(self, share: float) -> None:
        n = share * self.bucket.burst
        expected = float(self.exact_wait(n))
        wait = self.bucket.reserve(float(self.now), n)
        assert wait == pytest.approx(expected, rel=1e-9, abs=1e-6)
        self.take(n)

    @rule(share=st.floats(1e-3, 1))
    def somebody_tries(self, share: float) -> None:
        n = share * self.bucket.burst
        wait = self.exact_wait(n)
        assume(not 0 < wait < Fraction(1, 10**6))  # either answer is right then
        assert self.bucket.try_take(float(self.now), n) == (wait == 0)
        if wait == 0:
            self.take(n)

    @rule(share=st.floats(1.001, 1e3))
    def somebody_wants_too_much(self, share: float) -> None:
        with pytest.raises(BurstExceeded):
            self.bucket.reserve(float(self.now), share * self.bucket.burst)

    @invariant()
    def it_holds_what_the_model_says_and_no_more_than_the_burst(self) -> None:
        statistics = self.bucket.statistics()
        if statistics.as_of == -inf:
            assert statistics.tokens == self.bucket.burst
            return
        as_of = Fraction(statistics.as_of)
        exact = self.burst - max(Fraction(0), self.full_at - as_of) * self.rate
        assert statistics.tokens == pytest.approx(float(exact), rel=1e-9, abs=1e-5)
        assert statistics.tokens <= self.bucket.burst


TestBucketMachine = BucketMachine.TestCase
