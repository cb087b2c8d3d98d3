"""How easily an agent is interrupted, and how long everybody waits: the numbers of the floors.

Defaults are those of the specification (voice quality, 2 to 4). What makes no sense is refused when
it is made, so that no call begins with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import attrs
from attrs.validators import ge, gt, in_, le, matches_re, optional

WINDOW = 0.032
"""Seconds of one window of the voice detector."""

DUCK_DB = -15.0
"""How much quieter the agent plays while somebody may be interrupting."""


@attrs.frozen
class Profile:
    """How easily an agent is interrupted. May be changed in mid-call; takes effect at once."""

    confirm_windows: int = attrs.field(default=2, validator=[ge(1), le(100)])
    """Windows of speech in a row until somebody counts as speaking."""
    duck_windows: int = attrs.field(default=1, validator=[ge(1), le(100)])
    """Windows of speech in a row until the agent plays quieter."""
    hold_after: float = attrs.field(default=0.064, validator=[gt(0), le(10)])
    """Seconds of speech until the agent falls silent, for the time being."""
    words_to_cut: int = attrs.field(default=1, validator=[ge(1), le(20)])
    """Understood words that make an interruption real."""
    heeds_backchannels: bool = True
    """"Mm-hm" is no interruption."""
    cut_after: float = attrs.field(default=0.7, validator=[gt(0), le(30)])
    """Seconds of speech that make an interruption real although no word was understood."""
    resume_after: float = attrs.field(default=0.6, validator=[gt(0), le(10)])
    """Seconds of silence after which the agent goes on if nothing was understood."""
    grace: float = attrs.field(default=0.25, validator=[ge(0), le(10)])
    """Seconds at the start of an utterance in which nothing ducks or holds it."""
    hears_sound: bool = True
    """Speech alone interrupts; otherwise only what is understood of it does."""
    hears_words: bool = True
    """What is understood interrupts; otherwise only how long somebody speaks does."""
    interruptible: bool = True
    """Anything interrupts at all."""
    hold_max: float | None = attrs.field(default=None, validator=optional([gt(0), le(30)]))
    """Seconds the agent stays silent for somebody of whom nothing is understood; by default what
    the floor's configuration says."""

    @cut_after.validator
    def _cut_needs_more_than_hold(self, _attribute: object, value: float) -> None:
        if value < self.hold_after:
            raise ValueError(
                f"cut_after is {value:g} s, but the agent only falls silent after hold_after = "
                f"{self.hold_after:g} s: make cut_after at least that"
            )

    @property
    def hold_windows(self) -> int:
        """`hold_after`, in windows of the detector."""
        return _windows(self.hold_after)


EAGER = Profile(1, 1, 0.032, 1, False, 0.3, 0.4, 0.0)
BALANCED = Profile()
CALM = Profile(2, 2, 0.3, 2, True, 1.2, 0.6, 0.5)

# The interruption modes of other specifications, as profiles of the same ladder. None of them
# ducks: the agent plays on, or is silent.


def vad_only(
    min_duration: float = 0.5, pause: float = 2.0, *, resume_on_false_interrupt: bool = False
) -> Profile:
    """So many seconds of speech interrupt; what is understood of it does not matter.

    Args:
        pause: seconds of silence before the agent goes on, or is interrupted for good.
        resume_on_false_interrupt: fall silent first; otherwise it is for good at once.
    Source: the agents' specification, 14.
    """
    held = resume_on_false_interrupt
    windows = _windows(min_duration)
    return Profile(
        duck_windows=windows,
        hold_after=min_duration,
        heeds_backchannels=False,
        cut_after=min_duration + pause if held else min_duration,
        resume_after=pause,
        grace=0.0,
        hears_words=False,
        hold_max=pause,
    )


def stt_only(min_words: int = 2) -> Profile:
    """So many words interrupt; sound does not.

    Source: the agents' specification, 14.
    """
    return Profile(words_to_cut=min_words, heeds_backchannels=False, grace=0.0, hears_sound=False)


def hybrid(
    min_duration: float = 0.5,
    min_words: int = 2,
    pause: float = 2.0,
    *,
    resume_on_false_interrupt: bool = False,
) -> Profile:
    """Speech or words interrupt, whichever is enough first.

    Source: the agents' specification, 14.
    """
    by_sound = vad_only(min_duration, pause, resume_on_false_interrupt=resume_on_false_interrupt)
    return attrs.evolve(by_sound, words_to_cut=min_words, hears_words=True)


def immediate(allow_during_first_ms: float = 0) -> Profile:
    """The first window of speech interrupts, except at the beginning of an utterance.

    Source: the rooms' specification, 25.7; so are the next three.
    """
    grace = allow_during_first_ms / 1000
    return Profile(1, 1, WINDOW, 1, False, WINDOW, grace=grace, hears_words=False)


def confirmed(min_speech_ms: float = 300, allow_during_first_ms: float = 0) -> Profile:
    """So much speech interrupts. Only what the detector takes for speech counts, not the time."""
    seconds = min_speech_ms / 1000
    return attrs.evolve(
        immediate(allow_during_first_ms),
        confirm_windows=2,
        duck_windows=_windows(seconds),
        hold_after=seconds,
        cut_after=seconds,
    )


def semantic(min_speech_ms: float = 300, allow_during_first_ms: float = 0) -> Profile:
    """So much speech silences the agent; it is cut unless that was a mere sign of listening.

    It needs a test for backchannels; who has none uses `confirmed`.
    """
    by_sound = confirmed(min_speech_ms, allow_during_first_ms)
    # No sign of listening is longer than a second, understood or not.
    cut_after = max(1.0, by_sound.hold_after)
    return attrs.evolve(by_sound, heeds_backchannels=True, hears_words=True, cut_after=cut_after)


def disabled() -> Profile:
    """Nothing interrupts; what was said meanwhile is answered when the agent has finished."""
    return Profile(interruptible=False)


def _windows(seconds: float) -> int:
    return max(1, math.ceil(seconds / WINDOW - 1e-9))


PROFILES = {
    "eager": EAGER,
    "balanced": BALANCED,
    "calm": CALM,
    "vad_only": vad_only(),
    "stt_only": stt_only(),
    "hybrid": hybrid(),
    "immediate": immediate(),
    "confirmed": confirmed(),
    "semantic": semantic(),
    "disabled": disabled(),
}


@attrs.frozen
class TurnConfig:
    """When a user's turn is over."""

    candidate_after: float = attrs.field(default=0.2, validator=[gt(0), le(5)])
    """Seconds of silence after which the words are asked for, and the end-of-turn model."""
    delay: float = attrs.field(default=0.5, validator=[gt(0), le(10)])
    """Seconds of silence that end a turn where there is no end-of-turn model."""
    min_delay: float = attrs.field(default=0.25, validator=[gt(0), le(10)])
    """Seconds of silence that end a turn the model takes for complete. Learns from the user's own
    pauses, and never falls below this."""
    min_delay_ceiling: float = attrs.field(default=1.0, validator=[gt(0), le(10)])
    """Seconds; what `min_delay` may grow to."""
    max_delay: float = attrs.field(default=2.5, validator=[gt(0), le(30)])
    """Seconds of silence that end a turn the model takes for unfinished."""
    threshold: float = attrs.field(default=0.5, validator=[ge(0), le(1)])
    """The model's probability from which a turn counts as complete."""
    mode: str = attrs.field(default="default", validator=in_(("default", "adaptive")))
    """"default": either delay; "adaptive": in between, by the model's probability."""
    transcript_wait: float = attrs.field(default=1.5, validator=[gt(0), le(10)])
    """Seconds after the last speech that a turn waits for its words, at most."""
    max_seconds: float = attrs.field(default=60.0, validator=[gt(0)])
    """A longer turn raises an event."""
    max_words: int = attrs.field(default=200, validator=ge(1))
    """A turn with more words raises an event."""

    def __attrs_post_init__(self) -> None:
        if self.max_delay < self.min_delay:
            raise ValueError(
                f"max_delay ({self.max_delay:g}) is below min_delay ({self.min_delay:g})"
            )
        if self.candidate_after > self.delay:
            raise ValueError(
                f"candidate_after ({self.candidate_after:g}) is beyond delay ({self.delay:g}): the "
                "words would only be asked for when the turn is over"
            )
        if self.min_delay_ceiling < self.min_delay:
            raise ValueError(
                f"min_delay_ceiling ({self.min_delay_ceiling:g}) is below min_delay"
                f" ({self.min_delay:g})"
            )


def wait_for_turn(
    waits: Sequence[float] = (0.5, 0.8),
    threshold: float = 0.75,
    mode: Literal["default", "adaptive"] = "default",
    candidate_after: float = 0.2,
) -> TurnConfig:
    """End of turn with two fixed waits, which begin when silence makes the turn a candidate.

    Args:
        waits: seconds after the candidate that end a turn which seems complete, and one that
            does not. Without a model all turns seem complete. "adaptive" is in between.
    Raises:
        ValueError: not two finite numbers, not negative, the shorter first; or a bad threshold,
            mode or `candidate_after`.
    Source: the agents' specification, 12.
    """
    numbers = all(isinstance(wait, (int, float)) for wait in waits)
    if not numbers or len(waits) != 2 or not 0 <= waits[0] <= waits[1] < math.inf:
        raise ValueError(f"waits are two numbers of seconds, 0 <= shorter <= longer, not {waits}")
    short, long = (candidate_after + wait for wait in waits)
    return TurnConfig(
        candidate_after=candidate_after,
        delay=short,
        min_delay=short,
        min_delay_ceiling=short,
        max_delay=long,
        threshold=threshold,
        mode=mode,
    )


ENGLISH_BACKCHANNELS = (
    "ah", "aha", "alright", "cool", "good", "great", "got it", "hm", "hmm", "i see", "mhm", "mm",
    "mm hm", "mm hmm", "mmhm", "nice", "oh", "ok", "okay", "right", "sure", "uh", "uh huh", "um",
    "uhhuh", "wow", "yeah", "yep", "yes",
)  # fmt: skip

ENGLISH_END_WORDS = ("goodbye", "bye", "hang up", "stop", "operator", "transfer me", "wait")


@attrs.frozen
class FloorConfig:
    """Everything that is said and waited for between a user and an agent."""

    profile: str = attrs.field(default="balanced", validator=in_(tuple(PROFILES)))
    """How easily the agent is interrupted: eager, balanced or calm; or, as elsewhere, vad_only,
    stt_only, hybrid, immediate, confirmed, semantic or disabled."""
    turn: TurnConfig = attrs.field(factory=TurnConfig)
    hold_max: float = attrs.field(default=2.0, validator=[gt(0), le(30)])
    """Seconds the agent stays silent for somebody of whom nothing is understood."""
    hold_max_fast: float = attrs.field(default=0.6, validator=[gt(0), le(30)])
    """The same where the recogniser is known to answer fast."""
    filler_after: float = attrs.field(default=1.5, validator=[gt(0), le(60)])
    """Seconds of silence before an answer after which a filler is spoken."""
    filler_every: float = attrs.field(default=4.0, validator=[gt(0), le(60)])
    """Seconds between two fillers, at least."""
    fillers: tuple[str, ...] = ("One moment, please.", "Still looking.", "Thank you for waiting.")
    """Spoken in turn; none, and silence it is."""
    give_up_after: float = attrs.field(default=15.0, validator=[gt(0), le(600)])
    """Seconds without an answer until the apology is spoken instead."""
    apology: str = attrs.field(
        default="I am sorry, something went wrong here. Could you say that again?",
        validator=matches_re(r"(?s).*\S.*"),
    )
    """Spoken when there will be no answer."""
    did_not_catch: str = "Sorry, I did not catch that."
    """Spoken when the user interrupted and nothing was understood."""
    line_is_back: str = "I am back. As I was saying:"
    """Spoken before an interrupted utterance goes on, when a lost line returns late."""
    line_is_back_after: float = attrs.field(default=5.0, validator=[ge(0), le(600)])
    """Seconds a line may be lost without `line_is_back`."""
    leg_away_max: float = attrs.field(default=20.0, validator=[gt(0), le(3600)])
    """Seconds a lost line is waited for."""
    backchannels: tuple[str, ...] = ENGLISH_BACKCHANNELS
    """What is said while listening, and means no interruption: lower case, no punctuation."""
    end_words: tuple[str, ...] = ENGLISH_END_WORDS
    """What always interrupts, however short."""
    preemptive: bool = True
    """Begin to think when the words are there, before the turn is over."""
    preemptive_max: int = attrs.field(default=3, validator=[ge(1), le(20)])
    """Thoughts begun before one turn is over, at most."""
    preemptive_max_seconds: float = attrs.field(default=10.0, validator=[gt(0), le(600)])
    """Turns longer than this are not thought about before they are over."""
    max_utterance: float = attrs.field(default=120.0, validator=[gt(0), le(3600)])
    """Seconds of sound that may wait to be played."""
