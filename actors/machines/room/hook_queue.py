"""Which watching hook is told what next, as a machine.

All hooks of a payload are told at the same time, but each is told one payload after the other, in
the order they came: a slow hook falls behind alone. What falls behind is bounded. Of the payloads
that some hook has still to begin with, the oldest is given up when there are too many; hooks that
have begun with it finish it, so that only who is slow misses anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

import attrs

from actors.machines.room.hooking import Hook

P = TypeVar("P")


@attrs.define(eq=False)
class Notice(Generic[P]):
    """A payload on its way to its hooks."""

    payload: P
    owed: set[Hook]
    """Hooks that are not done with it."""
    unbegun: set[Hook]
    """Of those, the ones that have not begun."""


@attrs.define
class Step(Generic[P]):
    """What is to be done now."""

    begin: list[tuple[Hook, Notice[P]]] = attrs.field(factory=list)
    given_up: list[tuple[Hook, Notice[P]]] = attrs.field(factory=list)
    """Never to begin."""
    over: list[Notice[P]] = attrs.field(factory=list)
    """All hooks are done with it, or have given it up."""


@attrs.define
class _Line(Generic[P]):
    """One hook: what it has in hand, and what waits for it."""

    in_hand: Notice[P] | None = None
    waiting: deque[Notice[P]] = attrs.field(factory=deque)
    stuck: bool = False
    """It was told to end, and has not."""


@attrs.define(eq=False)
class HookQueue(Generic[P]):
    """Who is told what next. Each call returns what to do."""

    most: int
    """Payloads that some hook has still to begin with."""
    _lines: dict[Hook, _Line[P]] = attrs.field(factory=dict, init=False)
    _waiting: dict[Notice[P], None] = attrs.field(factory=dict, init=False)
    """Payloads that some hook has still to begin with, the oldest first."""

    @property
    def waiting(self) -> int:
        """Payloads that some hook has still to begin with."""
        return len(self._waiting)

    def add(self, payload: P, hooks: Sequence[Hook]) -> Step[P]:
        """Tell these hooks, each as soon as it is free."""
        step: Step[P] = Step()
        hooks = list(dict.fromkeys(hooks))
        notice = Notice(payload, set(hooks), set(hooks))
        self._waiting[notice] = None
        for hook in hooks:
            line = self._lines.setdefault(hook, _Line())
            if line.stuck:
                self._give_up(hook, notice, step)
            elif line.in_hand is None:
                self._begin(hook, line, notice, step)
            else:
                line.waiting.append(notice)
        self._look_at(notice, step)
        while len(self._waiting) > self.most:
            self._drop_oldest(step)
        return step

    def late(self, hook: Hook) -> Step[P]:
        """The hook's time is up: nobody waits for it any more, but it is not free yet."""
        step: Step[P] = Step()
        notice = self._lines[hook].in_hand
        assert notice is not None, "a hook that is late has something in hand"
        notice.owed.discard(hook)
        self._look_at(notice, step)
        return step

    def stuck(self, hook: Hook) -> Step[P]:
        """It does not end although it was told to: until it does, it is told nothing more."""
        step: Step[P] = Step()
        line = self._lines[hook]
        line.stuck = True
        while line.waiting:
            notice = line.waiting.popleft()
            self._give_up(hook, notice, step)
            self._look_at(notice, step)
        return step

    def ended(self, hook: Hook) -> Step[P]:
        """It is done with what it had in hand, well or not, and free."""
        step: Step[P] = Step()
        line = self._lines[hook]
        notice, line.in_hand = line.in_hand, None
        assert notice is not None, "a hook that ends had something in hand"
        late = hook not in notice.owed
        notice.owed.discard(hook)
        if line.waiting:
            following = line.waiting.popleft()
            self._begin(hook, line, following, step)
            self._look_at(following, step)
        else:
            # Hooks come and go: a line is only kept for who is at work, stuck or not.
            del self._lines[hook]
        if not late:
            self._look_at(notice, step)
        return step

    def _begin(self, hook: Hook, line: _Line[P], notice: Notice[P], step: Step[P]) -> None:
        line.in_hand = notice
        notice.unbegun.discard(hook)
        step.begin.append((hook, notice))

    def _give_up(self, hook: Hook, notice: Notice[P], step: Step[P]) -> None:
        notice.unbegun.discard(hook)
        notice.owed.discard(hook)
        step.given_up.append((hook, notice))

    def _drop_oldest(self, step: Step[P]) -> None:
        oldest = next(iter(self._waiting))
        for hook in list(oldest.unbegun):
            self._lines[hook].waiting.remove(oldest)
            self._give_up(hook, oldest, step)
        self._look_at(oldest, step)

    def _look_at(self, notice: Notice[P], step: Step[P]) -> None:
        if not notice.unbegun:
            self._waiting.pop(notice, None)
        if not notice.owed and notice not in step.over:
            step.over.append(notice)
