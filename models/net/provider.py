"""The actor that engines behind a network subclass: calls, their tasks and their outcomes.

A call is one request under way: a generation, a stream of audio, a piece of speech. It is carried
out by a task of the actor, and however the task ends, the call ends with one answer and leaves the
guard once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeVar

import attrs
import trio

from models.faults import FaultKind, ModelFault
from models.net.faults import ProviderFault
from models.net.guard import Guard, GuardStatistics
from supervision import Actor, ActorRef, MailboxFull, NotAccepted, Promise, Terminated, handles
from supervision.resilience import BreakerConfig
from supervision.tasks import Task

M = TypeVar("M")

_ROOM = 5.0
"""Seconds that a full mailbox of a listener is waited for."""
_ROOM_POLL = 0.01


@attrs.define(eq=False)
class Call:
    """One request under way."""

    number: int
    name: str
    """As its asker calls it."""
    to: ActorRef[Any]
    promise: Promise[Any]
    task: Task | None = None
    entered: bool = False
    """It has passed the guard."""
    live: bool = True
    """Nobody has taken it back, and it has no answer yet."""
    told: bool = False
    """Something of it has been told, so it cannot be tried again from the start."""


@attrs.frozen
class CallEnded:
    """The task of a call is over; to the actor itself."""

    number: int
    answer: object


@attrs.frozen
class ProviderStatistics:
    """What a provider is doing, and what it has done since it started."""

    provider: str
    guard: GuardStatistics
    answered: int
    faults: dict[str, int]
    """How many calls ended in which kind of fault."""
    retries: int
    """Requests made a second time, or sockets opened anew."""
    dropped: int
    """Audio that was lost: of streams that are not open, or that no socket took in time."""


class Provider(Actor[M]):
    """What every network engine does alike. Engines add their own messages and wire."""

    def __init__(self, name: str, breaker: BreakerConfig, concurrent: int) -> None:
        super().__init__()
        self.name = name
        self.guard = Guard(name, concurrent, breaker)
        self.retries = 0
        self.dropped = 0
        self._calls: dict[int, Call] = {}
        self._numbers = count(1)
        self._answered = 0
        self._faults: dict[str, int] = {}

    # -- calls, from handlers -------------------------------------------------------------

    def open_call(self, name: str, to: ActorRef[Any]) -> Call:
        """Take over the answer of the request in hand. The call ends if its listener is gone."""
        call = Call(next(self._numbers), name, to, self.defer())
        self._calls[call.number] = call
        self.watch(to)
        return call

    def start_call(
        self, call: Call, function: Callable[..., Awaitable[object]], *args: object
    ) -> None:
        """Carry it out by `function(call, *args)`, whose result or `ProviderFault` answers it.

        If the guard says no, that is the answer.
        """
        if not call.live:
            return
        fault = self.guard.enter(call.number, self.now)
        if fault is not None:
            self._end(call, fault)
            return
        call.entered = True
        call.task = self.start_task(
            self._carry_out,
            call,
            function,
            *args,
            name=f"{self.name} {call.name}",
            to=lambda answer: CallEnded(call.number, answer),
            cancelled=lambda: CallEnded(call.number, self.fault(FaultKind.CANCELLED)),
        )

    def end_call(self, call: Call, answer: object) -> None:
        """Answer a call now and have its task end. Harmless if it has been answered."""
        self._settle(call, answer)
        if call.task is not None:
            call.task.cancel()  # `CallEnded` follows
        else:
            self._forget(call)

    def cancel_call(self, call: Call) -> None:
        """Its user took it back: nothing more of it is told."""
        self.end_call(call, self.fault(FaultKind.CANCELLED))

    def on_call_ended(self, call: Call, answer: object) -> None:
        """A hook for engines: a call is answered. Its task may still be winding up."""

    def fault(self, kind: FaultKind, detail: str = "") -> ModelFault:
        """A fault in this provider's name."""
        return ModelFault(self.name, kind, detail)

    # -- calls, from their tasks ----------------------------------------------------------

    async def say(self, call: Call, message: object) -> None:
        """Tell the listener, waiting for room in its mailbox.

        The checkpoint comes before the telling, so that a call which was cancelled says no more.

        Raises:
            ProviderFault: CANCELLED, nobody listens any more.
        """
        call.told = True
        give_up = trio.current_time() + _ROOM
        await trio.lowlevel.checkpoint()
        while call.to.alive:
            try:
                call.to.tell(message)
                return
            except MailboxFull:
                if trio.current_time() >= give_up:
                    break
            except NotAccepted:
                break
            await trio.sleep(_ROOM_POLL)
        raise ProviderFault(FaultKind.CANCELLED, f"{call.to.path} does not listen")

    async def _carry_out(
        self, call: Call, function: Callable[..., Awaitable[object]], *args: object
    ) -> object:
        try:
            return await function(call, *args)
        except ProviderFault as fault:
            return fault.of(self.name)

    # -- outcomes -------------------------------------------------------------------------

    @handles
    def on_ended(self, message: CallEnded) -> None:
        call = self._calls.get(message.number)
        if call is not None:
            call.task = None
            self._end(call, message.answer)

    @handles
    def on_terminated(self, message: Terminated) -> None:
        for call in [call for call in self._calls.values() if call.to == message.ref]:
            self.cancel_call(call)

    def statistics(self) -> ProviderStatistics:
        return ProviderStatistics(
            self.name,
            self.guard.statistics(),
            self._answered,
            dict(self._faults),
            self.retries,
            self.dropped,
        )

    def _end(self, call: Call, answer: object) -> None:
        if call.entered:
            fault = answer if isinstance(answer, ModelFault) else None
            self.guard.leave(
                call.number,
                fault.kind if fault else None,
                self.now,
                fault.retry_after if fault else 0.0,
            )
        self._settle(call, answer)
        self._forget(call)

    def _settle(self, call: Call, answer: object) -> None:
        if not call.live:
            return
        call.live = False
        if isinstance(answer, ModelFault):
            kind = answer.kind.value
            self._faults[kind] = self._faults.get(kind, 0) + 1
        else:
            self._answered += 1
        call.promise.resolve(answer)
        self.on_call_ended(call, answer)

    def _forget(self, call: Call) -> None:
        if self._calls.pop(call.number, None) is None:
            return
        if all(other.to != call.to for other in self._calls.values()):
            self.unwatch(call.to)
