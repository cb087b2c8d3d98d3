"""The actor that runs a room's hooks, so that the room itself never does.

Hooks that decide are asked in order around the machine of `hook_pipeline.py`; hooks that watch are
told beside that, through `hook_queue.py`. Whatever a hook does, the runner goes on: what raises is
a failure of that call, of whatever class, and what takes too long is cut off (`hook_calling.py`).
Only a plain function that computes holds up everything, as any handler would: the node reports it
as an overrun of this actor. Such work belongs on a thread, or into an actor.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from actors.machines.room.hook_pipeline import SyncPipeline
from actors.machines.room.hook_queue import HookQueue, Step
from actors.machines.room.hooking import (
    Hook,
    HookError,
    HookExecution,
    HookFault,
    HookTrigger,
    Verdict,
)
from actors.room.hook_calling import Call, Ended, HookCaller, in_words, logger, where
from actors.room.hook_calling import HookCall as HookCall
from actors.room.hook_config import NO_CONFIG
from actors.room.hook_config import HooksConfig as HooksConfig
from actors.room.hook_figures import FiguresBook, HookStatistics
from actors.room.hook_scope import HookScope as HookScope
from actors.room.hook_scope import inside as inside
from actors.room.hook_scope import inside_hook as inside_hook
from actors.room.hook_scope import waited_for_by as waited_for_by
from models.rooms.errors import Overloaded
from models.rooms.refusals import RefuseFor
from models.rooms.room import RoomContext
from supervision import ActorRef, Promise, Request, handles
from supervision.timers import Timer


@attrs.frozen
class RunSync(Request[Verdict]):
    """Ask these hooks, one after the other; those registered as async are shown what comes of it.

    Several may run at once: a hook may speak into its own room. Of what is blocked, the async ones
    learn nothing. Refused (`RefusedFor`) with Overloaded.
    """

    trigger: HookTrigger
    payload: Any = attrs.field(repr=False)
    context: RoomContext | None = attrs.field(repr=False)
    hooks: Sequence[Hook]
    """As `HookTable.matching` gives them."""
    depth: int = 0
    """Of the hook that this comes from (`HookScope.depth`)."""
    run: str = ""
    """The room's name for it; the scope of its hooks carries it."""
    deadline: float = math.inf
    """When nobody waits any more, node time: the hook in hand is cut off and no other is asked."""


@attrs.frozen
class RunAsync(Request[None]):
    """Tell all of these hooks, at the same time. Answered when all are done with it.

    Each is told one payload after the other. What a hook asks inherits the deadline of this ask, so
    tell it, or ask with `timeout=math.inf`.
    """

    trigger: HookTrigger
    payload: Any = attrs.field(repr=False)
    context: RoomContext | None = attrs.field(repr=False)
    hooks: Sequence[Hook]
    depth: int = 0
    run: str = ""


@attrs.frozen
class HookFailed:
    """A hook has failed, for whoever watches the room. Nothing else came of it."""

    room_id: str
    hook_name: str
    trigger: HookTrigger
    timeout: float | None
    """The seconds that it had, if they were too few."""
    error_type: str
    """The class of what was raised, else what is wrong with its answer (a `HookFault`)."""
    in_verdict: bool
    """Whoever asked for a `Verdict` finds it there, too."""


@attrs.frozen
class NobodyWaits:
    """The deadline of a decision has passed."""

    asking: Asking


HookRunnerMessage = RunSync | RunAsync


@attrs.define(eq=False)
class Asking:
    """A decision that is being asked for."""

    message: RunSync
    pipeline: SyncPipeline
    promise: Promise[Any] | None
    in_hand: Call | None = None
    timer: Timer | None = None
    over: bool = False


@attrs.define(eq=False)
class Told:
    """A payload that watching hooks are told."""

    message: HookRunnerMessage
    payload: Any
    promise: Promise[None] | None


class HookRunner(HookCaller):
    """Runs the hooks of one room."""

    def __init__(
        self,
        room_id: str,
        observer: ActorRef[HookFailed] | None = None,
        config: HooksConfig = NO_CONFIG,
    ) -> None:
        """`observer` is told of every failure. A room that fires its error hooks then must not do
        so when one of those has failed.
        """
        super().__init__()
        self._room_id = room_id
        self._observer = observer
        self._config = config
        self._grace = config.grace
        self._fail_closed = frozenset(config.fail_closed)
        self._asking: set[Asking] = set()
        self._queue: HookQueue[Told] = HookQueue(config.waiting)
        self._book = FiguresBook()

    def __repr__(self) -> str:
        return (
            f"<HookRunner of {self._room_id}: {len(self._asking)} asking, "
            f"{self._queue.waiting} waiting>"
        )

    def statistics(self) -> HookStatistics:
        """How the hooks fare."""
        unended = sum(self._unended.values())
        return HookStatistics(
            self._book.snapshot(), len(self._asking), self._queue.waiting, unended
        )

    # -- hooks that decide ----------------------------------------------------------------

    @handles
    def on_run_sync(self, message: RunSync) -> None:
        if len(self._asking) >= self._config.runs:
            raise RefuseFor(Overloaded(f"the hooks of room {self._room_id!r}", self._config.runs))
        pipeline = SyncPipeline(
            message.trigger,
            message.payload,
            [hook for hook in message.hooks if hook.execution is HookExecution.SYNC],
            bindings=message.context.bindings if message.context is not None else (),
            fail_closed=self._fail_closed,
        )
        asking = Asking(message, pipeline, self._promise())
        self._asking.add(asking)
        if self.now < message.deadline < math.inf:
            asking.timer = self.send_after(message.deadline - self.now, NobodyWaits(asking))
        self._go_on(asking)

    def _go_on(self, asking: Asking) -> None:
        """Ask one hook after the other, until one has to be waited for."""
        pipeline, message = asking.pipeline, asking.message
        while (hook := pipeline.waits_for) is not None:
            if self.now >= message.deadline:
                self._give_up(asking)
                return
            call = self._new_call(hook, message, asking)
            if self._unended.get(hook, 0) >= self._config.unended:
                self._tell(call, pipeline.failed(HookFault.STILL_RUNNING))
                self._missed(hook)
                continue
            asking.in_hand = call
            ended = self._call(call, pipeline.payload, message.context)
            if ended is None:
                return
            self._answered(asking, ended)
        self._decided(asking)

    def _answered(self, asking: Asking, ended: Ended) -> None:
        """A hook has said something, or failed."""
        asking.in_hand = None
        pipeline, fault, error = asking.pipeline, ended.fault, ended.error
        if error is None:
            try:
                record = pipeline.returned(ended.result)
            except Exception as raised:  # noqa: BLE001  what it returned has code of its own
                fault, error = HookFault.RAISED, raised
        if error is not None and fault is not None:
            record = pipeline.failed(fault, in_words(error), type(error).__name__)
        self._count(ended.call, record, error)

    def _decided(self, asking: Asking) -> None:
        self._forget(asking)
        verdict = asking.pipeline.verdict()
        if asking.promise is not None:
            asking.promise.resolve(verdict)
        message = asking.message
        watching = [hook for hook in message.hooks if hook.execution is HookExecution.ASYNC]
        if watching and not verdict.blocked:
            self._carry_out(self._queue.add(Told(message, verdict.event, None), watching))

    @handles
    def on_nobody_waits(self, message: NobodyWaits) -> None:
        if not message.asking.over:
            self._give_up(message.asking)

    def _give_up(self, asking: Asking) -> None:
        self._forget(asking)
        if asking.in_hand is not None:
            self._cut_off(asking.in_hand)
        if asking.promise is not None:
            asking.promise.refuse("its deadline has passed")

    def _forget(self, asking: Asking) -> None:
        asking.over = True
        self._asking.discard(asking)
        if asking.timer is not None:
            asking.timer.cancel()

    # -- hooks that watch -----------------------------------------------------------------

    @handles
    def on_run_async(self, message: RunAsync) -> None:
        told = Told(message, message.payload, self._promise())
        self._carry_out(self._queue.add(told, message.hooks))

    def _carry_out(self, step: Step[Told]) -> None:
        """Do what the queue says, and what follows from that."""
        steps = deque([step])
        while steps:
            step = steps.popleft()
            for hook, _ in step.given_up:
                self._missed(hook)
            for notice in step.over:
                if notice.payload.promise is not None:
                    notice.payload.promise.resolve(None)
            for hook, notice in step.begin:
                told = notice.payload
                call = self._new_call(hook, told.message, None)
                ended = self._call(call, told.payload, told.message.context)
                if ended is not None:
                    self._watched(ended)
                    steps.append(self._queue.ended(hook))

    def _watched(self, ended: Ended) -> None:
        """A hook has seen a payload. What it says of it counts for nothing."""
        call, error = ended.call, ended.error
        record = None
        if error is not None and ended.fault is not None:
            hook = call.hook
            words, kind = in_words(error), type(error).__name__
            record = HookError(hook.name, hook.trigger, ended.fault, words, kind)
        self._count(call, record, error)

    # -- what becomes of calls ------------------------------------------------------------

    def _is_done(self, ended: Ended) -> None:
        asking = ended.call.asked_by
        if asking is None:
            self._watched(ended)
            self._carry_out(self._queue.ended(ended.call.hook))
        else:
            self._answered(asking, ended)
            self._go_on(asking)

    def _is_late(self, call: Call) -> None:
        asking, hook = call.asked_by, call.hook
        if asking is None:
            self._count(call, HookError(hook.name, hook.trigger, HookFault.TIMED_OUT))
            self._carry_out(self._queue.late(hook))
        else:
            self._count(call, asking.pipeline.failed(HookFault.TIMED_OUT))
            self._go_on(asking)

    def _is_stuck(self, call: Call) -> None:
        if call.asked_by is None:
            self._carry_out(self._queue.stuck(call.hook))

    def _is_free(self, call: Call) -> None:
        if call.asked_by is None:
            self._carry_out(self._queue.ended(call.hook))

    # -- small parts ----------------------------------------------------------------------

    def _new_call(self, hook: Hook, message: HookRunnerMessage, asking: Asking | None) -> Call:
        scope = HookScope(
            self._room_id,
            message.trigger,
            hook.name,
            message.depth + 1,
            message.run,
            decides=asking is not None,
        )
        return Call(hook, scope, self.now, asking)

    def _promise(self) -> Promise[Any] | None:
        """To answer by; None if nobody waits."""
        try:
            return self.defer()
        except RuntimeError:  # it was told, not asked
            return None

    def _count(
        self, call: Call, record: HookError | None, error: BaseException | None = None
    ) -> None:
        timeout = record is not None and record.fault is HookFault.TIMED_OUT
        took = self.now - call.began
        self._book.called(_key(call.hook), took, failed=record is not None, timeout=timeout)
        if record is not None:
            self._tell(call, record, error)

    def _missed(self, hook: Hook) -> None:
        """It was not told. Logged less and less often: there may be many."""
        missed = self._book.missed(_key(hook))
        if missed & (missed - 1) == 0:
            logger.warning(
                "hook %r on %s in room %s is too slow: it has missed %d",
                hook.name,
                hook.trigger.value,
                self._room_id,
                missed,
            )

    def _tell(self, call: Call, record: HookError, error: BaseException | None = None) -> None:
        """Log a failure, without what people said, and tell who watches."""
        what = record.error_type or record.fault.value
        logger.warning(
            "hook %r on %s failed in room %s: %s%s",
            record.hook,
            record.trigger.value,
            self._room_id,
            what,
            where(error),
        )
        if self._observer is not None:
            timeout = call.hook.timeout if record.fault is HookFault.TIMED_OUT else None
            asked = call.asked_by is not None
            self._observer.tell(
                HookFailed(self._room_id, record.hook, record.trigger, timeout, what, asked)
            )


def _key(hook: Hook) -> str:
    return f"{hook.trigger.value}/{hook.name}"
