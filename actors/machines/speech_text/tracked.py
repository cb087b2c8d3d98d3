"""Text that knows where it came from: every character carries its span in the source.

The filter rewrites text by rules; history must be told in the words of the source. So a rule does
not work on a bare string but on a `Tracked`, which takes the spans along.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import attrs

Replace = Callable[[re.Match[str]], str]

FIRST_PLACEHOLDER = 0x10F800
"""The first of the private characters that stand for protected texts while rules run."""
PLACEHOLDERS = 2000
"""How many texts can be protected at once; a unit of text is hardly ever longer."""
PLACEHOLDER = re.compile(f"[{chr(FIRST_PLACEHOLDER)}-{chr(FIRST_PLACEHOLDER + PLACEHOLDERS - 1)}]")


@attrs.frozen
class Tracked:
    """A text with the source span of each of its characters.

    Character `i` stems from `source[starts[i]:ends[i]]`. Ranges serve for text that was copied,
    which is nearly all text, and cost nothing.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def copied(cls, text: str, offset: int) -> Tracked:
        """`text` as it stands in the source from `offset` on."""
        return cls(
            text,
            range(offset, offset + len(text)),
            range(offset + 1, offset + 1 + len(text)),
        )

    def part(self, start: int, end: int | None = None) -> Tracked:
        return Tracked(self.text[start:end], self.starts[start:end], self.ends[start:end])

    def sub(self, pattern: re.Pattern[str], replace: Replace) -> Tracked:
        """Every match replaced.

        A replacement that stands in the match literally is a copy (the inner text of a bold span)
        and keeps its characters' spans; any other is the match as a whole, in other words.
        """
        if pattern.search(self.text) is None:
            return self
        parts: list[Tracked] = []
        done = 0
        for match in pattern.finditer(self.text):
            start, end = match.span()
            if start == end:
                continue
            parts.append(self.part(done, start))
            parts.append(self._replaced(match, replace(match)))
            done = end
        parts.append(self.part(done))
        return joined(parts)

    def _replaced(self, match: re.Match[str], new: str) -> Tracked:
        start, end = match.span()
        inner = match.group().find(new)
        if inner >= 0:
            return self.part(start + inner, start + inner + len(new))
        return Tracked(
            new, [min(self.starts[start:end])] * len(new), [max(self.ends[start:end])] * len(new)
        )

    def protect(self, pattern: re.Pattern[str], kept: list[Tracked]) -> Tracked:
        """Every match put aside in `kept`, with one private character in its place."""
        if pattern.search(self.text) is None:
            return self
        parts: list[Tracked] = []
        done = 0
        for match in pattern.finditer(self.text):
            start, end = match.span()
            if start == end or len(kept) == PLACEHOLDERS:
                continue
            parts.append(self.part(done, start))
            mark = chr(FIRST_PLACEHOLDER + len(kept))
            parts.append(Tracked(mark, [self.starts[start]], [self.ends[end - 1]]))
            kept.append(self.part(start, end))
            done = end
        parts.append(self.part(done))
        return joined(parts)

    def restore(self, kept: Sequence[Tracked]) -> Tracked:
        """The protected texts back in their places, the last one put aside first."""
        text = self
        # A text may hold the mark of one that was put aside before it, never of a later one.
        while kept and PLACEHOLDER.search(text.text):
            parts: list[Tracked] = []
            done = 0
            for match in PLACEHOLDER.finditer(text.text):
                index = ord(match.group()) - FIRST_PLACEHOLDER
                parts.append(text.part(done, match.start()))
                parts.append(kept[index] if index < len(kept) else text.part(*match.span()))
                done = match.end()
            parts.append(text.part(done))
            text = joined(parts)
        return text


EMPTY = Tracked("", (), ())


def joined(parts: Iterable[Tracked]) -> Tracked:
    """The parts as one text."""
    filled = [part for part in parts if part.text]
    if not filled:
        return EMPTY
    if len(filled) == 1:
        return filled[0]
    starts: list[int] = []
    ends: list[int] = []
    for part in filled:
        starts.extend(part.starts)
        ends.extend(part.ends)
    return Tracked("".join(part.text for part in filled), starts, ends)
