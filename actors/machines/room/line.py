"""Who is in the room, who waits at its door, and who goes first. Pure.

Passages take the lock in the order they came, except that one whose sender is still being
identified lets others pass, but never another of the same sender. A nested passage, which comes
from a hook of the one in the room, goes in on top of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import attrs

from actors.machines.room.cascade import Cascade
from actors.machines.room.steps import Keep, Lock, RunHooks, Steps, Wait


@attrs.define(eq=False)
class Passage:
    """One way through the room, and where it is."""

    steps: Steps[Any]
    done: Callable[[Any, Exception | None], None]
    """Told what it returned, or why it failed."""
    cascade: Cascade | None = None
    sender: object = None
    """Passages of one sender keep their order."""
    deadline: float = inf
    """When it has to be committed, seconds."""
    name: str = ""
    """By which hooks refer to it."""
    nested_in: str = ""
    """The name of the one it comes from, by a hook of that."""
    depth: int = 0
    """Of the hooks it comes from."""
    waits: Wait | None = None
    """For what, just now."""
    number: int = 0
    """Of that wait: answers to earlier ones come too late."""
    inside: bool = False
    answer: tuple[Any, Exception | None] | None = None
    """Came while another was nested in it."""

    @property
    def can_expire(self) -> bool:
        """Nothing of it is on its way to disk."""
        return not isinstance(self.waits, Keep)


@attrs.define(eq=False)
class Line:
    """The door of one room."""

    inside: list[Passage] = attrs.field(factory=list)
    """The last one moves; those before it wait for a hook that it comes from."""
    # A list, because idle rooms are many and an empty deque is large; rooms admit only so many.
    waiting: list[Passage] = attrs.field(factory=list)

    def __iter__(self) -> Iterator[Passage]:
        yield from self.inside
        yield from self.waiting

    def come(self, passage: Passage) -> None:
        """It is there; whether it wants in shows later."""
        self.waiting.append(passage)

    def goes_ahead(self, passage: Passage) -> bool:
        """Whether the one inside waits for a hook that this one comes from."""
        if not passage.nested_in or not self.inside:
            return False
        top = self.inside[-1]
        return top.name == passage.nested_in and isinstance(top.waits, RunHooks)

    def next(self) -> Passage | None:
        """Who may go in now; it is inside from here on."""
        if self.inside:
            # A hook may say several things at once: they go in one after the other, each when the
            # hook's own passage is on top again.
            for passage in self.waiting:
                if isinstance(passage.waits, Lock) and self.goes_ahead(passage):
                    self.waiting.remove(passage)
                    return self._enter(passage)
            return None
        if not self.waiting:
            return None
        first = self.waiting[0]
        if isinstance(first.waits, Lock):
            del self.waiting[0]
            return self._enter(first)
        held: set[object] = set()
        asking = {p.name for p in self.waiting if isinstance(p.waits, RunHooks)}
        for passage in self.waiting:
            wants = isinstance(passage.waits, Lock)
            # What a hook says that is asked before the lock: its own message waits for it.
            ahead = passage.nested_in in asking
            if wants and (passage.sender is None or passage.sender not in held or ahead):
                self.waiting.remove(passage)
                return self._enter(passage)
            held.add(passage.sender)
        return None

    def _enter(self, passage: Passage) -> Passage:
        passage.inside = True
        self.inside.append(passage)
        return passage

    def leave(self, passage: Passage) -> Passage | None:
        """It is over. Returns the one it was nested in, if that may go on."""
        if passage.inside:
            self.inside.remove(passage)
            return self.inside[-1] if self.inside else None
        if passage in self.waiting:
            self.waiting.remove(passage)
        return None
