"""fanin: a thousand actors send to one.

In each wave every sender is told to send ten messages, and the driver then waits until the receiver
has counted them all. The receiver's mailbox holds a wave, so nothing is refused on any side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import attrs
import pykka
import trio
from trio.testing import wait_all_tasks_blocked

from bench.measure import (
    CHANNEL,
    PYKKA,
    PYKKA_PINNED,
    Figure,
    in_turns,
    medians,
    on_all_cores,
)
from supervision import Actor, ActorRef, handles, open_system
from supervision.spec import Mailbox

SENDERS = 1000
EACH = 10
WAVE = SENDERS * EACH
WAVES = 10
ROUNDS = 3


@attrs.frozen
class Item:
    """Count this."""

    n: int


@attrs.frozen
class Burst:
    """Send that many items."""

    items: int


class Sink(Actor[Item]):
    """Ours; calls `complete` after every wave."""

    mailbox = Mailbox(WAVE)

    def __init__(self, complete: Callable[[], None]) -> None:
        super().__init__()
        self.count = 0
        self.complete = complete

    @handles
    def item(self, message: Item) -> None:
        self.count += message.n
        if self.count % WAVE == 0:
            self.complete()


class Sender(Actor[Burst]):
    """One of ours that send."""

    def __init__(self, sink: ActorRef[Item]) -> None:
        super().__init__()
        self.sink = sink

    @handles
    def burst(self, message: Burst) -> None:
        for _ in range(message.items):
            self.sink.tell(Item(1))


class _Gate:
    """An event that can be waited for again and again."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def open(self) -> None:
        self._event.set()

    async def passed(self) -> None:
        await self._event.wait()
        self._event = trio.Event()


async def _ours() -> float:
    async with open_system() as system:
        gate = _Gate()
        sink = await system.spawn(Sink, gate.open)
        senders = [await system.spawn(Sender, sink) for _ in range(SENDERS)]
        started = perf_counter()
        for _ in range(WAVES):
            for sender in senders:
                sender.tell(Burst(EACH))
            await gate.passed()
        taken = perf_counter() - started
    return WAVE * WAVES / taken


async def _channel() -> float:
    gate = _Gate()
    sink, items = trio.open_memory_channel[Item](WAVE)

    async def count() -> None:
        counted = 0
        async for item in items:
            counted += item.n
            if counted % WAVE == 0:
                gate.open()

    async def send(bursts: trio.MemoryReceiveChannel[Burst]) -> None:
        async for burst in bursts:
            for _ in range(burst.items):
                sink.send_nowait(Item(1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        senders = []
        for _ in range(SENDERS):
            sender, bursts = trio.open_memory_channel[Burst](1000)
            senders.append(sender)
            nursery.start_soon(send, bursts)
        await wait_all_tasks_blocked()
        started = perf_counter()
        for _ in range(WAVES):
            for sender in senders:
                sender.send_nowait(Burst(EACH))
            await gate.passed()
        taken = perf_counter() - started
        nursery.cancel_scope.cancel()
    return WAVE * WAVES / taken


class PykkaSink(pykka.ThreadingActor):
    """pykka's."""

    def __init__(self, complete: Callable[[], object]) -> None:
        super().__init__()
        self.count = 0
        self.complete = complete

    def on_receive(self, message: Any) -> None:
        self.count += message.n
        if self.count % WAVE == 0:
            self.complete()


class PykkaSender(pykka.ThreadingActor):
    """One of pykka's that send."""

    def __init__(self, sink: pykka.ActorRef[PykkaSink]) -> None:
        super().__init__()
        self.sink = sink

    def on_receive(self, message: Any) -> None:
        for _ in range(message.items):
            self.sink.tell(Item(1))


def _pykka() -> float:
    complete = threading.Event()
    sink = PykkaSink.start(complete.set)
    senders = [PykkaSender.start(sink) for _ in range(SENDERS)]
    started = perf_counter()
    for _ in range(WAVES):
        for sender in senders:
            sender.tell(Burst(EACH))
        complete.wait()
        complete.clear()
    taken = perf_counter() - started
    for sender in senders:
        sender.stop()
    sink.stop()
    return WAVE * WAVES / taken


def figures() -> Iterator[Figure]:
    """`fanin`: items that one receiver gets from 1000 senders, per second."""
    sides: dict[str, Callable[[], float]] = {
        "ours": partial(trio.run, _ours),
        CHANNEL: partial(trio.run, _channel),
        PYKKA: on_all_cores(_pykka),
        PYKKA_PINNED: _pykka,
    }
    rate = medians(in_turns(ROUNDS, sides))
    also = {peer: rate[peer] for peer in (PYKKA_PINNED, CHANNEL)}
    yield Figure("fanin", rate["ours"], "1/s", PYKKA, rate[PYKKA], also)
