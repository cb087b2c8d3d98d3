"""Our actors as pykka knows them: `ref.pykka` is a real `pykka.ActorRef` on the same mailbox.

Foreign pykka actors tell, ask, stop and proxy our actors through it. Two things differ, both on
purpose: `ActorRegistry.stop_all()` is refused (it would tear the tree down in list order, behind
the supervisors' backs), and a fault in a handler that was asked is a crash of the actor.

An actor has a view only once somebody asks for it, or if it is public; all others never meet
pykka's registry, which is a list.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import uuid
from functools import partial
from inspect import iscoroutine
from math import inf
from threading import get_ident
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import pykka
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr

from supervision.cell import Phase
from supervision.errors import (
    ActorStopped,
    BlockingOnLoop,
    MailboxFull,
    NotAccepted,
    Refuse,
    Refused,
)
from supervision.events import DeadLetterReason, StopAllRefused
from supervision.messages import NORMAL
from supervision.messages import StopRequest as StopRequest
from supervision.reply import Reply

if TYPE_CHECKING:
    from supervision.cell import Cell

logger = logging.getLogger("troupe.supervision")

_STOP_ALL: CodeType = pykka.ActorRegistry.stop_all.__func__.__code__  # type: ignore[attr-defined]
_BROADCAST: CodeType = pykka.ActorRegistry.broadcast.__func__.__code__  # type: ignore[attr-defined]

_making_view = threading.Lock()
"""Threads that ask for an actor's view at once must get the same one: it has the URN."""


class PykkaRef(pykka.ActorRef[Any]):
    """A `pykka.ActorRef` to one of our actors. Any thread; there is one per actor."""

    def __init__(self, cell: Cell) -> None:
        # pykka's constructor wants an instance, and ours changes at a restart.
        self._cell = cell
        self._listed = False
        self.actor_class = _class_of(cell)
        self.actor_urn = uuid.uuid4().urn
        self.actor_stopped = threading.Event()

    @property
    def actor_inbox(self) -> _Inbox:  # type: ignore[override]
        """The mailbox: `put` works, `get` belongs to the dispatcher."""
        return _Inbox(self._cell)

    # -- coming and going, told by the runtime ----------------------------------------------

    def entered(self, actor_class: type[Any]) -> None:
        """An instance is about to start: it is alive and, if public, in pykka's registry."""
        self.actor_class = actor_class
        self.actor_stopped.clear()
        if self._cell.spec.public and not self._listed:
            self._listed = True
            pykka.ActorRegistry.register(self)

    def left(self) -> None:
        """No instance follows: it is not alive, and in no registry."""
        if self.actor_stopped.is_set():
            return
        self._listed = False
        # Whoever registered it: people may register views of actors that are not public.
        pykka.ActorRegistry.unregister(self)
        self.actor_stopped.set()

    def _dead(self) -> ActorStopped:
        return ActorStopped(str(self), "not found")

    def _actor_weakref(self) -> Any:  # type: ignore[override]
        """The instance, for pykka's proxies to look at. (A weak reference is called as well.)"""
        actor = self._cell.actor
        if actor is None:
            why = "has no instance at the moment, being restarted; make the proxy again in a while"
            raise ActorStopped(str(self), why)
        return actor

    # -- talking ------------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        """Send a message.

        Raises:
            pykka.ActorDeadError: the actor is gone.
            NotAccepted: it has no handler for this type.
            MailboxFull: no room; the message is attached.
        """
        try:
            if not self.is_alive():
                raise self._dead()
            self._cell.ref.tell(message)
        except (ActorStopped, NotAccepted, MailboxFull) as error:
            # One actor that cannot take it must not keep a broadcast from all the others.
            if not _called_by(_BROADCAST, sys._getframe(1)):
                raise
            self._cell.ref._bury(message, _letter_reason(error))

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Ask; with `block` the answer, else a future. Without a timeout it waits for ever.

        It cannot wait for ever in vain: an actor that goes answers all its asks.

        Raises:
            BlockingOnLoop: with `block` on the loop's own thread; nothing has been sent then.
        """
        if block:
            self._may_block("ask")
        if self.is_alive():
            reply: Reply[Any] = self._cell.ref.ask(message, timeout=inf)
        else:
            reply = self._settled(None, self._dead())
        return reply.get(timeout=timeout) if block else reply

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Stop the actor after the messages before this one. Its supervisor may restart it.

        Returns True if this stopped it, False if it was gone already (a future if not `block`).

        Raises:
            BlockingOnLoop: with `block` on the loop's own thread; it is not being stopped then.
        """
        if _called_by(_STOP_ALL, sys._getframe(1)):
            self._refuse_stop_all()
            return False if block else self._settled(False)
        if block:
            self._may_block("stop")
        stopped = self._stop() if self.is_alive() else self._settled(False)
        return stopped.get(timeout=timeout) if block else stopped

    def _stop(self) -> Reply[bool]:
        """Put a stop behind what waits in the mailbox, however full that is."""
        cell = self._cell
        node = cell.node
        asked: Reply[None] = Reply(node, cell, inf)
        stopped: Reply[bool] = Reply(node, cell, inf)

        def done(_asked: Reply[None]) -> None:
            stopped.settle(True, None)

        asked.on_settled(done)  # nobody else knows it yet, so any thread may
        cell.inbox.append((next(node.ids), cell.ref._cause(), StopRequest(NORMAL), asked))
        if get_ident() == node.ident:
            cell.collect()
        else:
            node.mailed(cell)
        return stopped

    def _settled(self, value: Any, error: Exception | None = None) -> Reply[Any]:
        reply: Reply[Any] = Reply(self._cell.node, self._cell)
        reply.settle(value, error)
        return reply

    def _may_block(self, what: str) -> None:
        node = self._cell.node
        if node.open and get_ident() == node.ident:
            raise BlockingOnLoop(f"{what}(block=True) of {self}")

    def _refuse_stop_all(self) -> None:
        cell = self._cell
        node = cell.node
        logger.error(
            "ActorRegistry.stop_all() does not stop %s: it belongs to a supervision tree. Leave "
            "the `open_system` block, or stop it by its supervisor.",
            cell.path,
        )
        node.call_soon(lambda: node.events.publish(StopAllRefused(node.time(), cell.path)))


def view_of(cell: Cell) -> PykkaRef:
    """The one view of an actor, made now if need be. Any thread."""
    with _making_view:
        view = cell.view
        if view is None:
            view = cell.view = PykkaRef(cell)
    if cell.phase is Phase.GONE:  # maybe before it knew of a view to tell
        view.left()
    return view


def _class_of(cell: Cell) -> type[Any]:
    """The actor's class, as well as it can be known without an instance."""
    if cell.actor is not None:
        return type(cell.actor)
    start: Any = cell.spec.start
    while isinstance(start, partial):
        start = start.func
    return start if isinstance(start, type) else pykka.Actor


def _called_by(code: CodeType, frame: FrameType | None) -> bool:
    """Whether that function of pykka's is the caller: it gives no other sign of itself."""
    for _ in range(2):  # up to Python 3.11 a list comprehension has a frame of its own
        if frame is None:
            return False
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _letter_reason(error: Exception) -> DeadLetterReason:
    if isinstance(error, MailboxFull):
        return DeadLetterReason.FULL
    if isinstance(error, NotAccepted):
        return DeadLetterReason.NOT_ACCEPTED
    return DeadLetterReason.STOPPED


class _Inbox:
    """pykka's inbox protocol, for code that puts envelopes in by itself."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def put(self, envelope: Any, /) -> None:
        """Take a pykka envelope; its future gets the answer."""
        cell, future = self._cell, envelope.reply_to
        if future is None:
            cell.ref.tell(envelope.message)
            return
        reply: Reply[Any] = cell.ref.ask(envelope.message, timeout=inf)
        cell.node.call_soon(lambda: reply.on_settled(partial(_forward, future)))

    def get(self) -> Any:
        raise RuntimeError("only the dispatcher takes messages out of this inbox")

    def empty(self) -> bool:
        return not self._cell.inbox


def _forward(future: pykka.Future[Any], reply: Reply[Any]) -> None:
    error = reply.error
    try:
        if error is None:
            future.set(reply.result())
        else:
            future.set_exception((type(error), error, error.__traceback__))
    except queue.Full:
        pass  # somebody has answered it already
    except Exception:  # pykka's futures are open to subclasses; theirs must not stop our loop
        logger.exception("A foreign future did not take the answer of %s", reply._target_path())


# -- proxies: attribute access by message ---------------------------------------------------


class NoAttribute(Refused, AttributeError):
    """A proxy asked for an attribute that is not there, or cannot be set."""


class BadArguments(Refused, TypeError):
    """A proxy called a method with arguments it does not take."""


class _AskersMistake(Refuse):
    """What a proxy cannot reach or call is its user's fault, so the actor lives."""

    def __init__(self, kind: type[Refused], error: Exception) -> None:
        super().__init__(str(error))
        self._kind = kind

    def answer(self, actor: str) -> Refused:
        refused = self._kind(actor, self.reason)
        refused.__cause__ = self.__cause__
        return refused


def _reach(actor: Any, path: tuple[str, ...]) -> Any:
    value = actor
    try:
        for name in path:
            value = getattr(value, name)
    except AttributeError as error:
        raise _AskersMistake(NoAttribute, error) from error
    return value


def call_by_proxy(actor: Any, message: ProxyCall) -> Any:
    """`proxy.method(...)`. An async method goes on in the actor's own task."""
    method = _reach(actor, message.attr_path)
    try:
        value = method(*message.args, **message.kwargs)
    except TypeError as error:
        traceback = error.__traceback__
        if traceback is not None and traceback.tb_next is None:  # the method was never entered
            raise _AskersMistake(BadArguments, error) from error
        raise
    if iscoroutine(value):
        actor._rt_life().handle_in_task(value)
        return None
    return value


def get_by_proxy(actor: Any, message: ProxyGetAttr) -> Any:
    """`proxy.attribute`."""
    return _reach(actor, message.attr_path)


def set_by_proxy(actor: Any, message: ProxySetAttr) -> None:
    """`proxy.attribute = value`."""
    parent = _reach(actor, message.attr_path[:-1])
    try:
        setattr(parent, message.attr_path[-1], message.value)
    except AttributeError as error:
        raise _AskersMistake(NoAttribute, error) from error
