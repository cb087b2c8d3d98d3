"""Channels in a room: attached, detached, and what they may do (§6, §42.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.steps import (
    BeginTurn,
    EndStream,
    Forget,
    Keep,
    OpenStream,
    PushBinding,
    Steps,
    StopTurn,
    StreamMore,
    TellAttached,
    TellDetached,
)
from models.rooms.errors import (
    AlreadyThere,
    BadValue,
    ChannelNotFound,
    ChannelNotRegistered,
    RoomClosed,
    RoomsError,
    StoreUnavailable,
)
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    Access,
    ChannelType,
    DeliveryOutcome,
    EventType,
)
from models.rooms.room import DETACHED, ChannelBinding
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import CHANNELS, Driver

Operation = Callable[[Pipeline], Steps[Any]]

CONFERENCE = ChannelInfo("sfu-1", ChannelType.CONFERENCE)
OTHER_CONFERENCE = ChannelInfo("sfu-2", ChannelType.CONFERENCE)


def open_room(*bound: str) -> Driver:
    """With these channels, and nothing said yet about what comes."""
    return Driver.of_room().attach(*bound).forget_effects()


# -- attaching ---------------------------------------------------------------------------------


def test_an_attached_channel_has_its_capabilities_as_they_are_now_and_an_entry_says_so() -> None:
    room = Driver.of_room().at(5)
    binding = room.run(
        operations.attach_channel(room.pipeline, "sms", metadata={"phone": "+49"}, visibility="ai")
    )
    assert binding.capabilities is room.core.channels["sms"].capabilities
    assert (binding.attached_at, binding.channel_type) == (room.core.now, ChannelType.SMS)
    assert room.records() == [
        (
            "channel_attached",
            {
                "channel_id": "sms",
                "channel_type": "sms",
                "access": "read_write",
                "visibility": "ai",
            },
        )
    ]
    assert room.fired() == [HookTrigger.ON_CHANNEL_ATTACHED]
    (told,) = room.announced("room_channel_attached")
    assert (told.channel_id, told.data) == ("sms", {"access": "read_write", "visibility": "ai"})


def test_a_channel_is_asked_before_anything_is_written_and_may_refuse() -> None:
    room = Driver.of_room()
    room.objections[TellAttached] = RoomsError("no room for more rooms")
    with pytest.raises(RoomsError, match="no room for more"):
        room.attach("sms")
    assert not room.timeline()
    assert not room.core.bindings


def test_a_channel_that_was_told_is_told_again_when_the_store_fails() -> None:
    room = Driver.of_room()
    room.objections[Keep] = StoreUnavailable("disk full")
    with pytest.raises(StoreUnavailable):
        room.attach("sms")
    assert room.waits[-1] == TellDetached("sms")
    assert not room.core.bindings


def test_attaching_a_channel_of_nobody_is_refused() -> None:
    room = Driver.of_room()
    with pytest.raises(ChannelNotRegistered):
        room.attach("fax")


def test_a_room_has_one_conference_at_most_and_may_have_it_again() -> None:
    room = Driver.of_room(channels=(*CHANNELS, CONFERENCE, OTHER_CONFERENCE)).attach("sfu-1")
    with pytest.raises(AlreadyThere, match="sfu-1"):
        room.attach("sfu-2")
    room.run(operations.attach_channel(room.pipeline, "sfu-1", access=Access.READ_ONLY))
    assert list(room.core.bindings) == ["sfu-1"]


def test_attaching_again_replaces_the_binding_and_keeps_its_cursor() -> None:
    room = open_room("web", "sms")
    room.run(operations.mute(room.pipeline, "web"))
    room.say("sms", "hello")
    room.deliver_all()
    cursor = room.core.cursors["web"]
    room.run(operations.attach_channel(room.pipeline, "web", access=Access.READ_ONLY))
    assert not room.core.bindings["web"].muted
    assert room.core.bindings["web"].access is Access.READ_ONLY
    assert room.core.cursors["web"] == cursor


@pytest.mark.parametrize("visibility", ["", " ", ",", " , "])
def test_a_visibility_names_somebody(visibility: str) -> None:
    room = open_room("web")
    with pytest.raises(BadValue, match="visibility"):
        room.run(operations.attach_channel(room.pipeline, "sms", visibility=visibility))
    with pytest.raises(BadValue, match="visibility"):
        room.run(operations.set_visibility(room.pipeline, "web", visibility))


# -- detaching ---------------------------------------------------------------------------------


def test_a_detached_channel_stays_away_until_it_is_attached_again() -> None:
    room = open_room("web", "sms")
    assert room.run(operations.detach_channel(room.pipeline, "sms"))
    assert room.core.room.metadata[DETACHED] == ["sms"]
    assert room.say("sms", "let me in").reason == "source_unbound"
    assert "sms" not in room.core.bindings
    room.attach("sms")
    assert room.core.room.metadata[DETACHED] == []
    assert room.say("sms", "thanks").reason is None


def test_the_tombstone_and_the_binding_go_in_one_commit_and_then_everybody_is_told() -> None:
    room = open_room("web", "sms")
    room.run(operations.detach_channel(room.pipeline, "sms"))
    keep, tell = room.waits[1:]
    assert isinstance(keep, Keep)
    assert keep.change.unbound == ("sms",)
    assert keep.change.room.metadata[DETACHED] == ["sms"]
    assert tell == TellDetached("sms")
    assert room.records()[-1] == ("channel_detached", {"channel_id": "sms"})
    assert room.fired() == [HookTrigger.ON_CHANNEL_DETACHED]
    assert [told.channel_id for told in room.announced("room_channel_detached")] == ["sms"]
    assert room.effects[-1] == Forget("sms")


def test_what_a_channel_objects_to_its_detachment_is_heard_after_it_is_gone() -> None:
    room = open_room("sms")
    room.objections[TellDetached] = RoomsError("still talking")
    with pytest.raises(RoomsError, match="still talking"):
        room.run(operations.detach_channel(room.pipeline, "sms"))
    assert "sms" not in room.core.bindings
    assert room.announced("room_channel_detached")
    assert room.effects[-1] == Forget("sms")


def test_what_is_not_bound_is_not_detached() -> None:
    room = open_room("web")
    assert room.run(operations.detach_channel(room.pipeline, "sms")) is False
    assert not room.kept()
    assert not room.effects


def test_what_was_on_its_way_to_a_detached_channel_fails_and_nobody_waits_for_it() -> None:
    room = open_room("web", "sms")
    cascade = room.say("web", "one")
    assert not cascade.settled
    room.run(operations.detach_channel(room.pipeline, "sms"))
    assert cascade.settled
    assert cascade.results["sms"].status is DeliveryOutcome.FAILED
    assert room.core.delivered_index == room.core.room.latest_index
    room.core.delivered(cascade.event.id, "sms", None)  # too late: nothing comes of it


def test_the_turns_of_a_detached_agent_are_cut_and_those_that_wait_never_begin() -> None:
    room = open_room("web", "ai")
    first = room.say("web", "one")
    second = room.say("web", "two")
    room.run(operations.detach_channel(room.pipeline, "ai"))
    assert room.done(StopTurn) == [StopTurn("ai", room.thinking[0].turn)]
    room.answer("too late")
    assert len(room.done(BeginTurn)) == 1
    assert first.settled
    assert second.settled
    assert room.timeline()[-1].blocked_by == "source_unbound"
    assert room.core.delivered_index == room.core.room.latest_index


def test_a_thousand_turns_that_wait_for_a_detached_agent_end_without_a_deep_stack() -> None:
    room = open_room("web", "ai")
    for _ in range(1000):
        room.say("web", "again")
    room.run(operations.detach_channel(room.pipeline, "ai"))
    room.answer("too late")
    assert not room.turns.lines
    assert room.core.delivered_index == room.core.room.latest_index


# -- rights ------------------------------------------------------------------------------------


@attrs.frozen
class Right:
    """A change of a binding, and how it is seen."""

    make: Operation
    holds: Callable[[ChannelBinding], bool]
    record: tuple[str, dict[str, Any]] | None
    kind: EventType | None
    trigger: HookTrigger | None = None


RIGHTS = {
    "mute": Right(
        lambda p: operations.mute(p, "web"),
        lambda b: b.muted,
        ("channel_muted", {"channel_id": "web"}),
        EventType.CHANNEL_MUTED,
        HookTrigger.ON_CHANNEL_MUTED,
    ),
    "mute output": Right(
        lambda p: operations.mute_output(p, "web"), lambda b: b.output_muted, None, None
    ),
    "set access": Right(
        lambda p: operations.set_access(p, "web", Access.READ_ONLY),
        lambda b: b.access is Access.READ_ONLY,
        (
            "channel_access_changed",
            {"channel_id": "web", "old_access": "read_write", "access": "read_only"},
        ),
        EventType.CHANNEL_UPDATED,
    ),
    "set visibility": Right(
        lambda p: operations.set_visibility(p, "web", "transport"),
        lambda b: b.visibility == "transport",
        (
            "channel_visibility_changed",
            {"channel_id": "web", "old_visibility": "all", "visibility": "transport"},
        ),
        EventType.CHANNEL_UPDATED,
    ),
    "update metadata": Right(
        lambda p: operations.update_binding_metadata(p, "web", {"lang": "de", "vip": True}),
        lambda b: dict(b.metadata) == {"lang": "de", "vip": True},
        ("channel_metadata_updated", {"channel_id": "web", "keys": ["lang", "vip"]}),
        EventType.CHANNEL_UPDATED,
    ),
}


@pytest.mark.parametrize("right", RIGHTS.values(), ids=RIGHTS)
def test_a_right_that_changes_is_kept_recorded_and_pushed(right: Right) -> None:
    room = open_room("web")
    binding = room.run(right.make(room.pipeline))
    assert right.holds(binding)
    assert room.core.bindings["web"] == binding
    assert room.done(PushBinding) == [PushBinding(binding)]
    assert room.records()[1:] == ([right.record] if right.record else [])
    assert room.fired() == ([right.trigger] if right.trigger else [])
    last = room.timeline()[-1]
    assert last.type is (right.kind or EventType.CHANNEL_ATTACHED)
    assert last.visibility == "internal"


@pytest.mark.parametrize("right", RIGHTS.values(), ids=RIGHTS)
def test_a_right_that_stays_as_it_is_writes_nothing_and_tells_nobody(right: Right) -> None:
    room = open_room("web")
    room.run(right.make(room.pipeline))
    room.forget_effects()
    room.run(right.make(room.pipeline))
    assert not room.kept()
    assert not room.effects


def test_attaching_a_channel_as_it_is_writes_nothing_either() -> None:
    room = open_room("web").at(100)
    room.attach("web")
    assert not room.kept()
    assert not room.effects


MUTATORS: dict[str, Operation] = {name: right.make for name, right in RIGHTS.items()} | {
    "unmute": lambda p: operations.unmute(p, "web"),
    "unmute output": lambda p: operations.unmute_output(p, "web"),
}


@pytest.mark.parametrize("make", MUTATORS.values(), ids=MUTATORS)
def test_only_what_is_bound_has_rights(make: Operation) -> None:
    room = open_room("sms")
    with pytest.raises(ChannelNotFound, match="web"):
        room.run(make(room.pipeline))
    assert not room.kept()


def test_unmuting_takes_back_what_muting_did() -> None:
    room = open_room("web")
    for make in (operations.mute, operations.unmute):
        room.run(make(room.pipeline, "web"))
    for make in (operations.mute_output, operations.unmute_output):
        room.run(make(room.pipeline, "web"))
    binding = room.core.bindings["web"]
    assert (binding.muted, binding.output_muted) == (False, False)
    assert room.fired() == [HookTrigger.ON_CHANNEL_MUTED, HookTrigger.ON_CHANNEL_UNMUTED]
    assert room.records()[-1] == ("channel_unmuted", {"channel_id": "web"})


def test_metadata_of_a_binding_are_merged_and_keys_may_go_and_none_is_a_value() -> None:
    room = open_room("web")
    change = operations.update_binding_metadata
    room.run(change(room.pipeline, "web", {"a": 1, "b": {"deep": 1}}))
    room.run(change(room.pipeline, "web", {"b": None, "c": 3}, unset=("a", "z")))
    assert dict(room.core.bindings["web"].metadata) == {"b": None, "c": 3}
    assert room.records()[-1][1]["keys"] == ["a", "b", "c"]
    room.run(change(room.pipeline, "web", unset=("b",)))
    assert room.records()[-1][1]["keys"] == ["b"]


WITHDRAWALS: dict[str, Operation] = {
    "the agent is muted": lambda p: operations.mute(p, "ai"),
    "the agent may not write": lambda p: operations.set_access(p, "ai", Access.READ_ONLY),
    "the agent is for others": lambda p: operations.set_visibility(p, "ai", "sms"),
    "the watcher may not read": lambda p: operations.set_access(p, "web", Access.WRITE_ONLY),
    "the watcher is detached": lambda p: operations.detach_channel(p, "web"),
    "the agent is detached": lambda p: operations.detach_channel(p, "ai"),
}


@pytest.mark.parametrize("withdraw", WITHDRAWALS.values(), ids=WITHDRAWALS)
def test_who_may_not_watch_an_answer_any_more_sees_no_more_of_it(withdraw: Operation) -> None:
    room = open_room("web", "sms", "ai")
    room.say("sms", "tell me")
    turn = room.thinking[0].turn
    room.turns.said(turn, "the secret ")
    room.flush()
    assert [effect.channel_id for effect in room.done(OpenStream)] == ["web"]
    room.run(withdraw(room.pipeline))
    assert room.done(EndStream) == [EndStream("web", turn, None, "withdrawn")]
    room.turns.said(turn, "is 42")
    room.flush()
    assert [effect.delta for effect in room.done(StreamMore)] == ["the secret "]


@pytest.mark.parametrize("end", [operations.close_room, operations.archive_room])
@pytest.mark.parametrize(
    ("make", "refused"),
    [
        pytest.param(make, name != "mute output", id=name)
        for name, make in (
            {name: right.make for name, right in RIGHTS.items()}
            | {
                "attach": lambda p: operations.attach_channel(p, "sms"),
                "detach": lambda p: operations.detach_channel(p, "web"),
            }
        ).items()
    ],
)
def test_a_closed_room_takes_no_entry(make: Operation, refused: bool, end: Operation) -> None:
    room = open_room("web", "ai")
    room.run(end(room.pipeline))
    count, bindings = len(room.timeline()), dict(room.core.bindings)
    if refused:
        with pytest.raises(RoomClosed):
            room.run(make(room.pipeline))
        assert room.core.bindings == bindings
        assert room.announced("room_refused_event")
    else:
        room.run(make(room.pipeline))
    assert len(room.timeline()) == count
