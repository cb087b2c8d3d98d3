"""What an utterance says and when: the truth behind "history says what was heard".

An utterance is spoken in pieces. Each piece is a stretch of the text (*source*), and sound on the
utterance's time line. Given how far the sound was played, the ledger tells which of the source was
heard: whole words only. It also tells where to go on after an interruption.

Source: the specification's voice quality, 5.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from math import inf

import attrs

from models.words import Word

RESUME_BACK = 0.3
"""Seconds that are repeated after an interruption, at most."""

_EPSILON = 1e-6

_ROUNDING = 1e-3
"""Seconds by which sound may come out shorter than it was told to be: it is resampled on its way,
and a wire counts in samples of its own."""

_SENTENCE_END = re.compile(r"[.!?…]+(?=[\"')\]»”’]*(?:\s|$))|[。？！؟]")
"""Not the point in "2.5"."""


@attrs.frozen
class Span:
    """A spoken word and its place in the source: `source[start:end]`."""

    text: str
    start: int
    end: int


def spans_of(text: str) -> tuple[Span, ...]:
    """The words of a text that is spoken as it stands."""
    spans, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        spans.append(Span(word, start, at))
    return tuple(spans)


def _sound_of(text: str) -> str:
    """What two spellings of one spoken word have in common."""
    return "".join(c for c in text.casefold() if c.isalnum())


def estimated_ends(spans: Sequence[Span], seconds: float) -> list[float]:
    """When each word would end if all letters took equally long, and punctuation a little."""
    weights = [
        max(1, len(_sound_of(s.text))) + (2 if s.text[-1:] in ".,;:!?" else 1) for s in spans
    ]
    total = sum(weights) or 1
    return [seconds * done / total for done in accumulate(weights)]


def told_ends(spans: Sequence[Span], words: Sequence[Word], *, whole: bool) -> list[float]:
    """When each span ends, by the words that a voice told; inf where that cannot be known yet.

    Mostly the words are the spans, one by one. A voice may count otherwise ("ten thirty" for
    "10:30"): then they are aligned by those that agree, and what lies between two of these ends
    when all of it was said.

    Args:
        whole: no more words come.
    """
    ends = [word.end for word in words]
    said, told = [_sound_of(s.text) for s in spans], [_sound_of(w.text) for w in words]
    if said[: len(told)] == told and (len(told) == len(said) or not whole):
        ends += [inf] * (len(said) - len(told))
    else:
        ends = _aligned(said, told, ends, whole=whole)
    return list(accumulate(ends, max))


def _aligned(said: list[str], told: list[str], ends: list[float], *, whole: bool) -> list[float]:
    result = [inf] * len(said)
    done_said = done_told = 0
    for i, j, size in SequenceMatcher(None, said, told, autojunk=False).get_matching_blocks():
        if size or whole:  # the last block is empty: the ends of both
            if i - done_said == j - done_told:  # as many, only spelt otherwise: "Dr" and "doctor"
                result[done_said:i] = ends[done_told:j]
            else:
                result[done_said:i] = [ends[j - 1] if j else 0.0] * (i - done_said)
        result[i : i + size] = ends[j : j + size]
        done_said, done_told = i + size, j + size
    return result


@attrs.define
class _Piece:
    number: int
    source: str
    spans: tuple[Span, ...]
    start: float
    """Seconds on the utterance's time line."""
    seconds: float = 0.0
    """Of its sound, as far as it has come."""
    whole: bool = False
    words: list[Word] = attrs.field(factory=list)
    """As the voice told them, in seconds of the piece; perhaps cut otherwise than `spans`."""
    _ends: list[float] | None = None
    """When each span ends, in seconds of the piece; None if it has to be worked out anew."""

    @property
    def end(self) -> float:
        return self.start + self.seconds

    def sounded(self, seconds: float, words: Sequence[Word]) -> None:
        self.seconds += seconds
        self.words.extend(words)
        self._ends = None

    def finish(self) -> None:
        self.whole = True
        self._ends = None

    def heard(self, position: float) -> str:
        """The source up to the last word that has ended at `position`."""
        if self.whole and position >= self.end - _ROUNDING:
            # What made no sound was not heard, unless there was nothing in it to say.
            return self.source if self.seconds or not _sound_of(self.source) else ""
        count = bisect_right(self.ends, position - self.start + _EPSILON)
        said = self.spans[:count]
        if count < len(self.spans):
            # Several spoken words may say one of the source ("two million" for "2M"): half of it
            # is none of it.
            unsaid = self.spans[count].start
            said = tuple(span for span in said if span.end <= unsaid)
        return self.source[: said[-1].end] if said else ""

    @property
    def ends(self) -> list[float]:
        if self._ends is None:
            if self.words:
                self._ends = told_ends(self.spans, self.words, whole=self.whole)
            elif self.whole:
                self._ends = estimated_ends(self.spans, self.seconds)
            else:
                self._ends = []  # how long it will be is not known, so nothing can be estimated
        return self._ends

    def give_up(self, kept: int) -> None:
        """Only so many characters of the source, and what has sounded of it, were spoken."""
        self.source = self.source[:kept].rstrip()
        self.spans = tuple(span for span in self.spans if span.end <= kept)
        self.words = [word for word in self.words if word.end <= self.seconds + _ROUNDING]
        self.finish()

    def boundaries(self) -> list[float]:
        """Where words begin and end, on the utterance's time line."""
        if self.words:
            inside = [moment for word in self.words for moment in (word.start, word.end)]
        else:
            inside = self.ends
        return [self.start, *(self.start + moment for moment in inside)]


@attrs.define
class Ledger:
    """One utterance, from its first piece to its end."""

    _pieces: list[_Piece] = attrs.field(factory=list, init=False)

    @property
    def text(self) -> str:
        """All of it so far, in the words of its source."""
        return join(piece.source for piece in self._pieces)

    @property
    def seconds(self) -> float:
        """Of the sound that has come."""
        last = self._pieces[-1] if self._pieces else None
        return last.end if last else 0.0

    def add_piece(self, number: int, source: str, spans: tuple[Span, ...] = ()) -> None:
        """Another piece will be spoken, after all before it. Without spans it is spoken as is."""
        self._pieces.append(_Piece(number, source, spans or spans_of(source), self.seconds))

    def sounded(self, number: int, seconds: float, words: Sequence[Word] = ()) -> None:
        """So many more seconds of the piece's sound have come, and these words of it."""
        index = self._index(number)
        self._pieces[index].sounded(seconds, words)
        if seconds:
            for earlier in self._pieces[:index]:
                if not earlier.whole:  # pieces sound in order; that it is over may be told later
                    earlier.finish()
            for later in self._pieces[index + 1 :]:
                later.start += seconds

    def finished(self, number: int) -> None:
        """No more sound of this piece comes."""
        self._pieces[self._index(number)].finish()

    def abandoned(self, number: int, source: str, spans: tuple[Span, ...] = ()) -> None:
        """Another voice speaks the rest of the piece: what was to come of it is `source`."""
        index = self._index(number)
        piece = self._pieces[index]
        kept = len(piece.source) - len(source)
        piece.give_up(kept)
        rest = _Piece(number, source, spans or spans_of(source), piece.end)
        self._pieces.insert(index + 1, rest)

    def _heard_of_each(self, position: float) -> list[str]:
        """What was heard of each piece: of none, before all that sounds ahead of it was."""
        heard = []
        for piece in self._pieces:
            said = piece.heard(position) if position > 0 else ""
            heard.append(said)
            if not piece.whole or (piece.seconds and len(said) < len(piece.source)):
                break
        heard += [""] * (len(self._pieces) - len(heard))
        return heard

    def heard(self, position: float) -> str:
        """The words that were played whole, when `position` seconds were played.

        Of a piece that made no sound nothing is in it: its voice could not speak it.
        """
        return join(self._heard_of_each(position))

    def resume_at(self, position: float) -> float:
        """Where to go on: the last beginning or end of a word, at most 300 ms back."""
        position = max(0.0, position)
        earliest = max(0.0, position - RESUME_BACK)
        before = [at for piece in self._pieces for at in piece.boundaries() if at <= position]
        return max([earliest, *before])

    def rest(self, position: float) -> str:
        """What was not heard, in the words of the source."""
        heard = zip(self._pieces, self._heard_of_each(position), strict=True)
        return join(piece.source[len(said) :].lstrip() for piece, said in heard)

    def last_sentence_is_question(self, position: float) -> bool:
        """The last sentence that was heard to its end asked something."""
        ends = _SENTENCE_END.findall(self.heard(position))
        return bool(ends) and any(mark in ends[-1] for mark in "?？؟")

    def _index(self, number: int) -> int:
        for index in range(len(self._pieces) - 1, -1, -1):
            if self._pieces[index].number == number:
                return index
        raise KeyError(f"the utterance has no piece {number}: add it before its sound comes")


def join(pieces: Iterable[str]) -> str:
    """Pieces with one space between them where there is none."""
    text = ""
    for piece in pieces:
        if not piece:
            continue
        glue = "" if not text or text[-1].isspace() or piece[0].isspace() else " "
        text += glue + piece
    return text.strip()
