"""Keeps a model's thoughts out of its speech: what stands between `<think>` and `</think>`.

Pure. Servers without a reasoning parser send a thinking model's thoughts as ordinary text, and a
tag may come in pieces, split at any character.
"""

from __future__ import annotations

import attrs

_OPEN, _CLOSE = "<think>", "</think>"


@attrs.define
class ThinkFilter:
    """Takes thoughts out of a stream of text."""

    thinking: bool = False
    """The text fed so far ends inside a thought."""
    _held: str = ""
    """The end of the text so far, if it may be the beginning of a tag."""

    def feed(self, text: str) -> str:
        """What of the text so far can be said now."""
        rest = self._held + text
        said: list[str] = []
        while True:
            tag = _CLOSE if self.thinking else _OPEN
            before, found, after = rest.partition(tag)
            if found:
                if not self.thinking:
                    said.append(before)
                self.thinking = not self.thinking
                rest = after
                continue
            keep = _overlap(rest, tag)
            if not self.thinking:
                said.append(rest[: len(rest) - keep])
            self._held = rest[len(rest) - keep :]
            return "".join(said)

    def finish(self) -> str:
        """The text is over: what was held back was no tag."""
        held, self._held = self._held, ""
        return "" if self.thinking else held


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` begin `tag`."""
    return next(
        (n for n in range(min(len(text), len(tag) - 1), 0, -1) if text.endswith(tag[:n])), 0
    )
