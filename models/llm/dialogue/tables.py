"""Tables of a TOML file, read strictly: every name is known, every value of the right type.

Faults are collected with their places, so that whoever writes a script learns of all at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

T = TypeVar("T")

LONGEST_SHOWN = 60
"""Characters of a wrong value that a fault repeats."""


@attrs.frozen
class ScriptFault:
    """One thing wrong with a script."""

    where: str
    """The place, as TOML writes it: `agents.ada.rules[3].say`; "" is the whole."""
    problem: str
    """What is wrong, and what to write instead."""

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


@attrs.define(eq=False)
class ScriptError(Exception):
    """The script cannot be used; here is everything that is wrong with it."""

    name: str
    """Which script: its file, as the caller named it."""
    faults: tuple[ScriptFault, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.name}: {fault}" for fault in self.faults)


class Table:
    """A table at its place. Reading a name takes it; what is left at `end` should not be there."""

    def __init__(self, data: Mapping[str, object], where: str, faults: list[ScriptFault]) -> None:
        self._data = dict(data)
        self._known: list[str] = []
        self._faults = faults
        self.where = where

    def place(self, name: str) -> str:
        """Where `name` of this table is."""
        return f"{self.where}.{name}" if self.where else name

    def fault(self, name: str, problem: str) -> None:
        """Something is wrong with `name`; "" is the table itself."""
        self._faults.append(ScriptFault(self.place(name) if name else self.where, problem))

    def has(self, name: str) -> bool:
        """Is it there?"""
        return name in self._data

    def text(self, name: str, default: str | None = None) -> str:
        """A text. Without a default it must be there."""
        value = self._take(name, default)
        if value is None:
            self.fault("", f"'{name}' is missing; write {name} = \"...\"")
            return ""
        if isinstance(value, str):
            return value
        return self._wrong(name, value, f'a text: {name} = "..."', "")

    def texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A text or several; none of them empty."""
        value = self._take(name, default)
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list | tuple) or not all(isinstance(t, str) for t in found):
            return self._wrong(name, value, f'texts: {name} = ["...", "..."]', ())
        if not all(text.strip() for text in found):
            self.fault(name, "one of the texts is empty; write something or remove it")
        return tuple(text for text in found if text.strip())

    def flag(self, name: str) -> bool | None:
        """True, false, or None if it is not there."""
        value = self._take(name, None)
        if value is None or isinstance(value, bool):
            return value
        return self._wrong(name, value, f"true or false: {name} = true", None)

    def table(self, name: str) -> Table:
        """A table; empty if it is not there."""
        value = self._take(name, {})
        if not isinstance(value, Mapping):
            value = self._wrong(name, value, f"a table: [{self.place(name)}]", {})
        return Table(value, self.place(name), self._faults)

    def tables(self, name: str) -> list[Table]:
        """A list of tables; empty if it is not there."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(t, Mapping) for t in value):
            value = self._wrong(name, value, f"a list of tables: [[{self.place(name)}]]", [])
        place = self.place(name)
        return [Table(t, f"{place}[{number}]", self._faults) for number, t in enumerate(value, 1)]

    def every(self, read: Callable[[str], T]) -> dict[str, T]:
        """All names of a table whose names are free, and what `read` makes of each."""
        return {name: read(name) for name in tuple(self._data)}

    def value(self, name: str) -> object:
        """Whatever it is."""
        return self._take(name, None)

    def end(self) -> None:
        """Nothing else may be in the table."""
        for name in self._data:
            self.fault(name, f"is not known here; {meant(name, self._known)}")

    def _take(self, name: str, default: object) -> object:
        self._known.append(name)
        return self._data.pop(name, default)

    def _wrong(self, name: str, value: object, expected: str, instead: T) -> T:
        shown = repr(value)
        if len(shown) > LONGEST_SHOWN:
            shown = shown[:LONGEST_SHOWN] + "…"
        self.fault(name, f"{shown} is not what is expected here, which is {expected}")
        return instead


def meant(name: str, known: list[str]) -> str:
    """A remedy for a name nobody knows."""
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known are: {', '.join(sorted(known))}" if known else "remove it"
