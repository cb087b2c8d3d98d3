"""What BlockingActor and WorkerActor have in common: handlers that do not run on the loop.

They may block, so they have no use for `async def`; and they run beside the loop, so what belongs
to the loop is refused there with an error that says what to do instead.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr

from supervision.acting import Acting, acting
from supervision.actor import Actor
from supervision.behaviour import Handler, Table
from supervision.contract import ActorContract
from supervision.errors import ActorStopped, Refuse, Refused
from supervision.messages import IDLE, Envelope
from supervision.pykka_view import StopRequest, _BadAttribute, _reach

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.life import Life

M = TypeVar("M")


class Hand(Acting):
    """A thread at work for one life of an actor."""

    __slots__ = ("_envelope",)

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell, IDLE, pausing=True)

    @property  # type: ignore[override]
    def envelope(self) -> Envelope:
        """What it is handling.

        Raises:
            ActorStopped: its life was left behind; whatever it was about to send, nobody wants it.
        """
        if self.fenced:
            raise ActorStopped(
                self.cell.path,
                "would not end in time and was left behind; this is its old thread, "
                "and what it does reaches nobody",
            )
        return self._envelope

    @envelope.setter
    def envelope(self, envelope: Envelope) -> None:
        self._envelope = envelope


def refusal(path: str, error: BaseException | None) -> Refused | None:
    """The answer, if what a handler raised says no; None if it is a crash."""
    if isinstance(error, Refuse):
        return Refused(path, error.reason)
    if isinstance(error, _BadAttribute):
        return error.answer
    return None


def request_stop(cell: Cell, envelope: Envelope) -> None:
    """Carry out a `StopRequest` when its turn has come: stopping is the loop's business."""
    node = cell.node
    node.current, node.running = envelope, cell
    try:
        cell.table[StopRequest](cell.actor, envelope[2])
    finally:
        node.current, node.running = IDLE, None
    cell.handled += 1


class OffLoopActor(Actor[M]):
    """An actor whose handlers and hooks are plain functions that run off the loop."""

    _hooks: ClassVar[tuple[str, ...]] = ("on_start", "on_stop", "on_failure")

    @classmethod
    def _build_table(cls) -> Table:
        for name in cls._hooks:
            cls._adapt(getattr(cls, name))
        table = super()._build_table()
        table.add_runtime(ProxyCall, _call_by_proxy)
        table.add_runtime(ProxyGetAttr, _get_by_proxy)
        table.add_runtime(ProxySetAttr, _set_by_proxy)
        return table

    @classmethod
    def _adapt(cls, handler: Handler) -> Handler:
        if iscoroutinefunction(handler):
            name = getattr(handler, "__name__", repr(handler))
            raise TypeError(
                f"{cls.__qualname__}.{name} is `async def`, but its handlers and hooks run where "
                "there is no event loop. Write `def` and block, or make it an Actor."
            )
        return handler

    def _off_loop(self) -> bool:
        """Whether the caller is a handler or hook, or another thread, rather than the loop."""
        return get_ident() != self._bound().node.ident or isinstance(acting.get(), Hand)

    def _life(self) -> Life:
        if self._off_loop():
            raise RuntimeError(
                f"{self.path} does not run on the event loop, so it cannot start tasks, defer "
                f"answers or stash messages there ({type(self).__qualname__} is no plain Actor). "
                "Block for the result, answer with the handler's return value, and leave the rest "
                "to an Actor that it tells."
            )
        return ActorContract._life(self)


# -- proxies: as in pykka_view.py, but who calls these answers for a bad attribute --------


def _call_by_proxy(actor: Any, message: ProxyCall) -> Any:
    return _reach(actor, message.attr_path)(*message.args, **message.kwargs)


def _get_by_proxy(actor: Any, message: ProxyGetAttr) -> Any:
    return _reach(actor, message.attr_path)


def _set_by_proxy(actor: Any, message: ProxySetAttr) -> None:
    parent = _reach(actor, message.attr_path[:-1])
    try:
        setattr(parent, message.attr_path[-1], message.value)
    except AttributeError as error:
        raise _BadAttribute(actor, error) from error
