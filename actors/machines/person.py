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
    talked_over_since: float = inf
    """When this person's sound and the agent's were first heard together, in the interruption."""
    silence_at: float = inf
    """When the interrupted sound fell silent, for the turn's account."""
    overlapped: bool = False
    """The turn under way began while the agent was speaking."""
    warned_long: bool = False
    by_words: int = 0
    """Words by which alone the turn is known, as the detector hears nothing; 0 if it does."""
    _known: str = ""
    """What the recogniser may say once more: it was taken or dropped, perhaps before its final."""
    _known_end: float = -inf

    @property
    def away(self) -> bool:
        return self.away_since < inf

    def finished(self, unsettled: str, last_speech_at: float) -> None:
        """A turn was committed, or came to nothing; of this the final has not come yet."""
        self._known = f"{self._known} {unsettled}".strip()
        self._known_end = last_speech_at
        self.cut_agent = self.overlapped = self.warned_long = False
        self.silence_at = self.talked_over_since = inf
        self.by_words = 0

    def news(self, text: str, final: bool, start_at: float, end_at: float) -> str:
        """What a transcript says that the turns before did not say already.

        A recogniser repeats what is not final yet, and a final may come after its turn was
        committed with a partial text: it says the same again, and perhaps more.
        """
        if not self._known:
            return text
        if start_at >= self._known_end and end_at > self._known_end + LATE_FINAL:
            self._known = ""
            return text
        known, now = normalised(self._known).split(), normalised(text).split()
        if final:
            self._known = ""
        for overlap in range(min(len(known), len(now)), 0, -1):
            if known[-overlap:] == now[:overlap]:
                return " ".join(text.split()[overlap:])
        if now and now[0] in known and (start_at < self._known_end or now[0] == known[0]):
            # The same speech, understood a little differently; what came before it was settled.
            same = known[::-1].index(now[0]) + 1
            return " ".join(text.split()[same:])
        return text
