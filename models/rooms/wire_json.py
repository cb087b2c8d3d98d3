"""Whether data is JSON at all, and little enough of it to be looked at closely."""

from __future__ import annotations

import math
from collections.abc import Iterator

from models.rooms.errors import BadValue
from models.rooms.wire_strict import JSON, few
from supervision.strict import Fault

DEEPEST_NESTING = 32
"""Objects and lists inside each other. The deepest content takes about half of that."""
MOST_VALUES = 10_000
"""Objects, lists, strings, numbers and the rest, all told."""


def check_json(data: object) -> None:
    """Find out.

    Raises:
        BadValue: saying where it is not JSON, is nested too deep, or becomes too much.
    """
    if not _is_plain(data):
        raise BadValue(few(_faults(data, "", 1, [MOST_VALUES])))


def _is_plain(data: object) -> bool:
    """The verdict alone, level by level: it is nearly always yes."""
    level, left = [data], MOST_VALUES
    for _ in range(DEEPEST_NESTING + 1):
        left -= len(level)
        if left < 0:
            return False
        below: list[object] = []
        for value in level:
            if type(value) is dict:
                if not all(map(_is_key, value)):
                    return False
                below.extend(value.values())
            elif type(value) is list:
                below.extend(value)
            elif not _is_scalar(value):
                return False
        if not below:
            return True
        level = below
    return False


def _faults(value: object, where: str, depth: int, left: list[int]) -> Iterator[Fault]:
    """The same with paths, one value at a time; `left[0]` values may still come."""
    left[0] -= 1
    if left[0] < 0:
        if left[0] == -1:
            yield Fault(where, f"too much: more than {MOST_VALUES} values in all")
    elif type(value) is dict or type(value) is list:
        if depth > DEEPEST_NESTING:
            yield Fault(where, f"nested deeper than {DEEPEST_NESTING} levels")
            return
        steps = value.items() if type(value) is dict else enumerate(value)
        for step, inner in steps:
            if type(value) is dict and not _is_key(step):
                yield Fault(where, "expected names that are Unicode text")
            else:
                yield from _faults(inner, JSON.joined(where, step), depth + 1, left)
    elif not _is_scalar(value):
        yield Fault(where, f"expected {_remedy(value)}")


def _is_key(name: object) -> bool:
    return type(name) is str and _is_text(name)


def _is_text(value: str) -> bool:
    """Half of a surrogate pair cannot be written as UTF-8."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_scalar(value: object) -> bool:
    if value is None or type(value) is bool:
        return True
    if type(value) is str:
        return _is_text(value)
    if type(value) is int:
        return -(2**63) <= value < 2**64
    return type(value) is float and math.isfinite(value)


def _remedy(value: object) -> str:
    match value:
        case str() if type(value) is str:
            return "Unicode text, got half of a surrogate pair"
        case float():
            return "a finite number"
        case int() if type(value) is int:
            return "a number of at most 64 bits"
        case _:
            return f"JSON, got a {type(value).__name__}"
