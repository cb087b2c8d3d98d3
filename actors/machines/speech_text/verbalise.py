"""Rules that say in words what a voice would stumble over: amounts, numbers, ranges, symbols."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from actors.machines.speech_text.number_tables import (
    HINT_SYMBOLS,
    RANGE_WORDS,
    SCALE_LETTERS,
    SCALE_WORDS,
    SYMBOL_CURRENCIES,
    NumberLanguage,
)
from actors.machines.speech_text.number_words import Quantity
from actors.machines.speech_text.tracked import Tracked

Rule = Callable[[Tracked], Tracked]

_BLANK = "[ \u00a0\u202f]"
_SYMBOLS = "".join(SYMBOL_CURRENCIES)

_DOTS = re.compile(r"\.{3,}")
_SPACED_HYPHEN = re.compile(r"(?<=\w )-(?= \w)")


def tidy_punctuation(text: Tracked) -> Tracked:
    return text.sub(_DOTS, lambda _: "…").sub(_SPACED_HYPHEN, lambda _: "—")


_LOCAL_NUMBER = r"\d{3}-\d{4}"
_LEADING_ZERO = r"0\d{2,}(?![.:,]\d)"
_PHONE_SHAPES = (
    r"\(\d{3,4}\)[ -]?\d{3,4}(?:[ -]?\d{3,5})?",
    r"\+\d{1,3}[ -]?\d{3,5}[ -]?\d{3,5}(?:[ -]?\d{3,5})?",
    r"\d{3,4}[ -]\d{3,4}[ -]\d{3,5}",
    _LOCAL_NUMBER,
)
_NOT_BEFORE = rf"(?<![\w.,:-])(?<![{_SYMBOLS}])(?<![{_SYMBOLS}] )"
_NOT_AFTER = r"(?![\w-]|[.,]\d)"
PHONE_LIKE = re.compile(f"{_NOT_BEFORE}(?:{'|'.join((*_PHONE_SHAPES, _LEADING_ZERO))}){_NOT_AFTER}")
"""Telephone numbers and digit strings with a leading zero: no quantities."""
_SPELLED = re.compile(
    f"{_NOT_BEFORE}(?:{'|'.join((*_PHONE_SHAPES, _LEADING_ZERO, r'[0-9]{6,}'))}){_NOT_AFTER}"
)
SPELL_TAG = re.compile(r"<spell>.*?</spell>", re.DOTALL)


def spell_for_cartesia(text: Tracked, kept: list[Tracked]) -> Tracked:
    """Telephone numbers and long digit runs in `<spell>`, safe from every later rule."""
    text = text.sub(_SPELLED, lambda match: f"<spell>{match.group()}</spell>")
    return text.protect(SPELL_TAG, kept)


def spell_digits(text: Tracked) -> Tracked:
    """Telephone numbers and long digit runs as single digits with blanks between."""
    return text.sub(_SPELLED, lambda match: " ".join(filter(str.isdigit, match.group())))


def range_rule(language: str, wide: bool) -> Rule | None:
    """Rule 7, "5-10" to "5 to 10"; None where the language has no word for it.

    Wide ranges have up to four digits a side, narrow ones three: in English four digits are years
    and telephone numbers.
    """
    word = RANGE_WORDS.get(language)
    if word is None:
        return None
    most = 4 if wide else 3
    pattern = re.compile(rf"(?<![\w.–-])(\d{{1,{most}}})[-–](\d{{1,{most}}})(?![\d–-]|\.\d)")

    def say(match: re.Match[str]) -> str:
        return f"{match[1]} {word} {match[2]}"

    return lambda text: text.sub(pattern, say)


_SCALE = (
    rf"(?:{_BLANK}?(?P<word>(?i:{'|'.join(SCALE_WORDS)}))(?!\w)"
    r"|<letters>(?!\w))?"
)
_INTEGER = r"(?P<integer>\d{1,3}(?:<group>\d{2,3})*<group>\d{3}(?!\d)|\d+)"
_DECIMALS = r"(?:\.(?P<decimals>\d+))?"


def _number(group: str, letters: str) -> str:
    """A number with its grouping, decimals and scale; `letters` matches a one-letter scale."""
    scale = _SCALE.replace("<letters>", letters)
    return _INTEGER.replace("<group>", group) + _DECIMALS + scale


_LETTERS = "".join(SCALE_LETTERS)
_AMOUNT = re.compile(
    rf"(?P<symbol>[{_SYMBOLS}]){_BLANK}?"
    + _number(f"(?:,|{_BLANK})", rf"{_BLANK}?(?P<letter>(?i:[{_LETTERS}]))")
    + rf"(?!\d)(?P<spoken>{_BLANK}(?i:thousand|million|billion|trillion)(?!\w))?"
)


def _scale(match: re.Match[str]) -> str | None:
    scale: str | None = match["word"] or match["letter"]
    return scale


def amount_rule(language: NumberLanguage, hint: str | None) -> Rule:
    """Rule 8: a currency symbol and its number.

    `hint` says whose dollars are meant; it never makes dollars of pounds.
    """

    def say(match: re.Match[str]) -> str:
        quantity = Quantity.written(match["integer"], match["decimals"], _scale(match))
        if quantity is None:
            return match.group()
        symbol = match["symbol"]
        own = hint if hint is not None and HINT_SYMBOLS.get(hint) == symbol else None
        one, many = language.currencies[own or SYMBOL_CURRENCIES[symbol]]
        # "$5 million" is five million dollars, never five dollars million.
        spoken = match["spoken"] or ""
        name = one if (quantity.whole, quantity.decimals, spoken) == (1, "", "") else many
        return f"{quantity.words(language)}{spoken} {name}"

    return lambda text: text.sub(_AMOUNT, say)


# A single lower-case letter behind a plain number is rather a unit (5 m, 3 l) than a scale; only
# "10k" is as common as "10K".
_CARDINAL = re.compile(
    rf"(?<![\w.,{_SYMBOLS}])(?<![\d:.,/]-)(?P<minus>(?<![\w)\]])[-−])?(?<!\d[.,])"
    + _number(",", rf"(?P<letter>[{_LETTERS}k])")
    + r"(?!\w|[.,–-]\d)"
)


def cardinal_rule(language: NumberLanguage) -> Rule:
    """Rule 9: numbers of three digits and more, or with decimals or a scale, in words.

    Left alone: 0 to 99, years from 1700 to 2099, and strings with a leading zero.
    """

    def say(match: re.Match[str]) -> str:
        integer, decimals, scale = match["integer"], match["decimals"], _scale(match)
        if len(integer) > 1 and int(integer[0]) == 0:
            return match.group()
        if decimals is None and scale is None and (len(integer) < 3 or _is_year(integer)):
            return match.group()
        quantity = Quantity.written(integer, decimals, scale)
        if quantity is None:
            return match.group()
        said = quantity.words(language)
        return f"{language.minus} {said}" if match["minus"] else said

    return lambda text: text.sub(_CARDINAL, say)


def _is_year(integer: str) -> bool:
    return len(integer) == 4 and 1700 <= int(integer) <= 2099


_AMPERSAND = re.compile(r"(?<=\w )&(?= \w)")
_TIGHT_AMPERSAND = re.compile(r"(?<=\w)&(?=\w)")
_PERCENT = re.compile(r"(?<=\d)%(?!\w)")
_NUMBER_SIGN = re.compile(r"(?<!\w)#(?=\d)")
_ABOUT = re.compile(rf"(?<!\w)~(?=[{_SYMBOLS}]?\d)")
_WORD_SIGNS = (
    (re.compile("≈"), "approximately"),
    (re.compile("×"), "times"),
    (re.compile("÷"), "divided by"),
)


def say_symbols(text: Tracked) -> Tracked:
    """Rule 10. It runs just before amounts and numbers: it knows its signs by the digits beside
    them, and those are words afterwards.
    """
    text = text.sub(_AMPERSAND, lambda _: "and").sub(_TIGHT_AMPERSAND, lambda _: " and ")
    text = text.sub(_PERCENT, lambda _: " percent").sub(_NUMBER_SIGN, lambda _: "number ")
    text = text.sub(_ABOUT, lambda _: "approximately ")
    for pattern, word in _WORD_SIGNS:
        text = text.sub(pattern, partial(_spaced, word))
    return text


def _spaced(word: str, match: re.Match[str]) -> str:
    """`word` with a blank on the sides that have none."""
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    left = "" if not before or before.isspace() else " "
    right = "" if not after or after.isspace() else " "
    return f"{left}{word}{right}"
