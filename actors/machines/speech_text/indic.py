"""Languages of India: where their sentences end, and one script written in another."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from actors.machines.speech_text.cutter import NO_CUT, Cutter
from actors.machines.speech_text.terminators import abbreviations_of

INDIC_CHUNKED = frozenset(
    [
        "hi",
        "bn",
        "ta",
        "te",
        "kn",
        "ml",
        "mr",
        "gu",
        "pa",
        "or",
        "as",
        "si",
        "ur",
        "sa",
        "ne",
        "kok",
        "mai",
        "bgc",
    ]
)
"""Languages that the Indic cutter knows."""

INDIC_IDLE = 0.4
"""Seconds without new text after which what is there is spoken."""
SHORTEST_SENTENCE = 8
"""Letters. What is shorter and ends with a dot is rather an abbreviation: it goes with its
neighbour."""

_TERMINATORS = "।॥.!?"
_URDU_TERMINATORS = _TERMINATORS + "۔؟"


class IndicCutter(Cutter):
    """Cuts at sentences only. A dot has more meanings here than a danda and is trusted less."""

    def __init__(self, language: str) -> None:
        super().__init__(
            language,
            min_length=1,
            first_min_length=1,
            abbreviations=abbreviations_of(language) | abbreviations_of("en"),
            strong=_URDU_TERMINATORS if language == "ur" else _TERMINATORS,
            weak="",
        )

    def _end_of_dot(self, at: int, end: int, final: bool) -> int:
        letters = sum(character.isalpha() for character in self.buffer[:at])
        token = self.buffer[self._token_start(at) : at].lstrip("([{\"'“‘")
        if letters < SHORTEST_SENTENCE or sum(map(str.isalpha, token)) == len(token) == 1:
            return NO_CUT
        return super()._end_of_dot(at, end, final)


_BLOCKS: Mapping[str, int] = {
    "hi": 0x0900,
    "mr": 0x0900,
    "sa": 0x0900,
    "ne": 0x0900,
    "bn": 0x0980,
    "as": 0x0980,
    "pa": 0x0A00,
    "gu": 0x0A80,
    "or": 0x0B00,
    "ta": 0x0B80,
    "te": 0x0C00,
    "kn": 0x0C80,
    "ml": 0x0D00,
}
"""Where each language's script begins: the scripts have the same letters in the same order."""
_BLOCK_SIZE = 0x80
_DANDAS = "।॥"


def transliterate(text: str, source: str, target: str) -> str:
    """`text` with the letters of `source`'s script written in `target`'s.

    What the target has no letter for stays, and so do dandas, which all the scripts share.

    Raises:
        ValueError: a language whose script is not laid out like the others.
    """
    for language in (source, target):
        if language not in _BLOCKS:
            raise ValueError(f"no such Indic script: {language!r}; there are {sorted(_BLOCKS)}")
    first, offset = _BLOCKS[source], _BLOCKS[target] - _BLOCKS[source]
    return "".join(
        _moved(character, offset)
        if first <= ord(character) < first + _BLOCK_SIZE and character not in _DANDAS
        else character
        for character in text
    )


def _moved(character: str, offset: int) -> str:
    moved = chr(ord(character) + offset)
    return moved if unicodedata.category(moved) != "Cn" else character
