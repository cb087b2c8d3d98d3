"""Deadlines: the moment after which an answer is of no use to whoever asked."""

from math import inf, isnan

import attrs
from attrs.validators import gt


@attrs.frozen(order=True)
class Deadline:
    """A moment on the node's clock, not a length of time, so it can be handed on unchanged: what is
    asked while answering inherits it, and the time already spent is spent for all.

    Another node's clock began elsewhere: send `remaining` there, and make a deadline of it again
    with `after`.
    """

    at: float = attrs.field(validator=gt(-inf))
    """The first moment at which it is too late, seconds; `inf` for none."""

    @classmethod
    def after(cls, now: float, seconds: float) -> "Deadline":
        """The deadline `seconds` from `now`; `inf` seconds for none.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """
        if isnan(seconds) or seconds < 0:
            raise ValueError(
                f"A deadline {seconds} s from now cannot be kept: give 0 for one that is over at "
                "once, or `inf` for none."
            )
        return cls(now + seconds)

    def remaining(self, now: float) -> float:
        """Seconds left: 0 once it is over, never less; `inf` if there is no deadline."""
        return inf if self.at == inf else max(0.0, self.at - now)

    def expired(self, now: float) -> bool:
        return self.at <= now and self.at != inf

    def tightest(self, other: "Deadline") -> "Deadline":
        """The earlier of the two."""
        return min(self, other)

    def within(self, now: float, seconds: float) -> "Deadline":
        """The deadline of a step that may take `seconds` itself and inherits this one.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """
        return self.tightest(Deadline.after(now, seconds))


NEVER = Deadline(inf)
"""No deadline: never expires, and every other one is tighter."""
