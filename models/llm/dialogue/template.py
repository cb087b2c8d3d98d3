"""What is said, with values in it: `"A {room} for {nights} nights is {quote.total} euros."`

`{name}` is a slot. `{tool.field}` is a field of the JSON that a tool answered, `{tool.a.0.b}` goes
deeper, `{tool}` is all of it as text. `{{` and `}}` are braces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import attrs

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")


class BadTemplate(ValueError):
    """A text with values in it cannot be read."""


@attrs.frozen
class Template:
    """A text with places for values."""

    source: str
    parts: tuple[str, ...]
    """Text, path, text, path, ..., text."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The values it needs."""
        return self.parts[1::2]

    def fill(self, values: Mapping[str, str], outputs: Mapping[str, str]) -> str | None:
        """The text, or None: a value is not known.

        Args:
            values: slots by name.
            outputs: what tools answered, by their names.
        """
        filled = list(self.parts)
        for place, path in enumerate(self.paths):
            value = values.get(path) if path in values else look_up(outputs, path)
            if value is None:
                return None
            filled[2 * place + 1] = value
        return "".join(filled)


def read_template(source: str) -> Template:
    """Read a text with values in it.

    Raises:
        BadTemplate: a brace has no counterpart, or holds no name.
    """
    parts = [""]
    end = 0
    for found in _PIECE.finditer(source):
        parts[-1] += source[end : found.start()]
        end = found.end()
        if found[0] in ("{{", "}}"):
            parts[-1] += found[0][0]
        elif found[1] is not None and _PATH.fullmatch(found[1]):
            parts += [found[1], ""]
        else:
            raise BadTemplate(
                f"{found[0]!r} in {source!r} is no value; write {{name}}, {{tool.field}}, or"
                " {{ and }} for braces"
            )
    parts[-1] += source[end:]
    return Template(source, tuple(parts))


def look_up(outputs: Mapping[str, str], path: str) -> str | None:
    """The value at `path` in what tools answered, as it is spoken; None if there is none."""
    tool, *fields = path.split(".")
    if tool not in outputs:
        return None
    value = parsed(outputs[tool])
    for field in fields:
        if isinstance(value, Mapping) and field in value:
            value = value[field]
        elif isinstance(value, Sequence) and not isinstance(value, str) and field.isdecimal():
            if int(field) >= len(value):
                return None
            value = value[int(field)]
        else:
            return None
    return _spoken(value)


def parsed(output: str) -> object:
    """JSON as what it holds; what is no JSON as the text it is."""
    try:
        value: object = json.loads(output)
    except (ValueError, RecursionError):
        return output
    return value


def _spoken(value: object) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else f"{value:g}"
        case list():
            spoken = [part for part in map(_spoken, value) if part is not None]
            return " and ".join([", ".join(spoken[:-1]), spoken[-1]] if spoken[1:] else spoken)
        case _:
            return json.dumps(value)
