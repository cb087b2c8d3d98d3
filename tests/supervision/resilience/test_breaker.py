from math import inf, nan
from typing import Any

import pytest

from supervision.resilience.breaker import (
    BreakerConfig,
    BreakerStatistics,
    Circuit,
    CircuitBreaker,
    Denied,
    Permit,
)


def begin(breaker: CircuitBreaker, at: float) -> Permit:
    """A call begins, which the breaker is expected to allow."""
    permit = breaker.allow(at)
    assert isinstance(permit, Permit)
    return permit


def state(breaker: CircuitBreaker) -> Circuit:
    """Its state, read anew: the type checker takes a property for unchanged between two looks."""
    return breaker.state


def opened(at: float, **config: Any) -> CircuitBreaker:
    """A breaker that opened at `at`."""
    breaker = CircuitBreaker(BreakerConfig(**config))
    for _ in range(breaker.config.failures):
        breaker.failed(begin(breaker, at), at)
    assert state(breaker) is Circuit.OPEN
    return breaker


def test_five_failures_in_a_row_open_it_for_a_minute() -> None:
    breaker = CircuitBreaker()
    for at in (1.0, 2.0, 3.0, 4.0):
        breaker.failed(begin(breaker, at), at)
    assert state(breaker) is Circuit.CLOSED
    breaker.failed(begin(breaker, 5.0), 5.0)
    assert state(breaker) is Circuit.OPEN
    assert breaker.allow(5.0) == breaker.allow(64.9) == Denied(until=65.0)


def test_a_success_starts_the_count_again() -> None:
    breaker = CircuitBreaker(BreakerConfig(failures=2))
    breaker.failed(begin(breaker, 1.0), 1.0)
    breaker.succeeded(begin(breaker, 2.0), 2.0)
    breaker.failed(begin(breaker, 3.0), 3.0)
    assert state(breaker) is Circuit.CLOSED


def test_a_cancelled_call_neither_adds_to_the_count_nor_starts_it_again() -> None:
    breaker = CircuitBreaker(BreakerConfig(failures=2))
    breaker.failed(begin(breaker, 1.0), 1.0)
    breaker.cancelled(begin(breaker, 2.0), 2.0)
    assert breaker.statistics().failures == 1
    breaker.failed(begin(breaker, 3.0), 3.0)
    assert state(breaker) is Circuit.OPEN


def test_after_the_rest_one_probe_goes_through_and_its_success_closes_it() -> None:
    breaker = opened(at=0.0)
    probe = begin(breaker, 60.0)
    assert state(breaker) is Circuit.HALF_OPEN
    assert breaker.allow(61.0) == Denied(until=120.0)
    breaker.succeeded(probe, 62.0)
    assert state(breaker) is Circuit.CLOSED
    begin(breaker, 62.0)


def test_a_failed_probe_opens_it_for_another_whole_rest() -> None:
    breaker = opened(at=0.0)
    breaker.failed(begin(breaker, 70.0), 75.0)
    assert state(breaker) is Circuit.OPEN
    assert breaker.allow(134.9) == Denied(until=135.0)
    begin(breaker, 135.0)


def test_a_cancelled_probe_makes_room_for_the_next() -> None:
    breaker = opened(at=0.0)
    breaker.cancelled(begin(breaker, 60.0), 61.0)
    assert state(breaker) is Circuit.HALF_OPEN
    assert breaker.deadline == inf
    breaker.succeeded(begin(breaker, 61.0), 62.0)
    assert state(breaker) is Circuit.CLOSED


def test_a_probe_nobody_heard_of_again_has_failed_at_its_deadline() -> None:
    breaker = opened(at=0.0, rest=60, probe_timeout=20)
    lost = begin(breaker, 60.0)
    assert breaker.deadline == 80.0
    breaker.time_passed(80.0)
    assert state(breaker) is Circuit.OPEN
    assert breaker.deadline == 140.0
    breaker.succeeded(lost, 81.0)
    assert state(breaker) is Circuit.OPEN


def test_a_lost_probe_does_not_wedge_it_though_no_timer_ever_ran() -> None:
    breaker = opened(at=0.0, rest=60, probe_timeout=20)
    begin(breaker, 60.0)
    assert breaker.allow(139.0) == Denied(until=140.0)
    begin(breaker, 140.0)


def test_calls_begun_before_it_opened_say_nothing_afterwards() -> None:
    breaker = CircuitBreaker(BreakerConfig(failures=1, rest=60))
    slow = [begin(breaker, 0.0) for _ in range(4)]
    breaker.failed(begin(breaker, 1.0), 1.0)

    breaker.failed(slow[0], 30.0)  # does not prolong the rest
    breaker.succeeded(slow[1], 31.0)  # does not end it
    assert breaker.deadline == 61.0
    probe = begin(breaker, 61.0)
    breaker.failed(slow[2], 62.0)  # is not the probe's outcome
    assert state(breaker) is Circuit.HALF_OPEN
    breaker.succeeded(probe, 63.0)
    breaker.failed(slow[3], 64.0)  # is no news about the provider as it is now
    assert breaker.statistics() == BreakerStatistics(
        Circuit.CLOSED, failures=0, probes=0, deadline=inf, opened=1, denied=0, ignored=4
    )


def test_of_several_probes_the_first_outcome_decides() -> None:
    breaker = opened(at=0.0, probes=2)
    good, bad = begin(breaker, 60.0), begin(breaker, 60.0)
    assert isinstance(breaker.allow(60.0), Denied)
    breaker.succeeded(good, 61.0)
    breaker.failed(bad, 62.0)
    assert state(breaker) is Circuit.CLOSED
    assert breaker.statistics().failures == 0


def test_an_outcome_given_twice_counts_once() -> None:
    breaker = opened(at=0.0)
    probe = begin(breaker, 60.0)
    breaker.cancelled(probe, 61.0)
    breaker.succeeded(probe, 61.0)
    assert state(breaker) is Circuit.HALF_OPEN
    assert breaker.statistics().ignored == 1


def test_an_operator_can_close_it() -> None:
    breaker = opened(at=0.0, rest=inf)
    assert breaker.allow(1e9) == Denied(until=inf)
    breaker.time_passed(breaker.deadline)  # which is none
    assert state(breaker) is Circuit.OPEN
    breaker.reset()
    breaker.succeeded(begin(breaker, 1e9), 1e9)
    assert state(breaker) is Circuit.CLOSED


def test_telling_it_of_a_deadline_that_is_none_does_nothing() -> None:
    breaker = opened(at=0.0)
    breaker.time_passed(60.0)
    assert breaker.deadline == inf
    breaker.time_passed(breaker.deadline)
    assert state(breaker) is Circuit.HALF_OPEN


def test_its_state_can_be_looked_at() -> None:
    breaker = CircuitBreaker(BreakerConfig(failures=2))
    breaker.failed(begin(breaker, 0.0), 0.0)
    assert repr(breaker) == "<CircuitBreaker closed: 1 of 2 failures>"
    breaker.failed(begin(breaker, 0.0), 10.0)
    assert repr(breaker) == "<CircuitBreaker open: until 70.000>"
    breaker.allow(69.0)
    begin(breaker, 70.0)
    assert repr(breaker) == "<CircuitBreaker half-open: 1 of 1 probes>"
    assert breaker.statistics() == BreakerStatistics(
        Circuit.HALF_OPEN, failures=0, probes=1, deadline=130.0, opened=1, denied=1, ignored=0
    )


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"failures": 0}, "'failures' must be >= 1"),
        ({"rest": 0}, "'rest' must be > 0"),
        ({"rest": nan}, "'rest' must be > 0"),
        ({"probes": 0}, "'probes' must be >= 1"),
        ({"probe_timeout": -1}, "'probe_timeout' must be > 0"),
    ],
)
def test_a_breaker_that_makes_no_sense_is_refused(fields: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        BreakerConfig(**fields)


@pytest.mark.parametrize("field", ["failures", "probes"])
def test_what_is_counted_is_whole(field: str) -> None:
    counts: dict[str, Any] = {field: 1.5}
    with pytest.raises(TypeError, match=field):
        BreakerConfig(**counts)
