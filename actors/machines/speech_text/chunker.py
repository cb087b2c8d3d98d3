"""The chunker: streamed text in, segments for the voice out, nothing waiting for ever."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

import attrs
from attrs.validators import ge, instance_of

from actors.machines.speech_text.custom_cutter import CustomCutter, Segmenter
from actors.machines.speech_text.cutter import Cutter
from actors.machines.speech_text.indic import INDIC_CHUNKED, INDIC_IDLE, IndicCutter
from actors.machines.speech_text.languages import language_code
from actors.machines.speech_text.terminators import STRONG, WEAK

SHORTEST_IDLE = 0.1
"""Seconds. Pauses between a model's tokens are often longer than anything below this."""


def _idle(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not isfinite(value) or value < 0:
        raise ValueError(f"'{attribute.name}' must be a finite number of seconds: {value}")


def _letters(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value or any(character.isalnum() or character.isspace() for character in value):
        raise ValueError(f"'{attribute.name}' must be punctuation: {value!r}")


def _characters(default: int) -> Any:
    return attrs.field(default=default, validator=[instance_of(int), ge(1)])


def _folded(words: frozenset[str] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(word.rstrip(".").casefold() for word in words)


def _strings(
    _: object, attribute: attrs.Attribute[frozenset[str] | None], value: frozenset[str] | None
) -> None:
    if "" in (value or ()):
        raise ValueError(f"'{attribute.name}' must be words: one of them is empty")


@attrs.frozen
class ChunkerConfig:
    """Where an agent's text is cut into segments for the voice."""

    language: str = attrs.field(default="auto", converter=language_code)
    """Code of the language, for its abbreviations. "auto": told by the script."""

    min_sentence_len: int = _characters(20)
    """Characters a segment has at least when a comma or the like ends it."""

    first_min_len: int = _characters(20)
    """The same for the first segment of a turn; fewer make the voice start earlier."""

    idle: float = attrs.field(default=0.15, validator=_idle)
    """Seconds without new text after which what is there is spoken; never below 0.1."""

    idle_min_len: int = _characters(12)
    """Characters that are worth speaking when the text pauses."""

    abbreviations: frozenset[str] | None = attrs.field(
        default=None,
        converter=_folded,
        validator=_strings,
    )
    """Abbreviations whose dot ends no sentence. None: the language's. Empty: none."""

    indic: bool = False
    """Whether a language of India is cut by its own rules: at sentences only, idle after 0.4
    seconds. The settings above then do not matter."""

    strong: str = attrs.field(default=STRONG, validator=_letters)
    """Characters that end a sentence (a newline always does)."""

    weak: str = attrs.field(default=WEAK, validator=_letters)
    """Characters that end a clause."""


def _cutter(config: ChunkerConfig) -> Cutter:
    if config.indic and config.language in INDIC_CHUNKED:
        return IndicCutter(config.language)
    return Cutter(
        config.language,
        config.min_sentence_len,
        config.first_min_len,
        config.abbreviations,
        config.strong,
        config.weak,
    )


class RawChunker:
    """Segments as they stand in the text, white space and all: together they are the text."""

    def __init__(
        self, config: ChunkerConfig | None = None, segmenter: Segmenter | None = None
    ) -> None:
        self.config = ChunkerConfig() if config is None else config
        self.deadline = inf
        """When `time_passed` is next worth calling; `inf` while nothing waits."""
        self._cutter = _cutter(self.config) if segmenter is None else CustomCutter(segmenter)
        self._idle = max(self.config.idle, SHORTEST_IDLE)
        self._idle_min_len = self.config.idle_min_len
        if isinstance(self._cutter, IndicCutter):
            self._idle, self._idle_min_len = max(self.config.idle, INDIC_IDLE), 1

    def push(self, text: str, at: float) -> Sequence[str]:
        """New text at time `at`. The segments that are complete; the last one always waits."""
        if not text:
            return []
        segments = self._cutter.push(text)
        worth_it = len(self._cutter.buffer) >= self._idle_min_len
        self.deadline = at + self._idle if worth_it else inf
        return segments

    def time_passed(self, at: float) -> Sequence[str]:
        """At the deadline, what can be spoken of the waiting text. Before it, nothing."""
        if at < self.deadline:
            return []
        self.deadline = inf
        return self._cutter.idle_cut(self._idle_min_len)

    def flush(self) -> Sequence[str]:
        """All that waits."""
        self.deadline = inf
        return self._cutter.rest()

    def end(self) -> Sequence[str]:
        """All that waits. The chunker is then ready for another turn."""
        segments = self.flush()
        self._cutter.reset()
        return segments


class Chunker:
    """Segments trimmed for the voice; blank ones vanish.

    Feed it with `push` as text arrives, call `time_passed` at `deadline`, and `end` the turn. A
    `segmenter` of your own replaces the rules about where to cut, not those about time.
    """

    def __init__(
        self, config: ChunkerConfig | None = None, segmenter: Segmenter | None = None
    ) -> None:
        self._raw = RawChunker(config, segmenter)
        self.config = self._raw.config

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling; `inf` while nothing waits."""
        return self._raw.deadline

    def push(self, text: str, at: float) -> Sequence[str]:
        """New text at time `at` (seconds). The segments that are complete."""
        return _trimmed(self._raw.push(text, at))

    def time_passed(self, at: float) -> Sequence[str]:
        """At the deadline, what can be spoken of the waiting text. Before it, nothing."""
        return _trimmed(self._raw.time_passed(at))

    def flush(self) -> Sequence[str]:
        """All that waits; the turn goes on."""
        return _trimmed(self._raw.flush())

    def end(self) -> Sequence[str]:
        """All that waits. The chunker is then ready for another turn."""
        return _trimmed(self._raw.end())


def _trimmed(segments: Sequence[str]) -> Sequence[str]:
    return [trimmed for segment in segments if (trimmed := segment.strip())]
