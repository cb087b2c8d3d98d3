"""One utterance of the agent, from its first thought to what history holds of it."""

from __future__ import annotations

import enum
from collections.abc import Collection
from math import inf

import attrs

from actors.machines.ledger import Ledger, join
from actors.machines.turn_clock import TurnClock


@attrs.define
class Utterance:
    """What the session knows of the utterance that has the agent's floor."""

    epoch: int
    """Its number: messages that carry another one are about the dead."""
    turn: int
    """The user's turn that it answers; 0 before the first."""
    agent: str
    begun_at: float
    """When it was decided on: the turn was committed, or the agent wanted to speak."""
    protected: bool = False
    """It may not be interrupted."""
    clock: TurnClock | None = None
    audience: set[str] = attrs.field(factory=set)
    """Legs that were there when it began: whoever comes later hears the next one."""
    ledger: Ledger = attrs.field(factory=Ledger)
    text: str = ""
    """All that is to be said, once it is known."""
    pieces: str = ""
    """What of it has come as pieces; fillers do not count."""
    generating: bool = True
    """More text may come."""
    voicing: bool = True
    """More sound may come."""
    token_at: float = inf
    """When the answer's first text came."""
    audible_since: float = inf
    """When its first sound was handed to a wire."""
    silent_since: float = inf
    """When the sound that was there ran out, with more due."""
    silent_at: float = 0.0
    """At that position: that a far end has played up to it is no news of more sound."""
    held: bool = False
    rejoin_by: float = inf
    """Until when it is known at the latest where to go on on a wire that has replaced another."""
    exact: set[str] = attrs.field(factory=set)
    """Legs whose position is known exactly, since it was held."""
    positions: dict[str, float] = attrs.field(factory=dict)
    """Seconds that each leg has heard."""
    drained: set[str] = attrs.field(factory=set)
    """Legs that have heard all of it."""

    @property
    def audible(self) -> bool:
        """Somebody has been sent sound of it."""
        return self.audible_since < inf

    def rest(self, position: float) -> str:
        """What was not heard, also if the speaker had not got to it."""
        unheard = self.ledger.rest(position) if self.audible else self.ledger.text
        came = sum(map(str.isalnum, self.pieces))
        at = 0
        while came and at < len(self.text):
            came -= self.text[at].isalnum()
            at += 1
        tail = self.text[at:]
        return join([unheard, tail]) if any(map(str.isalnum, tail)) else unheard

    def position(self, present: Collection[str]) -> float:
        """Seconds that everybody has heard who is there; if nobody is, who was."""
        there = [seconds for leg, seconds in self.positions.items() if leg in present]
        return min(there or self.positions.values(), default=0.0)


class GoesOn(enum.Enum):
    """What is to follow an utterance that a fault has ended."""

    NOTHING = "nothing"
    REST = "rest"
    """Its text was complete: what was not heard of it is said anew."""
    AGAIN = "again"
    """The agent is asked again, and finds in history how far it got."""
    BACK = "back"
    """As REST, after a word that the line is back."""


@attrs.define
class Closing:
    """An utterance that was cut; its position is being asked for."""

    utterance: Utterance
    awaited: set[str]
    """Legs that have not told where they stopped."""
    deadline: float
    goes_on: GoesOn = GoesOn.NOTHING
