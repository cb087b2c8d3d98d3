"""How one binding is delivered to: its rate, its breaker, its attempts. A pure machine.

One event at a time. `next` says what to do now: send, wait until a moment, or give the event up.
"""

from __future__ import annotations

import random
from math import inf

import attrs

from models.rooms.event import DeliveryError, DeliveryResult
from models.rooms.kinds import DeliveryOutcome
from models.rooms.room import RateLimit, RetryPolicy
from models.rooms.traffic import ProviderResult
from supervision.resilience import (
    BreakerConfig,
    Circuit,
    CircuitBreaker,
    Denied,
    Permit,
    TokenBucket,
)

NO_RETRY = RetryPolicy(max_retries=0)
UNREACHED = RetryPolicy(max_retries=4, base_delay_seconds=0.1, max_delay_seconds=2.0)
"""For attempts that never got to the provider, because the channel's own actor was away."""
LONGEST_WAIT = 60.0
"""Seconds that a rate limit, ours or the provider's, may hold an event back; longer, and it fails
instead."""


@attrs.frozen
class Send:
    """Ask the channel now."""


@attrs.frozen
class Hold:
    """Nothing before that moment, seconds."""

    until: float


@attrs.frozen
class Over:
    """The event is done with."""

    result: DeliveryResult


Decision = Send | Hold | Over
SEND = Send()


@attrs.define(eq=False)
class Attempts:
    """The deliveries of one binding. Times are seconds of one clock."""

    channel_id: str
    rate_limit: RateLimit | None = None
    retry: RetryPolicy = NO_RETRY
    breaker: CircuitBreaker = attrs.field(factory=lambda: CircuitBreaker(BreakerConfig()))
    rng: random.Random = attrs.field(factory=random.Random)
    _bucket: TokenBucket | None = None
    _limit: RateLimit | None = None
    _permit: Permit | None = None
    _tried: int = 0
    _unreached: int = 0
    _not_before: float = -inf
    _reserved: bool = False

    def configure(self, rate_limit: RateLimit | None, retry: RetryPolicy | None) -> None:
        """What the binding says now."""
        self.rate_limit = rate_limit
        self.retry = retry or NO_RETRY
        if rate_limit != self._limit:
            self._limit = rate_limit
            rate = rate_limit.rate if rate_limit is not None else None
            self._bucket = TokenBucket(rate) if rate is not None else None

    @property
    def idle(self) -> bool:
        """Nothing would be lost by starting anew: the breaker has no memory of failures."""
        statistics = self.breaker.statistics()
        return statistics.state is Circuit.CLOSED and not statistics.failures

    def begin(self) -> None:
        """The next event."""
        self._permit = None
        self._tried = self._unreached = 0
        self._not_before = -inf
        self._reserved = False

    def interrupted(self, at: float) -> None:
        """Nobody will ever know what became of the attempt in hand: it proves nothing."""
        if self._permit is not None:
            self.breaker.cancelled(self._permit, at)
            self._permit = None

    def next(self, at: float) -> Decision:
        """What to do about the event in hand."""
        if self._permit is None:
            leave = self.breaker.allow(at)
            if isinstance(leave, Denied):
                fault = DeliveryError("DeliveryFailed", "circuit_breaker_open")
                after = max(0.0, leave.until - at) if leave.until < inf else None
                return Over(self._failed(fault, after))
            self._permit = leave
        if self._bucket is not None and not self._reserved:
            wait = self._bucket.delay(at)
            if wait > LONGEST_WAIT:
                self.breaker.cancelled(self._permit, at)
                fault = DeliveryError("rate_limited", f"its turn would come in {wait:.0f} s")
                return Over(self._failed(fault, wait))
            self._bucket.reserve(at)
            self._reserved = True
            self._not_before = max(self._not_before, at + wait)
        return SEND if at >= self._not_before else Hold(self._not_before)

    def unreached(self, why: str, at: float) -> Decision:
        """The channel's actor was away: that says nothing about its provider."""
        self._unreached += 1
        if self._unreached > UNREACHED.max_retries:
            return self._give_up(DeliveryError("channel_unavailable", why), None, at)
        self._not_before = at + self._backoff(UNREACHED, self._unreached - 1)
        return Hold(self._not_before)

    def answered(self, result: ProviderResult, at: float) -> Decision:
        """The channel has answered."""
        assert self._permit is not None
        if result.success:
            self.breaker.succeeded(self._permit, at)
            told = dict(result.metadata) or None
            return Over(
                DeliveryResult(
                    self.channel_id,
                    DeliveryOutcome.SENT,
                    result.provider_message_id,
                    provider_result=told,
                )
            )
        fault = _error_of(result)
        least = _seconds(result.metadata.get("retry_after"))
        self._tried += 1
        patience = max(LONGEST_WAIT, self.retry.max_delay_seconds)
        spent = self._tried > self.retry.max_retries
        if spent or least > patience or not self._retryable(fault):
            return self._give_up(fault, least or None, at)
        delay = max(least, self._backoff(self.retry, self._tried - 1))
        self._not_before = at + delay
        self._reserved = False  # every attempt counts against the rate
        return Hold(self._not_before)

    def _retryable(self, fault: DeliveryError) -> bool:
        wanted = self.retry.retryable_errors
        return fault.retryable and (wanted is None or fault.code in wanted)

    def _backoff(self, policy: RetryPolicy, k: int) -> float:
        longest = policy.max_delay_seconds
        try:
            delay = min(policy.base_delay_seconds * policy.exponential_base**k, longest)
        except OverflowError:  # what is more than a float holds is more than `longest`
            delay = longest if policy.base_delay_seconds else 0.0
        return self.rng.uniform(0, delay) if policy.jitter else delay

    def _give_up(self, fault: DeliveryError, after: float | None, at: float) -> Over:
        assert self._permit is not None
        # All attempts together are one outcome.
        self.breaker.failed(self._permit, at)
        return Over(self._failed(fault, after))

    def _failed(self, fault: DeliveryError, after: float | None) -> DeliveryResult:
        return DeliveryResult(
            self.channel_id, DeliveryOutcome.FAILED, error=fault, retry_after=after
        )


def _seconds(value: object) -> float:
    """What a provider says of a time to wait: whatever makes no sense is no time."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0.0 < value < inf else 0.0


def _error_of(result: ProviderResult) -> DeliveryError:
    code = result.metadata.get("code") or result.error or "ProviderDeliveryFailed"
    retryable = result.metadata.get("retryable")
    return DeliveryError(
        str(code),
        result.error or str(code),
        retryable if isinstance(retryable, bool) else True,
    )
