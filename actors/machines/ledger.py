"""What an utterance says and when: the truth behind "history says what was heard".

An utterance is spoken in pieces. Each piece is a stretch of the text (*source*), and sound on the
utterance's time line. Given how far the sound was played, the ledger tells which of the source was
heard: whole words only. It also tells where to go on after an interruption.

Source: the specification's voice quality, 5.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

import attrs

from models.words import Word

RESUME_BACK = 0.3
"""Seconds that are repeated after an interruption, at most."""

_EPSILON = 1e-6


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


def _letters(text: str) -> int:
    return sum(c.isalnum() for c in text)


def estimated_ends(spans: Sequence[Span], seconds: float) -> list[float]:
    """When each word would end if all letters took equally long, and punctuation a little."""
    weights = [max(1, _letters(s.text)) + (2 if s.text[-1:] in ".,;:!?" else 1) for s in spans]
    total = sum(weights) or 1
    return [seconds * done / total for done in accumulate(weights)]


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
    """As the voice told them; may be cut otherwise than `spans` ("10:30" as "ten thirty")."""
    starts: list[float] = attrs.field(factory=list)
    """Where the told words begin, on the utterance's time line."""

    def heard(self, position: float) -> str:
        """The source up to the last word that has ended at `position`."""
        if self.whole and position >= self.start + self.seconds - _EPSILON:
            return self.source
        count = self._spoken(position)
        said = self.spans[:count]
        if count < len(self.spans):
            # Several spoken words may say one of the source ("two million" for "2M"): half of it
            # is none of it.
            unsaid = self.spans[count].start
            said = tuple(span for span in said if span.end <= unsaid)
        return self.source[: said[-1].end] if said else ""

    def _spoken(self, position: float) -> int:
        """How many spans have ended."""
        inside = position - self.start + _EPSILON
        if not self.words:
            if not self.whole:
                return 0  # how long it will be is not known yet, so nothing can be estimated
            return bisect_right(estimated_ends(self.spans, self.seconds), inside)
        ended = [word for word in self.words if word.end <= inside]
        if len(self.words) == len(self.spans):
            return len(ended)
        # The voice counts its words otherwise. Both speak the same letters in the same order (or
        # as good as), so what has been heard is told by the share of them.
        total = sum(_letters(word.text) for word in self.words)
        heard: float = sum(_letters(word.text) for word in ended)
        if not total:
            return 0
        if self.whole:
            heard *= sum(_letters(span.text) for span in self.spans) / total
        ends = list(accumulate(_letters(span.text) for span in self.spans))
        return bisect_right(ends, heard + _EPSILON)

    def boundaries(self) -> list[float]:
        if self.words:
            return self.starts
        if not self.whole:
            return [self.start]
        ends = estimated_ends(self.spans, self.seconds)
        return [self.start, *(self.start + end for end in ends[:-1])]


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
        return last.start + last.seconds if last else 0.0

    def add_piece(self, number: int, source: str, spans: tuple[Span, ...] = ()) -> None:
        """Another piece will be spoken, after all before it. Without spans it is spoken as is."""
        self._pieces.append(_Piece(number, source, spans or spans_of(source), self.seconds))

    def sounded(self, number: int, seconds: float, words: Sequence[Word] = ()) -> None:
        """So many more seconds of the piece's sound have come, and these words of it."""
        index = self._index(number)
        piece = self._pieces[index]
        piece.seconds += seconds
        piece.words.extend(words)
        piece.starts.extend(piece.start + word.start for word in words)
        if seconds:
            for later in self._pieces[index + 1 :]:
                later.start += seconds
                later.starts = [at + seconds for at in later.starts]

    def finished(self, number: int) -> None:
        """No more sound of this piece comes."""
        self._pieces[self._index(number)].whole = True

    def abandoned(self, number: int, source: str, spans: tuple[Span, ...] = ()) -> None:
        """Another voice speaks the rest of the piece: what was to come of it is `source`."""
        index = self._index(number)
        piece = self._pieces[index]
        kept = len(piece.source) - len(source)
        piece.source = piece.source[:kept].rstrip()
        piece.spans = tuple(span for span in piece.spans if span.end <= kept)
        piece.whole = True
        rest = _Piece(number, source, spans or spans_of(source), piece.start + piece.seconds)
        self._pieces.insert(index + 1, rest)

    def heard(self, position: float) -> str:
        """The words that were played whole, when `position` seconds were played."""
        if position <= 0:
            return ""
        return join(p.heard(position) for p in self._pieces if p.start <= position + _EPSILON)

    def resume_at(self, position: float) -> float:
        """Where to go on: the last beginning of a word, at most 300 ms back."""
        before = [
            at for piece in self._pieces for at in piece.boundaries() if at <= position + _EPSILON
        ]
        return max([*before[-1:], position - RESUME_BACK, 0.0])

    def rest(self, position: float) -> str:
        """What was not heard, in the words of the source."""
        return join(piece.source[len(piece.heard(position)) :].lstrip() for piece in self._pieces)

    def last_sentence_is_question(self, position: float) -> bool:
        """The last sentence that was heard to its end asked something."""
        heard = self.heard(position).rstrip("\"')]» ")
        ends = [heard.rfind(mark) for mark in ".!?…。？！؟"]
        last = max(ends, default=-1)
        return last >= 0 and heard[last] in "?？؟"

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
