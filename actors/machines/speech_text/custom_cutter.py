"""Somebody else's idea of where sentences end, kept honest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.machines.speech_text.cutter import Cutter

Segmenter = Callable[[str], Sequence[str]]
"""From a text to its segments in order, trimmed or not. The last one may be unfinished."""


class CustomCutter(Cutter):
    """Cuts where a segmenter says.

    A segmenter that fails, or gives segments that are not in the text, costs no words: the text
    goes on in one piece.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__("en", min_length=1, first_min_length=1, abbreviations=frozenset())
        self._segmenter = segmenter
        self.failures = 0
        """How often the segmenter did not do its part."""

    def _cut(self, final: bool) -> Sequence[str]:
        if not self.buffer:
            return []
        try:
            ends = _ends(self.buffer, self._segmenter(self.buffer))
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the text has to be spoken
            self.failures += 1
            ends = [len(self.buffer), len(self.buffer)]
        segments: list[str] = []
        done = 0
        for end in ends[:-1]:  # the last segment may go on
            segments.append(self._take(end - done))
            done = end
        return segments


def _ends(text: str, segments: Sequence[str]) -> Sequence[int]:
    """Where the segments end in `text`.

    Raises:
        ValueError: the segments are not all in the text, in order.
    """
    ends: list[int] = []
    position = 0
    for segment in segments:
        position = text.index(segment, position) + len(segment)
        ends.append(position)
    return ends
