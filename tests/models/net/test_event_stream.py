"""Server-sent events, however their bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.net.faults import ProviderFault
from models.net.sse import EventStreamReader, ServerSentEvent


def read(stream: bytes, longest: int = 1000) -> list[ServerSentEvent]:
    return EventStreamReader(longest).feed(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: hello\n\n", [ServerSentEvent("hello")]),
        (b"data:hello\n\n", [ServerSentEvent("hello")]),
        (b"data:  hello\n\n", [ServerSentEvent(" hello")]),
        (b"data: a\ndata: b\n\n", [ServerSentEvent("a\nb")]),
        (b"data\n\n", [ServerSentEvent("")]),
        (b"event: chat\ndata: hello\n\n", [ServerSentEvent("hello", "chat")]),
        (b"event:\ndata: hello\n\n", [ServerSentEvent("hello")]),
        (b"id: 7\ndata: hello\n\n", [ServerSentEvent("hello", id="7")]),
        (b"id: 7\ndata: a\n\ndata: b\n\n", [ServerSentEvent("a", id="7"), ServerSentEvent("b")]),
        (b"id: a\0b\ndata: hello\n\n", [ServerSentEvent("hello")]),
        (b": a comment\n\ndata: hello\n\n", [ServerSentEvent("hello")]),
        (b"event: chat\n\ndata: hello\n\n", [ServerSentEvent("hello")]),
        (b"colour: red\ndata: hello\n\n", [ServerSentEvent("hello")]),
        (b"\xef\xbb\xbfdata: hello\n\n", [ServerSentEvent("hello")]),
        (b"data: a\xe2\x80\xa8b\n\n", [ServerSentEvent("a\u2028b")]),
        (b"data: hello\n", []),
        (b"", []),
    ],
)
def test_streams(stream: bytes, events: list[ServerSentEvent]) -> None:
    assert read(stream) == events
    assert read(stream.replace(b"\n", b"\r")) == events
    assert read(stream.replace(b"\n", b"\r\n")) == events


def test_what_is_not_unicode_is_told() -> None:
    with pytest.raises(ProviderFault):
        read(b"data: \xff\n\n")


def test_the_last_id_is_that_of_the_last_whole_event() -> None:
    reader = EventStreamReader(1000, last_id="3")
    assert reader.last_id == "3"
    reader.feed(b"data: a\n\n")
    assert reader.last_id == "3"
    reader.feed(b"id: 7\n")
    assert reader.last_id == "3"
    reader.feed(b"\n")  # an id without data is one to go on after, too
    assert reader.last_id == "7"
    reader.feed(b"id\ndata: a\n\n")
    assert reader.last_id == ""


@pytest.mark.parametrize(
    ("value", "seconds"), [("2500", 2.5), ("", None), ("-1", None), ("1e3", None), ("9" * 30, None)]
)
def test_a_server_may_say_how_long_to_wait(value: str, seconds: float | None) -> None:
    reader = EventStreamReader(1000)
    reader.feed(f"retry: {value}\n\n".encode())
    assert reader.retry == seconds


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 60, b"data: xxxxxxxxxx\n" * 4])
def test_an_event_that_is_too_long_is_told_before_it_ends(stream: bytes) -> None:
    with pytest.raises(ProviderFault):
        read(stream, longest=50)
    assert read(b"data: xxxxxxxxxx\n\n" * 40, longest=50)


@given(
    st.lists(
        st.sampled_from([b"data: a", b"id: 7", b"event: x", b":", b"", b"\n", b"\r", b"\r\n"])
    ),
    st.lists(st.integers(0, 60)),
)
def test_how_the_bytes_are_cut_makes_no_difference(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    reader = EventStreamReader(1000)
    events: list[ServerSentEvent] = []
    ends = sorted(cuts)
    for begin, end in zip([0, *ends], [*ends, len(stream)], strict=True):
        events += reader.feed(stream[begin:end] if begin <= end else b"")
    assert events == read(stream)
