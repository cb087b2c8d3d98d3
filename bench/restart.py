"""restart: from the message that crashes an actor to the next answer of its successor.

The supervisor restarts without back-off and forgives everything, as does the poison counter; crash
reports are written, logging of them is off. pykka has no supervisors, so there `on_failure` starts
the successor by hand and hands its ref to whoever waits for it: the least such a program must do.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import Any

import attrs
import pykka
import trio

from bench.measure import (
    PYKKA,
    PYKKA_PINNED,
    Figure,
    in_turns,
    medians,
    on_all_cores,
    percentile,
)
from supervision import Actor, ChildSpec, Request, Supervisor, handles, open_system
from supervision.resilience import BreakerConfig

CRASHES = 1000
ROUNDS = 5
NEVER_GIVE_UP = 10**9


@attrs.frozen
class Boom:
    """Crash."""


@attrs.frozen
class Life(Request[int]):
    """Which instance answers."""


class Fragile(Actor[Boom | Life]):
    """Ours."""

    poison = BreakerConfig(failures=NEVER_GIVE_UP)
    lives = 0

    def on_start(self) -> None:
        Fragile.lives += 1
        self.life = Fragile.lives

    @handles
    def boom(self, _message: Boom) -> None:
        raise ValueError("as ordered")

    @handles
    def answer(self, _message: Life) -> int:
        return self.life


async def _ours() -> list[float]:
    times = []
    async with open_system() as system:
        fragile = ChildSpec("fragile", Fragile)
        await system.spawn(Supervisor, [fragile], intensity=NEVER_GIVE_UP, path="/supervisor")
        ref = system.ref("/supervisor/fragile")
        before = await ref.ask(Life())
        for n in range(1, CRASHES + 1):
            started = perf_counter()
            ref.tell(Boom())
            life = await ref.ask(Life())
            times.append(perf_counter() - started)
            assert life == before + n
    return times


class PykkaFragile(pykka.ThreadingActor):
    """pykka's, with a restart made by hand."""

    def __init__(self, life: int, successors: queue.SimpleQueue[Any]) -> None:
        super().__init__()
        self.life = life
        self.successors = successors

    def on_receive(self, message: Any) -> int:
        if isinstance(message, Boom):
            raise ValueError("as ordered")
        return self.life

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.successors.put(PykkaFragile.start(self.life + 1, self.successors))


def _pykka() -> list[float]:
    successors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ref: pykka.ActorRef[Any] = PykkaFragile.start(0, successors)
    times = []
    for n in range(1, CRASHES + 1):
        started = perf_counter()
        ref.tell(Boom())
        ref = successors.get()
        life = ref.ask(Life())
        times.append(perf_counter() - started)
        assert life == n
    ref.stop()
    return times


def figures() -> Iterator[Figure]:
    """`restart_p50` and `restart_p99`: microseconds; each the median of the rounds' percentiles."""
    for name in ("troupe.supervision", "pykka"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    sides: dict[str, Callable[[], list[float]]] = {
        "ours": partial(trio.run, _ours),
        PYKKA: on_all_cores(_pykka),
        PYKKA_PINNED: _pykka,
    }
    times = in_turns(ROUNDS, sides)
    for name, share in (("restart_p50", 0.5), ("restart_p99", 0.99)):
        value = medians(
            {side: [percentile(each, share) * 1e6 for each in all_] for side, all_ in times.items()}
        )
        also = {PYKKA_PINNED: value[PYKKA_PINNED]}
        yield Figure(name, value["ours"], "µs", PYKKA, value[PYKKA], also)
