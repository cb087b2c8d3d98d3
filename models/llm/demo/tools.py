"""What the demo team's tools do: pure functions with made-up answers, always the same.

`TOOLS` is what the agents are offered, `run_tool` carries one out, `find` is the work of the
housekeeping that the front desk delegates to.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from models.llm.protocol import Tool

PRICES: Final = {"single room": 80, "double room": 120, "suite": 240}
RESTAURANTS: Final = {
    "fish": "the Old Anchor",
    "pizza": "Luigi's",
    "something light": "the Garden",
}
PLACES: Final = ("in the library", "under a chair in the restaurant", "at the breakfast table")
LOOKING: Final = 6.0
"""Seconds that housekeeping looks for a lost thing."""

Arguments = Mapping[str, object]


class ToolRefused(ValueError):
    """A tool cannot do what it was asked for; the message is for the model."""


def run_tool(name: str, arguments: str, clock: str) -> str:
    """Carry out a tool of `TOOLS`.

    Args:
        arguments: a JSON object.
        clock: the time of day as it is spoken: "ten past four".
    Returns:
        A JSON object.
    Raises:
        ToolRefused: there is no such tool, or its arguments are not what it takes.
    """
    if name == "clock":
        return json.dumps({"time": clock})
    tool = _TOOLS.get(name)
    if tool is None:
        raise ToolRefused(f"there is no tool {name!r}; there are {', '.join(['clock', *_TOOLS])}")
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise ToolRefused(f"the arguments are no JSON: {error}") from None
    if not isinstance(given, dict):
        raise ToolRefused("the arguments are no JSON object")
    return json.dumps(tool(given))


def find(task: str) -> str:
    """What housekeeping reports of a lost thing. Answered as a JSON object."""
    return json.dumps({"place": PLACES[zlib.crc32(task.encode()) % len(PLACES)]})


def _weather(_given: Arguments) -> Arguments:
    return {"sky": "sunny, with a light wind", "degrees": 21}


def _room_price(given: Arguments) -> Arguments:
    return {"dollars": PRICES[_one_of(given, "room", PRICES)]}


def _book_room(given: Arguments) -> Arguments:
    room, nights = _one_of(given, "room", PRICES), _count(given, "nights")
    total = PRICES[room] * nights - (PRICES[room] // 2 if nights >= 3 else 0)
    return {"room": room, "nights": nights, "total": total, "reference": f"{room[0]} {nights} 4 7"}


def _book_table(given: Arguments) -> Arguments:
    food, party = _one_of(given, "food", RESTAURANTS), _count(given, "party")
    if party > 12:
        raise ToolRefused("no restaurant in town has a table for more than twelve")
    return {"restaurant": RESTAURANTS[food], "party": party}


_TOOLS: Mapping[str, Callable[[Arguments], Arguments]] = {
    "weather": _weather,
    "room_price": _room_price,
    "book_room": _book_room,
    "book_table": _book_table,
}


def _one_of(given: Arguments, name: str, known: Mapping[str, object]) -> str:
    value = given.get(name)
    if isinstance(value, str) and value in known:
        return value
    raise ToolRefused(f"'{name}' is one of {', '.join(known)}, not {value!r}")


def _count(given: Arguments, name: str) -> int:
    value = given.get(name)
    if isinstance(value, int) and 0 < value <= 365:
        return value
    raise ToolRefused(f"'{name}' is a number from 1 to 365, not {value!r}")


def _tool(name: str, description: str, properties: Mapping[str, object], *optional: str) -> Tool:
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "properties": properties, "required": required}
    return Tool(name, description, json.dumps(schema))


_ROOM = {"type": "string", "enum": list(PRICES)}
_FOOD = {"type": "string", "enum": list(RESTAURANTS)}
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 1, "maximum": 365}

TOOLS: Final = (
    _tool("clock", "The time of day.", {}),
    _tool("weather", "The weather outside now.", {"place": _TEXT}, "place"),
    _tool("room_price", "What a room costs a night, in dollars.", {"room": _ROOM}),
    _tool("book_room", "Book a room.", {"room": _ROOM, "nights": _NUMBER, "day": _TEXT}),
    _tool("book_table", "Book a table.", {"food": _FOOD, "party": _NUMBER, "time": _TEXT}),
)
"""The demo team's tools, beside handing off, delegating and hanging up."""
