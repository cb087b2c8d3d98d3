"""The bus for what is not kept: typing, presence, reactions, thoughts, to all who listen to a room.

Telling never waits, so each subscription has a line of its own here, of `queue` events: one whose
subscriber's mailbox is full waits for room there, and meanwhile loses its oldest events, which are
counted. Nobody else notices.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import Any, TypeVar
from uuid import uuid4

import attrs
import trio
from attrs.validators import ge

from actors.room.ephemerals import custom as custom
from actors.room.ephemerals import ephemeral as ephemeral
from actors.room.ephemerals import presence as presence
from actors.room.ephemerals import reaction as reaction
from actors.room.ephemerals import read_receipt as read_receipt
from actors.room.ephemerals import typing as typing
from models.rooms.ephemeral import EphemeralMessage, Listen, Publish, StopListening
from models.rooms.kinds import EphemeralType
from models.rooms.traffic import EphemeralEvent
from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    MailboxFull,
    Refuse,
    Restart,
    SupervisionError,
    System,
    Terminated,
    handles,
)
from supervision.events import Subscription

K = TypeVar("K")

logger = logging.getLogger("troupe.rooms")

QUEUE = 256
"""Events that may wait for one subscriber, beside what its own mailbox holds."""

_GOODBYE = 1.0
"""Seconds to unsubscribe in, however the block of `ephemeral_events` is left."""


@attrs.frozen
class BusConfig:
    """How much waits for slow subscribers."""

    queue: int = attrs.field(default=QUEUE, validator=ge(1))
    """Events that may wait for one; then its oldest are dropped, and counted."""


# -- who listens -----------------------------------------------------------------------------------


@attrs.define(eq=False)
class Line:
    """One subscription, and what waits for it."""

    id: str
    room_id: str
    subscriber: ActorRef[EphemeralEvent]
    types: frozenset[EphemeralType]
    """Empty is all."""
    events: deque[EphemeralEvent]
    dropped: int = 0
    due: bool = False
    """It is to be forwarded."""
    held: trio.CancelScope | None = None
    """Around the wait for room in the subscriber's mailbox."""

    def put(self, event: EphemeralEvent) -> None:
        """Add an event; the oldest goes if there is no room."""
        if len(self.events) == self.events.maxlen:
            self.dropped += 1
        self.events.append(event)


class Lines:
    """Who listens to what. They outlive the bus's restarts."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._by_room: dict[str, dict[str, Line]] = {}
        self._by_subscriber: dict[ActorRef[EphemeralEvent], dict[str, Line]] = {}
        self.dropped = 0
        """Of those that are gone."""

    def add(self, line: Line) -> None:
        """One more."""
        self._lines[line.id] = line
        self._by_room.setdefault(line.room_id, {})[line.id] = line
        self._by_subscriber.setdefault(line.subscriber, {})[line.id] = line

    def remove(self, subscription: str) -> Line | None:
        """It ends; None if there was none."""
        line = self._lines.pop(subscription, None)
        if line is not None:
            _take_out(self._by_room, line.room_id, subscription)
            _take_out(self._by_subscriber, line.subscriber, subscription)
            self.dropped += line.dropped
        return line

    def of_room(self, room_id: str) -> Iterator[Line]:
        """Those that listen to a room."""
        return iter(self._by_room.get(room_id, {}).values())

    def of_subscriber(self, subscriber: ActorRef[Any]) -> Sequence[Line]:
        """Those of one subscriber."""
        return list(self._by_subscriber.get(subscriber, {}).values())

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def rooms(self) -> int:
        """Rooms that anybody listens to."""
        return len(self._by_room)


def _take_out(index: dict[K, dict[str, Line]], key: K, subscription: str) -> None:
    lines = index[key]
    del lines[subscription]
    if not lines:
        del index[key]


@attrs.frozen
class BusStatistics:
    """Who listens, and what they have lost."""

    rooms: int
    subscriptions: int
    published: int
    """Events since the bus started."""
    forwarded: int
    """To subscribers, since the bus started."""
    waiting: int
    """Events that wait for slow subscribers."""
    dropped: int
    """Events that slow subscribers have lost, those that are gone included."""
    dropped_by: Mapping[str, int]
    """By the path of a subscriber that listens now and has lost any."""


# -- the bus ---------------------------------------------------------------------------------------


class EphemeralBus(Actor[EphemeralMessage | Terminated]):
    """Tells everybody who listens to a room what passes through it, each in order."""

    def __init__(self, lines: Lines | None = None, config: BusConfig | None = None) -> None:
        super().__init__()
        self._lines = lines if lines is not None else Lines()
        self._config = config or BusConfig()
        self._due: deque[Line] = deque()
        self._something_due = trio.Event()
        self._published = self._forwarded = 0

    def on_start(self) -> None:
        for line in self._lines:
            line.due, line.held = False, None  # what an earlier life was about to do
            self.watch(line.subscriber)
            self._forward_soon(line)
        self.start_task(self._forward, name="forwarding")

    @handles
    def on_publish(self, message: Publish) -> None:
        event = message.event
        self._published += 1
        for line in self._lines.of_room(event.room_id):
            if not line.types or event.type in line.types:
                line.put(event)
                self._forward_soon(line)

    @handles
    def on_listen(self, message: Listen) -> str:
        accepts = message.subscriber.accepts
        if accepts and not any(issubclass(EphemeralEvent, kind) for kind in accepts):
            raise Refuse(f"{message.subscriber.path} has no handler for an EphemeralEvent")
        line = Line(
            uuid4().hex,
            message.room_id,
            message.subscriber,
            frozenset(message.types),
            deque(maxlen=self._config.queue),
        )
        self._lines.add(line)
        self.watch(message.subscriber)
        return line.id

    @handles
    def on_stop_listening(self, message: StopListening) -> bool:
        line = self._lines.remove(message.subscription)
        if line is None:
            return False
        self._let_go(line)
        if not self._lines.of_subscriber(line.subscriber):
            self.unwatch(line.subscriber)
        return True

    @handles
    def on_terminated(self, message: Terminated) -> None:
        for line in self._lines.of_subscriber(message.ref):
            self._lines.remove(line.id)
            self._let_go(line)

    def _let_go(self, line: Line) -> None:
        line.events.clear()
        if line.held is not None:
            line.held.cancel()

    # -- forwarding -----------------------------------------------------------------------

    def _forward_soon(self, line: Line) -> None:
        if not line.due and line.held is None:
            line.due = True
            self._due.append(line)
            self._something_due.set()

    async def _forward(self) -> None:
        # A task, because a handler that tells a full mailbox makes a dead letter and is not told.
        async with trio.open_nursery() as waits:
            while True:
                while self._due:
                    line = self._due.popleft()
                    line.due = False
                    if not self._handed_over(line):
                        line.held = trio.CancelScope()
                        waits.start_soon(self._wait_for_room, line, line.held)
                    await trio.lowlevel.checkpoint()
                self._something_due = trio.Event()
                await self._something_due.wait()

    def _handed_over(self, line: Line) -> bool:
        """Whether nothing waits any more."""
        while line.events:
            if not line.subscriber.alive:
                line.events.clear()  # `Terminated` is on its way
                return True
            try:
                line.subscriber.tell(line.events[0])
            except MailboxFull:
                return False
            line.events.popleft()
            self._forwarded += 1
        return True

    async def _wait_for_room(self, line: Line, held: trio.CancelScope) -> None:
        with held:
            try:
                while line.events:
                    # Out of the line, for what is on its way must not be dropped as well.
                    await line.subscriber.send(line.events.popleft(), timeout=inf)
                    self._forwarded += 1
            except SupervisionError as error:
                logger.info("%s listens no longer: %s", line.subscriber.path, type(error).__name__)
        line.held = None

    def statistics(self) -> BusStatistics:
        dropped_by: dict[str, int] = {}
        for line in self._lines:
            if line.dropped:
                path = line.subscriber.path
                dropped_by[path] = dropped_by.get(path, 0) + line.dropped
        return BusStatistics(
            rooms=self._lines.rooms,
            subscriptions=len(self._lines),
            published=self._published,
            forwarded=self._forwarded,
            waiting=sum(len(line.events) for line in self._lines),
            dropped=self._lines.dropped + sum(dropped_by.values()),
            dropped_by=dropped_by,
        )

    def __repr__(self) -> str:
        return f"<EphemeralBus {len(self._lines)} subscriptions to {self._lines.rooms} rooms>"


def bus_spec(config: BusConfig | None = None, name: str = "bus") -> ChildSpec[Any]:
    """How the bus starts. Subscriptions outlive its restarts."""
    return ChildSpec(name, partial(EphemeralBus, Lines(), config))


# -- listening from a program ----------------------------------------------------------------------


@attrs.frozen
class _Enough:
    """Take what is here already, and go."""


class _Listener(Actor[EphemeralEvent | _Enough]):
    def __init__(self, put: Callable[[EphemeralEvent], None]) -> None:
        super().__init__()
        self._put = put

    @handles
    def on_event(self, message: EphemeralEvent) -> None:
        self._put(message)

    @handles
    def on_enough(self, _message: _Enough) -> None:
        self.stop()


@asynccontextmanager
async def ephemeral_events(
    system: System,
    bus: ActorRef[EphemeralMessage],
    room_id: str,
    types: Sequence[EphemeralType] = (),
    *,
    capacity: int = QUEUE,
) -> AsyncIterator[Subscription[EphemeralEvent]]:
    """What passes through a room, from now until the block ends, as an async iterator.

    Args:
        types: only these; () is all.
        capacity: events that may wait; beyond it the oldest are dropped, and counted in `dropped`.
    """
    events: Subscription[EphemeralEvent] = Subscription(capacity)
    listener = await system.spawn(_Listener, events.put, restart=Restart.TEMPORARY)
    subscription = ""
    try:
        subscription = await bus.ask(Listen(room_id, listener, types))
        yield events
    finally:
        with trio.move_on_after(_GOODBYE, shield=True):
            try:
                await bus.ask(StopListening(subscription))
            except SupervisionError:
                pass  # the bus is gone; whoever listens to it is too, soon
            listener.tell(_Enough())
            await listener.wait_gone()
