"""Opening, closing and setting a room aside, and what else its host may set of it.

Every operation is a passage (`steps.py`). It takes the lock and lets the timers do first what they
should have done by now. A closed or archived room takes no entry into its timeline, so whatever
makes one is refused with `RoomClosed`; what makes none (timers, metadata, feedback, deleting what
was said …) may be done in every state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTrigger
from actors.machines.room.lifecycle import OPEN, archived, closed, paused, resumed
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.steps import LOCK, Steps
from models.rooms.errors import BadValue, RoomClosed
from models.rooms.event import NOTHING
from models.rooms.kinds import AgentResponsePolicy, EventType, RoomStatus
from models.rooms.room import DETACHED, Room, RoomTimers


def entered(pipeline: Pipeline) -> Steps[RoomCore]:
    """The room, locked, and as its timers have left it by now."""
    yield LOCK
    yield from pipeline.catch_up()
    return pipeline.core


def refuse_if_closed(core: RoomCore, entry: EventType) -> None:
    """A closed room takes no entry.

    Raises:
        RoomClosed: it is closed or archived.
    """
    status = core.room.status
    if status in OPEN:
        return
    data = {"status": status.value, "event_type": entry.value}
    core.announce("room_refused_event", data)
    raise RoomClosed(core.room.id, status.value)


# -- its status ------------------------------------------------------------------------------------


def close_room(pipeline: Pipeline) -> Steps[Room]:
    """Close it; the entry that says so is its last. Nothing happens if it is closed already."""
    core = yield from entered(pipeline)
    if core.room.status not in OPEN:
        return core.room
    room = closed(core.room, core.now)
    return (yield from _now(pipeline, room, "closed", HookTrigger.ON_ROOM_CLOSED))


def pause_room(pipeline: Pipeline) -> Steps[Room]:
    """Set it aside until something is delivered in it. Nothing happens if it is paused already.

    Raises:
        RoomClosed: it is not in use any more.
    """
    core = yield from entered(pipeline)
    refuse_if_closed(core, EventType.SYSTEM)
    if core.room.status is RoomStatus.PAUSED:
        return core.room
    room = paused(core.room, core.now)
    return (yield from _now(pipeline, room, "paused", HookTrigger.ON_ROOM_PAUSED))


def resume_room(pipeline: Pipeline) -> Steps[Room]:
    """Have a paused room in use again; its idle clock starts anew. Nothing happens if it is.

    Raises:
        RoomClosed: it is closed; that needs `reopen_room`.
    """
    core = yield from entered(pipeline)
    refuse_if_closed(core, EventType.SYSTEM)
    if core.room.status is RoomStatus.ACTIVE:
        return core.room
    return (yield from _now(pipeline, resumed(core.room, core.now), "resumed"))


def reopen_room(pipeline: Pipeline) -> Steps[Room]:
    """Have a closed room in use again; its idle clock starts anew. An open one stays as it is.

    Raises:
        RoomClosed: it is archived, and that is for good.
    """
    core = yield from entered(pipeline)
    if core.room.status in OPEN:
        return core.room
    if core.room.status is RoomStatus.ARCHIVED:
        refuse_if_closed(core, EventType.SYSTEM)
    return (yield from _now(pipeline, resumed(core.room, core.now), "reopened"))


def archive_room(pipeline: Pipeline) -> Steps[Room]:
    """Put it away for good. No entry says so: most rooms are closed by then, and take none."""
    core = yield from entered(pipeline)
    if core.room.status is RoomStatus.ARCHIVED:
        return core.room
    yield from pipeline.commit(core.change(room=archived(core.room, core.now)))
    core.announce("room_archived")
    return core.room


def _now(
    pipeline: Pipeline, room: Room, word: str, trigger: HookTrigger | None = None
) -> Steps[Room]:
    """The new status and the entry that says so, in one commit."""
    core = pipeline.core
    record = core.record(EventType.SYSTEM, f"room_{word}", word)
    yield from pipeline.commit(core.change((record,), room=room))
    if trigger is not None:
        core.fire(trigger, record)
    core.announce(f"room_{word}")
    return core.room


def check_timers(pipeline: Pipeline) -> Steps[bool]:
    """Have the timers do what they should have done by now; whether that was anything."""
    yield LOCK
    before = pipeline.core.room.status
    yield from pipeline.catch_up()
    return pipeline.core.room.status is not before


# -- what its host may set -------------------------------------------------------------------------


def set_room_timers(pipeline: Pipeline, timers: RoomTimers) -> Steps[Room]:
    """Other thresholds. What they count from stays, unless `timers.last_activity_at` is given.

    Raises:
        BadValue: that is no moment in UTC, or lies ahead.
    """
    core = yield from entered(pipeline)
    before = core.room.timers
    last = timers.last_activity_at or before.last_activity_at or core.now
    if last.utcoffset() is None or last > core.now:
        raise BadValue(["last_activity_at: a moment that has been, with its time zone"])
    after = attrs.evolve(timers, last_activity_at=last, paused_at=before.paused_at)
    return (yield from _set(pipeline, attrs.evolve(core.room, timers=after)))


def set_agent_response_policy(pipeline: Pipeline, policy: AgentResponsePolicy) -> Steps[Room]:
    """Whether agents answer each other, from the next event on."""
    core = yield from entered(pipeline)
    return (yield from _set(pipeline, attrs.evolve(core.room, agent_response_policy=policy)))


def update_room_metadata(
    pipeline: Pipeline, changes: Mapping[str, Any] = NOTHING, unset: Sequence[str] = ()
) -> Steps[Room]:
    """Merge into the room's metadata, at its first level.

    Args:
        changes: keys and their new values; None is a value like others.
        unset: keys that are to go; one that is in `changes` as well stays.
    Raises:
        BadValue: that would change which channels count as detached.
    """
    core = yield from entered(pipeline)
    merged = patched(core.room.metadata, changes, unset)
    if list(merged.get(DETACHED, ())) != list(core.tombstones):
        raise BadValue([f"metadata.{DETACHED}: kept by the room; attach or detach the channel"])
    return (yield from _set(pipeline, attrs.evolve(core.room, metadata=merged)))


def patched(
    before: Mapping[str, Any], changes: Mapping[str, Any], unset: Sequence[str]
) -> Mapping[str, Any]:
    """Metadata, with these keys changed and those gone."""
    return {key: value for key, value in before.items() if key not in unset} | dict(changes)


def _set(pipeline: Pipeline, room: Room) -> Steps[Room]:
    core = pipeline.core
    if room != core.room:
        yield from pipeline.commit(core.change(room=room))
    return core.room
