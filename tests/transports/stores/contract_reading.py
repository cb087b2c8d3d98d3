"""Who has read how far, and what is left."""

from __future__ import annotations

import pytest

from models.rooms.errors import RoomNotFound
from models.rooms.kinds import EventType
from tests.transports.stores.values import (
    a_binding,
    a_blocked_one,
    a_room,
    add,
    an_agent,
    an_event,
)
from transports.stores.backend import StoreBackend


class ReadingRules:
    def test_a_marker_never_moves_backwards(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, *[an_event(i) for i in range(5)], bound=[a_binding("sms"), a_binding("ws")])
        assert backend.mark_read("r", "ws", 3) == 3
        assert backend.mark_read("r", "ws", 1) == 3
        assert backend.mark_read("r", "ws", 4) == 4
        assert backend.mark_read("r", "sms", 0) == 0
        assert backend.list_read_markers("r") == {"ws": 4, "sms": 0}

    def test_nobody_has_read_anything_in_a_new_room(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        assert backend.list_read_markers("r") == {}
        assert backend.list_read_markers("nowhere") == {}

    def test_there_is_nothing_to_read_in_a_room_that_is_not_there(
        self, backend: StoreBackend
    ) -> None:
        with pytest.raises(RoomNotFound) as caught:
            backend.mark_read("nowhere", "ws", 1)
        assert caught.value.id == "nowhere"
        assert backend.list_read_markers("nowhere") == {}
        assert backend.get_unread_count("nowhere", "ws") == 0

    def test_markers_belong_to_their_room(self, backend: StoreBackend) -> None:
        for room_id in ("a", "b"):
            backend.create_room(a_room(room_id))
        backend.mark_read("a", "ws", 2)
        assert backend.list_read_markers("b") == {}

    def test_unread_is_what_others_said_since(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(
            backend,
            an_event(0),
            an_event(1, channel="ws"),
            an_event(2),
            an_event(3, type=EventType.CHANNEL_MUTED),
            a_blocked_one(4),
            bound=[a_binding("sms"), a_binding("ws")],
        )
        assert backend.get_unread_count("r", "ws") == 3
        assert backend.get_unread_count("r", "sms") == 1
        backend.mark_read("r", "ws", 0)
        assert backend.get_unread_count("r", "ws") == 2
        backend.mark_read("r", "ws", 4)
        assert backend.get_unread_count("r", "ws") == 0
        add(backend, an_event(5))
        assert backend.get_unread_count("r", "ws") == 1

    def test_who_is_not_bound_has_nothing_to_read(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), bound=[a_binding("sms"), a_binding("ws")])
        assert backend.get_unread_count("r", "ws") == 1
        assert backend.get_unread_count("r", "mail") == 0
        add(backend, unbound=["ws"])
        assert backend.get_unread_count("r", "ws") == 0

    @pytest.mark.parametrize(
        ("visibility", "people", "agents", "other"),
        [
            ("all", 1, 1, 1),
            ("none", 0, 0, 0),
            ("internal", 0, 0, 0),
            ("transport", 1, 0, 1),
            ("intelligence", 0, 1, 0),
            ("ws", 1, 0, 0),
            ("ws, bot", 1, 1, 0),
            ("w", 0, 0, 0),
            ("", 0, 0, 0),
        ],
    )
    @pytest.mark.parametrize("by_binding", [False, True])
    def test_unread_is_only_what_a_channel_may_see(
        self,
        backend: StoreBackend,
        visibility: str,
        people: int,
        agents: int,
        other: int,
        by_binding: bool,
    ) -> None:
        own, of_source = ("all", visibility) if by_binding else (visibility, "all")
        backend.create_room(a_room())
        bindings = [
            a_binding("sms", visibility=of_source),
            a_binding("ws"),
            a_binding("mail"),
            an_agent("bot"),
        ]
        add(backend, an_event(0, visibility=own), bound=bindings)
        counted = [backend.get_unread_count("r", name) for name in ("ws", "bot", "mail", "sms")]
        assert counted == [people, agents, other, 0]

    def test_an_event_says_more_than_the_binding_of_its_source(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        bindings = [a_binding("sms", visibility="none"), a_binding("ws")]
        add(backend, an_event(0, visibility="ws"), an_event(1), bound=bindings)
        assert backend.get_unread_count("r", "ws") == 1

    def test_what_a_channel_said_that_has_left_is_judged_by_itself(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), bound=[a_binding("sms", visibility="none"), a_binding("ws")])
        assert backend.get_unread_count("r", "ws") == 0
        add(backend, unbound=["sms"])
        assert backend.get_unread_count("r", "ws") == 1

    def test_what_was_deleted_is_not_unread(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), an_event(1), bound=[a_binding("sms"), a_binding("ws")])
        backend.delete_event("r", "e0", True)
        assert backend.get_unread_count("r", "ws") == 1
