"""Carrying out what the machines of a room want done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from actors.machines.room.cascade import Cascade
from actors.machines.room.steps import (
    Announce,
    BeginTurn,
    Carry,
    Effect,
    EndStream,
    Fire,
    Forget,
    KeepResults,
    OpenStream,
    PushBinding,
    Settle,
    StopTurn,
    StreamMore,
)
from actors.room.around import Around
from actors.room.delivery import Delivered, Delivery, Ledger
from actors.room.hook_runner import RunAsync
from models.rooms.channel import (
    AgentSpec,
    BindingChanged,
    CancelTurn,
    React,
    Reaction,
    TransportSpec,
)
from models.rooms.event import DeliveryError, DeliveryResult, RoomEvent
from models.rooms.kinds import DeliveryOutcome
from models.rooms.traffic import FrameworkEvent
from supervision import ActorCrashed, ActorRef, AskTimeout, ChildSpec
from transports.stores.requests import RecordResults


@attrs.frozen
class TurnOver:
    """An agent's turn has ended. To the room."""

    turn: str
    reaction: Reaction


@attrs.frozen
class Fired:
    """All asynchronous hooks are done with a payload. To the room."""

    cascade: Cascade


def delivery_name(channel_id: str) -> str:
    """The delivery actor of a binding, among its siblings."""
    return f"to.{channel_id}"


def agent_name(channel_id: str) -> str:
    """The actor of an agent, among its siblings."""
    return f"agent.{channel_id}"


@attrs.define(eq=False)
class Outbox:
    """Of one room."""

    around: Around
    settle: Callable[[Cascade], None]

    def carry_out(self, effect: Effect) -> None:
        """Do it, or have it done."""
        match effect:
            case Carry() | OpenStream() | StreamMore() | EndStream():
                self._to_delivery(effect)
            case Announce():
                self._announce(effect)
            case Settle(cascade=cascade):
                self.settle(cascade)
            case BeginTurn():
                self._begin_turn(effect)
            case StopTurn(channel_id=channel_id, turn=turn):
                ref = self.around.household.refs.get(agent_name(channel_id))
                if ref is not None:
                    ref.tell(CancelTurn(turn))
            case Fire():
                self._fire(effect)
            case KeepResults(event=event):
                self.around.store.tell(RecordResults(event))
            case PushBinding(binding=binding):
                ref = self._whoever_is(binding.channel_id)
                if ref is not None:
                    ref.tell(BindingChanged(binding))
            case Forget(channel_id=channel_id):
                self.around.household.dismiss(delivery_name(channel_id))
                self.around.household.dismiss(agent_name(channel_id))

    # -- transports -----------------------------------------------------------------------

    def _to_delivery(self, work: Carry | OpenStream | StreamMore | EndStream) -> None:
        name = delivery_name(work.channel_id)
        ref = self.around.household.refs.get(name)
        if ref is not None:
            ref.tell(work)
            return
        spec = partial(self._delivery, work.channel_id)
        self.around.household.have(name, spec, partial(self._tell_or_fail, work))

    def _delivery(self, channel_id: str) -> ChildSpec[Any]:
        room, channels = self.around.actor.ref, self.around.plan.channels
        start = partial(Delivery, room, channels, channel_id, Ledger.of(channel_id))
        return ChildSpec(delivery_name(channel_id), start)

    def _tell_or_fail(self, work: Any, ref: ActorRef[Any] | None) -> None:
        if ref is not None:
            ref.tell(work)
        elif isinstance(work, Carry):
            fault = DeliveryError("delivery_unavailable", "its delivery actor could not start")
            result = DeliveryResult(work.channel_id, DeliveryOutcome.FAILED, error=fault)
            self.around.actor.ref.tell(Delivered(work.channel_id, work.event.id, result))

    def _whoever_is(self, channel_id: str) -> ActorRef[Any] | None:
        match self.around.registrations().channels.get(channel_id):
            case TransportSpec():
                return self.around.actor.system.find(f"{self.around.plan.channels}/{channel_id}")
            case _:
                return self.around.household.refs.get(agent_name(channel_id))

    # -- agents ---------------------------------------------------------------------------

    def _begin_turn(self, effect: BeginTurn) -> None:
        # Looked up now: by the time it can be started, it may be registered no more.
        registered = self.around.registrations().agent(effect.channel_id)
        spec = partial(self._agent, registered)
        self.around.household.have(
            agent_name(effect.channel_id), spec, partial(self._ask_agent, effect)
        )

    def _agent(self, registered: AgentSpec) -> ChildSpec[Any]:
        start = partial(registered.start, self.around.room_id)
        return ChildSpec(agent_name(registered.info.id), start)

    def _ask_agent(self, effect: BeginTurn, ref: ActorRef[Any] | None) -> None:
        if ref is None:
            reaction = Reaction(error="the agent could not be started")
            self.around.actor.ref.tell(TurnOver(effect.turn, reaction))
            return
        request = React(
            effect.turn, effect.event, effect.context, effect.binding, self.around.actor.ref
        )
        turn = effect.turn
        self.around.actor.pipe(
            ref.ask(request, timeout=self.around.plan.turn_timeout),
            to=lambda reaction: TurnOver(turn, reaction),
            failed=lambda error: TurnOver(turn, Reaction(error=_told(error))),
        )

    # -- hooks and listeners ----------------------------------------------------------------

    def _fire(self, effect: Fire) -> None:
        hooks = self.around.hooks().matching(effect.trigger, effect.payload)
        payload = effect.payload
        # What a hook says in turn is one deeper than what it was told.
        depth = payload.chain_depth if isinstance(payload, RoomEvent) else 0
        request = RunAsync(effect.trigger, payload, self.around.context(), hooks, depth)
        cascade = effect.cascade

        def run(ref: ActorRef[Any] | None) -> None:
            if ref is None:
                if cascade is not None:
                    self.around.actor.ref.tell(Fired(cascade))
            elif cascade is None:
                ref.tell(request)
            else:
                done = Fired(cascade)
                # What hooks do inherits no deadline of ours: each has its own.
                reply = ref.ask(request, timeout=float("inf"))
                self.around.actor.pipe(reply, to=lambda _: done, failed=lambda _: done)

        self.around.household.have("hooks", self.around.hook_runner, run)

    def _announce(self, effect: Announce) -> None:
        events = self.around.actor.system.events
        if events.wants(FrameworkEvent):
            events.publish(
                FrameworkEvent(
                    self.around.plan.new_id(),
                    effect.type,
                    self.around.plan.wall(),
                    self.around.room_id,
                    effect.channel_id,
                    effect.event_id,
                    effect.data,
                )
            )


def _told(error: Exception) -> str:
    match error:
        case ActorCrashed():
            return "the agent failed in the middle of its turn"
        case AskTimeout():
            return "the agent took too long"
        case _:
            return type(error).__name__
