"""What of an event can be searched for, as plain words: the same in every store that searches SQL.

Engines cut text into words each in their own way. They are given words that are cut already, in
lower case and without accents, so that all of them find the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from models.rooms.content import text_of
from models.rooms.event import RoomEvent
from models.rooms.kinds import EventType

LONGEST = 100_000
"""Characters of one event that are searched: PostgreSQL keeps at most 1 MiB of words."""
MOST_WORDS = 64
"""Words of one search; further ones do not count. FTS5 takes 256 at most."""

_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
# The vowel signs of Indic and South-East Asian scripts are part of the word, but not `\w`.
_WORD = re.compile("(?:[^\\W_]|[\u0900-\u109f])+")


def words_in(text: str) -> list[str]:
    """The words of a text, in order."""
    if text.isascii():
        return _WORD.findall(text.lower())
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return _WORD.findall(unicodedata.normalize("NFKC", plain))


def searched_words(text: str) -> Sequence[str]:
    """Those that somebody searches for, each once."""
    return list(dict.fromkeys(words_in(text[:LONGEST])))[:MOST_WORDS]


def words_of(event: RoomEvent) -> str | None:
    """The words by which an event is found; None if it never is.

    Only messages are, and of those neither blocked ones nor those that were taken back.
    """
    if event.type is not EventType.MESSAGE or event.blocked or event.metadata.get("deleted"):
        return None
    return " ".join(words_in(text_of(event.content)[:LONGEST])) or None
