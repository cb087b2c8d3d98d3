"""What can be found by its words."""

from __future__ import annotations

import pytest

from models.rooms.content import Audio, Composite, Location, Rich, Text
from models.rooms.kinds import EventType
from tests.transports.stores.values import a_blocked_one, a_room, add, an_event, ids
from transports.stores.backend import StoreBackend


class SearchRules:
    def test_all_words_have_to_be_there_whatever_their_case(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(
            backend,
            an_event(0, "The train to Berlin is late"),
            an_event(1, "A TRAIN, at last: Berlin!"),
            an_event(2, "Berlin is a town"),
            an_event(3, "trainers for sale in Berlin"),
            an_event(4, "Grüße aus der Straßenbahn"),
        )

        def found(text: str) -> list[str]:
            return sorted(ids(backend.search(text, "r", None, 10)))

        assert found("train berlin") == ["e0", "e1"]
        assert found("Berlin TRAIN") == ["e0", "e1"]
        assert found("late") == ["e0"]
        assert found("paris") == []
        assert found("train paris") == []
        assert found("GRÜSSE strassenbahn") == ["e4"]

    @pytest.mark.parametrize(
        "text", ["", "  ", '"', "'", "*", "- OR AND NOT", "a:b", "(", "%", "x'; --", "\\", "\x00"]
    )
    def test_no_text_breaks_the_search(self, backend: StoreBackend, text: str) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0, "hello"))
        assert list(backend.search(text, None, None, 10)) == []

    def test_what_looks_like_syntax_is_searched_as_words(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0, "to be or not to be"), an_event(1, "to be"))
        assert ids(backend.search("be OR not", "r", None, 10)) == ["e0"]
        assert ids(backend.search('"not" be*', "r", None, 10)) == ["e0"]

    def test_what_was_blocked_or_taken_back_is_never_found(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(
            backend,
            a_blocked_one(0, "hello"),
            an_event(1, "hello", metadata={"deleted": True}),
            an_event(2, "hello", type=EventType.SYSTEM),
            an_event(3, "hello"),
            an_event(4, "hello", metadata={"deleted": False}),
        )
        assert sorted(ids(backend.search("hello", "r", None, 10))) == ["e3", "e4"]
        add(backend, changed=[an_event(3, "hello", metadata={"deleted": True})])
        assert ids(backend.search("hello", "r", None, 10)) == ["e4"]

    def test_search_keeps_to_a_room_and_to_an_organization(self, backend: StoreBackend) -> None:
        for room_id, organization in (("a", "acme"), ("b", "acme"), ("c", "zeta")):
            backend.create_room(a_room(room_id, organization_id=organization))
            add(backend, an_event(0, "hello", room_id=room_id), room_id=room_id)

        def found(room_id: str | None, organization: str | None) -> list[str]:
            return sorted(e.room_id for e in backend.search("hello", room_id, organization, 10))

        assert found(None, None) == ["a", "b", "c"]
        assert found(None, "acme") == ["a", "b"]
        assert found("a", None) == ["a"]
        assert found("c", "acme") == []
        assert len(backend.search("hello", None, None, 2)) == 2

    def test_words_are_found_in_everything_that_can_be_read_out(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        add(
            backend,
            an_event(0, content=Rich("some *rich* strawberry")),
            an_event(1, content=Composite([Text("one"), Text("strawberry")])),
            an_event(2, content=Audio("https://example.org/a", transcript="Strawberry.")),
            an_event(3, content=Location(1, 2, "strawberry")),
        )
        assert sorted(ids(backend.search("strawberry", "r", None, 10))) == ["e0", "e1", "e2"]

    def test_what_is_about_nothing_else_comes_first(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        long = "we spoke of many things that day, of ships and wax and also, once, of a train"
        add(backend, an_event(0, long), an_event(1, "train, train, train"), an_event(2, long))
        assert ids(backend.search("train", "r", None, 10))[0] == "e1"
