"""Words in time."""

from __future__ import annotations

import attrs


@attrs.frozen
class Word:
    """A word and when it sounds, in seconds from the start of its stream or utterance."""

    text: str
    start: float
    end: float
