"""The room's actor: the one place where its timeline grows. It waits; the machines decide.

Each request becomes a passage (`machines/room/pipeline.py`), a generator that this actor advances
whenever what it waits for has come. What the machines want done leaves by the outbox at the end of
each step.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from actors.machines.room import reacting
from actors.machines.room.broadcast import redrive
from actors.machines.room.cascade import Cascade
from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTable
from actors.machines.room.line import Line, Passage
from actors.machines.room.pipeline import Pipeline, from_application
from actors.machines.room.steps import Lock, Steps, Turned
from actors.machines.room.turns import Turns
from actors.room.around import Around
from actors.room.delivery import CutStreams, Delivered, Resting
from actors.room.hook_runner import HookRunner
from actors.room.household import Household, MemberFailed, MemberGone, MemberMessage, MemberStarted
from actors.room.outbox import Fired, Outbox, TurnOver, agent_name, delivery_name
from actors.room.plan import RoomsPlan
from actors.room.registrations import CurrentRegistrations, RegistrationsChanged
from actors.room.requests import (
    AddRoomHook,
    Cancel,
    Inbound,
    Look,
    RemoveRoomHook,
    RoomOperation,
    SendEvent,
)
from actors.room.waiting import Came, Waiting
from models.rooms.channel import TurnMessage, TurnText, TurnThinking, TurnTool
from models.rooms.errors import (
    ChannelNotFound,
    Conflict,
    Overloaded,
    RoomClosed,
    RoomNotFound,
    RoomsError,
    StoreUnavailable,
)
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelCategory
from models.rooms.refusals import RefusedFor, RefuseFor
from models.rooms.room import RoomContext
from models.rooms.traffic import InboundResult
from supervision import Actor, ChildSpec, Mailbox, Overflow, Promise, handles
from supervision.timers import Timer
from transports.stores.backend import EventFilter, Page, RoomRecord
from transports.stores.requests import Advance, GetTimeline, LoadRoom

logger = logging.getLogger("troupe.rooms")

WITH_BLOCKED = EventFilter(include_blocked=True)
HOOKS = "hooks"


@attrs.frozen
class _Pump:
    """Passages wait to be begun."""


@attrs.frozen
class _Late:
    """A passage may have taken too long."""


@attrs.frozen
class _TimersDue:
    """The room's timers have something to do."""


@attrs.frozen
class _Reread:
    """The room as the store has it; None: the store is still away."""

    found: tuple[RoomRecord, Sequence[RoomEvent]] | None
    problem: str = ""


@attrs.frozen
class RoomStatistics:
    """A room from outside."""

    status: str
    events: int
    delivered_index: int
    bindings: int
    participants: int
    under_way: int
    """Messages whose cascade is not over."""
    waiting: int
    """Passages at the door."""
    turns: int
    refused: int
    """Messages that found the room full."""
    stale: int
    """Progress of turns that were over already."""


RoomMessage = (
    Inbound
    | SendEvent
    | RoomOperation[Any]
    | Look
    | Cancel
    | AddRoomHook
    | RemoveRoomHook
    | TurnMessage
    | Delivered
    | Resting
    | MemberMessage
    | TurnOver
    | Fired
    | RegistrationsChanged
    | Came
    | _Pump
    | _Late
    | _TimersDue
    | _Reread
)


class RoomActor(Actor[RoomMessage]):
    """One room. Started once its record is in the store."""

    # Admission counts cascades, below; this only has to hold what those lead to.
    mailbox = Mailbox(100_000, Overflow.REFUSE)

    def __init__(self, room_id: str, plan: RoomsPlan) -> None:
        super().__init__()
        self._id = room_id
        self._plan = plan
        self._status = "opening"
        self._own_hooks = HookTable()
        self._line = Line()
        self._arrived: deque[Passage] = deque()
        self._callers: dict[Cascade, tuple[Promise[Any], Callable[[Cascade], Any]]] = {}
        self._refused = 0
        self._told = -1
        """The delivery cursor that the store knows."""
        self._unsure = False
        """A commit may or may not have been made: the store knows."""
        self._timer: Timer | None = None
        self._late: Timer | None = None

    # -- beginning ------------------------------------------------------------------------

    async def on_start(self) -> None:
        plan = self._plan
        self._registrations = await self.system.ref(plan.registry).ask(CurrentRegistrations())
        self._store = self.system.ref(plan.store)
        record, events = await self._read(-1)
        self._begin(record, events)

    async def _read(self, known: int) -> tuple[RoomRecord, Sequence[RoomEvent]]:
        """The room as it is on disk, and what of it was not brought to everybody.

        Args:
            known: events up to here are in hand already.
        """
        settings = self._plan.settings
        asked = [info.recent_events_window for info in self._registrations.infos.values()]
        window = min(max([settings.window, *asked]), settings.most_window)
        timeout = self._plan.store_timeout
        record = await self._store.ask(LoadRoom(self._id, window), timeout=timeout)
        if record is None:
            raise RoomNotFound("room", self._id)
        room = record.context.room
        events: list[RoomEvent] = []
        after = max(room.delivered_index, known)
        while after < room.latest_index:
            page = Page(limit=1000, after_index=after)
            request = GetTimeline(self._id, WITH_BLOCKED, page)
            more = await self._store.ask(request, timeout=timeout)
            if not more:
                break
            events += more
            after = more[-1].index
        return record, events

    def _begin(self, record: RoomRecord, events: Sequence[RoomEvent]) -> None:
        plan, registrations = self._plan, self._registrations
        self._core = RoomCore.restored(
            record,
            channels=registrations.infos,
            settings=plan.settings,
            hooks=registrations.hooks,
            new_id=plan.new_id,
            now=plan.wall(),
        )
        self._turns = Turns(self._core)
        self._pipeline = Pipeline(self._core, self._turns, plan.identity)
        self._household = Household(self.system.ref(f"{plan.rooms}/{self._id}"), self.pipe)
        around = Around(
            self,
            plan,
            self._id,
            self._store,
            self._household,
            partial(ChildSpec, HOOKS, partial(HookRunner, self._id)),
            lambda: self._registrations,
            lambda: self._core.hooks,
            lambda: self._core.context,
        )
        self._waiting = Waiting(around)
        self._outbox = Outbox(around, self._settle)
        self._told = self._core.delivered_index
        self._meet_siblings()
        redrive(self._core, self._turns, events)
        self._flush()

    def _meet_siblings(self) -> None:
        """They may have outlived an earlier life of this actor.

        Deliveries go on, and know what they were given; what agents were making has nobody any
        more to make it for.
        """
        here = f"{self._plan.rooms}/{self._id}"
        refs = self._household.refs
        for name, binding in self._core.bindings.items():
            agent = binding.category is ChannelCategory.INTELLIGENCE
            member = agent_name(name) if agent else delivery_name(name)
            sibling = self.system.find(f"{here}/{member}")
            if sibling is None:
                continue
            refs[member] = sibling
            if agent:
                self._household.dismiss(member)
            else:
                sibling.tell(CutStreams())
        runner = self.system.find(f"{here}/{HOOKS}")
        if runner is not None:
            refs[HOOKS] = runner

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
        if self._full():
            return InboundResult(None, True, "overloaded")
        cascade = self._core.new_cascade(request.key)
        self._wait_for(cascade, Cascade.result)
        self._arrive(
            self._pipeline.inbound(message, cascade),
            partial(self._message_over, cascade, request.nested),
            cascade=cascade,
            sender=(message.channel_id, message.sender_id),
            nested=request.nested,
        )
        return None

    @handles
    def on_send(self, request: SendEvent) -> None:
        if request.channel_id not in self._core.bindings:
            raise RefuseFor(ChannelNotFound("channel in the room", request.channel_id))
        if self._full():
            raise RefuseFor(Overloaded(f"room {self._id!r}", self._plan.admission))
        cascade = self._core.new_cascade()
        self._wait_for(cascade, _event_of)
        self._core.now = self._plan.wall()
        event = from_application(self._core, request)
        self._arrive(
            self._pipeline.sent(event, cascade),
            partial(self._message_over, cascade, request.nested),
            cascade=cascade,
            sender=(request.channel_id, request.participant_id),
            nested=request.nested,
        )

    @handles
    def on_operation(self, request: RoomOperation[Any]) -> None:
        promise = self.defer()
        self._arrive(request.passage(self._pipeline), partial(self._answer, promise))

    @handles
    def on_look(self, request: Look) -> None:
        promise = self.defer()
        self._arrive(self._look(), partial(self._answer, promise))

    def _look(self) -> Steps[RoomContext]:
        yield Lock()
        yield from self._pipeline.catch_up()
        return self._core.context

    @handles
    def on_cancel(self, request: Cancel) -> int:
        wanted = {cascade for cascade in self._callers if cascade.key == request.key}
        for cascade in wanted:
            cascade.cancelled = True
        cut = self._turns.cancel(lambda turn: turn.cascade in wanted)
        self._flush()
        return cut

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

    def _full(self) -> bool:
        if len(self._callers) < self._plan.admission:
            return False
        self._refused += 1
        return True

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
        if nested:
            self._settle(cascade)  # the hook it comes from must not wait for what it causes
        self._core.let_go(cascade)

    def _settle(self, cascade: Cascade) -> None:
        caller = self._callers.pop(cascade, None)
        if caller is None:
            return
        promise, answer = caller
        failure: Exception | None = cascade.failure
        if failure is None and cascade.event is None and answer is _event_of:
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

    # -- passages -------------------------------------------------------------------------

    def _arrive(
        self,
        steps: Steps[Any],
        done: Callable[[Any, Exception | None], None],
        *,
        cascade: Cascade | None = None,
        sender: object = None,
        nested: bool = False,
    ) -> None:
        """Begin a passage, in a step of its own: what it waits for must not inherit the patience
        of whoever asked.
        """
        deadline = self.now + self._plan.settings.process_timeout
        passage = Passage(steps, done, cascade, sender, deadline, nested)
        if not self._arrived:
            self.ref.tell(_Pump())
        self._arrived.append(passage)

    @handles
    def on_pump(self, message: _Pump) -> None:
        while self._arrived:
            passage = self._arrived.popleft()
            self._line.come(passage)
            self._advance(passage, None, None)
        self._flush()

    @handles
    def on_came(self, message: Came) -> None:
        passage = message.passage
        if passage.number != message.number:
            return  # it did not wait so long
        if isinstance(message.error, StoreUnavailable | Conflict):
            self._unsure = True
        if passage.inside and self._line.inside[-1] is not passage:
            passage.answer = (message.value, message.error)
            return
        self._advance(passage, message.value, message.error)
        self._flush()

    def _advance(self, passage: Passage, value: Any, error: Exception | None) -> None:
        """Go on with a passage until it waits, or is over."""
        self._core.now = self._plan.wall()
        while True:
            passage.number += 1
            try:
                steps = passage.steps
                wait = steps.throw(error) if error is not None else steps.send(value)
            except StopIteration as stop:
                self._leave(passage, stop.value, None)
                return
            except (Turned, RoomsError) as fault:
                self._leave(passage, None, fault)
                return
            passage.waits = wait
            value = error = None
            if not isinstance(wait, Lock):
                self._waiting.carry_out(passage, wait)
                break
            if not passage.nested:
                break
            self._line.enter_nested(passage)
        if passage.can_expire and passage.deadline < math.inf:
            self._arm_late(passage.deadline)

    def _leave(self, passage: Passage, value: Any, fault: Exception | None) -> None:
        below = self._line.leave(passage)
        passage.done(value, fault)
        if below is not None and below.answer is not None:
            (value, error), below.answer = below.answer, None
            self._advance(below, value, error)

    def _flush(self) -> None:
        """Let in who may go in, and do what was decided, until nothing is left to do."""
        core = self._core
        while True:
            if not self._unsure:
                while (passage := self._line.next()) is not None:
                    self._advance(passage, None, None)
            elif not self._line.inside:
                self._reread()
            if not core.out:
                break
            out, core.out = core.out, []
            for effect in out:
                self._outbox.carry_out(effect)
        if core.moved or core.delivered_index != self._told:
            self._told = core.delivered_index
            moved, core.moved = core.moved, {}
            self._store.tell(Advance(self._id, moved, self._told))
        self._arm_timers()

    # -- lateness ---------------------------------------------------------------------------

    def _arm_late(self, deadline: float) -> None:
        if self._late is None:
            self._late = self.send_after(max(0.0, deadline - self.now), _Late())

    @handles
    def on_late(self, message: _Late) -> None:
        """Passages that are not on their way to disk by now end, and leave no trace."""
        self._late = None
        soonest = math.inf
        for passage in list(self._line):
            suspended = passage.inside and self._line.inside[-1] is not passage
            if not passage.can_expire or passage.cascade is None or suspended:
                continue
            if passage.deadline <= self.now:
                timeout = self._plan.settings.process_timeout
                self._core.announce("process_timeout", {"timeout": timeout})
                self._advance(passage, None, Turned("process_timeout"))
            else:
                soonest = min(soonest, passage.deadline)
        if soonest < math.inf:
            self._arm_late(soonest)
        self._flush()

    # -- the store was away -------------------------------------------------------------------

    def _reread(self) -> None:
        """Nobody goes in before it is known what is on disk."""
        if self._line.waiting and not self._rereading:
            self._rereading = True
            self.start_task(
                self._read,
                self._core.room.latest_index,
                name="read again",
                to=_Reread,
                failed=lambda error: _Reread(None, str(error)),
            )

    _rereading = False

    @handles
    def on_reread(self, message: _Reread) -> None:
        self._rereading = False
        if message.found is None:
            fault = StoreUnavailable(message.problem)
            for passage in list(self._line.waiting):
                self._advance(passage, None, fault)
        else:
            record, events = message.found
            self._unsure = False
            self._core.reread(record)
            redrive(self._core, self._turns, events)
        self._flush()

    # -- deliveries and turns -------------------------------------------------------------------

    @handles
    def on_delivered(self, message: Delivered) -> None:
        self._core.delivered(message.event_id, message.channel_id, message.result)
        self._flush()

    @handles
    def on_resting(self, message: Resting) -> None:
        if not any(message.channel_id in group.waiting for group in self._core.sets.values()):
            self._household.dismiss(delivery_name(message.channel_id))

    @handles
    def on_text(self, message: TurnText) -> None:
        self._core.now = self._plan.wall()
        self._turns.said(message.turn, message.delta)
        self._flush()

    @handles
    def on_tool(self, message: TurnTool) -> None:
        for turn, steps in reacting.used_tool(self._pipeline, message.turn, message.call):
            turn.cascade.hold()
            self._arrive(steps, partial(self._part_over, turn.cascade), sender=turn.id)

    @handles
    def on_thinking(self, message: TurnThinking) -> None:
        """Thoughts are for the bus, to which agents publish them; a room keeps none."""

    @handles
    def on_turn_over(self, message: TurnOver) -> None:
        turn = self._turns.by_id.get(message.turn)
        if turn is not None and not turn.over:
            self._core.now = self._plan.wall()
            steps = reacting.heard(self._pipeline, turn, message.reaction)
            self._arrive(steps, partial(self._part_over, turn.cascade), sender=turn.id)
            self._flush()

    def _part_over(self, cascade: Cascade, value: object, fault: Exception | None) -> None:
        if fault is not None:
            cascade.error = cascade.error or str(fault)
        self._core.let_go(cascade)

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
                self._timer = self.send_after(max(0.0, wait) + 0.001, _TimersDue())

    @handles
    def on_timers_due(self, message: _TimersDue) -> None:
        self._timer = None
        self._core.now = self._plan.wall()
        if self._core.due() is not None:
            self._arrive(self._look(), lambda _value, _fault: None)
        else:
            self._arm_timers()


def _event_of(cascade: Cascade) -> RoomEvent | None:
    return cascade.event
