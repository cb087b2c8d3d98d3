"""Whether the running code is a hook of a room, and of which.

A hook that speaks into its own room must not wait for its turn there: the room waits for the hook.
So whoever takes its word asks `inside_hook()` and sends the scope along, and the room lets it in
ahead. The scope follows the hook into its nurseries and threads, and ends with it: what a hook has
left running somewhere else counts as outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs

from actors.machines.room.hooking import HookTrigger


@attrs.frozen
class HookScope:
    """A hook that runs: where, for what, how deep."""

    room_id: str
    trigger: HookTrigger
    hook: str
    """Its name."""
    depth: int
    """1 for a hook of what came from outside; one more for each hook inside a hook."""
    run: str = ""
    """What the room called the run: the hook's word goes ahead of that, and of nothing else."""
    decides: bool = True
    """The room waits for what the hook says. One that watches has its turn like anybody."""


@attrs.define(eq=False)
class Inside:
    """A block of code that belongs to a hook."""

    scope: HookScope
    over: bool = False
    """The hook has ended, or nobody waits for it any more."""


_inside: ContextVar[Inside | None] = ContextVar("inside_hook", default=None)


def inside_hook() -> HookScope | None:
    """The hook that the running code belongs to, if it still runs."""
    here = _inside.get()
    return here.scope if here is not None and not here.over else None


def waited_for_by(room_id: str) -> HookScope | None:
    """The same, if that room waits for what the hook says: only then may it go ahead there."""
    scope = inside_hook()
    return scope if scope is not None and scope.decides and scope.room_id == room_id else None


@contextmanager
def inside(scope: HookScope) -> Iterator[Inside]:
    """What runs in this block belongs to a hook.

    The runner wraps functions in it. An actor that is a hook, and speaks into the room it is asked
    by, does so inside `inside(call.scope)`.
    """
    here = Inside(scope)
    token = _inside.set(here)
    try:
        yield here
    finally:
        here.over = True
        _inside.reset(token)
