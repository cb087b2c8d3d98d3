"""An utterance in the speaker's hands: its pieces, and who was asked to speak them."""

from __future__ import annotations

from collections import deque

import attrs

from actors.machines.ledger import Ledger, Span
from actors.machines.speech_text import SpeechText
from models.words import Word

_EPSILON = 1e-6


@attrs.define
class Piece:
    """A sentence or less."""

    number: int
    text: str
    """As it is spoken."""
    source: str
    spans: tuple[Span, ...]
    filler: bool = False
    voice: int | None = None
    """Which one was asked; None while it waits."""
    take: int = 0
    """In which of the utterance's takes."""
    tried: frozenset[int] = frozenset()
    """Voices that have failed in this round."""
    rounds: int = 0
    """In which all have failed."""
    seconds: float = 0.0
    """Of sound that this voice made."""
    words: list[Word] = attrs.field(factory=list)
    """That it told."""
    over: bool = False
    """All its sound has come."""

    @property
    def finished(self) -> bool:
        """There is nothing left of it to speak."""
        return self.over or not self.text.strip()

    def keep_rest(self) -> tuple[str, tuple[Span, ...]] | None:
        """The voice has failed: what is left begins with the first unspoken word.

        Returns:
            What is left of the source, and its words; None if nothing was spoken.
        """
        if not self.seconds:
            return None
        spoken = sum(word.end <= self.seconds + _EPSILON for word in self.words)
        # Of a voice without word times nothing counts as spoken: better twice than not at all.
        left = self.spans[min(spoken, len(self.spans)) :]
        start = left[0].start if left else len(self.source)
        rest = self.source[start:]
        spans = tuple(Span(span.text, span.start - start, span.end - start) for span in left)
        self.text = " ".join(span.text for span in left)
        self.source, self.spans = rest, spans
        self.seconds, self.words = 0.0, []
        return rest, spans


@attrs.define
class Speech:
    """One utterance."""

    epoch: int
    text: SpeechText
    source: str = ""
    """What was to be said, as it came."""
    pieces: deque[Piece] = attrs.field(factory=deque)
    """Not finished yet, in order."""
    ledger: Ledger = attrs.field(factory=Ledger)
    """What the session knows too, in case it is the session that restarts."""
    count: int = 0
    takes: int = 0
    """Grows when a voice fails, so that a late answer of its is not taken for another's."""
    heard: float = 0.0
    """Seconds that were heard, as last told; told only when much waits to be."""
    waits: bool = False
    """All voices have failed, and are left alone for a moment."""
    complete: bool = False
    """No more text comes."""
    ended: bool = False

    @property
    def ahead(self) -> float:
        """Seconds of sound that nobody has heard yet, at most."""
        return self.ledger.seconds - self.heard
