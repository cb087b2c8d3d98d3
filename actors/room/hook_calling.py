"""Calling one hook, whatever it does: the lower half of the hook runner.

A plain function is called in the handler, for a task would cost more than most of them. What it
returns, if it can be awaited, is awaited in a task of the actor. When its time is up the task is
cancelled, and the room goes on: that the task really ends is waited for only here, so that code
which swallows its cancellation delays nobody else.
"""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Awaitable
from inspect import isawaitable, iscoroutine
from typing import Any

import attrs
import trio

from actors.machines.room.hooking import Hook, HookFault, HookResult, HookTrigger
from actors.room.hook_scope import HookScope, Inside, inside
from models.rooms.room import RoomContext
from supervision import Actor, ActorRef, AskTimeout, Request, handles
from supervision.tasks import Task, only_cancelled, single
from supervision.timers import Timer

logger = logging.getLogger("troupe.rooms")


@attrs.frozen
class HookCall(Request[HookResult | None]):
    """What an actor that is a hook is asked. A refusal is a failure of the hook."""

    trigger: HookTrigger
    payload: Any = attrs.field(repr=False)
    context: RoomContext | None = attrs.field(repr=False)
    scope: HookScope
    """To speak into the room: `with inside(call.scope): ...`."""


@attrs.define(eq=False)
class Call:
    """One hook at work on one payload."""

    hook: Hook
    scope: HookScope
    began: float
    asked_by: Any = None
    """The decision it is asked for; None if it watches."""
    task: Task | None = None
    inside: Inside | None = None
    timer: Timer | None = None
    late: bool = False
    """The room has gone on without it."""
    done: bool = False


@attrs.frozen
class Ended:
    """A hook has returned, raised or, being cancelled, ended."""

    call: Call
    result: Any = attrs.field(default=None, repr=False)
    error: BaseException | None = None

    @property
    def fault(self) -> HookFault | None:
        """What went wrong; None if it returned."""
        if self.error is None:
            return None
        timeout = isinstance(self.error, AskTimeout)
        return HookFault.TIMED_OUT if timeout else HookFault.RAISED


@attrs.frozen
class Late:
    """A hook's time is up."""

    call: Call


@attrs.frozen
class Stuck:
    """A hook that was cancelled has had its grace."""

    call: Call


class HookCaller(Actor[Any]):
    """Calls hooks and keeps their time."""

    _grace: float

    def __init__(self) -> None:
        super().__init__()
        self._unended: dict[Hook, int] = {}
        """Calls that were cancelled and still run."""

    @abstractmethod
    def _is_done(self, ended: Ended) -> None:
        """A hook is done in time; not called for what `_call` returned."""

    @abstractmethod
    def _is_late(self, call: Call) -> None:
        """A hook's time is up; it has been cancelled."""

    @abstractmethod
    def _is_stuck(self, call: Call) -> None:
        """A hook was cancelled and does not end."""

    @abstractmethod
    def _is_free(self, call: Call) -> None:
        """A hook that was late has ended after all."""

    def _call(self, call: Call, payload: Any, context: RoomContext | None) -> Ended | None:
        """Call it. Returns what came of it, if that is known at once."""
        hook, scope = call.hook, call.scope
        if isinstance(hook.call, ActorRef):
            self.pipe(
                hook.call.ask(
                    HookCall(hook.trigger, payload, context, scope), timeout=hook.timeout
                ),
                to=lambda result: Ended(call, result),
                failed=lambda error: Ended(call, error=error),
            )
            return None
        try:
            with inside(scope):
                result = hook.call(payload, context)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001  SystemExit too: it is the hook's failure
            return Ended(call, error=error)
        if not isawaitable(result):
            return Ended(call, result)
        call.timer = self.send_after(hook.timeout, Late(call))
        call.task = self.start_task(
            self._await,
            call,
            result,
            name=f"hook {hook.name}",
            to=lambda ended: ended,
            cancelled=lambda: Ended(call),
        )
        return None

    async def _await(self, call: Call, result: Awaitable[Any]) -> Ended:
        """The body of a hook's task: whatever is raised becomes an outcome."""
        if iscoroutine(result) and trio.current_effective_deadline() == -math.inf:
            result.close()  # cut off before its first step: nothing of it is done
            return Ended(call)
        try:
            with inside(call.scope) as call.inside:
                return Ended(call, await result)
        except BaseException as raised:
            error = single(raised)
            # A cancellation is ours only if we were cancelled. One that a hook has kept from
            # elsewhere, and raises here, would bring down the whole node if it went on.
            if only_cancelled(error) and trio.current_effective_deadline() == -math.inf:
                raise
            return Ended(call, error=error)

    def _cut_off(self, call: Call) -> None:
        """Nobody waits for it any more."""
        call.late = True
        if call.timer is not None:
            call.timer.cancel()
        if call.inside is not None:
            call.inside.over = True
        if call.task is not None:
            call.task.cancel()
            self._unended[call.hook] = self._unended.get(call.hook, 0) + 1
            self.send_after(self._grace, Stuck(call))

    @handles
    def on_ended(self, message: Ended) -> None:
        call = message.call
        call.done = True
        if not call.late:
            if call.timer is not None:
                call.timer.cancel()
            self._is_done(message)
            return
        if call.task is not None:
            self._unended[call.hook] -= 1
            if not self._unended[call.hook]:
                del self._unended[call.hook]
        self._is_free(call)

    @handles
    def on_late(self, message: Late) -> None:
        call = message.call
        if not call.done and not call.late:
            self._cut_off(call)
            self._is_late(call)

    @handles
    def on_stuck(self, message: Stuck) -> None:
        call = message.call
        if not call.done:
            logger.error(
                "hook %r on %s in room %s was cancelled and does not end",
                call.hook.name,
                call.hook.trigger.value,
                call.scope.room_id,
            )
            self._is_stuck(call)


def in_words(error: BaseException) -> str:
    """What was raised; errors that cannot even be printed are named."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  it is the hook's own class
        return type(error).__name__


def where(error: BaseException | None) -> str:
    """The line that raised it, for a log; its words may quote what people said. "" if unknown."""
    at = error.__traceback__ if error is not None else None
    if at is None:
        return ""
    while at.tb_next is not None:
        at = at.tb_next
    return f" at {at.tb_frame.f_code.co_filename}:{at.tb_lineno}"
