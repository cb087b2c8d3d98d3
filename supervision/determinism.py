"""All that repeatable runs need from trio's private parts, in one place.

trio shuffles the tasks that are ready, so that nobody comes to rely on an order. With its
scheduler's random numbers seeded and its batches sorted first, one seed gives one order. Hypothesis
does the same for trio programs; if a trio release moves these names, `deterministic_trio` says so
instead of giving runs that only look repeatable. tests/supervision/test_simulate.py checks it
against the trio at hand.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio
from trio._core import _run

from supervision.dispatcher import Dispatcher
from supervision.node import Node


@contextmanager
def deterministic_trio(seed: int) -> Iterator[None]:
    """Within this block `trio.run` schedules tasks in an order that depends on the seed alone."""
    private: Any = _run
    names = ("_r", "_ALLOW_DETERMINISTIC_SCHEDULING")
    missing = [name for name in names if name not in vars(private)]
    if missing or not isinstance(private._r, random.Random):
        raise RuntimeError(
            f"trio {trio.__version__} schedules in a way this version of Troupe does not know "
            f"(no {', '.join(missing)}), so runs cannot be repeated by seed; use an older trio."
        )
    allowed, state = private._ALLOW_DETERMINISTIC_SCHEDULING, private._r.getstate()
    private._ALLOW_DETERMINISTIC_SCHEDULING = True
    private._r.seed(seed)
    try:
        yield
    finally:
        private._ALLOW_DETERMINISTIC_SCHEDULING = allowed
        private._r.setstate(state)


class SeededDispatcher(Dispatcher):
    """Runs ready actors in an order, and in slices, drawn from a seed.

    Any order it takes could happen in a live node: messages of one sender to one receiver stay in
    order, signals still go before messages; but who among the ready is next, how many messages it
    handles, and when trio has its turn, is chance. Slices are counted, not timed.
    """

    def __init__(self, node: Node, rng: random.Random) -> None:
        super().__init__(node)
        self._rng = rng

    def slice(self) -> None:
        """Run a random number of turns."""
        node, rng = self.node, self._rng
        for _ in range(rng.randint(1, 6)):
            if node.urgent:
                node.urgent.rotate(rng.randrange(len(node.urgent)))
                node.urgent.popleft().take_signals()
                continue
            lanes = [lane for lane in (node.realtime, node.ordinary) if lane]
            if not lanes:
                return
            lane = rng.choice(lanes)
            lane.rotate(rng.randrange(len(lane)))
            cell = lane.popleft()
            if cell.halt:
                cell.parked = True
            else:
                self.turn(cell, rng.randint(1, 4))
