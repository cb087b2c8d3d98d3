"""Which provider speaks, listens or thinks: the first healthy one, from the first in the list.

A provider that fails is left alone for a while and then tried again; one that makes no *progress*
counts as failed, however open its socket is. Within one piece of work each is tried once.

Source: the specification's voice quality, 6.
"""

from __future__ import annotations

from math import inf

import attrs
from attrs.validators import ge

from models.faults import FaultKind

REST = {
    FaultKind.UNAUTHORIZED: 300.0,
    FaultKind.RATE_LIMITED: 10.0,
    FaultKind.REJECTED: 0.0,
    FaultKind.UNAVAILABLE: 5.0,
    FaultKind.TIMEOUT: 5.0,
    FaultKind.GARBLED: 5.0,
    FaultKind.BREAKER_OPEN: 5.0,
    FaultKind.CANCELLED: 0.0,
}
"""Seconds a provider is passed over after such a fault, if it does not say how long itself."""

ROUNDS = 2
"""Times that all providers are tried for one piece of work."""

RETRY_AFTER = 0.25
"""Seconds after all of them have failed until the next round."""


@attrs.define
class Chain:
    """The providers of one capability, as one user of them sees them."""

    size: int = attrs.field(validator=ge(1))
    _rest_until: list[float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rest_until = [-inf] * self.size

    def pick(self, at: float, tried: frozenset[int] = frozenset()) -> int | None:
        """The first that is not resting and not tried yet.

        If all that are left rest, the one whose rest ends first: trying beats silence. None if all
        were tried.
        """
        left = [index for index in range(self.size) if index not in tried]
        for index in left:
            if self._rest_until[index] <= at:
                return index
        return min(left, key=self._rest_until.__getitem__, default=None)

    def failed(self, index: int, kind: FaultKind, at: float, retry_after: float = 0.0) -> None:
        """It could not do it."""
        rest = at + (retry_after or REST[kind])
        self._rest_until[index] = max(self._rest_until[index], rest)

    def succeeded(self, index: int) -> None:
        """It did it: it need not rest any longer."""
        self._rest_until[index] = -inf


@attrs.define
class Progress:
    """A watch on one piece of work: it has to begin in time, and then to go on."""

    first_within: float
    """Seconds to the first useful result."""
    next_within: float
    """Seconds from each to the next, while more is due."""
    deadline: float = attrs.field(default=inf, init=False)
    """When it counts as failed; inf while nothing is due."""

    def asked(self, at: float) -> None:
        """Something was asked for."""
        if self.deadline == inf:
            self.deadline = at + self.first_within

    def came(self, at: float, more: bool) -> None:
        """Something useful came; `more` is due."""
        self.deadline = at + self.next_within if more else inf

    def stop(self) -> None:
        """Nothing is waited for."""
        self.deadline = inf
