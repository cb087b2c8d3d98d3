"""What others write, and what they are told when it does not fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rooms.content import (
    CONTENT_TYPES,
    Composite,
    Content,
    Edit,
    Location,
    Media,
    Text,
)
from models.rooms.errors import BadValue
from models.rooms.event import RoomEvent
from models.rooms.kinds import EventType
from models.rooms.room import Room
from models.rooms.traffic import InboundMessage, Observation
from models.rooms.wire import (
    content_from_wire,
    dumps,
    from_wire,
    loads,
    restored,
    stored,
    to_wire,
)
from models.rooms.wire_strict import MOST_FAULTS
from tests.models.rooms.samples import full
from tests.models.rooms.shapes import VALUE_KINDS
from tests.models.rooms.strategies import contents, json_values, values

HELLO = {"channel_id": "ws", "sender_id": "ann", "content": {"type": "text", "body": "hi"}}
TEXT = {"type": "text", "body": "hi"}
KNOWN = ", ".join(CONTENT_TYPES)


def faults(data: object, kind: type = InboundMessage, **options: Any) -> Sequence[str]:
    with pytest.raises(BadValue) as refused:
        from_wire(data, kind, **options)
    return list(refused.value.faults)


def content_faults(data: object) -> Sequence[str]:
    with pytest.raises(BadValue) as refused:
        content_from_wire(data)
    return list(refused.value.faults)


# -- there and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALUE_KINDS)
def test_every_value_survives_the_wire(name: str) -> None:
    kind = VALUE_KINDS[name]

    @settings(max_examples=15, deadline=None)
    @given(values(kind))
    def survives(value: object) -> None:
        assert repr(loads(dumps(value), kind)) == repr(value)
        assert from_wire(to_wire(value), kind) == value

    survives()


@settings(max_examples=50, deadline=None)
@given(contents(3))
def test_every_content_is_told_by_its_type(content: Content) -> None:
    assert content_from_wire(to_wire(content)) == content


def test_all_fields_are_on_the_wire_as_plain_json() -> None:
    message = from_wire(HELLO, InboundMessage)
    assert to_wire(message) == {
        "channel_id": "ws",
        "sender_id": "ann",
        "content": {"type": "text", "body": "hi", "language": None},
        "event_type": "message",
        "external_id": None,
        "thread_id": None,
        "parent_event_id": None,
        "idempotency_key": None,
        "raw_payload": {},
        "provider_message_id": None,
        "metadata": {},
        "visibility": "all",
        "addressed_to": None,
        "response_visibility": None,
        "created_at": None,
    }
    assert type(to_wire(message)["event_type"]) is str
    assert json.loads(dumps(message)) == to_wire(message)


@attrs.frozen
class Say:
    """A frame of somebody else's protocol."""

    content: Content
    to: Sequence[str] = ()
    kind: EventType = EventType.MESSAGE


def test_any_frozen_class_of_the_same_parts_is_read() -> None:
    frame = {"content": {"type": "edit", "target_event_id": "e", "new_content": {**TEXT}}}
    assert from_wire(frame, Say) == Say(Edit("e", Text("hi")))


@attrs.frozen
class Page:
    """Contents that may be none, or only some."""

    head: Content | None = None
    figure: Text | Media | None = None
    words: Text | None = None
    rest: Sequence[Content | None] = ()


def test_a_content_may_be_left_out_or_be_one_of_some() -> None:
    place = {"type": "location", "latitude": 1, "longitude": 2}
    assert from_wire({"head": None, "figure": None, "words": None}, Page) == Page()
    page = Page(Location(1.0, 2.0), Media("data:x", "a/b"), Text("hi"), (None, Text("hi")))
    assert from_wire(to_wire(page), Page) == page
    assert restored(stored(page), Page) == page
    data = {"head": {}, "figure": place, "words": place, "rest": [3]}
    assert faults(data, Page) == [
        f"head.type: missing; known here: {KNOWN}",
        "figure.type: unknown; known here: text, media",
        "words.type: expected 'text'",
        "rest[0]: expected an object, got a number",
    ]


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-31T12:30:00Z",
        "2026-01-31T12:30:00.000+00:00",
        "2026-01-31T13:30:00+01:00",
        "2026-01-31 07:00:00-05:30",
    ],
)
def test_a_time_is_read_in_any_zone_and_kept_in_utc(written: str) -> None:
    read = from_wire({**HELLO, "created_at": written}, InboundMessage).created_at
    assert read == datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
    assert read.tzinfo is UTC


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({**HELLO, "sender_id": 8}, "sender_id: expected a string, got a number"),
        ({**HELLO, "sender_id": None}, "sender_id: expected a string, got null"),
        ({**HELLO, "sender_id": ["ann"]}, "sender_id: expected a string, got a list"),
        ({**HELLO, "external_id": True}, "external_id: expected a string, got a boolean"),
        ({**HELLO, "metadata": []}, "metadata: expected an object, got a list"),
        ({**HELLO, "metadata": None}, "metadata: expected an object, got null"),
        ({**HELLO, "addressed_to": "ai"}, "addressed_to: expected a list, got a string"),
        ({**HELLO, "addressed_to": ["ai", 1]}, "addressed_to[1]: expected a string, got a number"),
        ({**HELLO, "addressed_to": {}}, "addressed_to: expected a list, got an object"),
        ({**HELLO, "created_at": 1769862600}, "created_at: expected a time, got a number"),
        (
            {**HELLO, "created_at": "0001-01-01T00:00:00+05:00"},
            "created_at: expected a time such as 2026-01-31T12:30:00.250+00:00",
        ),
        (
            {**HELLO, "created_at": "yesterday"},
            "created_at: expected a time such as 2026-01-31T12:30:00.250+00:00",
        ),
        (
            {**HELLO, "created_at": "2026-01-31T12:30:00"},
            "created_at: expected a time with its zone, such as 2026-01-31T12:30:00Z",
        ),
        (
            {**HELLO, "event_type": "mesage"},
            f"event_type: expected one of {', '.join(EventType)}; did you mean 'message'?",
        ),
        ({**HELLO, "event_type": 3}, f"event_type: expected one of {', '.join(EventType)}"),
        ({**HELLO, "sender": "ann"}, "sender: unknown name; did you mean 'sender_id'?"),
        ([], "expected an object, got a list"),
        (None, "expected an object, got null"),
        ("{}", "expected an object, got a string"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(data: object, fault: str) -> None:
    assert faults(data) == [fault]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({}, f"type: missing; known here: {KNOWN}"),
        ({"type": None}, f"type: missing; known here: {KNOWN}"),
        ({"type": "txt"}, f"type: unknown; known here: {KNOWN}; did you mean 'text'?"),
        ({"type": "sticker"}, f"type: unknown; known here: {KNOWN}"),
        ({"type": ["text"]}, f"type: unknown; known here: {KNOWN}"),
        ([], "expected an object, got a list"),
        ({"type": "text"}, "body: missing"),
        (
            {"type": "text", "body": "x", "text": ""},
            "text: unknown name; known here: body, languag",
        ),
        ({"type": "rich", "body": "x", "format": "rtf"}, "format: expected one of html, markdown"),
        ({"type": "rich", "body": "x", "buttons": ["a"]}, "buttons[0]: expected an object, got a "),
        ({"type": "rich", "body": "x", "quick_replies": "a"}, "quick_replies: expected a list"),
        (
            {"type": "media", "url": "ftp://x", "mime_type": "a/b"},
            "url: must be an http, https or data URL",
        ),
        (
            {"type": "media", "url": "https://", "mime_type": "a/b"},
            "url: must be an http, https or data URL",
        ),
        (
            {"type": "media", "url": "http://x", "mime_type": "a/b", "size_bytes": -1},
            "size_bytes: must be >= 0: -1",
        ),
        (
            {"type": "media", "url": "http://x", "mime_type": "a/b", "size_bytes": 1.0},
            "size_bytes: expected an integer, got a number",
        ),
        (
            {"type": "media", "url": "http://x", "mime_type": "a/b", "size_bytes": 2**63},
            "size_bytes: expected an integer, got a number of more than 64 bits",
        ),
        ({"type": "location", "latitude": 90.5, "longitude": 0}, "latitude: must be <= 90: 90.5"),
        ({"type": "location", "latitude": 0, "longitude": -181}, "longitude: must be >= -180: -18"),
        ({"type": "location", "latitude": True, "longitude": 0}, "latitude: expected a number, go"),
        ({"type": "location", "latitude": "9", "longitude": 0}, "latitude: expected a number, got"),
        ({"type": "audio", "url": "javascript:x"}, "url: must be an http, https or data URL"),
        ({"type": "audio", "url": "data:x", "duration_seconds": -0.1}, "duration_seconds: must be"),
        (
            {"type": "video", "url": "data:x", "thumbnail_url": "x"},
            "thumbnail_url: must be an http",
        ),
        ({"type": "composite"}, "parts: missing"),
        ({"type": "composite", "parts": []}, "parts: a composite has at least one part"),
        ({"type": "composite", "parts": [TEXT, {}]}, "parts[1].type: missing; known here: text"),
        (
            {"type": "template", "template_id": "t", "parameters": {"n": 1}},
            "parameters.n: expected",
        ),
        ({"type": "edit", "target_event_id": "e"}, "new_content: missing"),
        (
            {"type": "edit", "target_event_id": "e", "new_content": {"type": "text", "body": 1}},
            "new_content.body: expected a string, got a number",
        ),
        (
            {"type": "edit", "target_event_id": "e", "new_content": TEXT, "edit_source": "x"},
            "edit_source: expected one of sender, system",
        ),
        (
            {"type": "delete", "target_event_id": "e", "delete_type": 1},
            "delete_type: expected one ",
        ),
        (
            {"type": "tool_call", "tool_name": "t", "tool_id": "1", "status": "?"},
            "status: expected",
        ),
    ],
)
def test_content_that_does_not_fit_is_told_with_its_path(content: object, fault: str) -> None:
    (told,) = content_faults(content)
    assert told.startswith(fault)


def test_every_fault_is_told_at_once() -> None:
    message = {
        "sender_id": 8,
        "content": {
            "type": "composite",
            "parts": [
                TEXT,
                {"type": "media", "url": "file:///etc/passwd", "mime_type": 1},
                {"type": "location", "latitude": 91, "longitude": True, "lable": ""},
                {"type": "txt"},
            ],
        },
        "event_typ": "message",
    }
    assert faults(message) == [
        "channel_id: missing",
        "sender_id: expected a string, got a number",
        "content.parts[1].url: must be an http, https or data URL",
        "content.parts[1].mime_type: expected a string, got a number",
        "content.parts[2].latitude: must be <= 90: 91.0",
        "content.parts[2].longitude: expected a number, got a boolean",
        "content.parts[2].lable: unknown name; did you mean 'label'?",
        f"content.parts[3].type: unknown; known here: {KNOWN}; did you mean 'text'?",
        "event_typ: unknown name; did you mean 'event_type'?",
    ]


def test_so_many_faults_are_told_and_that_there_are_more() -> None:
    told = faults({**HELLO, "addressed_to": list(range(MOST_FAULTS + 7))})
    assert len(told) == MOST_FAULTS + 1
    assert told[-1] == "… and more"


def test_a_content_that_is_asked_for_by_class_has_to_say_so() -> None:
    assert faults({"type": "rich", "body": "hi"}, Text) == ["type: expected 'text'"]
    assert faults({"body": "hi"}, Text) == ["type: expected 'text'"]
    assert from_wire(TEXT, Text) == Text("hi")


def test_unknown_names_are_passed_over_where_that_is_wanted() -> None:
    message = {
        **HELLO,
        "new": 1,
        "content": {"type": "composite", "parts": [{**TEXT, "mood": "good"}]},
    }
    assert faults(message) == [
        "content.parts[0].mood: unknown name; known here: body, language",
        "new: unknown name; known here: " + ", ".join(f.name for f in attrs.fields(InboundMessage)),
    ]
    read = from_wire(message, InboundMessage, unknown_keys=True)
    assert read.content == Composite((Text("hi"),))
    assert faults({**message, "sender_id": 1}, unknown_keys=True) == [
        "sender_id: expected a string, got a number"
    ]


# -- numbers, and anything at all ------------------------------------------------------------------


def test_numbers_are_what_they_are() -> None:
    seen = {"id": "o", "room_id": "r", "channel_id": "c", "content": "", "created_at": STAMP}
    assert from_wire({**seen, "confidence": 1}, Observation).confidence == 1.0
    assert faults({**seen, "confidence": 1.5}, Observation) == ["confidence: must be <= 1.0: 1.5"]
    room = {"id": "r", "created_at": STAMP, "updated_at": STAMP}
    assert faults({**room, "event_count": True}, Room) == [
        "event_count: expected an integer, got a boolean"
    ]
    assert faults({**room, "event_count": "8"}, Room) == [
        "event_count: expected an integer, got a string"
    ]


STAMP = "2026-01-31T12:30:00Z"


@settings(max_examples=150, deadline=None)
@given(json_values, st.sampled_from([RoomEvent, InboundMessage, Room]), st.booleans())
def test_any_json_is_read_or_refused_and_nothing_else(
    data: object, kind: type, unknown_keys: bool
) -> None:
    try:
        from_wire(data, kind, unknown_keys=unknown_keys)
    except BadValue as refused:
        assert refused.faults


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_to_a_message_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    wire = json.loads(dumps(full(InboundMessage, content=data.draw(contents()))))
    places = [wire, wire["content"]]
    place = data.draw(st.sampled_from(places))
    name = data.draw(st.sampled_from(sorted(place)))
    place[name] = data.draw(json_values)
    try:
        from_wire(wire, InboundMessage)
    except BadValue as refused:
        assert refused.faults
