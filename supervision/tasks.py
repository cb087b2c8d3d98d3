"""Tasks an actor owns: the only place where its code may wait beside its mailbox.

A task runs in the node's nursery under a cancel scope of its own, and its outcome is always a
message to the actor, so no exception group crosses actors and nothing fails unseen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import Abort, RaiseCancelT, current_task, enable_ki_protection

from supervision.acting import Acting, acting
from supervision.messages import Envelope

if TYPE_CHECKING:
    from supervision.life import Life


def single(error: BaseException) -> BaseException:
    """The one exception inside nested groups of one, so that its type can be matched.

    A task that fails while it is cancelled raises both from its nurseries: the failure counts.
    """
    if isinstance(error, BaseExceptionGroup):
        error = error.split(trio.Cancelled)[1] or error
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def only_cancelled(error: BaseException) -> bool:
    """Whether an error, unwrapped by `single`, is nothing but a cancellation."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)


class Task:
    """A running task of an actor; `cancel()` it, or leave it to end with the actor."""

    __slots__ = (
        "_scope",
        "envelope",
        "life",
        "name",
        "on_cancelled",
        "on_done",
        "on_failed",
        "trio_task",
    )

    def __init__(
        self,
        life: Life,
        name: str,
        envelope: Envelope,
        on_done: Callable[[Any], Any] | None = None,
        on_failed: Callable[[Exception], Any] | None = None,
        on_cancelled: Callable[[], Any] | None = None,
    ) -> None:
        self.life = life
        self.name = name
        self.envelope = envelope
        """What the actor was handling when it started the task."""
        self.on_done = on_done
        self.on_failed = on_failed
        self.on_cancelled = on_cancelled
        self._scope = trio.CancelScope()
        self.trio_task: trio.lowlevel.Task | None = None
        """What trio runs it as, once it does: `system.stacks(path)` shows where it waits."""

    def __repr__(self) -> str:
        return f"<Task {self.name} of {self.life.cell.path}>"

    @enable_ki_protection
    def cancel(self) -> None:
        """Ask the task to end at its next checkpoint. Its outcome is then `on_cancelled`."""
        self._scope.cancel()

    @enable_ki_protection
    async def run(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        """The body of the trio task. Ctrl-C is the main task's business, so it is kept out."""
        value: Any = None
        error: BaseException | None = None
        cell = self.life.cell
        self.trio_task = current_task()
        acting.set(Acting(cell, self.envelope, pausing=False))
        with self._scope:
            try:
                value = await function(*args)
            except trio.Cancelled:
                raise
            except BaseException as raised:
                failure = single(raised)
                if only_cancelled(failure):
                    raise  # to the scope, which makes an outcome of it
                error = failure
        cancelled = self._scope.cancelled_caught
        cell.signal(self.life.task_ended, self, value, error, cancelled)


class Runner(Task):
    """The actor's own task, in which its async handlers and hooks run one after the other.

    Kept between handlers, because starting a trio task costs more than waking one.
    """

    __slots__ = ("_job", "_sleeper")

    def __init__(self, life: Life, envelope: Envelope) -> None:
        super().__init__(life, "handlers", envelope)
        self._job: tuple[Coroutine[Any, Any, Any], Envelope, Callable[..., None]] | None = None
        self._sleeper: trio.lowlevel.Task | None = None

    def give(
        self,
        coroutine: Coroutine[Any, Any, Any],
        envelope: Envelope,
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Run a coroutine next. The mailbox is paused meanwhile, so there is one at most."""
        self._job = (coroutine, envelope, done)
        if self._sleeper is not None:
            sleeper, self._sleeper = self._sleeper, None
            trio.lowlevel.reschedule(sleeper)

    @enable_ki_protection
    async def serve(self) -> None:
        """Run jobs until cancelled."""
        while True:
            if self._job is None:
                self._sleeper = current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stop_sleeping)
                continue
            coroutine, envelope, done = self._job
            # One for each: what a handler leaves running in another nursery keeps it.
            identity = Acting(self.life.cell, envelope, pausing=True)
            identity.task = self.trio_task
            acting.set(identity)
            value: Any = None
            error: BaseException | None = None
            try:
                value = await coroutine
            except trio.Cancelled:
                raise
            except BaseException as raised:
                error = single(raised)
                if only_cancelled(error):
                    raise
            self._job = None
            done(value, error)

    def _stop_sleeping(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._sleeper = None
        return Abort.SUCCEEDED
