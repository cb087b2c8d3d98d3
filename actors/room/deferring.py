"""What a room does for those who do not wait for all of it: who cancels, or waits for a moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import attrs

from actors.machines.room.cascade import Cascade
from actors.machines.room.proactive import deliver
from actors.machines.room.quiet import Quiet
from actors.room.messages import QuietDue
from actors.room.opening import KeptHooks
from actors.room.passing import PassingRoom
from actors.room.plan import RoomsPlan
from actors.room.requests import (
    Cancel,
    CancelOne,
    Committed,
    DeliverItem,
    WhenCommitted,
    WhenQuiet,
)
from models.rooms.traffic import InboundResult
from supervision import Promise, handles
from supervision.timers import Timer


@attrs.define(eq=False)
class _Cutting:
    """Turns that were told to end."""

    turns: set[str]
    count: int
    promise: Promise[int] | None


class DeferringRoom(PassingRoom):
    """The third layer: messages by ticket, and the quiet between them."""

    def __init__(self, room_id: str, plan: RoomsPlan, kept: KeptHooks | None = None) -> None:
        super().__init__(room_id, plan, kept)
        self._tickets: dict[str, Cascade] = {}
        """Of messages whose cascade is not over: admission bounds them."""
        self._ticket_of: dict[Cascade, str] = {}
        self._uncommitted: dict[Cascade, Promise[Committed | None]] = {}
        self._cutting: list[_Cutting] = []
        self._quiet: Quiet[Promise[bool]] = Quiet()
        self._quiet_timer: Timer | None = None
        self._quiet_at = math.inf

    # -- what the layer above adds ----------------------------------------------------------

    def _must_be_here(self) -> None:
        """Refuse, if the room is being put away."""
        raise NotImplementedError

    def _full(self) -> bool:
        """Too much is under way."""
        raise NotImplementedError

    def _wait_for(self, cascade: Cascade, answer: Callable[[Cascade], Any]) -> None:
        """Answer the request in hand when all that it causes is done."""
        raise NotImplementedError

    def _message_over(
        self, cascade: Cascade, nested: bool, value: object, fault: Exception | None
    ) -> None:
        """A message has been committed, or will not be."""
        raise NotImplementedError

    # -- by ticket --------------------------------------------------------------------------

    def _issue(self, ticket: str, cascade: Cascade) -> None:
        """It may be asked about from here on."""
        if ticket:
            self._tickets[ticket] = cascade
            self._ticket_of[cascade] = ticket

    def _is_committed(self, cascade: Cascade) -> None:
        promise = self._uncommitted.pop(cascade, None)
        if promise is not None:
            event, reason = cascade.event, cascade.reason
            told = None if event is None else Committed(event, reason is not None, reason)
            promise.resolve(told)

    def _is_over(self, cascade: Cascade) -> None:
        """All that it caused is done: nobody can ask any more."""
        ticket = self._ticket_of.pop(cascade, None)
        if ticket is not None:
            del self._tickets[ticket]

    @handles
    def on_when_committed(self, request: WhenCommitted) -> Committed | None:
        cascade = self._tickets.get(request.ticket)
        if cascade is not None:
            self._uncommitted[cascade] = self.defer()
        return None

    # -- cancelling -------------------------------------------------------------------------

    @handles
    def on_cancel(self, request: Cancel) -> int | None:
        wanted = {cascade for cascade in self._callers if cascade.key == request.key}
        return self._cut(wanted, request.reason)

    @handles
    def on_cancel_one(self, request: CancelOne) -> int | None:
        cascade = self._tickets.get(request.ticket)
        return self._cut({cascade} if cascade is not None else (), request.reason)

    def _cut(self, wanted: Collection[Cascade], reason: str) -> int | None:
        """End the turns of these, and begin no other; the answer if nothing has to be waited for.

        A turn that waits behind those of other messages is passed over when it would begin.
        """
        for cascade in wanted:
            cascade.cancelled = True
        turns = self._turns
        running = {turn.id for turn in turns.by_id.values() if turn.cascade in wanted}
        lines = [turn for line in turns.lines.values() for turn in line if turn.cascade in wanted]
        waiting = sum(turn.id not in turns.by_id for turn in lines)
        turns.cancel(lambda turn: turn.cascade in wanted)
        count = len(running) + waiting
        if wanted:
            data = {"reason": reason, "turns": count, "messages": len(wanted)}
            self._core.announce("delivery_cancelled", data)
        self._flush()
        if not running or len(self._cutting) >= self._plan.admission:
            return count
        self._cutting.append(_Cutting(running, count, self._promised()))
        return None

    def _after_step(self) -> None:
        """Whatever was waited for may have come."""
        if self._cutting:
            self._tell_cut()
        if self._quiet.waiting:
            self._look_for_quiet()

    def _tell_cut(self) -> None:
        still = []
        for cutting in self._cutting:
            if not cutting.turns.isdisjoint(self._turns.by_id):
                still.append(cutting)
            elif cutting.promise is not None:
                cutting.promise.resolve(cutting.count)
        self._cutting = still

    def _promised(self) -> Promise[int] | None:
        """None if nobody waits for it: it was told."""
        try:
            return self.defer()
        except RuntimeError:
            return None

    # -- proactive deliveries -----------------------------------------------------------------

    @handles
    def on_deliver_item(self, request: DeliverItem) -> InboundResult | None:
        if self._full():
            return InboundResult(None, True, "overloaded")
        item = request.item
        cascade = self._core.new_cascade()
        self._wait_for(cascade, Cascade.result)
        self._arrive(
            deliver(self._pipeline, item, cascade),
            partial(self._message_over, cascade, False),
            cascade=cascade,
            depth=item.depth,
        )
        return None

    @handles
    def on_when_quiet(self, request: WhenQuiet) -> bool | None:
        self._must_be_here()
        if len(self._quiet.waiting) >= self._plan.admission:
            return False  # so many do not wait
        self._quiet.is_now(bool(self._turns.by_id), self.now)
        self._quiet.wait(self.defer(), request.buffer, request.timeout, self.now)
        self._look_for_quiet()
        return None

    @handles
    def on_quiet_due(self, message: QuietDue) -> None:
        self._quiet_timer = None
        self._quiet_at = math.inf
        self._look_for_quiet()

    def _look_for_quiet(self) -> None:
        """Is it quiet now, and who still waits for how long?"""
        self._quiet.is_now(bool(self._turns.by_id), self.now)
        for promise, quiet in self._quiet.passed(self.now):
            promise.resolve(quiet)
        deadline = self._quiet.deadline
        if deadline < self._quiet_at:
            if self._quiet_timer is not None:
                self._quiet_timer.cancel()
            self._quiet_at = deadline
            self._quiet_timer = self.send_after(max(0.0, deadline - self.now), QuietDue())
