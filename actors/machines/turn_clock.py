"""Where the time between a user's last word and the agent's first went.

Each part ends at an event, all on one clock; a part is the time since the event before it, so they
are never negative and always add up. What overlaps (the recogniser's final, the turn model) is told
beside them.

Source: the specification's voice quality, 9 and V8.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class Stage(enum.Enum):
    """The parts, in their order; each is named after what was waited for."""

    END_OF_TURN = "end_of_turn"
    """From the end of speech to the turn's commit."""
    HISTORY = "history"
    """From the commit until the agent had the turn: the utterance before was to be settled."""
    LLM = "llm"
    """To the model's first word; 0 if it was thought of before the commit."""
    TEXT = "text"
    """To the first piece of text that can be spoken."""
    TTS = "tts"
    """To the first sound of it."""
    PLAYOUT = "playout"
    """Until that sound was handed to the wire."""


_ORDER = tuple(Stage)


@attrs.frozen
class TurnLatency:
    """One turn's account. All in seconds."""

    turn: int
    parts: Mapping[str, float]
    total: float
    """From the end of speech to the first sound sent: the sum of the parts."""
    transcript: float | None = None
    """From the end of speech to the final words; overlaps `end_of_turn`."""
    barge_in: float | None = None
    """From the onset of the interrupting speech to silence, if it was one."""
    preemptive: bool = False
    """The answer had been thought of before the turn was over."""


@attrs.define
class TurnClock:
    """One turn's events as they come."""

    turn: int
    speech_ended_at: float
    transcript_at: float | None = None
    barge_in: float | None = None
    preemptive: bool = False
    _ends: dict[Stage, float] = attrs.field(factory=dict, init=False)

    def reached(self, stage: Stage, at: float) -> None:
        """What this part waited for has come; only the first time counts."""
        self._ends.setdefault(stage, at)

    @property
    def complete(self) -> bool:
        """The first sound has been sent."""
        return Stage.PLAYOUT in self._ends

    def latency(self) -> TurnLatency:
        """The account so far: a stage nobody reported took no time of its own."""
        begun = before = self.speech_ended_at
        end = max([begun, *self._ends.values()])
        last = self._ends.get(Stage.PLAYOUT, end)
        parts = {}
        for stage in _ORDER:
            # A stage may be over before the one ahead of it (a thought begun early): it then took
            # no time of its own. Nothing counts beyond the first sound.
            at = min(max(self._ends.get(stage, before), before), max(last, begun))
            parts[stage.value] = at - before
            before = at
        transcript = None
        if self.transcript_at is not None:
            transcript = max(0.0, self.transcript_at - begun)
        return TurnLatency(
            self.turn, parts, before - begun, transcript, self.barge_in, self.preemptive
        )
