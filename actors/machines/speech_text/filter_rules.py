"""The filter's rules in their order, put together for one configuration."""

from __future__ import annotations

import re

from actors.machines.speech_text import markdown_rules, verbalise
from actors.machines.speech_text.filter_config import FilterConfig
from actors.machines.speech_text.number_tables import (
    INDIC_LANGUAGES,
    SYMBOL_CURRENCIES,
    number_language,
)
from actors.machines.speech_text.tokens import ADDRESS
from actors.machines.speech_text.tracked import PLACEHOLDER, Tracked, joined

# Most units are a word and a blank. What has none of these is no rule's business.
_CONCERNED = re.compile(
    "[\\d*_`\\[\\]()#>|&%~≈×÷=@/\\\\+\\-−–"
    f"{''.join(SYMBOL_CURRENCIES)}]|\\.\\.\\.|www\\.|:\\\\|{markdown_rules.PICTOGRAPHS.pattern}"
)


class FilterRules:
    """Rules 1 to 12, each where the configuration and the language want it."""

    def __init__(self, config: FilterConfig) -> None:
        self._config = config
        self._steps = _number_steps(config)

    def concern(self, unit: str) -> bool:
        """Whether any rule may have something to do."""
        return _CONCERNED.search(unit) is not None

    def apply(self, unit: Tracked, context: str, final: bool) -> Tracked:
        """The unit rewritten. `context` stands for the characters before it."""
        config = self._config
        kept: list[Tracked] = []
        before = Tracked(context, [0] * len(context), [0] * len(context))
        text = joined((before, unit)).protect(PLACEHOLDER, kept)
        text = text.protect(verbalise.SPELL_TAG, kept)
        if config.protect:
            text = text.protect(ADDRESS, kept)
        if config.metadata:
            text = markdown_rules.remove_metadata(text)
        if config.markdown:
            text = markdown_rules.remove_markdown(text, config.keep_inline_code, final)
        if config.punctuation:
            text = verbalise.tidy_punctuation(text)
        if config.spell == "cartesia":
            text = verbalise.spell_for_cartesia(text, kept)
        elif config.spell == "digits":
            text = verbalise.spell_digits(text)
        else:
            text = text.protect(verbalise.PHONE_LIKE, kept)
        for step in self._steps:
            text = step(text)
        if config.emoji:
            text = markdown_rules.remove_pictographs(text)
        return text.part(len(context)).restore(kept)


def _number_steps(config: FilterConfig) -> list[verbalise.Rule]:
    language = config.language
    words = number_language(language)
    english = language in ("en", "auto")
    steps: list[verbalise.Rule] = []
    if config.ranges:
        say_range = verbalise.range_rule(language, not english or config.spell == "cartesia")
        if say_range is not None:
            steps.append(say_range)
    if config.symbols and english:
        steps.append(verbalise.say_symbols)
    if config.currency and words is not None:
        hint = config.currency_hint or ("inr" if language in INDIC_LANGUAGES else None)
        steps.append(verbalise.amount_rule(words, hint))
    verbalised = config.verbalise_numbers
    if verbalised is None:
        verbalised = words is not None and language != "auto"
    if verbalised and words is not None:
        steps.append(verbalise.cardinal_rule(words))
    return steps
