"""Whether the engine is well enough to be used, as a machine: times go in, a state comes out.

CHECKING --it runs--> WELL --`failures` batches in a row failed--> RESTING
    |                  ^                                            ^ | after `rest`: check
    |                  +---------------- it runs -------------------|-+
    +------------------------- it does not run ---------------------+
"""

from __future__ import annotations

import enum
from math import inf

import attrs


class Health(enum.Enum):
    """What the detector knows of its engine."""

    CHECKING = "checking"
    """It was asked for the first time whether it runs."""
    WELL = "well"
    RESTING = "resting"
    """It is left alone, and the energy engine does its work."""


@attrs.define
class EngineHealth:
    """One engine's. Seconds on one clock."""

    failures: int
    rest: float
    state: Health = attrs.field(default=Health.CHECKING, init=False)
    reason: str = attrs.field(default="", init=False)
    """What went wrong last; "" after it proved to run."""
    deadline: float = attrs.field(default=inf, init=False)
    """When it is worth another check; `inf` while there is none to make."""
    _in_a_row: int = attrs.field(default=0, init=False)

    def runs(self) -> None:
        """The check was answered."""
        self.state, self.reason, self.deadline, self._in_a_row = Health.WELL, "", inf, 0

    def does_not_run(self, reason: str, at: float) -> None:
        """The check failed."""
        self.state, self.reason, self.deadline = Health.RESTING, reason, at + self.rest

    def worked(self) -> None:
        """A batch came back."""
        self._in_a_row = 0

    def failed(self, reason: str, at: float) -> None:
        """A batch did not come back."""
        self._in_a_row += 1
        if self._in_a_row >= self.failures:
            self.does_not_run(reason, at)

    def time_passed(self, at: float) -> bool:
        """Whether the engine is to be checked now. It goes on resting until it has answered."""
        if at < self.deadline:
            return False
        self.deadline = inf
        return True
