"""Our actors as pykka knows them: `ref.pykka` is a real `pykka.ActorRef` on the same mailbox.

Foreign pykka actors tell, ask, stop and proxy our actors through it. Two things differ, both on
purpose: `ActorRegistry.stop_all()` is refused (it would tear the tree down in list order, behind
the supervisors' backs), and a fault in a handler that was asked is a crash of the actor.
"""

from __future__ import annotations

import logging
import sys
import threading
import uuid
from collections.abc import Callable
from inspect import iscoroutine
from types import FrameType
from typing import TYPE_CHECKING, Any

import attrs
import pykka
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr

from supervision.cell import Phase
from supervision.errors import ActorStopped, Refused
from supervision.events import StopAllRefused
from supervision.messages import NORMAL, ExitReason
from supervision.reply import Reply

if TYPE_CHECKING:
    from supervision.cell import Cell

logger = logging.getLogger("troupe.supervision")

_STOP_ALL = pykka.ActorRegistry.stop_all.__func__.__code__  # type: ignore[attr-defined]


@attrs.frozen
class StopRequest:
    """Stop once the messages before this one are handled: what `stop()` means in pykka."""

    reason: ExitReason


class NoAttribute(Refused, AttributeError):
    """A proxy asked for an attribute that is not there, or cannot be set."""


class _Inbox:
    """pykka's inbox protocol, for code that puts envelopes in by itself."""

    def __init__(self, view: PykkaRef) -> None:
        self._view = view

    def put(self, envelope: Any, /) -> None:
        """Take a pykka envelope; its future gets the answer."""
        if envelope.reply_to is None:
            self._view.tell(envelope.message)
            return
        reply = self._view.ask(envelope.message, block=False)
        _forward(reply, envelope.reply_to)

    def get(self) -> Any:
        raise RuntimeError("only the dispatcher takes messages out of this inbox")

    def empty(self) -> bool:
        return not self._view._cell.inbox


def _forward(reply: Reply[Any], future: pykka.Future[Any]) -> None:
    def settled(reply: Reply[Any]) -> None:
        error = reply.error
        if error is None:
            future.set(reply.result())
        else:
            future.set_exception((type(error), error, error.__traceback__))

    cell = reply._target
    assert cell is not None
    cell.node.call_soon(lambda: reply.on_settled(settled))


class PykkaRef(pykka.ActorRef[Any]):
    """A `pykka.ActorRef` to one of our actors. Any thread; there is one per actor."""

    def __init__(self, cell: Cell) -> None:
        # pykka's constructor wants an instance, and ours changes at a restart.
        self._cell = cell
        self._gone: threading.Event | None = None
        self.actor_urn = uuid.uuid4().urn
        self.actor_inbox = _Inbox(self)

    @property
    def actor_class(self) -> type[Any]:  # type: ignore[override]
        """The class of the actor."""
        actor = self._cell.actor
        return type(actor) if actor is not None else self._class_when_gone

    _class_when_gone: type[Any] = pykka.Actor

    @property
    def actor_stopped(self) -> threading.Event:  # type: ignore[override]
        """Set once the actor is gone for good."""
        if self._gone is None:
            event = self.__dict__.setdefault("_event", threading.Event())
            if self._cell.phase is Phase.GONE:
                event.set()
            self._gone = event
            # The actor may have gone between the look and the assignment.
            if self._cell.phase is Phase.GONE:
                event.set()
        return self._gone

    def _actor_weakref(self) -> Any:
        return self._cell.actor

    def __str__(self) -> str:
        return f"{self.actor_class.__name__} ({self.actor_urn})"

    def is_alive(self) -> bool:
        """False once the actor is gone for good; True while it is being restarted."""
        return self._cell.phase is not Phase.GONE

    def registered(self, actor_class: type[Any]) -> None:
        """Enter pykka's registry."""
        self._class_when_gone = actor_class
        pykka.ActorRegistry.register(self)

    def left(self) -> None:
        """The actor is gone."""
        if self._cell.spec.public:
            pykka.ActorRegistry.unregister(self)
        if self._gone is not None:
            self._gone.set()

    def _dead(self) -> ActorStopped:
        return ActorStopped(str(self), "not found")

    def tell(self, message: Any) -> None:
        """Send a message; `pykka.ActorDeadError` if the actor is gone."""
        if not self.is_alive():
            raise self._dead()
        self._cell.ref.tell(message)

    def ask(  # type: ignore[override]
        self, message: Any, *, block: bool = True, timeout: float | None = None
    ) -> Any:
        """Ask; with `block` the answer, else a future. Without a timeout it waits for ever.

        It cannot wait for ever in vain: an actor that goes answers all its asks.
        """
        if self.is_alive():
            reply: Reply[Any] = self._cell.ref.ask(message, timeout=float("inf"))
        else:
            reply = Reply(self._cell.node, self._cell)
            reply.settle(None, self._dead())
        return reply.get(timeout=timeout) if block else reply

    def stop(  # type: ignore[override]
        self, *, block: bool = True, timeout: float | None = None
    ) -> Any:
        """Stop the actor after the messages before this one. Its supervisor may restart it.

        Returns True if this stopped it, False if it was gone already (a future if not `block`).
        """
        stopped: Reply[bool]
        if _called_by_stop_all(sys._getframe(1)):
            self._refuse_stop_all()
            stopped = Reply(self._cell.node, self._cell)
            stopped.settle(False, None)
            return False if block else stopped
        was_alive = self.is_alive()
        asked = self.ask(StopRequest(NORMAL), block=False)
        stopped = Reply(self._cell.node, self._cell)
        self._cell.node.call_soon(
            lambda: asked.on_settled(lambda _reply: _settle(stopped, was_alive))
        )
        return stopped.get(timeout=timeout) if block else stopped

    def _refuse_stop_all(self) -> None:
        cell = self._cell
        logger.error(
            "ActorRegistry.stop_all() does not stop %s: it belongs to a supervision tree. Leave the "
            "`open_system` block, or stop it by its supervisor.",
            cell.path,
        )
        node = cell.node
        node.call_soon(lambda: node.events.publish(StopAllRefused(node.time(), cell.path)))


def _settle(reply: Reply[bool], value: bool) -> None:
    reply.settle(value, None)


def _called_by_stop_all(frame: FrameType | None) -> bool:
    """`stop_all` gives no other sign of itself than being on the stack, right above `stop`."""
    for _ in range(2):  # up to Python 3.11 its list comprehension has a frame of its own
        if frame is None:
            return False
        if frame.f_code is _STOP_ALL:
            return True
        frame = frame.f_back
    return False


# -- proxies: attribute access by message ------------------------------------------------


def _reach(actor: Any, path: tuple[str, ...]) -> Any:
    value = actor
    try:
        for name in path:
            value = getattr(value, name)
    except AttributeError as error:
        raise _BadAttribute(actor, error) from error
    return value


class _BadAttribute(Exception):
    def __init__(self, actor: Any, error: AttributeError) -> None:
        self.answer = NoAttribute(actor._cell.path, str(error))
        self.answer.__cause__ = error


def _answer_bad_attribute(handle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """What a proxy cannot reach is the asker's mistake, so the actor lives."""

    def handler(actor: Any, message: Any) -> Any:
        try:
            return handle(actor, message)
        except _BadAttribute as bad:
            node = actor._cell.node
            reply = node.current[3]
            if reply is not None:
                node.current = (*node.current[:3], None)
                reply.settle(None, bad.answer)
            return None

    return handler


@_answer_bad_attribute
def call_by_proxy(actor: Any, message: ProxyCall) -> Any:
    """`proxy.method(...)`. An async method goes on in the actor's own task."""
    value = _reach(actor, message.attr_path)(*message.args, **message.kwargs)
    if iscoroutine(value):
        actor._life().handle_in_task(value)
        return None
    return value


@_answer_bad_attribute
def get_by_proxy(actor: Any, message: ProxyGetAttr) -> Any:
    """`proxy.attribute`."""
    return _reach(actor, message.attr_path)


@_answer_bad_attribute
def set_by_proxy(actor: Any, message: ProxySetAttr) -> None:
    """`proxy.attribute = value`."""
    parent = _reach(actor, message.attr_path[:-1])
    try:
        setattr(parent, message.attr_path[-1], message.value)
    except AttributeError as error:
        raise _BadAttribute(actor, error) from error
