"""Which room a message belongs to: the rule of the default router, without a store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.room.routing import (
    NEW_ROOM,
    BoundTo,
    LatestOf,
    Look,
    Route,
    Sender,
    route,
)
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType, ParticipantStatus, RoomStatus
from models.rooms.room import ChannelBinding, Participant, Room, RoomContext
from transports.stores.backend import Change
from transports.stores.memory import MemoryBackend

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMS = ChannelInfo("sms-1", ChannelType.SMS, recipient_key="phone_number")
SITE = ChannelInfo("ws-1", ChannelType.WEBSOCKET, sender_is_participant=True)
ADA = "+14155552671"
BOB = "+14155552672"


class Store:
    """A real one in memory, which notes what it is asked."""

    def __init__(self, rooms: Sequence[RoomContext]) -> None:
        self.asked: list[Any] = []
        self._backend = MemoryBackend()
        for each in rooms:
            self._backend.create_room(each.room)
            bindings = [attrs.evolve(binding, room_id=each.room.id) for binding in each.bindings]
            people = [attrs.evolve(one, room_id=each.room.id) for one in each.participants]
            self._backend.change(Change(each.room, 0, bound=bindings, participants=people))

    def route(self, info: ChannelInfo, sender: str) -> Route:
        steps = route(info, sender)
        try:
            question = next(steps)
            while True:
                self.asked.append(question)
                question = steps.send(self.answer(question))
        except StopIteration as end:
            found: Route = end.value
            return found

    def answer(self, question: Any) -> Any:
        """As the module says that they are asked."""
        match question:
            case Look(room_id):
                record = self._backend.load_room(room_id, 1)
                return None if record is None else record.context
            case BoundTo(channel_id, statuses, limit):
                return self._backend.find_rooms_of_channel(channel_id, statuses, limit)
            case LatestOf(sender, channel_type, statuses):
                return self._backend.find_latest_room(sender, channel_type, statuses)


def room(
    name: str,
    *bindings: ChannelBinding,
    people: Sequence[Participant] = (),
    status: RoomStatus = RoomStatus.ACTIVE,
    age: int = 0,
) -> RoomContext:
    at = NOW - timedelta(minutes=age)
    return RoomContext(Room(name, at, at, status=status), bindings, people)


def bound(info: ChannelInfo = SMS, who: str | None = None, **metadata: Any) -> ChannelBinding:
    return ChannelBinding(info.id, "", info.type, NOW, participant_id=who, metadata=metadata)


def person(name: str, address: str, *channels: str, **fields: Any) -> Participant:
    return Participant(
        name, "", channels[0], NOW, connected_via=channels, external_id=address, **fields
    )


# -- the sender's own room -----------------------------------------------------------------------


def test_a_sender_nobody_knows_on_a_channel_of_no_room_gets_a_new_one() -> None:
    assert Store([]).route(SMS, ADA) == NEW_ROOM


def test_the_room_whose_binding_names_the_sender() -> None:
    rooms = [room("bobs", bound(who=BOB)), room("adas", bound(who=ADA), age=5)]
    assert Store(rooms).route(SMS, ADA) == Route("adas")


def test_the_newest_of_several() -> None:
    rooms = [room("old", bound(who=ADA), age=9), room("new", bound(who=ADA), age=1)]
    assert Store(rooms).route(SMS, ADA) == Route("new")


def test_a_paused_room_is_the_senders_too_but_a_closed_one_is_not() -> None:
    closed = room("closed", bound(who=ADA), status=RoomStatus.CLOSED)
    paused = room("paused", bound(who=ADA), status=RoomStatus.PAUSED, age=5)
    assert Store([closed, paused]).route(SMS, ADA) == Route("paused")
    assert Store([closed]).route(SMS, ADA) == NEW_ROOM


def test_the_room_that_has_the_sender_as_a_participant_by_this_channel() -> None:
    group = room("group", bound(), people=[person("ada", ADA, "sms-1")], age=3)
    other = room("other", bound())
    assert Store([group, other]).route(SMS, ADA) == Route("group")


def test_the_room_whose_binding_names_a_participant_with_that_address() -> None:
    ada = person("ada", ADA, "mail-1", "sms-1")
    rooms = [room("adas", bound(who="ada"), people=[ada], age=3), room("other", bound(who=BOB))]
    assert Store(rooms).route(SMS, ADA) == Route("adas")


def test_the_room_whose_binding_delivers_to_the_sender() -> None:
    rooms = [room("bobs", bound(phone_number=BOB)), room("adas", bound(phone_number=ADA), age=5)]
    assert Store(rooms).route(SMS, ADA) == Route("adas")


def test_addresses_are_compared_however_they_are_written() -> None:
    rooms = [room("adas", bound(who=ADA)), room("other", bound(who=BOB))]
    assert Store(rooms).route(SMS, "(415) 555-2671") == Route("adas")
    written = [room("adas", bound(phone_number="415 555 2671")), room("b", bound(who=BOB))]
    assert Store(written).route(SMS, ADA) == Route("adas")


def test_the_same_sender_on_another_channel_of_the_type_is_somebody_else() -> None:
    other = ChannelInfo("ws-2", ChannelType.WEBSOCKET, sender_is_participant=True)
    there = room("there", bound(other, who="ada"))
    assert Store([there]).route(SITE, "ada") == NEW_ROOM
    here = room("here", bound(SITE, who="ada"), age=9)
    second = room("second", bound(SITE, who="bob"))
    assert Store([there, here, second]).route(SITE, "ada") == Route("here")


def test_who_has_left_is_not_in_the_room_any_more() -> None:
    gone = person("ada", ADA, "sms-1", status=ParticipantStatus.LEFT)
    rooms = [room("left", bound(who=BOB), people=[gone]), room("bobs", bound(who=BOB))]
    assert Store(rooms).route(SMS, ADA) == NEW_ROOM


def test_a_known_sender_costs_two_questions() -> None:
    store = Store([room("adas", bound(who=ADA))])
    store.route(SMS, ADA)
    assert store.asked == [LatestOf(ADA, ChannelType.SMS), Look("adas")]


# -- the channel's room ------------------------------------------------------------------------


def test_the_only_active_room_of_the_channel() -> None:
    assert Store([room("lobby", bound(SITE))]).route(SITE, "ada") == Route("lobby")


def test_a_binding_that_holds_another_correspondent_admits_nobody_else() -> None:
    for binding in (bound(who=BOB), bound(phone_number=BOB), bound(who=BOB, group="yes")):
        assert Store([room("bobs", binding)]).route(SMS, ADA) == NEW_ROOM


def test_a_group_admits_everybody() -> None:
    assert Store([room("all", bound(who=BOB, group=True))]).route(SMS, ADA) == Route("all")


def test_several_rooms_that_would_admit_the_sender_make_a_new_one_with_a_warning() -> None:
    rooms = [room("one", bound(SITE)), room("two", bound(SITE))]
    found = Store(rooms).route(SITE, "ada")
    assert found.room_id is None
    assert found.warning == "channel 'ws-1' is bound to more than one active room"


def test_several_rooms_of_other_people_are_no_reason_for_a_warning() -> None:
    rooms = [room("one", bound(who=BOB)), room("two", bound(who="+14155552673"))]
    assert Store(rooms).route(SMS, ADA) == NEW_ROOM


def test_a_paused_room_of_the_channel_counts_only_as_a_group() -> None:
    lobby = room("lobby", bound(SITE), status=RoomStatus.PAUSED)
    assert Store([lobby]).route(SITE, "ada") == NEW_ROOM
    group = room("group", bound(SITE, group=True), status=RoomStatus.PAUSED)
    assert Store([group]).route(SITE, "ada") == Route("group")
    assert Store([group, lobby]).route(SITE, "ada") == NEW_ROOM


def test_a_sender_without_an_address_can_only_be_in_the_channels_room() -> None:
    assert Store([room("bobs", bound(who=BOB))]).route(SMS, "") == NEW_ROOM
    assert Store([room("lobby", bound())]).route(SMS, "") == Route("lobby")


def test_a_room_that_goes_while_it_is_looked_at_is_not_used() -> None:
    class Leaving(Store):
        def answer(self, question: Any) -> Any:
            return None if isinstance(question, Look) else super().answer(question)

    assert Leaving([room("adas", bound(who=ADA))]).route(SMS, ADA) == NEW_ROOM


# -- whatever the rooms are ----------------------------------------------------------------------

names = st.sampled_from([ADA, BOB, "+14155552673"])


@st.composite
def contexts(draw: st.DrawFn) -> list[RoomContext]:
    rooms = []
    for number in range(draw(st.integers(0, 5))):
        metadata: dict[str, Any] = {}
        if draw(st.booleans()):
            metadata["phone_number"] = draw(names)
        if draw(st.booleans()):
            metadata["group"] = True
        binding = bound(draw(st.sampled_from([SMS, SITE])), draw(st.none() | names), **metadata)
        people = [
            person(f"p{at}", address, binding.channel_id)
            for at, address in enumerate(draw(st.lists(names, max_size=2)))
        ]
        status = draw(st.sampled_from(RoomStatus))
        rooms.append(room(f"r{number}", binding, people=people, status=status, age=number))
    return rooms


@given(contexts(), names)
def test_nobody_is_brought_to_a_room_that_does_not_admit_them(
    rooms: list[RoomContext], address: str
) -> None:
    found = Store(rooms).route(SMS, address)
    sender = Sender.on(SMS, address)
    if found.room_id is not None:
        context = next(each for each in rooms if each.room.id == found.room_id)
        assert sender.admitted_to(context)
        assert context.room.status in (RoomStatus.ACTIVE, RoomStatus.PAUSED)


@given(contexts(), names)
def test_whoever_is_known_in_an_open_room_is_brought_to_one_that_knows_them(
    rooms: list[RoomContext], address: str
) -> None:
    sender = Sender.on(SMS, address)
    open_ones = [
        each
        for each in rooms
        if each.room.status in (RoomStatus.ACTIVE, RoomStatus.PAUSED) and sender.known_in(each)
    ]
    found = Store(rooms).route(SMS, address)
    if open_ones:
        assert found.room_id in {each.room.id for each in open_ones}
