"""The application's own words (§42.1)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.machines.room import membership
from actors.machines.room.steps import Carry
from models.rooms.content import Text
from models.rooms.errors import (
    BadValue,
    ChannelNotFound,
    ChannelNotRegistered,
    ParticipantNotFound,
    RoomClosed,
    RoomsError,
)
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelDirection, ChannelType
from models.rooms.room import DETACHED
from models.rooms.turns import Reaction
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import CHANNELS, Driver

HOST = ChannelInfo("host", ChannelType.HOST, direction=ChannelDirection.INBOUND)


def open_room() -> Driver:
    room = Driver.of_room(channels=(*CHANNELS, HOST)).attach("web", "sms", "ai")
    return room.forget_effects()


def post(room: Driver, text: str, channel_id: str = "host", **more: Any) -> Any:
    """Its cascade."""
    cascade = room.core.new_cascade()
    words = Text(text)
    return room.cause(cascade, operations.post(room.pipeline, cascade, channel_id, words, **more))


def test_a_post_reaches_people_and_no_agent_and_binds_its_channel() -> None:
    room = open_room()
    cascade = post(room, "your parcel is on its way")
    assert {carry.channel_id for carry in room.done(Carry)} == {"web", "sms"}
    assert not room.thinking
    assert "host" in room.core.bindings
    room.deliver_all()
    assert cascade.settled
    room.say("web", "thanks")
    assert "host" not in room.in_flight
    assert [e.content for e in room.thinking[0].context.recent_events] == [
        Text("your parcel is on its way")
    ]


def test_a_post_may_name_agents() -> None:
    room = open_room()
    post(room, "greet them", addressed_to=("ai",))
    assert [begun.channel_id for begun in room.thinking] == ["ai"]


def test_a_replay_of_a_post_texts_nobody() -> None:
    room = open_room()
    first = post(room, "once", idempotency_key="k")
    room.deliver_all().forget_effects()
    assert post(room, "twice", idempotency_key="k").event.id == first.event.id
    assert not room.done(Carry)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"channel_id": "fax"}, ChannelNotRegistered),
        ({"channel_id": "web"}, BadValue),
        ({"participant_id": "nobody"}, ParticipantNotFound),
        ({"participant_id": "ann"}, ParticipantNotFound),
    ],
)
def test_what_cannot_be_posted_leaves_no_trace(
    more: dict[str, Any], error: type[RoomsError]
) -> None:
    room = open_room()
    room.run(membership.ensure_participant(room.pipeline, "web", "ann"))
    before = room.timeline()
    with pytest.raises(error):
        post(room, "hello", **more)
    assert room.timeline() == before


def test_somebody_on_the_host_channel_may_be_spoken_for() -> None:
    room = open_room()
    room.run(membership.add_member(room.pipeline, "host", "bo"))
    assert post(room, "bo here", participant_id="bo").event.source.participant_id == "bo"


def test_a_host_that_was_detached_or_a_closed_room_is_not_posted_to() -> None:
    room = open_room()
    post(room, "hello")
    room.run(operations.detach_channel(room.pipeline, "host"))
    with pytest.raises(ChannelNotFound):
        post(room, "hello again")
    room.run(operations.close_room(room.pipeline))
    with pytest.raises(RoomClosed):
        post(room, "hello again")


def test_no_agent_says_which_channels_are_detached() -> None:
    room = open_room()
    room.run(operations.detach_channel(room.pipeline, "sms"))
    room.say("web", "undo it")
    room.answer(reaction=Reaction(metadata_updates={DETACHED: [], "mood": "sly"}))
    assert room.core.tombstones == ("sms",)
    assert room.core.room.metadata["mood"] == "sly"
