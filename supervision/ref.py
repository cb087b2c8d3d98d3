"""References: how an actor is spoken to.

`ActorRef[M]` is contravariant in the messages it takes, so a ref to a room that accepts
`Join | Leave | CallEnded` may stand where a ref that takes `CallEnded` is wanted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from pykka import ActorRef as PykkaActorRef
from trio.lowlevel import enable_ki_protection

from supervision.acting import acting
from supervision.cell import Phase
from supervision.errors import ActorStopped, MailboxFull
from supervision.events import DeadLetterReason
from supervision.messages import IDLE, Envelope, ExitReason, Request
from supervision.reply import Reply

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.foreign import ForeignRef
    from supervision.node import Node
    from supervision.pykka_view import PykkaRef

M_contra = TypeVar("M_contra", contravariant=True)
M = TypeVar("M")
T = TypeVar("T")


class ActorRef(Generic[M_contra]):
    """The address of an actor. It stays valid across restarts, and may be used on any thread."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def __repr__(self) -> str:
        return f"<ActorRef {self._cell.path}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and other._cell is self._cell

    def __hash__(self) -> int:
        return hash(self._cell)

    @property
    def path(self) -> str:
        """Its address in the tree, such as `/calls/c-7/session`."""
        return self._cell.path

    @property
    def alive(self) -> bool:
        """False once it is gone for good; True while it is being restarted."""
        return self._cell.phase is not Phase.GONE

    @property
    def accepts(self) -> tuple[type, ...]:
        """The message types it declares to accept, empty if it accepts anything."""
        return tuple(self._cell.table.accepted)

    @property
    def pykka(self) -> PykkaActorRef[Any]:
        """The same mailbox as a `pykka.ActorRef`, for pykka actors and their idioms."""
        return self._view()

    def _view(self) -> PykkaRef:
        from supervision.pykka_view import view_of

        return self._cell.view or view_of(self._cell)

    @classmethod
    def foreign(cls, actor: PykkaActorRef[Any], *, node: Node) -> ForeignRef:
        """A ref to an actor of another pykka runtime; `system.foreign(ref)` is the short form."""
        from supervision.foreign import foreign_ref

        return foreign_ref(actor, node)

    # -- tell -----------------------------------------------------------------------------

    @enable_ki_protection
    def tell(self, message: M_contra) -> None:
        """Send a message and go on. Never waits.

        To an actor that is gone it makes a dead letter. A full mailbox with policy REFUSE raises
        `MailboxFull`; inside a handler (a plain or an async one) it makes a counted dead letter
        instead, so that a slow receiver never crashes an innocent sender.

        Raises:
            NotAccepted: the actor has no handler for this type.
            MailboxFull: no room; the message is attached, nothing was lost.
        """
        cell = self._cell
        node = cell.node
        if (
            get_ident() == node.ident
            and type(message) in cell.table
            and len(cell.inbox) < cell.capacity
        ):
            current = node.current
            if current is IDLE:
                here = acting.get()
                if here is not None:
                    current = here.envelope
            cell.inbox.append((next(node.ids), current[0], message, None))
            if not cell.ready:
                cell.ready = True
                cell.lane.append(cell)
                if node.asleep:
                    node.wake()
        else:
            self._tell_slowly(message)

    def _tell_slowly(self, message: Any) -> None:
        """From another thread, to a full mailbox, to one that is gone, or a type met first."""
        cell = self._cell
        node = cell.node
        on_loop = get_ident() == node.ident
        problem = cell.post((next(node.ids), self._cause(), message, None))
        if problem is None:
            if on_loop:
                cell.schedule()
            else:
                node.mailed(cell)
            return
        if isinstance(problem, ActorStopped):
            self._bury(message, DeadLetterReason.STOPPED)
        elif isinstance(problem, MailboxFull) and _in_handler(node):
            cell.dropped += 1
            self._bury(message, DeadLetterReason.FULL)
        else:
            raise problem

    def _bury(self, message: Any, reason: DeadLetterReason) -> None:
        cell = self._cell
        if get_ident() == cell.node.ident:
            cell.node.dead_letter(cell.path, message, reason)
        else:
            cell.node.call_soon(lambda: cell.node.dead_letter(cell.path, message, reason))

    def _cause(self) -> int:
        node = self._cell.node
        if get_ident() == node.ident and node.current is not IDLE:
            return node.current[0]
        here = acting.get()
        return here.envelope[0] if here is not None else 0

    @enable_ki_protection
    async def send(
        self,
        message: M_contra,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  as `ask` has it
    ) -> None:
        """Send a message, waiting for room if the mailbox is full. From a trio task.

        Args:
            timeout: seconds to wait for room; the node's `ask_timeout` if not given.

        Raises:
            MailboxFull: no room in time.
            ActorStopped: the actor is gone.
            NotAccepted: the actor has no handler for this type.
        """
        cell = self._cell
        _only_on_loop(cell.node, "send")
        await trio.lowlevel.checkpoint()
        patience = cell.node.config.ask_timeout if timeout is None else timeout
        with trio.move_on_after(patience):
            while (
                len(cell.inbox) >= cell.capacity
                and cell.phase is not Phase.GONE
                and cell.table.admits(type(message))
            ):
                await _room_in(cell)
        if cell.phase is Phase.GONE:
            raise ActorStopped(cell.path)
        problem = cell.post((next(cell.node.ids), self._cause(), message, None))
        if problem is not None:
            raise problem
        cell.schedule()

    # -- ask ------------------------------------------------------------------------------

    @enable_ki_protection
    def ask(self, request: Request[T], *, timeout: float | None = None) -> Reply[T]:
        """Send a request; the reply can be awaited in trio, or `.get()` on another thread.

        It ends in the value, `Refused`, `ActorCrashed`, `ActorStopped` or `AskTimeout`: in nothing
        else, and never in nothing. Made while answering another ask, it inherits that one's
        deadline.

        Args:
            timeout: seconds to wait; the node's `ask_timeout` if not given, `math.inf` for ever.
        """
        cell = self._cell
        node = cell.node
        if get_ident() != node.ident:
            return self._ask_elsewhere(request, timeout)
        current = node.current
        if current is IDLE:
            here = acting.get()
            if here is not None:
                current = here.envelope
        reply = self._new_reply(timeout, current)
        if type(request) in cell.table and len(cell.inbox) < cell.capacity:
            cell.inbox.append((next(node.ids), current[0], request, reply))
            if not cell.ready:
                cell.ready = True
                cell.lane.append(cell)
                if node.asleep:
                    node.wake()
        else:
            problem = cell.post((next(node.ids), current[0], request, reply))
            if problem is not None:
                reply.settle(None, problem)
            if reply.done:  # refused, or dropped by policy: there is nothing to wait for
                return reply
            cell.schedule()
        if reply.deadline != inf:
            reply.over = False
            node.timers.arm(reply.deadline, reply)
        return reply

    def _new_reply(self, timeout: float | None, current: Envelope) -> Reply[Any]:
        cell = self._cell
        node = cell.node
        patience = node.config.ask_timeout if timeout is None else timeout
        if patience != patience:  # in the heap of timers it would put all others out of order
            raise ValueError("the timeout of an ask is a number of seconds, not nan")
        reply: Reply[Any] = Reply(node, cell, patience)
        deadline = node.time() + patience
        answering = current[3]
        if answering is not None and answering.deadline < deadline:
            reply._patience = max(0.0, patience - (deadline - answering.deadline))
            deadline = answering.deadline
        reply.deadline = deadline
        return reply

    def _ask_elsewhere(self, request: Any, timeout: float | None) -> Reply[Any]:
        """Ask from another thread: the mail goes in here, the timer is armed on the loop."""
        cell = self._cell
        node = cell.node
        here = acting.get()
        reply = self._new_reply(timeout, here.envelope if here is not None else IDLE)
        problem = cell.post((next(node.ids), self._cause(), request, reply))
        if problem is not None:
            reply.settle(None, problem)
            return reply
        if reply.deadline != inf:
            node.call_soon(lambda: _arm(reply, node))
        node.mailed(cell)
        return reply

    # -- life and death -------------------------------------------------------------------

    def on_gone(self, callback: Callable[[ExitReason], None]) -> None:
        """Call back on the loop once the actor is gone for good. Actors use `self.watch(ref)`."""
        self._cell.watch(callback)

    async def wait_gone(self) -> ExitReason:
        """Wait until the actor is gone for good; returns why. From a trio task."""
        _only_on_loop(self._cell.node, "wait_gone")
        await trio.lowlevel.checkpoint()
        gone = trio.Event()
        reasons: list[ExitReason] = []

        def on_gone(reason: ExitReason) -> None:
            reasons.append(reason)
            gone.set()

        self._cell.watch(on_gone)
        try:
            await gone.wait()
        finally:
            self._cell.unwatch(on_gone)
        return reasons[0]


def _in_handler(node: Node) -> bool:
    """Whether the caller is a handler or hook of an actor: plain, async, or on its own thread."""
    if get_ident() == node.ident and node.current is not IDLE:
        return True
    here = acting.get()
    return here is not None and here.pausing and here._is_waited_for()


def _only_on_loop(node: Node, what: str) -> None:
    if get_ident() != node.ident:
        raise RuntimeError(
            f"`{what}` waits on the loop that {node.name!r} runs on; from other threads and loops, "
            "`tell` and `ask` work"
        )


async def _room_in(cell: Cell) -> None:
    """Wait until there may be room in a mailbox, or its actor is gone."""
    room = trio.Event()
    if cell.room is None:
        cell.room = deque()
    waiting = cell.room
    waiting.append(room.set)
    try:
        await room.wait()
    finally:
        if not room.is_set():  # given up: whoever is woken in our place would never know
            waiting.remove(room.set)


def _arm(reply: Reply[Any], node: Node) -> None:
    if not reply.done:
        reply.over = False
        node.timers.arm(reply.deadline, reply)
