"""BlockingActor: the same contract on a thread of its own, for what blocks.

SQL drivers, ONNX sessions, file systems: whatever waits inside C code with the interpreter lock
released. Handlers and hooks run on the actor's thread, one at a time, and may block as they like;
the constructor runs on the loop, as pykka's runs in its creator, so connections are opened in
`on_start`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pykka

from supervision.acting import acting
from supervision.actor import Actor
from supervision.errors import NotAccepted
from supervision.messages import IDLE, NORMAL, ExitReason, Terminated, Wake
from supervision.offloop import Hand, OffLoopActor
from supervision.threads import ActorThread, InlineThread
from supervision.timers import Timer

if TYPE_CHECKING:
    from supervision.life import Life
    from supervision.ref import ActorRef
    from supervision.reply import Reply

M = TypeVar("M")
T = TypeVar("T")


if TYPE_CHECKING:

    class _PykkaThreadingActor:
        """The base at run time is `pykka.ThreadingActor`; see `contract.py` for why not here."""

else:
    _PykkaThreadingActor = pykka.ThreadingActor


class BlockingActor(OffLoopActor[M], _PykkaThreadingActor):
    """An actor on a daemon thread of its own; for what blocks.

    Handlers and hooks are plain functions and may block: `ref.ask(...).get()` waits for another
    actor. Refusing, crashing, restarting and stopping are those of every actor. A restart begins a
    new thread. A thread that does not end within the actor's shutdown time is left behind: its late
    answers are discarded, the ref goes to the next instance, and the node names it when it closes.

    What belongs to the loop works from the thread as well (`stop`, `send_after`, `send_every`,
    `wake_at`, `watch`, `pipe`: the loop does it a moment later), or raises an error that says what
    to do instead (`start_task`, `defer`, `stash`). In a simulation handlers run on the loop, where
    `.get()` raises `BlockingOnLoop`.
    """

    batch_size: ClassVar[int] = 16
    """How many messages the thread takes from the mailbox at once, at most."""

    _rt_hooks = (*OffLoopActor._rt_hooks, "on_batch_end")

    def on_batch_end(self) -> None:
        """Runs on the thread after each batch of messages, before their answers go out.

        Override it to commit what the batch has done: an answer then means that it is on disk, and
        many messages share one commit. If it raises, the actor crashes and nothing of the batch has
        been acknowledged: all who asked get `ActorCrashed`. A handler's crash counts for its whole
        batch likewise: `on_batch_end` does not run, and what the batch did is to be rolled back.
        """

    def _rt_born(self, life: Life) -> None:
        kind = InlineThread if life.cell.node.inline else ActorThread
        overridden = type(self).on_batch_end is not BlockingActor.on_batch_end
        life.executor = kind(
            life,
            self,
            batch_size=type(self).batch_size,
            batch_end=self.on_batch_end if overridden else None,
        )

    # -- what the loop does on behalf of the thread ---------------------------------------

    def _rt_on_loop(self, step: Callable[[], object]) -> None:
        """Have the loop do something as if the message in hand had done it there.

        Nothing happens if this instance's life is over by then.
        """
        cell = self._rt_bound()
        node = cell.node
        hand = acting.get()
        envelope = (*hand.envelope[:3], None) if isinstance(hand, Hand) else IDLE

        def carry_out() -> None:
            if cell.life is None or cell.life.actor is not self or cell.life.winding:
                return
            before = node.current, node.running
            node.current, node.running = envelope, cell
            try:
                step()
            finally:
                node.current, node.running = before

        node.call_soon(lambda: cell.signal(carry_out))

    def stop(self, reason: ExitReason = NORMAL) -> None:
        """Stop once the messages that already wait are handled, as in pykka. Any thread."""
        if self._off_loop():
            self._rt_on_loop(lambda: Actor.stop(self, reason))
        else:
            super().stop(reason)

    def send_after(self, seconds: float, message: M) -> Timer:
        """Send this actor a message after a time, unless the timer is cancelled or it restarts."""
        if not self._off_loop():
            return super().send_after(seconds, message)
        self._rt_must_handle(message)
        when = self.now + seconds
        return self._timer_on_loop(lambda: self._rt_timer(when, message))

    def send_every(self, seconds: float, message: M, *, first: float | None = None) -> Timer:
        """Send this actor a message at a fixed rate; beats that were missed are skipped."""
        if not self._off_loop():
            return super().send_every(seconds, message, first=first)
        if not seconds > 0:
            raise ValueError(f"the period is a positive number of seconds, not {seconds!r}")
        self._rt_must_handle(message)
        return self._timer_on_loop(lambda: Actor.send_every(self, seconds, message, first=first))

    def _timer_on_loop(self, arm: Callable[[], Timer]) -> Timer:
        timer = ThreadTimer(self._rt_on_loop)
        self._rt_on_loop(lambda: timer.armed_as(arm()))
        return timer

    def wake_at(self, when: float) -> None:
        """Be sent `Wake` at a time; replaces the last `wake_at`, and `math.inf` takes it back."""
        if not self._off_loop():
            super().wake_at(when)
            return
        if when != math.inf:
            self._rt_must_handle(Wake(when))
        self._rt_on_loop(lambda: Actor.wake_at(self, when))

    def watch(self, ref: ActorRef[Any]) -> None:
        """Be sent `Terminated` once that actor is gone for good (a restart does not count)."""
        if not self._off_loop():
            super().watch(ref)
            return
        table = self._rt_bound().table
        if not table.admits(Terminated):
            raise NotAccepted(self.path, "it watches", Terminated, table.names())
        self._rt_on_loop(lambda: Actor.watch(self, ref))

    def unwatch(self, ref: ActorRef[Any]) -> None:
        """Watch no longer. A `Terminated` that is already in the mailbox still comes."""
        if self._off_loop():
            self._rt_on_loop(lambda: Actor.unwatch(self, ref))
        else:
            super().unwatch(ref)

    def pipe(
        self,
        reply: Reply[T],
        *,
        to: Callable[[T], Any],
        failed: Callable[[Exception], Any] | None = None,
    ) -> None:
        """Have the answer to an ask come back as a message: `self.pipe(ref.ask(Total()), to=Got)`.

        Args:
            to: makes the message from the answer, on the loop.
            failed: makes the message from the error; without it a failed ask is this actor's crash.
        """
        if self._off_loop():
            self._rt_on_loop(lambda: Actor.pipe(self, reply, to=to, failed=failed))
        else:
            super().pipe(reply, to=to, failed=failed)


class ThreadTimer(Timer):
    """A timer set from a thread: the loop arms it, and cancels it."""

    __slots__ = ("_rt_on_loop", "_timer")

    def __init__(self, on_loop: Callable[[Callable[[], object]], None]) -> None:
        # Timer.__init__ is not called: what is in the heap is the timer that the loop makes.
        self._rt_on_loop = on_loop
        self._timer: Timer | None = None
        self.over = False
        """It was cancelled. That it has fired shows only by its message."""

    def armed_as(self, timer: Timer) -> None:
        """The loop has armed it. Loop thread only."""
        self._timer = timer

    def cancel(self) -> None:
        """Let the time pass unnoticed. Harmless when it already came."""
        if not self.over:
            self.over = True
            self._rt_on_loop(self._cancel)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
