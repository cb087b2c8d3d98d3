"""A leg's line: attached, lost for a while, or gone."""

from __future__ import annotations

import enum
from math import inf

import attrs
from attrs.validators import gt


class LineState(enum.Enum):
    """Where a line stands."""

    WAITING = "waiting"
    """Nobody has attached yet."""
    ATTACHED = "attached"
    AWAY = "away"
    GONE = "gone"


@attrs.define
class Line:
    """One person's line. Wires are numbered, so that an old one's end ends no new one."""

    away_max: float = attrs.field(default=20.0, validator=gt(0))
    """Seconds a lost line is waited for; and the first one, from the start."""
    state: LineState = attrs.field(default=LineState.WAITING, init=False)
    wire: int = attrs.field(default=0, init=False)
    """Number of the wire that is attached, or was last."""
    deadline: float = attrs.field(default=inf, init=False)
    """When it is given up; inf while there is a wire."""

    def began(self, at: float) -> None:
        """The leg exists, and waits for its wire."""
        self.deadline = at + self.away_max

    def attached(self) -> int | None:
        """A wire has come: its number; None if the line is gone."""
        if self.state is LineState.GONE:
            return None
        self.state = LineState.ATTACHED
        self.deadline = inf
        self.wire += 1
        return self.wire

    def lost(self, wire: int, at: float) -> bool:
        """That wire is no more; True if it was the one in use."""
        if self.state is not LineState.ATTACHED or wire != self.wire:
            return False
        self.state = LineState.AWAY
        self.deadline = at + self.away_max
        return True

    def hung_up(self) -> bool:
        """The far end left on purpose; True if that is news."""
        news = self.state is not LineState.GONE
        self.state = LineState.GONE
        self.deadline = inf
        return news

    def time_passed(self, at: float) -> bool:
        """True if the line is given up now."""
        if at < self.deadline:
            return False
        return self.hung_up()
