"""`Actor`: what people subclass.

pykka's contract (`on_start`, `on_receive`, `on_stop`, `on_failure`) run by the node's dispatcher: a
plain handler is a step that nothing can interrupt, re-enter or cancel; an `async def` handler runs
in the actor's own task with its mailbox paused.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from trio.lowlevel import enable_ki_protection

from supervision.contract import ActorContract
from supervision.errors import NotAccepted, Refuse
from supervision.messages import NORMAL, Envelope, ExitReason, Terminated, Wake
from supervision.promise import Promise, Promised
from supervision.pykka_view import StopRequest
from supervision.ref import ActorRef
from supervision.reply import Reply
from supervision.tasks import Task
from supervision.timers import Timer

if TYPE_CHECKING:
    from supervision.system import System

logger = logging.getLogger("troupe.supervision")

M = TypeVar("M")
T = TypeVar("T")


class Actor(ActorContract, Generic[M]):
    """An actor that accepts messages of type M, run by the node's dispatcher.

    Say what it accepts by `@handles` methods, or by overriding `on_receive` with an annotated
    message parameter. What a handler of a `Request` returns is the answer; `raise Refuse(reason)`
    says no; anything else raised is a crash, whether somebody asked or told.

    Names that begin with `_rt_` are the runtime's; all others are yours.
    """

    # -- hooks ----------------------------------------------------------------------------

    def on_start(self) -> Any:
        """Runs before the first message, at every restart too. May be `async def`."""

    def on_receive(self, message: Any) -> Any:
        """Handle a message that no `@handles` method takes. May be `async def`.

        The default, reached by `super().on_receive(message)`, logs a warning as pykka's does.
        """
        logger.warning(f"Unexpected message received by {self}: {type(message).__qualname__}")

    def on_stop(self) -> Any:
        """Runs after the last message when the actor stops in order. May be `async def`."""

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Runs when the actor crashed, before its tasks are cancelled. Plain, and short."""

    # -- who and where --------------------------------------------------------------------

    @property
    def ref(self) -> ActorRef[M]:
        """This actor's own address, for others."""
        return self._rt_bound().ref

    @property
    def path(self) -> str:
        """This actor's address in the tree."""
        return self._rt_bound().path

    @property
    def system(self) -> System:
        """The system it runs in."""
        from supervision.system import System

        return System(self._rt_bound().node)

    @property
    def now(self) -> float:
        """The node's time, seconds: trio's clock, virtual in tests."""
        return self._rt_bound().node.time()

    def __repr__(self) -> str:
        cell = getattr(self, "_rt_cell", None)  # none if its `__init__` forgot to call its super's
        where = cell.path if cell is not None else "not running"
        return f"<{type(self).__name__} {where}>"

    # -- stopping -------------------------------------------------------------------------

    @enable_ki_protection
    def stop(self, reason: ExitReason = NORMAL) -> None:
        """Stop once the messages that already wait are handled, as in pykka."""
        self._rt_bound().deliver(StopRequest(reason))

    # -- answering later ------------------------------------------------------------------

    @enable_ki_protection
    def defer(self) -> Promise[Any]:
        """Answer the request in hand later, by the promise this returns.

        The handler's return value is then ignored. If the actor ends before it has answered, the
        asker is told so. What this handler asks, or starts a task for, still inherits the asker's
        deadline.

        Raises:
            RuntimeError: the message in hand asks for no answer, or this is no plain handler.
        """
        life = self._rt_life()
        node = life.cell.node
        reply = node.current[3]
        if reply is None or isinstance(reply, Promised):
            raise RuntimeError(
                f"{self.path} has nothing to defer: the message in hand was told, not asked, or is "
                "deferred already, or this is an async handler, whose return value is the answer."
            )
        node.current = (*node.current[:3], Promised(reply))
        life.owe(reply)
        return Promise(life, reply)

    # -- tasks ----------------------------------------------------------------------------

    @enable_ki_protection
    def start_task(
        self,
        function: Callable[..., Awaitable[T]],
        *args: Any,
        name: str = "",
        to: Callable[[T], Any] | None = None,
        failed: Callable[[Exception], Any] | None = None,
        cancelled: Callable[[], Any] | None = None,
    ) -> Task:
        """Run an async function beside the mailbox, for as long as this instance lives.

        Its outcome comes back as a message to this actor.

        Args:
            to: makes the message from the result; without it the result is dropped.
            failed: makes the message from the exception; without it the actor crashes.
            cancelled: makes the message if the task was cancelled by `task.cancel()`.
        """
        label = name or getattr(function, "__qualname__", repr(function))
        return self._rt_life().start_task(function, args, label, to, failed, cancelled)

    @enable_ki_protection
    def pipe(
        self,
        reply: Reply[T],
        *,
        to: Callable[[T], Any],
        failed: Callable[[Exception], Any] | None = None,
    ) -> None:
        """Have the answer to an ask come back as a message: `self.pipe(ref.ask(Total()), to=Got)`.

        Args:
            to: makes the message from the answer.
            failed: makes the message from the error; without it a failed ask is this actor's crash.
        """
        life = self._rt_life()
        cause = life.handling()[0]

        def settled(reply: Reply[T]) -> None:
            if life.over or life.winding:
                return
            error = reply.error
            if error is None:
                life.cell.signal(life.report, cause, to, reply.result())
            elif failed is not None and isinstance(error, Exception):
                life.cell.signal(life.report, cause, failed, error)
            else:
                life.cell.signal(life.crash, error, None, "piped ask")

        reply.on_settled_at(life.cell.node, settled)

    # -- time -----------------------------------------------------------------------------

    @enable_ki_protection
    def send_after(self, seconds: float, message: M) -> Timer:
        """Send this actor a message after a time, unless the timer is cancelled or it restarts."""
        return self._rt_timer(self.now + seconds, message)

    @enable_ki_protection
    def send_every(self, seconds: float, message: M, *, first: float | None = None) -> Timer:
        """Send this actor a message at a fixed rate.

        Beats that were missed are skipped: those for which the loop is late, and those that find
        the one before still waiting in the mailbox.

        Args:
            first: when the first beat comes, node time; `seconds` from now without it. Actors that
                choose it from one grid share the loop's wake-ups.
        """
        if not seconds > 0:
            raise ValueError(f"the period is a positive number of seconds, not {seconds!r}")
        life = self._rt_life()
        node = life.cell.node
        cause = life.handling()[0]
        if first is not None:
            _must_be_a_time(first)
        beat = node.time() + seconds if first is None else first

        sent: Envelope | None = None

        def tick() -> None:
            nonlocal beat, sent
            if sent is None or sent not in tuple(life.cell.inbox):
                sent = life.send_own(message, cause)
            missed = max(0, math.ceil((node.time() - beat) / seconds) - 1)
            beat += seconds * (missed + 1)
            if not life.over:
                timer.over = False
                node.timers.arm(beat, timer)

        self._rt_must_handle(message)
        timer = node.timers.call_at(beat, tick)
        life.keep(timer)
        return timer

    @enable_ki_protection
    def wake_at(self, when: float) -> None:
        """Be sent `Wake` at a time; replaces the last `wake_at`, and `math.inf` takes it back.

        For a machine that tells its deadline: `self.wake_at(self.machine.deadline)` after each
        event is all the timing it needs.
        """
        life = self._rt_life()
        known: Timer | None = self.__dict__.get("_rt_wake")
        if known is not None:
            known.cancel()
        if when == math.inf:
            self.__dict__["_rt_wake"] = None
            return
        node = life.cell.node
        _must_be_a_time(when)
        self._rt_must_handle(Wake(when))
        cause = life.handling()[0]
        timer = node.timers.call_at(when, lambda: life.send_own(Wake(node.time()), cause))
        self.__dict__["_rt_wake"] = timer
        life.keep(timer)

    def _rt_timer(self, when: float, message: Any) -> Timer:
        life = self._rt_life()
        _must_be_a_time(when)
        self._rt_must_handle(message)
        cause = life.handling()[0]
        timer = life.cell.node.timers.call_at(when, lambda: life.send_own(message, cause))
        life.keep(timer)
        return timer

    def _rt_must_handle(self, message: Any) -> None:
        table = self._rt_bound().table
        if not table.admits(type(message)):
            raise NotAccepted(self.path, "no handler", type(message), table.names())

    # -- watching -------------------------------------------------------------------------

    @enable_ki_protection
    def watch(self, ref: ActorRef[Any]) -> None:
        """Be sent `Terminated` once that actor is gone for good (a restart does not count).

        At once if it is gone. To watch an actor that is being watched changes nothing.
        """
        life = self._rt_life()
        if not life.cell.table.admits(Terminated):
            raise NotAccepted(self.path, "it watches", Terminated, life.cell.table.names())
        watched = ref._cell
        watching = life.watching
        if watching is None:
            watching = life.watching = {}
        if watched in watching:
            return
        terminated = watched.terminated(life.cell, life)

        def on_gone(reason: ExitReason) -> None:
            watching.pop(watched, None)
            terminated(reason)

        watching[watched] = on_gone
        watched.watch(on_gone)

    @enable_ki_protection
    def unwatch(self, ref: ActorRef[Any]) -> None:
        """Watch no longer. A `Terminated` that is already in the mailbox still comes."""
        life = self._rt_life()
        on_gone = (life.watching or {}).pop(ref._cell, None)
        if on_gone is not None:
            ref._cell.unwatch(on_gone)

    # -- stash ----------------------------------------------------------------------------

    @enable_ki_protection
    def stash(self) -> None:
        """Put the message in hand aside, for a better moment; its asker keeps waiting.

        Raises:
            Refuse: as many messages are stashed as the mailbox may hold; let it pass, and whoever
                asked is refused.
        """
        life = self._rt_life()
        cell = life.cell
        current = cell.node.current
        if cell.node.running is not cell or type(current[2]) not in cell.table:
            raise RuntimeError(f"{self.path} can only stash in a plain handler, what it handles")
        if isinstance(current[3], Promised):
            raise RuntimeError(
                f"{self.path} has deferred the answer, so it has handled the message"
            )
        if life.stashed is None:
            life.stashed = deque()
        if life.stashed and life.stashed[-1][0] == current[0]:
            return
        if len(life.stashed) >= cell.capacity:
            raise Refuse(f"{cell.capacity} messages are stashed already")
        life.stashed.append(current)
        cell.node.current = (*current[:3], None)

    @enable_ki_protection
    def unstash(self) -> None:
        """Handle what was stashed next, in the order it came."""
        self._rt_life().unstash_all()


def _must_be_a_time(when: float) -> None:
    """Else it would put the timers of the whole node out of order."""
    if math.isnan(when):
        raise ValueError("a time is a number of seconds, not nan")


ActorContract._rt_base = Actor
