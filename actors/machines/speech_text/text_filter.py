"""The filter between the model's text and the voice: cleans and verbalises, as text streams in.

Text is cut into *units* at white space where no markdown span, bracket or multi-word rule is open.
Where a unit ends depends on the text alone, never on how it was pushed; each unit is rewritten by
itself. So any way of pushing a text gives the same result, and nothing is looked at twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from actors.machines.speech_text.filter_config import FilterConfig
from actors.machines.speech_text.filter_rules import FilterRules
from actors.machines.speech_text.markdown_rules import (
    LATIN_WORDS,
    collapse_gloss,
    holds_gloss,
    without_doubled_blank,
)
from actors.machines.speech_text.tracked import EMPTY, Tracked, joined
from actors.machines.speech_text.units import UnitScanner

LONGEST_GLOSSED = 8
"""Latin words that wait for a gloss in parentheses behind them."""

_NON_LATIN_LETTER = re.compile(r"(?![\u2000-\u2bff])[^\W\d_\u0000-\u024f]")


class TextFilter:
    """Cleans one turn's text: `push` what the model says, speak what comes back, then `end`."""

    def __init__(self, config: FilterConfig | None = None) -> None:
        self.config = FilterConfig() if config is None else config
        self.failures = 0
        """Units that a rule failed on; they were passed on as they were."""
        self.last_failure: Exception | None = None
        self._rules = FilterRules(self.config)
        self._reset()

    def _reset(self) -> None:
        self._units = UnitScanner(markdown=self.config.markdown, metadata=self.config.metadata)
        self._mixed = self.config.language not in _LATIN_OR_UNKNOWN
        self._after_blank = True
        self._tail: list[Tracked] = []

    def push(self, text: str) -> str:
        """The text that may be spoken now; "" while a span is open."""
        return self.push_tracked(text).text

    def end(self) -> str:
        """The rest of the turn. The filter is then ready for the next one."""
        return self.end_tracked().text

    def push_tracked(self, text: str) -> Tracked:
        """`push`, with the source span of every character."""
        units = list(self._units.push(text))
        if not units:
            return EMPTY  # what waits for a gloss goes on waiting
        ready = self._tail
        for unit, line_context in units:
            self._add(ready, self._rewritten(unit, line_context, final=False))
        held = self._held(ready)
        self._tail = ready[len(ready) - held :]
        return joined(ready[: len(ready) - held])

    def end_tracked(self) -> Tracked:
        """`end`, with the source span of every character."""
        ready = self._tail
        for unit, line_context in self._units.end():
            self._add(ready, self._rewritten(unit, line_context, final=True))
        self._reset()
        return joined(ready)

    def _rewritten(self, unit: Tracked, context: str, final: bool) -> Tracked:
        if not self._rules.concern(unit.text):
            return unit
        try:
            text = self._rules.apply(unit, context, final)
        except Exception as failure:  # noqa: BLE001 - an unclean sentence is better than none
            self.failures += 1
            self.last_failure = failure
            return unit
        if text.text.isspace() and not unit.text.isspace():
            return without_doubled_blank(text, self._after_blank)
        return text

    def _add(self, ready: list[Tracked], piece: Tracked) -> None:
        if not piece.text:
            return
        self._after_blank = piece.text[-1].isspace()
        self._mixed = self._mixed or _NON_LATIN_LETTER.search(piece.text) is not None
        if self.config.gloss and holds_gloss(piece.text):
            first = len(ready) - _trailing_latin(ready)
            piece = collapse_gloss(joined((*ready[first:], piece)))
            del ready[first:]
        ready.append(piece)

    def _held(self, ready: Sequence[Tracked]) -> int:
        """How many pieces at the end wait because a gloss may follow them.

        That is only likely where another script is spoken: elsewhere words wait only if their
        gloss has begun in the push that brought them.
        """
        if not self.config.gloss or not (self._mixed or self._gloss_begins()):
            return 0
        return _trailing_latin(ready)

    def _gloss_begins(self) -> bool:
        begun = self._units.unfinished(64)
        return begun.startswith("(") and holds_gloss(begun)


_LATIN_OR_UNKNOWN = frozenset(
    ("auto", "en", "de", "fr", "es", "pt", "it", "nl", "sv", "da", "no", "nb", "fi", "pl", "cs")
)


def _trailing_latin(pieces: Sequence[Tracked]) -> int:
    count = 0
    for piece in reversed(pieces):
        if count == LONGEST_GLOSSED or not LATIN_WORDS.fullmatch(piece.text):
            break
        count += 1
    return count
