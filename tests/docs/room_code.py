"""What the documents about rooms are compared with: their tables, and the code of rooms."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from actors.config import TroupeConfig
from tests.docs.markdown import ROOT

DOCS = ROOT / "docs"
ROOMS = DOCS / "rooms.md"
HOOKS = DOCS / "room-hooks.md"
STORES = DOCS / "room-stores.md"
TESTING = DOCS / "room-testing.md"
ROOMKIT = DOCS / "from-roomkit.md"

SOURCES = [
    *sorted((ROOT / "actors" / "room").glob("*.py")),
    *sorted((ROOT / "actors" / "machines" / "room").glob("*.py")),
    ROOT / "transports" / "channels" / "websocket" / "channel.py",
]


def code(cell: str) -> Sequence[str]:
    """What a cell shows as code."""
    return re.findall(r"`([^`]+)`", cell)


def tables(document: Path, heading: str) -> Sequence[Sequence[Sequence[str]]]:
    """All tables of one section, without their heads; `table` gives the first."""
    text = document.read_text(encoding="utf-8")
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)[1].partition("\n## ")[0]
    found = re.findall(r"(?:^\|.*\n)+", section, re.M)
    return [
        [[cell.strip() for cell in row.strip("|").split(" | ")] for row in one.splitlines()[2:]]
        for one in found
    ]


def config(name: str) -> object:
    """What a setting of the node is where nothing is configured."""
    return reduce(getattr, name.split("."), TroupeConfig())


def value(name: str) -> object:
    """What stands at `rooms.admission`, or at a dotted name of a module, a class or its field."""
    if not name.startswith(("actors.", "models.", "transports.")):
        return config(name)
    words = name.split(".")
    split = next(k for k, word in enumerate(words) if word != word.lower())
    found: Any = import_module(".".join(words[:split]))
    for word in words[split:]:
        if inspect.isclass(found) and attrs.has(found):
            found = attrs.fields_dict(found)[word].default
        else:
            found = getattr(found, word)
    return found


def trees() -> Iterator[ast.AST]:
    """The modules of rooms."""
    for source in SOURCES:
        yield ast.parse(source.read_text(encoding="utf-8"))


def strings() -> set[str]:
    """All string literals of the modules of rooms."""
    found: set[str] = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def calls(*functions: str) -> Iterator[ast.Call]:
    """All calls of functions and methods of these names."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
                if name in functions:
                    yield node


def first_arguments(*functions: str) -> set[str]:
    """The first literal strings that calls of these functions are given."""
    literals = (
        [a.value for a in call.args if isinstance(a, ast.Constant)] for call in calls(*functions)
    )
    return {words[0] for words in literals if words and isinstance(words[0], str)}


def beginnings(*functions: str) -> set[str]:
    """What formatted strings that calls of these functions are given first begin with."""
    found: set[str] = set()
    for call in calls(*functions):
        if call.args and isinstance(call.args[0], ast.JoinedStr):
            begin = call.args[0].values[0]
            assert isinstance(begin, ast.Constant), ast.unparse(call)
            found.add(str(begin.value))
    return found
