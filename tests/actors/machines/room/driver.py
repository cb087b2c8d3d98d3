"""Runs a room's passages against a store in memory, without any actor: what an actor would wait
for is answered at once, and what it would carry out is kept for the test to look at.

One line of a test is one moment: `at` sets the clock, and nothing is delivered and no agent answers
before the test says so.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import attrs

from actors.machines.room import reacting
from actors.machines.room.broadcast import redrive
from actors.machines.room.cascade import Cascade
from actors.machines.room.core import RoomCore, RoomSettings
from actors.machines.room.hooking import Hook, HookExecution, HookTable, HookTrigger, Verdict
from actors.machines.room.identifying import IdentitySettings
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.steps import (
    Announce,
    BeginTurn,
    Carry,
    EraseEvent,
    FindEvent,
    FindIdentity,
    FindKey,
    FindTask,
    Fire,
    Forget,
    Keep,
    KeepResults,
    Lock,
    Resolve,
    RunHooks,
    RunIdentityHooks,
    Settle,
    Steps,
    TellAttached,
    TellDetached,
    Turned,
    Wait,
)
from actors.machines.room.turns import Turns
from models.rooms.content import Content, System, Text
from models.rooms.errors import RoomsError
from models.rooms.event import DeliveryResult, EventSource, RoomEvent
from models.rooms.identity import IdentityResult
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    ChannelCategory,
    ChannelDirection,
    ChannelType,
    DeliveryOutcome,
    IdentificationStatus,
)
from models.rooms.room import Room
from models.rooms.traffic import InboundMessage
from models.rooms.turns import Answer, Reaction
from tests.actors.machines.room import operations
from transports.stores.backend import EventFilter, Page
from transports.stores.memory import MemoryBackend

T = TypeVar("T")
E = TypeVar("E")

T0 = datetime(2026, 1, 1, tzinfo=UTC)
"""When every room of a test begins."""

WITH_BLOCKED = EventFilter(include_blocked=True)
WHOLE = Page(limit=1000)

WEB = ChannelInfo("web", ChannelType.WEBSOCKET, sender_is_participant=True, streams=True)
SMS = ChannelInfo("sms", ChannelType.SMS, recipient_key="phone")
AI = ChannelInfo("ai", ChannelType.AI, category=ChannelCategory.INTELLIGENCE)
AI2 = ChannelInfo("ai2", ChannelType.AI, category=ChannelCategory.INTELLIGENCE)
CHANNELS = (WEB, SMS, AI, AI2)

KNOWS_ALL_HOOKS = HookTable(
    Hook(trigger, lambda _payload, _context: None, HookExecution.ASYNC, name=trigger.value)
    for trigger in HookTrigger
    if trigger is not HookTrigger.BEFORE_BROADCAST
)
"""Somebody listens to everything, and nobody decides anything."""

SOMEBODY_DECIDES = KNOWS_ALL_HOOKS.with_hook(
    Hook(HookTrigger.BEFORE_BROADCAST, lambda _event, _context: None, name="guard")
)
"""And somebody who does: what they say is the driver's `judge`."""


def allowed(event: RoomEvent) -> Verdict:
    """What hooks say that mind nothing."""
    return Verdict(event)


@attrs.define(eq=False)
class Driver:
    """One room, and the world around it."""

    core: RoomCore
    backend: MemoryBackend
    judge: Callable[[RoomEvent], Verdict] = allowed
    """The hooks that decide."""
    resolve: Callable[[InboundMessage], IdentityResult] = attrs.field(
        default=lambda _message: IdentityResult(IdentificationStatus.UNKNOWN)
    )
    identity: IdentitySettings = attrs.field(factory=IdentitySettings)
    objections: dict[type[Wait], RoomsError] = attrs.field(factory=dict)
    """Waits of these kinds fail, with these errors."""
    effects: list[Any] = attrs.field(factory=list)
    """All that was decided, in order."""
    waits: list[Wait] = attrs.field(factory=list)
    """All that was waited for, in order."""
    in_flight: dict[str, deque[Carry]] = attrs.field(factory=dict)
    """By channel: what is on its way, in order."""
    thinking: list[BeginTurn] = attrs.field(factory=list)
    """Turns that have begun and are not over."""
    settled: list[Cascade] = attrs.field(factory=list)
    turns: Turns = attrs.field(init=False)
    pipeline: Pipeline = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.turns = Turns(self.core)
        self.pipeline = Pipeline(self.core, self.turns, self.identity)

    @classmethod
    def of_room(
        cls,
        room: Room | None = None,
        *,
        backend: MemoryBackend | None = None,
        channels: Iterable[ChannelInfo] = CHANNELS,
        hooks: HookTable = KNOWS_ALL_HOOKS,
        settings: RoomSettings | None = None,
        **also: Any,
    ) -> Driver:
        """A room that is new, or what the backend has of it."""
        backend = backend or MemoryBackend()
        room = room or Room("r", T0, T0)
        if backend.get_room(room.id) is None:
            backend.create_room(room)
        settings = settings or RoomSettings()
        record = backend.load_room(room.id, settings.window)
        assert record is not None
        numbers = itertools.count(1)
        core = RoomCore.restored(
            record,
            channels={info.id: info for info in channels},
            settings=settings,
            hooks=hooks,
            new_id=lambda: f"id-{room.event_count}-{next(numbers)}",
            now=T0,
        )
        return cls(core, backend, **also)

    # -- passages ---------------------------------------------------------------------------

    def at(self, seconds: float) -> Driver:
        """That long after `T0`, from here on."""
        self.core.now = T0 + timedelta(seconds=seconds)
        return self

    def run(self, steps: Steps[T]) -> T:
        """One passage, from its beginning to its end."""
        answer: Any = None
        error: Exception | None = None
        while True:
            try:
                wait = steps.throw(error) if error is not None else steps.send(answer)
            except StopIteration as stop:
                self.flush()
                value: T = stop.value
                return value
            except Exception:
                self.flush()
                raise
            self.flush()
            self.waits.append(wait)
            answer = error = None
            try:
                answer = self._answered(wait)
            except RoomsError as fault:
                error = fault

    def _answered(self, wait: Wait) -> Any:
        if type(wait) in self.objections:
            raise self.objections[type(wait)]
        backend, room_id = self.backend, self.core.room.id
        match wait:
            case Keep(change=change):
                return backend.change(change)
            case FindEvent(event_id=event_id):
                return backend.get_event(room_id, event_id)
            case EraseEvent(event_id=event_id, cascade_replies=cascade):
                return backend.delete_event(room_id, event_id, cascade)
            case FindTask(task_id=task_id):
                return backend.get_task(task_id)
            case FindKey(key=key):
                return backend.get_event_by_key(room_id, key)
            case FindIdentity(identity_id=identity_id):
                return backend.get_identity(identity_id, self.core.room.organization_id)
            case RunHooks(payload=payload):
                return self.judge(payload)
            case Resolve(message=message):
                return self.resolve(message)
            case Lock() | TellAttached() | TellDetached() | RunIdentityHooks():
                return None

    def flush(self) -> None:
        """Take what was decided out of the core, and tell the store how far deliveries are."""
        while self.core.out:
            decided, self.core.out = self.core.out, []
            for effect in decided:
                self.effects.append(effect)
                match effect:
                    case Carry(channel_id=channel_id):
                        self.in_flight.setdefault(channel_id, deque()).append(effect)
                    case BeginTurn():
                        self.thinking.append(effect)
                    case Forget(channel_id=channel_id):
                        self.in_flight.pop(channel_id, None)
                    case KeepResults(event=event):
                        self.backend.record_results(event)
                    case Fire(cascade=Cascade() as cascade):
                        self.core.let_go(cascade)  # hooks take no time here
                    case Settle(cascade=cascade):
                        self.settled.append(cascade)
        moved, self.core.moved = self.core.moved, {}
        self.backend.advance(self.core.room.id, moved, self.core.delivered_index)

    # -- what people do -----------------------------------------------------------------------

    def attach(self, *channel_ids: str) -> Driver:
        """Bind channels, with the rights they have by themselves."""
        for channel_id in channel_ids:
            metadata = {"phone": "+1"} if channel_id == SMS.id else {}
            self.run(operations.attach_channel(self.pipeline, channel_id, metadata=metadata))
        return self

    def say(self, channel_id: str, what: str | Content, sender: str = "ann", **more: Any) -> Any:
        """Something comes in by a channel. Returns its cascade."""
        content = Text(what) if isinstance(what, str) else what
        message = InboundMessage(channel_id, sender, content, **more)
        cascade = self.core.new_cascade()
        return self.cause(cascade, self.pipeline.inbound(message, cascade))

    def send(self, channel_id: str, what: str, **more: Any) -> Cascade:
        """The application says something on a channel. Returns its cascade."""
        kind = self.core.channels[channel_id].type
        source = EventSource(channel_id, kind, ChannelDirection.OUTBOUND)
        core = self.core
        event = RoomEvent(core.new_id(), core.room.id, source, Text(what), core.now, **more)
        cascade = core.new_cascade()
        return self.cause(cascade, self.pipeline.sent(event, cascade))

    def regenerate(self) -> Cascade:
        """Have the last message answered again. Returns the cascade."""
        cascade = self.core.new_cascade()
        return self.cause(cascade, operations.regenerate(self.pipeline, cascade))

    def cause(self, cascade: Cascade, steps: Steps[Any]) -> Cascade:
        """A passage that causes something: what its caller waits for is the cascade."""
        cascade.hold()
        try:
            self.run(steps)
        except Turned as turned:
            cascade.reason = turned.reason
        finally:
            self.core.let_go(cascade)
            self.flush()
        return cascade

    # -- what channels and agents do ------------------------------------------------------------

    def deliver(self, channel_id: str, result: DeliveryResult | None = None) -> Carry:
        """A channel has brought the first of what is on its way to it."""
        carry = self.in_flight[channel_id].popleft()
        if not self.in_flight[channel_id]:
            del self.in_flight[channel_id]
        outcome = result or DeliveryResult(channel_id, DeliveryOutcome.SENT)
        self.core.delivered(carry.event.id, channel_id, outcome)
        self.flush()
        return carry

    def deliver_all(self) -> Driver:
        """All channels have brought all they had."""
        while self.in_flight:
            self.deliver(next(iter(self.in_flight)))
        return self

    def answer(self, *texts: str, reaction: Reaction | None = None) -> BeginTurn:
        """The agent whose turn began first answers."""
        begun = self.thinking.pop(0)
        turn = self.turns.by_id[begun.turn]
        said = reaction or Reaction(tuple(Answer(Text(text)) for text in texts))
        self.run(reacting.heard(self.pipeline, turn, said))
        self.core.let_go(turn.cascade)
        self.flush()
        return begun

    # -- what came of it --------------------------------------------------------------------------

    def timeline(self) -> Sequence[RoomEvent]:
        """All that is stored, blocked events too."""
        return self.backend.get_timeline(self.core.room.id, WITH_BLOCKED, WHOLE)

    def records(self) -> Sequence[tuple[str, Any]]:
        """What the room says of itself: code and data of each entry."""
        return [
            (event.content.code or "", dict(event.content.data))
            for event in self.timeline()
            if isinstance(event.content, System)
        ]

    def done(self, kind: type[E]) -> list[E]:
        """The effects of one kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def fired(self) -> list[HookTrigger]:
        """What hooks were told of."""
        return [effect.trigger for effect in self.done(Fire)]

    def announced(self, kind: str) -> list[Announce]:
        """The framework events of a type."""
        return [effect for effect in self.done(Announce) if effect.type == kind]

    def forget_effects(self) -> Driver:
        """What comes now is looked at alone."""
        self.effects.clear()
        self.waits.clear()
        return self

    def kept(self) -> int:
        """Commits since the effects were forgotten."""
        return sum(isinstance(wait, Keep) for wait in self.waits)

    def restarted(self) -> Driver:
        """The room as another process would find it now."""
        again = Driver.of_room(
            self.core.room,
            backend=self.backend,
            channels=self.core.channels.values(),
            settings=self.core.settings,
        )
        again.core.now = self.core.now
        return again

    def redrive(self) -> Driver:
        """Do what is on record and was not done."""
        undone = Page(limit=1000, after_index=self.core.delivered_index)
        events = self.backend.get_timeline(self.core.room.id, WITH_BLOCKED, undone)
        redrive(self.core, self.turns, events)
        self.flush()
        return self
