"""Ten thousand rooms on one node: what an idle one takes, and what a busy one takes from others.

Rooms are bound to a WebSocket and to an agent. They are made through the API with a store in
memory, which then is part of what they take; and opened from a file of SQLite, as after a restart
of the node, where they take what an open room really takes. Fairness is measured among all of them,
with a store in memory: a disk would hide who waits for the processor.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

import attrs
import trio

from actors.channels import kept
from actors.interpreter import Collector, share_among_threads
from actors.room.conversations import Conversations
from bench.measure import percentile, pin, resident_bytes
from bench.rooms import (
    AGENT,
    QUESTION,
    SWITCH_MS,
    WEBSOCKET,
    Kept,
    make_room,
    say,
    start_node,
)
from models.rooms.channel import DeskMessage, Receive
from models.rooms.kinds import ChannelCategory, ChannelType
from models.rooms.room import ChannelBinding, Room
from models.rooms.traffic import InboundMessage
from supervision import Actor, ActorRef, System, handles, open_system
from transports.stores.backend import Change
from transports.stores.config import make_backend

AT_ONCE = 50
"""Rooms that are being made or opened at the same time."""
BYSTANDERS = 100
PAUSE = 0.5
"""Seconds from one message of a bystander to its next: 200 messages a second of all."""
MESSAGES = 6
"""Of each bystander, in a turn."""
TURNS = 3
"""Without the flood and with it, one after the other."""
FLOOD = 200
"""Messages that are always under way in the busy room."""
ANSWER_SECONDS = 60.0


@attrs.frozen
class Opened:
    """Many rooms, idle."""

    ms: float
    """To make or open one."""
    kib: float
    """Memory of one."""


@attrs.frozen
class Waits:
    """What bystanders waited for their answers, in milliseconds: half of them, and 99 of 100."""

    p50: float
    p99: float

    @classmethod
    def of(cls, waits: Sequence[float]) -> Waits:
        return cls(median(waits), percentile(waits, 0.99))


@attrs.frozen
class Fairness:
    """Bystanders without and with the flood, in turns."""

    alone: tuple[Waits, ...]
    flooded: tuple[Waits, ...]
    flood_per_s: float
    """Messages a second of the busy room."""


def run_made(rooms: int, core: int = -1) -> tuple[Opened, Fairness]:
    """Make rooms in memory, then flood one. For a process of its own."""
    pin({core} - {-1})
    share_among_threads(SWITCH_MS)
    return trio.run(_made, rooms)


async def _made(rooms: int) -> tuple[Opened, Fairness]:
    async with open_system(name="bench") as system:
        node = await start_node(system, kept(Kept().config()))
        names = [f"room-{number}" for number in range(rooms)]
        made = await _each(names, lambda name: make_room(node, name))
        Collector()
        return made, await _fairness(node, system, names)


def fill(rooms: int, where: Kept) -> None:
    """Write rooms with their bindings to a store, past the node."""
    now = datetime.now(UTC)
    backend = make_backend(where.config())()
    backend.open()
    for number in range(rooms):
        room = Room(f"room-{number}", now, now)
        backend.create_room(room)
        bindings = (
            ChannelBinding(WEBSOCKET, room.id, ChannelType.WEBSOCKET, now),
            ChannelBinding(AGENT, room.id, ChannelType.AI, now, ChannelCategory.INTELLIGENCE),
        )
        backend.change(Change(room, 0, bound=bindings))
        if number % 500 == 0:
            backend.flush()
    backend.flush()
    backend.close()


def run_opened(rooms: int, where: Kept, core: int = -1) -> Opened:
    """Open rooms that a store has. For a process of its own."""
    pin({core} - {-1})
    share_among_threads(SWITCH_MS)
    return trio.run(_opened, rooms, where)


async def _opened(rooms: int, where: Kept) -> Opened:
    async with open_system(name="bench") as system:
        node = await start_node(system, kept(where.config()))
        # What is loaded with the first room is not the second one's.
        await node.look("room-0")
        return await _each([f"room-{number}" for number in range(1, rooms)], node.room)


async def _each(names: Sequence[str], do: Callable[[str], Awaitable[object]]) -> Opened:
    waiting = iter(names)

    async def work() -> None:
        for name in waiting:
            await do(name)

    gc.collect()
    before, begun = resident_bytes(), perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(work)
    seconds = perf_counter() - begun
    gc.collect()
    taken = resident_bytes() - before
    return Opened(1000 * seconds / len(names), taken / 1024 / len(names))


@attrs.frozen
class _Answered:
    """One of the crowd has its answer."""


class Crowd(Actor[_Answered]):
    """Many who talk in one room, each again as soon as it is answered.

    They come as people do, by the messages of one actor. As many tasks would not only be that busy,
    each of them would also have its turn on the loop.
    """

    def __init__(self, desk: ActorRef[DeskMessage], room_id: str, size: int) -> None:
        super().__init__()
        self._receive = Receive(InboundMessage(WEBSOCKET, "crowd", QUESTION), room_id)
        self._desk = desk
        self._size = size

    def on_start(self) -> None:
        for _ in range(self._size):
            self._talk()

    @handles
    def on_answered(self, message: _Answered) -> None:
        self._talk()

    def _talk(self) -> None:
        reply = self._desk.ask(self._receive, timeout=ANSWER_SECONDS)
        self.pipe(reply, to=lambda _: _Answered())


async def _fairness(node: Conversations, system: System, names: Sequence[str]) -> Fairness:
    used, busy = names[:BYSTANDERS], names[-1]
    await _bystanders(node, used)  # their agents and deliveries are started
    alone, flooded, rates = [], [], []
    for turn in range(TURNS):
        alone.append(await _bystanders(node, used))
        crowd = f"/crowd-{turn}"
        await system.spawn(Crowd, node.desk, busy, FLOOD, path=crowd)
        await trio.sleep(PAUSE)
        before, begun = await _events(node, busy), perf_counter()
        flooded.append(await _bystanders(node, used))
        rates.append((await _events(node, busy) - before) / 2 / (perf_counter() - begun))
        await system.stop(crowd)
        await node.look(busy)  # what was under way in it is over
    return Fairness(tuple(alone), tuple(flooded), median(rates))


async def _events(node: Conversations, room_id: str) -> int:
    return (await node.look(room_id)).room.event_count


async def _bystanders(node: Conversations, names: Sequence[str]) -> Waits:
    """Each says something now and then."""
    waits: list[float] = []
    start = trio.current_time() + 0.1

    async def talk(name: str, offset: float) -> None:
        for number in range(MESSAGES):
            await trio.sleep_until(start + offset + number * PAUSE)
            begun = perf_counter()
            await say(node, name)
            waits.append(1000 * (perf_counter() - begun))

    async with trio.open_nursery() as nursery:
        for number, name in enumerate(names):
            nursery.start_soon(talk, name, PAUSE * number / len(names))
    return Waits.of(waits)
