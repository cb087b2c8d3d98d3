"""Step seven of the pipeline: hooks see what comes in, and may change it or block it."""

from __future__ import annotations

import attrs

from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTrigger, Part, Verdict, parted
from actors.machines.room.instructing import same_kind
from actors.machines.room.steps import RunHooks, Steps
from models.rooms.event import RoomEvent
from models.rooms.scope import narrowed


def ask_hooks_early(core: RoomCore, event: RoomEvent) -> Steps[Verdict | None]:
    """The hooks that need no lock: slow ones hold up nobody else so. None if there are none."""
    if not core.hooks.has(HookTrigger.BEFORE_BROADCAST):
        return None
    early, _ = parted(core.hooks.matching(HookTrigger.BEFORE_BROADCAST, event))
    return (yield from _asked(core, event, Part.EARLY)) if early else None


def ask_hooks(core: RoomCore, event: RoomEvent, early: Verdict | None) -> Steps[Verdict]:
    """The others, with the room locked; what the early ones said counts."""
    if early is None:
        return (yield from _asked(core, event, Part.ALL))
    if early.blocked:
        return early
    changed = attrs.evolve(scoped(core, early.event, event), parent_event_id=event.parent_event_id)
    return early.and_then((yield from _asked(core, changed, Part.LATE)))


def _asked(core: RoomCore, event: RoomEvent, part: Part) -> Steps[Verdict]:
    """They see the index it would get."""
    shown = attrs.evolve(event, index=core.next_index)
    verdict: Verdict = yield RunHooks(HookTrigger.BEFORE_BROADCAST, shown, part)
    for error in verdict.errors:
        core.announce(
            "hook_error",
            {
                "hook_name": error.hook,
                "trigger": error.trigger.value,
                "error": error.error_type or error.fault.value,
            },
            event_id=event.id,
        )
    return verdict


def scoped(core: RoomCore, said: RoomEvent, event: RoomEvent) -> RoomEvent:
    """A hook may narrow who reads the answers, never widen it; and it renames nothing."""
    scope = narrowed(event.response_visibility, said.response_visibility, core.bindings.values())
    return attrs.evolve(
        said,
        id=event.id,
        room_id=event.room_id,
        type=same_kind(event.type, said.type),
        response_visibility=scope,
    )
