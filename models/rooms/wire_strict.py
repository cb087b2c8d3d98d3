"""Plain data to frozen values, strictly: nothing is coerced, and every fault is told with its path.

What people say never shows up in a fault: it tells what was expected and where, not what was found.
"""

from __future__ import annotations

import difflib
import enum
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError
from cattrs.cols import homogenous_tuple_structure_factory, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from models.rooms.content import CONTENT_TYPES, Content

Hook = Callable[[Any, Any], Any]
"""What cattrs calls with a value and the type it should become."""

LONGEST_NAME = 60
"""Characters of an unknown name that a fault repeats."""

MOST_FAULTS = 50
"""How many are told one by one."""

_KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class Unfit(ValueError):
    """A value that does not fit its field; in words, what a fault says of it."""

    def __init__(
        self, problem: str, at: str = "", found: object = None, known: Iterable[str] = ()
    ) -> None:
        """`at` is the key inside of the value that is to blame, if it is one; `found` may have been
        meant as one of `known`.
        """
        super().__init__(problem)
        self.at = at
        self._found, self._known = found, known

    def __str__(self) -> str:
        # Only now: a guess takes longer than all the rest, and most are never told.
        return f"{self.args[0]}{_nearest(self._found, self._known)}"


def expected(what: str, value: object) -> Unfit:
    """The fault of finding something of another kind."""
    return Unfit(f"expected {what}, got {_KINDS.get(type(value), type(value).__name__)}")


def structurer(*, every_fault: bool, unknown_keys: bool) -> Converter:
    """What makes values of the classes in this package, and of others built like them, of data.

    Args:
        every_fault: look on after the first fault. Costs about half as much again.
        unknown_keys: let them pass, unread.
    """
    converter = Converter(detailed_validation=every_fault, forbid_extra_keys=not unknown_keys)
    converter.register_structure_hook(int, _int)
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook(str, _str)
    converter.register_structure_hook(bool, _bool)
    converter.register_structure_hook(datetime, _instant)
    # The factory registered last is asked first.
    converter.register_structure_hook(enum.StrEnum, _member)  # or else the hook of str takes them
    converter.register_structure_hook_factory(_is(Literal), _literal_hook)
    converter.register_structure_hook_factory(
        _is(Sequence), _shaped(list, "a list", homogenous_tuple_structure_factory)
    )
    converter.register_structure_hook_factory(
        _is(Mapping), _shaped(dict, "an object", mapping_structure_factory)
    )
    converter.register_structure_hook_func(lambda wanted: wanted == Mapping[str, Any], _object)
    converter.register_structure_hook_factory(attrs.has, _shaped(dict, "an object", _value_hook))
    converter.register_structure_hook_factory(
        lambda wanted: wanted in _CONTENT_CLASSES, _content_class_hook
    )
    converter.register_structure_hook_func(
        lambda wanted: wanted == Content, _content_hook(converter)
    )
    return converter


# -- what is accepted ------------------------------------------------------------------------------

_CONTENT_CLASSES = frozenset(CONTENT_TYPES.values())


def _is(kind: object) -> Callable[[Any], bool]:
    return lambda wanted: get_origin(wanted) is kind


def _shaped(
    shape: type, name: str, factory: Callable[[Any, Converter], Hook]
) -> Callable[[Any, Converter], Hook]:
    """`factory`'s hooks, for values of this shape only: a str is iterable too, but not a list."""

    def shaped_hook(wanted: Any, converter: Converter) -> Hook:
        inner = factory(wanted, converter)

        def hook(value: object, wanted: Any) -> object:
            if type(value) is not shape:
                raise expected(name, value)
            return inner(value, wanted)

        return hook

    return shaped_hook


def _value_hook(kind: Any, converter: Converter) -> Hook:
    """cattrs' own hook for the class; where every fault is wanted, validators see their fields.

    attrs runs validators when the instance is made: not at all if one field failed before, and only
    up to the first that complains. That would tell faults one at a time.
    """
    fields = attrs.fields(attrs.resolve_types(kind))
    overrides: dict[str, Any] = {}
    if converter.detailed_validation:
        overrides = {
            field.name: override(struct_hook=_validated(field, converter))
            for field in fields
            if field.validator is not None
        }
    return make_dict_structure_fn(kind, converter, **overrides)


def _validated(field: attrs.Attribute[Any], converter: Converter) -> Hook:
    validate = field.validator
    assert validate is not None

    def hook(value: object, wanted: Any) -> object:
        fitting = converter.structure(value, wanted)
        validate(None, field, fitting)
        return fitting

    return hook


def _content_class_hook(kind: type[Content], converter: Converter) -> Hook:
    """The class's own fields; its `type` is checked, and taken off where it would be a surprise."""
    fields = _shaped(dict, "an object", _value_hook)(kind, converter)
    tag, strict = kind.type, converter.forbid_extra_keys

    def hook(value: Any, wanted: Any) -> object:
        if type(value) is dict:
            if value.get("type") != tag:
                raise Unfit(f"expected '{tag}'", at="type")
            if strict:
                value = {name: inner for name, inner in value.items() if name != "type"}
        return fields(value, wanted)

    return hook


def _content_hook(converter: Converter) -> Hook:
    known = ", ".join(CONTENT_TYPES)
    hooks: dict[str, Hook] = {}  # made when first wanted: composites hold contents, which hold …

    def hook(value: Any, _: object) -> object:
        if type(value) is not dict:
            raise expected("an object", value)
        tag = value.get("type")
        kind = CONTENT_TYPES.get(tag) if type(tag) is str else None
        if kind is None:
            problem = "missing" if tag is None else "unknown"
            raise Unfit(f"{problem}; known here: {known}", "type", tag, CONTENT_TYPES)
        if kind.type not in hooks:
            hooks[kind.type] = converter.get_structure_hook(kind)
        return hooks[kind.type](value, kind)

    return hook


def _int(value: object, _: object) -> int:
    # Not isinstance: True is an int to Python, but not to whoever sent it.
    if type(value) is not int:
        raise expected("an integer", value)
    if not _fits_64_bits(value):
        raise Unfit("expected an integer of at most 64 bits")
    return value


def _float(value: object, _: object) -> float:
    """An integer is a number as it stands; nothing in a room is infinite or no number at all."""
    if type(value) is int and _fits_64_bits(value):
        return float(value)
    if type(value) is not float:
        raise expected("a number", value)
    if not math.isfinite(value):
        raise Unfit("expected a finite number")
    return value


def _str(value: object, _: object) -> str:
    if type(value) is not str:
        raise expected("a string", value)
    return value


def _bool(value: object, _: object) -> bool:
    if type(value) is not bool:
        raise expected("a boolean", value)
    return value


def _object(value: object, _: object) -> Mapping[str, Any]:
    """As it is: whatever JSON it holds is its writer's business."""
    if type(value) is not dict:
        raise expected("an object", value)
    return value


def _instant(value: object, _: object) -> datetime:
    """In UTC, whatever its zone was; one without a zone could be any."""
    if type(value) is not str:
        raise expected("a time", value)
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is UTC:
            return instant
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unfit("expected a time such as 2026-01-31T12:30:00.250+00:00") from None
    raise Unfit("expected a time with its zone, such as 2026-01-31T12:30:00Z")


def _member(value: object, wanted: type[enum.StrEnum]) -> object:
    return _choice_of(wanted)(value, wanted)


@cache
def _choice_of(wanted: type[enum.StrEnum]) -> Hook:
    return _choice_hook({member.value: member for member in wanted})


def _literal_hook(wanted: Any) -> Hook:
    return _choice_hook({value: value for value in get_args(wanted)})


def _choice_hook(choices: Mapping[str, object]) -> Hook:
    def hook(value: object, _: object) -> object:
        if type(value) is str and value in choices:
            return choices[value]
        raise Unfit(f"expected one of {', '.join(choices)}", found=value, known=choices)

    return hook


def _fits_64_bits(value: int) -> bool:
    return -(2**63) <= value < 2**63


# -- what is said about the rest -------------------------------------------------------------------


def faults_of(error: Exception, where: str = "") -> Iterator[str]:
    """Each as `path: what was expected`.

    Raises:
        Exception: `error` itself, if it is no fault of the data.
    """
    match error:
        case ClassValidationError():
            noted, bare = error.group_exceptions()
            for inner, note in noted:
                yield from faults_of(inner, joined(where, note.name))
            for inner in bare:
                yield from faults_of(inner, where)
        case IterableValidationError():
            elements, bare = error.group_exceptions()
            for inner, place in elements:
                yield from faults_of(inner, joined(where, place.index))
            for inner in bare:
                yield from faults_of(inner, where)
        case ForbiddenExtraKeysError():
            known = [field.name for field in attrs.fields(error.cl)]
            for name in sorted(error.extra_fields):
                yield fault(joined(where, name), _unknown(name, known))
        case KeyError():
            yield fault(where, "missing")
        case Unfit(at=at):
            yield fault(joined(where, at) if at else where, str(error))
        case ValueError() | TypeError():
            yield fault(where, _problem(error))
        case _:
            raise error


def few(faults: Iterator[str]) -> Sequence[str]:
    """The first of them. The others are not even put into words: that takes longest."""
    told = list(islice(faults, MOST_FAULTS))
    return [*told, "… and more"] if next(faults, None) is not None else told


def fault(where: str, problem: str) -> str:
    """One thing wrong, and where."""
    return f"{where}: {problem}" if where else problem


def joined(where: str, step: str | int) -> str:
    """One step further down: `content.parts[1]`."""
    if isinstance(step, int):
        return f"{where}[{step}]"
    name = step if len(step) <= LONGEST_NAME else f"{step[:LONGEST_NAME]}…"
    if not re.fullmatch(r"[\w…-]+", name):
        name = ascii(name)  # nobody's control characters in our logs
    return f"{where}.{name}" if where else name


def _problem(error: ValueError | TypeError) -> str:
    """The validator's message, without the field's name, which the path tells already, and without
    the words that it found: attrs adds them as the last argument.
    """
    message = str(error.args[0]) if error.args else type(error).__name__
    if len(error.args) > 1 and isinstance(error.args[-1], str):
        message = message.replace(repr(error.args[-1]), "…")
    return re.sub(r"^'\w+' ", "", message)


def _unknown(name: str, known: Iterable[str]) -> str:
    known = list(known)
    return "unknown name" + (_nearest(name, known) or f"; known here: {', '.join(known)}")


def _nearest(name: object, known: Iterable[str]) -> str:
    """A guess at what was meant, if it was nearly said."""
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        return ""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
