"""What can be configured about the filter."""

from __future__ import annotations

import attrs
from attrs.validators import in_, instance_of, optional

from actors.machines.speech_text.languages import language_code
from actors.machines.speech_text.number_tables import HINT_SYMBOLS


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
