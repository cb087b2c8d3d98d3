"""How one binding is delivered to, without a clock: one line of a test is one moment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import inf, nan
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.machines.room.attempts import LONGEST_WAIT, SEND, Attempts, Hold, Over, Send
from models.rooms.kinds import DeliveryOutcome
from models.rooms.room import RateLimit, RetryPolicy
from models.rooms.traffic import SENT, ProviderResult
from supervision.resilience import Circuit


def failing(code: str = "down", **metadata: Any) -> ProviderResult:
    return ProviderResult(False, error=code, metadata={"code": code, **metadata})


def attempts(rate: RateLimit | None = None, retry: RetryPolicy | None = None) -> Attempts:
    made = Attempts("sms", rng=random.Random(0))
    made.configure(rate, retry)
    return made


def over(decision: Send | Hold | Over) -> Over:
    assert isinstance(decision, Over)
    return decision


def fail(machine: Attempts, at: float, code: str = "down") -> None:
    """One event that is not brought."""
    machine.begin()
    assert machine.next(at) is SEND
    over(machine.answered(failing(code), at))


# -- one event -------------------------------------------------------------------------------------


def test_what_is_sent_is_over_with_the_providers_id() -> None:
    machine = attempts()
    machine.begin()
    assert machine.next(0.0) is SEND
    result = over(machine.answered(ProviderResult(True, "id-1", metadata={"cost": 2}), 0.1)).result
    assert (result.status, result.provider_message_id, result.error) == (
        DeliveryOutcome.SENT,
        "id-1",
        None,
    )
    assert result.provider_result == {"cost": 2}


def test_without_a_policy_nothing_is_tried_again() -> None:
    machine = attempts()
    machine.begin()
    machine.next(0.0)
    result = over(machine.answered(failing("http_503"), 0.0)).result
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("http_503", True)


def test_the_delays_grow_by_the_base_up_to_the_longest() -> None:
    policy = RetryPolicy(max_retries=4, base_delay_seconds=1.0, max_delay_seconds=5.0)
    machine = attempts(retry=policy)
    machine.begin()
    at, delays = 0.0, []
    assert machine.next(at) is SEND
    while isinstance(decision := machine.answered(failing(), at), Hold):
        delays.append(decision.until - at)
        at = decision.until
        assert machine.next(at) is SEND
    assert delays == [1.0, 2.0, 4.0, 5.0]


def test_nothing_is_sent_before_its_time() -> None:
    machine = attempts(retry=RetryPolicy(max_retries=1))
    machine.begin()
    machine.next(0.0)
    assert machine.answered(failing(), 0.0) == Hold(1.0)
    assert machine.next(0.5) == Hold(1.0)
    assert machine.next(1.0) is SEND


def test_jitter_takes_a_random_part_of_the_delay() -> None:
    machine = attempts(retry=RetryPolicy(max_retries=1, base_delay_seconds=10.0, jitter=True))
    delays = set()
    for number in range(20):
        at = 100.0 * number
        machine.begin()
        machine.next(at)
        decision = machine.answered(failing(), at)
        assert isinstance(decision, Hold)
        delays.add(decision.until - at)
        machine.next(decision.until)
        over(machine.answered(SENT, decision.until))
    assert len(delays) == 20
    assert 0.0 <= min(delays) < max(delays) <= 10.0


@pytest.mark.parametrize(
    ("result", "policy", "again"),
    [
        (failing(retryable=False), RetryPolicy(), False),
        (failing(retryable=True), RetryPolicy(retryable_errors=("other",)), False),
        (failing("other"), RetryPolicy(retryable_errors=("other",)), True),
        (failing("other", retryable=False), RetryPolicy(retryable_errors=("other",)), False),
        (ProviderResult(False), RetryPolicy(), True),
        (failing(retryable="no"), RetryPolicy(), True),
    ],
)
def test_which_failures_are_tried_again(
    result: ProviderResult, policy: RetryPolicy, again: bool
) -> None:
    machine = attempts(retry=policy)
    machine.begin()
    machine.next(0.0)
    assert isinstance(machine.answered(result, 0.0), Hold) is again


def test_the_provider_says_how_long_to_wait_at_least() -> None:
    machine = attempts(retry=RetryPolicy(max_retries=3))
    machine.begin()
    machine.next(0.0)
    assert machine.answered(failing(retry_after=30), 0.0) == Hold(30.0)
    machine.next(30.0)
    assert machine.answered(failing(retry_after=0.1), 30.0) == Hold(32.0)


def test_a_provider_that_wants_too_long_a_pause_is_not_waited_for() -> None:
    machine = attempts(retry=RetryPolicy(max_retries=3))
    machine.begin()
    machine.next(0.0)
    result = over(machine.answered(failing(retry_after=3600), 0.0)).result
    assert result.retry_after == 3600


@pytest.mark.parametrize("nonsense", [nan, inf, -5, True, "soon", None])
def test_a_pause_that_makes_no_sense_is_none(nonsense: object) -> None:
    machine = attempts(retry=RetryPolicy(max_retries=1))
    machine.begin()
    machine.next(0.0)
    assert machine.answered(failing(retry_after=nonsense), 0.0) == Hold(1.0)


def test_a_policy_of_astronomical_numbers_ends_at_its_longest_delay() -> None:
    policy = RetryPolicy(max_retries=10_000, exponential_base=1e200, max_delay_seconds=3.0)
    machine = attempts(retry=policy)
    machine.begin()
    at = 0.0
    for _ in range(20):
        machine.next(at)
        decision = machine.answered(failing(), at)
        assert isinstance(decision, Hold)
        at = decision.until
    assert at == 1.0 + 19 * 3.0


# -- a channel whose actor is away -----------------------------------------------------------------


def test_a_channel_that_is_away_is_sought_again_for_a_while() -> None:
    machine = attempts()
    machine.begin()
    machine.next(0.0)
    at, waits = 0.0, []
    while isinstance(decision := machine.unreached("NoSuchActor", at), Hold):
        waits.append(round(decision.until - at, 3))
        at = decision.until
        assert machine.next(at) is SEND
    assert waits == [0.1, 0.2, 0.4, 0.8]
    assert over(decision).result.error is not None
    assert over(decision).result.error.code == "channel_unavailable"  # type: ignore[union-attr]


def test_to_seek_a_channel_costs_neither_retries_nor_rate() -> None:
    rate = RateLimit(max_per_minute=1)
    machine = attempts(rate, RetryPolicy(max_retries=1))
    machine.begin()
    assert machine.next(0.0) is SEND
    assert machine.unreached("ActorCrashed", 0.0) == Hold(0.1)
    assert machine.next(0.1) is SEND
    over(machine.answered(SENT, 0.1))


# -- the breaker -----------------------------------------------------------------------------------


def test_five_events_in_a_row_that_fail_open_the_breaker_for_a_minute() -> None:
    machine = attempts(retry=RetryPolicy(max_retries=0))
    for number in range(5):
        fail(machine, float(number))
    machine.begin()
    refused = over(machine.next(5.0)).result
    assert refused.error is not None
    assert (refused.error.code, refused.error.message) == ("DeliveryFailed", "circuit_breaker_open")
    assert refused.retry_after == 59.0
    machine.begin()
    assert machine.next(64.0) is SEND
    over(machine.answered(SENT, 64.0))
    assert machine.breaker.statistics().state is Circuit.CLOSED


def test_all_attempts_of_one_event_are_one_failure() -> None:
    machine = attempts(retry=RetryPolicy(max_retries=9, base_delay_seconds=0.0))
    machine.begin()
    for _ in range(10):
        assert machine.next(0.0) is SEND
        machine.answered(failing(), 0.0)
    assert machine.breaker.statistics().failures == 1


def test_what_was_interrupted_gives_the_probe_back() -> None:
    machine = attempts()
    for number in range(5):
        fail(machine, float(number))
    machine.begin()
    assert machine.next(64.0) is SEND
    machine.interrupted(65.0)
    machine.begin()
    assert machine.next(65.0) is SEND


# -- the rate --------------------------------------------------------------------------------------


def test_thirty_a_minute_are_one_at_once_and_then_one_every_two_seconds() -> None:
    machine = attempts(RateLimit(max_per_minute=30))
    at, sent = 0.0, []
    for _ in range(4):
        machine.begin()
        decision = machine.next(at)
        if isinstance(decision, Hold):
            at = decision.until
            assert machine.next(at) is SEND
        sent.append(at)
        over(machine.answered(SENT, at))
    assert sent == [0.0, 2.0, 4.0, 6.0]


def test_an_event_that_would_wait_more_than_a_minute_fails() -> None:
    machine = attempts(RateLimit(max_per_hour=30))
    machine.begin()
    machine.next(0.0)
    over(machine.answered(SENT, 0.0))
    machine.begin()
    result = over(machine.next(0.0)).result
    assert result.error is not None
    assert (result.error.code, result.retry_after) == ("rate_limited", 120.0)
    machine.begin()
    assert machine.next(120.0) is SEND


def test_another_limit_counts_from_the_next_event_on() -> None:
    machine = attempts(RateLimit(max_per_second=1))
    machine.begin()
    machine.next(0.0)
    over(machine.answered(SENT, 0.0))
    machine.configure(None, None)
    machine.begin()
    assert machine.next(0.0) is SEND


# -- properties ------------------------------------------------------------------------------------

LIMITS = st.none() | st.builds(RateLimit, max_per_second=st.floats(1e-3, 1e3))
POLICIES = st.none() | st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 6),
    base_delay_seconds=st.floats(0, 100),
    max_delay_seconds=st.floats(0, 100),
    exponential_base=st.floats(1, 1e300),
    jitter=st.booleans(),
)
OUTCOMES = st.sampled_from(["sent", "failed", "for_good", "away", "later"])


@attrs.frozen
class Sent:
    event: int
    at: float
    away: bool


def carried_out(
    machine: Attempts, events: int, outcomes: Sequence[str], pause: float
) -> tuple[list[Sent], list[Over], float]:
    """Deliver so many events; what was sent when, what came of each, and the longest hold."""
    at, longest, sent, results = 0.0, 0.0, [], []
    script = iter(outcomes)
    for event in range(events):
        machine.begin()
        decision = machine.next(at)
        for _ in range(200):
            match decision:
                case Over():
                    break
                case Hold(until=until):
                    assert until >= at
                    longest = max(longest, until - at)
                    at = until
                    decision = machine.next(at)
                    assert not isinstance(decision, Hold) or decision.until > at
                case Send():
                    outcome = next(script, "sent")
                    sent.append(Sent(event, at, outcome == "away"))
                    decision = answer(machine, outcome, at)
        results.append(over(decision))
        at += pause
    return sent, results, longest


def answer(machine: Attempts, outcome: str, at: float) -> Send | Hold | Over:
    match outcome:
        case "away":
            return machine.unreached("NoSuchActor", at)
        case "sent":
            return machine.answered(SENT, at)
        case _:
            metadata: dict[str, Any] = {"retryable": outcome != "for_good"}
            if outcome == "later":
                metadata["retry_after"] = 20.0
            return machine.answered(failing(**metadata), at)


@settings(max_examples=300, deadline=None)
@given(LIMITS, POLICIES, st.lists(OUTCOMES, max_size=40), st.floats(0, 30))
def test_whatever_happens_every_event_comes_to_an_end(
    limit: RateLimit | None, policy: RetryPolicy | None, outcomes: list[str], pause: float
) -> None:
    machine = attempts(limit, policy)
    sent, results, longest = carried_out(machine, 10, outcomes, pause)
    assert len(results) == 10
    allowed = 1 + (policy.max_retries if policy is not None else 0)
    for event in range(10):
        mine = [one for one in sent if one.event == event]
        assert len([one for one in mine if not one.away]) <= allowed
        assert len([one for one in mine if one.away]) <= 5
    # A retry may wait for its policy's delay first, and then for the rate.
    longest_delay = max(policy.max_delay_seconds if policy is not None else 0.0, 20.0)
    assert longest <= longest_delay + LONGEST_WAIT + 1e-6


@settings(max_examples=300, deadline=None)
@given(st.floats(0.02, 100), POLICIES, st.lists(OUTCOMES, max_size=40), st.floats(0, 5))
def test_no_second_sees_more_than_the_rate(
    rate: float, policy: RetryPolicy | None, outcomes: list[str], pause: float
) -> None:
    """The attempts that reached the provider, or may have: at most a burst and then the rate."""
    machine = attempts(RateLimit(max_per_second=rate), policy)
    outcomes = [outcome for outcome in outcomes if outcome != "away"]
    sent, _, _ = carried_out(machine, 12, outcomes, pause)
    times = [one.at for one in sent]
    burst = max(1.0, rate)
    for first in range(len(times)):
        for last in range(first, len(times)):
            number = last - first + 1
            assert number <= burst + rate * (times[last] - times[first]) + 1e-6
