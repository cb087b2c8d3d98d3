"""One leg of a call as the session sees it: a person who speaks, pauses, goes away, comes back."""

from __future__ import annotations

from math import inf

import attrs

from actors.machines.endpointing import EndOfTurn
from actors.machines.preemption import normalised
from actors.machines.user_floor import UserFloor

LATE_FINAL = 0.5
"""Seconds by which the end of a late final may lie behind the speech it is about."""


@attrs.define
class Person:
    """A leg's floor and turn, and what the session remembers about them."""

    leg: str
    floor: UserFloor
    turn: EndOfTurn
    ears_open: bool = False
    flush: int = 0
    """Number of the last request for final words."""
    away_since: float = inf
    cut_agent: bool = False
    """The turn under way has interrupted the agent."""
    silence_at: float = inf
    """When the interrupted sound fell silent, for the turn's account."""
    overlapped: bool = False
    """The turn under way began while the agent was speaking."""
    warned_long: bool = False
    _committed: str = ""
    _committed_end: float = -inf

    @property
    def away(self) -> bool:
        return self.away_since < inf

    def committed(self, text: str, last_speech_at: float) -> None:
        """A turn ended with this text."""
        self._committed, self._committed_end = text, last_speech_at
        self.forget_turn()

    def forget_turn(self) -> None:
        """No turn is under way any more."""
        self.cut_agent = self.overlapped = self.warned_long = False
        self.silence_at = inf

    def news(self, text: str, end_at: float) -> str:
        """What a final says that the last committed turn did not say already.

        A final that comes after its turn was committed with a partial text says the same again,
        and perhaps more.
        """
        if not self._committed or end_at > self._committed_end + LATE_FINAL:
            return text
        known, now = normalised(self._committed).split(), normalised(text).split()
        for overlap in range(min(len(known), len(now)), 0, -1):
            if known[-overlap:] == now[:overlap]:
                return " ".join(text.split()[overlap:])
        return text
