"""Patterns over the user's words: `"[I'd like|I want] to book a {room} for {nights:number}"`.

| written | takes |
|---|---|
| `word` | that word |
| `[a|b c]` | one of these, or nothing |
| `(a|b c)` | one of these |
| `{slot}`, `{slot:kind}` | a value, which is kept under that name |
| `<set>` | one of the phrases of a set of the script |
| `*` | any words, or none |

`matching.py` does the matching; here they are read, and written out as sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice, product, zip_longest

import attrs

from models.llm.dialogue.slots import Kind
from models.llm.dialogue.words import plain, words_of

MOST_SENTENCES = 64
"""Sentences one pattern is written out into, at most."""

LONGEST_PATTERN = 300
"""Characters. More is better written as two patterns; and it bounds how deep brackets nest."""

_PIECE = re.compile(r"\s*([\[\]()|*]|<[^<>]*>|\{[^{}]*\}|[^\s\[\]()|*<>{}]+|[<>{}])")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@attrs.frozen
class Literal:
    """A word."""

    words: tuple[str, ...]
    """What it is compared as; a contraction is several."""
    said: str


@attrs.frozen
class Either:
    """One of several, in order of preference; or nothing, if it is optional."""

    options: tuple[Series, ...]
    optional: bool


@attrs.frozen
class Slot:
    """A value that is kept."""

    name: str
    kind: Kind


@attrs.frozen
class Anything:
    """Any words, or none."""


@attrs.frozen
class Series:
    """One after the other."""

    parts: tuple[Literal | Either | Slot | Anything, ...]


Node = Literal | Either | Slot | Anything | Series


@attrs.frozen
class Pattern:
    """A pattern, ready to be matched."""

    source: str
    root: Series
    needed: tuple[frozenset[str], ...]
    """Of each of these sets at least one word must have been said: a quick no for most patterns."""

    @property
    def slots(self) -> frozenset[str]:
        """The names of the values it may keep."""
        return frozenset(self.kinds)

    @property
    def kinds(self) -> Mapping[str, str]:
        """The name of the kind of every slot."""
        return {slot.name: slot.kind.name for slot in _slots(self.root)}


class BadPattern(ValueError):
    """A pattern cannot be read; the message says where, and what to write instead."""


def read_pattern(
    source: str, kinds: Mapping[str, Kind], sets: Mapping[str, tuple[str, ...]]
) -> Pattern:
    """Read a pattern.

    Args:
        kinds: what slots may be of, by name. A slot without a kind is of the kind that has its
            name, or `text`.
        sets: phrases, by the name of their set.
    Raises:
        BadPattern: it cannot be read.
    """
    if len(source) > LONGEST_PATTERN:
        raise BadPattern(
            f"{len(source)} characters are more than {LONGEST_PATTERN}; write two patterns"
        )
    reader = _Reader(source, kinds, sets)
    root = reader.sequence()
    if reader.piece:
        raise BadPattern(f"'{reader.piece}' closes nothing in {source!r}; open it or remove it")
    if not root.parts:
        raise BadPattern("an empty pattern matches nothing; write '*' for whatever is said")
    return Pattern(source, root, tuple(_needed(root)))


class _Reader:
    """Recursive descent over the pieces of one pattern."""

    def __init__(
        self, source: str, kinds: Mapping[str, Kind], sets: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._source = source
        self._kinds = kinds
        self._sets = sets
        self._pieces = iter([match[1] for match in _PIECE.finditer(source)])
        self.piece = ""
        """What comes next; "" at the end."""
        self._next()

    def _next(self) -> None:
        self.piece = next(self._pieces, "")

    def sequence(self) -> Series:
        parts: list[Literal | Either | Slot | Anything] = []
        while self.piece and self.piece not in "])|":
            parts += self._part()
        return Series(tuple(parts))

    def _part(self) -> list[Literal | Either | Slot | Anything]:
        piece = self.piece
        self._next()
        match piece[0]:
            case "[" | "(":
                return [self._either(piece)]
            case "*":
                return [Anything()]
            case "<" if len(piece) > 1:
                return [self._set(piece[1:-1].strip())]
            case "{" if len(piece) > 1:
                return [self._slot(piece[1:-1])]
            case "<" | ">" | "{" | "}":
                raise BadPattern(f"'{piece}' has no counterpart in {self._source!r}; close it")
        return list(_literals(piece))

    def _either(self, opening: str) -> Either:
        closing = "]" if opening == "[" else ")"
        options = [self.sequence()]
        while self.piece == "|":
            self._next()
            options.append(self.sequence())
        if self.piece != closing:
            raise BadPattern(f"'{opening}' is not closed in {self._source!r}; add '{closing}'")
        self._next()
        if not all(option.parts for option in options):
            raise BadPattern(
                f"an alternative is empty in {self._source!r}; write [a|b] for what may be left out"
            )
        return Either(tuple(options), optional=opening == "[")

    def _set(self, name: str) -> Either:
        if name not in self._sets:
            raise BadPattern(f"there is no set <{name}>; {_known('sets', self._sets)}")
        return Either(tuple(Series(_literals(p)) for p in self._sets[name]), optional=False)

    def _slot(self, inside: str) -> Slot:
        name, colon, kind = (part.strip() for part in inside.partition(":"))
        if not _NAME.fullmatch(name):
            raise BadPattern(
                f"{{{inside}}} is no slot; write {{name}} or {{name:kind}}, in lower-case letters,"
                " digits and _"
            )
        wanted = kind if colon else name if name in self._kinds else "text"
        if wanted not in self._kinds:
            raise BadPattern(
                f"there is no kind '{wanted}' for {{{name}}}; {_known('kinds', self._kinds)}"
            )
        return Slot(name, self._kinds[wanted])


def _known(what: str, names: Mapping[str, object]) -> str:
    return f"{what} are: {', '.join(sorted(names))}" if names else f"the script declares no {what}"


def _literals(text: str) -> tuple[Literal, ...]:
    return tuple(Literal(plain(word), word.lower()) for word in words_of(text))


def _slots(node: Node) -> Iterator[Slot]:
    match node:
        case Slot():
            yield node
        case Either():
            for option in node.options:
                yield from _slots(option)
        case Series():
            for part in node.parts:
                yield from _slots(part)


def _needed(node: Node) -> Iterator[frozenset[str]]:
    match node:
        case Literal():
            for word in node.words:
                yield frozenset({word})
        case Slot() if node.kind.choices:
            yield frozenset(words[0] for words in node.kind.choices)
        case Either(optional=False):
            # One word of each option will do, unless some option needs none.
            first = [next(_needed(option), None) for option in node.options]
            if None not in first:
                yield frozenset().union(*(words for words in first if words is not None))
        case Series():
            for part in node.parts:
                yield from _needed(part)


def sentences(pattern: Pattern) -> tuple[str, ...]:
    """The sentences the pattern stands for, at most `MOST_SENTENCES`; the first few of them hold
    every alternative once.

    Slots are filled with the examples of their kinds, `*` with nothing. None if it has a slot
    without examples.
    """
    written = (" ".join(words.split()) for words in _sentences(pattern.root))
    return tuple(dict.fromkeys(sentence for sentence in written if sentence))


def _sentences(node: Node) -> list[str]:
    match node:
        case Literal():
            return [node.said]
        case Anything():
            return [""]
        case Slot():
            return list(node.kind.examples)
        case Either():
            options = [_sentences(option) for option in node.options]
            if node.optional:  # nothing comes second: with it first, nobody would sound polite
                options.insert(1, [""])
            return _first_of_each(options)
        case Series():
            return _joined([_sentences(part) for part in node.parts])


def _first_of_each(options: list[list[str]]) -> list[str]:
    """The first of every list, then the second of every list, and so on."""
    rounds = zip_longest(*options)
    found = (sentence for round_ in rounds for sentence in round_ if sentence is not None)
    return list(islice(found, MOST_SENTENCES))


def _joined(parts: list[list[str]]) -> list[str]:
    if not all(parts):
        return []
    longest = max(map(len, parts))
    # Turning all wheels at once shows every alternative early; then come the other combinations.
    turned = (tuple(part[number % len(part)] for part in parts) for number in range(longest))
    found = islice(chain(turned, product(*parts)), MOST_SENTENCES)
    return [" ".join(words) for words in found]
