"""One life of an actor: from its construction to the last of its tasks.

A crash ends a life, not the cell; the supervisor may begin another. Everything an instance owns
(tasks, timers, watches, stash, unanswered asks) is held here and ends with it, and whatever arrives
late for a life that is over is dropped and counted.

All methods run on the loop. Those that run the actor's own code are called by the dispatcher as
signal steps, so they are never nested in another handler.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from inspect import iscoroutine
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from supervision.acting import acting
from supervision.binding import binding
from supervision.cell import Cell, Phase
from supervision.errors import ActorCrashed, ActorStopped, Escalate, Refuse
from supervision.events import ActorEnded, ActorStarted, ActorStuck, DeadLetterReason
from supervision.executor import patience
from supervision.messages import IDLE, KILLED, NORMAL, Envelope, ExitReason, How
from supervision.tasks import Runner, Task
from supervision.timers import Timer

D = TypeVar("D")

if TYPE_CHECKING:
    from supervision.contract import ActorContract
    from supervision.executor import Executor
    from supervision.reply import Reply


class Kept(dict[D, None]):
    """What a life must settle at its end, in order. What needs it no more is forgotten in time."""

    __slots__ = ("_limit", "_needed")

    def __init__(self, needed: Callable[[D], bool]) -> None:
        super().__init__()
        self._needed = needed
        self._limit = 64

    def add(self, due: D) -> None:
        """Keep one more."""
        if len(self) >= self._limit:
            for kept in [kept for kept in self if not self._needed(kept)]:
                del self[kept]
            self._limit = max(64, 2 * len(self))
        self[due] = None

    def discard(self, due: D) -> None:
        """Keep it no more, if it is kept."""
        self.pop(due, None)


class Life:
    """What one instance owns, and the steps from its start to its end."""

    __slots__ = (
        "actor",
        "announced",
        "cell",
        "deferred",
        "ending",
        "executor",
        "fence_timer",
        "in_hand",
        "killed",
        "over",
        "paused",
        "runner",
        "since",
        "stashed",
        "tasks",
        "timers",
        "watching",
        "winding",
    )

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.actor: ActorContract | None = None
        self.executor: Executor | None = None
        """Where handlers run, if not on the loop."""
        self.paused = False
        """An async handler or hook is under way."""
        self.in_hand: Envelope | None = None
        self.since = 0.0
        """When an async handler began with it, in the node's time."""
        self.announced = False
        """The supervisor knows that it started."""
        self.ending: ExitReason | None = None
        self.winding = False
        """Its own code has run for the last time; only tasks remain."""
        self.killed = False
        self.over = False
        self.runner: Runner | None = None
        self.tasks: set[Task] | None = None
        self.timers: Kept[Timer] | None = None
        self.deferred: Kept[Reply[Any]] | None = None
        self.watching: dict[Cell, Callable[[ExitReason], None]] | None = None
        self.stashed: deque[Envelope] | None = None
        self.fence_timer: Timer | None = None

    # -- the beginning --------------------------------------------------------------------

    def begin(self) -> None:
        """Construct the instance and run `on_start`."""
        cell = self.cell
        cell.life = self
        cell.lives += 1
        if cell.reason is not None:  # else the last instance would live as long as this one
            cell.reason = cell.reason.without_error()
        cell.stop_is_done()
        cell.phase = Phase.STARTING
        actor, error = self.guarded(self._construct)
        cell.remote = self.executor is not None
        if error is not None:
            self._start_failed(error)
            return
        if cell.view is not None or cell.spec.public:
            cell.ref._view().entered(type(actor))
        actor._rt_start(self, self._started)

    def _construct(self) -> ActorContract:
        cell = self.cell
        binding.cell = cell
        try:
            actor = cell.spec.start()
        finally:
            binding.cell = None
        if getattr(actor, "_rt_cell", None) is not cell:
            raise TypeError(
                f"the start of child {cell.spec.id!r} gave {actor!r}, which is no new actor. It "
                "must return a new instance of an Actor whose `__init__` calls its super's."
            )
        self.actor = actor  # which has introduced itself to its cell
        actor._rt_born(self)
        return actor

    def _started(self, error: BaseException | None) -> None:
        if self.over:
            return
        if error is not None:
            self._start_failed(error)
            return
        cell = self.cell
        if self.ending is not None:  # told to stop while it was starting
            self._finish()
            return
        cell.phase = Phase.RUNNING
        self.announced = True
        node = cell.node
        if node.events.wants(ActorStarted):
            node.events.publish(ActorStarted(node.time(), cell.path, cell.lives))
        cell.reconsider()
        cell.node.child_started(cell)

    def _start_failed(self, error: BaseException) -> None:
        report = self.cell.node.crashed(self.cell, error, "start", None)
        self.ending = self._crash_reason(error, report)
        self._wind_down()

    # -- running code of the actor --------------------------------------------------------

    def guarded(
        self, function: Callable[..., Any], *args: Any, cause: int = 0
    ) -> tuple[Any, BaseException | None]:
        """Call code of the actor as the dispatcher calls a handler; errors are returned."""
        node = self.cell.node
        before, running = node.current, node.running
        node.current = (next(node.ids), cause or before[0], None, None)
        node.running = self.cell
        try:
            return function(*args), None
        except BaseException as error:  # noqa: BLE001  whatever it is, it is this actor's crash
            return None, error
        finally:
            node.current, node.running = before, running

    def call(self, hook: Callable[[], Any], done: Callable[[BaseException | None], None]) -> None:
        """Run a hook where the actor's handlers run, plain or async, then call `done`."""
        if self.executor is not None:
            self.executor.call(hook, done)
            return
        value, error = self.guarded(hook)
        if error is None and iscoroutine(value):

            def hook_done(_value: Any, error: BaseException | None) -> None:
                self.paused = False
                self.cell.signal(done, error)

            self._run_coroutine(value, IDLE, hook_done)
            return
        done(error)

    def _run_coroutine(
        self,
        coroutine: Coroutine[Any, Any, Any],
        envelope: Envelope,
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        self.paused = True
        if self.runner is None:
            self.runner = Runner(self, envelope)
            self._own(self.runner)
            self.runner.give(coroutine, envelope, done)
            self.cell.node.start_soon(self.runner.run, self.runner.serve, ())
        else:
            self.runner.give(coroutine, envelope, done)

    def handle_in_task(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Go on with an async handler in the actor's own task, its mailbox paused meanwhile."""
        node = self.cell.node
        envelope = node.current
        node.current = (*envelope[:3], None)  # the dispatcher must not answer
        self.in_hand = envelope
        self.since = node.time()
        self.cell.halt = True
        self._run_coroutine(coroutine, envelope, self._handled)

    def _handled(self, value: Any, error: BaseException | None) -> None:
        """An async handler has returned or raised. Runs in the actor's own task."""
        envelope, self.in_hand = self.in_hand, None
        reply = envelope[3] if envelope is not None else None
        cell = self.cell
        if envelope is not None and cell.looked_at:
            lasted = cell.node.time() - self.since
            outcome = "ok" if error is None else ""
            cell.node.observed(cell, envelope, lasted, error, outcome=outcome)
        if error is None:
            if reply is not None:
                reply.settle(value, None)
        elif isinstance(error, Refuse):
            self.refuse(reply, error)
        else:
            self.in_hand = envelope  # and still paused: a stop must not overtake the crash
            cell.signal(self.crash, error, envelope)
            return
        self.paused = False
        if self.ending is not None:
            cell.signal(self._finish)
        else:
            cell.reconsider()

    def owe(self, reply: Reply[Any]) -> None:
        """A promise will answer it, or the end of this life will."""
        if self.deferred is None:
            self.deferred = Kept(lambda owed: not owed.done)  # askers that gave up are owed nothing
        self.deferred.add(reply)

    def keep(self, timer: Timer) -> None:
        """A timer ends with this life."""
        if self.timers is None:
            self.timers = Kept(lambda kept: not kept.over)
        self.timers.add(timer)

    def handling(self) -> Envelope:
        """What the calling handler or task is at, plain or async."""
        current = self.cell.node.current
        if current is IDLE:
            here = acting.get()
            if here is not None:
                current = here.envelope
        return current

    def refuse(self, reply: Reply[Any] | None, refusal: Refuse) -> None:
        """A handler said no."""
        if reply is not None:
            reply.settle(None, refusal.answer(self.cell.path))

    # -- the end --------------------------------------------------------------------------

    def stop(self, reason: ExitReason) -> None:
        """End in order: the handler in hand, `on_stop`, then the tasks."""
        if self.ending is not None or self.over:
            return
        self.ending = reason
        if not self.paused and self.announced and (self.executor is None or self.executor.idle):
            self._finish()
        elif self.executor is not None:
            self.executor.interrupt()
        elif not self.announced and self.actor is not None:
            self.actor._rt_interrupt_start()

    def executor_idle(self) -> None:
        """A thread or worker has finished what it had in hand."""
        if self.ending is not None and not self.winding and self.announced:
            self._finish()

    def _finish(self) -> None:
        if self.winding or self.over or self.cell.phase is Phase.STOPPING:
            return
        self.cell.phase = Phase.STOPPING
        self.cell.leaves()
        assert self.actor is not None
        self.actor._rt_stop_in_order(self, self._stopped)

    def _stopped(self, error: BaseException | None) -> None:
        if self.over:
            return  # fenced, and the hook has ended after all
        if error is not None:
            report = self.cell.node.crashed(self.cell, error, "on_stop", None)
            self.ending = self._crash_reason(error, report)
        self._wind_down()

    def crash(
        self, error: BaseException, envelope: Envelope | None, where: str = "handler"
    ) -> None:
        """A handler or task raised: answer its asker, run `on_failure`, end."""
        if self.over or (self.winding and envelope is None):
            return
        cell = self.cell
        report = cell.node.crashed(cell, error, where, envelope)
        if self.winding:  # it ends already, but no fault goes unseen
            return
        reason = self._crash_reason(error, report)
        if self.in_hand is envelope:
            self.in_hand = None
        if envelope is not None and self.stashed and self.stashed[-1][0] == envelope[0]:
            envelope = self.stashed.pop()  # put aside or not, it is not tried again
        if envelope is not None and envelope[3] is not None:
            envelope[3].settle(None, self._as_crash(reason))
        self.ending = reason
        cell.phase = Phase.STOPPING
        cell.leaves()
        cell.halt = True
        if self.executor is not None:
            self.executor.failed(error)
        elif self.actor is not None:
            failure = self.guarded(self.actor.on_failure, type(error), error, error.__traceback__)[
                1
            ]
            if failure is not None:
                cell.node.crashed(cell, failure, "on_failure", None)
        self._wind_down()

    def _crash_reason(self, error: BaseException, report: str) -> ExitReason:
        how = How.ESCALATED if isinstance(error, Escalate) else How.CRASHED
        return ExitReason(how, error, report)

    def _as_crash(self, reason: ExitReason) -> Exception:
        if not reason.abnormal or reason.how is How.KILLED:
            return ActorStopped(self.cell.path)
        crash = ActorCrashed(self.cell.path, reason.report)
        crash.__cause__ = reason.error
        return crash

    def end_by_itself(self, reason: ExitReason) -> None:
        """The actor's own decision to end (a supervisor that gave up)."""
        if self.ending is None:
            self.ending = reason
        if not self.announced and reason.error is not None:
            self._wind_down()
        else:
            self._finish()

    def kill(self) -> None:
        """Its shutdown time is over: cut off what still runs."""
        if self.over or self.killed:
            return
        self.killed = True
        self.ending = KILLED
        self._fence_after(self.cell.node.config.kill_grace)
        self._wind_down()

    def _wind_down(self) -> None:
        """Its own code has run for the last time. End its tasks, its children, then itself."""
        self.winding = True
        self.cell.phase = Phase.STOPPING
        self.cell.halt = True
        self.cell.node.forget_waits(self.cell)
        for timer in self.timers or ():
            timer.cancel()
        self.timers = None
        for task in list(self.tasks or ()):
            task.cancel()
        if self.executor is not None:
            self.executor.close()
        if self.actor is not None:
            self.actor._rt_release(self)
        self.perhaps_over()
        if not self.over and self.fence_timer is None:
            # It ends by itself, so no supervisor's clock runs; yet it must not end for ever.
            self._fence_after(patience(self.cell))

    def perhaps_over(self) -> None:
        """Nothing of this life runs any more? Then it is over."""
        if self.over or not self.winding or self.tasks:
            return
        if self.executor is not None and not self.executor.closed:
            return
        if self.actor is not None and not self.actor._rt_released():
            return
        self._over()

    def _fence_after(self, seconds: float) -> None:
        if self.fence_timer is not None:
            self.fence_timer.cancel()
        if seconds < inf:
            node = self.cell.node
            self.fence_timer = node.timers.call_at(node.time() + seconds, self._fence_soon)

    def _fence_soon(self) -> None:
        self.cell.signal(self._fence)

    def _fence(self) -> None:
        """It would not end even when cut off: leave it behind, by name, and go on without it."""
        if self.over:
            return
        cell = self.cell
        if self.actor is not None and not self.actor._rt_released():
            # A supervisor whose children are still ending: they have fences of their own.
            self._fence_after(cell.node.config.kill_grace)
            return
        stuck = [f"{cell.path} task {task.name!r}" for task in self.tasks or ()]
        if self.executor is not None and not self.executor.closed:
            stuck.append(f"{cell.path} {self.executor.describe()}")
            self.executor.abandon()
        for what in stuck:
            cell.node.stuck_here(self, what)
            cell.node.events.publish(ActorStuck(cell.node.time(), cell.path, what))
        self._over()

    def _over(self) -> None:
        cell, reason = self.cell, self.ending or NORMAL
        self.over = True
        if self.fence_timer is not None:
            self.fence_timer.cancel()
        self._leave_unanswered(reason)
        for watched, on_gone in (self.watching or {}).items():
            watched.unwatch(on_gone)
        self.watching = None
        self.unstash_all()
        cell.forget_own_mail()
        cell.actor = cell.life = None
        cell.phase = Phase.ENDED
        cell.reason = reason
        cell.reconsider()
        node = cell.node
        if node.events.wants(ActorEnded):
            node.events.publish(ActorEnded(node.time(), cell.path, cell.lives, reason))
        node.child_ended(cell, reason, started=self.announced)

    def _leave_unanswered(self, reason: ExitReason) -> None:
        """Whoever still waits for an answer of this life gets to know that none will come."""
        if self.in_hand is not None:
            if self.paused and self.cell.looked_at:
                lasted = self.cell.node.time() - self.since
                self.cell.node.observed(self.cell, self.in_hand, lasted, None, outcome="killed")
            if self.in_hand[3] is not None:
                self.in_hand[3].settle(None, self._as_crash(reason))
        for reply in self.deferred or ():
            reply.settle(None, self._as_crash(reason))
        self.deferred = None

    def unstash_all(self) -> None:
        """Stashed messages belong to the mailbox: the next life gets them, in order."""
        if self.stashed:
            self.cell.inbox.extendleft(reversed(self.stashed))
            self.stashed = None
            self.cell.schedule()

    # -- owned tasks ----------------------------------------------------------------------

    def start_task(
        self,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        name: str,
        on_done: Callable[[Any], Any] | None,
        on_failed: Callable[[Exception], Any] | None,
        on_cancelled: Callable[[], Any] | None,
    ) -> Task:
        """Start a task that ends with this life at the latest."""
        if self.winding or self.over:
            raise RuntimeError(
                f"{self.cell.path} is ending, so it cannot start a task; start it earlier, or give "
                "the work to an actor that stays."
            )
        task = Task(self, name, self.handling(), on_done, on_failed, on_cancelled)
        self._own(task)
        self.cell.node.start_soon(task.run, function, args)
        return task

    def _own(self, task: Task) -> None:
        if self.tasks is None:
            self.tasks = set()
        self.tasks.add(task)

    def task_ended(
        self, task: Task, value: Any, error: BaseException | None, cancelled: bool
    ) -> None:
        """The outcome of a task, as a step of the actor."""
        if self.tasks is not None:
            self.tasks.discard(task)
        if self.over:
            self.cell.node.dead_letter(self.cell.path, task.name, DeadLetterReason.STALE)
            return
        if self.winding:
            if error is not None:
                self.cell.node.crashed(self.cell, error, f"task {task.name}", None)
            self.perhaps_over()
            return
        if error is not None:
            if task.on_failed is None or not isinstance(error, Exception):
                self.crash(error, None, f"task {task.name}")
            else:
                self.report(task.envelope[0], task.on_failed, error)
        elif cancelled:
            if task.on_cancelled is not None:
                self.report(task.envelope[0], task.on_cancelled)
        elif task.on_done is not None:
            self.report(task.envelope[0], task.on_done, value)

    def report(self, cause: int, make_message: Callable[..., Any], *args: Any) -> None:
        """Send the actor the message that `make_message` makes of an outcome."""
        message, error = self.guarded(make_message, *args, cause=cause)
        error = error or self._not_handled(message)
        if error is not None:
            self.crash(error, None, "outcome")
        elif not self.over:
            self.cell.deliver(message, cause)

    def _not_handled(self, message: Any) -> TypeError | None:
        """Why a message that the actor has arranged for itself cannot be delivered."""
        table = self.cell.table
        if type(message) in table or table.admits(type(message)):
            return None
        return TypeError(
            f"{self.cell.path} arranged for a {type(message).__qualname__} to itself but has no "
            f"handler for it; it accepts {', '.join(table.names())}."
        )

    def send_own(self, message: Any, cause: int) -> Envelope | None:
        """A timer of this life fires; returns what it has put into the mailbox."""
        if self.over:
            return None
        error = self._not_handled(message)
        if error is None:
            return self.cell.deliver(message, cause)
        self.cell.signal(self.crash, error, None, "timer")
        return None
