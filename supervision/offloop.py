"""What BlockingActor and WorkerActor have in common: handlers that do not run on the loop.

They may block, so they have no use for `async def`; and they run beside the loop, so what belongs
to the loop is refused there with an error that says what to do instead.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from threading import get_ident
from typing import TYPE_CHECKING, ClassVar, TypeVar

from supervision.acting import Acting, acting
from supervision.actor import Actor
from supervision.behaviour import Handler, Table
from supervision.errors import ActorStopped
from supervision.messages import IDLE, Envelope
from supervision.pykka_view import StopRequest

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.life import Life

M = TypeVar("M")


class Hand(Acting):
    """A thread at work for one life of an actor."""

    __slots__ = ("_envelope", "since")

    def __init__(self, cell: Cell) -> None:
        self.since = 0.0
        """When it began with it, in the node's time."""
        super().__init__(cell, IDLE, pausing=True)

    @property
    def envelope(self) -> Envelope:
        """What it is handling. Whatever is sent asks for it, to name its cause.

        Raises:
            ActorStopped: its life was left behind, so what it is about to send must reach nobody.
        """
        if self.fenced:
            raise ActorStopped(
                self.cell.path,
                "would not end in time and was left behind; this is its old thread, and what it "
                "still does reaches nobody",
            )
        return self._envelope

    @envelope.setter
    def envelope(self, envelope: Envelope) -> None:
        self._envelope = envelope

    @property
    def doing(self) -> tuple[Envelope, float] | None:
        """What it is handling, since when; None in a hook and between batches. Any thread."""
        envelope = self._envelope
        return (envelope, self.since) if envelope is not IDLE else None


def request_stop(cell: Cell, envelope: Envelope) -> None:
    """Carry out a `StopRequest` now that its turn has come: stopping is the loop's business."""
    node = cell.node
    node.current, node.running = envelope, cell
    try:
        cell.table[StopRequest](cell.actor, envelope[2])
    finally:
        node.current, node.running = IDLE, None
    cell.handled += 1


class OffLoopActor(Actor[M]):
    """An actor whose handlers and hooks are plain functions that run off the loop."""

    _rt_hooks: ClassVar[tuple[str, ...]] = ("on_start", "on_stop", "on_failure")

    @classmethod
    def _rt_build_table(cls) -> Table:
        for name in cls._rt_hooks:
            cls._rt_adapt(getattr(cls, name))
        return super()._rt_build_table()

    @classmethod
    def _rt_adapt(cls, handler: Handler) -> Handler:
        if iscoroutinefunction(handler):
            name = getattr(handler, "__name__", repr(handler))
            raise TypeError(
                f"{cls.__qualname__}.{name} is `async def`, but the handlers and hooks of such an "
                "actor run where there is no event loop. Write `def` and block, or make it a plain "
                "Actor."
            )
        return handler

    def _off_loop(self) -> bool:
        """Whether the caller is a handler or hook, or another thread, rather than the loop."""
        return get_ident() != self._rt_bound().node.ident or isinstance(acting.get(), Hand)

    def _rt_life(self) -> Life:
        if self._off_loop():
            raise RuntimeError(
                f"{self.path} does not run on the event loop, so it cannot own tasks, defer "
                "answers or stash messages. Block for the result, answer by the handler's return "
                "value, and leave the rest to a plain Actor that it tells."
            )
        return super()._rt_life()
