"""Exponential back-off with full jitter: how long a failed child waits before it runs again."""

from math import inf
from random import Random

import attrs
from attrs.validators import ge, gt, lt


@attrs.frozen
class Backoff:
    """How restarts spread out.

    The nth failure in a row, counted from 0, waits a random time, drawn evenly between nothing and
    `min(maximum, base * factor**n)`.

    The whole delay is random, not a share of it, because children that failed together (one
    provider went down under a hundred calls) must not come back together.

    Source: Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    base: float = attrs.field(default=0.2, validator=[ge(0.0), lt(inf)])
    """The longest first delay, seconds; 0 always runs again at once."""

    factor: float = attrs.field(default=2.0, validator=[ge(1.0), lt(inf)])
    """What each further failure multiplies the longest delay by; 1 keeps it at `base`."""

    maximum: float = attrs.field(default=30.0, validator=[ge(0.0), lt(inf)])
    """No delay is longer than this, seconds."""

    quiet: float = attrs.field(default=60.0, validator=gt(0.0))
    """A child that stayed up this long, seconds, is forgiven all its failures; `inf` never."""

    @maximum.validator
    def _reaches_base(self, _: object, maximum: float) -> None:
        if maximum < self.base:
            raise ValueError(
                f"'maximum' is {maximum} s, less than the longest first delay, 'base', which is "
                f"{self.base} s. Raise 'maximum' or lower 'base'."
            )

    def ceiling(self, n: int) -> float:
        """The longest delay, seconds, after `n` earlier failures in a row; safe for any `n`.

        Raises:
            ValueError: `n` is negative.
        """
        if n < 0:
            raise ValueError(f"{n} earlier failures: count them from 0.")
        if self.base == 0 or self.factor == 1:
            return self.base
        try:
            # As a float even if given as 2: a whole number has no bounds to overflow, only memory.
            return min(self.maximum, self.base * float(self.factor) ** n)
        except OverflowError:  # the power is beyond 1e308, so beyond any maximum
            return self.maximum

    def delay(self, n: int, rng: Random) -> float:
        """A delay, seconds, after `n` earlier failures in a row, drawn from `rng`.

        Raises:
            ValueError: `n` is negative.
        """
        return rng.uniform(0.0, self.ceiling(n))


@attrs.frozen
class BackoffStatistics:
    """Where one child's back-off stands."""

    failures: int
    """Failures in a row that are not forgiven yet."""

    retry_at: float
    """When the last delay is over; `-inf` while there is nothing to wait for."""

    forgiven_at: float
    """When the failures are forgiven if no other comes; `-inf` while there are none."""


@attrs.define(repr=False)
class BackoffState:
    """The running back-off of one child: told of its failures, tells how long each one waits."""

    backoff: Backoff = attrs.field(factory=Backoff)
    _failures: int = attrs.field(default=0, init=False)
    _retry_at: float = attrs.field(default=-inf, init=False)

    def failed(self, at: float, rng: Random, *, up_for: float | None = None) -> float:
        """The child failed: how long, seconds, to wait before it runs again.

        Args:
            at: when it failed, seconds.
            rng: where the jitter comes from.
            up_for: how long the child had been up, seconds; 0 if it failed to start. By default the
                time since the last delay was over, which is right for a child that starts at once:
                tell it for one that may take as long as `quiet` to start, or to fail at starting.
        """
        if up_for is None:
            # Not from the last failure: a delay longer than `quiet` would then forgive a child that
            # has not run at all, and the back-off would start over for ever.
            up_for = at - self._retry_at
        if up_for >= self.backoff.quiet:
            self._failures = 0
        delay = self.backoff.delay(self._failures, rng)
        self._failures += 1
        self._retry_at = at + delay
        return delay

    def reset(self) -> None:
        """The child has proved itself (say, the far end greeted): forget its failures now."""
        self._failures = 0
        self._retry_at = -inf

    def statistics(self) -> BackoffStatistics:
        return BackoffStatistics(
            self._failures,
            self._retry_at,
            self._retry_at + self.backoff.quiet if self._failures else -inf,
        )

    def __repr__(self) -> str:
        if not self._failures:
            return "<BackoffState no failures>"
        return f"<BackoffState {self._failures} in a row, retry at {self._retry_at:.3f}>"
