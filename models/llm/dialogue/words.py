"""What a user said, as words that can be compared.

Speech is forgiving and recognisers are not consistent: case, punctuation, contractions and the
spelling of numbers must not decide whether two sentences are the same.
"""

from __future__ import annotations

import re

import attrs

MOST_WORDS = 48
"""Words of one utterance that are looked at, the first ones. It bounds the work of matching; what
people say in one breath is shorter."""

FILLERS = frozenset(
    {"um", "uh", "uhm", "er", "erm", "ah", "oh", "hmm", "mm", "please", "well", "just", "actually"}
)
"""Words that may stand anywhere and mean nothing. A pattern that names one still gets it."""

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_TEENS = "fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBERS = {word: value for value, word in enumerate(f"{_UNITS} {_TEENS}".split())} | {
    word: 10 * value for value, word in enumerate(_TENS.split(), start=2)
}
"""Numbers that are one word."""

_CONTRACTIONS = {
    "won't": ("will", "not"),
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "let's": ("let", "us"),
    "ok": ("okay",),
    "hi": ("hello",),
    "hey": ("hello",),
    "yeah": ("yes",),
    "yep": ("yes",),
    "yup": ("yes",),
    "nope": ("no",),
    "nah": ("no",),
}
_ENDINGS = (
    ("n't", "not"),
    ("'d", "would"),
    ("'ll", "will"),
    ("'re", "are"),
    ("'ve", "have"),
    ("'m", "am"),
    ("'s", "is"),
)
_WORD = re.compile(r"\d{1,2}:\d{2}|\d{1,9}|[^\W\d_]+(?:['’-][^\W\d_]+)*", re.UNICODE)


@attrs.frozen
class Token:
    """A word for comparison, and as it was said: "" if it is the rest of the word before."""

    word: str
    said: str

    @property
    def filler(self) -> bool:
        """It may be passed over."""
        return self.word in FILLERS


def words_of(text: str) -> tuple[str, ...]:
    """The words of `text` as they are written, without punctuation; hyphens part words."""
    found = (match[0].replace("’", "'") for match in _WORD.finditer(text))
    return tuple(part for word in found for part in word.split("-"))


def plain(word: str) -> tuple[str, ...]:
    """What `word` is compared as: lower case, contractions in full, numbers as digits.

    "'s" is always "is", so "the hotel's name" reads oddly; pattern and user read alike, though.
    """
    lower = word.lower()
    known = _CONTRACTIONS.get(lower)
    if known is not None:
        return known
    if lower in NUMBERS:
        return (str(NUMBERS[lower]),)
    for ending, full in _ENDINGS:
        stem = lower.removesuffix(ending)
        if stem and stem != lower:
            return (stem, full)
    return (str(int(lower)),) if lower.isdecimal() else (lower,)


def tokens(text: str) -> tuple[Token, ...]:
    """The words of `text`, at most `MOST_WORDS`."""
    found: list[Token] = []
    for said in words_of(text):
        found += (Token(word, "" if rest else said) for rest, word in enumerate(plain(said)))
        if len(found) >= MOST_WORDS:
            break
    return tuple(found[:MOST_WORDS])


def said(heard: tuple[Token, ...]) -> str:
    """The words as they were said."""
    return " ".join(token.said for token in heard if token.said)
