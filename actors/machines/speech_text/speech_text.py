"""Filter and chunker joined: the model's text in, segments for the voice out.

Every segment knows where in the model's text each of its words comes from, so what was heard can
be told in the model's own words.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

import attrs

from actors.machines.speech_text.chunker import ChunkerConfig, RawChunker
from actors.machines.speech_text.filter_config import FilterConfig
from actors.machines.speech_text.languages import language_code
from actors.machines.speech_text.text_filter import TextFilter
from actors.machines.speech_text.tracked import Tracked, joined

_IDEOGRAM = "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAM}][^\w\s]*|[^\s{_IDEOGRAM}]+")


_PartConfig = TypeVar("_PartConfig", FilterConfig, ChunkerConfig)


@attrs.frozen
class SpokenWord:
    """A word as the voice says it, and the span of the source that it says.

    Several words may have one span ("two million" for "2M"). In Chinese and Japanese each
    character counts as a word.
    """

    text: str
    source_start: int
    source_end: int


@attrs.frozen
class Segment:
    """What the voice says in one go, and the part of the source that it covers."""

    text: str
    source_start: int
    """Where the segment before it ended: together the segments cover the source."""
    source_end: int
    words: Sequence[SpokenWord] = ()

    def heard(self, words: int) -> int:
        """The source position up to which all was heard when the first `words` words were.

        A source word of which only a part was said ("two" of "2M") does not count.
        """
        if words >= len(self.words):
            return self.source_end
        unheard = self.words[max(0, words)].source_start
        ends = [word.source_end for word in self.words[: max(0, words)]]
        return max((end for end in ends if end <= unheard), default=self.source_start)


@attrs.frozen
class SpeechTextConfig:
    """The way from the model's text to the voice."""

    language: str = attrs.field(default="auto", converter=language_code)
    """Code of the spoken language; holds for the two parts that name none themselves."""

    filtering: bool = True
    """Whether the text is cleaned and verbalised."""

    chunking: bool = True
    """Whether the text is cut into sentences; otherwise it goes on as it comes."""

    indic: bool = True
    """Whether a language of India is cut by the rules for those languages."""

    filter: FilterConfig = attrs.field(factory=FilterConfig)
    chunker: ChunkerConfig = attrs.field(factory=ChunkerConfig)


class SpeechText:
    """One agent's text stage. A turn is pushed as it is generated, then ended.

    Source positions count characters from the turn's start.
    """

    def __init__(self, config: SpeechTextConfig | None = None) -> None:
        self.config = SpeechTextConfig() if config is None else config
        language = self.config.language
        self.filter = TextFilter(_in_language(self.config.filter, language))
        chunker = _in_language(self.config.chunker, language)
        self._chunker = RawChunker(attrs.evolve(chunker, indic=chunker.indic or self.config.indic))
        self._reset()

    def _reset(self) -> None:
        self._pushed = 0  # characters of the source
        self._covered = 0
        self._waiting: deque[Tracked] = deque()  # filtered, not in a segment yet
        self._taken = 0  # characters of the first of these that are in a segment

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling; `inf` while nothing waits."""
        return self._chunker.deadline

    def __repr__(self) -> str:
        waiting = sum(len(part.text) for part in self._waiting) - self._taken
        return f"<SpeechText {self.config.language}: {self._pushed} in, {waiting} waiting>"

    def push(self, text: str, at: float) -> Sequence[Segment]:
        """What the model said, at time `at` (seconds). The segments that are complete."""
        return self._segments(self._chunked(self._filtered(text), at))

    def time_passed(self, at: float) -> Sequence[Segment]:
        """At the deadline, what can be spoken of the waiting text. Before it, nothing."""
        return self._segments(self._chunker.time_passed(at))

    def end(self, at: float) -> Sequence[Segment]:
        """The rest of the turn. The stage is then ready for the next one."""
        raw: Sequence[str] = []
        if self.config.filtering:
            raw = self._chunked(self.filter.end_tracked(), at)
        segments = list(self._segments([*raw, *self._chunker.end()]))
        if segments:
            # Marks and code behind the last word were said as far as they ever will be.
            segments[-1] = attrs.evolve(segments[-1], source_end=self._pushed)
        self._reset()
        return segments

    def _filtered(self, text: str) -> Tracked:
        offset = self._pushed
        self._pushed += len(text)
        if self.config.filtering:
            return self.filter.push_tracked(text)
        return Tracked.copied(text, offset)

    def _chunked(self, text: Tracked, at: float) -> Sequence[str]:
        if not text.text:
            return []
        self._waiting.append(text)
        return self._chunker.push(text.text, at) if self.config.chunking else [text.text]

    def _segments(self, raw: Sequence[str]) -> Sequence[Segment]:
        segments: list[Segment] = []
        for part in raw:
            tracked = self._next(len(part))
            if part.strip():
                segments.append(self._segment(tracked))
        return segments

    def _next(self, length: int) -> Tracked:
        """The next `length` characters of the filtered text."""
        parts: list[Tracked] = []
        while length:
            first = self._waiting[0]
            part = first.part(self._taken, self._taken + length)
            parts.append(part)
            length -= len(part.text)
            self._taken += len(part.text)
            if self._taken == len(first.text):
                self._waiting.popleft()
                self._taken = 0
        return joined(parts)

    def _segment(self, tracked: Tracked) -> Segment:
        words: list[SpokenWord] = []
        for match in _WORD.finditer(tracked.text):
            first, end = match.span()
            span = tracked.starts[first], max(tracked.ends[first:end])
            words.append(SpokenWord(match.group(), *span))
        start = self._covered
        self._covered = max(start, max(word.source_end for word in words))
        return Segment(tracked.text.strip(), start, self._covered, words)


def _in_language(config: _PartConfig, language: str) -> _PartConfig:
    return attrs.evolve(config, language=language) if config.language == "auto" else config
