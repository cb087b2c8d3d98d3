"""Timers: when a room that nobody uses is paused and closed (§4, §42.4, T12)."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.lifecycle import Due, next_change
from models.rooms.content import System
from models.rooms.errors import BadValue, RoomClosed
from models.rooms.kinds import RoomStatus
from models.rooms.room import Room, RoomTimers
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import T0, Driver

A, P, C, X = RoomStatus.ACTIVE, RoomStatus.PAUSED, RoomStatus.CLOSED, RoomStatus.ARCHIVED


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def room_with(status: RoomStatus = A, **timers: Any) -> Room:
    timers.setdefault("last_activity_at", T0)
    return Room("r", T0, T0, status=status, timers=RoomTimers(**timers))


def due_of(found: Due | None) -> tuple[RoomStatus, float] | None:
    return None if found is None else (found.status, (found.at - T0).total_seconds())


# -- the rules as a table ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        pytest.param(room_with(), None, id="no timers, nothing"),
        pytest.param(room_with(inactive_after_seconds=60), (P, 60), id="pauses"),
        pytest.param(room_with(closed_after_seconds=300), (C, 300), id="closes from active"),
        pytest.param(
            room_with(inactive_after_seconds=60, closed_after_seconds=300), (P, 60), id="pauses 1st"
        ),
        pytest.param(
            room_with(inactive_after_seconds=300, closed_after_seconds=60), (C, 60), id="closes 1st"
        ),
        pytest.param(
            room_with(inactive_after_seconds=60, closed_after_seconds=60),
            (C, 60),
            id="closing wins",
        ),
        pytest.param(
            room_with(P, inactive_after_seconds=60, closed_after_seconds=300, paused_at=after(60)),
            (C, 300),
            id="paused closes from activity",
        ),
        pytest.param(
            room_with(P, inactive_after_seconds=60), None, id="paused is not paused again"
        ),
        pytest.param(
            room_with(closed_after_seconds=300, close_from="paused"),
            None,
            id="from pause: active never closes",
        ),
        pytest.param(
            room_with(inactive_after_seconds=60, closed_after_seconds=30, close_from="paused"),
            (P, 60),
            id="from pause: pauses first",
        ),
        pytest.param(
            room_with(P, closed_after_seconds=300, close_from="paused", paused_at=after(60)),
            (C, 360),
            id="from pause: counts from there",
        ),
        pytest.param(
            room_with(inactive_after_seconds=60, last_activity_at=None), (P, 60), id="from creation"
        ),
        pytest.param(room_with(C, closed_after_seconds=1), None, id="closed"),
        pytest.param(
            room_with(X, inactive_after_seconds=1, closed_after_seconds=1), None, id="archived"
        ),
        pytest.param(room_with(inactive_after_seconds=10**15), None, id="beyond the calendar"),
        pytest.param(room_with(closed_after_seconds=10**12), None, id="beyond year 9999"),
    ],
)
def test_what_timers_do_next(room: Room, expected: tuple[RoomStatus, float] | None) -> None:
    assert due_of(next_change(room)) == expected


# -- T12 -----------------------------------------------------------------------------------------


def idle_room(**timers: Any) -> Driver:
    """Last used at T0."""
    room = Driver.of_room(room_with(**timers)).attach("web")
    return room.forget_effects()


def check(room: Driver, seconds: float) -> tuple[bool, RoomStatus]:
    """Whether a check changes anything then, and what the room is."""
    changed = room.at(seconds).run(operations.check_timers(room.pipeline))
    return changed, room.core.room.status


def timer_records(room: Driver) -> list[tuple[str | None, float]]:
    return [
        (event.content.code, (event.created_at - T0).total_seconds())
        for event in room.timeline()
        if isinstance(event.content, System) and "timer" in (event.content.code or "")
    ]


def test_t12_an_idle_room_is_paused_and_closed_and_then_takes_nothing() -> None:
    room = idle_room(inactive_after_seconds=60, closed_after_seconds=300)
    assert check(room, 60) == (False, A)
    assert check(room, 61) == (True, P)
    assert check(room, 300) == (False, P)
    assert check(room, 301) == (True, C)
    assert timer_records(room) == [("room_paused_by_timer", 60), ("room_closed_by_timer", 300)]
    assert room.fired() == [HookTrigger.ON_ROOM_PAUSED, HookTrigger.ON_ROOM_CLOSED]
    assert [told.data for told in room.announced("room_paused")] == [{"reason": "timer"}]
    assert [told.data for told in room.announced("room_closed")] == [{"reason": "timer"}]
    cascade = room.say("web", "hello?")
    assert (cascade.reason, cascade.event) == ("room_closed", None)
    assert check(room, 9999) == (False, C)


def test_t12_from_the_pause_a_room_closes_later() -> None:
    room = idle_room(inactive_after_seconds=60, closed_after_seconds=300, close_from="paused")
    assert check(room, 61) == (True, P)
    assert check(room, 360) == (False, P)
    assert check(room, 361) == (True, C)
    assert timer_records(room) == [("room_paused_by_timer", 60), ("room_closed_by_timer", 360)]


@pytest.mark.parametrize(("close_from", "closed_at"), [("activity", 300), ("paused", 360)])
def test_what_fell_due_while_nobody_looked_holds_from_when_it_did(
    close_from: str, closed_at: float
) -> None:
    room = idle_room(inactive_after_seconds=60, closed_after_seconds=300, close_from=close_from)
    assert check(room, 86_400) == (True, C)
    assert room.core.room.timers.paused_at == after(60)
    assert room.core.room.closed_at == after(closed_at)
    assert timer_records(room) == [
        ("room_paused_by_timer", 60),
        ("room_closed_by_timer", closed_at),
    ]


def test_whatever_is_asked_of_a_room_its_timers_come_first() -> None:
    room = idle_room(closed_after_seconds=60).at(61)
    with pytest.raises(RoomClosed):
        room.run(operations.mute(room.pipeline, "web"))
    assert room.core.room.closed_at == after(60)


# -- activity --------------------------------------------------------------------------------------


def test_a_message_to_a_paused_room_resumes_it_and_starts_its_idle_clock() -> None:
    room = idle_room(inactive_after_seconds=60)
    assert check(room, 61) == (True, P)
    room.at(100).say("web", "still there?")
    assert room.core.room.status is A
    assert room.core.room.timers.paused_at is None
    assert check(room, 160) == (False, A)
    assert check(room, 161) == (True, P)


def test_only_what_is_delivered_counts_as_activity() -> None:
    room = idle_room(inactive_after_seconds=60)
    room.at(30).run(operations.mute(room.pipeline, "web"))
    assert room.say("web", "shh").reason == "source_muted"
    room.run(operations.update_room_metadata(room.pipeline, {"seen": True}))
    assert room.core.room.timers.last_activity_at == T0
    assert check(room, 61) == (True, P)
    assert room.say("web", "shh").reason == "source_muted"
    assert room.core.room.status is P


def test_a_room_that_is_resumed_or_reopened_begins_to_idle_anew() -> None:
    room = idle_room(inactive_after_seconds=60, closed_after_seconds=300)
    check(room, 61)
    room.at(250).run(operations.resume_room(room.pipeline))
    assert check(room, 310) == (False, A)
    assert check(room, 1000) == (True, C)
    room.at(2000).run(operations.reopen_room(room.pipeline))
    assert check(room, 2060) == (False, A)
    assert check(room, 2061) == (True, P)


# -- other thresholds -----------------------------------------------------------------------------


def test_other_thresholds_do_not_start_the_idle_clock_anew() -> None:
    room = idle_room(inactive_after_seconds=60)
    change = RoomTimers(inactive_after_seconds=90, closed_after_seconds=120)
    timers = room.at(50).run(operations.set_room_timers(room.pipeline, change)).timers
    assert timers == attrs.evolve(change, last_activity_at=T0)
    assert check(room, 90) == (False, A)
    assert check(room, 91) == (True, P)
    longer = RoomTimers(closed_after_seconds=500)
    timers = room.run(operations.set_room_timers(room.pipeline, longer)).timers
    assert timers.paused_at == after(90)


def test_a_room_that_never_had_a_clock_gets_one_that_starts_now() -> None:
    room = Driver.of_room().at(500)
    room.run(operations.set_room_timers(room.pipeline, RoomTimers(inactive_after_seconds=60)))
    assert room.core.room.timers.last_activity_at == after(500)


def test_the_clock_may_be_given() -> None:
    room = idle_room(inactive_after_seconds=60).at(50)
    given_clock = RoomTimers(inactive_after_seconds=60, last_activity_at=after(40))
    room.run(operations.set_room_timers(room.pipeline, given_clock))
    assert check(room, 100) == (False, A)
    late = RoomTimers(last_activity_at=after(10_000))
    with pytest.raises(BadValue, match="last_activity_at"):
        room.run(operations.set_room_timers(room.pipeline, late))
    with pytest.raises(ValueError, match="time zone"):
        RoomTimers(last_activity_at=datetime(2026, 1, 1))


def test_a_room_tells_how_long_it_may_be_left_alone() -> None:
    room = idle_room(inactive_after_seconds=60)
    assert room.at(45).core.seconds_until_due() == 15
    assert Driver.of_room().core.seconds_until_due() == math.inf


# -- any timers, any times -----------------------------------------------------------------------

SECONDS = st.none() | st.integers(0, 50)


@given(SECONDS, SECONDS, st.sampled_from(["activity", "paused"]), st.lists(st.integers(0, 60)))
def test_it_makes_no_difference_how_often_one_looks(
    inactive: int | None, closing: int | None, close_from: str, looks: list[int]
) -> None:
    timers = {
        "inactive_after_seconds": inactive,
        "closed_after_seconds": closing,
        "close_from": close_from,
    }
    often, once = idle_room(**timers), idle_room(**timers)
    for moment in sorted(looks):
        check(often, moment)
    check(often, 120)
    check(once, 120)
    assert timer_records(often) == timer_records(once)
    for room in (often, once):
        assert room.core.room.status is once.core.room.status
        assert room.core.room.closed_at == once.core.room.closed_at
        assert room.core.room.timers == once.core.room.timers
