"""A room is closed and opened, set aside and set up (§4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.steps import (
    Steps,
)
from models.rooms.errors import (
    BadValue,
    RoomClosed,
)
from models.rooms.kinds import (
    AgentResponsePolicy,
    RoomStatus,
)
from models.rooms.room import DETACHED
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import Driver

Operation = Callable[[Pipeline], Steps[Any]]


def open_room(*bound: str) -> Driver:
    """With these channels, and nothing said yet about what comes."""
    return Driver.of_room().attach(*bound).forget_effects()


# -- a room's state ----------------------------------------------------------------------------

A, P, C, X = RoomStatus.ACTIVE, RoomStatus.PAUSED, RoomStatus.CLOSED, RoomStatus.ARCHIVED
REFUSED = None

STATES: list[tuple[str, Operation, dict[RoomStatus, RoomStatus | None]]] = [
    ("close", operations.close_room, {A: C, P: C, C: C, X: X}),
    ("pause", operations.pause_room, {A: P, P: P, C: REFUSED, X: REFUSED}),
    ("resume", operations.resume_room, {A: A, P: A, C: REFUSED, X: REFUSED}),
    ("reopen", operations.reopen_room, {A: A, P: P, C: A, X: REFUSED}),
    ("archive", operations.archive_room, {A: X, P: X, C: X, X: X}),
]

BROUGHT: dict[RoomStatus, Operation | None] = {
    A: None,
    P: operations.pause_room,
    C: operations.close_room,
    X: operations.archive_room,
}


def in_state(status: RoomStatus) -> Driver:
    """A room that is in that state, with two channels."""
    room = open_room("web", "ai")
    bring = BROUGHT[status]
    if bring is not None:
        room.run(bring(room.pipeline))
    return room.forget_effects()


@pytest.mark.parametrize(
    ("make", "before", "after"),
    [
        pytest.param(make, before, after, id=f"{name} {before}")
        for name, make, table in STATES
        for before, after in table.items()
    ],
)
def test_the_states_of_a_room(
    make: Operation, before: RoomStatus, after: RoomStatus | None
) -> None:
    room = in_state(before).at(60)
    if after is REFUSED:
        with pytest.raises(RoomClosed, match=before.value):
            room.run(make(room.pipeline))
        (refused,) = room.announced("room_refused_event")
        assert refused.data == {"status": before.value, "event_type": "system"}
    else:
        assert room.run(make(room.pipeline)).status is after
    assert room.core.room.status is (after or before)
    assert room.kept() == (after is not REFUSED and after is not before)


def test_closing_is_the_last_entry_and_hooks_and_listeners_are_told() -> None:
    room = in_state(A).at(7)
    closed = room.run(operations.close_room(room.pipeline))
    assert closed.closed_at == room.core.now
    assert room.records()[-1] == ("room_closed", {})
    assert room.fired() == [HookTrigger.ON_ROOM_CLOSED]
    assert room.announced("room_closed")
    count = len(room.timeline())
    assert room.say("web", "hello?").reason == "room_closed"
    assert len(room.timeline()) == count


def test_archiving_keeps_when_it_was_closed_and_adds_no_entry() -> None:
    room = in_state(C).at(50)
    closed_at = room.core.room.closed_at
    count = len(room.timeline())
    assert room.run(operations.archive_room(room.pipeline)).closed_at == closed_at
    assert len(room.timeline()) == count
    assert (room.fired(), len(room.announced("room_archived"))) == ([], 1)
    direct = in_state(A).at(50)
    assert direct.run(operations.archive_room(direct.pipeline)).closed_at == direct.core.now


def test_pausing_resuming_and_reopening_are_seen_in_the_timeline() -> None:
    room = in_state(A)
    for make in (
        operations.pause_room,
        operations.resume_room,
        operations.close_room,
        operations.reopen_room,
    ):
        room.run(make(room.pipeline))
    codes = [code for code, _ in room.records()[2:]]
    assert codes == ["room_paused", "room_resumed", "room_closed", "room_reopened"]
    assert room.fired() == [HookTrigger.ON_ROOM_PAUSED, HookTrigger.ON_ROOM_CLOSED]
    assert room.core.room.closed_at is None
    assert room.say("web", "back again").reason is None


NO_ENTRIES: dict[str, Operation] = {
    "metadata": lambda p: operations.update_room_metadata(p, {"tag": "done"}),
    "policy": lambda p: operations.set_agent_response_policy(p, AgentResponsePolicy.ADDRESSED_ONLY),
    "timers": lambda p: operations.set_room_timers(p, p.core.room.timers),
    "feedback": lambda p: operations.submit_feedback(p, 1.0),
    "observation": lambda p: operations.add_observation(p, "ai", "a complaint"),
    "task": lambda p: operations.add_task(p, "call back"),
}


@pytest.mark.parametrize("make", NO_ENTRIES.values(), ids=NO_ENTRIES)
def test_what_makes_no_entry_may_be_done_in_a_closed_room(make: Operation) -> None:
    room = in_state(C)
    before = room.timeline()
    room.run(make(room.pipeline))
    assert room.kept() == 1
    assert room.timeline() == before
    assert room.core.room.status is C


# -- what its host may set ---------------------------------------------------------------------


def test_metadata_of_a_room_are_merged_at_the_first_level() -> None:
    room = open_room()
    room.run(operations.update_room_metadata(room.pipeline, {"a": {"x": 1}, "b": 2}))
    room.run(operations.update_room_metadata(room.pipeline, {"a": {"y": 1}}, unset=("b",)))
    assert dict(room.core.room.metadata) == {"a": {"y": 1}}
    room.forget_effects()
    room.run(operations.update_room_metadata(room.pipeline, {"a": {"y": 1}}))
    assert not room.kept()


@pytest.mark.parametrize("unset", [(), (DETACHED,)])
def test_which_channels_are_detached_is_not_the_hosts_to_write(unset: tuple[str, ...]) -> None:
    room = open_room("web", "sms")
    room.run(operations.detach_channel(room.pipeline, "sms"))
    changes: dict[str, Any] = {} if unset else {DETACHED: []}
    with pytest.raises(BadValue, match="attach or detach"):
        room.run(operations.update_room_metadata(room.pipeline, changes, unset))
    whole = {**room.core.room.metadata, "read": "and written back"}
    room.run(operations.update_room_metadata(room.pipeline, whole))
    assert room.core.tombstones == ("sms",)


def test_a_policy_holds_from_the_next_event_on() -> None:
    room = open_room("web", "ai", "ai2")
    policy = AgentResponsePolicy.ADDRESSED_ONLY
    room.run(operations.set_agent_response_policy(room.pipeline, policy))
    room.forget_effects()
    room.run(operations.set_agent_response_policy(room.pipeline, policy))
    assert not room.kept()
    room.say("web", "hi")
    room.answer("hello")
    room.answer("hello too")
    assert not room.thinking
