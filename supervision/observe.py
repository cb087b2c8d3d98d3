"""Observing messages: traces, the recorder, rings of last messages, poison.

Nothing of this costs anything while it is off: an observed actor takes its turns through a slower
loop of the dispatcher, an unobserved one through the fast loop, which does not know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import attrs


@attrs.frozen
class TraceEvent:
    """One message as it was handled."""

    at: float
    """Seconds, in the node's time, when handling ended."""
    id: int
    cause: int
    """The id of the message whose handling sent this one; 0 from outside every actor."""
    path: str
    """Who handled it. Who sent it is whoever handled `cause`."""
    message: Any = attrs.field(repr=False)
    message_type: str
    asked: bool
    seconds: float
    """How long the handler took (an async handler: until its first wait)."""
    outcome: str
    """"ok", or the type of the exception it raised."""


@attrs.frozen
class TraceFilter:
    """Which messages a trace shows: by path pattern (`/calls/*`), by message type, by cause."""

    path: str = "*"
    types: frozenset[str] = frozenset()
    """Type names; empty for all."""

    def takes(self, path: str, message_type: str) -> bool:
        """Whether a message of that type to that actor is to be shown."""
        if self.types and message_type not in self.types:
            return False
        return self.path == "*" or fnmatchcase(path, self.path)


class Tap:
    """All who observe messages, as one."""

    def __init__(self) -> None:
        self._sinks: list[tuple[TraceFilter, Callable[[TraceEvent], None]]] = []

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, wanted: TraceFilter, sink: Callable[[TraceEvent], None]) -> None:
        """Give `sink` what `wanted` takes."""
        self._sinks.append((wanted, sink))

    def remove(self, sink: Callable[[TraceEvent], None]) -> None:
        """Give it no more."""
        self._sinks = [entry for entry in self._sinks if entry[1] is not sink]

    def wants(self, path: str, message_type: str) -> bool:
        """Whether anybody does, so that events nobody wants are not made."""
        return any(wanted.takes(path, message_type) for wanted, _ in self._sinks)

    def put(self, event: TraceEvent) -> None:
        """Show an event to those who want it."""
        for wanted, sink in self._sinks:
            if wanted.takes(event.path, event.message_type):
                sink(event)
