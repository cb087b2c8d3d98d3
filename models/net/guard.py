"""A provider's guard, as a pure machine: may one more call begin, and what became of it.

Three policies in one place, because each call meets all of them: the bulkhead (so many at the same
time), the breaker (do not call what keeps failing) and the pause that a rate limit asks for.
"""

from __future__ import annotations

from math import ceil

import attrs

from models.faults import FaultKind, ModelFault
from supervision.resilience import (
    BreakerConfig,
    BreakerStatistics,
    Bulkhead,
    Circuit,
    CircuitBreaker,
    Denied,
    Permit,
    Rejected,
)

_SAYS_NOTHING = frozenset({FaultKind.REJECTED, FaultKind.CANCELLED, FaultKind.BREAKER_OPEN})
"""Faults that are no fault of the provider: they neither trip its breaker nor speak for it."""


@attrs.frozen
class GuardStatistics:
    """What a guard has let through, and why not the rest."""

    under_way: int
    limit: int
    refused: int
    """Calls that found as many under way as may be."""
    breaker: BreakerStatistics
    paused_until: float
    """The provider asked to be left alone until then, in the node's seconds; 0 if it did not."""


@attrs.define(repr=False)
class Guard:
    """Of one provider. Times are the node's seconds; a key stands for one call."""

    provider: str
    concurrent: int
    """Calls that may be under way at the same time."""
    breaker_config: BreakerConfig = attrs.field(factory=BreakerConfig)
    _bulkhead: Bulkhead[int] = attrs.field(init=False)
    _breaker: CircuitBreaker = attrs.field(init=False)
    _permits: dict[int, Permit] = attrs.field(factory=dict, init=False)
    """Of the calls whose outcome is not known yet."""
    _paused_until: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._bulkhead = Bulkhead(self.concurrent)
        self._breaker = CircuitBreaker(self.breaker_config)

    def enter(self, key: int, at: float) -> ModelFault | None:
        """A call wants to begin. None: it may, and must `leave`; else why it may not."""
        if isinstance(self._bulkhead.enter(key), Rejected):
            detail = f"{self.concurrent} calls are under way already"
            return ModelFault(self.provider, FaultKind.RATE_LIMITED, detail)
        fault = self.again(key, at)
        if fault is not None:
            self._bulkhead.leave(key)
        return fault

    def at_ease(self, at: float) -> bool:
        """Whether a call that could as well wait would be let through now, and not as a probe."""
        statistics = self._bulkhead.statistics()
        return (
            statistics.inside < statistics.limit
            and at >= self._paused_until
            and self._breaker.state is Circuit.CLOSED
        )

    def again(self, key: int, at: float) -> ModelFault | None:
        """A call that is under way wants to connect once more, after `outcome` of the last time."""
        if at < self._paused_until:
            pause = self._paused_until - at
            detail = f"asked to be left alone for another {ceil(pause)} s"
            return ModelFault(self.provider, FaultKind.RATE_LIMITED, detail, pause)
        permit = self._breaker.allow(at)
        if isinstance(permit, Denied):
            detail = "it kept failing"
            pause = max(0.0, permit.until - at)
            return ModelFault(self.provider, FaultKind.BREAKER_OPEN, detail, pause)
        self._permits[key] = permit
        return None

    def outcome(self, key: int, fault: FaultKind | None, at: float, pause: float = 0.0) -> None:
        """What became of a call, told as soon as it is known; only the first time counts.

        A stream that lasts for hours has proved the provider well with its first answer.
        """
        if fault is FaultKind.RATE_LIMITED and pause > 0:
            self._paused_until = max(self._paused_until, at + pause)
        permit = self._permits.pop(key, None)
        if permit is None:
            return
        if fault is None:
            self._breaker.succeeded(permit, at)
        elif fault in _SAYS_NOTHING:
            self._breaker.cancelled(permit, at)
        else:
            self._breaker.failed(permit, at)

    def leave(self, key: int, fault: FaultKind | None, at: float, pause: float = 0.0) -> None:
        """A call that has entered is over."""
        self.outcome(key, fault, at, pause)
        self._bulkhead.leave(key)

    def statistics(self) -> GuardStatistics:
        bulkhead = self._bulkhead.statistics()
        return GuardStatistics(
            under_way=bulkhead.inside,
            limit=bulkhead.limit,
            refused=bulkhead.rejected,
            breaker=self._breaker.statistics(),
            paused_until=self._paused_until,
        )

    def __repr__(self) -> str:
        return f"<Guard of {self.provider}: {self._bulkhead!r}, {self._breaker!r}>"
