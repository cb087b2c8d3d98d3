"""Who is in a room (§7)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from actors.machines.room import membership
from actors.machines.room.hooking import HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.steps import Fire, Steps
from models.rooms.content import System
from models.rooms.errors import BadValue, IdentityNotFound, ParticipantNotFound, RoomClosed
from models.rooms.event import RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import (
    EventType,
    IdentificationStatus,
    ParticipantRole,
    ParticipantStatus,
)
from models.rooms.room import Participant, Room
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import T0, Driver

ACTIVE, LEFT, BANNED = ParticipantStatus.ACTIVE, ParticipantStatus.LEFT, ParticipantStatus.BANNED
IDENTIFIED, PENDING = IdentificationStatus.IDENTIFIED, IdentificationStatus.PENDING


def open_room() -> Driver:
    return Driver.of_room().attach("web", "sms").forget_effects()


def people(room: Driver, *, include_left: bool = False) -> list[str]:
    everybody = tuple(room.core.participants.values())
    return [person.id for person in membership.list_members(everybody, include_left)]


def hooks(room: Driver) -> list[tuple[HookTrigger, dict[str, Any]]]:
    """What hooks were told, and with which data."""
    told = []
    for effect in room.done(Fire):
        assert isinstance(effect.payload, RoomEvent)
        assert isinstance(effect.payload.content, System)
        told.append((effect.trigger, dict(effect.payload.content.data)))
    return told


# -- who comes by --------------------------------------------------------------------------------


def test_whoever_comes_by_has_a_record_and_nobody_is_told() -> None:
    room = open_room()
    ann = room.run(membership.ensure_participant(room.pipeline, "web", "ann", "Ann"))
    assert (ann.status, ann.identification, ann.role) == (ACTIVE, PENDING, ParticipantRole.MEMBER)
    assert (ann.channel_id, ann.connected_via, ann.display_name) == ("web", ("web",), "Ann")
    assert not room.effects
    assert room.timeline()[-1].type is EventType.CHANNEL_ATTACHED


def test_the_same_person_on_a_second_channel_is_one_record_and_worth_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = open_room()
    room.run(membership.ensure_participant(room.pipeline, "web", "ann", "Ann"))
    with caplog.at_level(logging.WARNING, "troupe.rooms"):
        ann = room.run(membership.ensure_participant(room.pipeline, "sms", "ann", "Other"))
    assert (ann.channel_id, ann.connected_via) == ("web", ("web", "sms"))
    assert ann.display_name == "Ann"
    assert "sms too" in caplog.text
    room.forget_effects()
    room.run(membership.ensure_participant(room.pipeline, "sms", "ann"))
    assert not room.kept()


# -- joining -----------------------------------------------------------------------------------


def test_joining_is_an_entry_and_a_hook() -> None:
    room = open_room()
    ann = room.run(
        membership.add_member(
            room.pipeline, "web", "ann", display_name="Ann", role=ParticipantRole.OWNER
        )
    )
    assert (ann.role, ann.identification, ann.joined_at) == (ParticipantRole.OWNER, PENDING, T0)
    data = {"participant_id": "ann", "identity_id": None}
    assert room.records()[-1] == ("participant_joined", data)
    assert room.timeline()[-1].type is EventType.PARTICIPANT_JOINED
    assert hooks(room) == [(HookTrigger.ON_PARTICIPANT_JOINED, data)]


def test_who_joins_with_an_identity_is_identified() -> None:
    room = open_room()
    ann = room.run(membership.add_member(room.pipeline, "web", "ann", identity_id="i-1"))
    assert (ann.identification, ann.identity_id) == (IDENTIFIED, "i-1")
    everybody = tuple(room.core.participants.values())
    assert membership.is_member(everybody, "i-1")
    assert not membership.is_member(everybody, "i-2")


def test_who_is_here_already_stays_as_they_are_and_comes_by_this_channel_too() -> None:
    room = open_room()
    room.run(membership.add_member(room.pipeline, "web", "ann", display_name="Ann"))
    room.forget_effects()
    again = membership.add_member(
        room.pipeline, "sms", "ann", display_name="Anna", role=ParticipantRole.OWNER
    )
    ann = room.run(again)
    assert (ann.connected_via, ann.display_name) == (("web", "sms"), "Ann")
    assert ann.role is ParticipantRole.MEMBER
    assert not room.effects


@pytest.mark.parametrize("gone", [LEFT, BANNED])
def test_who_was_gone_is_back_by_the_channel_they_come_by_now(gone: ParticipantStatus) -> None:
    room = open_room()
    room.run(
        membership.add_member(
            room.pipeline, "web", "ann", identity_id="i-1", role=ParticipantRole.OWNER
        )
    )
    room.run(membership.remove_member(room.pipeline, "ann", gone))
    room.forget_effects()
    ann = room.run(membership.add_member(room.pipeline, "sms", "ann"))
    assert (ann.status, ann.channel_id, ann.connected_via) == (ACTIVE, "sms", ("sms", "web"))
    assert (ann.identity_id, ann.identification) == ("i-1", IDENTIFIED)
    assert ann.role is ParticipantRole.OWNER
    assert [trigger for trigger, _ in hooks(room)] == [HookTrigger.ON_PARTICIPANT_JOINED]


# -- leaving, names ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [LEFT, BANNED])
def test_leaving_keeps_the_record(status: ParticipantStatus) -> None:
    room = open_room()
    for name in ("ann", "bo"):
        room.run(membership.add_member(room.pipeline, "web", name, identity_id=f"i-{name}"))
    room.forget_effects()
    ann = room.run(membership.remove_member(room.pipeline, "ann", status))
    assert ann.status is status
    data = {"participant_id": "ann", "status": status.value}
    assert room.records()[-1] == ("participant_left", data)
    assert hooks(room) == [(HookTrigger.ON_PARTICIPANT_LEFT, data)]
    assert people(room) == ["bo"]
    assert people(room, include_left=True) == ["ann", "bo"]
    assert not membership.is_member(tuple(room.core.participants.values()), "i-ann")
    room.forget_effects()
    room.run(membership.remove_member(room.pipeline, "ann", status))
    assert not room.kept()


def test_whoever_left_may_still_be_banned() -> None:
    room = open_room()
    room.run(membership.add_member(room.pipeline, "web", "ann"))
    room.run(membership.remove_member(room.pipeline, "ann"))
    assert room.run(membership.remove_member(room.pipeline, "ann", BANNED)).status is BANNED
    with pytest.raises(BadValue, match="left or banned"):
        room.run(membership.remove_member(room.pipeline, "ann", ACTIVE))


def test_a_name_is_changed_once_and_the_entry_does_not_tell_it() -> None:
    room = open_room()
    room.run(membership.add_member(room.pipeline, "web", "ann"))
    room.forget_effects()
    ann = room.run(membership.rename_member(room.pipeline, "ann", "Ann B."))
    assert ann.display_name == "Ann B."
    assert room.records()[-1] == ("participant_updated", {"participant_id": "ann"})
    assert [trigger for trigger, _ in hooks(room)] == [HookTrigger.ON_PARTICIPANT_UPDATED]
    room.forget_effects()
    room.run(membership.rename_member(room.pipeline, "ann", "Ann B."))
    assert not room.kept()


# -- recognising -----------------------------------------------------------------------------------


def test_somebody_turns_out_to_be_a_person_of_the_address_book() -> None:
    room = open_room().at(9)
    room.backend.put_identity(Identity("i-1", display_name="Ann"))
    pending = Participant("p-1", "r", "sms", T0, connected_via=("sms",), candidates=("i-1", "i-2"))
    room.run(room.pipeline.commit(room.core.change(participants=(pending,))))
    ann = room.run(membership.resolve_participant(room.pipeline, "p-1", "i-1"))
    assert (ann.identification, ann.identity_id) == (IDENTIFIED, "i-1")
    assert (ann.resolved_at, ann.resolved_by) == (room.core.now, "manual")
    assert (ann.candidates, ann.display_name) == (None, "Ann")
    data = {"participant_id": "p-1", "identity_id": "i-1", "resolved_by": "manual"}
    assert room.records()[-1] == ("participant_identified", data)
    assert room.timeline()[-1].type is EventType.PARTICIPANT_IDENTIFIED
    assert hooks(room) == [(HookTrigger.ON_PARTICIPANT_IDENTIFIED, data)]
    room.forget_effects()
    room.run(membership.resolve_participant(room.pipeline, "p-1", "i-1"))
    assert not room.kept()


@pytest.mark.parametrize("organization", [None, "acme"])
def test_an_identity_of_others_is_as_good_as_none(organization: str | None) -> None:
    room = Driver.of_room(Room("r", T0, T0, organization_id=organization))
    room.backend.put_identity(Identity("i-1", organization_id="globex"))
    room.run(membership.add_member(room.pipeline, "web", "ann"))
    for name in ("i-1", "i-2"):
        with pytest.raises(IdentityNotFound):
            room.run(membership.resolve_participant(room.pipeline, "ann", name))
    assert room.core.participants["ann"].identification is PENDING


# -- what cannot be ----------------------------------------------------------------------------

Operation = Callable[[Pipeline], Steps[Any]]
ON_NOBODY: dict[str, Operation] = {
    "remove": lambda p: membership.remove_member(p, "ann"),
    "rename": lambda p: membership.rename_member(p, "ann", "Ann"),
    "resolve": lambda p: membership.resolve_participant(p, "ann", "i-1"),
}
ON_EMPTY: dict[str, Operation] = {
    "ensure": lambda p: membership.ensure_participant(p, "web", ""),
    "add": lambda p: membership.add_member(p, "web", ""),
}


@pytest.mark.parametrize("make", ON_NOBODY.values(), ids=ON_NOBODY)
def test_nothing_is_done_to_nobody(make: Operation) -> None:
    room = open_room()
    room.backend.put_identity(Identity("i-1"))
    with pytest.raises(ParticipantNotFound, match="ann"):
        room.run(make(room.pipeline))
    assert not room.kept()


@pytest.mark.parametrize("make", ON_EMPTY.values(), ids=ON_EMPTY)
def test_somebody_has_an_id(make: Operation) -> None:
    room = open_room()
    with pytest.raises(BadValue, match="participant_id"):
        room.run(make(room.pipeline))


@pytest.mark.parametrize(
    "make",
    [*ON_NOBODY.values(), lambda p: membership.add_member(p, "web", "bo")],
    ids=[*ON_NOBODY, "add"],
)
def test_people_come_and_go_in_open_rooms_only(make: Operation) -> None:
    room = open_room()
    room.backend.put_identity(Identity("i-1"))
    room.run(membership.add_member(room.pipeline, "web", "ann"))
    room.run(operations.close_room(room.pipeline))
    before = dict(room.core.participants)
    with pytest.raises(RoomClosed):
        room.run(make(room.pipeline))
    assert room.core.participants == before
    assert room.announced("room_refused_event")
