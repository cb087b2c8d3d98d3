"""How much of what others write is looked at, and how little of it is repeated."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest

from models.rooms.content import DEEPEST
from models.rooms.errors import BadValue
from models.rooms.traffic import InboundMessage
from models.rooms.wire import content_from_wire, dumps, from_wire, loads, to_wire
from models.rooms.wire_json import DEEPEST_NESTING, MOST_VALUES
from tests.models.rooms.samples import full
from tests.models.rooms.shapes import VALUE_KINDS
from tests.models.rooms.test_wire_foreign import HELLO, TEXT, content_faults, faults

# -- what is never said ----------------------------------------------------------------------------

SECRET = "my-PIN-is-4711"


def leaves(data: object, path: tuple[Any, ...] = ()) -> Sequence[tuple[Any, ...]]:
    """Paths of all strings in `data` that are no keys."""
    if isinstance(data, Mapping):
        return [leaf for key, value in data.items() for leaf in leaves(value, (*path, key))]
    if isinstance(data, Sequence) and not isinstance(data, str):
        return [leaf for at, value in enumerate(data) for leaf in leaves(value, (*path, at))]
    return [path] if isinstance(data, str) else []


@pytest.mark.parametrize("name", VALUE_KINDS)
def test_no_fault_repeats_what_somebody_said(name: str) -> None:
    """Each string in turn is the secret, while everything else that can be wrong is."""
    kind = VALUE_KINDS[name]
    wire = json.loads(dumps(full(kind)))
    for *path, last in leaves(wire):
        data = json.loads(json.dumps(wire))
        place = data
        for step in path:
            place = place[step]
        place[last] = SECRET
        data["surplus"] = SECRET
        assert SECRET not in str(faults(data, kind))
        place[last] = [SECRET]
        assert SECRET not in str(faults(data, kind))


@attrs.frozen
class Guarded:
    """Validators of attrs that put what they found into their message."""

    word: str = attrs.field(validator=attrs.validators.matches_re("[a-z]+"))
    other: str = attrs.field(validator=attrs.validators.in_(("a", "b")))


def test_not_even_the_validators_of_attrs_repeat_it() -> None:
    told = faults({"word": SECRET, "other": SECRET}, Guarded)
    assert [fault.split(":")[0] for fault in told] == ["word", "other"]
    assert SECRET not in str(told)


def test_names_nobody_knows_are_cut_and_made_harmless() -> None:
    (told,) = faults({**HELLO, "\x1b[31m" * 100: 1})
    assert "\x1b" not in told
    assert len(told) < 600


# -- how much is looked at -------------------------------------------------------------------------


def composites(levels: int) -> object:
    data: object = TEXT
    for _ in range(levels):
        data = {"type": "composite", "parts": [data]}
    return data


def test_the_deepest_composite_is_taken_and_the_next_refused() -> None:
    assert to_wire(content_from_wire(composites(DEEPEST)))
    (told,) = content_faults(composites(DEEPEST + 1))
    assert told.endswith("composites may be nested 5 deep, not deeper")


def test_a_list_that_is_nested_too_deep_is_refused_before_it_is_looked_at() -> None:
    deep: object = 1
    for _ in range(DEEPEST_NESTING + 1):
        deep = [deep]
    (told,) = faults({**HELLO, "metadata": {"a": deep}})
    assert told.startswith("metadata.a[0][0]")
    assert told.endswith(f": nested deeper than {DEEPEST_NESTING} levels")
    for shape in ('{"a":', "["):
        with pytest.raises(BadValue):
            loads(shape * 100_000, InboundMessage)
        with pytest.raises(BadValue, match="nested deeper"):
            loads(shape * 500 + "1" + ("}" if ":" in shape else "]") * 500, InboundMessage)


def test_nesting_to_the_limit_is_taken() -> None:
    deep: object = 1
    for _ in range(DEEPEST_NESTING - 2):
        deep = [deep]
    assert from_wire({**HELLO, "metadata": {"a": deep}}, InboundMessage).metadata == {"a": deep}


def test_too_many_values_are_refused_before_they_are_looked_at() -> None:
    parts = [TEXT] * (MOST_VALUES // 3 + 1)
    (told,) = content_faults({"type": "composite", "parts": parts})
    assert told.startswith("parts[")
    assert told.endswith(f"too much: more than {MOST_VALUES} values in all")


def test_a_text_that_is_too_long_is_not_parsed() -> None:
    data = json.dumps(HELLO)
    assert loads(data, InboundMessage, largest=len(data)).sender_id == "ann"
    with pytest.raises(BadValue, match=f"at most {len(data) - 1} bytes"):
        loads(data, InboundMessage, largest=len(data) - 1)


@pytest.mark.parametrize("data", [b"", b"{", b"nul", b"\xff", b"{'a': 1}", b"NaN", b'"\\ud800"'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadValue, match="no JSON"):
        loads(data, InboundMessage)


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({"n": math.nan}, "metadata.n: expected a finite number"),
        ({"n": -math.inf}, "metadata.n: expected a finite number"),
        ({"n": 10**30}, "metadata.n: expected a number of at most 64 bits"),
        ({"n": "\ud800"}, "metadata.n: expected Unicode text, got half of a surrogate pair"),
        ({"\ud800": 1}, "metadata: expected names that are Unicode text"),
        ({1: 1}, "metadata: expected names that are Unicode text"),
        ({"n": {1, 2}}, "metadata.n: expected JSON, got a set"),
    ],
)
def test_data_from_other_parsers_has_to_be_json_too(metadata: object, fault: str) -> None:
    assert faults({**HELLO, "metadata": metadata}) == [fault]
