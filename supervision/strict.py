"""Plain data to frozen values, strictly: nothing is coerced, nothing ignored, every fault told.

cattrs does the structuring; by default it makes 8 of "8" and True of "no", drops unknown keys, and
attrs stops at the first bound that is broken. `structurer` closes those doors, and `faults_of`
turns cattrs' tree of exceptions into a flat list of `Fault`s. How these speak, and whether they may
repeat what they found, is the `Manner` of whoever reads the data.
"""

from __future__ import annotations

import difflib
import enum
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs import (
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
    StructureHandlerNotFoundError,
)
from cattrs.cols import (
    homogenous_tuple_structure_factory,
    list_structure_factory,
    mapping_structure_factory,
)
from cattrs.gen import make_dict_structure_fn, override

Hook = Callable[[Any, Any], Any]
"""What cattrs calls with a value and the type it should become."""
HookFactory = Callable[[Any, Converter], Hook]
"""Makes the hook of a type."""

LONGEST_NAME = 60
"""Characters of a name that may be a slip of the pen; nobody guesses at longer ones."""


@attrs.frozen
class Fault:
    """One thing wrong with the data, and where."""

    where: str
    """The path: `supervision.intensity`, `content.parts[1]`. "" is the whole."""
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


class Unfit(ValueError):
    """A value that does not fit its field; in words, what a fault says of it."""

    def __init__(
        self, problem: str, at: str = "", found: object = None, known: Iterable[Any] = ()
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


@attrs.frozen
class Manner:
    """How faults speak to whoever wrote the data."""

    kinds: Mapping[type, str]
    """What they call the values that int, float, str, bool, list and dict are made of."""
    found: Callable[[object], str]
    """What they call a value that was found instead of another."""
    repeats: bool
    """They may repeat values. If not, `found` must not either: it tells the kind."""
    step: Callable[[str], str]
    """A name as it stands in a path. Unknown ones are anybody's: cut and escape them."""
    missing: str
    """What they say of a field that has no default, and is not there."""

    def expected(self, kind: type, value: object) -> Unfit:
        """The fault of finding `value` where one of another kind should be."""
        return Unfit(f"expected {self.kinds[kind]}, got {self.found(value)}")

    def joined(self, where: str, step: str | int) -> str:
        """The path, one step further down."""
        if isinstance(step, int):
            return f"{where}[{step}]"
        return f"{where}.{self.step(step)}" if where else self.step(step)


def structurer(
    manner: Manner, *, every_fault: bool = True, unknown_keys: bool = False
) -> Converter:
    """What makes values of attrs classes of data that a parser of TOML or JSON returned.

    Fields are int, float, str, bool, enumerations, literals, such classes again, `X | None`, and
    lists, tuples, dicts, sequences (read as tuples) and mappings of all these; more kinds by more
    hooks, which raise `Unfit` to refuse. Validators see one value each, and not the instance.

    Args:
        manner: of the faults.
        every_fault: look on after the first. Costs about half as much again.
        unknown_keys: let them pass, unread.
    """
    converter = Converter(detailed_validation=every_fault, forbid_extra_keys=not unknown_keys)
    _take_scalars(converter, manner)
    # The factory registered last is asked first.
    converter.register_structure_hook_factory(_is_enum, _enum_hook(manner))
    converter.register_structure_hook_factory(_is(Literal), _literal_hook(manner))
    shapes: Iterable[tuple[Any, type, HookFactory]] = (
        (list, list, list_structure_factory),
        (tuple, list, homogenous_tuple_structure_factory),
        (Sequence, list, homogenous_tuple_structure_factory),
        (dict, dict, mapping_structure_factory),
        (Mapping, dict, mapping_structure_factory),
    )
    for kind, shape, factory in shapes:
        converter.register_structure_hook_factory(_is(kind), _shaped(manner, shape, factory))
    converter.register_structure_hook_factory(attrs.has, fields_hook(manner))
    return converter


def fields_hook(manner: Manner) -> HookFactory:
    """The factory of hooks for attrs classes, which `structurer` uses."""
    return _shaped(manner, dict, _fields_hook)


# -- what is accepted ------------------------------------------------------------------------------


def _is(kind: object) -> Callable[[Any], bool]:
    return lambda wanted: get_origin(wanted) is kind


def _is_enum(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, enum.Enum)


def _shaped(manner: Manner, shape: type, factory: HookFactory) -> HookFactory:
    """`factory`'s hooks, for values of this shape only: a str is iterable too, but not a list."""

    def shaped_hook(wanted: Any, converter: Converter) -> Hook:
        inner = factory(wanted, converter)

        def hook(value: object, wanted: Any) -> object:
            if type(value) is not shape:
                raise manner.expected(shape, value)
            return inner(value, wanted)

        return hook

    return shaped_hook


def _fields_hook(kind: Any, converter: Converter) -> Hook:
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


def _take_scalars(converter: Converter, manner: Manner) -> None:
    # cattrs looks for the hook of a base class before it asks factories, so enumerations that are
    # strings or numbers as well (StrEnum, IntEnum) come to these hooks.
    members = cache(_enum_hook(manner))
    for exact in (str, bool):
        converter.register_structure_hook(exact, _exact_hook(manner, exact, members))
    converter.register_structure_hook(int, _int_hook(manner, members))
    converter.register_structure_hook(float, _float_hook(manner, members))


def _exact_hook(manner: Manner, exact: type, members: Callable[[Any], Hook]) -> Hook:
    def hook(value: object, wanted: Any) -> object:
        if wanted is not exact:
            return members(wanted)(value, wanted)
        if type(value) is not exact:
            raise manner.expected(exact, value)
        return value

    return hook


def _int_hook(manner: Manner, members: Callable[[Any], Hook]) -> Hook:
    def hook(value: object, wanted: Any) -> object:
        if wanted is not int:
            return members(wanted)(value, wanted)
        # Not isinstance: True is an int to Python, but not to whoever wrote it.
        if type(value) is not int or not fits_64_bits(value):
            raise manner.expected(int, value)
        return value

    return hook


def _float_hook(manner: Manner, members: Callable[[Any], Hook]) -> Hook:
    """An int is a float as it stands. No field so far has a meaning for inf or nan."""

    def hook(value: object, wanted: Any) -> object:
        if wanted is not float:
            return members(wanted)(value, wanted)
        if type(value) is int and fits_64_bits(value):
            return float(value)
        if type(value) is not float:
            raise manner.expected(float, value)
        if not math.isfinite(value):
            raise Unfit(f"expected a finite number, got {manner.found(value)}")
        return value

    return hook


def _enum_hook(manner: Manner) -> Callable[[Any], Hook]:
    def enum_hook(wanted: Any) -> Hook:
        if not _is_enum(wanted):  # some other subclass of a string or number
            raise StructureHandlerNotFoundError(f"nothing makes a {wanted}", wanted)
        return _choice_hook(manner, {member.value: member for member in wanted})

    return enum_hook


def _literal_hook(manner: Manner) -> Callable[[Any], Hook]:
    return lambda wanted: _choice_hook(manner, {value: value for value in get_args(wanted)})


def _choice_hook(manner: Manner, choices: Mapping[Any, object]) -> Hook:
    by_kind: dict[type, dict[Any, object]] = {}  # 1 and 1.0 and True are equal, but not the same
    for value, choice in choices.items():
        by_kind.setdefault(type(value), {})[value] = choice
    told = ", ".join(map(manner.found if manner.repeats else str, choices))

    def hook(value: object, _: object) -> object:
        known = by_kind.get(type(value))
        if known is not None and value in known:
            return known[value]
        got = f"; got {manner.found(value)}" if manner.repeats else ""
        raise Unfit(f"expected one of {told}{got}", found=value, known=choices)

    return hook


def fits_64_bits(value: int) -> bool:
    """As numbers of TOML and JSON do, if others are to read them."""
    return -(2**63) <= value < 2**63


# -- what is said about the rest -------------------------------------------------------------------


def faults_of(error: Exception, manner: Manner, where: str = "") -> Iterator[Fault]:
    """All that `error`, raised by a `structurer`, tells; `where` is the path of the data.

    Raises:
        Exception: `error` itself, if it is no fault of the data but of the code that looks at it.
    """
    match error:
        case ClassValidationError():
            noted, bare = error.group_exceptions()
            for inner, note in noted:
                yield from faults_of(inner, manner, manner.joined(where, note.name))
            for inner in bare:
                yield from faults_of(inner, manner, where)
        case IterableValidationError():
            elements, bare = error.group_exceptions()
            for inner, place in elements:
                yield from faults_of(inner, manner, manner.joined(where, place.index))
            for inner in bare:
                yield from faults_of(inner, manner, where)
        case ForbiddenExtraKeysError():
            known = [field.name for field in attrs.fields(error.cl)]
            for name in sorted(error.extra_fields):
                yield Fault(manner.joined(where, name), _unknown(name, known))
        case KeyError():
            yield Fault(where, manner.missing)
        case Unfit(at=at):
            yield Fault(manner.joined(where, at) if at else where, str(error))
        case ValueError() | TypeError():
            yield Fault(where, _problem(error, manner))
        case _:
            raise error


def _problem(error: ValueError | TypeError, manner: Manner) -> str:
    """The validator's message without the field's name, which the path tells already, and, if it
    must not be repeated, without the text that it found: attrs adds that as the last argument.
    """
    message = str(error.args[0]) if error.args else type(error).__name__
    if not manner.repeats and len(error.args) > 1 and isinstance(error.args[-1], str):
        message = message.replace(repr(error.args[-1]), "…")
    return re.sub(r"^'\w+' ", "", message)


def _unknown(name: str, known: Sequence[str]) -> str:
    return "unknown name" + (_nearest(name, known) or f"; known here: {', '.join(known)}")


def _nearest(name: object, known: Iterable[Any]) -> str:
    """A guess at what was meant, if it was nearly said."""
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        return ""
    names = [choice for choice in known if isinstance(choice, str)]
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
