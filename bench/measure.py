"""How everything here is measured: figures beside their peers', in turns, on one pinned core.

The machine is never quiet, so a comparison alternates between its sides and takes medians, and a
worst case says what it was made of: garbage collection, the kernel running somebody else, or us.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import ParamSpec, TypeVar

import attrs

P = ParamSpec("P")
T = TypeVar("T")

CHANNEL = "trio channels"
"""A bare trio memory channel and a task for every actor."""
PYKKA = "pykka threads"
"""A `pykka.ThreadingActor` for every actor."""


@attrs.frozen
class Figure:
    """One value of ours beside its peers'."""

    name: str
    value: float
    unit: str
    peer: str = ""
    """Who `against` was measured on."""
    against: float | None = None
    also: Mapping[str, float] = attrs.field(factory=dict)
    """Other peers' values, for the reader; the ratio is to `against`."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Our value divided by the peer's."""
        return self.value / self.against if self.against else None

    def as_json(self) -> str:
        """One object on one line."""
        return json.dumps(
            {
                "name": self.name,
                "value": self.value,
                "unit": self.unit,
                "against": self.against,
                "ratio": self.ratio,
            }
        )

    def as_text(self) -> str:
        """One line to read, and a second one for the note."""
        line = f"{self.name:<24} {show(self.value):>10} {self.unit:<4}"
        if self.against is not None:
            line += f" | {self.peer} {show(self.against):>9} | ratio {self.ratio:.3g}"
        for peer, value in self.also.items():
            line += f" | {peer} {show(value)}"
        return line + (f"\n{'':<24} {self.note}" if self.note else "")


def show(value: float) -> str:
    """Three or four digits, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def in_turns(count: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run all sides one after the other, `count` times, so that a busy minute hits all of them."""
    results: dict[str, list[T]] = {name: [] for name in sides}
    for _ in range(count):
        for name, side in sides.items():
            gc.collect()
            results[name].append(side())
    return results


def medians(results: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of every side."""
    return {name: median(values) for name, values in results.items()}


def percentile(samples: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the samples do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def pin(core: int) -> None:
    """Keep this process, and all threads it will start, on one core; -1 lets it roam.

    A pinned benchmark measures one core, as the budgets mean it, and two threads of a peer cannot
    gain or lose by how the kernel spreads them.
    """
    if core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def last_core() -> int:
    """The core to pin to: the last allowed one, since interrupts and daemons like the first."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else -1


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a new interpreter: for memory, and for 100 000 of anything."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args, **kwargs).result()


def resident_bytes() -> int:
    """Memory this process really holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# -- worst cases -------------------------------------------------------------------------------

STALL = 200e-6
"""Seconds between two looks at the clock, one right after the other, above which the machine stood
still: its kernel or hypervisor ran something else. A virtual machine is told of neither."""

_stalled = 0.0


def spin(seconds: float) -> None:
    """Use the processor for some microseconds, and notice when it is taken away meanwhile."""
    global _stalled
    last = perf_counter()
    end = last + seconds
    while last < end:
        now = perf_counter()
        if now - last > STALL:
            _stalled += now - last
        last = now


@attrs.frozen
class Wait:
    """One time that somebody had to wait, in seconds, and what it was made of."""

    seconds: float
    stalled: float = 0.0
    """Of it, the machine's: it ran something else."""
    collecting: float = 0.0
    """Of it, the garbage collector's."""

    @property
    def blame(self) -> str:
        """What the wait was made of, in words."""
        return (
            f"of it {self.stalled * 1e3:.2g} ms the machine stood still and "
            f"{self.collecting * 1e3:.2g} ms garbage was collected"
        )


class Waits:
    """Collects waits, and knows afterwards what each was made of."""

    def __init__(self) -> None:
        self.all: list[Wait] = []
        self._collected = 0.0
        self._collecting_since = 0.0
        self._before = (0.0, 0.0)

    def begin(self) -> None:
        """A wait may begin now; stalls and collections from here on count."""
        self._before = (_stalled, self._collected)

    def end(self, seconds: float) -> None:
        """It is over, and took `seconds`."""
        stalled, collected = self._before
        self.all.append(Wait(seconds, _stalled - stalled, self._collected - collected))

    @property
    def worst(self) -> Wait:
        """The longest of all."""
        return max(self.all, key=lambda wait: wait.seconds)

    @property
    def blame(self) -> str:
        """What made the worst one, and how bad it would have been on a machine that never stalls."""
        own = max(wait.seconds - wait.stalled for wait in self.all)
        return f"{self.worst.blame}; {own * 1e3:.3g} ms at worst but for stalls"

    @contextmanager
    def watching(self) -> Iterator[Waits]:
        """Watch the garbage collector meanwhile."""
        gc.callbacks.append(self._collector)
        try:
            yield self
        finally:
            gc.callbacks.remove(self._collector)

    def _collector(self, phase: str, _info: Mapping[str, int]) -> None:
        if phase == "start":
            self._collecting_since = perf_counter()
        else:
            self._collected += perf_counter() - self._collecting_since


def report(figures: Iterator[Figure], *, as_json: bool) -> None:
    """Print each figure as soon as there is one."""
    for figure in figures:
        print(figure.as_json() if as_json else figure.as_text(), flush=True)
        if as_json and figure.note:
            print(f"{figure.name}: {figure.note}", file=sys.stderr)
