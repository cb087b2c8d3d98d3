"""A circuit breaker: stop calling what keeps failing, then probe whether it is back.

    CLOSED --`failures` in a row--> OPEN --after `rest`--> HALF_OPEN --a probe succeeded--> CLOSED
                                     ^                        |
                                     +--a probe failed, or ---+
                                        gave no answer in time

Every call begins with `allow`, which gives a `Permit` or a `Denied`; every permit goes back once,
with the outcome. The permit names the period it was given in. A slow call from before the breaker
opened may answer when it is half-open, or closed again, and then says nothing about *now*: an
outcome from another period is counted as ignored and has no other effect.

Source: Michael Nygard, "Release It!", 2nd edition, chapter 5.
"""

from enum import Enum
from math import inf

import attrs
from attrs.validators import ge, gt, instance_of


class Circuit(Enum):
    """The states of a breaker, in electricians' words: a closed circuit conducts."""

    CLOSED = "closed"
    """Calls go through; failures in a row are counted."""
    OPEN = "open"
    """No call goes through."""
    HALF_OPEN = "half-open"
    """A few calls go through as probes; the first outcome of one decides."""


@attrs.frozen
class BreakerConfig:
    """When a breaker opens, for how long, and how it finds out that it may close."""

    failures: int = attrs.field(default=5, validator=[instance_of(int), ge(1)])
    """Failures in a row that open the breaker."""

    rest: float = attrs.field(default=60.0, validator=gt(0.0))
    """How long it stays open before the first probe, seconds; `inf` until `reset`."""

    probes: int = attrs.field(default=1, validator=[instance_of(int), ge(1)])
    """How many probes may be under way at the same time."""

    # Longer than one delivery with all its retries, which counts as one outcome.
    probe_timeout: float = attrs.field(default=60.0, validator=gt(0.0))
    """A probe without an outcome after this long, seconds, has failed; `inf` trusts every caller to
    give its permit back."""


@attrs.frozen
class Permit:
    """Leave to make one call. Give it back once: `succeeded`, `failed` or `cancelled`."""

    period: int
    """The stretch between two changes of state in which it was given."""
    number: int


@attrs.frozen
class Denied:
    """No call now."""

    until: float
    """Not worth asking again before, seconds: the end of the rest or, while probes are under way,
    the moment the first of them is given up. A probe that answers may clear the way earlier."""


@attrs.frozen
class BreakerStatistics:
    """A breaker at the last moment it was told of, and what it has done so far."""

    state: Circuit
    failures: int
    """Failures in a row so far; 0 unless closed."""
    probes: int
    """Probes under way."""
    deadline: float
    """When the state changes without a call, seconds; `inf` if it will not."""
    opened: int
    """How often it has opened, reopenings after a failed probe included."""
    denied: int
    """Calls it has denied."""
    ignored: int
    """Outcomes that were not counted: they came too late, or a second time."""


@attrs.define(repr=False)
class CircuitBreaker:
    """Guards one provider. All times are seconds on one clock.

    Every call first catches up with the clock: telling `time_passed` at `deadline` keeps `state`
    fresh for those who look at it, and changes no decision.
    """

    config: BreakerConfig = attrs.field(factory=BreakerConfig)
    _state: Circuit = attrs.field(default=Circuit.CLOSED, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _open_until: float = attrs.field(default=-inf, init=False)
    _probes: dict[int, float] = attrs.field(factory=dict, init=False)
    """The number of each probe under way, and when it is given up."""
    _period: int = attrs.field(default=0, init=False)
    _permits: int = attrs.field(default=0, init=False)
    _opened: int = attrs.field(default=0, init=False)
    _denied: int = attrs.field(default=0, init=False)
    _ignored: int = attrs.field(default=0, init=False)

    @property
    def state(self) -> Circuit:
        """The state at the last moment the breaker was told of."""
        return self._state

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling, seconds; `inf` if it is not."""
        if self._state is Circuit.OPEN:
            return self._open_until
        return min(self._probes.values(), default=inf)

    def allow(self, at: float) -> Permit | Denied:
        """May a call begin? A permit has to come back, whatever becomes of the call."""
        self.time_passed(at)
        if self._state is Circuit.OPEN or len(self._probes) >= self.config.probes:
            self._denied += 1
            return Denied(self.deadline)
        self._permits += 1
        if self._state is Circuit.HALF_OPEN:
            self._probes[self._permits] = at + self.config.probe_timeout
        return Permit(self._period, self._permits)

    def succeeded(self, permit: Permit, at: float) -> None:
        """The call was answered. One good probe closes a half-open breaker."""
        if not self._take_back(permit, at):
            return
        self._failures = 0
        if self._state is Circuit.HALF_OPEN:
            self._change(Circuit.CLOSED)

    def failed(self, permit: Permit, at: float) -> None:
        """The call failed, or was not answered in the time its caller gave it.

        One bad probe opens a half-open breaker again, for a whole rest.
        """
        if not self._take_back(permit, at):
            return
        self._failures += 1
        if self._state is Circuit.HALF_OPEN or self._failures >= self.config.failures:
            self._open(at)

    def cancelled(self, permit: Permit, at: float) -> None:
        """The caller lost interest before there was an outcome: its user hung up, say.

        That says nothing about the provider, so the count of failures stays as it is, and the place
        of a probe is free for another.

        A caller's *timeout* is no such thing, it has `failed`: else a provider that hangs would be
        probed by one waiting caller after the other and never rest.
        """
        self._take_back(permit, at)

    def time_passed(self, at: float) -> None:
        """Do what is due at `at`: end the rest, or give up a probe. Harmless at any other time."""
        given_up = min(self._probes.values(), default=inf)
        # Even told at its own deadline of `inf`, it does nothing: that one means nothing is due.
        if at >= given_up < inf:
            # As of then, not of `at`, so that it does not matter how late we are told.
            self._open(given_up)
        if self._state is Circuit.OPEN and at >= self._open_until < inf:
            self._change(Circuit.HALF_OPEN)

    def reset(self) -> None:
        """Close now, on an operator's word; the outcomes of calls under way no longer count."""
        self._change(Circuit.CLOSED)

    def statistics(self) -> BreakerStatistics:
        return BreakerStatistics(
            state=self._state,
            failures=self._failures,
            probes=len(self._probes),
            deadline=self.deadline,
            opened=self._opened,
            denied=self._denied,
            ignored=self._ignored,
        )

    def _take_back(self, permit: Permit, at: float) -> bool:
        """Whether the outcome of this permit still counts at `at`."""
        self.time_passed(at)
        counts = permit.period == self._period
        if counts and self._state is Circuit.HALF_OPEN:
            counts = self._probes.pop(permit.number, None) is not None
        if not counts:
            self._ignored += 1
        return counts

    def _open(self, at: float) -> None:
        self._change(Circuit.OPEN)
        self._open_until = at + self.config.rest
        self._opened += 1

    def _change(self, state: Circuit) -> None:
        self._state = state
        self._period += 1  # permits of the period that ends here are of no account any more
        self._failures = 0
        self._probes.clear()

    def __repr__(self) -> str:
        match self._state:
            case Circuit.CLOSED:
                detail = f"{self._failures} of {self.config.failures} failures"
            case Circuit.OPEN:
                detail = f"until {self._open_until:.3f}"
            case Circuit.HALF_OPEN:
                detail = f"{len(self._probes)} of {self.config.probes} probes"
        return f"<CircuitBreaker {self._state.value}: {detail}>"
