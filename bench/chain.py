"""chain: how many calls one core carries, if a call is five actors that pass 20 ms frames on.

Every 20 ms one ticker gives each session a frame of 640 bytes (16 kHz, 16 bit); each of its five
actors counts it and sends a new message with the same bytes to the next. On all sides a send does
not wait. At a load they all bear, the CPU time of the whole process (ticker, timers, watchdog, idle
wake-ups, garbage collection) is divided by the frames that arrived:

    sessions_per_core = 1 / (50 frames/s × CPU seconds per frame)

A paced run at 90 % of that figure then shows whether it holds: 99 % of the frames should arrive
within 20 ms, before the next one is due.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial
from time import process_time
from typing import Any

import attrs
import pykka
import trio

from bench.measure import CHANNEL, PYKKA, Figure, in_turns, medians, on_all_cores, percentile
from supervision import Actor, ActorRef, handles, open_system

HOPS = 5
PERIOD = 0.020
PAYLOAD = bytes(640)
SESSIONS = 400
PYKKA_SESSIONS = 40
"""Five threads each."""
SECONDS = 2.0
ROUNDS = 3


@attrs.frozen
class Frame:
    """20 ms of sound."""

    payload: bytes
    due: float
    """When the ticker meant to send it, trio time in seconds."""


@attrs.frozen
class Load:
    """What a paced run took and gave."""

    arrived: int
    cpu: float
    """Seconds of the whole process."""
    lateness: list[float]
    """Seconds from when each frame was due to its arrival behind the last hop."""

    @property
    def sessions(self) -> float:
        """How many sessions would take all of one core."""
        return self.arrived * PERIOD / self.cpu


Deliver = Callable[[Frame], object]


async def paced(sessions: list[Deliver], lateness: list[float], seconds: float) -> Load:
    """Give every session a frame every 20 ms; a tick that is late does not move the next one."""
    due = trio.current_time() + PERIOD
    end = due + seconds
    del lateness[:]
    gc.collect()
    cpu = process_time()
    while due < end:
        await trio.sleep_until(due)
        for deliver in sessions:
            deliver(Frame(PAYLOAD, due))
        due += PERIOD
    await trio.sleep(PERIOD)
    return Load(len(lateness), process_time() - cpu, list(lateness))


# -- ours --------------------------------------------------------------------------------------


class Hop(Actor[Frame]):
    """Passes frames on."""

    realtime = True  # as everything on the way of a frame is

    def __init__(self, following: ActorRef[Frame]) -> None:
        super().__init__()
        self.following = following
        self.frames = 0

    @handles
    def frame(self, message: Frame) -> None:
        self.frames += 1
        self.following.tell(Frame(message.payload, message.due))


class LastHop(Actor[Frame]):
    """Where they arrive."""

    realtime = True

    def __init__(self, lateness: list[float]) -> None:
        super().__init__()
        self.lateness = lateness

    @handles
    def frame(self, message: Frame) -> None:
        self.lateness.append(self.now - message.due)


async def _ours(sessions: int, seconds: float) -> Load:
    lateness: list[float] = []
    async with open_system() as system:
        entries: list[Deliver] = []
        for _ in range(sessions):
            ref: ActorRef[Frame] = await system.spawn(LastHop, lateness)
            for _ in range(HOPS - 1):
                ref = await system.spawn(Hop, ref)
            entries.append(ref.tell)
        return await paced(entries, lateness, seconds)


# -- a channel and a task for each actor -------------------------------------------------------


async def _channel(sessions: int, seconds: float) -> Load:
    lateness: list[float] = []
    arrived = lateness.append

    async def hop(inbox: trio.MemoryReceiveChannel[Frame], following: Deliver) -> None:
        frames = 0
        async for frame in inbox:
            frames += 1
            following(Frame(frame.payload, frame.due))

    async def last_hop(inbox: trio.MemoryReceiveChannel[Frame]) -> None:
        async for frame in inbox:
            arrived(trio.current_time() - frame.due)

    async with trio.open_nursery() as nursery:
        entries: list[Deliver] = []
        for _ in range(sessions):
            entry, inbox = trio.open_memory_channel[Frame](1000)
            nursery.start_soon(last_hop, inbox)
            for _ in range(HOPS - 1):
                following = entry.send_nowait
                entry, inbox = trio.open_memory_channel[Frame](1000)
                nursery.start_soon(hop, inbox, following)
            entries.append(entry.send_nowait)
        load = await paced(entries, lateness, seconds)
        nursery.cancel_scope.cancel()
    return load


# -- a thread for each actor ---------------------------------------------------------------------


class PykkaHop(pykka.ThreadingActor):
    """Passes frames on."""

    def __init__(self, following: Deliver) -> None:
        super().__init__()
        self.following = following
        self.frames = 0

    def on_receive(self, message: Any) -> None:
        self.frames += 1
        self.following(Frame(message.payload, message.due))


class PykkaLastHop(pykka.ThreadingActor):
    """Where they arrive."""

    def __init__(self, lateness: list[float], now: Callable[[], float]) -> None:
        super().__init__()
        self.lateness = lateness
        self.now = now

    def on_receive(self, message: Any) -> None:
        self.lateness.append(self.now() - message.due)


async def _pykka(sessions: int, seconds: float) -> Load:
    lateness: list[float] = []
    actors: list[pykka.ActorRef[Any]] = []
    entries: list[Deliver] = []
    for _ in range(sessions):
        actors.append(PykkaLastHop.start(lateness, trio.lowlevel.current_clock().current_time))
        for _ in range(HOPS - 1):
            actors.append(PykkaHop.start(actors[-1].tell))
        entries.append(actors[-1].tell)
    load = await paced(entries, lateness, seconds)
    for actor in reversed(actors):
        actor.stop()
    return load


def figures() -> Iterator[Figure]:
    """`sessions_per_core`, and how late frames are near it."""
    sides: dict[str, Callable[[], Load]] = {
        "ours": partial(trio.run, _ours, SESSIONS, SECONDS),
        CHANNEL: partial(trio.run, _channel, SESSIONS, SECONDS),
        PYKKA: on_all_cores(partial(trio.run, _pykka, PYKKA_SESSIONS, SECONDS)),
    }
    loads = in_turns(ROUNDS, sides)
    held = medians({side: [load.sessions for load in each] for side, each in loads.items()})
    yield Figure(
        "sessions_per_core",
        held["ours"],
        "",
        CHANNEL,
        held[CHANNEL],
        {PYKKA: held[PYKKA]},
        f"from the CPU time per frame with {SESSIONS} paced sessions ({PYKKA_SESSIONS} for pykka)",
    )
    near = int(held["ours"] * 0.9)
    load = trio.run(_ours, near, SECONDS)
    p50, p99 = (percentile(load.lateness, share) * 1e3 for share in (0.5, 0.99))
    missing = max(0, int(SECONDS / PERIOD) * near - load.arrived)
    yield Figure(
        "chain_lateness_p99_ms",
        p99,
        "ms",
        note=f"with {near} paced sessions; p50 {p50:.1f} ms; {missing} frames were still under way",
    )
