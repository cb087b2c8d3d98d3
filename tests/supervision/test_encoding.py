"""Message bodies as JSON: they come back equal and of their types, or it is said why not."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import Actor, handles
from supervision.encoding import NotDecodable, NotEncodable, RefTo, decode, encode
from supervision.recorder import message_line
from supervision.recordings import read_recording
from supervision.secret import MASK, Secret
from supervision.testing import SystemUnderTest
from tests.supervision.recorded import (
    HEADER,
    Bill,
    Drink,
    Hello,
    Opaque,
    Order,
    event,
    file_of,
)

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.binary().map(bytearray)
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.sampled_from(Drink)
    | st.just(PurePosixPath("/a/b"))
    | st.just(...)
)
HASHABLE = st.integers() | st.text() | st.binary() | st.sampled_from(Drink) | st.uuids()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(HASHABLE, inner)
        | st.dictionaries(st.sampled_from(["$", "$bytes", "a"]), inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
        | st.builds(Hello, inner)
        | st.builds(Order, st.sampled_from(Drink), inner, st.integers())
        | st.builds(Bill, st.decimals(allow_nan=False), st.builds(tuple))
    ),
    max_leaves=20,
)
MESSAGES = (
    st.builds(Hello, VALUES)
    | st.builds(Order, st.sampled_from(Drink), VALUES, st.integers())
    | st.builds(Bill, st.decimals(allow_nan=False))
    | VALUES
)


@given(st.lists(MESSAGES, max_size=5))
def test_every_message_comes_back_equal_and_of_its_type(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("recording") / "file"
    lines = [message_line(event(message, n)) for n, message in enumerate(messages, start=1)]
    recording = read_recording(file_of(path, HEADER, *lines))
    assert [message.unencodable for message in recording] == [""] * len(messages)
    found = [message.message() for message in recording]
    assert found == messages
    assert [type(message) for message in found] == [type(message) for message in messages]


@given(VALUES)
def test_types_survive_wherever_they_are(value: Any) -> None:
    def shape(value: Any) -> Any:
        inside: Sequence[Any] = ()
        if isinstance(value, list | tuple):
            inside = value
        elif isinstance(value, dict):
            inside = list(value.values())
        elif isinstance(value, Hello):
            inside = (value.to,)
        elif isinstance(value, Order):
            inside = (value.what, value.note)
        return (type(value), [shape(held) for held in inside])

    found = decode(json.loads(json.dumps(encode(value))))
    assert found == value
    assert shape(found) == shape(value)


class Nobody(Actor[Hello]):
    @handles
    def on_hello(self, message: Hello) -> None:
        pass


async def test_refs_become_paths_and_secrets_are_masked(system: SystemUnderTest) -> None:
    ref = await system.spawn(Nobody, path="/bar")
    assert decode(encode(Hello((ref, Secret("hunter2"))))) == Hello((RefTo("/bar"), Secret(MASK)))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Opaque(), "Opaque is no attrs class and no dataclass"),
        ([Hello(Opaque())], "Opaque is no attrs class"),
        (lambda: None, "function is no attrs class"),
        (ValueError("x"), "ValueError is no attrs class"),
    ],
)
def test_what_cannot_be_written_says_why(value: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotEncodable, match=why):
        encode(value)
    (message,) = read_recording(file_of(tmp_path / "file", HEADER, message_line(event(value))))
    assert why in message.unencodable
    assert message.body is None
    with pytest.raises(NotDecodable, match=why):
        message.message()


def test_a_circle_and_a_huge_body_are_left_out(tmp_path: Path) -> None:
    circle: list[Any] = []
    circle.append(circle)
    huge = Hello("x" * 2_000_000)
    lines = [message_line(event(Hello(circle))), message_line(event(huge, 2))]
    first, second = read_recording(file_of(tmp_path / "file", HEADER, *lines))
    assert "circle" in first.unencodable
    assert "more than the 1048576 that are recorded" in second.unencodable


def test_a_hostile_message_still_makes_a_line(tmp_path: Path) -> None:
    @attrs.frozen(init=False)
    class Unset:
        never: int

        def __init__(self) -> None:
            """Leave it unset."""

    class HostileDict(dict[str, int]):
        def __iter__(self) -> Any:
            raise RuntimeError("no")

    lines = [message_line(event(Unset())), message_line(event(Hello(HostileDict()), 2))]
    first, second = read_recording(file_of(tmp_path / "file", HEADER, *lines))
    assert "never" in first.unencodable
    assert "HostileDict" in second.unencodable


@pytest.mark.parametrize(
    ("json_", "problem"),
    [
        ({"$": "no.such.module:Class"}, "import no.such.module first"),
        ({"$": f"{__name__}:NoSuch"}, "no class NoSuch"),
        ({"$": f"{__name__}:event"}, "no class event"),
        ({"$": f"{__name__}:test.<locals>.Local"}, "made inside a function"),
        ({"$": f"{__name__}:Hello", "to": 1, "cc": 2}, "other fields now: cc"),
        ({"$": f"{__name__}:Hello"}, "other fields now: to"),
        ({"$": f"{__name__}:Opaque"}, "is no attrs class"),
        ({"$enum": f"{__name__}:Drink", "name": "MILK"}, "MILK"),
        ({"$bytes": "not base64!"}, "bytes"),
        ({"$wat": 1}, "no kind of value"),
        ({"$dict": 7}, r"\$dict"),
        ({"$datetime": "yesterday"}, "yesterday"),
    ],
)
def test_a_body_that_was_not_written_by_us_is_refused(json_: Any, problem: str) -> None:
    with pytest.raises(NotDecodable, match=problem):
        decode(json_)


def test_reading_imports_nothing() -> None:
    assert "antigravity" not in sys.modules
    with pytest.raises(NotDecodable):
        decode({"$": "antigravity:Fly"})
    assert "antigravity" not in sys.modules
