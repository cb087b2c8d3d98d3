"""The barge-in ladder: somebody speaks while the agent does. Duck, hold, then cut or resume.

Ducking costs nothing if it was a cough, holding costs a pause of 0.6 s, and only a cut costs the
sentence. So the first two come at once, by sound alone, and the last one needs words, or speech
that goes on.

Source: the specification's voice quality, 2 and 3.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from math import inf

import attrs

from actors.machines.profiles import BALANCED, Profile

EVIDENCE_LAG = 0.04
"""Seconds that the detector's word is behind the sound: a window, and its way here."""

BACKCHANNEL_SECONDS = 1.0
"""Longer speech is no backchannel, whatever was understood of it."""

DUCK_SLACK = 0.1
"""Seconds beyond `hold_after` in which ducking proves to be for nothing."""


class Rung(enum.Enum):
    """How far up the ladder somebody is."""

    CLEAR = "clear"
    DUCKED = "ducked"
    HELD = "held"


class Verdict(enum.Enum):
    """What is to be done."""

    DUCK = "duck"
    UNDUCK = "unduck"
    HOLD = "hold"
    RESUME = "resume"
    CUT = "cut"


class Why(enum.Enum):
    """Why an episode ended as it did."""

    WORDS = "words"
    SPEECH = "speech"
    END_WORDS = "end_words"
    NOISE = "noise"
    BACKCHANNEL = "backchannel"
    TOO_SHORT = "too_short"
    """Something was understood, but fewer words than the profile asks for."""
    HOLD_MAX = "hold_max"


_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation.

    >>> words_of("Mm-hm, that's RIGHT!")
    ["mm-hm", "that's", "right"]
    """
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def phrase_test(phrases: tuple[str, ...]) -> Callable[[str], bool]:
    """A test whether a whole text is one of these phrases, or several in a row ("yeah, okay")."""
    known = {" ".join(words_of(phrase.replace("-", " "))) for phrase in phrases}

    def test(text: str) -> bool:
        words = [part for word in words_of(text) for part in word.split("-")]
        reached = {0}
        for end in range(1, len(words) + 1):
            if any(s in reached and " ".join(words[s:end]) in known for s in range(end)):
                reached.add(end)
        return bool(words) and len(words) in reached

    return test


def contains_test(phrases: tuple[str, ...]) -> Callable[[str], bool]:
    """A test whether a text holds one of these phrases."""
    known = [f" {' '.join(words_of(phrase))} " for phrase in phrases]

    def test(text: str) -> bool:
        padded = f" {' '.join(words_of(text))} "
        return any(phrase in padded for phrase in known)

    return test


def _never(_text: str) -> bool:
    return False


@attrs.define
class BargeIn:
    """One utterance's ladder; `begin` starts anew.

    It is told of the user's sound while the agent is speaking or about to, and returns what is to
    be done. `deadline` is when `time_passed` is next worth calling.
    """

    profile: Profile = BALANCED
    is_backchannel: Callable[[str], bool] = _never
    is_end_word: Callable[[str], bool] = _never
    hold_max: float = 2.0
    rung: Rung = attrs.field(default=Rung.CLEAR, init=False)
    why: Why | None = attrs.field(default=None, init=False)
    """Why the last verdict was RESUME or CUT."""
    question: bool = attrs.field(default=False, init=False)
    """The agent's last finished sentence was a question: "yes" is an answer to it."""
    _grace_until: float = attrs.field(default=-inf, init=False)
    _speech_since: float = attrs.field(default=inf, init=False)
    """Where the speech that goes on now would have begun without pauses; inf while it is quiet."""
    _quiet_since: float = attrs.field(default=inf, init=False)
    _run: int = attrs.field(default=0, init=False)
    _voiced: float = attrs.field(default=0.0, init=False)
    _text: str = attrs.field(default="", init=False)
    _held_at: float = attrs.field(default=inf, init=False)

    # -- what happens ---------------------------------------------------------------------

    def begin(self) -> None:
        """Another utterance: nobody is on its ladder yet."""
        self.rung = Rung.CLEAR
        self._grace_until = -inf
        self._held_at = inf
        self._forget()

    def sounding(self, at: float) -> None:
        """It begins to sound. Who was speaking already, still is."""
        self._grace_until = at + self.profile.grace

    def _forget(self) -> None:
        self._speech_since = self._quiet_since = inf
        self._voiced, self._run, self._text = 0.0, 0, ""

    def speech(self, voiced: float, run: int, at: float) -> Verdict | None:
        """There is speech: `voiced` seconds of it so far, the last `run` windows in a row."""
        self._quiet_since = inf
        self._speech_since = at - voiced
        self._voiced, self._run = voiced, run
        return self._look(at)

    def quiet(self, at: float) -> Verdict | None:
        """The speech has paused."""
        if self._speech_since == inf:
            return None
        self._voiced = min(self._voiced, at - self._speech_since)
        self._speech_since = inf
        self._quiet_since = at
        self._run = 0
        if self.rung is Rung.HELD and self._text:
            return self._weigh(at)
        return None

    def click(self) -> Verdict | None:
        """It was no speech after all."""
        held = self.rung is Rung.HELD
        ducked = self.rung is Rung.DUCKED
        self._forget()
        if held:
            return self._resume(Why.NOISE)
        if ducked:
            self.rung = Rung.CLEAR
            return Verdict.UNDUCK
        return None

    def words(self, text: str, at: float) -> Verdict | None:
        """This was understood of it so far."""
        if not words_of(text):
            return None
        self._text = text
        return self._weigh(at)

    # -- deciding -------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling; inf if nothing is pending."""
        profile, since = self.profile, self._speech_since
        if self.rung is Rung.HELD:
            limit = self._held_at + self.hold_max
            if since < inf:
                return min(limit, since + profile.cut_after + EVIDENCE_LAG)
            return min(limit, self._quiet_since + profile.resume_after)
        if self.rung is Rung.DUCKED:
            if since < inf:
                return since + profile.hold_after + DUCK_SLACK
            return self._quiet_since + DUCK_SLACK
        if since < inf:  # within the grace, or speech too short as yet
            return max(self._grace_until, since + profile.hold_after + EVIDENCE_LAG)
        return inf

    def time_passed(self, at: float) -> Verdict | None:
        """The deadline came."""
        if at < self.deadline:
            return None
        if self._speech_since < inf:
            # The detector tells only what changes: silence from it means that speech goes on.
            self._voiced = max(self._voiced, at - EVIDENCE_LAG - self._speech_since)
        return self._look(at)

    def _look(self, at: float) -> Verdict | None:
        profile = self.profile
        speaking = self._speech_since < inf
        if self.rung is Rung.HELD:
            if speaking and self._voiced >= profile.cut_after - 1e-9:
                return self._cut(Why.SPEECH)
            if not speaking and at >= self._quiet_since + profile.resume_after:
                return self._resume(Why.TOO_SHORT if self._text else Why.NOISE)
            if at >= self._held_at + self.hold_max:
                return self._cut(Why.HOLD_MAX) if speaking else self._resume(Why.HOLD_MAX)
            return None
        if at < self._grace_until:
            return None
        if speaking and (
            self._run >= profile.hold_windows or self._voiced >= profile.hold_after - 1e-9
        ):
            return self._hold(at)
        if self.rung is Rung.DUCKED:
            since = self._speech_since + profile.hold_after if speaking else self._quiet_since
            if at >= since + DUCK_SLACK:
                self.rung = Rung.CLEAR
                self._forget()
                return Verdict.UNDUCK
            return None
        if speaking and self._run >= profile.duck_windows:
            self.rung = Rung.DUCKED
            return Verdict.DUCK
        return None

    def _weigh(self, at: float) -> Verdict | None:
        """Words are there: what do they make of it?"""
        text, profile = self._text, self.profile
        if self.is_end_word(text):
            return self._cut(Why.END_WORDS)
        short = self._voiced < BACKCHANNEL_SECONDS and not self.question
        if profile.heeds_backchannels and short and self.is_backchannel(text):
            # Whoever is still speaking may go on to say more than "yes".
            if self.rung is Rung.HELD and self._speech_since == inf:
                return self._resume(Why.BACKCHANNEL)
            return None
        if len(words_of(text)) >= profile.words_to_cut:
            return self._cut(Why.WORDS)
        return None

    def _hold(self, at: float) -> Verdict:
        self.rung = Rung.HELD
        self._held_at = at
        return Verdict.HOLD

    def _cut(self, why: Why) -> Verdict:
        self.rung = Rung.CLEAR
        self.why = why
        self._held_at = inf
        self._forget()
        return Verdict.CUT

    def _resume(self, why: Why) -> Verdict:
        self.rung = Rung.CLEAR
        self.why = why
        self._held_at = inf
        self._forget()
        return Verdict.RESUME
