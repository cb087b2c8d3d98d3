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

from actors.machines.profiles import BALANCED, WINDOW, Profile

EVIDENCE_LAG = 0.04
"""Seconds that the detector's word is behind the sound: a window, and its way here."""

BACKCHANNEL_SECONDS = 1.0
"""Longer speech is no backchannel, whatever was understood of it."""

DUCK_SLACK = 0.1
"""Seconds beyond `hold_after` in which ducking proves to be for nothing."""

PAUSE_LAG = 2 * WINDOW
"""Seconds of silence that the detector hears before it tells of a pause."""

_EXACT = 1e-6
"""Seconds; what sums of times may differ by and still be the same."""


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

_UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿຀-໿က-႟ក-៿]{2}")
"""Two characters of a script that puts no spaces between words."""


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation.

    Where a script puts no spaces between them, two characters count as one.

    >>> words_of("Mm-hm, that's RIGHT!")
    ['mm-hm', "that's", 'right']
    >>> words_of("ちょっと待って")
    ['ちょ', 'っと', '待っ', 'て']
    """
    spaced = _UNSPACED.sub(r"\g<0> ", text)
    return [word.lower().replace("’", "'") for word in _WORD.findall(spaced)]


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
    unspaced = [phrase for phrase in phrases if _UNSPACED.search(phrase)]

    def test(text: str) -> bool:
        padded = f" {' '.join(words_of(text))} "
        return any(phrase in padded for phrase in known) or any(p in text for p in unspaced)

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
    _quiet_told: float = attrs.field(default=inf, init=False)
    """When that was told."""
    _run: int = attrs.field(default=0, init=False)
    _voiced: float = attrs.field(default=0.0, init=False)
    """Seconds of speech in this episode, as last told."""
    _over_before: float = attrs.field(default=0.0, init=False)
    """Seconds of the speech told that belong to episodes that are over."""
    _paused: float = attrs.field(default=0.0, init=False)
    """`_voiced` at the last pause."""
    _longest: float = attrs.field(default=0.0, init=False)
    """Seconds of the longest speech without a pause that has ended in this episode."""
    _sure: bool = attrs.field(default=False, init=False)
    """It is speech, not a click: so many windows in a row, or a word."""
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
        """This episode is over: what is heard from now on is another one."""
        self._over_before += self._voiced
        self._speech_since = self._quiet_since = self._quiet_told = inf
        self._voiced = self._paused = self._longest = 0.0
        self._run, self._sure, self._text = 0, False, ""

    def speech(self, voiced: float, run: int, at: float) -> Verdict | None:
        """There is speech: `voiced` seconds of it so far, the last `run` windows in a row."""
        if not self.profile.interruptible or not self.profile.hears_sound:
            return None
        if self.rung is Rung.CLEAR and at - run * WINDOW > self._quiet_told + DUCK_SLACK:
            self._forget()  # short sounds with pauses between them are not sustained speech
        if voiced <= WINDOW + _EXACT or voiced < self._over_before + self._voiced - _EXACT:
            self._over_before = self._paused = self._longest = 0.0  # the floor has begun anew
        self._quiet_since = self._quiet_told = inf
        self._voiced = max(0.0, voiced - self._over_before)
        self._speech_since = at - self._voiced
        self._run = run
        self._sure = self._sure or run >= self.profile.confirm_windows
        return self._look(at)

    def quiet(
        self, at: float, ended_at: float | None = None, voiced: float | None = None
    ) -> Verdict | None:
        """The speech has paused.

        Args:
            ended_at: when its last sound was made; by default as long ago as a pause takes to tell.
            voiced: seconds of it, as `speech` is told them; by default reckoned from the times.
        """
        if self._speech_since == inf:
            return None
        if voiced is None:
            self._voiced = max(self._voiced, at - PAUSE_LAG - self._speech_since)
        else:
            self._voiced = max(0.0, voiced - self._over_before)
        self._longest = max(self._longest, self._voiced - self._paused)
        self._paused = self._voiced
        self._speech_since = inf
        self._quiet_told = at
        self._quiet_since = min(at, at - PAUSE_LAG if ended_at is None else ended_at)
        self._run = 0
        if self.rung is Rung.HELD and self._text:
            verdict = self._weigh(at)
            if verdict is not None:
                return verdict
        return self._look(at)

    def click(self) -> Verdict | None:
        """It was no speech after all."""
        rung = self.rung
        self._forget()
        if rung is Rung.HELD:
            return self._resume(Why.NOISE)
        if rung is Rung.DUCKED:
            self.rung = Rung.CLEAR
            return Verdict.UNDUCK
        return None

    def words(self, text: str, at: float) -> Verdict | None:
        """This was understood of it so far."""
        profile = self.profile
        if not profile.interruptible or not profile.hears_words or not words_of(text):
            return None
        self._text = text
        self._sure = True
        return self._weigh(at)

    # -- deciding -------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling; inf if nothing is pending."""
        speaking = self._speech_since < inf
        if self.rung is Rung.HELD:
            return min(self._limit, self._cut_at if speaking else self._resume_at)
        if self.rung is Rung.DUCKED:
            return min(self._hold_at, self._unduck_at)
        return min(self._hold_at, self._duck_at) if speaking else inf

    def time_passed(self, at: float) -> Verdict | None:
        """The deadline came."""
        return None if at < self.deadline else self._look(at)

    # The detector tells only what changes: silence from it means that speech goes on. That is
    # known with a lag. What was told already is due at once.

    @property
    def _duck_at(self) -> float:
        return self._grace_until if self._run >= self.profile.duck_windows else inf

    @property
    def _hold_at(self) -> float:
        profile, since = self.profile, self._speech_since
        if since == inf:
            return inf
        if self._run >= profile.hold_windows or self._voiced >= profile.hold_after - _EXACT:
            return self._grace_until
        if not self._sure:
            return inf  # one window and something like it: not enough to fall silent for
        return max(self._grace_until, since + profile.hold_after + EVIDENCE_LAG)

    @property
    def _unduck_at(self) -> float:
        if self._speech_since == inf:
            return self._quiet_told + DUCK_SLACK
        return inf if self._sure else self._speech_since + self.profile.hold_after + DUCK_SLACK

    @property
    def _cut_at(self) -> float:
        limit = self.profile.cut_after
        if self._listening(self._text):
            limit = max(limit, BACKCHANNEL_SECONDS)  # it is not silent speech: it says "mm-hm"
        if self._voiced >= limit - _EXACT:
            return -inf
        return self._speech_since + limit + EVIDENCE_LAG

    @property
    def _resume_at(self) -> float:
        return self._quiet_since + self.profile.resume_after

    @property
    def _limit(self) -> float:
        own = self.profile.hold_max
        return self._held_at + (self.hold_max if own is None else own)

    def _look(self, at: float) -> Verdict | None:
        """What is due?"""
        speaking = self._speech_since < inf
        if self.rung is Rung.HELD:
            if speaking and at >= self._cut_at:
                return self._cut(Why.SPEECH)
            if not speaking and at >= self._resume_at:
                return self._resume(Why.TOO_SHORT if self._text else Why.NOISE)
            if at >= self._limit:
                return self._cut(Why.HOLD_MAX) if speaking else self._resume(Why.HOLD_MAX)
            return None
        if at >= self._hold_at:
            return self._cut(Why.SPEECH) if at >= self._cut_at else self._hold(at)
        if self.rung is Rung.DUCKED:
            if at >= self._unduck_at:
                self.rung = Rung.CLEAR
                self._forget()
                return Verdict.UNDUCK
            return None
        if speaking and at >= self._duck_at:
            self.rung = Rung.DUCKED
            return Verdict.DUCK
        return None

    def _listening(self, text: str) -> bool:
        """It is a sign of listening, as far as the words go."""
        heeds = self.profile.heeds_backchannels and not self.question
        return heeds and bool(text) and self.is_backchannel(text)

    def _stretch(self, at: float) -> float:
        """Seconds of the longest speech without a pause: short ones in a row do not add up."""
        going_on = self._voiced - self._paused
        if self._speech_since < inf:
            going_on = max(going_on, at - EVIDENCE_LAG - self._speech_since - self._paused)
        return max(self._longest, going_on)

    def _weigh(self, at: float) -> Verdict | None:
        """Words are there: what do they make of it?"""
        text, profile = self._text, self.profile
        if self.is_end_word(text):
            return self._cut(Why.END_WORDS)
        if self._listening(text) and self._stretch(at) < BACKCHANNEL_SECONDS:
            # Whoever is still speaking may go on to say more than "yes".
            if self.rung is Rung.HELD and self._speech_since == inf:
                return self._resume(Why.BACKCHANNEL)
            return None
        answer = self.question and self.is_backchannel(text)  # a "yes" is whole in one word
        if answer or len(words_of(text)) >= profile.words_to_cut:
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
