"""What waits for a client that does not read; and the page that tells of the limits."""

from __future__ import annotations

import re

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rooms.content import System, Text
from models.rooms.event import RoomEvent
from models.rooms.wire import from_wire
from tests.docs.markdown import ROOT, table
from tests.transports.channels.websocket.places import event_of
from transports.channels.websocket import RoomWireConfig
from transports.channels.websocket import messages as wire
from transports.channels.websocket.decisions import Chunk
from transports.channels.websocket.outbox import Outbox
from transports.channels.websocket.wires import websocket_info
from transports.frame_link import MOST_MESSAGE

PAGE = ROOT / "docs" / "room-wire.md"


def chunk(stream_id: str, delta: str, text: str) -> Chunk:
    return Chunk("r", stream_id, delta, text)


def test_chunks_of_one_answer_are_joined_until_something_that_stays_comes_between() -> None:
    outbox = Outbox(10, 10_000, 10)
    outbox.add_chunk(chunk("a", "1", "1"))
    outbox.add_chunk(chunk("b", "x", "x"))
    outbox.add_chunk(chunk("a", "2", "12"))
    outbox.add_passing('"typing"')
    outbox.add_chunk(chunk("a", "3", "123"))
    outbox.keep('"event"')
    outbox.add_chunk(chunk("a", "4", "1234"))
    texts = [orjson.loads(text) for text in outbox.take()]
    assert [it if isinstance(it, str) else (it["stream_id"], it["delta"]) for it in texts] == [
        ("a", "123"),
        ("b", "x"),
        "typing",
        "event",
        ("a", "4"),
    ]
    assert texts[0]["text"] == "123"
    assert outbox.joined == 2
    assert not outbox


def test_a_chunk_that_is_on_its_way_is_not_added_to() -> None:
    outbox = Outbox(10, 10_000, 10)
    outbox.add_chunk(chunk("a", "1", "1"))
    outbox.take()
    outbox.add_chunk(chunk("a", "2", "12"))
    assert orjson.loads(outbox.take()[0])["delta"] == "2"


def test_of_passing_things_the_oldest_are_dropped_and_what_stays_is_not() -> None:
    outbox = Outbox(1, 10_000, 2)
    outbox.keep("e")
    for name in "123":
        outbox.add_passing(name)
    assert outbox.dropped == 1
    assert not outbox.overflows
    assert outbox.take() == ["e", "2", "3"]


def test_too_many_or_too_much_that_stays_is_an_overflow() -> None:
    many = Outbox(2, 10_000, 2)
    for _ in range(3):
        many.keep("e")
    assert many.overflows
    much = Outbox(100, 10, 2)
    much.keep("x" * 11)
    assert much.overflows
    much.clear()
    assert not much.overflows


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("keep"), st.just("")),
            st.tuples(st.just("chunk"), st.sampled_from("ab")),
            st.tuples(st.just("passing"), st.just("")),
            st.tuples(st.just("take"), st.just("")),
        )
    )
)
def test_no_delta_is_lost_and_what_stays_keeps_its_order(steps: list[tuple[str, str]]) -> None:
    outbox = Outbox(10_000, 10**9, 3)
    told: list[str] = []
    said = {"a": "", "b": ""}
    for number, (step, name) in enumerate(steps):
        match step:
            case "keep":
                outbox.keep(f"{number}")
            case "passing":
                outbox.add_passing(f"{number}")
            case "chunk":
                said[name] += f"{number},"
                outbox.add_chunk(chunk(name, f"{number},", said[name]))
            case _:
                told += outbox.take()
        assert outbox.half_full in (True, False)
    while outbox:
        told += outbox.take()
    frames = [orjson.loads(text) for text in told]
    for name, text in said.items():
        chunks = [it for it in frames if isinstance(it, dict) and it["stream_id"] == name]
        assert "".join(it["delta"] for it in chunks) == text
        assert not chunks or chunks[-1]["text"] == text
    kept = [it for it in frames if isinstance(it, int) and steps[it][0] == "keep"]
    assert kept == [number for number, (step, _) in enumerate(steps) if step == "keep"]


def test_an_event_that_no_frame_can_hold_says_so() -> None:
    item = wire.item_of(event_of("r", 0, content=Text("x" * MOST_MESSAGE)))
    event = from_wire(orjson.loads(item.text)["event"], RoomEvent)
    assert isinstance(event.content, System)
    assert event.content.code == "too_large"
    assert len(item.text) < MOST_MESSAGE


def test_an_event_reads_back_as_what_it_was() -> None:
    event = event_of("r", 3, metadata={"a": [1, {"b": None}]}, visibility="web,sms")
    frame = orjson.loads(wire.item_of(event).text)
    assert from_wire(frame["event"], RoomEvent) == event


def test_a_channel_says_that_it_streams_echoes_and_knows_its_people() -> None:
    info = websocket_info("web")
    assert info.streams
    assert info.echoes
    assert info.sender_is_participant
    assert info.capabilities.supports_typing


@pytest.mark.parametrize("bad", [{"ping_interval": 30.0}, {"page": 400, "queue": 500}])
def test_settings_that_contradict_each_other_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        RoomWireConfig(**bad)  # type: ignore[arg-type]


def test_every_limit_on_the_page_has_the_value_of_the_code() -> None:
    config = RoomWireConfig()
    for what, value in table(PAGE, "Limits"):
        [name] = re.findall(r"\(`(\w+)`\)", what)
        assert float(value) == float(getattr(config, name)), what


def test_every_type_a_client_may_say_stands_on_the_page() -> None:
    rows = {row[0].strip("`") for row in table(PAGE, "What you may say")}
    assert rows | {"hello"} == set(wire.NAMES.values())


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("Coming in", wire.Hello), ("Saying something", wire.Message)],
)
def test_every_field_of_a_frame_stands_on_the_page(
    heading: str, kind: type[attrs.AttrsInstance]
) -> None:
    rows = {row[0].strip("`") for row in table(PAGE, heading)}
    assert rows - {"text"} == {field.name for field in attrs.fields(kind)}
