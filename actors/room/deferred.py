"""Messages whose sender does not stay until everybody has them: on record, and with a handle.

    handle = await rooms.process_inbound(message, "r1", defer_delivery=True)
    print(handle.event)
    result = await handle.wait()

Cancelling one cuts the agents' turns that it has caused, and nothing else: people still get it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import attrs
import trio

from actors.room.desk import CASCADE_WITHIN
from actors.room.requests import CancelOne, Committed, Inbound, SendEvent, WhenCommitted
from models.rooms.event import RoomEvent
from models.rooms.refusals import RefusedFor
from models.rooms.traffic import InboundResult
from supervision import ActorRef, ActorStopped, AskTimeout, Reply

T = TypeVar("T")

CLEANUP_WITHIN = 5.0
"""Seconds that turns have to end in when they are cut."""


@attrs.define(eq=False)
class Deferred(Generic[T]):
    """A message that is on record, while all that it causes is still under way."""

    event: RoomEvent | None
    """As committed; None if nothing was written."""
    blocked: bool
    reason: str | None
    """Why it was blocked."""
    _room: ActorRef[Any] | None
    """None: it is all over."""
    _ticket: str
    _reply: Reply[T] | None
    _result: T | None = None

    def __repr__(self) -> str:
        name = self.event.id if self.event is not None else "nothing"
        return f"<Deferred {name}{', blocked' if self.blocked else ''}>"

    async def wait(self) -> T:
        """What the call would have returned without being deferred, and what it raises.

        May be called again, and by several. That the one who waits is cancelled cancels nothing.
        """
        if self._reply is None:
            assert self._result is not None
            return self._result
        return await answer_of(self._reply)

    async def cancel(self, reason: str = "", *, within: float = CLEANUP_WITHIN) -> int:
        """Cut the agents' turns that it has caused; how many ran or waited. 0: it was over.

        Args:
            reason: for whoever watches the room.
            within: seconds that the turns have to end in.
        Raises:
            TimeoutError: they have not; they are still told to.
        """
        if self._room is None:
            return 0
        return await cut(self._room, CancelOne(self._ticket, reason), within)


async def cut(room: ActorRef[Any], request: Any, within: float) -> int:
    """Ask for turns to be cut. Raises TimeoutError."""
    try:
        count: int = await room.ask(request, timeout=within)
        return count
    except ActorStopped:
        return 0  # a room that was put away had nothing under way
    except AskTimeout:
        raise TimeoutError(f"the turns have not ended within {within:g} s of being cut") from None


async def answer_of(reply: Reply[T]) -> T:
    """The answer, or the `RoomsError` that it was refused with."""
    try:
        return await reply
    except RefusedFor as refused:
        raise refused.error from None


@contextmanager
def cancelling(room: ActorRef[Any], ticket: str) -> Iterator[None]:
    """Whoever waits in here and is cancelled takes the turns of the message along."""
    try:
        yield
    except trio.Cancelled:
        if room.alive:
            room.tell(CancelOne(ticket, "its sender was cancelled"))
        raise


async def say(room: ActorRef[Any], request: Inbound | SendEvent, defer: bool) -> Any:
    """Hand a message with a ticket to its room.

    Returns:
        The answer; with `defer`, as soon as the message is on record, a handle.
    Raises:
        RoomsError: the one that says why not.
    """
    with cancelling(room, request.ticket):
        reply: Reply[Any] = room.ask(request, timeout=CASCADE_WITHIN)
        if not defer:
            return await answer_of(reply)
        # Asked in the same step, so the room has just begun with the message when it reads this.
        committed = await room.ask(WhenCommitted(request.ticket), timeout=CASCADE_WITHIN)
        if committed is None:
            return over(await answer_of(reply))
        told: Committed = committed
        return Deferred(told.event, told.blocked, told.reason, room, request.ticket, reply)


def over(result: InboundResult | RoomEvent) -> Deferred[Any]:
    """The handle of a message of which nothing is under way any more."""
    if isinstance(result, InboundResult):
        return Deferred(result.event, result.blocked, result.reason, None, "", None, result)
    return Deferred(result, result.blocked, result.blocked_by, None, "", None, result)
