"""The thread of a BlockingActor: runs the handlers and hooks of one life, in batches.

The loop hands it a batch of messages at a time. A message is begun by whoever takes it from the
batch: the thread from the left, the loop, if the actor is to stop, from the right. So each is
handled or goes back to the inbox, never both, and no lock is needed.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any

from supervision.acting import acting
from supervision.actor import Actor
from supervision.errors import Refuse
from supervision.executor import put_back
from supervision.messages import IDLE, KILLED, Envelope
from supervision.observe import KILLED as CUT_OFF
from supervision.observe import OK, REFUSED, report
from supervision.offloop import Hand, OffLoopActor, request_stop
from supervision.pykka_view import StopRequest

if TYPE_CHECKING:
    from supervision.life import Life
    from supervision.reply import Reply

Done = Callable[[BaseException | None], None]


class Batch:
    """Messages that the thread has in hand."""

    def __init__(self, envelopes: Sequence[Envelope]) -> None:
        self._envelopes = envelopes
        self.waiting = deque(envelopes)
        self._taken_back = 0
        self.handled: list[tuple[Envelope, float, float, BaseException | None]] = []
        """With each message when it was done, how long it took, and what its handler raised."""
        self.owed: list[tuple[Reply[Any], Any, Exception | None]] = []
        """Answers that the loop gives when the batch is done."""
        self.error: BaseException | None = None
        self.failed: Envelope | None = None
        self.where = "handler"

    def begin(self) -> Envelope | None:
        """The next message, which is now begun. Called by the thread."""
        try:
            return self.waiting.popleft()
        except IndexError:
            return None

    def take_back(self) -> list[Envelope]:
        """The messages that are not begun and now never will be. Called by the loop."""
        taken: list[Envelope] = []
        while self.waiting:
            try:
                taken.append(self.waiting.pop())
            except IndexError:  # the thread was faster
                break
        self._taken_back += len(taken)
        return taken[::-1]

    def begun(self) -> Sequence[Envelope]:
        """All that the thread has taken; known once the rest was taken back."""
        return self._envelopes[: len(self._envelopes) - self._taken_back]


class ActorThread:
    """The `Executor` of one life of a BlockingActor. Methods run on the loop unless they say so.

    Args:
        batch_size: messages handed over at once.
        batch_end: if given, it is called after each batch, and the answers of the batch are given
            only once it has returned.
    """

    def __init__(
        self,
        life: Life,
        actor: OffLoopActor[Any],
        *,
        batch_size: int = 16,
        batch_end: Callable[[], object] | None = None,
    ) -> None:
        self.life = life
        self.cell = life.cell
        self.closed = False
        self._actor = actor
        self._batch_size = batch_size
        self._batch_end = batch_end
        self._hand = Hand(life.cell)
        self._batch: Batch | None = None
        self._in_hand = 0
        """Jobs that the thread has not finished."""
        self._closing = False
        self._clock_held = False
        self._open()

    # -- where jobs run (InlineThread has other answers) ----------------------------------

    def _open(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name=f"troupe {self.cell.path}", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        """The thread."""
        acting.set(self._hand)
        while (job := self._jobs.get()) is not None:
            job()
        self._post(self.cell.signal, self._ended)

    def _submit(self, job: Callable[[], None] | None) -> None:
        """Have a job done; None is the last."""
        self._jobs.put(job)

    def _post(self, step: Callable[..., None], *args: Any) -> None:
        """Have the loop call `step`, if this life is not left behind. Called by the thread."""
        if not self._hand.fenced:
            self.cell.node.call_soon(partial(self._arrived, step, args))

    def _arrived(self, step: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self._hand.fenced:
            step(*args)

    def _join(self) -> None:
        # It has said that it is done, so this takes microseconds.
        self._thread.join(1)

    def describe(self) -> str:
        """The thread, and where in the actor's code it is."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        while frame and frame.f_back and frame.f_back.f_code.co_filename != __file__:
            frame = frame.f_back
        where = ""
        if frame is not None:
            where = f" at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        doing = self._hand.doing
        what = f", handling {type(doing[0][2]).__qualname__}" if doing is not None else ""
        return f"thread {self._thread.name!r}{what}{where}"

    # -- messages -------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is in hand."""
        return self._in_hand == 0

    @property
    def doing(self) -> tuple[Envelope, float] | None:
        """The message in hand, and since when."""
        return self._hand.doing

    def feed(self) -> None:
        """Hand over what waits, if nothing is in hand."""
        cell, inbox, poison = self.cell, self.cell.inbox, self.cell.poison
        if self._in_hand or self._closing:
            self._pause()
            return
        envelopes: list[Envelope] = []
        while inbox and len(envelopes) < self._batch_size:
            try:
                envelope = inbox.popleft()
            except IndexError:  # dropped by a sender on another thread
                break
            if type(envelope[2]) is StopRequest:
                if not envelopes:
                    request_stop(cell, envelope)
                    return
                inbox.appendleft(envelope)
                break
            if poison is None or poison.admits(envelope):
                envelopes.append(envelope)
        if envelopes:
            self._batch = Batch(envelopes)
            self._pause()
            self._take_on(partial(self._work, self._batch))

    def _pause(self) -> None:
        """No further turn of this actor until the thread is done."""
        self.life.paused = True
        self.cell.halt = True

    def _take_on(self, job: Callable[[], None]) -> None:
        self._in_hand += 1
        self._hold_clock()
        self._submit(job)

    def _finished(self) -> None:
        self._in_hand -= 1
        self._hold_clock()

    def _hold_clock(self) -> None:
        """While there is work in hand a test's clock must not jump; but let it, to fence."""
        busy = self._in_hand > 0 or self._closing
        hold = busy and not (self.life.killed or self.closed)
        if hold is not self._clock_held:
            self._clock_held = hold
            self.cell.node.outside(1 if hold else -1)

    def _work(self, batch: Batch) -> None:
        """Handle a batch. Called by the thread."""
        hand, path, time = self._hand, self.cell.path, self.cell.node.time
        actor, table, batch_end = self._actor, self.cell.table, self._batch_end
        while (envelope := batch.begin()) is not None:
            hand.since, hand.envelope = time(), envelope
            _id, _cause, message, reply = envelope
            value: Any = None
            error: BaseException | None = None
            started = perf_counter()
            try:
                value = table[type(message)](actor, message)
            except BaseException as raised:  # noqa: BLE001  whatever it is, it is this actor's crash
                error = raised
            batch.handled.append((envelope, time(), perf_counter() - started, error))
            refused = error.answer(path) if isinstance(error, Refuse) else None
            if error is not None and refused is None:
                batch.error, batch.failed = error, envelope
                break
            if reply is not None:
                if batch_end is None and batch.waiting:
                    reply.settle(value, refused)
                else:  # the last one's goes with the word that the batch is done: one wake-up less
                    batch.owed.append((reply, value, refused))
            if hand.fenced:
                return
        hand.envelope = IDLE
        if batch_end is not None and batch.error is None and batch.handled:
            self._end_batch(batch, batch_end)
        self._post(self._answered, batch)

    def _end_batch(self, batch: Batch, batch_end: Callable[[], object]) -> None:
        """Make true what the batch is to be answered. Called by the thread."""
        try:
            batch_end()
        except BaseException as error:  # noqa: BLE001  whatever it is, it is this actor's crash
            batch.error, batch.where = error, "on_batch_end"

    def _answered(self, batch: Batch) -> None:
        """The thread has finished a batch, or crashed in it."""
        if batch.error is None:
            for reply, value, refused in batch.owed:
                reply.settle(value, refused)
        self.cell.signal(self._batch_done, batch)

    def _batch_done(self, batch: Batch) -> None:
        """Go on with the next, or crash."""
        cell, life = self.cell, self.life
        self._batch = None
        self._finished()
        put_back(cell, batch.take_back())
        self._account(batch)
        if batch.error is None:
            life.paused = False
            life.executor_idle()
            return
        if life.winding:
            cell.node.crashed(cell, batch.error, batch.where, batch.failed)
        else:
            life.crash(batch.error, batch.failed, batch.where)
        self._leave_unanswered(batch)

    def _account(self, batch: Batch) -> None:
        cell = self.cell
        cell.handled += len(batch.handled)
        for envelope, at, seconds, error in batch.handled:
            cell.busy += seconds
            outcome = OK if error is None else type(error).__qualname__
            report(cell, envelope, seconds, REFUSED if isinstance(error, Refuse) else outcome, at)

    def _leave_unanswered(self, batch: Batch) -> None:
        """What was begun and is not answered never will be."""
        reason = self.life.ending or KILLED
        for envelope in batch.begun():
            if envelope[3] is not None:
                envelope[3].settle(None, self.life._as_crash(reason))

    # -- hooks ----------------------------------------------------------------------------

    def call(self, hook: Callable[[], Any], done: Done) -> None:
        """Run a hook on the thread, then `done` as a signal step."""
        self._take_on(partial(self._run_hook, hook, done))

    def _run_hook(self, hook: Callable[[], Any], done: Done) -> None:
        """Run a hook. Called by the thread."""
        error: BaseException | None = None
        try:
            hook()
        except BaseException as raised:  # noqa: BLE001  whatever it is, it is this actor's crash
            error = raised
        self._post(self.cell.signal, self._hook_done, done, error)

    def _hook_done(self, done: Done, error: BaseException | None) -> None:
        self._finished()
        done(error)

    def failed(self, error: BaseException) -> None:
        """The actor crashed: run `on_failure` on the thread, after what it has in hand."""
        actor = self._actor
        if type(actor).on_failure is not Actor.on_failure:
            hook = partial(actor.on_failure, type(error), error, error.__traceback__)
            self.call(hook, self._on_failure_done)

    def _on_failure_done(self, error: BaseException | None) -> None:
        if error is not None:
            self.cell.node.crashed(self.cell, error, "on_failure", None)

    # -- the end --------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Take no further message; report idle after the one in hand."""
        if self._batch is not None:
            put_back(self.cell, self._batch.take_back())

    def close(self) -> None:
        """End after what is in hand. If that takes too long, the life leaves the thread behind."""
        self.interrupt()
        if not self._closing:
            self._closing = True
            self._submit(None)
        self._hold_clock()

    def _ended(self) -> None:
        self._join()
        self._has_ended()
        self.life.perhaps_over()

    def _has_ended(self) -> None:
        self.closed = True
        self._hold_clock()

    def abandon(self) -> None:
        """It would not end: whatever it still does is discarded."""
        self._hand.fenced = True
        if self._batch is not None:
            put_back(self.cell, self._batch.take_back())
            self._account(self._batch)
            self._leave_unanswered(self._batch)
            self._batch = None
        doing = self._hand.doing
        if doing is not None:
            envelope, since = doing
            report(self.cell, envelope, self.cell.node.time() - since, CUT_OFF)
        self._has_ended()


class InlineThread(ActorThread):
    """No thread at all, for simulations: the loop does each job when it comes."""

    def _open(self) -> None:
        """Nothing to open."""

    def _submit(self, job: Callable[[], None] | None) -> None:
        if job is None:
            self._post(self.cell.signal, self._ended)
            return
        node = self.cell.node
        token = acting.set(self._hand)
        node.running = self.cell
        try:
            job()
        finally:
            acting.reset(token)
            node.running = None

    def _post(self, step: Callable[..., None], *args: Any) -> None:
        step(*args)

    def _join(self) -> None:
        """Nothing to wait for."""

    def _hold_clock(self) -> None:
        """Nothing runs beside the clock."""

    def describe(self) -> str:
        """What it is."""
        return "inline handlers"
