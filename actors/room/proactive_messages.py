"""What the actor of proactive deliveries is configured with, accepts, and tells of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, in_, le

from actors.machines.room.proactive import Gated, Item
from models.rooms.traffic import InboundResult
from supervision import ActorRef, Promise, Request


@attrs.frozen
class ProactiveConfig:
    """What `deliver` may hold up, and how often it tries."""

    backend: Literal["none", "memory"] = attrs.field(
        default="none", validator=in_(("none", "memory"))
    )
    """"memory": deliveries are queued, and `deliver` returns at once."""
    capacity: int = attrs.field(default=1000, validator=[ge(1), le(100_000)])
    """Deliveries that are queued or under way; one more is refused."""
    dead_letters: int = attrs.field(default=1000, validator=[ge(1), le(100_000)])
    """Deliveries that were given up and are still shown; the oldest go first."""
    workers: int = attrs.field(default=5, validator=[ge(1), le(1000)])
    """Queued deliveries that go into rooms at the same time."""
    max_retries: int = attrs.field(default=3, validator=[ge(1), le(100)])
    """Failures until a queued delivery is given up."""
    retry_delay: float = attrs.field(default=2.0, validator=[gt(0), le(3600)])
    """Seconds before the first retry; twice as many each time."""
    max_retry_delay: float = attrs.field(default=60.0, validator=[gt(0), le(86_400)])
    """Seconds before any retry, at most."""

    def delay(self, retries: int) -> float:
        """Seconds before the nth retry, n from 1."""
        return min(self.max_retry_delay, self.retry_delay * 2.0 ** min(retries - 1, 60))


# -- messages ------------------------------------------------------------------------------------


@attrs.frozen
class DeliverProactively(Request[Item]):
    """Have agents told. Answered with what became of it; pending, where it is queued.

    Refused with RoomNotFound, ChannelNotFound, BadValue, RoomClosed, Overloaded, StoreUnavailable.
    """

    item: Item
    wait: bool = True
    """False: answered at once, pending."""


@attrs.frozen
class ListDead(Request[Sequence[Item]]):
    """What was given up, the newest last."""

    limit: int = 50


@attrs.frozen
class QueueDepth(Request[int]):
    """Queued deliveries that wait for a worker, or for another try."""


@attrs.frozen
class ProactiveStatistics:
    """Proactive deliveries so far, and now."""

    accepted: int
    delivered: int
    dropped: int
    """By hooks."""
    failed: int
    retried: int
    dead: int
    """Given up."""
    refused: int
    """Found no room in the queue."""
    joined: int
    """Went along with another one."""
    waiting: int
    """Wait for their room to be quiet."""
    delivering: int


@attrs.define(eq=False)
class Batch:
    """Items on their way together."""

    items: list[Item]
    queued: bool
    """They come from the backend, and go back to it."""
    promises: dict[str, Promise[Item]] = attrs.field(factory=dict)
    away: int = 0
    """Times that its room was just being put away."""
    sealed: bool = False
    """Nothing joins it any more."""


@attrs.frozen
class Begin:
    """An item wants to be on its way."""

    batch: Batch


@attrs.frozen
class Opened:
    """Its room is there."""

    batch: Batch
    room: ActorRef[Any]


@attrs.frozen
class IsQuiet:
    """Nothing holds it up any more."""

    batch: Batch
    room: ActorRef[Any]


@attrs.frozen
class IsGated:
    """The hooks before it have been asked."""

    batch: Batch
    room: ActorRef[Any]
    item: Item
    gated: Gated


@attrs.frozen
class Done:
    """Its room has it, or would not have it."""

    batch: Batch
    result: InboundResult


@attrs.frozen
class DeliveryFailed:
    """It came no further."""

    batch: Batch
    error: Exception


@attrs.frozen
class Enqueued:
    """The backend has it, or would not have it."""

    item: Item
    promise: Promise[Item]
    error: Exception | None = None


@attrs.frozen
class Dequeued:
    """The backend gives these."""

    items: Sequence[Item]


@attrs.frozen
class Nacked:
    """The backend has it again, to try once more or to keep."""

    item: Item


@attrs.frozen
class Answered:
    """The backend has said what somebody wanted to know."""

    promise: Promise[Any]
    value: Any


@attrs.frozen
class BackendAway:
    """The backend could not do something."""

    error: Exception
    promise: Promise[Any] | None = None


@attrs.frozen
class Dequeue:
    """Take more from the backend."""


ProactiveMessage = (
    DeliverProactively
    | ListDead
    | QueueDepth
    | Begin
    | Opened
    | IsQuiet
    | IsGated
    | Done
    | DeliveryFailed
    | Enqueued
    | Dequeued
    | Nacked
    | Answered
    | BackendAway
    | Dequeue
)
