"""The actor that brings to rooms what the application has agents told of its own accord.

An item waits for its moment, passes the hooks before it, and goes into its room; the machine of
that is `machines/room/proactive.py`. With a backend items are queued first, tried again when they
fail, and given up in the end; without one whoever sent it waits, and hears of the failure.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs

from actors.machines.room.proactive import Item, ItemStatus, WaitForIdle, joined
from actors.room.delivery_backend import DeliveryBackend, MemoryBackend
from actors.room.desk import CASCADE_WITHIN, OPEN_WITHIN, OpenRoom
from actors.room.plan import RoomsPlan
from actors.room.proactive_messages import (
    Answered,
    BackendAway,
    Batch,
    Begin,
    DeliveryFailed,
    Dequeue,
    Dequeued,
    Done,
    Enqueued,
    IsGated,
    IsQuiet,
    Nacked,
    Opened,
    ProactiveMessage,
    ProactiveStatistics,
)
from actors.room.proactive_messages import DeliverProactively as DeliverProactively
from actors.room.proactive_messages import ListDead as ListDead
from actors.room.proactive_messages import ProactiveConfig as ProactiveConfig
from actors.room.proactive_messages import QueueDepth as QueueDepth
from actors.room.requests import DeliverItem, GateItem, WhenQuiet
from actors.room.tree import PATIENT
from models.rooms.errors import BadValue, NotFound, Overloaded, RoomAway, RoomClosed, RoomsError
from models.rooms.refusals import RefusedFor, RefuseFor
from supervision import (
    Actor,
    ChildSpec,
    Mailbox,
    Overflow,
    Promise,
    Reply,
    handles,
)

logger = logging.getLogger("troupe.rooms")

REOPENINGS = 10
"""Times that an item finds its room just being put away, before that counts as a failure."""
GATE_WITHIN = 600.0
"""Seconds that all hooks before an item may take; each has a deadline of its own."""


class Proactive(Actor[ProactiveMessage]):
    """Proactive deliveries of a node."""

    mailbox = Mailbox(10_000, Overflow.REFUSE)

    def __init__(
        self, plan: RoomsPlan, config: ProactiveConfig, backend: DeliveryBackend | None
    ) -> None:
        super().__init__()
        self._plan = plan
        self._config = config
        self._backend = backend
        self._under_way: set[Batch] = set()
        self._waiting: list[Batch] = []
        self._dequeuing = False
        self._accepted = self._delivered = self._dropped = self._failed = 0
        self._retried = self._dead = self._refused = self._joined = 0

    async def on_start(self) -> None:
        self._desk = self.system.ref(self._plan.desk)
        if self._backend is not None:
            await self._backend.recover(self.path)
            self.ref.tell(Dequeue())

    def statistics(self) -> ProactiveStatistics:
        """See `ProactiveStatistics`."""
        return ProactiveStatistics(
            self._accepted,
            self._delivered,
            self._dropped,
            self._failed,
            self._retried,
            self._dead,
            self._refused,
            self._joined,
            len(self._waiting),
            len(self._under_way) - len(self._waiting),
        )

    # -- in -------------------------------------------------------------------------------

    @handles
    def on_deliver(self, request: DeliverProactively) -> Item | None:
        item = attrs.evolve(request.item, max_retries=self._config.max_retries)
        if self._backend is not None:
            promise = self.defer()
            self.start_task(
                self._backend.enqueue,
                item,
                name="enqueue",
                to=lambda _: Enqueued(item, promise),
                failed=lambda error: Enqueued(item, promise, error),
            )
            return None
        if sum(len(batch.items) for batch in self._under_way) >= self._config.capacity:
            self._refused += 1
            raise RefuseFor(Overloaded("proactive delivery", self._config.capacity))
        self._accepted += 1
        batch = self._taken_along(item, queued=False)
        if request.wait:
            batch.promises[item.id] = self.defer()
            return None
        return item

    @handles
    def on_enqueued(self, message: Enqueued) -> None:
        match message.error:
            case None:
                self._accepted += 1
                message.promise.resolve(message.item)
            case RoomsError() as error:
                self._refused += 1
                message.promise.fail(RefusedFor(self.path, str(error), error))
            case error:
                self._refused += 1
                self._away(error)
                message.promise.refuse("the queue of deliveries is out of order")

    @handles
    def on_dequeue(self, message: Dequeue) -> None:
        queued = [batch for batch in self._under_way if batch.queued]
        busy = sum(batch not in self._waiting for batch in queued)
        free = min(self._config.workers - busy, self._config.capacity - len(queued))
        if self._backend is None or self._dequeuing or free <= 0:
            return
        self._dequeuing = True
        self.start_task(
            self._backend.dequeue,
            self.path,
            free,
            60.0,
            name="dequeue",
            to=Dequeued,
            failed=BackendAway,
        )

    @handles
    def on_dequeued(self, message: Dequeued) -> None:
        self._dequeuing = False
        for item in message.items:
            self._taken_along(item, queued=True)
        self.on_dequeue(Dequeue())

    def _taken_along(self, item: Item, queued: bool) -> Batch:
        """The batch that goes to its room with this item."""
        for batch in self._waiting:
            if not batch.sealed and batch.queued is queued and batch.items[0].joins(item):
                batch.items.append(item)
                self._joined += 1
                return batch
        batch = Batch([item], queued)
        self._under_way.add(batch)
        if isinstance(item.strategy, WaitForIdle):
            self._waiting.append(batch)
        # In a step of its own: what it asks must not inherit the patience of whoever asked for it.
        self.ref.tell(Begin(batch))
        return batch

    # -- on its way -----------------------------------------------------------------------

    @handles
    def on_begin(self, message: Begin) -> None:
        batch = message.batch
        request = OpenRoom(batch.items[0].room_id)
        self._step(self._desk.ask(request, timeout=OPEN_WITHIN), batch, partial(Opened, batch))

    def _step(self, reply: Reply[Any], batch: Batch, to: Any) -> None:
        self.pipe(reply, to=to, failed=partial(DeliveryFailed, batch))

    @handles
    def on_opened(self, message: Opened) -> None:
        batch, room = message.batch, message.room
        strategy = batch.items[0].strategy
        now = IsQuiet(batch, room)
        if batch.sealed or not isinstance(strategy, WaitForIdle):
            self.on_quiet(now)
            return
        request = WhenQuiet(strategy.buffer, strategy.timeout)
        # Whatever the room says, after that time it is delivered anyway.
        reply = room.ask(request, timeout=strategy.timeout + 1.0)
        self.pipe(reply, to=lambda _: now, failed=lambda _: now)

    @handles
    def on_quiet(self, message: IsQuiet) -> None:
        batch, room = message.batch, message.room
        batch.sealed = True
        if batch in self._waiting:
            self._waiting.remove(batch)
        item = joined(batch.items)
        to = partial(IsGated, batch, room, item)
        self._step(room.ask(GateItem(item), timeout=GATE_WITHIN), batch, to)

    @handles
    def on_gated(self, message: IsGated) -> None:
        batch, gated = message.batch, message.gated
        if gated.dropped:
            self._end(batch, ItemStatus.DROPPED, gated.reason)
            return
        item = attrs.evolve(message.item, content=gated.content)
        reply = message.room.ask(DeliverItem(item), timeout=CASCADE_WITHIN)
        self._step(reply, batch, partial(Done, batch))

    # -- out ------------------------------------------------------------------------------

    @handles
    def on_done(self, message: Done) -> None:
        batch, result = message.batch, message.result
        if result.blocked:
            if result.reason in ("overloaded", "process_timeout"):
                self._try_again(batch, RoomsError(result.reason))
            else:
                self._end(batch, ItemStatus.FAILED, result.reason)
        elif result.error is not None:
            # It is on record, so once more would be twice: an agent could not act on it.
            self._end(batch, ItemStatus.FAILED, result.error)
        else:
            self._end(batch, ItemStatus.DELIVERED, None)

    @handles
    def on_failed(self, message: DeliveryFailed) -> None:
        error = message.error
        known = error.error if isinstance(error, RefusedFor) else error
        if isinstance(known, RoomAway) and message.batch.away < REOPENINGS:
            # It took nothing, and the desk opens it again.
            message.batch.away += 1
            self.ref.tell(Begin(message.batch))
        elif isinstance(known, NotFound | BadValue | RoomClosed):
            self._end(message.batch, ItemStatus.FAILED, str(known), known)
        else:
            self._try_again(message.batch, known)

    def _try_again(self, batch: Batch, error: Exception) -> None:
        """It may do better another time: the backend knows when; without one its sender does."""
        if not batch.queued or self._backend is None:
            self._end(batch, ItemStatus.FAILED, _words(error), error)
            return
        self._gone(batch)
        for item in batch.items:
            self.start_task(
                self._backend.nack,
                item,
                _words(error),
                name="nack",
                to=Nacked,
                failed=BackendAway,
            )

    @handles
    def on_nacked(self, message: Nacked) -> None:
        if message.item.status is ItemStatus.DEAD_LETTER:
            self._dead += 1
        else:
            self._retried += 1

    def _end(
        self, batch: Batch, status: ItemStatus, why: str | None, error: Exception | None = None
    ) -> None:
        """Nothing more is done about it."""
        self._gone(batch)
        count = len(batch.items)
        match status:
            case ItemStatus.DELIVERED:
                self._delivered += count
            case ItemStatus.DROPPED:
                self._dropped += count
            case _:
                self._failed += count
        for item in batch.items:
            over = attrs.evolve(item, status=status, error=why)
            if batch.queued and self._backend is not None:
                self._hand_back(self._backend, over)
            promise = batch.promises.get(item.id)
            if promise is None:
                continue
            if isinstance(error, RoomsError):
                promise.fail(RefusedFor(self.path, str(error), error))
            else:
                promise.resolve(over)

    def _hand_back(self, backend: DeliveryBackend, item: Item) -> None:
        if item.status is ItemStatus.FAILED:
            self.start_task(
                backend.dead_letter,
                item,
                item.error or "failed",
                name="dead letter",
                to=Nacked,
                failed=BackendAway,
            )
        else:
            self.start_task(backend.ack, item, name="ack", failed=BackendAway)

    def _gone(self, batch: Batch) -> None:
        self._under_way.discard(batch)
        if batch in self._waiting:
            self._waiting.remove(batch)
        if batch.queued:
            self.ref.tell(Dequeue())

    # -- looking --------------------------------------------------------------------------

    @handles
    def on_list_dead(self, request: ListDead) -> Sequence[Item] | None:
        if self._backend is None:
            return ()
        self._look(self._backend.get_dead_letter_items, request.limit)
        return None

    @handles
    def on_depth(self, request: QueueDepth) -> int | None:
        if self._backend is None:
            return 0
        self._look(self._backend.get_queue_depth)
        return None

    def _look(self, function: Any, *args: Any) -> None:
        promise: Promise[Any] = self.defer()
        self.start_task(
            function,
            *args,
            to=partial(Answered, promise),
            failed=lambda error: BackendAway(error, promise),
        )

    @handles
    def on_answer(self, message: Answered) -> None:
        message.promise.resolve(message.value)

    @handles
    def on_backend_away(self, message: BackendAway) -> None:
        self._away(message.error)
        if message.promise is not None:
            message.promise.refuse("the queue of deliveries is out of order")
            return
        if self._dequeuing:
            self._dequeuing = False
            self.send_after(self._config.retry_delay, Dequeue())

    def _away(self, error: Exception) -> None:
        logger.warning("the queue of proactive deliveries failed: %s", type(error).__name__)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, RoomsError) else type(error).__name__


def proactive_spec(
    plan: RoomsPlan,
    config: ProactiveConfig | None = None,
    backend: DeliveryBackend | None = None,
) -> ChildSpec[ProactiveMessage]:
    """The actor, as a child of the root at `plan.proactive`.

    Args:
        backend: another one than the configuration names.
    """
    chosen = config or ProactiveConfig()
    if backend is None and chosen.backend == "memory":
        # It outlives the actor: what is queued survives a crash of that.
        backend = MemoryBackend(chosen.capacity, chosen.dead_letters, chosen.delay)
    start = partial(Proactive, plan, chosen, backend)
    return ChildSpec(plan.proactive.strip("/"), start, backoff=PATIENT)
