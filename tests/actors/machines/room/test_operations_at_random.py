"""A room that is used at random, in every way at once: what holds whatever happens.

The model is the timeline itself: whoever reads its entries knows which channels are bound, what
they may do and who is there, and that is what the room says as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.machines.room import membership
from actors.machines.room.cascade import Cascade
from actors.machines.room.core import RoomCore, RoomSettings
from actors.machines.room.lifecycle import OPEN
from actors.machines.room.steps import Carry, Keep
from models.rooms.content import Delete, Edit, System, Text
from models.rooms.errors import RoomsError, StoreUnavailable
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import (
    Access,
    EventType,
    ParticipantStatus,
    RoomStatus,
)
from models.rooms.room import Room, RoomTimers
from models.rooms.scope import receives
from models.rooms.turns import Answer, Reaction
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import SOMEBODY_DECIDES, T0, Driver

CHANNELS = st.sampled_from(["web", "sms", "ai", "ai2"])
SPEAKERS = st.sampled_from(["web", "sms"])
ACCESS = st.sampled_from([Access.READ_WRITE] * 4 + list(Access))
VISIBILITY = st.sampled_from(["all"] * 6 + ["none", "transport", "intelligence", "sms", "ai,web"])
PEOPLE = st.sampled_from(["ann", "bo"])
NUMBERS = st.integers(0, 1000)
MAYBE = st.none() | st.integers(0, 40)


@attrs.frozen
class Rights:
    """What the timeline says of one channel."""

    access: str
    visibility: str
    muted: bool = False


@attrs.define
class Told:
    """What the timeline says of the room."""

    channels: dict[str, Rights] = attrs.field(factory=dict)
    people: dict[str, str] = attrs.field(factory=dict)
    status: str = "active"

    def read(self, code: str, data: dict[str, Any]) -> None:
        """One entry."""
        name = data.get("channel_id", "")
        match code:
            case "channel_attached":
                self.channels[name] = Rights(data["access"], data["visibility"])
            case "channel_detached":
                del self.channels[name]
            case "channel_muted" | "channel_unmuted":
                muted = code == "channel_muted"
                assert self.channels[name].muted is not muted
                self.channels[name] = attrs.evolve(self.channels[name], muted=muted)
            case "channel_access_changed":
                assert self.channels[name].access == data["old_access"] != data["access"]
                self.channels[name] = attrs.evolve(self.channels[name], access=data["access"])
            case "channel_visibility_changed":
                before = self.channels[name]
                assert before.visibility == data["old_visibility"] != data["visibility"]
                self.channels[name] = attrs.evolve(before, visibility=data["visibility"])
            case "participant_joined":
                assert self.people.get(data["participant_id"]) != "active"
                self.people[data["participant_id"]] = "active"
            case "participant_left":
                self.people[data["participant_id"]] = data["status"]


def words_of(core: RoomCore) -> list[RoomEvent]:
    """The history, without what became of deliveries: that is told later, and to the store only."""
    return [attrs.evolve(event, delivery_results=NOTHING) for event in core.recent]


class UsedAtRandom(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        room = Room("r", T0, T0)
        self.room = Driver.of_room(
            room, hooks=SOMEBODY_DECIDES, settings=RoomSettings(window=900)
        ).attach("web", "sms", "ai")
        self.seconds = 0
        self.cascades: list[Cascade] = []
        self.deleted: set[int] = set()
        self.brought: set[tuple[str, str]] = set()
        self.seen = 0
        """Effects that were looked at."""

    def run(self, make: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """An operation; what is refused has changed nothing."""
        core = self.room.core
        self.room.run(self.room.pipeline.catch_up())
        before = (core.room, dict(core.bindings), dict(core.participants), core.recent)
        try:
            return self.room.run(make(self.room.pipeline, *args, **more))
        except RoomsError:
            after = (core.room, dict(core.bindings), dict(core.participants), core.recent)
            assert after == before
            return None

    # -- channels -------------------------------------------------------------------------

    @rule(channel=CHANNELS, access=ACCESS, visibility=VISIBILITY)
    def attach(self, channel: str, access: Access, visibility: str) -> None:
        self.run(
            operations.attach_channel,
            channel,
            access=access,
            visibility=visibility,
            metadata={"phone": "+1"},
        )

    @rule(channel=CHANNELS)
    def detach(self, channel: str) -> None:
        self.run(operations.detach_channel, channel)

    @rule(channel=CHANNELS, make=st.sampled_from([operations.mute, operations.unmute]))
    def silence(self, channel: str, make: Callable[..., Any]) -> None:
        self.run(make, channel)

    @rule(channel=CHANNELS, access=ACCESS)
    def give_access(self, channel: str, access: Access) -> None:
        self.run(operations.set_access, channel, access)

    @rule(channel=CHANNELS, visibility=VISIBILITY)
    def give_visibility(self, channel: str, visibility: str) -> None:
        self.run(operations.set_visibility, channel, visibility)

    @rule(channel=CHANNELS, phone=st.sampled_from(["+1", ""]))
    def give_address(self, channel: str, phone: str) -> None:
        self.run(operations.update_binding_metadata, channel, {"phone": phone})

    @rule(number=NUMBERS)
    def talk_while_there_is_no_address(self, number: int) -> None:
        self.give_address("sms", "")
        self.cascades.append(self.room.say("web", f"{number}"))
        self.give_address("sms", "+1")

    # -- talk -----------------------------------------------------------------------------

    @rule(
        channel=SPEAKERS,
        person=PEOPLE,
        number=NUMBERS,
        visibility=VISIBILITY,
        key=st.none() | st.sampled_from("kl"),
    )
    def say(self, channel: str, person: str, number: int, visibility: str, key: str | None) -> None:
        self.cascades.append(
            self.room.say(channel, f"{number}", person, visibility=visibility, idempotency_key=key)
        )

    @rule(channel=SPEAKERS, person=PEOPLE, number=NUMBERS, deletes=st.booleans())
    def change_what_was_said(self, channel: str, person: str, number: int, deletes: bool) -> None:
        event_id = self.some_event(number)
        content = Delete(event_id) if deletes else Edit(event_id, Text(f"now {number}"))
        kind = EventType.DELETE if deletes else EventType.EDIT
        self.cascades.append(self.room.say(channel, content, person, event_type=kind))

    @rule(channel=SPEAKERS, person=PEOPLE, number=NUMBERS, deletes=st.booleans())
    def say_and_regret(self, channel: str, person: str, number: int, deletes: bool) -> None:
        self.cascades.append(self.room.say(channel, f"{number}", person))
        said = self.cascades[-1].event
        if said is not None:
            content = Delete(said.id) if deletes else Edit(said.id, Text("better"))
            kind = EventType.DELETE if deletes else EventType.EDIT
            self.cascades.append(self.room.say(channel, content, person, event_type=kind))

    @rule(channel=SPEAKERS, number=NUMBERS)
    def answer_in_a_thread(self, channel: str, number: int) -> None:
        parent = self.some_event(number)
        self.cascades.append(self.room.say(channel, "re", parent_event_id=parent))

    @rule(channel=CHANNELS, number=NUMBERS)
    def send(self, channel: str, number: int) -> None:
        self.cascades.append(self.room.send(channel, f"{number}"))

    @rule(number=NUMBERS, deletes=st.booleans(), replies=st.booleans())
    def revise(self, number: int, deletes: bool, replies: bool) -> None:
        event_id = self.some_event(number)
        if not deletes:
            self.run(operations.update_event, event_id, content=Text("by the host"))
            return
        indices = {event.id: event.index for event in self.room.timeline()}
        gone = self.run(operations.delete_event, event_id, cascade_replies=replies)
        self.deleted |= {indices[name] for name in gone}

    def some_event(self, number: int) -> str:
        """One of the messages."""
        recent = self.room.core.recent
        return recent[number % len(recent)].id if recent else "nothing"

    # -- agents and deliveries --------------------------------------------------------------

    @precondition(lambda self: self.room.thinking)
    @rule(words=st.lists(st.sampled_from("abc"), max_size=2), fails=st.booleans())
    def answer(self, words: list[str], fails: bool) -> None:
        answers = tuple(Answer(Text(word)) for word in words)
        self.room.answer(reaction=Reaction(answers, error="gone" if fails else None))

    @precondition(lambda self: self.room.thinking)
    @rule()
    def answer_in_a_word(self) -> None:
        self.room.answer("yes")

    @precondition(lambda self: self.room.thinking)
    @rule()
    def detach_who_thinks(self) -> None:
        self.run(operations.detach_channel, self.room.thinking[0].channel_id)
        self.room.answer("too late")

    @precondition(lambda self: self.room.thinking)
    @rule(number=NUMBERS)
    def stream(self, number: int) -> None:
        thinking = self.room.thinking
        self.room.turns.said(thinking[number % len(thinking)].turn, "and so ")
        self.room.flush()

    @precondition(lambda self: self.room.in_flight)
    @rule(number=NUMBERS)
    def deliver(self, number: int) -> None:
        channels = sorted(self.room.in_flight)
        carry = self.room.deliver(channels[number % len(channels)])
        self.brought.add((carry.channel_id, carry.event.id))

    @rule()
    def regenerate_and_answer(self) -> None:
        before = len(self.room.thinking)
        self.regenerate()
        while len(self.room.thinking) > before:
            self.room.answer()

    @rule()
    def regenerate(self) -> None:
        cascade = self.room.core.new_cascade()
        cascade.hold()
        self.cascades.append(cascade)
        self.run(operations.regenerate, cascade)
        self.room.core.let_go(cascade)
        self.room.flush()

    # -- people, state, time ------------------------------------------------------------------

    @rule(person=PEOPLE, channel=SPEAKERS, joins=st.booleans())
    def come_and_go(self, person: str, channel: str, joins: bool) -> None:
        if joins:
            self.run(membership.add_member, channel, person)
        else:
            status = ParticipantStatus.BANNED if channel == "sms" else ParticipantStatus.LEFT
            self.run(membership.remove_member, person, status)

    @rule(
        make=st.sampled_from(
            [
                operations.close_room,
                operations.pause_room,
                operations.resume_room,
                operations.reopen_room,
                operations.reopen_room,
            ]
        )
    )
    def change_state(self, make: Callable[..., Any]) -> None:
        self.run(make)

    @rule(inactive=MAYBE, closing=MAYBE, close_from=st.sampled_from(["activity", "paused"]))
    def set_timers(self, inactive: int | None, closing: int | None, close_from: Any) -> None:
        timers = RoomTimers(inactive, closing, close_from=close_from)
        self.run(operations.set_room_timers, timers)

    @rule(seconds=st.integers(0, 30))
    def pass_time(self, seconds: int) -> None:
        self.seconds += seconds
        self.room.at(self.seconds)
        self.run(operations.check_timers)

    @rule(rating=st.floats(-1, 2))
    def think_of_it(self, rating: float) -> None:
        self.run(operations.submit_feedback, rating)

    # -- misfortune ---------------------------------------------------------------------------

    @rule(channel=SPEAKERS)
    def lose_a_commit(self, channel: str) -> None:
        self.room.objections[Keep] = StoreUnavailable("disk full")
        before = self.room.timeline()
        for make in (operations.mute, operations.unmute):
            self.run(make, channel) if self.on_time else None
        self.room.objections.clear()
        assert self.room.timeline() == before

    @property
    def on_time(self) -> bool:
        """The timers have nothing to do, so nothing but the operation itself is lost."""
        return self.room.core.due() is None

    @rule()
    def restart(self) -> None:
        lost = {
            (carry.channel_id, carry.event.id)
            for line in self.room.in_flight.values()
            for carry in line
            if self.still_due(carry)
        }
        again = self.room.restarted()
        again.core.hooks = SOMEBODY_DECIDES
        self.room = again.redrive()
        assert lost <= {(carry.channel_id, carry.event.id) for carry in again.done(Carry)}
        self.cascades.clear()
        self.seen = 0

    def still_due(self, carry: Carry) -> bool:
        """It is there, and its channel is as it was and may still have it."""
        core = self.room.core
        event = self.room.backend.get_event("r", carry.event.id)
        binding = core.bindings.get(carry.channel_id)
        if event is None or binding is None or binding != carry.binding:
            return False
        return receives(event, binding, core.bindings.get(event.source.channel_id))

    # -- what holds ---------------------------------------------------------------------------

    @invariant()
    def the_store_knows_what_the_room_knows(self) -> None:
        core, stored = self.room.core, self.room.restarted().core
        moved = attrs.evolve(core.room, delivered_index=core.delivered_index)
        assert stored.room == moved
        assert stored.bindings == core.bindings
        assert stored.participants == core.participants
        assert words_of(stored) == words_of(core)
        assert stored.cursors == core.cursors

    @invariant()
    def indices_have_no_gaps_but_for_what_was_deleted(self) -> None:
        room = self.room.core.room
        indices = [event.index for event in self.room.timeline()]
        assert sorted({*indices, *self.deleted}) == list(range(room.event_count))
        assert room.latest_index == room.event_count - 1
        assert len(indices) + len(self.deleted) == room.event_count

    @invariant()
    def the_timeline_tells_what_the_room_is(self) -> None:
        told = Told()
        for event in self.room.timeline():
            if isinstance(event.content, System):
                told.read(event.content.code or "", dict(event.content.data))
        core = self.room.core
        assert told.channels == {
            name: Rights(binding.access.value, binding.visibility, binding.muted)
            for name, binding in core.bindings.items()
        }
        assert told.people == {name: one.status.value for name, one in core.participants.items()}

    @invariant()
    def a_closed_room_ends_with_the_entry_that_says_so(self) -> None:
        if self.room.core.room.status in OPEN:
            return
        assert self.room.core.room.status is RoomStatus.CLOSED
        last = self.room.timeline()[-1].content
        assert isinstance(last, System)
        assert last.code in ("room_closed", "room_closed_by_timer")

    @invariant()
    def nothing_is_brought_twice_nor_to_who_may_not_have_it(self) -> None:
        new, self.seen = self.room.effects[self.seen :], len(self.room.effects)
        for carry in new:
            if isinstance(carry, Carry):
                assert (carry.channel_id, carry.event.id) not in self.brought
                assert carry.event.visibility not in ("none", "internal", "intelligence")

    @invariant()
    def the_cursor_waits_for_what_is_on_its_way(self) -> None:
        for line in self.room.in_flight.values():
            assert all(self.room.core.delivered_index < carry.event.index for carry in line)

    def teardown(self) -> None:
        while self.room.in_flight or self.room.thinking:
            self.room.deliver_all()
            if self.room.thinking:
                self.room.answer()
        self.when_all_is_done_nothing_is_left_to_do()

    @invariant()
    def when_all_is_done_nothing_is_left_to_do(self) -> None:
        core = self.room.core
        assert core.delivered_index <= core.room.latest_index
        if self.room.in_flight or self.room.thinking:
            return
        assert core.delivered_index == core.room.latest_index
        assert (core.sets, core.owed, self.room.turns.lines) == ({}, {}, {})
        assert all(cascade.settled for cascade in self.cascades)


UsedAtRandom.TestCase.settings = settings(stateful_step_count=40, max_examples=40)
TestUsedAtRandom = UsedAtRandom.TestCase
