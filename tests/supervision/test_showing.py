"""Values on a screen: bounded, and without secrets."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Request,
)
from supervision.resilience import TokenBucket
from supervision.secret import MASK, Secret
from supervision.showing import TOTAL, is_secret_name, plain, shown


@attrs.frozen
class Add:
    """Count so many more.

    Not less.
    """

    amount: int
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Listing(Request[Sequence[str]]):
    limit: int | None


@attrs.frozen
class CounterStatistics:
    adds: int
    provider: Any
    spare: Mapping[str, Any]
    password: str = "hunter2"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("token", True),
        ("access_token", True),
        ("accessToken", True),
        ("X-Api-Key", True),
        ("APIKey", True),
        ("private_key", True),
        ("dbPassword", True),
        ("Authorization", True),
        ("client_secret", True),
        ("pin", True),
        ("key", False),
        ("spinning", False),
        ("author", False),
        ("tokenizer", False),
        ("passenger", False),
        ("keyboard", False),
        ("cache_key", False),
    ],
)
def test_a_name_says_whether_its_value_is_secret(name: str, secret: bool) -> None:
    assert is_secret_name(name) == secret


@attrs.frozen
class Quiet:
    said: str = attrs.field(repr=False)
    loud: int = 1


@attrs.define
class Custom:
    inside: str

    def __repr__(self) -> str:
        return "<Custom one>"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class HostileDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (1.5, "1.5"),
        ("hi", "'hi'"),
        (b"\0" * 640, "<bytes: 640 bytes>"),
        ((1,), "(1,)"),
        ({1}, "{1}"),
        (set(), "set()"),
        (deque([1, 2]), "deque(1, 2)"),
        (Quiet("psst"), "Quiet(loud=1)"),
        (Custom("x"), "<Custom one>"),
        (Add(1), "Add(amount=1, reason='')"),
        (Listing(1), "Listing(limit=1)"),
        ([[[[[1]]]]], "[[[[<list: 1 items>]]]]"),
        ({"password": "x"}, "{'password': ***}"),
        ([Secret("x")], "[***]"),
        (object(), "<object>"),
        (Hostile(), "<Hostile, whose text failed with RuntimeError>"),
        (HostileDict(a=1), "<HostileDict, which failed with RuntimeError>"),
    ],
)
def test_values_are_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_token_bucket_by_the_name_of_tokens_is_no_secret() -> None:
    assert "TokenBucket" in shown(TokenBucket(rate=1, burst=1), name="tokens")
    assert shown(["a", "b"], name="tokens") == MASK


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(Secret, st.just("very secret text")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.builds(CounterStatistics, st.integers(), inner, st.dictionaries(st.text(), inner))
    ),
)


@given(VALUES)
def test_whatever_is_shown_is_bounded_json_without_secrets(value: object) -> None:
    text = shown(value)
    assert len(text) < TOTAL + 100
    told = json.dumps(plain(value), allow_nan=False)
    for output in (text, told):
        assert "very secret text" not in output
        assert "hunter2" not in output


def test_a_circle_of_values_is_shown_all_the_same() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert shown(circle) == "[[[[<list: 1 items>]]]]"
    json.dumps(plain(circle))
