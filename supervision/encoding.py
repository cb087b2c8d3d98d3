"""Message bodies as JSON that says what it is, and back.

A recorded body must come back as what it was, whatever the annotations of its class promise: a
union, an `Any`, a subclass in a field of its base. cattrs structures by annotations, so it cannot;
here the value says it. What JSON does not have is an object with a key that begins with `$`, and
the type of an attrs class or dataclass stands beside its fields:

    {"$": "shop.messages:Order", "items": {"$tuple": ["tea"]}, "note": {"$bytes": "aGk="}}

Secrets are masked and actor refs become paths; what else cannot be written is refused, with the
reason. Reading makes objects only of classes whose modules the program has imported itself: a
recording is data, and must not choose what code runs.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import functools
import math
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import PurePath, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import attrs

from supervision.ref import ActorRef
from supervision.secret import MASK, Secret
from supervision.showing import safely

Json = Any
"""None, bool, int, float, str, and lists and dicts of these."""

DEPTH = 64
"""Values inside each other; more is taken for a circle."""

TYPE = "$"


class NotEncodable(Exception):
    """A value that has no JSON."""


class NotDecodable(ValueError):
    """JSON that does not give a value."""


@attrs.frozen
class RefTo:
    """What stands for an actor ref in a decoded body."""

    path: str


class _Field(NamedTuple):
    name: str
    argument: str
    """What the constructor calls it; empty if it does not take it."""


@functools.lru_cache(maxsize=4096)
def _fields(kind: Any) -> tuple[_Field, ...] | None:
    """The fields of an attrs class or a dataclass, None for any other."""
    if attrs.has(kind):
        return tuple(
            _Field(field.name, (field.alias or field.name) if field.init else "")
            for field in attrs.fields(kind)
        )
    if dataclasses.is_dataclass(kind):
        return tuple(
            _Field(field.name, field.name if field.init else "")
            for field in dataclasses.fields(kind)
        )
    return None


@functools.lru_cache(maxsize=4096)
def name_of(kind: Any) -> str:
    """A class as `module:qualname`."""
    return f"{kind.__module__}:{kind.__qualname__}"


def _seconds(text: str) -> datetime.timedelta:
    days, seconds, microseconds = map(int, text.split())
    return datetime.timedelta(days, seconds, microseconds)


def _text(delta: datetime.timedelta) -> str:
    return f"{delta.days} {delta.seconds} {delta.microseconds}"


# Type, what writes it, what reads it. Exact types only: a subclass would not come back as one.
_LEAVES: Mapping[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime.datetime: ("$datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("$date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: ("$time", datetime.time.isoformat, datetime.time.fromisoformat),
    datetime.timedelta: ("$timedelta", _text, _seconds),
    UUID: ("$uuid", str, UUID),
    Decimal: ("$decimal", str, Decimal),
    PurePosixPath: ("$path", str, PurePosixPath),
}

# -- writing ------------------------------------------------------------------------------


def encode(value: Any, depth: int = DEPTH) -> Json:
    """A value as JSON.

    Raises:
        NotEncodable: it has none; says which part of it and why.
    """
    kind: Any = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        # Beyond 53 bits other readers of JSON, and beyond 64 the fast ones, lose digits.
        return value if -(2**53) < value < 2**53 else {"$int": str(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if depth == 0:
        raise NotEncodable(f"more than {DEPTH} values inside each other, or a circle of them")
    fields = _fields(kind)
    if fields is not None:
        return {TYPE: name_of(kind), **encode_fields(value, fields, depth)}
    if kind in (bytes, bytearray, memoryview):
        return {f"${kind.__name__}": base64.b64encode(value).decode()}
    if kind is list:
        return [encode(held, depth - 1) for held in value]
    if kind is tuple or kind is set or kind is frozenset:
        return {f"${kind.__name__}": [encode(held, depth - 1) for held in value]}
    if kind is dict:
        return _encode_dict(value, depth)
    return _encode_other(kind, value)


def encode_fields(value: Any, fields: tuple[_Field, ...], depth: int) -> dict[str, Json]:
    """The fields of an attrs value or a dataclass."""
    try:
        return {field.name: encode(getattr(value, field.name), depth - 1) for field in fields}
    except AttributeError as error:  # a slot that was never set
        raise NotEncodable(f"{type(value).__qualname__}: {error}") from None


def _encode_dict(value: dict[Any, Any], depth: int) -> Json:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: encode(held, depth - 1) for key, held in value.items()}
    pairs = [[encode(key, depth - 1), encode(held, depth - 1)] for key, held in value.items()]
    return {"$dict": pairs}


def _encode_other(kind: Any, value: Any) -> Json:
    leaf = _LEAVES.get(kind)
    if leaf is not None:
        return {leaf[0]: leaf[1](value)}
    if isinstance(value, enum.Enum) and value.name is not None:
        return {"$enum": name_of(kind), "name": value.name}
    if isinstance(value, PurePath):
        return {"$path": value.as_posix()}
    if kind is Secret:
        return {"$secret": True}
    if isinstance(value, ActorRef):
        return {"$ref": value.path}
    if kind is type(Ellipsis):
        return {"$ellipsis": True}
    raise NotEncodable(f"{name_of(kind)} is no attrs class and no dataclass")


def encode_message(message: Any) -> tuple[str, Json]:
    """A message as its type (`module:qualname`) and its body: its fields, if it has any.

    Raises:
        NotEncodable: it cannot be written.
    """
    kind: Any = type(message)
    fields = _fields(kind)
    try:
        if fields is not None:
            return name_of(kind), encode_fields(message, fields, DEPTH)
        return name_of(kind), encode(message)
    except NotEncodable:
        raise
    except Exception as error:
        raise NotEncodable(f"{type(error).__qualname__}: {safely(str, error)}") from error


# -- reading ------------------------------------------------------------------------------


def class_of(name: str) -> Any:
    """The class that `module:qualname` names.

    Raises:
        NotDecodable: its module is not imported, or has no such class.
    """
    module_name, _, qualname = name.partition(":")
    module = sys.modules.get(module_name)
    if module is None:
        raise NotDecodable(
            f"{name}: import {module_name or 'its module'} first; reading imports nothing itself"
        )
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        hint = " (a class made inside a function has no name to find it by)"
        raise NotDecodable(
            f"{module_name} has no class {qualname}{hint if '<locals>' in qualname else ''}"
        )
    return found


def decode(json: Json) -> Any:
    """The value that `encode` has written.

    Raises:
        NotDecodable: it was not written by `encode`, or its classes have changed.
    """
    if isinstance(json, list):
        return [decode(held) for held in json]
    if not isinstance(json, dict):
        return json
    tag = next(iter(json), "")
    if not tag.startswith("$"):
        return {key: decode(held) for key, held in json.items()}
    if tag == TYPE:
        return decode_fields(class_of(json[TYPE]), {k: v for k, v in json.items() if k != TYPE})
    reader = _READERS.get(tag)
    if reader is None:
        raise NotDecodable(f"{tag} is no kind of value that is known here")
    try:
        return reader(json)
    except NotDecodable:
        raise
    except Exception as error:
        raise NotDecodable(f"{tag}: {safely(str, error)}") from error


def decode_fields(kind: Any, json: Json) -> Any:
    """An attrs value or dataclass from its fields; its validators run.

    Raises:
        NotDecodable: it has other fields, or refuses these.
    """
    fields = _fields(kind)
    if fields is None or not isinstance(json, dict):
        raise NotDecodable(f"{name_of(kind)} is no attrs class and no dataclass")
    known = {field.name for field in fields}
    if set(json) != known:
        different = ", ".join(sorted(set(json) ^ known))
        raise NotDecodable(f"{name_of(kind)} has other fields now: {different}")
    try:
        value = kind(
            **{field.argument: decode(json[field.name]) for field in fields if field.argument}
        )
        for field in fields:
            if not field.argument:
                object.__setattr__(value, field.name, decode(json[field.name]))
    except NotDecodable:
        raise
    except Exception as error:
        raise NotDecodable(f"{name_of(kind)}: {safely(str, error)}") from error
    return value


def decode_message(kind: str, body: Json) -> Any:
    """The message that `encode_message` has written.

    Raises:
        NotDecodable: as `decode`.
    """
    fields = isinstance(body, dict) and not next(iter(body), "").startswith("$")
    if fields and kind != "builtins:dict":
        return decode_fields(class_of(kind), body)
    return decode(body)


def _enum_member(json: Json) -> Any:
    return class_of(json["$enum"])[json["name"]]


_READERS: Mapping[str, Callable[[Json], Any]] = {
    "$int": lambda json: int(json["$int"]),
    "$float": lambda json: float(json["$float"]),
    "$bytes": lambda json: base64.b64decode(json["$bytes"], validate=True),
    "$bytearray": lambda json: bytearray(base64.b64decode(json["$bytearray"], validate=True)),
    "$memoryview": lambda json: memoryview(base64.b64decode(json["$memoryview"], validate=True)),
    "$tuple": lambda json: tuple(decode(json["$tuple"])),
    "$set": lambda json: set(decode(json["$set"])),
    "$frozenset": lambda json: frozenset(decode(json["$frozenset"])),
    "$dict": lambda json: {decode(key): decode(held) for key, held in json["$dict"]},
    "$enum": _enum_member,
    "$secret": lambda _json: Secret(MASK),
    "$ref": lambda json: RefTo(json["$ref"]),
    "$ellipsis": lambda _json: ...,
    **{
        tag: (lambda json, tag=tag, read=read: read(json[tag]))  # type: ignore[misc]
        for tag, _write, read in _LEAVES.values()
    },
}
