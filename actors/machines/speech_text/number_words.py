"""Numbers in words, and amounts with a scale ("2.5M") multiplied out."""

from __future__ import annotations

from decimal import Decimal

import attrs

from actors.machines.speech_text.number_tables import (
    ENGLISH_SCALES,
    ENGLISH_SMALL,
    ENGLISH_TENS,
    SCALES,
    IndicWords,
    NumberLanguage,
)

MOST_DIGITS = 36
"""Integers with more digits are no quantity anybody says; they stay as written."""


def english_words(number: int) -> str:
    """ "two million five hundred thousand": no "and", tens-hyphen-ones, scales to quintillion."""
    if number < 0:
        return f"minus {english_words(-number)}"
    if number < 20:
        return ENGLISH_SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return ENGLISH_TENS[tens] + (f"-{ENGLISH_SMALL[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{ENGLISH_SMALL[hundreds]} hundred" + (f" {english_words(rest)}" if rest else "")
    for value, name in ENGLISH_SCALES:
        if number >= value:
            count, rest = divmod(number, value)
            said = f"{english_words(count)} {name}"
            return f"{said} {english_words(rest)}" if rest else said
    raise AssertionError("every number from 1000 on has a scale")


def indic_words(number: int, words: IndicWords) -> str:
    """Thousand, lakh, crore, arab; above 99 arab their count is said the same way."""
    parts: list[str] = []
    for value, name in (
        (10**9, words.arab),
        (10**7, words.crore),
        (10**5, words.lakh),
        (10**3, words.thousand),
    ):
        count, number = divmod(number, value)
        if count:
            parts.append(f"{indic_words(count, words)} {name}")
    hundreds, rest = divmod(number, 100)
    if hundreds:
        parts.append(_hundreds(hundreds, rest, words))
    if rest or not parts:
        parts.append(words.below_hundred[rest])
    return " ".join(parts)


def _hundreds(count: int, rest: int, words: IndicWords) -> str:
    digit = words.below_hundred[count]
    if not words.hundred_suffix:
        return f"{digit} {words.hundred}"
    return words.hundred if (count, rest) == (1, 0) else digit + words.hundred_suffix


def integer_words(number: int, language: NumberLanguage) -> str:
    """A whole number, perhaps negative, in the language's words."""
    if number < 0:
        return f"{language.minus} {integer_words(-number, language)}"
    if language.indic is None:
        return english_words(number)
    return indic_words(number, language.indic)


@attrs.frozen
class Quantity:
    """A number as it was written, its scale multiplied out.

    `decimals` are the digits after the point as they will be said one by one; all-zero decimals
    are none.
    """

    whole: int
    decimals: str = ""

    @classmethod
    def written(cls, integer: str, decimals: str | None, scale: str | None) -> Quantity | None:
        """From the digits (grouping commas and spaces allowed); None if it is too long to say."""
        digits = "".join(character for character in integer if character.isdigit())
        rest = decimals or ""
        if len(digits) + len(rest) > MOST_DIGITS:
            return None
        if not rest.strip("0"):
            rest = ""
        if scale is None:
            return cls(int(digits), rest)
        value = Decimal(f"{digits}.{rest or 0}") * SCALES[scale.lower()]
        whole = int(value)
        fraction = f"{value - whole:f}".partition(".")[2].rstrip("0")
        return cls(whole, fraction)

    def words(self, language: NumberLanguage) -> str:
        said = integer_words(self.whole, language)
        if not self.decimals:
            return said
        digits = (integer_words(int(digit), language) for digit in self.decimals)
        return " ".join((said, language.point, *digits))
