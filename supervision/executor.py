"""Where an actor's handlers run when they do not run on the loop: a thread or a worker process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from supervision.spec import ACTOR_SHUTDOWN

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.messages import Envelope


class Executor(Protocol):
    """Runs the handlers of one life elsewhere. All methods are called on the loop.

    What it takes from the inbox and does not begin goes back to the front of it; what it has begun
    is answered, by the handler or by the end of the life.
    """

    @property
    def idle(self) -> bool:
        """Nothing is in hand."""

    @property
    def closed(self) -> bool:
        """It has ended, and nothing of it runs any more."""

    @property
    def doing(self) -> tuple[Envelope, float] | None:
        """The message in hand, and since when, in the node's time."""

    def feed(self) -> None:
        """Take messages from the cell's inbox, if there is room in hand."""

    def call(self, hook: Callable[[], Any], done: Callable[[BaseException | None], None]) -> None:
        """Run a hook there, then `done` as a signal step."""

    def failed(self, error: BaseException) -> None:
        """The actor crashed: run `on_failure` there, if anything can still run there."""

    def interrupt(self) -> None:
        """Take no further message; report idle after the one in hand."""

    def close(self) -> None:
        """End, as soon as what is in hand allows; at once if the actor was killed and it can."""

    def abandon(self) -> None:
        """It would not end: discard whatever still comes from it."""

    def describe(self) -> str:
        """What it is, for the report that it would not end."""


def put_back(cell: Cell, envelopes: list[Envelope]) -> None:
    """Messages that were taken from the inbox and not begun are handled first, in their order."""
    cell.inbox.extendleft(reversed(envelopes))
    if cell.poison is not None:
        for envelope in envelopes:
            cell.poison.undecided(envelope[0])


def patience(cell: Cell) -> float:
    """Seconds in which what is left of an ended life must end: as long as it may take to stop."""
    shutdown = cell.spec.shutdown
    if shutdown == "infinity":
        return math.inf
    if shutdown == "brutal":
        return cell.node.config.kill_grace
    return cell.node.config.kill_grace + (ACTOR_SHUTDOWN if shutdown is None else float(shutdown))
