"""Does a pattern fit what was said, how well, and what stands in its slots?

A pattern need not cover all that was said: words before and after it are forgiven, at a price, as
long as it covers half of them. Fillers ("um", "please") are passed over anywhere. Of several ways
to fit the one with the most of the pattern's own words counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from models.llm.dialogue.pattern import Anything, Either, Literal, Node, Pattern, Series, Slot
from models.llm.dialogue.words import Token

EXTRA = 0.3
"""What each word that the pattern does not cover takes from its score. Less than a word of the
pattern gives, so a longer pattern beats a short one that fits a part."""

ANY = 0.01
"""What a word counts that only `*` covers: a little more than one that nothing does."""


@attrs.frozen
class Match:
    """How a pattern fits."""

    score: float
    slots: Mapping[str, str]


@attrs.frozen
class _Way:
    """One way through a part of a pattern, up to some word."""

    start: int
    """Where it began."""
    score: float
    slots: tuple[tuple[str, str], ...] = ()

    def then(self, score: float, *slots: tuple[str, str]) -> _Way:
        return _Way(self.start, self.score + score, self.slots + slots)


_Ways = dict[int, _Way]
"""The best way to every word that the next part may begin at."""


def match(pattern: Pattern, heard: Sequence[Token]) -> Match | None:
    """The best way `pattern` fits `heard`, or None.

    The work is bounded: at most the parts of the pattern times the square of the words.
    """
    said = {token.word for token in heard}
    if any(needed.isdisjoint(said) for needed in pattern.needed):
        return None
    # It may begin at any word, but what it leaves out before costs.
    starts = {at: _Way(at, -EXTRA * _content(heard[:at])) for at in range(len(heard) + 1)}
    best: Match | None = None
    for end, way in _walk(pattern.root, heard, starts).items():
        after = _content(heard[end:])
        if _content(heard[: way.start]) + after > _content(heard[way.start : end]):
            continue
        score = way.score - EXTRA * after
        if best is None or score > best.score:
            best = Match(score, dict(way.slots))
    return best


def _content(heard: Sequence[Token]) -> int:
    return sum(not token.filler for token in heard)


def _walk(node: Node, heard: Sequence[Token], ways: _Ways) -> _Ways:
    """Where `ways` lead through `node`."""
    match node:
        case Series():
            for part in node.parts:
                if not ways:
                    break
                ways = _walk(part, heard, ways)
            return ways
        case Either():
            found = dict(ways) if node.optional else {}
            for option in node.options:
                for end, way in _walk(option, heard, ways).items():
                    _keep(found, end, way)
            return found
        case Anything():
            return _anything(heard, ways)
        case Literal():
            return _literal(node, heard, ways)
        case Slot():
            return _slot(node, heard, ways)


def _keep(found: _Ways, end: int, way: _Way) -> None:
    """The better one stays; of two that are as good, the first."""
    known = found.get(end)
    if known is None or way.score > known.score:
        found[end] = way


def _past_fillers(heard: Sequence[Token], ways: _Ways) -> _Ways:
    """The ways, and those that go on over the fillers that follow."""
    found = dict(ways)
    for at, way in ways.items():
        end = at
        while end < len(heard) and heard[end].filler:
            end += 1
            _keep(found, end, way)
    return found


def _literal(node: Literal, heard: Sequence[Token], ways: _Ways) -> _Ways:
    found: _Ways = {}
    for at, way in _past_fillers(heard, ways).items():
        end = at + len(node.words)
        if tuple(token.word for token in heard[at:end]) == node.words:
            _keep(found, end, way.then(1.0))
    return found


def _slot(node: Slot, heard: Sequence[Token], ways: _Ways) -> _Ways:
    found: _Ways = {}
    for at, way in _past_fillers(heard, ways).items():
        for end, value in node.kind.read(heard, at):
            # Longer values are worth a little more, so "twenty five" is not cut after "twenty".
            _keep(found, end, way.then(node.kind.weight + 0.1 * (end - at), (node.name, value)))
    return found


def _anything(heard: Sequence[Token], ways: _Ways) -> _Ways:
    found: _Ways = {}
    for at, way in ways.items():
        for end in range(at, len(heard) + 1):
            _keep(found, end, way.then(ANY * (end - at)))
    return found
