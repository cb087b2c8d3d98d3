"""A token bucket: so many calls a second on average, and no more than a burst at once."""

from math import inf

import attrs
from attrs.validators import ge, le

# Seconds. A caller who sleeps for the delay it was told wakes at a time that was rounded, so a
# token may still lack its last billionth. This is below any timer, and above that rounding even for
# times counted from 1970.
_ROUNDING = 0.5e-6


@attrs.define(eq=False)
class BurstExceeded(ValueError):
    """More tokens were asked for than the bucket ever holds; nothing was taken."""

    wanted: float
    burst: float

    def __str__(self) -> str:
        return (
            f"{self.wanted:g} tokens at once will never be there: the bucket holds {self.burst:g}. "
            "Ask for fewer at a time, or give the bucket a larger burst."
        )


@attrs.frozen
class BucketStatistics:
    """What a bucket held at the latest time it was told of."""

    tokens: float
    """Tokens there at `as_of`; below zero they are promised to callers who are still waiting."""
    as_of: float
    """The latest time the bucket was told of, seconds; `-inf` before the first."""
    rate: float
    burst: float


# No checks on assignment: with them every assignment, of state too, costs 0.3 us rather than 0.03.
@attrs.define(repr=False, on_setattr=attrs.setters.NO_OP)
class TokenBucket:
    """Holds up to `burst` tokens, starts full and gains `rate` of them a second.

    `reserve` makes a caller wait its turn, `try_take` turns it away; both may be used on one
    bucket, and nobody overtakes a reservation. Calls begun within any `t` seconds take at most
    `burst + rate * t` tokens.

    A time before the latest one the bucket was told of counts as that latest time: a clock that
    steps back neither loses tokens nor makes any.

    Source: J. Turner, "New directions in communications", IEEE Communications Magazine, 1986.
    """

    # The bounds keep every quotient finite: one token in thirty years, a billion a second.
    rate: float = attrs.field(validator=[ge(1e-9), le(1e9)])
    """Tokens a second; 1/60 is one a minute."""

    burst: float = attrs.field(validator=[ge(1.0), le(1e9)])
    """The most tokens it holds. By default one second's worth, but at least one: with a rate below
    1/s there would otherwise never be a whole token."""

    _tokens: float = attrs.field(init=False)
    _as_of: float = attrs.field(default=-inf, init=False)

    @burst.default
    def _one_second_of_tokens(self) -> float:
        return max(1.0, self.rate)

    @_tokens.default
    def _full(self) -> float:
        return self.burst

    def delay(self, at: float, n: float = 1) -> float:
        """How long, seconds, `reserve` would make a caller wait who came now; takes nothing.

        For callers with limited patience: a reservation cannot be returned, so look first.

        Raises:
            BurstExceeded: `n` is more than the burst.
            ValueError: `n` is not positive.
        """
        if not 0 < n <= self.burst:
            raise self._impossible(n)
        self._refill(at)
        wait = (n - self._tokens) / self.rate
        return wait if wait > _ROUNDING else 0.0

    def reserve(self, at: float, n: float = 1) -> float:
        """Take `n` tokens now, or promise them: how long, seconds, the caller has to wait for them.

        Raises:
            BurstExceeded: `n` is more than the burst.
            ValueError: `n` is not positive.
        """
        wait = self.delay(at, n)
        self._tokens -= n
        return wait

    def try_take(self, at: float, n: float = 1) -> bool:
        """Take `n` tokens if they are there now and promised to nobody; else take nothing.

        Raises:
            BurstExceeded: `n` is more than the burst.
            ValueError: `n` is not positive.
        """
        if self.delay(at, n) > 0:
            return False
        self._tokens -= n
        return True

    def statistics(self) -> BucketStatistics:
        return BucketStatistics(self._tokens, self._as_of, self.rate, self.burst)

    def _refill(self, at: float) -> None:
        # Tokens as of a time, rather than the time when the bucket will be full: close times
        # subtract exactly, whereas small steps added to a large time are rounded every time, and a
        # fast bucket would drift off its rate.
        if at > self._as_of:
            self._tokens = min(self.burst, self._tokens + (at - self._as_of) * self.rate)
            self._as_of = at

    def _impossible(self, n: float) -> ValueError:
        if n > self.burst:
            return BurstExceeded(n, self.burst)
        return ValueError(f"{n} tokens cannot be taken: ask for a positive number.")

    def __repr__(self) -> str:
        return f"<TokenBucket {self._tokens:g} of {self.burst:g} tokens, {self.rate:g}/s>"
