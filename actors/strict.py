"""Plain data to frozen values, strictly: nothing is coerced, nothing ignored, every fault told.

cattrs does the structuring; by default it makes 8 of "8" and True of "no", drops unknown keys, and
attrs stops at the first bound that is broken. `structure` closes those doors and turns cattrs' tree
of exceptions into a flat list of `Fault`s. It knows nothing of files.
"""

from __future__ import annotations

import datetime
import difflib
import enum
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError
from cattrs.cols import (
    homogenous_tuple_structure_factory,
    list_structure_factory,
    mapping_structure_factory,
)
from cattrs.gen import make_dict_structure_fn, override

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]
"""What cattrs calls with a value and the type it should become."""

LONGEST_SHOWN = 60
"""Characters of a refused value that a fault repeats: enough to recognise it by."""


@attrs.frozen
class Fault:
    """One thing wrong with the data, and where."""

    where: str
    """The dotted path, as TOML would write it: `supervision.intensity`. "" is the whole."""
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


@attrs.define(eq=False)
class Faulty(Exception):
    """The data does not fit; here is everything that is wrong with it."""

    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


class Unfit(ValueError):
    """A value that does not fit its field. Its message becomes the fault's, word for word."""


def structure(
    section: type[T], data: object, hooks: Mapping[type, Callable[[object], object]]
) -> T:
    """`data` as a `section`, an attrs class whose fields may be sections again.

    Args:
        section: fields are int, float, str, bool, enums, literals, sections, `X | None`, and tuples
            and dicts of all these. Validators see one value each, and not the instance.
        data: what a parser of TOML or JSON returned.
        hooks: how to make values of other types; a hook raises `Unfit` to refuse.
    Raises:
        Faulty: with every fault there is.
    """
    try:
        return _converter(hooks).structure(data, section)
    except (ClassValidationError, IterableValidationError, Unfit) as error:
        faults = tuple(_faults(error, ""))
    # Raised out here to leave cattrs' exceptions behind: they would hold on to the data.
    raise Faulty(faults)


def shown(value: object) -> str:
    """`value` as a fault names it: as TOML writes it, and never what is inside of it."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case list():
            return "a list"
        case datetime.date() | datetime.time():
            return str(value)
        case int() if not _fits_64_bits(value):
            return "a number of more than 64 bits"  # printing one could take minutes
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


# -- what is accepted ------------------------------------------------------------------------------


def _converter(hooks: Mapping[type, Callable[[object], object]]) -> Converter:
    converter = Converter(detailed_validation=True, forbid_extra_keys=True)
    converter.register_structure_hook(int, _int)
    converter.register_structure_hook(float, _float)
    for exact in (str, bool):
        converter.register_structure_hook(exact, _exactly)
    # The factory registered last is asked first.
    converter.register_structure_hook_factory(_is_enum, _enum_hook)
    converter.register_structure_hook_factory(_is(Literal), _literal_hook)
    for kind, factory in (
        (list, list_structure_factory),
        (tuple, homogenous_tuple_structure_factory),
    ):
        converter.register_structure_hook_factory(_is(kind), _shaped(list, "a list", factory))
    converter.register_structure_hook_factory(
        _is(dict), _shaped(dict, "a table", mapping_structure_factory)
    )
    converter.register_structure_hook_factory(attrs.has, _shaped(dict, "a table", _section_hook))
    for made, hook in hooks.items():
        converter.register_structure_hook(made, _value_only(hook))
    return converter


def _value_only(hook: Callable[[object], object]) -> Hook:
    return lambda value, _: hook(value)


def _is(kind: object) -> Callable[[Any], bool]:
    return lambda wanted: get_origin(wanted) is kind


def _is_enum(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, enum.Enum)


def _shaped(
    shape: type, name: str, factory: Callable[[Any, Converter], Hook]
) -> Callable[[Any, Converter], Hook]:
    """`factory`'s hooks, for values of this shape only: a str is iterable too, but not a list."""

    def shaped_hook(wanted: Any, converter: Converter) -> Hook:
        inner = factory(wanted, converter)

        def hook(value: object, wanted: Any) -> object:
            if not isinstance(value, shape):
                raise Unfit(f"expected {name}, got {shown(value)}")
            return inner(value, wanted)

        return hook

    return shaped_hook


def _section_hook(section: Any, converter: Converter) -> Hook:
    """cattrs' own hook for the class, but each field's validator has its say with the field.

    attrs runs validators when the instance is made: not at all if one field failed before, and only
    up to the first that complains. That would tell faults one at a time.
    """

    def field_hook(field: attrs.Attribute[Any]) -> Hook:
        def hook(value: object, wanted: Any) -> object:
            fitting = converter.structure(value, wanted)
            if field.validator is not None:
                field.validator(None, field, fitting)
            return fitting

        return hook

    fields = attrs.fields(attrs.resolve_types(section))
    overrides: dict[str, Any] = {
        field.name: override(struct_hook=field_hook(field)) for field in fields
    }
    return make_dict_structure_fn(section, converter, **overrides)


def _int(value: object, _: object) -> int:
    # Not isinstance: True is an int to Python, but not to whoever wrote it into a file.
    if type(value) is not int:
        raise Unfit(f"expected int, got {shown(value)}")
    if not _fits_64_bits(value):
        raise Unfit(f"expected int, got {shown(value)}")
    return value


def _float(value: object, _: object) -> float:
    """An int is a float as it stands. No field so far has a meaning for inf or nan."""
    if type(value) is int and _fits_64_bits(value):
        return float(value)
    if type(value) is not float:
        raise Unfit(f"expected float, got {shown(value)}")
    if not math.isfinite(value):
        raise Unfit(f"expected a finite number, got {shown(value)}")
    return value


def _exactly(value: object, wanted: type) -> object:
    if type(value) is not wanted:
        raise Unfit(f"expected {wanted.__name__}, got {shown(value)}")
    return value


def _enum_hook(wanted: type[enum.Enum]) -> Hook:
    return _choice_hook({member.value: member for member in wanted})


def _literal_hook(wanted: Any) -> Hook:
    return _choice_hook({value: value for value in get_args(wanted)})


def _choice_hook(choices: Mapping[Any, object]) -> Hook:
    def hook(value: object, _: object) -> object:
        for name, chosen in choices.items():
            if type(name) is type(value) and name == value:
                return chosen
        one_of = ", ".join(map(shown, choices))
        raise Unfit(f"expected one of {one_of}; got {shown(value)}{_nearest(value, choices)}")

    return hook


def _fits_64_bits(value: int) -> bool:
    return -(2**63) <= value < 2**63


# -- what is said about the rest -------------------------------------------------------------------


def _faults(error: Exception, where: str) -> Iterator[Fault]:
    match error:
        case ClassValidationError():
            noted, bare = error.group_exceptions()
            for inner, note in noted:
                yield from _faults(inner, _joined(where, note.name))
            for inner in bare:
                yield from _faults(inner, where)
        case IterableValidationError():
            elements, bare = error.group_exceptions()
            for inner, place in elements:
                yield from _faults(inner, _joined(where, place.index))
            for inner in bare:
                yield from _faults(inner, where)
        case ForbiddenExtraKeysError():
            known = [field.name for field in attrs.fields(error.cl)]
            for name in sorted(error.extra_fields):
                yield Fault(_joined(where, name), _unknown(name, known))
        case KeyError():
            yield Fault(where, "missing, and there is no default")
        case ValueError() | TypeError():
            yield Fault(where, _problem(error))
        case _:
            raise error  # not a fault of the data but of the code that looks at it


def _problem(error: ValueError | TypeError) -> str:
    """The validator's message without the field's name, which the path tells already."""
    message = str(error.args[0]) if error.args else type(error).__name__
    return re.sub(r"^'\w+' ", "", message)


def _unknown(name: str, known: Iterable[str]) -> str:
    known = list(known)
    guess = _nearest(name, known)
    return f"unknown name{guess}" if guess else f"unknown name; known here: {', '.join(known)}"


def _nearest(name: object, known: Iterable[Any]) -> str:
    names = [choice for choice in known if isinstance(choice, str)]
    near = difflib.get_close_matches(name, names, n=1) if isinstance(name, str) else []
    return f"; did you mean '{near[0]}'?" if near else ""


def _joined(where: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{where}[{step}]"
    # TOML's rule for a bare key; any other stands in quotes, its control characters escaped.
    name = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else json.dumps(step, ensure_ascii=False)
    return f"{where}.{name}" if where else name
