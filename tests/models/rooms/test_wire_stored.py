"""The form in which values are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rooms.content import Composite, Content, Edit, Text
from models.rooms.errors import BadValue, NewerSchema
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType
from models.rooms.room import Room
from models.rooms.wire import StoredForm, restored, stored
from tests.models.rooms.shapes import VALUE_KINDS
from tests.models.rooms.strategies import MOMENT, contents, json_objects, values

SOURCE = EventSource("sms-1", ChannelType.SMS)


def event(content: Content, **fields: Any) -> RoomEvent:
    return RoomEvent("e1", "r1", SOURCE, content, MOMENT, **fields)


@pytest.mark.parametrize("name", VALUE_KINDS)
def test_every_value_comes_back_as_it_was(name: str) -> None:
    kind = VALUE_KINDS[name]

    @settings(max_examples=25, deadline=None)
    @given(values(kind))
    def comes_back(value: object) -> None:
        back: object = restored(stored(value), kind)
        assert back == value
        assert repr(back) == repr(value)  # a member of a StrEnum is equal to its bare word

    comes_back()


@settings(max_examples=50, deadline=None)
@given(values(RoomEvent, content=contents(3)))
def test_an_event_with_contents_inside_contents_comes_back(value: RoomEvent) -> None:
    assert restored(stored(value), RoomEvent) == value


def test_the_document_is_marked_and_holds_no_defaults() -> None:
    assert json.loads(stored(event(Text("hi")))) == {
        "v": 1,
        "id": "e1",
        "room_id": "r1",
        "source": {"channel_id": "sms-1", "channel_type": "sms"},
        "content": {"type": "text", "body": "hi"},
        "created_at": "2026-01-31T12:30:00.250000+00:00",
    }


def test_times_are_written_in_utc_whatever_their_zone() -> None:
    east = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    back = restored(stored(Room("r", east, MOMENT.replace(tzinfo=None))), Room)
    assert back.created_at == back.updated_at == MOMENT
    assert back.created_at.tzinfo is back.updated_at.tzinfo is UTC


def test_a_text_and_its_bytes_are_read_alike() -> None:
    data = stored(event(Text("süß")))
    assert restored(data.decode(), RoomEvent) == restored(data, RoomEvent)


# -- versions --------------------------------------------------------------------------------------


@attrs.frozen
class Note:
    """As version 3 has it: `body` was called `text` in version 1, `pinned` came with version 3."""

    body: str
    pinned: bool


def renamed(kind: type, document: dict[str, Any]) -> dict[str, Any]:
    return {"body": document.pop("text"), **document} if kind is Note else document


def unpinned(kind: type, document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "pinned": False} if kind is Note else document


THIRD = StoredForm([renamed, unpinned])


@pytest.mark.parametrize(
    ("document", "pinned"),
    [
        (b'{"v":1,"text":"x"}', False),
        (b'{"v":2,"body":"x"}', False),
        (b'{"v":3,"body":"x","pinned":true}', True),
    ],
)
def test_an_older_document_is_brought_up_to_date_step_by_step(
    document: bytes, pinned: bool
) -> None:
    assert THIRD.restored(document, Note) == Note("x", pinned)


def test_a_version_is_written_that_its_own_reader_knows() -> None:
    assert THIRD.version == 3
    assert THIRD.restored(THIRD.stored(Note("x", True)), Note) == Note("x", True)


def test_a_newer_document_is_refused_with_what_to_do() -> None:
    with pytest.raises(NewerSchema, match="run a newer Troupe") as refused:
        restored(b'{"v":2,"body":"x"}', Note)
    assert (refused.value.found, refused.value.known) == (2, 1)


def test_what_a_newer_writer_added_within_the_version_is_passed_over() -> None:
    document = json.loads(stored(event(Text("hi"))))
    document["mood"] = "good"
    document["content"]["tone"] = {"warm": True}
    assert restored(json.dumps(document), RoomEvent) == event(Text("hi"))


# -- what cannot be written or read ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({"deep": [{"it": object()}]}, "metadata.deep[0].it: expected JSON, got a object"),
        ({"big": 2**70}, "metadata.big: expected a number of at most 64 bits"),
        ({"half": "\ud800"}, "metadata.half: expected Unicode text, got half of a surrogate pair"),
        ({"in": {1: 2}}, "metadata.in: expected names that are Unicode text"),
        ({"raw": b"bytes"}, "metadata.raw: expected JSON, got a bytes"),
    ],
)
def test_metadata_that_is_no_json_is_refused_with_its_path(
    metadata: dict[str, Any], fault: str
) -> None:
    with pytest.raises(BadValue) as refused:
        stored(event(Text("hi"), metadata=metadata))
    assert refused.value.faults == [fault]


def test_a_text_that_cannot_be_written_down_is_refused() -> None:
    with pytest.raises(BadValue, match=r"content\.parts"):
        stored(event(Composite((Text("fine"), Edit("e0", Text("\udfff"))))))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "expected an object"),
        (b"null", "expected an object"),
        (b"{}", "v: expected the version"),
        (b'{"v":true}', "v: expected the version"),
        (b'{"v":"1"}', "v: expected the version"),
        (b'{"v":0}', "v: expected the version"),
        (b'{"v":1}', "id: missing; room_id: missing"),
        (b'{"v":1,"id":"e","room_id":"r","source":[],"content":{"type":"text"}}', "source: exp"),
        (b'{"v":1,"id":7}', "id: expected a string, got a number"),
    ],
)
def test_what_is_no_document_of_ours_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(BadValue) as refused:
        restored(data, RoomEvent)
    assert str(refused.value).startswith(fault)


@settings(max_examples=100, deadline=None)
@given(json_objects, st.sampled_from(list(VALUE_KINDS.values())))
def test_a_document_of_anything_is_read_or_refused_and_nothing_else(
    document: dict[str, Any], kind: type
) -> None:
    try:
        restored(json.dumps({**document, "v": 1}), kind)
    except BadValue as refused:
        assert refused.faults


def test_a_time_that_has_no_zone_is_not_guessed_when_reading() -> None:
    document = b'{"v":1,"id":"r","created_at":"2026-01-31T12:30:00","updated_at":"2026"}'
    with pytest.raises(BadValue) as refused:
        restored(document, Room)
    assert list(refused.value.faults) == [
        "created_at: expected a time with its zone, such as 2026-01-31T12:30:00Z",
        "updated_at: expected a time such as 2026-01-31T12:30:00.250+00:00",
    ]
    assert datetime.fromisoformat("2026-01-31T12:30:00Z").tzinfo is UTC  # what readers rely on
