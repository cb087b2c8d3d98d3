"""End of turn: has this person said what they wanted to say?

A pause of 200 ms makes a *candidate*: the recogniser is asked for its final words, and the
end-of-turn model (if any) for its opinion. The turn ends once the silence is long enough for that
opinion *and* the words are there, or can no longer be waited for.

Source: the specification's voice quality, 4.
"""

from __future__ import annotations

import enum
from collections import deque
from math import ceil, inf

import attrs

from actors.machines.profiles import TurnConfig

LEARNING = 0.9
"""Weight of what is known of a user's pauses when another one is learnt."""


ENOUGH_ANSWERS = 10
"""Answers of a recogniser from which it is judged by them."""


class TurnStep(enum.Enum):
    """What is to be done for a turn."""

    CANDIDATE = "candidate"
    """Ask for the final words, and for the model's opinion."""
    COMMIT = "commit"
    """It is over, and this is its text."""
    EMPTY = "empty"
    """It is over, and nothing was understood."""


@attrs.define
class AnswerTimes:
    """How long a recogniser takes to its final words: the 99th percentile of the newest 200."""

    default: float = 1.0
    _seen: deque[float] = attrs.field(factory=lambda: deque(maxlen=200), init=False)
    _p99: float | None = attrs.field(default=None, init=False)

    def add(self, seconds: float) -> None:
        """A final came so long after the speech had ended."""
        self._seen.append(max(0.0, seconds))
        if len(self._seen) >= ENOUGH_ANSWERS:
            ordered = sorted(self._seen)
            self._p99 = ordered[ceil(0.99 * len(ordered)) - 1]

    @property
    def p99(self) -> float:
        """Seconds; the default until there are ten to judge by."""
        return self.default if self._p99 is None else self._p99


@attrs.define
class EndOfTurn:
    """One person's turns. Times are the node's seconds."""

    config: TurnConfig = attrs.field(factory=TurnConfig)
    has_model: bool = False
    hears: bool = True
    """There is a recogniser; without one nothing is waited for."""
    answer_times: AnswerTimes = attrs.field(factory=AnswerTimes)
    token: int = attrs.field(default=0, init=False)
    """Number of the present pause: an opinion about another one is stale."""
    started_at: float = attrs.field(default=inf, init=False)
    _finals: list[str] = attrs.field(factory=list, init=False)
    _partial: str = attrs.field(default="", init=False)
    _last_speech: float = attrs.field(default=inf, init=False)
    """When the speech ended; inf while it goes on, and outside turns."""
    _asked: bool = attrs.field(default=False, init=False)
    _final_came: bool = attrs.field(default=False, init=False)
    """The words up to this pause are there."""
    _opinion: float | None = attrs.field(default=None, init=False)
    _learnt: float = attrs.field(default=0.0, init=False)
    _may_learn: bool = attrs.field(default=True, init=False)

    @property
    def text(self) -> str:
        """What was understood of this turn so far."""
        return " ".join([*self._finals, *([self._partial] if self._partial else [])])

    @property
    def final(self) -> bool:
        """All of `text` is final."""
        return not self._partial

    @property
    def open(self) -> bool:
        """A turn is under way."""
        return self.started_at < inf

    @property
    def last_speech_at(self) -> float:
        """When its last speech ended; inf while it goes on."""
        return self._last_speech

    @property
    def min_delay(self) -> float:
        """The short delay, as learnt from this user's pauses."""
        low, high = self.config.min_delay, self.config.min_delay_ceiling
        return min(max(self._learnt, low), high)

    # -- what happens ---------------------------------------------------------------------

    def speech(self, at: float) -> None:
        """Speech begins, or goes on after a pause."""
        if self._last_speech < inf and self._may_learn:
            pause = at - self._last_speech
            if 0 < pause <= self.config.max_delay:
                # From within the bounds, so that one odd pause is not paid for by many turns.
                self._learnt = LEARNING * self.min_delay + (1 - LEARNING) * pause
        self._may_learn = True
        self.started_at = min(self.started_at, at)
        self.token += 1
        self._last_speech = inf
        self._asked = self._final_came = False
        self._opinion = None

    def pause(self, last_speech_at: float) -> None:
        """Speech has paused."""
        self.started_at = min(self.started_at, last_speech_at)
        self._last_speech = last_speech_at

    def agent_spoke(self) -> None:
        """The agent said something meanwhile: this pause says nothing about the user."""
        self._may_learn = False

    def transcript(self, text: str, final: bool, at: float) -> None:
        """The recogniser says what it understood since its last final."""
        text = text.strip()
        if not final:
            self._partial = text
            return
        self._partial = ""
        if text:
            self._finals.append(text)
        if self._last_speech < inf and not self._final_came:
            self._final_came = True
            self.answer_times.add(at - self._last_speech)

    def opinion(self, token: int, probability: float) -> None:
        """The end-of-turn model has answered; stale if speech has begun since it was asked."""
        if token == self.token and self._asked:
            self._opinion = min(1.0, max(0.0, probability))

    # -- deciding -------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling."""
        if self._last_speech == inf:
            return inf
        if not self._asked:
            return self._last_speech + self.config.candidate_after
        return max(self._silence_until, self._words_until)

    @property
    def _silence_until(self) -> float:
        config = self.config
        if not self.has_model:
            return self._last_speech + config.delay
        p = self._opinion
        if p is None:
            # The opinion is awaited no longer than the delay without one.
            return self._last_speech + config.delay
        if config.mode == "adaptive":
            low = self.min_delay
            return self._last_speech + low + (config.max_delay - low) * (1 - p)
        return self._last_speech + (self.min_delay if p >= config.threshold else config.max_delay)

    @property
    def _words_until(self) -> float:
        # A partial behind the final says that there is more to come; unless it is taken back, as
        # small recognisers do that hear a word in every breath.
        if (self._final_came and not self._partial) or not self.hears:
            return self._last_speech
        limit = self.config.transcript_wait
        if self.text:  # what is there is used when the recogniser is later than it ever is
            return self._last_speech + min(limit, self.answer_times.p99)
        return self._last_speech + limit

    def time_passed(self, at: float) -> TurnStep | None:
        """The deadline came: the step that is due, if one is."""
        if at < self.deadline:
            return None
        if not self._asked:
            self._asked = True
            return TurnStep.CANDIDATE
        return TurnStep.COMMIT if self.text else TurnStep.EMPTY

    def take(self) -> str:
        """The turn is over: its text; another one may begin."""
        text = self.text
        self.drop()
        return text

    def drop(self) -> None:
        """Forget this turn, words and all."""
        self._finals.clear()
        self._partial = ""
        self.started_at = self._last_speech = inf
        self.token += 1
        self._asked = self._final_came = False
        self._opinion = None
