"""Any store beside a naive one, through whatever happens: they never differ.

A store is compared by a subclass that says how it is made:

    class MemoryModel(StoreModel):
        durable = False

        def make(self) -> StoreBackend: ...

    TestMemoryModel = MemoryModel.TestCase

`make` gives backends, not opened, over the data of this instance of the machine.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.rooms.errors import Conflict
from models.rooms.event import RoomEvent
from models.rooms.kinds import EventStatus, EventType
from models.rooms.room import Room
from tests.transports.stores.naive import NaiveRoom
from tests.transports.stores.values import (
    a_binding,
    a_change,
    a_room,
    an_agent,
    an_event,
    at,
    ids,
)
from transports.stores.backend import DuplicateKey, EventFilter, Page, StoreBackend

CHANNELS = ("sms", "ws", "bot")
ROOMS = ("r", "q")
channels = st.sampled_from(CHANNELS)
rooms = st.sampled_from(ROOMS)
visibilities = st.sampled_from(["all", "none", "transport", "intelligence", "ws", "bot, sms"])
indices = st.integers(-1, 12)
types = st.sampled_from([EventType.MESSAGE, EventType.SYSTEM])


@attrs.frozen
class Said:
    """What a new event is to be, but for its place."""

    channel: str
    visibility: str
    type: EventType
    blocked: bool
    key: str | None
    reply_to: int | None


said = st.builds(
    Said,
    channels,
    visibilities,
    types,
    st.booleans(),
    st.none() | st.sampled_from("klmn"),
    st.none() | st.integers(0, 5),
)
any_filters: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    event_types=st.none() | st.lists(types, max_size=2),
    exclude_types=st.lists(types, max_size=1),
    visibility=st.none() | visibilities,
    source_channel_id=st.none() | channels,
    parent_event_id=st.none() | st.integers(0, 5),
    top_level_only=st.booleans(),
    after_time=st.none() | st.integers(-1, 8).map(at),
    before_time=st.none() | st.integers(0, 9).map(at),
    include_blocked=st.booleans(),
)
filters: st.SearchStrategy[dict[str, Any]] = (
    st.builds(dict) | any_filters
)  # so narrow together that most find nothing
pages = st.builds(
    Page,
    limit=st.integers(1, 6),
    offset=st.integers(0, 4),
    after_index=st.none() | indices,
    before_index=st.none() | indices,
    newest_first=st.booleans(),
)


class StoreModel(RuleBasedStateMachine):
    """Two rooms, and everything that can be done to them."""

    durable: ClassVar[bool] = True

    def make(self) -> StoreBackend:
        """One more backend over the same data."""
        raise NotImplementedError

    # Runs that begin with an empty room spend most of their steps asking it for nothing.
    @initialize(new=st.lists(said, min_size=4, max_size=8, unique_by=lambda one: one.key or one))
    def begin(self, new: list[Said]) -> None:
        self.backend = self.make()
        self.backend.open()
        self.naive = {room_id: NaiveRoom() for room_id in ROOMS}
        for room_id in ROOMS:
            self.backend.create_room(a_room(room_id))
            for channel_id in CHANNELS:
                self.bind(room_id, channel_id, "all")
            self.change(room_id, new, "sms", -1)
        self.flush()

    def teardown(self) -> None:
        self.backend.close()

    # -- the one write --------------------------------------------------------------------

    @rule(room_id=rooms, new=st.lists(said, max_size=5), cursor=channels, to=indices)
    def change(self, room_id: str, new: list[Said], cursor: str, to: int) -> None:
        naive = self.naive[room_id]
        events = self._events(room_id, new)
        keys = [event.idempotency_key for event in events if event.idempotency_key is not None]
        if len(set(keys)) < len(keys):
            return  # within one change nothing is said about it
        change = a_change(self._room(room_id), *events, cursors={cursor: to})
        originals = [original for key in keys if (original := naive.by_key(key)) is not None]
        if originals:
            with pytest.raises(DuplicateKey) as caught:
                self.backend.change(change)
            assert caught.value.original in originals
            return
        self.backend.change(change)
        naive.events += events
        naive.count += len(events)
        naive.move(cursor, to)

    @rule(room_id=rooms, new=st.lists(said, max_size=2), off=st.sampled_from([-2, -1, 1, 3]))
    def change_of_what_was(self, room_id: str, new: list[Said], off: int) -> None:
        room = self._room(room_id)
        expected = room.event_count + off
        if expected < 0:
            return
        room = attrs.evolve(room, event_count=expected, latest_index=expected - 1)
        events = [
            attrs.evolve(event, index=expected + n, id=f"{event.id}-stale")
            for n, event in enumerate(self._events(room_id, new))
        ]
        with pytest.raises(Conflict):
            self.backend.change(a_change(room, *events, unbound=CHANNELS))

    @rule(room_id=rooms, place=st.integers(0, 8), body=st.sampled_from("xy"), block=st.booleans())
    def edit(self, room_id: str, place: int, body: str, block: bool) -> None:
        naive = self.naive[room_id]
        if place >= len(naive.events):
            return
        old = naive.events[place]
        status = EventStatus.BLOCKED if block else EventStatus.DELIVERED
        content = an_event(0, body).content
        new = attrs.evolve(old, content=content, status=status, metadata={"edited": True})
        self.backend.change(a_change(self._room(room_id), changed=[new]))
        naive.events[place] = new

    @rule(room_id=rooms, channel_id=channels, visibility=visibilities)
    def bind(self, room_id: str, channel_id: str, visibility: str) -> None:
        make = an_agent if channel_id == "bot" else a_binding
        binding = make(channel_id, room_id, visibility=visibility)
        self.backend.change(a_change(self._room(room_id), bound=[binding]))
        self.naive[room_id].bindings[channel_id] = binding

    @rule(room_id=rooms, channel_id=channels)
    def unbind(self, room_id: str, channel_id: str) -> None:
        self.backend.change(a_change(self._room(room_id), unbound=[channel_id]))
        self.naive[room_id].unbind(channel_id)

    # -- the rest that writes -------------------------------------------------------------

    @rule(room_id=rooms, cursors=st.dictionaries(channels, indices), delivered=indices)
    def advance(self, room_id: str, cursors: dict[str, int], delivered: int) -> None:
        naive = self.naive[room_id]
        self.backend.advance(room_id, cursors, delivered)
        for channel_id, index in cursors.items():
            naive.move(channel_id, index)
        naive.delivered = max(naive.delivered, delivered)

    @rule(room_id=rooms, channel_id=channels, index=st.integers(0, 8))
    def mark_read(self, room_id: str, channel_id: str, index: int) -> None:
        markers = self.naive[room_id].markers
        markers[channel_id] = max(markers.get(channel_id, -1), index)
        assert self.backend.mark_read(room_id, channel_id, index) == markers[channel_id]

    @rule(room_id=rooms, place=st.integers(0, 8), cascade=st.booleans())
    def delete(self, room_id: str, place: int, cascade: bool) -> None:
        event_id = an_event(place, room_id=room_id).id
        gone = self.naive[room_id].delete(event_id, cascade)
        assert list(self.backend.delete_event(room_id, event_id, cascade)) == gone

    # -- durability -----------------------------------------------------------------------

    @rule()
    def flush(self) -> None:
        self.backend.flush()
        self.kept = {room_id: naive.copy() for room_id, naive in self.naive.items()}

    @precondition(lambda self: self.durable)
    @rule()
    def abandon(self) -> None:
        self.backend.abandon()
        self.naive = {room_id: naive.copy() for room_id, naive in self.kept.items()}

    @precondition(lambda self: self.durable)
    @rule()
    def reopen(self) -> None:
        self.backend.close()
        self.kept = {room_id: naive.copy() for room_id, naive in self.naive.items()}
        self.backend = self.make()
        self.backend.open()

    # -- what is seen ---------------------------------------------------------------------

    @rule(room_id=rooms, wanted=filters, page=pages)
    def timeline(self, room_id: str, wanted: dict[str, Any], page: Page) -> None:
        parent = wanted.get("parent_event_id")
        if parent is not None:
            wanted = {**wanted, "parent_event_id": an_event(parent, room_id=room_id).id}
        try:
            chosen = EventFilter(**wanted)
        except ValueError:
            return  # it contradicts itself
        found = list(self.backend.get_timeline(room_id, chosen, page))
        assert found == self.naive[room_id].timeline(chosen, page)

    @invariant()
    def everything_is_there(self) -> None:
        for room_id, naive in self.naive.items():
            everything = EventFilter(include_blocked=True)
            found = list(self.backend.get_timeline(room_id, everything, Page(1000)))
            assert found == naive.events
            room = self._room(room_id)
            assert (room.event_count, room.latest_index) == (naive.count, naive.count - 1)
            assert room.delivered_index == naive.delivered
            assert self.backend.list_read_markers(room_id) == naive.markers

    @invariant()
    def what_is_loaded_is_what_is_there(self) -> None:
        for room_id, naive in self.naive.items():
            record = self.backend.load_room(room_id, 3)
            assert record is not None
            assert {b.channel_id: b for b in record.context.bindings} == naive.bindings
            assert record.cursors == naive.cursors
            assert ids(record.context.recent_events) == ids(naive.recent(3))

    @invariant()
    def everybody_has_the_same_left_to_read(self) -> None:
        for room_id, naive in self.naive.items():
            for channel_id in CHANNELS:
                found = self.backend.get_unread_count(room_id, channel_id)
                assert found == naive.unread(channel_id)

    # -- helpers --------------------------------------------------------------------------

    def _room(self, room_id: str) -> Room:
        room = self.backend.get_room(room_id)
        assert room is not None
        return room

    def _events(self, room_id: str, new: list[Said]) -> list[RoomEvent]:
        first = self.naive[room_id].count
        return [
            an_event(
                first + n,
                room_id=room_id,
                channel=one.channel,
                visibility=one.visibility,
                type=one.type,
                status=EventStatus.BLOCKED if one.blocked else EventStatus.DELIVERED,
                idempotency_key=one.key,
                parent_event_id=(
                    an_event(one.reply_to, room_id=room_id).id
                    if one.reply_to is not None and one.reply_to < first + n
                    else None
                ),
            )
            for n, one in enumerate(new)
        ]
