"""What holds for the SQL stores beyond the contract, because they are SQL."""

from __future__ import annotations

import pytest

from models.rooms.content import Text
from models.rooms.errors import BadValue
from models.rooms.identity import Identity
from models.rooms.kinds import ChannelType, EventType
from tests.transports.stores.values import (
    a_binding,
    a_change,
    a_participant,
    a_room,
    add,
    an_event,
    ids,
)
from transports.stores.backend import EVERYTHING, EventFilter, Page, StoreBackend


class SqlRules:
    def test_zero_characters_are_kept_wherever_they_are(self, backend: StoreBackend) -> None:
        room = a_room(metadata={"no\0te": "a\0b", "path": "c:\\u0000"})
        backend.create_room(room)
        event = an_event(
            0, "hello\0world", idempotency_key="k\0", participant_id="p\0", metadata={"m": "\0"}
        )
        add(
            backend,
            event,
            bound=[a_binding("sms", participant_id="p\0")],
            participants=[a_participant("ann", external_id="x\0")],
        )
        backend.put_identity(Identity("i", channel_addresses={"sms": ("1\0",)}))
        assert backend.get_event_by_key("r", "k\0") == event
        assert ids(backend.get_timeline("r", EventFilter(participant_id="p\0"), Page())) == ["e0"]
        for metadata in ({"no\0te": "a\0b"}, {"path": "c:\\u0000"}):
            found = backend.find_rooms(None, None, metadata, 10, 0)
            assert [one.metadata for one in found] == [room.metadata]
        assert backend.find_rooms(None, None, {"path": "c:\0"}, 10, 0) == ()
        latest = backend.find_latest_room("x\0", ChannelType.SMS, ())
        assert latest is not None
        assert latest.metadata == room.metadata
        identity = backend.resolve_identity(ChannelType.SMS, "1\0", None)
        assert identity is not None
        assert identity.channel_addresses == {"sms": ("1\0",)}

    def test_half_a_character_is_refused_and_changes_nothing(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        half = "\ud800"
        room = backend.get_room("r")
        assert room is not None
        for event in (an_event(0, half), an_event(0, idempotency_key=half)):
            with pytest.raises(BadValue):
                backend.change(a_change(room, event))
        with pytest.raises(BadValue):
            backend.get_room(half)
        with pytest.raises(BadValue):
            backend.mark_read("r", half, 1)
        add(backend, an_event(0, "whole"))
        backend.flush()
        assert ids(backend.get_timeline("r", EVERYTHING, Page())) == ["e0"]

    def test_numbers_beyond_64_bits_are_refused(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        huge = 2**63
        with pytest.raises(BadValue):
            backend.get_timeline("r", EVERYTHING, Page(after_index=huge))
        with pytest.raises(BadValue):
            backend.mark_read("r", "sms", huge)
        backend.flush()
        assert backend.get_room("r") == a_room()

    def test_negative_limits_and_offsets_are_none(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        assert backend.find_rooms(None, None, {}, -1, 0) == ()
        assert backend.find_rooms(None, None, {}, 1, -1) == (a_room(),)
        assert ids(backend.get_timeline("r", EVERYTHING, Page(offset=-5))) == []

    def test_a_change_that_fails_in_a_batch_leaves_the_others(self, backend: StoreBackend) -> None:
        for name in ("r", "s"):
            backend.create_room(a_room(name))
        add(backend, an_event(0, idempotency_key="k"))
        room = backend.get_room("r")
        assert room is not None
        twice = an_event(1, "twice", idempotency_key="k")
        change = a_change(room, twice, bound=[a_binding("sms")], participants=[a_participant("x")])
        with pytest.raises(Exception, match="idempotency"):
            backend.change(change)
        add(backend, an_event(0, room_id="s"), room_id="s")
        backend.flush()
        record = backend.load_room("r", 10)
        assert record is not None
        assert record.context.room == room
        assert list(record.context.bindings) == []
        assert list(record.context.participants) == []
        assert ids(record.context.recent_events) == ["e0"]
        assert backend.get_event("s", "s-e0") is not None

    def test_words_are_found_without_their_accents_and_in_any_script(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        add(
            backend,
            an_event(0, "Käse aus der Straße"),
            an_event(1, "Ναι, αύριο"),
            an_event(2, "हिन्दी में"),
            an_event(3, "well-known e-mail: ann@example.org"),
        )
        for text, found in {
            "kase STRASSE": ["e0"],
            "αυριο": ["e1"],
            "हिन्दी": ["e2"],
            "known mail": ["e3"],
            "example": ["e3"],
            "know": [],
        }.items():
            assert ids(backend.search(text, "r", None, 10)) == found, text

    def test_a_novel_is_stored_and_found_by_its_beginning(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        novel = "Ishmael " + " ".join(f"word{number}ü" for number in range(300_000))
        add(backend, an_event(0, novel))
        assert ids(backend.search("ishmael", None, None, 10)) == ["e0"]
        event = backend.get_event("r", "e0")
        assert event is not None
        assert event.content == Text(novel)

    def test_what_is_found_follows_what_becomes_of_an_event(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0, "apples"), an_event(1, "pears"), an_event(2, "plums"))
        changed = an_event(0, "cherries"), an_event(1, "pears", metadata={"deleted": True})
        add(backend, changed=changed)
        assert backend.search("apples", "r", None, 10) == ()
        assert ids(backend.search("cherries", "r", None, 10)) == ["e0"]
        assert backend.search("pears", "r", None, 10) == ()
        back = an_event(1, "pears"), an_event(2, "plums", type=EventType.SYSTEM)
        add(backend, changed=back)
        assert ids(backend.search("pears", "r", None, 10)) == ["e1"]
        assert backend.search("plums", "r", None, 10) == ()
        backend.delete_event("r", "e1", True)
        assert backend.search("pears", "r", None, 10) == ()
        backend.delete_room("r")
        assert backend.search("cherries", None, None, 10) == ()
