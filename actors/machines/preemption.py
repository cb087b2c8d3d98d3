"""Thinking before the turn is over, and whether the thought still holds when it is.

Source: the specification's voice quality, 4, and agents, 13.
"""

from __future__ import annotations

import attrs


def normalised(text: str) -> str:
    """What two texts have in common if they ask the same: case, spaces, last punctuation aside.

    >>> normalised("  What TIME is it? ") == normalised("what time is it")
    True
    """
    return " ".join(text.casefold().split()).rstrip(".,!?;: ")


@attrs.frozen
class Basis:
    """What a thought was founded on."""

    text: str
    """As `normalised`."""
    history: int
    """The history's version."""
    epoch: int


@attrs.define
class Preemption:
    """One turn's early thoughts. They are numbered over the session's life."""

    most: int = 3
    """Begun for one turn, at most."""
    max_seconds: float = 10.0
    """Longer turns are not thought about early."""
    number: int = attrs.field(default=0, init=False)
    """Of the last thought begun."""
    wasted: int = attrs.field(default=0, init=False)
    """Thoughts that came to nothing, over the session's life."""
    _basis: Basis | None = attrs.field(default=None, init=False)
    _begun: int = attrs.field(default=0, init=False)

    @property
    def thinking(self) -> bool:
        """A thought is under way, or waits to be used."""
        return self._basis is not None

    def begin(self, basis: Basis, turn_seconds: float) -> int | None:
        """Is a (further) thought worth it? Its number, if so; it replaces the one before."""
        if not basis.text or turn_seconds > self.max_seconds or basis == self._basis:
            return None
        if self._begun >= self.most:
            return None
        if self._basis is not None:
            self.wasted += 1
        self._begun += 1
        self.number += 1
        self._basis = basis
        return self.number

    def withdraw(self) -> int | None:
        """It holds no longer (speech went on): the number of the thought to cancel, if any."""
        if self._basis is None:
            return None
        self._basis = None
        self.wasted += 1
        return self.number

    def settle(self, basis: Basis) -> int | None:
        """The turn is over: the number of the thought that answers it, if it still holds."""
        held = self._basis == basis
        if self._basis is not None and not held:
            self.wasted += 1
        self._basis = None
        self._begun = 0
        return self.number if held else None
