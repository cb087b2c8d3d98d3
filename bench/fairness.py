"""fairness: the worst wait of those who share the loop with 1, 10 and 100 busy actors.

A busy actor handles messages of 20 µs one after the other and never runs out: its mailbox is full
from the start, and each handler tells itself the next. Beside them run
- a bystander: a trio task that sleeps for some random milliseconds, over and over. Its wait is from
  the end of its sleep to when it really runs;
- an ordinary actor and a realtime one that the bystander tells when it wakes: from `tell` to their
  handler;
- a realtime actor with a timer: from when it was due to its handler. `realtime_worst_ms` is the
  worse of the two.

What is printed is the true worst of all samples, garbage collection included. Only samples in
which the machine itself stood still (its kernel or hypervisor ran something else) are set aside,
and counted in the note.

The peers: tasks with full memory channels, and pykka's threads, whose bystander is a thread. They
have no classes, so the peer of our realtime actor is their ordinary one; and among threads nobody
can say who was kept waiting by what, so nothing is set aside there.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import attrs
import pykka
import trio

from bench.measure import CHANNEL, PYKKA, Figure, Waits, in_turns, on_all_cores, spin
from supervision import Actor, ActorRef, handles, open_system

HANDLER = 20e-6
WAITING = 999
"""Messages in a busy actor's mailbox."""
CROWDS = (1, 10, 100)
SECONDS = 2.5
PEER_SECONDS = 1.5


def some_time() -> float:
    """Seconds for a nap: random, so that it ends anywhere in a slice."""
    return random.uniform(0.0005, 0.005)


@attrs.frozen
class Work:
    """Keep the loop for 20 µs."""


@attrs.frozen
class Mark:
    """Note how late this is."""

    due: float


@attrs.frozen
class Seen:
    """All waits of one run."""

    bystander: Waits
    ordinary: Waits
    realtime: Waits


def ms(waits: Waits) -> float:
    """The worst, in milliseconds."""
    return waits.worst.seconds * 1e3


# -- ours --------------------------------------------------------------------------------------


class Busy(Actor[Work]):
    """Never done."""

    def on_start(self) -> None:
        for _ in range(WAITING):
            self.ref.tell(Work())

    @handles
    def work(self, message: Work) -> None:
        spin(HANDLER)
        self.ref.tell(message)


class Listener(Actor[Mark]):
    """Notes how late its messages are."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    @handles
    def mark(self, message: Mark) -> None:
        self.waits.end(perf_counter() - message.due)
        self.waits.begin()


class RealtimeListener(Listener):
    """Goes first."""

    realtime = True


class Timed(RealtimeListener):
    """Notes how late its timer is."""

    def on_start(self) -> None:
        nap = some_time()
        self.send_after(nap, Mark(perf_counter() + nap))

    @handles
    def mark(self, message: Mark) -> None:
        super().mark(message)
        self.on_start()


async def _ours(crowd: int) -> Seen:
    bystander, ordinary, told, timed = Waits(), Waits(), Waits(), Waits()
    async with open_system() as system:
        listeners = [
            await system.spawn(Listener, ordinary),
            await system.spawn(RealtimeListener, told),
        ]
        for _ in range(crowd):
            await system.spawn(Busy)
        gc.collect()  # a hundred thousand new messages are the collector's business, but only once
        with bystander.watching(), ordinary.watching(), told.watching(), timed.watching():
            await system.spawn(Timed, timed)
            await _nap_and_tell(bystander, listeners)
    return Seen(bystander, ordinary, max(told, timed, key=ms))


async def _nap_and_tell(waits: Waits, listeners: list[ActorRef[Mark]]) -> None:
    end = perf_counter() + SECONDS
    while perf_counter() < end:
        for ref in listeners:
            ref.tell(Mark(perf_counter()))
        await _nap(waits)


async def _nap(waits: Waits) -> None:
    nap = some_time()
    waits.begin()
    due = perf_counter() + nap
    await trio.sleep(nap)
    waits.end(perf_counter() - due)


# -- the peers ---------------------------------------------------------------------------------


async def _channel(crowd: int) -> Seen:
    bystander, told = Waits(), Waits()

    async def busy(
        inbox: trio.MemoryReceiveChannel[Work], me: trio.MemorySendChannel[Work]
    ) -> None:
        for _ in range(WAITING):
            me.send_nowait(Work())
        async for message in inbox:
            spin(HANDLER)
            me.send_nowait(message)

    async def listen(inbox: trio.MemoryReceiveChannel[Mark]) -> None:
        async for mark in inbox:
            told.end(perf_counter() - mark.due)
            told.begin()

    async with trio.open_nursery() as nursery:
        marks, marked = trio.open_memory_channel[Mark](1000)
        nursery.start_soon(listen, marked)
        for _ in range(crowd):
            me, inbox = trio.open_memory_channel[Work](WAITING + 1)
            nursery.start_soon(busy, inbox, me)
        await trio.lowlevel.checkpoint()
        gc.collect()
        told.begin()
        end = perf_counter() + PEER_SECONDS
        while perf_counter() < end:
            marks.send_nowait(Mark(perf_counter()))
            await _nap(bystander)
        nursery.cancel_scope.cancel()
    return Seen(bystander, told, told)


class PykkaBusy(pykka.ThreadingActor):
    """Busy for as long as `work` is set."""

    def __init__(self, work: threading.Event) -> None:
        super().__init__()
        self.work = work

    def on_receive(self, message: Any) -> None:
        if self.work.is_set():
            spin(HANDLER)
            self.actor_ref.tell(message)


class PykkaListener(pykka.ThreadingActor):
    """Notes how late its messages are."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def on_receive(self, message: Any) -> None:
        self.waits.note(perf_counter() - message.due)


def _pykka(crowd: int) -> Seen:
    bystander, told = Waits(), Waits()
    listener = PykkaListener.start(told)
    work = threading.Event()
    crowd_refs = [PykkaBusy.start(work) for _ in range(crowd)]
    work.set()  # after they have all started: among busy threads each start takes half a second
    for ref in crowd_refs:
        ref.tell(Work())
    end = perf_counter() + PEER_SECONDS
    while perf_counter() < end:
        listener.tell(Mark(perf_counter()))
        nap = some_time()
        due = perf_counter() + nap
        time.sleep(nap)
        bystander.note(perf_counter() - due)
    work.clear()
    for ref in crowd_refs:
        ref.stop()
    listener.stop()
    return Seen(bystander, told, told)


def figures() -> Iterator[Figure]:
    """`bystander_worst_ms`, `realtime_worst_ms`, `ordinary_worst_ms`; `_1`, `_10` beside fewer."""
    for crowd in CROWDS:
        sides: dict[str, Callable[[], Seen]] = {
            "ours": partial(trio.run, _ours, crowd),
            CHANNEL: partial(trio.run, _channel, crowd),
            PYKKA: on_all_cores(partial(_pykka, crowd)),
        }
        ((ours,), (channel,), (threads,)) = in_turns(1, sides).values()
        suffix = "" if crowd == 100 else f"_{crowd}"
        for who in ("bystander", "realtime", "ordinary"):
            waits: Waits = getattr(ours, who)
            yield Figure(
                f"{who}_worst_ms{suffix}",
                ms(waits),
                "ms",
                PYKKA,
                ms(getattr(threads, who)),
                {CHANNEL: ms(getattr(channel, who))},
                waits.blame,
            )
