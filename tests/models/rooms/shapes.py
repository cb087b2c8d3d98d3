"""What values there are in rooms, and what their fields may hold, as far as types do not tell."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

import attrs

from models.rooms import content, event, identity, room, traffic
from models.rooms.content import CONTENT_TYPES, Content

VALUE_KINDS: Mapping[str, type] = {
    name: kind
    for module in (content, event, identity, room, traffic)
    for name, kind in inspect.getmembers(module, inspect.isclass)
    if attrs.has(kind) and kind.__module__ == module.__name__
}
"""Every class of values, by name: a new one is among them without being asked."""

CONTENT_KINDS = tuple(CONTENT_TYPES.values())

LIMITS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("Location", "latitude"): (-90, 90),
    ("Location", "longitude"): (-180, 180),
    ("Observation", "confidence"): (0, 1),
    ("ChannelCapabilities", "max_length"): (1, 2**31),
    ("RateLimit", "max_per_second"): (0.001, 1e6),
    ("RateLimit", "max_per_minute"): (0.001, 1e6),
    ("RateLimit", "max_per_hour"): (0.001, 1e6),
    ("RetryPolicy", "exponential_base"): (1, 10),
    ("Room", "latest_index"): (-1, 2**31),
    ("Room", "delivered_index"): (-1, 2**31),
}
"""Of numbers; those of all others are `USUAL`."""
USUAL = (0, 2**31)

URLS = ("url", "thumbnail_url")
"""Fields that hold addresses of the web."""

R = TypeVar("R")


class Maker(Protocol[R]):
    """What makes something (a sample, a strategy) of a field's type."""

    def text(self, field: str) -> R: ...
    def url(self) -> R: ...
    def integer(self, low: int, high: int) -> R: ...
    def number(self, low: float, high: float) -> R: ...
    def boolean(self, default: object) -> R: ...
    def one_of(self, choices: Sequence[object], default: object) -> R: ...
    def instant(self) -> R: ...
    def json(self) -> R: ...
    def json_object(self) -> R: ...
    def content(self) -> R: ...
    def value(self, kind: type) -> R: ...
    def optional(self, inner: R) -> R: ...
    def several(self, inner: R, *, at_least: int) -> R: ...
    def by_name(self, inner: R) -> R: ...


def fields_of(kind: type) -> Mapping[str, attrs.Attribute[Any]]:
    """By name, with their types resolved."""
    return {field.name: field for field in attrs.fields(attrs.resolve_types(kind))}


def made(maker: Maker[R], kind: type, field: attrs.Attribute[Any], wanted: Any = None) -> R:
    """What `maker` makes for one field of a class, or for this part of the field's type."""

    def part(inner: Any) -> R:
        return made(maker, kind, field, inner)

    wanted = field.type if wanted is None else wanted
    if wanted is Any:
        return maker.json()
    if wanted == Content:
        return maker.content()
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return maker.optional(part(inner))
    if origin is Literal:
        return maker.one_of(arguments, field.default)
    if origin is Sequence:
        return maker.several(part(arguments[0]), at_least=int(kind is content.Composite))
    if origin is Mapping:
        of = arguments[1]
        return maker.json_object() if of is Any else maker.by_name(part(of))
    return _of_class(maker, kind, field, wanted)


def _of_class(maker: Maker[R], kind: type, field: attrs.Attribute[Any], wanted: type) -> R:
    low, high = LIMITS.get((kind.__name__, field.name), USUAL)
    plain: Mapping[type, Callable[[], R]] = {
        str: maker.url if field.name in URLS else partial(maker.text, field.name),
        bool: partial(maker.boolean, field.default),
        int: partial(maker.integer, int(low), int(high)),
        float: partial(maker.number, low, high),
        datetime: maker.instant,
    }
    if wanted in plain:
        return plain[wanted]()
    if issubclass(wanted, enum.Enum):
        return maker.one_of(list(wanted), field.default)
    return maker.value(wanted)
