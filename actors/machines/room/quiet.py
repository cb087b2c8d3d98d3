"""When a room has been quiet for long enough to be spoken into. Pure; times are seconds."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Generic, TypeVar

import attrs

W = TypeVar("W")


@attrs.define(eq=False)
class _Waiter(Generic[W]):
    who: W
    buffer: float
    until: float
    """When it waits no longer."""
    since: float
    """It counts the quiet from here."""

    def due(self, busy: bool) -> float:
        return self.until if busy else min(self.until, self.since + self.buffer)


@attrs.define(eq=False)
class Quiet(Generic[W]):
    """Who waits until nothing has gone on for a while. Each counts from when it asked, at most."""

    busy: bool = False
    waiting: list[_Waiter[W]] = attrs.field(factory=list)

    @property
    def deadline(self) -> float:
        """When `passed` is next worth calling; `inf` while nobody waits."""
        return min((waiter.due(self.busy) for waiter in self.waiting), default=inf)

    def wait(self, who: W, buffer: float, timeout: float, at: float) -> None:
        """One more waits: for `buffer` seconds of quiet, but no longer than `timeout` seconds."""
        self.waiting.append(_Waiter(who, buffer, at + timeout, at))

    def is_now(self, busy: bool, at: float) -> None:
        """Something goes on, or nothing does any more."""
        if self.busy and not busy:
            for waiter in self.waiting:
                waiter.since = at
        self.busy = busy

    def passed(self, at: float) -> Sequence[tuple[W, bool]]:
        """Those that wait no longer, and for each whether it is quiet."""
        over = [waiter for waiter in self.waiting if waiter.due(self.busy) <= at]
        self.waiting = [waiter for waiter in self.waiting if waiter not in over]
        return [
            (waiter.who, not self.busy and waiter.since + waiter.buffer <= at) for waiter in over
        ]
