"""Hyphenation of English words by Liang's patterns: where a word's syllables part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

_SHORTEST = 5
_WORD = re.compile(r"[A-Za-z]+")
_EXCEPTIONS: Mapping[str, str] = {
    exception.replace("-", ""): exception
    for exception in (
        "as-so-ciate",
        "as-so-ciates",
        "dec-li-na-tion",
        "oblig-a-tory",
        "phil-an-thropic",
        "present",
        "presents",
        "project",
        "projects",
        "reci-procity",
        "re-cog-ni-zance",
        "ref-or-ma-tion",
        "ret-ri-bu-tion",
        "ta-ble",
    )
}


def hyphenate(word: str) -> Sequence[str]:
    """The pieces of `word`, together equal to it.

    Words of up to four letters, and what is not made of English letters alone, stay whole.
    """
    if len(word) < _SHORTEST or _WORD.fullmatch(word) is None:
        return [word]
    exception = _EXCEPTIONS.get(word.lower())
    if exception is not None:
        return _split(word, [len(piece) for piece in exception.split("-")])
    points = _points(word.lower())
    pieces: list[str] = []
    start = 0
    for at in range(2, len(word) - 1):
        if points[at] % 2:
            pieces.append(word[start:at])
            start = at
    pieces.append(word[start:])
    return pieces


def _split(word: str, lengths: Sequence[int]) -> Sequence[str]:
    pieces: list[str] = []
    start = 0
    for length in lengths:
        pieces.append(word[start : start + length])
        start += length
    return pieces


def _points(word: str) -> Sequence[int]:
    """The strongest point of any matching pattern before each letter: odd ones part the word."""
    patterns, longest = _patterns()
    framed = f".{word}."
    points = [0] * (len(framed) + 1)
    for start in range(len(framed)):
        for end in range(start + 1, min(len(framed), start + longest) + 1):
            for at, point in patterns.get(framed[start:end], ()):
                points[start + at] = max(points[start + at], point)
    return points[1:]


@cache
def _patterns() -> tuple[Mapping[str, Sequence[tuple[int, int]]], int]:
    """Letters to their points (place, strength), and the length of the longest letters.

    Read when the first word comes: most agents speak with voices that tell the times of words.
    """
    text = (files(__package__) / "hyphen_en_us.txt").read_text(encoding="ascii")
    patterns: dict[str, Sequence[tuple[int, int]]] = {}
    for line in text.splitlines():
        if line.startswith("%"):
            continue
        for pattern in line.split():
            letters = re.sub("[0-9]", "", pattern)
            strengths = [int(digit or 0) for digit in re.split("[a-z.]", pattern)]
            patterns[letters] = [(at, point) for at, point in enumerate(strengths) if point]
    return patterns, max(map(len, patterns))
