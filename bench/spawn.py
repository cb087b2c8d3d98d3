"""spawn: start and stop many supervised actors, and what an idle one weighs.

Ours are started under one DynamicSupervisor, by awaited requests as `system.start_child` makes
them, a batch at a time; then the supervisor is stopped, which stops them all. pykka's threads are
started and stopped one by one, a thousand of them, and multiplied up: that flatters them, because
pykka's registry is a list and so leaving it takes longer the more there are.

Memory is the resident memory that 10 000 idle actors add to a fresh process, everything included:
spec, path, mailbox, ref, instance, and their entries in supervisor and registry.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
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
    in_fresh_process,
    in_turns,
    medians,
    on_all_cores,
    resident_bytes,
)
from supervision import Actor, ChildSpec, DynamicSupervisor, System, handles, open_system
from supervision.supervisor import StartChild

BATCH = 100
PYKKA_ACTORS = 1000
IDLE_ACTORS = 10_000


@attrs.frozen
class Ping:
    """All that these actors understand."""


class Idle(Actor[Ping]):
    """Does nothing."""

    @handles
    def ping(self, _message: Ping) -> None:
        pass


async def _start(system: System, count: int) -> None:
    farm = await system.spawn(DynamicSupervisor, path="/farm")
    for first in range(0, count, BATCH):
        replies = [
            farm.ask(StartChild(ChildSpec(f"idle-{n}", Idle)), timeout=60.0)
            for n in range(first, min(first + BATCH, count))
        ]
        for reply in replies:
            if not reply.done:  # each `await` is a checkpoint, and one of them lets all be answered
                await reply
            reply.result()


async def _ours(count: int) -> tuple[float, float]:
    async with open_system() as system:
        started = perf_counter()
        await _start(system, count)
        up = perf_counter()
        await system.stop("/farm")
        return up - started, perf_counter() - up


async def _tasks(count: int) -> float:
    """A trio task waiting at a memory channel for each."""

    async def idle(inbox: trio.MemoryReceiveChannel[Ping]) -> None:
        async for _message in inbox:
            pass

    started = perf_counter()
    async with trio.open_nursery() as nursery:
        channels = [trio.open_memory_channel[Ping](1000) for _ in range(count)]
        for _, inbox in channels:
            nursery.start_soon(idle, inbox)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return perf_counter() - started


class PykkaIdle(pykka.ThreadingActor):
    """Does nothing."""

    def on_receive(self, message: Any) -> None:
        pass


def _threads(count: int) -> float:
    started = perf_counter()
    actors = [PykkaIdle.start() for _ in range(count)]
    for actor in actors:
        actor.stop()
    return perf_counter() - started


def our_times(count: int) -> tuple[float, float]:
    """Seconds to start and to stop that many."""
    return trio.run(_ours, count)


def our_idle_bytes() -> float:
    """Resident bytes per idle actor."""

    async def weigh() -> float:
        async with open_system() as system:
            await system.spawn(Idle)
            gc.collect()
            before = resident_bytes()
            await _start(system, IDLE_ACTORS)
            gc.collect()
            return (resident_bytes() - before) / IDLE_ACTORS

    return trio.run(weigh)


def channel_idle_bytes() -> float:
    """Resident bytes per idle task with its channel."""

    async def idle(inbox: trio.MemoryReceiveChannel[Ping]) -> None:
        async for _message in inbox:
            pass

    async def weigh() -> float:
        async with trio.open_nursery() as nursery:
            gc.collect()
            before = resident_bytes()
            channels = [trio.open_memory_channel[Ping](1000) for _ in range(IDLE_ACTORS)]
            for _, inbox in channels:
                nursery.start_soon(idle, inbox)
            await wait_all_tasks_blocked()
            gc.collect()
            size = (resident_bytes() - before) / IDLE_ACTORS
            nursery.cancel_scope.cancel()
        return size

    return trio.run(weigh)


def pykka_idle_bytes() -> float:
    """Resident bytes per idle thread."""
    gc.collect()
    before = resident_bytes()
    actors = [PykkaIdle.start() for _ in range(PYKKA_ACTORS)]
    gc.collect()
    size = (resident_bytes() - before) / PYKKA_ACTORS
    for actor in actors:
        actor.stop()
    return size


def figures() -> Iterator[Figure]:
    """`spawn_stop_10k` and `spawn_stop_100k` in seconds, `idle_actor_kib`."""
    threads = partial(_threads, PYKKA_ACTORS)
    peers = medians(
        in_turns(
            3,
            {
                CHANNEL: partial(trio.run, _tasks, 10_000),
                PYKKA: on_all_cores(threads),
                PYKKA_PINNED: threads,
            },
        )
    )
    for name, count, rounds in (("spawn_stop_10k", 10_000, 3), ("spawn_stop_100k", 100_000, 2)):
        # In fresh processes, and the best of them: what disturbs can only add, and a round of
        # 100 000 is too long for many.
        start, stop = min((in_fresh_process(our_times, count) for _ in range(rounds)), key=sum)
        more = count / PYKKA_ACTORS
        yield Figure(
            name,
            start + stop,
            "s",
            PYKKA,
            peers[PYKKA] * more,
            {PYKKA_PINNED: peers[PYKKA_PINNED] * more, CHANNEL: peers[CHANNEL] * count / 10_000},
            f"{start / count * 1e6:.1f} µs to start and {stop / count * 1e6:.1f} µs to stop an "
            f"actor; pykka multiplied up from {PYKKA_ACTORS}, channels from 10 000",
        )
    yield Figure(
        "idle_actor_kib",
        in_fresh_process(our_idle_bytes) / 1024,
        "KiB",
        PYKKA,
        in_fresh_process(pykka_idle_bytes) / 1024,
        {CHANNEL: in_fresh_process(channel_idle_bytes) / 1024},
        f"resident memory, over {IDLE_ACTORS} actors and {PYKKA_ACTORS} threads",
    )
