"""Edits and deletes that people make themselves (§10.4, §42.7)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.machines.room import editing, membership
from actors.machines.room.hooking import HookTrigger, Verdict
from actors.machines.room.steps import Carry, Fire
from models.rooms.content import Content, Delete, Edit, Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import (
    ChannelType,
    DeleteType,
    EventStatus,
    EventType,
    ParticipantRole,
    ParticipantStatus,
)
from models.rooms.room import Participant
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import SOMEBODY_DECIDES, T0, Driver

USER = EventSource("web", ChannelType.WEBSOCKET, participant_id="ann")
OTHER = EventSource("web", ChannelType.WEBSOCKET, participant_id="bo")
NOBODY = EventSource("web", ChannelType.WEBSOCKET)
SYSTEM = EventSource("system", ChannelType.SYSTEM)


def said(source: EventSource = USER, **more: Any) -> RoomEvent:
    return RoomEvent("e1", "r", source, Text("hello"), T0, **more)


def edit(source: EventSource = USER, by: Any = None) -> RoomEvent:
    return RoomEvent("e2", "r", source, Edit("e1", Text("hi"), by), T0, EventType.EDIT)


def delete(source: EventSource = USER, by: DeleteType = DeleteType.SENDER) -> RoomEvent:
    return RoomEvent("e2", "r", source, Delete("e1", by), T0, EventType.DELETE)


def person(role: ParticipantRole) -> Participant:
    return Participant("bo", "r", "web", T0, role=role)


NOT_FOUND, NEEDS_ID = "target_event_not_found", "identity_required_for_edit"
NOT_AUTHOR, NOT_AUTHORIZED = "not_original_author", "not_authorized"
ADMIN, BY_SYSTEM = DeleteType.ADMIN, DeleteType.SYSTEM
ROLES = {role: person(role) for role in ParticipantRole}


@pytest.mark.parametrize(
    ("change", "target", "sender", "reason"),
    [
        (edit(), said(), None, None),
        (delete(), said(), None, None),
        (edit(by="sender"), said(), None, None),
        (edit(), None, None, NOT_FOUND),
        (edit(), said(status=EventStatus.BLOCKED), None, NOT_FOUND),
        (edit(), said(metadata={"deleted": True}), None, NOT_FOUND),
        (delete(), said(type=EventType.EDIT), None, NOT_FOUND),
        (delete(), said(type=EventType.DELETE), None, NOT_FOUND),
        (edit(NOBODY), said(), None, NEEDS_ID),
        (edit(), said(NOBODY), None, NEEDS_ID),
        (edit(OTHER), said(), None, NOT_AUTHOR),
        (delete(OTHER), said(), ROLES[ParticipantRole.OWNER], NOT_AUTHOR),
        (delete(OTHER, ADMIN), said(), ROLES[ParticipantRole.OWNER], None),
        (delete(OTHER, ADMIN), said(), ROLES[ParticipantRole.AGENT], None),
        (delete(OTHER, ADMIN), said(), ROLES[ParticipantRole.MEMBER], NOT_AUTHORIZED),
        (delete(OTHER, ADMIN), said(), None, NOT_AUTHORIZED),
        (delete(USER, BY_SYSTEM), said(), None, NOT_AUTHORIZED),
        (delete(SYSTEM, BY_SYSTEM), said(), None, None),
        (edit(USER, "system"), said(), None, NOT_AUTHORIZED),
        (edit(SYSTEM, "system"), said(), None, None),
    ],
)
def test_who_may_change_what_was_said(
    change: RoomEvent, target: RoomEvent | None, sender: Participant | None, reason: str | None
) -> None:
    assert editing.why_not(change, target, sender) == reason


@pytest.mark.parametrize(
    ("kind", "content", "target"),
    [
        (EventType.EDIT, Edit("e1", Text("x")), "e1"),
        (EventType.DELETE, Delete("e1"), "e1"),
        (EventType.DELETE, Edit("e1", Text("x")), None),
        (EventType.EDIT, Delete("e1"), None),
        (EventType.MESSAGE, Delete("e1"), None),
        (EventType.EDIT, Text("x"), None),
    ],
)
def test_type_and_content_of_a_change_agree(
    kind: EventType, content: Content, target: str | None
) -> None:
    event = RoomEvent("e2", "r", USER, content, T0, kind)
    assert editing.is_change(event)
    assert editing.target_of(event) == target


# -- through the pipeline ----------------------------------------------------------------------


def open_room() -> Driver:
    return Driver.of_room().attach("web", "sms", "ai").forget_effects()


def change(room: Driver, content: Content, sender: str = "ann", **more: Any) -> Any:
    kind = EventType.EDIT if isinstance(content, Edit) else EventType.DELETE
    return room.say("web", content, sender, event_type=kind, **more)


def test_an_edit_changes_its_target_in_the_commit_that_stores_it_and_is_delivered() -> None:
    room = open_room()
    event = room.say("web", "helo").event
    room.answer("what?")
    room.deliver_all().forget_effects()
    cascade = change(room, Edit(event.id, Text("hello")))
    assert room.kept() == 1
    stored = room.backend.get_event("r", event.id)
    assert stored is not None
    assert (stored.content, stored.metadata) == (Text("hello"), {"edited": True})
    assert stored.index == event.index
    assert room.core.recent[0] == stored
    assert [carry.channel_id for carry in room.done(Carry)] == ["sms"]
    assert not room.thinking
    room.deliver_all()
    assert cascade.settled
    first = room.done(Fire)[0]
    assert (first.trigger, first.payload) == (HookTrigger.ON_EVENT_UPDATED, stored)


def test_what_was_deleted_is_kept_and_read_by_nobody_and_changed_no_more() -> None:
    room = open_room()
    event = room.say("web", "secret").event
    room.answer("ok")
    change(room, Delete(event.id))
    stored = room.backend.get_event("r", event.id)
    assert stored is not None
    assert (stored.content, stored.metadata) == (Text("secret"), {"deleted": True})
    room.say("web", "and now?")
    context = room.thinking[0].context
    assert [e.content for e in context.recent_events] == [Text(""), Text("ok")]
    assert room.restarted().core.recent == room.core.recent
    assert change(room, Edit(event.id, Text("x"))).reason == NOT_FOUND
    room.deliver_all()
    assert HookTrigger.ON_EVENT_DELETED in room.fired()


def test_what_may_not_be_leaves_no_trace() -> None:
    room = open_room()
    event = room.say("web", "mine").event
    before = room.timeline()
    reasons = [
        change(room, Edit(event.id, Text("x")), "bo").reason,
        change(room, Edit("nothing", Text("x"))).reason,
        change(room, Delete(event.id, ADMIN), "bo").reason,
        room.say("web", Delete(event.id), "ann").reason,
    ]
    assert reasons == [NOT_AUTHOR, NOT_FOUND, NOT_AUTHORIZED, NOT_FOUND]
    assert room.timeline() == before


def test_an_owner_deletes_what_others_said() -> None:
    room = open_room()
    event = room.say("web", "spam").event
    room.run(membership.add_member(room.pipeline, "web", "bo", role=ParticipantRole.OWNER))
    assert change(room, Delete(event.id, ADMIN), "bo").reason is None
    stored = room.backend.get_event("r", event.id)
    assert stored is not None
    assert stored.metadata["deleted"]
    more = room.say("web", "more spam").event
    room.run(membership.remove_member(room.pipeline, "bo", ParticipantStatus.BANNED))
    assert change(room, Delete(more.id, ADMIN), "bo").reason == NOT_AUTHORIZED


def test_a_change_that_a_hook_or_a_right_blocks_changes_nothing() -> None:
    room = open_room()
    event = room.say("web", "as it was").event
    room.run(operations.mute(room.pipeline, "web"))
    cascade = change(room, Edit(event.id, Text("x")))
    assert cascade.reason == "source_muted"
    assert room.timeline()[-1].blocked
    room.run(operations.unmute(room.pipeline, "web"))
    room.judge = lambda shown: Verdict(shown, blocked=True, blocked_by="guard")
    room.core.hooks = SOMEBODY_DECIDES
    assert change(room, Edit(event.id, Text("x"))).reason == "guard"
    stored = room.backend.get_event("r", event.id)
    assert stored is not None
    assert stored.content == Text("as it was")
