"""The end-of-turn model: does it sound as if the person has finished?

Who asks keeps the request together with what it was asked about: an answer is worth something only
while no new speech has begun. The model is a hint and never a gate; a refusal or a timeout means
"no hint", and the longest delay stands.
"""

from __future__ import annotations

import attrs

from supervision import Request

RATE = 16_000
"""Samples per second of the sound that is judged."""
LONGEST = 8.0
"""Seconds that a model looks at; of more, the last ones count."""


@attrs.frozen
class TurnJudgement:
    """What the model thinks."""

    probability: float
    """That the turn is over, 0 to 1."""
    complete: bool
    """The probability reaches the configured threshold."""


@attrs.frozen
class JudgeTurn(Request[TurnJudgement]):
    """Is this turn over? Ask about 200 ms after the last speech.

    Refused where no model can be run, or if `pcm` is no sound.
    """

    pcm: bytes = attrs.field(repr=False)
    """Mono s16le at 16 kHz: the turn so far, from 500 ms before its onset to now."""
    transcript: str = attrs.field(default="", repr=False)
    """What was understood of it. A model that judges by the sound alone does without."""


TurnMessage = JudgeTurn
