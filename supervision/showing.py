"""Values on somebody's screen: bounded, and with secrets masked.

`shown` gives text for people, `plain` gives the same as JSON-able values for programs. Neither ever
raises, whatever the value's own `repr` does. Masked are `Secret` values, and texts and containers
under a name that says it is secret (`api_key`, `password`, an `Authorization` header). Fields
declared with `repr=False` stay out: their class has said that they are not for showing.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, ForwardRef, NamedTuple

import attrs

from supervision.secret import MASK, Secret

TEXT = 200
"""Characters shown of one text or one object's own `repr`."""
ITEMS = 20
"""Items shown of one container."""
DEPTH = 4
"""Containers shown inside each other."""
TOTAL = 2000
"""Characters of one value, all in all."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = re.compile(
    "apikey|auth|authorization|cookie|credentials?|passphrase|passwd|passwords?|pin|secrets?|tokens?"
)
_SECRET_KEYS = re.compile("access|api|auth|encryption|private|secret|session|signing")


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a field, attribute, key or header of that name holds something secret."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if any(_SECRET_WORDS.fullmatch(word) for word in words):
        return True
    return any(
        word in ("key", "keys") and _SECRET_KEYS.fullmatch(before)
        for before, word in itertools.pairwise(words)
    )


def masked(name: str, value: object) -> bool:
    """Whether a value is hidden because of the name it goes by. `max_tokens = 100` is not."""
    if isinstance(value, Secret):
        return True
    if value is None or isinstance(value, bool | int | float | complex | enum.Enum):
        return False
    # A token *bucket* under the name `tokens` is no secret, nor is any other part of the runtime.
    if type(value).__module__.startswith("supervision."):
        return False
    return is_secret_name(name)


class Shape(NamedTuple):
    """One field of a class of values."""

    name: str
    hidden: bool
    """Declared with `repr=False`."""


@functools.lru_cache(maxsize=4096)
def fields_of(kind: type) -> Sequence[Shape] | None:
    """The fields of an attrs class or a dataclass, None for any other."""
    if attrs.has(kind):
        return tuple(Shape(field.name, field.repr is False) for field in attrs.fields(kind))
    if dataclasses.is_dataclass(kind):
        return tuple(Shape(field.name, not field.repr) for field in dataclasses.fields(kind))
    return None


def clipped(text: str, limit: int = TEXT) -> str:
    """At most `limit` characters, and how many there were."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text)} characters)"


def safely(text_of: Any, value: object) -> str:
    """`str` or `repr` of a value that may be anything, clipped; an error becomes text too."""
    try:
        return clipped(str(text_of(value)))
    except Exception as error:  # noqa: BLE001  somebody's own __repr__, whatever it does
        return f"<{type(value).__qualname__}, whose text failed with {type(error).__qualname__}>"


def shown(value: object, *, name: str = "", total: int = TOTAL) -> str:
    """A value as one bounded line of text, secrets masked."""
    try:
        return clipped(MASK if masked(name, value) else _text(value, DEPTH), total)
    except Exception as error:  # noqa: BLE001  a container that changes while it is read, say
        return f"<{type(value).__qualname__}, which failed with {type(error).__qualname__}>"


def _text(value: object, depth: int) -> str:
    kind: Any = type(value)
    if kind is str:
        assert isinstance(value, str)
        return repr(value) if len(value) <= TEXT else f"{value[:TEXT]!r}… ({len(value)} characters)"
    if isinstance(value, bytes | bytearray | memoryview):
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        return f"<{kind.__name__}: {size} bytes>"
    if isinstance(value, bool | int | float | complex) or value is None:
        return safely(repr, value)
    if isinstance(value, Mapping | Set | Sequence) and not isinstance(value, str):
        return _container_text(value, depth)
    shapes = fields_of(kind)
    if shapes is not None and _generated_repr(kind):
        return _fields_text(value, shapes, depth)
    if kind.__repr__ is object.__repr__:
        return f"<{kind.__qualname__}>"
    return safely(repr, value)


@functools.lru_cache(maxsize=4096)
def _generated_repr(kind: type) -> bool:
    """Whether `repr` shows the fields as they are; one in domain words is better than that."""
    method: Any = kind.__repr__
    code = getattr(getattr(method, "__wrapped__", method), "__code__", None)
    return code is None or code.co_filename.startswith("<")


def _fields_text(value: object, shapes: Sequence[Shape], depth: int) -> str:
    name = type(value).__qualname__
    if depth <= 0:
        return f"{name}(…)"
    parts = [f"{field}={_named(field, held, depth)}" for field, held in _held(value, shapes)]
    return f"{name}({', '.join(parts)})"


def _held(value: object, shapes: Sequence[Shape]) -> Iterable[tuple[str, object]]:
    """The fields that may be shown and have a value."""
    for field, hidden in shapes:
        if not hidden:
            held = getattr(value, field, _ABSENT)
            if held is not _ABSENT:
                yield field, held


_ABSENT = object()


def _named(name: str, value: object, depth: int) -> str:
    return MASK if masked(name, value) else _text(value, depth - 1)


def _container_text(value: Any, depth: int) -> str:
    kind = type(value).__name__
    if depth <= 0:
        return f"<{kind}: {len(value)} items>"
    if isinstance(value, Mapping):
        parts = [
            f"{_text(key, depth - 1)}: {_named(str(key), held, depth)}"
            for key, held in itertools.islice(value.items(), ITEMS)
        ]
    else:
        parts = [_text(held, depth - 1) for held in itertools.islice(value, ITEMS)]
    if len(value) > ITEMS:
        parts.append(f"… {len(value) - ITEMS} more")
    inside = ", ".join(parts)
    match value:
        case dict():
            text = f"{{{inside}}}"
        case list():
            text = f"[{inside}]"
        case tuple():
            text = f"({inside},)" if len(value) == 1 else f"({inside})"
        case set():
            text = f"{{{inside}}}" if value else "set()"
        case _:
            text = f"{kind}({inside})"
    return text


def plain(value: object, *, name: str = "", depth: int = 8, items: int = 1000) -> Any:
    """A value as what JSON has, bounded, secrets masked: for programs that look inside.

    attrs values and dataclasses become objects, enums their values, bytes their size in words, not
    finite numbers None, and what is none of these its bounded text.
    """
    if masked(name, value):
        return MASK
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, enum.Enum):
        return plain(value.value, depth=depth, items=items)
    if isinstance(value, str):
        return clipped(str(value), TOTAL)
    if depth <= 0:
        return shown(value)
    try:
        return _plain_inside(value, depth, items)
    except Exception as error:  # noqa: BLE001  a container that changes while it is read, say
        return f"<{type(value).__qualname__}, which failed with {type(error).__qualname__}>"


def _plain_inside(value: Any, depth: int, items: int) -> Any:
    kind: Any = type(value)
    shapes = fields_of(kind)
    if shapes is not None and not isinstance(value, BaseException):
        return {
            field: plain(held, name=field, depth=depth - 1, items=items)
            for field, held in _held(value, shapes)
        }
    if isinstance(value, Mapping):
        return {
            clipped(str(_key(key))): plain(held, name=str(key), depth=depth - 1, items=items)
            for key, held in itertools.islice(value.items(), items)
        }
    if isinstance(value, Set | Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        listed = itertools.islice(value, items)
        return [plain(held, depth=depth - 1, items=items) for held in listed]
    return shown(value)


def _key(key: object) -> object:
    return key.value if isinstance(key, enum.Enum) else key


def type_name(kind: object) -> str:
    """A type as people write it: `int`, `Sequence[Frame]`, `str | None`."""
    if isinstance(kind, str):
        return kind
    if isinstance(kind, ForwardRef):
        return kind.__forward_arg__
    if isinstance(kind, type) and not getattr(kind, "__args__", ()):
        return kind.__qualname__
    return str(kind).replace("typing.", "").replace("collections.abc.", "")
