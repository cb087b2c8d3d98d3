"""The room's actor: the one place where its timeline grows. It waits; the machines decide.

Each request becomes a passage (`machines/room/pipeline.py`), a generator that this actor advances
whenever what it waits for has come. What the machines want done leaves by the outbox at the end of
each step.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from actors.machines.room import reacting
from actors.machines.room.cascade import Cascade
from actors.machines.room.converting import from_application
from actors.machines.room.hooking import HookTrigger
from actors.machines.room.instructing import check_sent
from actors.machines.room.lifecycle import OPEN
from actors.machines.room.posting import post
from actors.machines.room.revising import regenerate
from actors.machines.room.steps import Lock, Steps, Turned
from actors.machines.room.turns import Turn
from actors.room.deferring import DeferringRoom
from actors.room.delivery import CircuitChanged, Delivered, Resting
from actors.room.hook_runner import HookFailed
from actors.room.household import MemberFailed, MemberGone, MemberStarted
from actors.room.messages import Rest, RoomStatistics, TimersDue
from actors.room.outbox import Fired, TurnOver, delivery_name
from actors.room.registrations import RegistrationsChanged
from actors.room.requests import (
    AddRoomHook,
    Inbound,
    Look,
    Post,
    PutAway,
    Regenerate,
    RemoveRoomHook,
    RoomOperation,
    SendEvent,
)
from models.rooms.channel import TurnText, TurnThinking, TurnTool
from models.rooms.errors import (
    BadValue,
    ChannelNotFound,
    Overloaded,
    RoomAway,
    RoomClosed,
    RoomsError,
)
from models.rooms.event import RoomEvent
from models.rooms.kinds import EventType
from models.rooms.refusals import RefusedFor, RefuseFor
from models.rooms.room import RoomContext
from models.rooms.traffic import InboundResult
from supervision import Promise, handles
from supervision.resilience import Circuit

logger = logging.getLogger("troupe.rooms")

AGAIN = 5.0
"""Seconds until the desk is told again that the room may go."""


class RoomActor(DeferringRoom):
    """One room. Started once its record is in the store."""

    def __repr__(self) -> str:
        return f"<Room {self._id}: {self._status}>"

    def statistics(self) -> RoomStatistics:
        """See `RoomStatistics`."""
        core = self._core
        return RoomStatistics(
            core.room.status.value,
            core.room.event_count,
            core.delivered_index,
            len(core.bindings),
            len(core.participants),
            len(self._callers),
            len(self._line.waiting) + len(self._arrived),
            len(self._turns.by_id),
            self._refused,
            self._turns.stale,
        )

    # -- requests -------------------------------------------------------------------------

    @handles
    def on_inbound(self, request: Inbound) -> InboundResult | None:
        message = request.message
        if message.channel_id not in self._core.channels:
            raise RefuseFor(ChannelNotFound("registered channel", message.channel_id))
        if message.event_type is EventType.INSTRUCTION:
            raise RefuseFor(BadValue(("only the application instructs agents: use send_event",)))
        if self._full():
            return InboundResult(None, True, "overloaded")
        cascade = self._core.new_cascade(request.key)
        self._issue(request.ticket, cascade)
        self._draw(cascade, request.run, request.depth)
        self._wait_for(cascade, Cascade.result)
        self._arrive(
            self._pipeline.inbound(message, cascade),
            partial(self._message_over, cascade, request.depth > 0),
            cascade=cascade,
            sender=(message.channel_id, message.sender_id),
            run=request.run,
            depth=request.depth,
        )
        return None

    @handles
    def on_send(self, request: SendEvent) -> None:
        if request.channel_id not in self._core.bindings:
            raise RefuseFor(ChannelNotFound("channel in the room", request.channel_id))
        try:
            check_sent(request.event_type, request.addressed_to, self._core.bindings)
        except RoomsError as error:
            raise RefuseFor(error) from None
        cascade = self._admitted(request.key)
        self._issue(request.ticket, cascade)
        self._draw(cascade, request.run, request.depth)
        self._core.now = self._plan.wall()
        event = from_application(self._core, request)
        self._arrive(
            self._pipeline.sent(event, cascade),
            partial(self._message_over, cascade, request.depth > 0),
            cascade=cascade,
            sender=(request.channel_id, request.participant_id),
            run=request.run,
            depth=request.depth,
        )

    @handles
    def on_post(self, request: Post) -> None:
        cascade = self._admitted()
        steps = post(self._pipeline, cascade, **attrs.asdict(request, recurse=False))
        self._arrive(steps, partial(self._event_over, cascade), cascade=cascade, sender="host")

    @handles
    def on_regenerate(self, request: Regenerate) -> None:
        cascade = self._admitted()
        steps = regenerate(self._pipeline, cascade)
        self._arrive(steps, partial(self._event_over, cascade), cascade=cascade)

    def _admitted(self, key: str = "") -> Cascade:
        if self._full():
            raise RefuseFor(Overloaded(f"room {self._id!r}", self._plan.admission))
        cascade = self._core.new_cascade(key)
        self._wait_for(cascade, _event_of)
        return cascade

    def _event_over(self, cascade: Cascade, value: RoomEvent | None, fault: Any) -> None:
        cascade.event = value
        cascade.nothing = value is None and fault is None
        self._message_over(cascade, False, value, fault)

    @handles
    def on_operation(self, request: RoomOperation[Any]) -> None:
        self._must_be_here()
        promise = self.defer()
        self._arrive(request.passage(self._pipeline), partial(self._answer, promise))

    @handles
    def on_look(self, request: Look) -> None:
        self._must_be_here()
        promise = self.defer()
        self._arrive(self._look(), partial(self._answer, promise), run=request.run)

    def _look(self) -> Steps[RoomContext]:
        yield Lock()
        yield from self._pipeline.catch_up()
        context, index = self._core.context, self._core.delivered_index
        if context.room.delivered_index == index:
            return context
        return attrs.evolve(context, room=attrs.evolve(context.room, delivered_index=index))

    @handles
    def on_add_hook(self, request: AddRoomHook) -> None:
        try:
            self._own_hooks = self._own_hooks.with_hook(request.hook)
        except RoomsError as error:
            raise RefuseFor(error) from None
        self._core.hooks = self._registrations.hooks.and_of_room(self._own_hooks)

    @handles
    def on_remove_hook(self, request: RemoveRoomHook) -> bool:
        before = len(self._own_hooks)
        self._own_hooks = self._own_hooks.without(request.name)
        self._core.hooks = self._registrations.hooks.and_of_room(self._own_hooks)
        return len(self._own_hooks) < before

    @handles
    def on_registrations(self, message: RegistrationsChanged) -> None:
        self._registrations = message.registrations
        self._core.channels = message.registrations.infos
        self._core.hooks = message.registrations.hooks.and_of_room(self._own_hooks)

    def _must_be_here(self) -> None:
        if self._away:
            raise RefuseFor(RoomAway(self._id))

    def _full(self) -> bool:
        self._must_be_here()
        if len(self._callers) < self._plan.admission:
            return False
        self._refused += 1
        return True

    def _draw(self, cascade: Cascade, run: str, depth: int) -> None:
        """What a hook says is drawn from the budget of what the hook is asked about."""
        above = next((p.cascade for p in self._line if run and p.name == run), None)
        if above is not None:
            cascade.above = above.above or above
        cascade.depth = depth

    # -- callers --------------------------------------------------------------------------

    def _wait_for(self, cascade: Cascade, answer: Callable[[Cascade], Any]) -> None:
        cascade.hold()
        self._callers[cascade] = (self.defer(), answer)

    def _message_over(
        self, cascade: Cascade, nested: bool, value: object, fault: Exception | None
    ) -> None:
        """A message has been committed, or will not be; what it causes may go on."""
        match fault:
            case Turned(reason=reason):
                cascade.reason = reason
            case Exception():
                cascade.failure = fault
        self._is_committed(cascade)
        if nested:
            # A hook must not wait for what it causes: that may be to tell the same hook.
            self._settle(cascade)
        self._core.let_go(cascade)

    def _settle(self, cascade: Cascade) -> None:
        self._is_over(cascade)
        caller = self._callers.pop(cascade, None)
        if caller is None:
            return
        promise, answer = caller
        failure: Exception | None = cascade.failure
        if cascade.event is None and answer is _event_of and not (failure or cascade.nothing):
            failure = Turned(cascade.reason or "nothing was sent")
        self._answer(promise, None if failure else answer(cascade), failure)

    def _answer(self, promise: Promise[Any], value: object, fault: Exception | None) -> None:
        match fault:
            case None:
                promise.resolve(value)
            case Turned(reason="room_closed"):
                closed = RoomClosed(self._id, self._core.room.status.value)
                promise.fail(RefusedFor(self.path, str(closed), closed))
            case RoomsError():
                promise.fail(RefusedFor(self.path, str(fault), fault))
            case Turned(reason=reason):
                promise.refuse(reason)
            case _:
                raise fault

    # -- deliveries and turns -------------------------------------------------------------------

    @handles
    def on_delivered(self, message: Delivered) -> None:
        self._core.delivered(message.event_id, message.channel_id, message.result)
        self._flush()

    @handles
    def on_resting(self, message: Resting) -> None:
        name = message.channel_id
        wanted = any(name in group.waiting for group in self._core.sets.values())
        if not wanted and not any(name in turn.streams for turn in self._turns.by_id.values()):
            self._household.dismiss(delivery_name(message.channel_id))

    @handles
    def on_circuit(self, message: CircuitChanged) -> None:
        opened = "opened" if message.state is Circuit.OPEN else "closed"
        told = {"channel_id": message.channel_id, "state": message.state.value}
        self._core.announce(f"circuit_breaker_{opened}", told, channel_id=message.channel_id)
        self._flush()

    @handles
    def on_text(self, message: TurnText) -> None:
        self._core.now = self._plan.wall()
        self._turns.said(message.turn, message.delta)
        self._flush()

    @handles
    def on_tool(self, message: TurnTool) -> None:
        for turn, steps in reacting.used_tool(self._pipeline, message.turn, message.call):
            self._turns.part_begun(turn)
            self._arrive(steps, partial(self._part_over, turn), sender=turn.id)

    @handles
    def on_thinking(self, message: TurnThinking) -> None:
        """Thoughts are for the bus, to which agents publish them; a room keeps none."""

    @handles
    def on_turn_over(self, message: TurnOver) -> None:
        turn = self._turns.by_id.get(message.turn)
        if turn is not None and not turn.over:
            self._core.now = self._plan.wall()
            steps = reacting.heard(self._pipeline, turn, message.reaction)
            self._arrive(steps, partial(self._answer_over, turn.cascade), sender=turn.id)
            self._flush()

    def _answer_over(self, cascade: Cascade, value: object, fault: Exception | None) -> None:
        if fault is not None:
            cascade.error = cascade.error or str(fault)
        self._core.let_go(cascade)

    def _part_over(self, turn: Turn, value: object, fault: Exception | None) -> None:
        if fault is not None:
            turn.cascade.error = turn.cascade.error or str(fault)
        self._turns.part_over(turn)

    @handles
    def on_hook_failed(self, message: HookFailed) -> None:
        """Whoever watches is told; what failed while errors were told is not told as an error."""
        core = self._core
        data = {"hook_name": message.hook_name, "trigger": message.trigger.value}
        if message.timeout is not None:
            core.announce("hook_timeout", {**data, "timeout": message.timeout})
        elif not message.in_verdict:
            core.announce("hook_error", {**data, "error": message.error_type})
        if message.trigger is not HookTrigger.ON_ERROR:
            told = core.record(EventType.SYSTEM, "hook_failed", message.hook_name)
            error = {**data, "error_type": message.error_type, "error_category": "hook"}
            core.fire(HookTrigger.ON_ERROR, attrs.evolve(told, metadata=error))
        self._flush()

    @handles
    def on_fired(self, message: Fired) -> None:
        self._core.let_go(message.cascade)
        self._flush()

    # -- siblings -------------------------------------------------------------------------------

    @handles
    def on_member_started(self, message: MemberStarted) -> None:
        self._household.started(message)

    @handles
    def on_member_failed(self, message: MemberFailed) -> None:
        logger.warning(f"room {self._id}: {message.name} did not start: {message.error}")
        self._household.failed(message)

    @handles
    def on_member_gone(self, message: MemberGone) -> None:
        self._household.gone(message)

    # -- timers -------------------------------------------------------------------------------

    def _arm_timers(self) -> None:
        timers = self._core.room.timers
        if timers.inactive_after_seconds is None and timers.closed_after_seconds is None:
            return
        if self._timer is None:
            wait = self._core.seconds_until_due()
            if wait < math.inf:
                # "More than", so a moment later than the threshold.
                self._timer = self.send_after(max(0.0, wait) + 0.001, TimersDue())

    @handles
    def on_timers_due(self, message: TimersDue) -> None:
        self._timer = None
        self._core.now = self._plan.wall()
        if self._core.due() is not None:
            self._arrive(self._look(), lambda _value, _fault: None)
        else:
            self._arm_timers()

    # -- rest ---------------------------------------------------------------------------------

    @handles
    def on_rest(self, message: Rest) -> None:
        """Nobody has needed the room for long: it goes, and comes back when somebody does."""
        if self._away or (self._is_idle() and self.now >= self._used_at + self._plan.rest_after):
            self._away = True
            desk = self.system.find(self._plan.desk)
            if desk is not None:
                desk.tell(PutAway(self._id))
            self.send_after(AGAIN, Rest())
        else:
            self.send_after(max(1.0, self._used_at + self._plan.rest_after - self.now), Rest())

    def _is_idle(self) -> bool:
        core, timers = self._core, self._core.room.timers
        timed = timers.inactive_after_seconds is not None or timers.closed_after_seconds is not None
        if (timed and core.room.status in OPEN) or len(self._own_hooks):
            return False  # it wakes by itself, or has what no store keeps
        under_way = (self._callers, core.sets, core.owed, self._turns.lines, self._arrived)
        return not any(under_way) and not self._quiet.waiting and not list(self._line)


def _event_of(cascade: Cascade) -> RoomEvent | None:
    return cascade.event
