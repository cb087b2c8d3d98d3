"""ask: from a request to its answer, from a trio task, with the timeout armed.

One asker, one actor, nothing else to do, so this is the latency of the way there and back. The
channel's answer comes through an event, under `fail_after`: what the ask's timeout means there.

pykka's asker and actor are two threads. With several cores each has its own, and a round trip wakes
the other core twice; on one core the kernel only switches, which is several times faster. Programs
are not pinned, so the peer is the former; the latter is printed beside it.
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
    percentile,
)
from supervision import Actor, Request, handles, open_system

ASKS = 5_000
ROUNDS = 7
TIMEOUT = 5.0


@attrs.frozen
class Double(Request[int]):
    """Answered with twice the number."""

    n: int


class Doubler(Actor[Double]):
    """Ours."""

    @handles
    def double(self, message: Double) -> int:
        return 2 * message.n


async def _ours() -> list[float]:
    async with open_system() as system:
        doubler = await system.spawn(Doubler)
        times = []
        for n in range(ASKS):
            started = perf_counter()
            answer = await doubler.ask(Double(n), timeout=TIMEOUT)
            times.append(perf_counter() - started)
            assert answer == 2 * n
    return times


@attrs.define
class Asked:
    """`Double` for a channel, which knows no replies."""

    n: int
    answer: int = 0
    answered: trio.Event = attrs.field(factory=trio.Event)


async def _double(inbox: trio.MemoryReceiveChannel[Asked]) -> None:
    async for message in inbox:
        message.answer = 2 * message.n
        message.answered.set()


async def _channel() -> list[float]:
    doubler, inbox = trio.open_memory_channel[Asked](1000)
    times = []
    async with trio.open_nursery() as nursery, doubler:
        nursery.start_soon(_double, inbox)
        for n in range(ASKS):
            started = perf_counter()
            with trio.fail_after(TIMEOUT):
                asked = Asked(n)
                doubler.send_nowait(asked)
                await asked.answered.wait()
            times.append(perf_counter() - started)
            assert asked.answer == 2 * n
    return times


class PykkaDoubler(pykka.ThreadingActor):
    """pykka's."""

    def on_receive(self, message: Any) -> int:
        return 2 * int(message.n)


def _pykka() -> list[float]:
    doubler = PykkaDoubler.start()
    times = []
    for n in range(ASKS):
        started = perf_counter()
        answer = doubler.ask(Double(n), timeout=TIMEOUT)
        times.append(perf_counter() - started)
        assert answer == 2 * n
    doubler.stop()
    return times


def figures() -> Iterator[Figure]:
    """`ask_p50` and `ask_p99`: microseconds; each the median of the rounds' percentiles."""
    sides: dict[str, Callable[[], list[float]]] = {
        "ours": partial(trio.run, _ours),
        CHANNEL: partial(trio.run, _channel),
        PYKKA: on_all_cores(_pykka),
        PYKKA_PINNED: _pykka,
    }
    times = in_turns(ROUNDS, sides)
    for name, share in (("ask_p50", 0.5), ("ask_p99", 0.99)):
        value = medians(
            {side: [percentile(each, share) * 1e6 for each in all_] for side, all_ in times.items()}
        )
        also = {peer: value[peer] for peer in (PYKKA_PINNED, CHANNEL)}
        yield Figure(name, value["ours"], "µs", PYKKA, value[PYKKA], also)
