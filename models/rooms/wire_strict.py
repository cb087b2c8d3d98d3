"""The values of rooms from JSON, strictly: what `supervision.strict` does, told in words of JSON.

What people say never shows up in a fault: it tells what was expected and where, not what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from types import NoneType
from typing import Any, get_args

from cattrs import Converter

from models.rooms.content import CONTENT_TYPES, Content
from supervision.strict import (
    LONGEST_NAME,
    Fault,
    Hook,
    Manner,
    Unfit,
    fields_hook,
    fits_64_bits,
    structurer,
)

MOST_FAULTS = 50
"""How many are told one by one."""

_KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    NoneType: "null",
}


def _kind(value: object) -> str:
    if type(value) is int and not fits_64_bits(value):
        return "a number of more than 64 bits"
    return _KINDS.get(type(value), type(value).__name__)


def _step(name: str) -> str:
    short = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    # Nobody's control characters in our logs.
    return short if re.fullmatch(r"[\w…-]+", short) else ascii(short)


JSON = Manner(
    kinds={**_KINDS, int: "an integer"}, found=_kind, repeats=False, step=_step, missing="missing"
)
"""How faults speak of what others write."""


def rooms_structurer(*, every_fault: bool, unknown_keys: bool) -> Converter:
    """What makes values of the classes in this package, and of others built like them, of data.

    Args: as of `structurer`. Free data, `Mapping[str, Any]`, is taken as it is; times are ISO 8601.
    """
    converter = structurer(JSON, every_fault=every_fault, unknown_keys=unknown_keys)
    converter.register_structure_hook(datetime, _instant)
    converter.register_structure_hook_func(lambda wanted: wanted == Mapping[str, Any], _object)
    converter.register_structure_hook_factory(_CONTENT_CLASSES.__contains__, _content_class_hook)
    converter.register_structure_hook_factory(_is_content, _content_hook)
    return converter


# -- contents --------------------------------------------------------------------------------------

_CONTENT_CLASSES = frozenset(CONTENT_TYPES.values())
_take_fields = fields_hook(JSON)


def _content_class_hook(kind: type[Content], converter: Converter) -> Hook:
    """The class's own fields; its `type` is checked, and taken off where it would be a surprise."""
    fields = _take_fields(kind, converter)
    tag, strict = kind.type, converter.forbid_extra_keys

    def hook(value: Any, wanted: Any) -> object:
        if type(value) is dict:
            if value.get("type") != tag:
                raise Unfit(f"expected '{tag}'", at="type")
            if strict:
                value = {name: inner for name, inner in value.items() if name != "type"}
        return fields(value, wanted)

    return hook


def _is_content(wanted: Any) -> bool:
    """Several contents, told apart by their `type`: `Content`, `Text | Media`, or either or None.

    One alone, as in `Text | None`, is a matter of its class.
    """
    kinds = set(get_args(wanted)) - {NoneType}
    return len(kinds) > 1 and kinds <= _CONTENT_CLASSES


def _content_hook(wanted: Any, converter: Converter) -> Hook:
    kinds = get_args(wanted)
    takes_none = NoneType in kinds
    by_type = {tag: kind for tag, kind in CONTENT_TYPES.items() if kind in kinds}
    known = ", ".join(by_type)
    hooks: dict[str, Hook] = {}  # made when first wanted: composites hold contents, which hold …

    def hook(value: Any, _: object) -> object:
        if type(value) is not dict:
            if value is None and takes_none:
                return None
            raise JSON.expected(dict, value)
        tag = value.get("type")
        kind = by_type.get(tag) if type(tag) is str else None
        if kind is None:
            problem = "missing" if tag is None else "unknown"
            raise Unfit(f"{problem}; known here: {known}", "type", tag, by_type)
        if kind.type not in hooks:
            hooks[kind.type] = converter.get_structure_hook(kind)
        return hooks[kind.type](value, kind)

    return hook


# -- free data and times ---------------------------------------------------------------------------


def _object(value: object, _: object) -> Mapping[str, Any]:
    """As it is: whatever JSON it holds is its writer's business."""
    if type(value) is not dict:
        raise JSON.expected(dict, value)
    return value


def _instant(value: object, _: object) -> datetime:
    """In UTC, whatever its zone was; one without a zone could be any."""
    if type(value) is not str:
        raise Unfit(f"expected a time, got {_kind(value)}")
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is UTC:
            return instant
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unfit("expected a time such as 2026-01-31T12:30:00.250+00:00") from None
    raise Unfit("expected a time with its zone, such as 2026-01-31T12:30:00Z")


def few(faults: Iterator[Fault]) -> Sequence[str]:
    """The first of them. The others are not even put into words: that takes longest."""
    told = [str(fault) for fault in islice(faults, MOST_FAULTS)]
    return [*told, "… and more"] if next(faults, None) is not None else told
