"""What a source makes of JSON that somebody sends."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rooms.content import Text
from models.rooms.traffic import InboundMessage
from transports.sources import json_message


def test_a_message_has_a_sender_and_a_text() -> None:
    assert json_message('{"sender_id": "ada", "text": "hello"}', "news") == InboundMessage(
        "news", "ada", Text("hello")
    )


def test_a_message_may_have_an_id_and_metadata() -> None:
    payload = b'{"sender_id":"ada","text":"hello","external_id":"7","metadata":{"mood":"good"}}'
    message = json_message(payload, "news")
    assert message is not None
    assert message.external_id == "7"
    assert message.metadata == {"mood": "good"}


def test_the_same_id_on_two_channels_is_of_two_messages() -> None:
    payload = '{"sender_id": "ada", "text": "hello", "external_id": "7"}'
    one, other = json_message(payload, "news"), json_message(payload, "mail")
    assert one is not None
    assert other is not None
    assert (one.idempotency_key, other.idempotency_key) == ("news:7", "mail:7")


def test_metadata_that_means_something_to_rooms_is_left_out() -> None:
    payload = (
        '{"sender_id": "ada", "text": "hello", "metadata": {"_routed_to": "boss", "mood": "good"}}'
    )
    message = json_message(payload, "news")
    assert message is not None
    assert message.metadata == {"mood": "good"}


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "hello",
        "[]",
        "7",
        "{}",
        '{"sender_id": "ada"}',
        '{"text": "hello"}',
        '{"sender_id": "", "text": "hello"}',
        '{"sender_id": "ada", "text": ""}',
        '{"sender_id": 7, "text": "hello"}',
        '{"sender_id": "ada", "text": ["hello"]}',
        '{"sender_id": "ada", "text": "hello", "external_id": 7}',
        '{"sender_id": "ada", "text": "hello", "metadata": "good"}',
        b"\xff\xfe",
    ],
)
def test_anything_else_is_no_message(payload: str | bytes) -> None:
    assert json_message(payload, "news") is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    json_message(payload, "news")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["sender_id", "text", "external_id", "metadata", "other"]), json_values
    )
)
def test_no_json_makes_it_raise(fields: dict[str, object]) -> None:
    message = json_message(orjson.dumps(fields), "news")
    if message is not None:
        assert message.sender_id == fields["sender_id"]
