"""Rooms, the one write, and the delivery cursor."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from models.rooms.content import Text
from models.rooms.errors import AlreadyThere, Conflict, RoomNotFound
from models.rooms.event import DeliveryError, DeliveryResult
from models.rooms.kinds import (
    DeliveryOutcome,
    EventStatus,
    EventType,
    RoomStatus,
)
from models.rooms.room import DETACHED, RoomTimers
from tests.transports.stores.values import (
    NOON,
    a_binding,
    a_blocked_one,
    a_change,
    a_participant,
    a_room,
    a_task,
    add,
    an_event,
    an_observation,
    at,
    grown,
    ids,
)
from transports.stores.backend import EVERYTHING, Change, DuplicateKey, Page, StoreBackend

ACTIVE = (RoomStatus.ACTIVE,)
RICH = a_room(
    organization_id="acme",
    status=RoomStatus.PAUSED,
    timers=RoomTimers(60, 3600, NOON, at(1), "paused"),
    metadata={"topic": "Überweisung", "nested": {"list": [1, 2.5, None, True]}},
)


class RoomRules:
    # -- rooms ----------------------------------------------------------------------------

    def test_a_room_reads_as_it_was_written(self, backend: StoreBackend) -> None:
        backend.create_room(RICH)
        assert backend.get_room("r") == RICH

    def test_what_is_not_there_reads_as_none(self, backend: StoreBackend) -> None:
        assert backend.get_room("r") is None
        assert backend.load_room("r", 10) is None
        assert backend.delete_room("r") is False

    def test_an_id_is_taken_once(self, backend: StoreBackend) -> None:
        backend.create_room(a_room(organization_id="acme"))
        with pytest.raises(AlreadyThere) as caught:
            backend.create_room(a_room(organization_id="other"))
        assert caught.value.id == "r"
        assert backend.get_room("r") == a_room(organization_id="acme")

    def test_a_deleted_room_takes_everything_with_it(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(
            backend,
            an_event(0, "strawberries", idempotency_key="k"),
            bound=[a_binding("sms", participant_id="ann")],
            participants=[a_participant("ann")],
            tasks=[a_task("t")],
            observations=[an_observation("o")],
            cursors={"sms": 0},
        )
        backend.mark_read("r", "sms", 0)
        assert backend.delete_room("r") is True
        assert backend.get_room("r") is None
        assert backend.get_event("r", "e0") is None
        assert backend.get_event_by_key("r", "k") is None
        assert backend.get_task("t") is None
        assert list(backend.list_observations("r")) == []
        assert backend.list_read_markers("r") == {}
        assert list(backend.search("strawberries", None, None, 10)) == []
        assert list(backend.find_rooms_of_channel("sms", ACTIVE, 10)) == []
        assert backend.find_latest_room("ann", None, ACTIVE) is None
        backend.create_room(a_room())
        record = backend.load_room("r", 10)
        assert record is not None
        assert not record.context.bindings
        assert not record.context.participants
        assert record.cursors == {}

    # -- loading --------------------------------------------------------------------------

    def test_a_room_is_loaded_with_all_its_actor_needs(self, backend: StoreBackend) -> None:
        backend.create_room(RICH)
        bindings = [a_binding("sms", metadata={"a": 1}), a_binding("mail")]
        participants = [a_participant("ann", connected_via=("sms", "mail")), a_participant("bob")]
        room = add(
            backend,
            an_event(0),
            bound=bindings,
            participants=participants,
            cursors={"sms": 0},
        )
        record = backend.load_room("r", 10)
        assert record is not None
        assert record.context.room == room
        assert sorted(b.channel_id for b in record.context.bindings) == ["mail", "sms"]
        assert record.context.get_binding("sms") == bindings[0]
        by_id = {p.id: p for p in record.context.participants}
        assert by_id == {p.id: p for p in participants}
        assert list(record.context.recent_events) == [an_event(0)]
        assert record.cursors == {"sms": 0}

    def test_what_is_loaded_ends_with_the_newest_messages_that_were_not_blocked(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        add(backend, *[an_event(i) for i in range(6)])
        add(backend, a_blocked_one(6), an_event(7, type=EventType.CHANNEL_MUTED), an_event(8))
        record = backend.load_room("r", 3)
        assert record is not None
        assert ids(record.context.recent_events) == ["e4", "e5", "e8"]
        none = backend.load_room("r", 0)
        assert none is not None
        assert list(none.context.recent_events) == []

    # -- the one write --------------------------------------------------------------------

    def test_a_change_is_read_back_whole(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        changed = attrs.evolve(
            grown(a_room(), [an_event(0), an_event(1)]),
            updated_at=at(7),
            status=RoomStatus.PAUSED,
            metadata={"topic": "trains"},
        )
        task, seen = a_task("t"), an_observation("o")
        backend.change(
            Change(
                changed,
                0,
                [an_event(0), an_event(1)],
                bound=[a_binding("sms")],
                participants=[a_participant("ann")],
                tasks=[task],
                observations=[seen],
                cursors={"sms": 1},
            )
        )
        record = backend.load_room("r", 10)
        assert record is not None
        assert record.context.room == changed
        assert record.cursors == {"sms": 1}
        assert list(backend.get_timeline("r", EVERYTHING, Page())) == [an_event(0), an_event(1)]
        assert backend.get_task("t") == task
        assert list(backend.list_observations("r")) == [seen]

    def test_only_a_room_that_is_there_is_changed(self, backend: StoreBackend) -> None:
        with pytest.raises(RoomNotFound) as caught:
            backend.change(a_change(a_room("nowhere"), tasks=[a_task("t", room_id="nowhere")]))
        assert caught.value.id == "nowhere"
        assert backend.get_room("nowhere") is None
        assert backend.get_task("t") is None

    @pytest.mark.parametrize("expected", [1, 3])
    def test_who_does_not_know_how_much_is_there_changes_nothing(
        self, backend: StoreBackend, expected: int
    ) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), an_event(1))
        before = backend.load_room("r", 10)
        stale = attrs.evolve(a_room(), event_count=expected, latest_index=expected - 1)
        with pytest.raises(Conflict) as caught:
            backend.change(a_change(stale, an_event(expected, id="new"), bound=[a_binding("sms")]))
        assert (caught.value.expected, caught.value.found) == (expected, 2)
        assert backend.load_room("r", 10) == before

    def test_a_key_is_used_once_in_a_room_and_the_original_is_told(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        original = a_blocked_one(0, "first", idempotency_key="k")
        add(backend, original)
        before = backend.load_room("r", 10)
        with pytest.raises(DuplicateKey) as caught:
            add(
                backend,
                an_event(1, "before it"),
                an_event(2, "again", idempotency_key="k"),
                bound=[a_binding("sms")],
                participants=[a_participant("ann")],
                tasks=[a_task("t")],
                observations=[an_observation("o")],
            )
        assert caught.value.original == original
        assert backend.load_room("r", 10) == before
        assert backend.get_event("r", "e1") is None
        assert backend.get_task("t") is None
        assert list(backend.list_observations("r")) == []
        add(backend, an_event(1, "goes on", idempotency_key="another"))
        assert ids(backend.get_timeline("r", EVERYTHING, Page())) == ["e1"]

    def test_the_same_key_in_another_room_is_another_message(self, backend: StoreBackend) -> None:
        for room_id in ("a", "b"):
            backend.create_room(a_room(room_id))
            add(backend, an_event(0, room_id=room_id, idempotency_key="k"), room_id=room_id)
        for room_id in ("a", "b"):
            found = backend.get_event_by_key(room_id, "k")
            assert found is not None
            assert found.room_id == room_id

    def test_a_changed_event_keeps_its_place(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0, "tea", idempotency_key="k"), an_event(1))
        edited = an_event(0, "coffee", metadata={"edited": True}, idempotency_key="k")
        add(backend, an_event(2), changed=[edited])
        assert backend.get_event("r", "e0") == edited
        assert backend.get_event_by_key("r", "k") == edited
        assert ids(backend.get_timeline("r", EVERYTHING, Page())) == ["e0", "e1", "e2"]
        assert ids(backend.search("coffee", "r", None, 10)) == ["e0"]
        assert list(backend.search("tea", "r", None, 10)) == []

    def test_an_event_that_is_blocked_later_leaves_the_timeline(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0, "tea"))
        add(backend, changed=[a_blocked_one(0, "tea")])
        assert list(backend.get_timeline("r", EVERYTHING, Page())) == []
        assert list(backend.search("tea", "r", None, 10)) == []
        stored = backend.get_event("r", "e0")
        assert stored is not None
        assert stored.status is EventStatus.BLOCKED

    def test_to_change_an_event_that_is_not_there_does_nothing(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, changed=[an_event(0, "ghost")])
        assert backend.get_event("r", "e0") is None

    def test_an_edit_does_not_undo_what_was_recorded_of_deliveries(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0))
        error = DeliveryError("timeout", "no answer", retryable=False)
        results = {"sms": DeliveryResult("sms", DeliveryOutcome.FAILED, error=error)}
        backend.record_results(attrs.evolve(an_event(0), delivery_results=results))
        add(backend, changed=[an_event(0, "edited")])
        stored = backend.get_event("r", "e0")
        assert stored is not None
        assert stored.content == Text("edited")
        assert stored.delivery_results == results
        backend.record_results(an_event(7))  # not there: nothing happens

    def test_metadata_and_what_was_detached_survive(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, bound=[a_binding("sms")])
        room = attrs.evolve(a_room(), metadata={DETACHED: ["sms"]})
        backend.change(Change(room, 0, unbound=["sms"]))
        record = backend.load_room("r", 10)
        assert record is not None
        assert list(record.context.bindings) == []
        assert record.context.room.metadata == {DETACHED: ["sms"]}

    def test_bindings_are_replaced_and_go(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, bound=[a_binding("sms"), a_binding("mail")], cursors={"sms": -1, "mail": -1})
        muted = a_binding("sms", muted=True)
        add(backend, bound=[muted], unbound=["mail", "never"])
        record = backend.load_room("r", 10)
        assert record is not None
        assert list(record.context.bindings) == [muted]
        assert record.cursors == {}  # nothing is delivered, which is what no cursor says

    # -- the delivery cursor --------------------------------------------------------------

    def test_cursors_never_move_backwards(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        events = [an_event(i) for i in range(5)]
        add(backend, *events, bound=[a_binding("sms"), a_binding("mail")], cursors={"sms": 2})
        backend.advance("r", {"sms": 1, "mail": 3}, 2)
        backend.advance("r", {"mail": 0}, 1)
        add(backend, cursors={"sms": 0, "mail": 1})
        record = backend.load_room("r", 10)
        assert record is not None
        assert record.cursors == {"sms": 2, "mail": 3}
        assert record.context.room.delivered_index == 2

    def test_a_cursor_goes_with_its_binding(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), bound=[a_binding("sms")], cursors={"sms": 0})
        add(backend, unbound=["sms"])
        record = backend.load_room("r", 10)
        assert record is not None
        assert record.cursors == {}
        backend.advance("r", {"sms": 0}, 0)
        add(backend, bound=[a_binding("sms")])
        record = backend.load_room("r", 10)
        assert record is not None
        assert record.cursors == {}

    def test_a_change_leaves_to_the_cursor_what_is_delivered(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), an_event(1))
        backend.advance("r", {}, 1)
        stale = attrs.evolve(a_room(), event_count=2, latest_index=1, delivered_index=-1)
        backend.change(a_change(stale, an_event(2)))
        room = backend.get_room("r")
        assert room is not None
        assert (room.event_count, room.latest_index, room.delivered_index) == (3, 2, 1)
        eager = attrs.evolve(room, delivered_index=99)
        backend.change(a_change(eager))
        room = backend.get_room("r")
        assert room is not None
        assert room.delivered_index == 1

    def test_to_advance_a_room_that_is_not_there_does_nothing(self, backend: StoreBackend) -> None:
        backend.advance("nowhere", {"sms": 3}, 3)
        assert backend.get_room("nowhere") is None

    def test_times_keep_their_microseconds_and_their_zone(self, backend: StoreBackend) -> None:
        fine = NOON + timedelta(microseconds=123_457)
        backend.create_room(attrs.evolve(a_room(), updated_at=fine))
        room = backend.get_room("r")
        assert room is not None
        assert (room.updated_at, room.updated_at.utcoffset()) == (fine, timedelta(0))
