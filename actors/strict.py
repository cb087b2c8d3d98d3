"""What configuration says, as frozen values: strictly, and in the words of TOML.

`supervision.strict` does it; here is how its faults speak to whoever wrote the file. It knows
nothing of files.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs
from cattrs import ClassValidationError, IterableValidationError

from supervision.strict import Fault as Fault
from supervision.strict import Hook, Manner, faults_of, fits_64_bits, structurer
from supervision.strict import Unfit as Unfit

T = TypeVar("T")

LONGEST_SHOWN = 60
"""Characters of a refused value that a fault repeats: enough to recognise it by."""


@attrs.define(eq=False)
class Faulty(Exception):
    """The data does not fit; here is everything that is wrong with it."""

    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def structure(
    section: type[T], data: object, hooks: Mapping[type, Callable[[object], object]]
) -> T:
    """`data` as a `section`, an attrs class whose fields may be sections again.

    Args:
        section: fields are what `supervision.strict.structurer` takes.
        data: what a parser of TOML or JSON returned.
        hooks: how to make values of other types; a hook raises `Unfit` to refuse.
    Raises:
        Faulty: with every fault there is.
    """
    converter = structurer(_TOML)
    for made, hook in hooks.items():
        converter.register_structure_hook(made, _value_only(hook))
    try:
        return converter.structure(data, section)
    except (ClassValidationError, IterableValidationError, Unfit) as error:
        faults = tuple(faults_of(error, _TOML))
    # Raised out here to leave cattrs' exceptions behind: they would hold on to the data.
    raise Faulty(faults)


def _value_only(hook: Callable[[object], object]) -> Hook:
    return lambda value, _: hook(value)


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
        case int() if not fits_64_bits(value):
            return "a number of more than 64 bits"  # printing one could take minutes
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _key(name: str) -> str:
    """TOML's rule for a bare key; any other stands in quotes, its control characters escaped."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


_TOML = Manner(
    kinds={int: "int", float: "float", str: "str", bool: "bool", list: "a list", dict: "a table"},
    found=shown,
    repeats=True,
    step=_key,
    missing="missing, and there is no default",
)
