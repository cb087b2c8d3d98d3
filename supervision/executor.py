"""Where an actor's handlers run when they do not run on the loop: a thread or a worker process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Executor(Protocol):
    """Runs the handlers of one life elsewhere. All methods are called on the loop."""

    idle: bool
    """Nothing is in hand."""
    closed: bool
    """It has ended, and nothing of it runs any more."""

    def feed(self) -> None:
        """Take messages from the cell's inbox, if idle."""

    def call(self, hook: Callable[[], Any], done: Callable[[BaseException | None], None]) -> None:
        """Run a hook there, then `done` as a signal step."""

    def interrupt(self) -> None:
        """Take no further message; report idle after the one in hand."""

    def close(self) -> None:
        """End, as soon as what is in hand allows."""

    def abandon(self) -> None:
        """It would not end: discard whatever still comes from it."""

    def describe(self) -> str:
        """What it is, for the report that it would not end."""
