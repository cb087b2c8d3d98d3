"""What a node tells about itself, and the event stream that carries it.

Topics are types: a subscriber to `CrashReport` gets crash reports, one to `NodeEvent` everything.
Publishing never waits. Each subscriber has a mailbox or a buffer of its own, so a slow one loses
its own events (counted) and delays nobody.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
import trio

from supervision.errors import SupervisionError
from supervision.messages import ExitReason

if TYPE_CHECKING:
    from supervision.ref import ActorRef

E = TypeVar("E")


@attrs.frozen
class NodeEvent:
    """The base of everything the node publishes."""

    at: float
    """Seconds, in the node's time."""
    path: str
    """The actor it is about."""


class DeadLetterReason(enum.Enum):
    """Why nobody received a message."""

    STOPPED = "stopped"
    """Its receiver is gone."""
    FULL = "full"
    """The mailbox was full, and the sender, being inside a handler, could not be told."""
    NOT_ACCEPTED = "not accepted"
    """The receiver has no handler for it, and the sender could not be told."""
    POISONED = "poisoned"
    """Messages of this type crashed the receiver again and again, so it is spared them."""
    STALE = "stale"
    """An outcome or an answer for an earlier life of the receiver."""


@attrs.frozen
class DeadLetter(NodeEvent):
    """A message nobody received. `repr=False`: what people say to each other is not for logs."""

    message: Any = attrs.field(repr=False)
    message_type: str
    reason: DeadLetterReason


@attrs.frozen
class ActorStarted(NodeEvent):
    """An instance runs; `life` counts from 1, so above 1 it is a restart."""

    life: int


@attrs.frozen
class ActorEnded(NodeEvent):
    """An instance ended."""

    life: int
    reason: ExitReason


@attrs.frozen
class HandlerOverrun(NodeEvent):
    """A plain handler held the loop for longer than its budget."""

    seconds: float
    """How long, when it was noticed; it may have taken longer."""
    message_type: str
    stack: str


@attrs.frozen
class ActorStuck(NodeEvent):
    """An actor did not end even when it was cut off; it is fenced and left behind."""

    what: str
    """The task or thread that would not end."""


@attrs.frozen
class StopAllRefused(NodeEvent):
    """`pykka.ActorRegistry.stop_all()` tried to stop one of our actors."""


class Subscription(Generic[E]):
    """A bounded buffer of events, oldest dropped first; iterate over it."""

    def __init__(self, capacity: int) -> None:
        self._events: deque[E] = deque(maxlen=capacity)
        self._arrived = trio.Event()
        self.dropped = 0
        """Events lost because this subscriber was too slow."""

    def put(self, event: E) -> None:
        """Add an event. Never waits."""
        if len(self._events) == self._events.maxlen:
            self.dropped += 1
        self._events.append(event)
        self._arrived.set()

    def __len__(self) -> int:
        return len(self._events)

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        await trio.lowlevel.checkpoint()
        while not self._events:
            if self._arrived.is_set():
                self._arrived = trio.Event()
            await self._arrived.wait()
        return self._events.popleft()


class EventStream:
    """Publish and subscribe by type, on the loop."""

    def __init__(self) -> None:
        self._sinks: list[tuple[type, Callable[[Any], None]]] = []
        self._by_type: dict[type, list[Callable[[Any], None]]] = {}

    def wants(self, topic: type) -> bool:
        """Whether anybody listens, for what is costly to make."""
        return bool(self._sinks) and bool(self._sinks_for(topic))

    def publish(self, event: Any) -> None:
        """Give the event to everybody who subscribed to its type or a base of it."""
        if not self._sinks:
            return
        for sink in self._sinks_for(type(event)):
            sink(event)

    def _sinks_for(self, topic: type) -> list[Callable[[Any], None]]:
        sinks = self._by_type.get(topic)
        if sinks is None:
            sinks = [sink for wanted, sink in self._sinks if issubclass(topic, wanted)]
            self._by_type[topic] = sinks
        return sinks

    @contextmanager
    def _attached(self, topic: type, sink: Callable[[Any], None]) -> Iterator[None]:
        entry = (topic, sink)
        self._sinks.append(entry)
        self._by_type = {}
        try:
            yield
        finally:
            self._sinks.remove(entry)
            self._by_type = {}

    @contextmanager
    def subscribe(self, topic: type[E], *, capacity: int = 1000) -> Iterator[Subscription[E]]:
        """Events of a type, from now until the block ends, as an async iterator.

        Args:
            topic: the event class; its subclasses come too.
            capacity: events that may wait; beyond it the oldest are dropped and counted.
        """
        if not 1 <= capacity < math.inf:
            raise ValueError(f"capacity is the number of events that may wait, not {capacity}")
        subscription: Subscription[E] = Subscription(capacity)
        with self._attached(topic, subscription.put):
            yield subscription

    def subscribe_ref(self, topic: type[E], ref: ActorRef[E]) -> None:
        """Send events of a type to an actor until it is gone. Its mailbox's policy applies."""
        delivering = False

        def sink(event: E) -> None:
            nonlocal delivering
            # An event that finds no room becomes a dead letter, which is an event again: sent to
            # the same full mailbox it would never come to an end.
            if delivering or not ref.alive:
                return
            delivering = True
            try:
                ref.tell(event)
            except SupervisionError:
                # Counted where it was refused; a subscriber's trouble is its own.
                pass
            finally:
                delivering = False

        entry = (topic, sink)
        self._sinks.append(entry)
        self._by_type = {}

        def detach(_reason: ExitReason) -> None:
            self._sinks.remove(entry)
            self._by_type = {}

        ref.on_gone(detach)
