"""tell: how many messages a second one trio task can send to one actor that handles them.

All sides do the same work: for every message a fresh frozen attrs object, sent without waiting, in
batches well below the mailbox's capacity; after each batch the sender asks and awaits the total, so
nothing is lost and no queue grows. Sending, handling and the acknowledgement are all in the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import attrs
import pykka
import trio

from bench.measure import (
    CHANNEL,
    PYKKA,
    PYKKA_PINNED,
    Figure,
    in_turns,
    medians,
    on_all_cores,
)
from supervision import Actor, Request, handles, open_system

MESSAGES = 200_000
BATCH = 500
"""Half of what a mailbox holds by default."""
ROUNDS = 5


@attrs.frozen
class Add:
    """Count this."""

    n: int


@attrs.frozen
class Total(Request[int]):
    """How much was counted."""


class Counter(Actor[Add | Total]):
    """Ours."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @handles
    def add(self, message: Add) -> None:
        self.total += message.n

    @handles
    def answer(self, _message: Total) -> int:
        return self.total


async def _ours() -> float:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        started = perf_counter()
        for _ in range(MESSAGES // BATCH):
            for _ in range(BATCH):
                counter.tell(Add(1))
            total = await counter.ask(Total())
        taken = perf_counter() - started
        assert total == MESSAGES
    return MESSAGES / taken


@attrs.frozen
class Asked:
    """`Total` for a channel, which knows no replies."""

    answer: list[int]
    answered: trio.Event


async def _count(inbox: trio.MemoryReceiveChannel[Add | Asked]) -> None:
    total = 0
    async for message in inbox:
        if isinstance(message, Add):
            total += message.n
        else:
            message.answer.append(total)
            message.answered.set()


async def _channel() -> float:
    counter, inbox = trio.open_memory_channel[Add | Asked](1000)
    async with trio.open_nursery() as nursery, counter:
        nursery.start_soon(_count, inbox)
        started = perf_counter()
        for _ in range(MESSAGES // BATCH):
            for _ in range(BATCH):
                counter.send_nowait(Add(1))
            asked = Asked([], trio.Event())
            counter.send_nowait(asked)
            await asked.answered.wait()
        taken = perf_counter() - started
        assert asked.answer == [MESSAGES]
    return MESSAGES / taken


class PykkaCounter(pykka.ThreadingActor):
    """pykka's."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Add):
            self.total += message.n
            return None
        return self.total


def _pykka() -> float:
    counter = PykkaCounter.start()
    started = perf_counter()
    for _ in range(MESSAGES // BATCH):
        for _ in range(BATCH):
            counter.tell(Add(1))
        total = counter.ask(Total())
    taken = perf_counter() - started
    assert total == MESSAGES
    counter.stop()
    return MESSAGES / taken


def figures() -> Iterator[Figure]:
    """`tell`: messages per second."""
    sides: dict[str, Callable[[], float]] = {
        "ours": partial(trio.run, _ours),
        CHANNEL: partial(trio.run, _channel),
        PYKKA: on_all_cores(_pykka),
        PYKKA_PINNED: _pykka,
    }
    rate = medians(in_turns(ROUNDS, sides))
    also = {peer: rate[peer] for peer in (PYKKA, PYKKA_PINNED)}
    yield Figure("tell", rate["ours"], "1/s", CHANNEL, rate[CHANNEL], also)
