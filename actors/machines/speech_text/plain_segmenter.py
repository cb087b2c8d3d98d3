"""The plainest way to cut text for a voice that has none of its own: at every mark."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_CHARACTERS = 600
MOST_WORDS = 24
"""Two lines of twelve words."""
_SHORTEST_CUT = 50

# A mark behind no word ("...") goes with the next words instead of being spoken by itself.
_DELIMITER = re.compile(r"\w[^.?!,;:\n]*[.?!,;:\n]")


class PlainSegmenter:
    """Cuts at the first `. ? ! , ; :` or newline; without one, at a blank when much is waiting."""

    def __init__(self) -> None:
        self._buffer = ""

    def push(self, text: str) -> Sequence[str]:
        """New text. The segments that are complete, trimmed, with their delimiters."""
        self._buffer += text
        segments: list[str] = []
        while (end := self._next_cut()) is not None:
            segments.append(self._buffer[:end].strip())
            self._buffer = self._buffer[end:]
        return [segment for segment in segments if segment]

    def end(self) -> Sequence[str]:
        """What is left. The segmenter is then ready for another text."""
        rest, self._buffer = self._buffer.strip(), ""
        return [rest] if rest else []

    def _next_cut(self) -> int | None:
        match = _DELIMITER.search(self._buffer)
        if match is not None:
            return match.end()
        length = len(self._buffer)
        if length < MOST_CHARACTERS and len(self._buffer.split()) < MOST_WORDS:
            return None
        limit = max(_SHORTEST_CUT, min(length, MOST_CHARACTERS))
        blank = self._buffer.rstrip().rfind(" ", 0, limit)
        if not self._buffer[: max(blank, 0)].strip():
            return limit
        return blank
