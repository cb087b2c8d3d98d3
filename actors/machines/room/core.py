"""What a room knows, and the outbox of what it wants done. One owner, no clock, no waiting.

`now` is set by whoever drives the machine, before each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from actors.machines.room.cascade import PASSES, Cascade
from actors.machines.room.editing import readable
from actors.machines.room.hooking import HookTable, HookTrigger
from actors.machines.room.lifecycle import Due, closed, is_due, next_change, paused
from actors.machines.room.steps import Announce, Effect, Fire, KeepResults, Settle
from models.rooms.content import System
from models.rooms.event import NOTHING, DeliveryError, DeliveryResult, EventSource, RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    ChannelDirection,
    ChannelType,
    DeliveryOutcome,
    EventStatus,
    EventType,
    RoomStatus,
)
from models.rooms.room import DETACHED, ChannelBinding, Participant, Room, RoomContext
from models.rooms.transcode import transcode
from transports.stores.backend import Change, RoomRecord

SYSTEM_SOURCE = EventSource("system", ChannelType.SYSTEM, ChannelDirection.INBOUND)

Transcoder = Callable[[Any, Any], Any]


@attrs.frozen
class PersistencePolicy:
    """Which events of channels are stored. What is not stored is delivered all the same."""

    exclude_types: frozenset[EventType] = frozenset()
    persist_types: frozenset[EventType] | None = None
    """Only these; None is all that are not excluded."""

    def keeps(self, kind: EventType) -> bool:
        """Whether events of that type are stored."""
        if kind in self.exclude_types or kind is EventType.INSTRUCTION:
            return False
        return self.persist_types is None or kind in self.persist_types


@attrs.frozen
class RoomSettings:
    """What all rooms of a node have in common."""

    max_chain_depth: int = 5
    """Answers to answers; deeper ones are blocked."""
    process_timeout: float = 30.0
    """Seconds a message may take until it is committed."""
    window: int = 50
    """Messages that hooks and agents are shown, at least."""
    most_window: int = 2000
    persistence: PersistencePolicy = PersistencePolicy()
    transcode: Transcoder = transcode


@attrs.define(eq=False)
class DeliverySet:
    """One event on its way to all who are to have it."""

    event: RoomEvent
    cascade: Cascade
    root: bool
    """It is what the caller sent, and not an answer to it."""
    waiting: set[str]
    """Channels it has not been brought to yet."""
    results: dict[str, DeliveryResult] = attrs.field(factory=dict)
    updated: RoomEvent | None = None
    """What an edit or a delete has changed."""
    again: bool = False
    """It was brought to people before; agents are asked once more."""


@attrs.define(eq=False)
class RoomCore:
    """See the module. Built from what the store has."""

    room: Room
    channels: Mapping[str, ChannelInfo]
    """All that are registered on the node."""
    settings: RoomSettings
    hooks: HookTable
    new_id: Callable[[], str]
    now: datetime
    bindings: dict[str, ChannelBinding] = attrs.field(factory=dict)
    participants: dict[str, Participant] = attrs.field(factory=dict)
    recent: tuple[RoomEvent, ...] = ()
    """Messages, as histories show them; ascending."""
    cursors: dict[str, int] = attrs.field(factory=dict)
    """By channel: deliveries are done up to this index."""
    delivered_index: int = -1
    moved: dict[str, int] = attrs.field(factory=dict)
    """Cursors that moved since the store was told."""
    out: list[Effect] = attrs.field(factory=list)
    sets: dict[str, DeliverySet] = attrs.field(factory=dict)
    """By event."""
    owed: dict[str, set[str]] = attrs.field(factory=dict)
    """By event: agents that have reacted, and whose answers are not on record yet."""
    _accounted: set[int] = attrs.field(factory=set)
    _context: RoomContext | None = None

    @classmethod
    def restored(cls, record: RoomRecord, **parts: Any) -> RoomCore:
        """A room as the store has it."""
        context = record.context
        core = cls(context.room, **parts)
        core.bindings = {binding.channel_id: binding for binding in context.bindings}
        core.participants = {person.id: person for person in context.participants}
        core.recent = tuple(map(readable, context.recent_events))
        core.cursors = dict(record.cursors)
        core.delivered_index = context.room.delivered_index
        return core

    def reread(self, record: RoomRecord) -> None:
        """After a commit of which nobody knows whether it was made: what the store says."""
        context = record.context
        self.room = context.room
        self.bindings = {binding.channel_id: binding for binding in context.bindings}
        self.participants = {person.id: person for person in context.participants}
        self.recent = tuple(map(readable, context.recent_events))
        for name, index in record.cursors.items():
            self.cursors[name] = max(index, self.cursors.get(name, -1))
        self._context = None

    @property
    def window(self) -> int:
        """Messages kept at hand for hooks and agents."""
        widest = max(
            (
                self.channels[name].recent_events_window
                for name in self.bindings
                if name in self.channels
            ),
            default=0,
        )
        return min(max(self.settings.window, widest), self.settings.most_window)

    # -- what others are shown ------------------------------------------------------------

    @property
    def context(self) -> RoomContext:
        """A snapshot, made once for each state of the room."""
        if self._context is None:
            self._context = RoomContext(
                self.room,
                tuple(self.bindings.values()),
                tuple(self.participants.values()),
                self.recent,
            )
        return self._context

    def new_cascade(self, key: str = "") -> Cascade:
        """For a message from outside."""
        return Cascade(self.settings.max_chain_depth * PASSES, key)

    # -- committing -----------------------------------------------------------------------

    def change(
        self,
        events: Sequence[RoomEvent] = (),
        *,
        room: Room | None = None,
        activity: bool = False,
        **parts: Any,
    ) -> Change:
        """The atomic write that adds these events, which carry their indices already.

        Args:
            room: the record, if it changes otherwise as well.
            activity: something was delivered: the idle clock starts anew, and a paused room is
                in use again.
        """
        before = room or self.room
        count = self.room.event_count
        timers, status = before.timers, before.status
        if activity:
            timers = attrs.evolve(timers, last_activity_at=self.now, paused_at=None)
            if status is RoomStatus.PAUSED:
                status = RoomStatus.ACTIVE
        after = attrs.evolve(
            before,
            event_count=count + len(events),
            latest_index=events[-1].index if events else self.room.latest_index,
            updated_at=self.now,
            timers=timers,
            status=status,
            delivered_index=self.delivered_index,
        )
        return Change(after, count, events, **parts)

    def accept(self, change: Change) -> None:
        """The store has it: so have we."""
        self.room = change.room
        for binding in change.bound:
            self.bindings[binding.channel_id] = binding
        for name in change.unbound:
            self.bindings.pop(name, None)
            self.cursors.pop(name, None)
        for person in change.participants:
            self.participants[person.id] = person
        for name, index in change.cursors.items():
            self.cursors[name] = max(index, self.cursors.get(name, -1))
        self._remember(change)
        for event in change.events:
            if event.blocked or event.source is SYSTEM_SOURCE:
                self.account(event.index)  # nobody is to be brought these
        self._context = None

    def _remember(self, change: Change) -> None:
        recent = self.recent
        if change.changed:
            now = {event.id: readable(event) for event in change.changed}
            recent = tuple(now.get(event.id, event) for event in recent)
        new = tuple(
            event
            for event in change.events
            if event.type is EventType.MESSAGE and not event.blocked
        )
        if new:
            recent = (*recent, *new)[-self.window :]
        self.recent = recent

    def forget(self, event_ids: Sequence[str]) -> None:
        """Events that are no more are read no more."""
        self.recent = tuple(event for event in self.recent if event.id not in event_ids)
        self._context = None

    @property
    def next_index(self) -> int:
        """The index of the next event."""
        return self.room.latest_index + 1

    # -- the delivery cursor ----------------------------------------------------------------

    def account(self, index: int) -> None:
        """Nothing is left to do about that index."""
        if index > self.delivered_index:
            self._accounted.add(index)
        while self.delivered_index + 1 in self._accounted:
            self.delivered_index += 1
            self._accounted.discard(self.delivered_index)

    def delivered(
        self,
        event_id: str,
        channel_id: str,
        result: DeliveryResult | None,
        *,
        moves: bool = True,
    ) -> None:
        """One channel is done with an event.

        Args:
            result: None where there was nothing to bring.
            moves: all that was to be brought to the channel before it is done as well, as it is
                when the channel's own actor tells.
        """
        group = self.sets.get(event_id)
        if group is None or channel_id not in group.waiting:
            return
        group.waiting.discard(channel_id)
        if result is not None:
            group.results[channel_id] = result
        if moves:
            self._move(channel_id, group.event)
        if not group.waiting:
            self.finish(group)

    def heard(self, event: RoomEvent, channel_id: str, result: DeliveryResult | None) -> None:
        """An agent is done with an event, but its answers are not on record yet.

        Hooks and callers may know; for the cursor it is not done before `answered`: a crash until
        then has the agent asked again.
        """
        group = self.sets.get(event.id)
        if group is not None and not group.again:  # asked once more, it has its index already
            self.owed.setdefault(event.id, set()).add(channel_id)
        self.delivered(event.id, channel_id, result, moves=False)

    def answered(self, event: RoomEvent, channel_id: str) -> None:
        """The answers of an agent are on record, or there will be none."""
        owed = self.owed.get(event.id)
        if owed is None:
            return
        owed.discard(channel_id)
        self._move(channel_id, event)
        if not owed:
            del self.owed[event.id]
            if event.id not in self.sets and self.keeps(event):
                self.account(event.index)

    def _move(self, channel_id: str, event: RoomEvent) -> None:
        if channel_id not in self.bindings or not self.keeps(event):
            return
        # The commit of an agent's answer has moved its cursor already.
        if event.index > self.cursors.get(channel_id, -1):
            self.cursors[channel_id] = self.moved[channel_id] = event.index

    def abandon(self, channel_id: str) -> None:
        """A channel has left: what was on its way to it does not arrive any more."""
        error = DeliveryError("channel_detached", "the channel has left the room", retryable=False)
        result = DeliveryResult(channel_id, DeliveryOutcome.FAILED, error=error)
        for group in list(self.sets.values()):
            self.delivered(group.event.id, channel_id, result)

    def keeps(self, event: RoomEvent) -> bool:
        """Whether it has a place in the timeline."""
        return self.settings.persistence.keeps(event.type)

    def finish(self, group: DeliverySet) -> None:
        """An event is with all who were to have it, or cannot be: tell, in this order."""
        event = group.event
        self.sets.pop(event.id, None)
        if group.updated is not None:
            deleted = event.type is EventType.DELETE
            trigger = HookTrigger.ON_EVENT_DELETED if deleted else HookTrigger.ON_EVENT_UPDATED
            self.fire(trigger, group.updated, group.cascade)
        self._tell_results(group)
        if not group.again:
            self.fire(HookTrigger.AFTER_BROADCAST, event, group.cascade)
        if group.root:
            group.cascade.results.update(group.results)
            self.announce("event_processed", event_id=event.id)
        if self.keeps(event) and not group.again and event.id not in self.owed:
            self.account(event.index)
        self.let_go(group.cascade)

    def _tell_results(self, group: DeliverySet) -> None:
        failed = {
            name: result
            for name, result in group.results.items()
            if result.status is DeliveryOutcome.FAILED
        }
        if failed:
            faults = {
                name: result.error and result.error.message for name, result in failed.items()
            }
            data = {"failed": len(failed), "total": len(group.results), "errors": faults}
            self.announce("broadcast_partial_failure", data, event_id=group.event.id)
            if self.keeps(group.event) and not group.again:
                self.out.append(
                    KeepResults(attrs.evolve(group.event, delivery_results=dict(group.results)))
                )
        for name in group.results:
            error = failed[name].error if name in failed else None
            kind = "delivery_failed" if name in failed else "delivery_succeeded"
            told = {"error": error.message, "code": error.code} if error else NOTHING
            self.announce(kind, told, channel_id=name, event_id=group.event.id)

    def let_go(self, cascade: Cascade) -> None:
        """Something of a cascade is over."""
        if cascade.let_go():
            self.out.append(Settle(cascade))

    # -- telling --------------------------------------------------------------------------

    def fire(self, trigger: HookTrigger, payload: Any, cascade: Cascade | None = None) -> None:
        """Asynchronous hooks, if there are any."""
        if self.hooks.has(trigger):
            if cascade is not None:
                cascade.hold()
            self.out.append(Fire(trigger, payload, cascade))

    def announce(
        self,
        kind: str,
        data: Mapping[str, Any] = NOTHING,
        *,
        channel_id: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """A framework event."""
        self.out.append(Announce(kind, data, channel_id, event_id))

    # -- records --------------------------------------------------------------------------

    def record(
        self, kind: EventType, code: str, body: str, data: Mapping[str, Any] = NOTHING
    ) -> RoomEvent:
        """A system event that says what happened to the room: the next entry of its timeline."""
        return RoomEvent(
            id=self.new_id(),
            room_id=self.room.id,
            source=SYSTEM_SOURCE,
            content=System(body, code, data),
            created_at=self.now,
            type=kind,
            status=EventStatus.DELIVERED,
            visibility="internal",
            index=self.next_index,
        )

    # -- timers ---------------------------------------------------------------------------

    def due(self) -> tuple[Due, Room, RoomEvent, HookTrigger] | None:
        """What the timers do to the room now: the change, the room after it, its record."""
        change = next_change(self.room)
        if change is None or not is_due(change, self.now):
            return None
        if change.status is RoomStatus.CLOSED:
            record = self.record(EventType.SYSTEM, "room_closed_by_timer", "closed: nobody used it")
            record = attrs.evolve(record, created_at=change.at)
            return change, closed(self.room, change.at), record, HookTrigger.ON_ROOM_CLOSED
        record = self.record(EventType.SYSTEM, "room_paused_by_timer", "paused: nobody used it")
        record = attrs.evolve(record, created_at=change.at)
        return change, paused(self.room, change.at), record, HookTrigger.ON_ROOM_PAUSED

    def seconds_until_due(self) -> float:
        """Until the timers next do something; infinite if they do not."""
        change = next_change(self.room)
        return math.inf if change is None else (change.at - self.now).total_seconds()

    @property
    def tombstones(self) -> Sequence[str]:
        """Channels that were detached on purpose."""
        return tuple(self.room.metadata.get(DETACHED, ()))
