"""Messages to record, and recordings made by hand."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from supervision import Request
from supervision.observe import TraceEvent


class Drink(enum.Enum):
    TEA = "tea"
    COFFEE = "coffee"


@attrs.frozen
class Order(Request[str]):
    what: Drink
    note: Any = None
    _hidden: int = 0
    size: int = attrs.field(init=False, default=2)


@dataclasses.dataclass(frozen=True)
class Bill:
    amount: Decimal
    lines: tuple[Order, ...] = ()


@attrs.frozen
class Brew(Request[str]):
    what: Drink


@attrs.frozen
class Hello:
    to: Any


class Opaque:
    """No attrs class and no dataclass."""


def event(message: Any, number: int = 1) -> TraceEvent:
    return TraceEvent(
        at=1.0,
        id=number,
        cause=0,
        path="/a",
        message=message,
        message_type=type(message).__qualname__,
        asked=False,
        seconds=0.5,
        outcome="ok",
    )


def file_of(path: Path, *lines: bytes | str | Mapping[str, Any]) -> Path:
    def written(line: bytes | str | Mapping[str, Any]) -> bytes:
        if isinstance(line, Mapping):
            line = json.dumps(line)
        return line.encode() if isinstance(line, str) else line

    path.write_bytes(b"".join(written(line).rstrip(b"\n") + b"\n" for line in lines))
    return path


HEADER = {
    "format": "troupe-recording",
    "version": 1,
    "node": "local",
    "python": "3.11",
    "started": "2026-01-01T00:00:00Z",
    "at": 0.0,
    "paths": "*",
}
