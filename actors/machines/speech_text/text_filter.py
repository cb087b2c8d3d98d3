"""The filter between the model's text and the voice: cleans and verbalises, as text streams in.

Text is cut into *units* at white space where no markdown span, bracket or multi-word rule is open.
Where a unit ends depends on the text alone, never on how it was pushed; each unit is rewritten by
itself. So any way of pushing a text gives the same result, and nothing is looked at twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
from attrs.validators import in_, instance_of, optional

from actors.machines.speech_text.filter_rules import FilterRules
from actors.machines.speech_text.languages import language_code
from actors.machines.speech_text.markdown_rules import (
    LATIN_WORDS,
    collapse_gloss,
    holds_gloss,
    without_doubled_blank,
)
from actors.machines.speech_text.number_tables import HINT_SYMBOLS
from actors.machines.speech_text.tracked import Tracked, joined
from actors.machines.speech_text.units import UnitScanner

LONGEST_GLOSSED = 8
"""Latin words that wait for a gloss in parentheses behind them."""

_NON_LATIN_LETTER = re.compile(r"(?![\u2000-\u2bff])[^\W\d_\u0000-\u024f]")


@attrs.frozen
class FilterConfig:
    """What the filter does to an agent's text before it is spoken."""

    language: str = attrs.field(default="auto", converter=language_code)
    """Code of the spoken language ("en-US" counts as "en"). "auto": not known."""

    protect: bool = True
    """Whether addresses, paths and versions are kept from every other rule."""

    metadata: bool = True
    """Whether parentheses and CAPITALS: lines with an `=` in them are removed."""

    markdown: bool = True
    """Whether markdown is removed, code with it."""

    keep_inline_code: bool = False
    """Whether the text of inline code is spoken."""

    gloss: bool = True
    """Whether Latin words that are repeated in another script behind them are dropped."""

    punctuation: bool = True
    """Whether dots become an ellipsis and spaced hyphens a dash."""

    spell: str = attrs.field(default="none", validator=in_(("none", "cartesia", "digits")))
    """How telephone numbers and long digit runs are spelled: "none" (as written), "cartesia"
    (in <spell> tags) or "digits" (digits with blanks between)."""

    ranges: bool = True
    """Whether "5-10" is read as "5 to 10"."""

    currency: bool = True
    """Whether amounts are read in words."""

    currency_hint: str | None = attrs.field(
        default=None, validator=optional(in_(tuple(HINT_SYMBOLS)))
    )
    """Whose currency an ambiguous symbol means: "cad" makes "$5" Canadian. None: the symbol's
    own."""

    verbalise_numbers: bool | None = attrs.field(
        default=None, validator=optional(instance_of(bool))
    )
    """Whether numbers are read in words. None: as the language needs it."""

    symbols: bool = True
    """Whether & % # ~ × ÷ are read in words (English and "auto" only)."""

    emoji: bool = True
    """Whether pictographs are removed."""


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
        ready = self._tail
        for unit, line_context in self._units.push(text):
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
        begun = self._units.unfinished()
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
