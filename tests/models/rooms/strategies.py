"""Every value of rooms, for Hypothesis. What they make survives a round trip unchanged: sequences
are tuples, times are in UTC, and free data is JSON.

`values(RoomEvent)` makes any event, `values(RoomEvent, room_id=st.just("r"))` those of one room.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

import attrs
from hypothesis import strategies as st

from models.rooms.content import Composite, Content, Edit, Text
from models.rooms.kinds import ChannelCategory
from tests.models.rooms.shapes import CONTENT_KINDS, fields_of, made

T = TypeVar("T")
Strategy = st.SearchStrategy[Any]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any Unicode that can be written down."""
ids = st.from_regex(r"[a-z][a-z0-9-]{0,7}", fullmatch=True)
"""Of rooms, channels, participants and whatever else is named."""
instants = st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC, fold=0))
urls = st.sampled_from(("https://", "http://", "data:")).flatmap(
    lambda scheme: ids.map(lambda path: scheme + path)
)
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
"""What a parser of JSON returns."""
json_objects = st.dictionaries(texts, json_values, max_size=3)


def values(kind: type[T], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Any value of a class, or such ones in which some fields are as the caller has them."""
    chosen = {
        name: fields.get(name, made(_STRATEGIES, kind, field))
        for name, field in fields_of(kind).items()
    }
    required = {
        name: strategy
        for name, strategy in chosen.items()
        if name in fields or fields_of(kind)[name].default is attrs.NOTHING
    }
    left = {name: strategy for name, strategy in chosen.items() if name not in required}
    # Most fields are left at their default most of the time, as in life; and it is faster.
    return st.builds(
        lambda required, others: kind(**required, **others),
        st.fixed_dictionaries(required),
        st.fixed_dictionaries({}, optional=left),
    )


@cache
def contents(levels: int = 2) -> st.SearchStrategy[Content]:
    """Any content, with up to `levels` of composites and edits around it."""
    simple = st.one_of(
        [values(kind) for kind in CONTENT_KINDS if kind is not Composite and kind is not Edit]
    )
    if levels == 0:
        return simple
    inner = contents(levels - 1)
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return simple | values(Composite, parts=parts) | values(Edit, new_content=inner)


said = st.builds(Text, texts)
"""Plain words."""
channel_lists = st.lists(ids, min_size=1, max_size=3, unique=True)
visibilities = (
    st.sampled_from(("all", "none", "internal", *ChannelCategory))
    | channel_lists.map(",".join)
    | channel_lists.map(" , ".join)
).map(str)
"""Every form of a scope."""


class _Strategies:
    def text(self, field: str) -> Strategy:
        if field in ("visibility", "response_visibility"):
            return visibilities
        return ids if field == "id" or field.endswith("_id") else texts

    def url(self) -> Strategy:
        return urls

    def integer(self, low: int, high: int) -> Strategy:
        return st.integers(low, high)

    def number(self, low: float, high: float) -> Strategy:
        return st.floats(low, high)

    def boolean(self, default: object) -> Strategy:
        return st.booleans()

    def one_of(self, choices: Sequence[object], default: object) -> Strategy:
        return st.sampled_from(choices)

    def instant(self) -> Strategy:
        return instants

    def json(self) -> Strategy:
        return json_values

    def json_object(self) -> Strategy:
        return json_objects

    def content(self) -> Strategy:
        return st.deferred(lambda: contents())

    def value(self, kind: type) -> Strategy:
        return values(kind)

    def optional(self, inner: Strategy) -> Strategy:
        return st.none() | inner

    def several(self, inner: Strategy, *, at_least: int) -> Strategy:
        return st.lists(inner, min_size=at_least, max_size=3).map(tuple)

    def by_name(self, inner: Strategy) -> Strategy:
        return st.dictionaries(texts, inner, max_size=2)


_STRATEGIES = _Strategies()

MOMENT = datetime(2026, 1, 31, 12, 30, 0, 250_000, UTC)
"""For tests to which the time does not matter."""
