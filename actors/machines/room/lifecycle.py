"""When a room that nobody uses is paused and closed, as pure rules over its timers."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from models.rooms.kinds import RoomStatus
from models.rooms.room import Room

OPEN = (RoomStatus.ACTIVE, RoomStatus.PAUSED)
"""The states in which a room takes something."""


@attrs.frozen
class Due:
    """A change of state that its timers bring about."""

    status: RoomStatus
    at: datetime
    """When it fell due: it holds from this moment, however late it is noticed."""


def next_change(room: Room) -> Due | None:
    """What its timers will do to the room if nothing happens in it; None if nothing.

    "More than so many seconds ago" is what the thresholds mean, so the moment itself is not yet
    due: `is_due` tells.
    """
    timers = room.timers
    last = timers.last_activity_at or room.created_at
    pauses = closes = None
    if room.status is RoomStatus.ACTIVE and timers.inactive_after_seconds is not None:
        pauses = _after(last, timers.inactive_after_seconds)
    if timers.closed_after_seconds is not None and room.status in OPEN:
        if timers.close_from == "activity":
            closes = _after(last, timers.closed_after_seconds)
        elif room.status is RoomStatus.PAUSED:
            closes = _after(timers.paused_at or last, timers.closed_after_seconds)
    if closes is not None and (pauses is None or closes <= pauses):
        return Due(RoomStatus.CLOSED, closes)
    return Due(RoomStatus.PAUSED, pauses) if pauses is not None else None


def _after(moment: datetime, seconds: int) -> datetime | None:
    """That much later; None if the calendar ends before."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return None


def is_due(due: Due, now: datetime) -> bool:
    """Whether it has fallen due by now."""
    return now > due.at


def paused(room: Room, at: datetime) -> Room:
    """The room, put aside."""
    return attrs.evolve(
        room,
        status=RoomStatus.PAUSED,
        updated_at=at,
        timers=attrs.evolve(room.timers, paused_at=at),
    )


def closed(room: Room, at: datetime) -> Room:
    """The room, closed."""
    return attrs.evolve(room, status=RoomStatus.CLOSED, closed_at=at, updated_at=at)


def resumed(room: Room, at: datetime) -> Room:
    """The room, in use again: paused or closed before; its idle clock starts now."""
    return attrs.evolve(
        room,
        status=RoomStatus.ACTIVE,
        closed_at=None,
        updated_at=at,
        timers=attrs.evolve(room.timers, paused_at=None, last_activity_at=at),
    )


def archived(room: Room, at: datetime) -> Room:
    """The room, put away for good; it was closed before, or is now."""
    closed_at = room.closed_at or at
    return attrs.evolve(room, status=RoomStatus.ARCHIVED, closed_at=closed_at, updated_at=at)
