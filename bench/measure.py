"""How everything here is measured: figures beside their peers', in turns, on one pinned core.

We and trio's channels run on one thread, so on one core; pykka's threads may have all there are.
The machine is never quiet, so a comparison alternates between its sides and takes medians, and a
worst case says what it was made of: garbage collection, the machine running something else, or us.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time
from typing import ParamSpec, TypeVar

import attrs

P = ParamSpec("P")
T = TypeVar("T")

CHANNEL = "trio channels"
"""A bare trio memory channel and a task for every actor."""
PYKKA = "pykka threads"
"""A `pykka.ThreadingActor` for every actor, on all cores, as they run in anybody's program."""
PYKKA_PINNED = "on one core"
"""The same on our one core, where a thread hands over to the next without crossing over."""


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


ALL_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset[int]()


def pin(cores: Collection[int]) -> None:
    """Keep this thread, and all threads it will start, on these cores."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def on_all_cores(side: Callable[[], T]) -> Callable[[], T]:
    """A side that is not pinned while it runs."""

    def run() -> T:
        pinned = os.sched_getaffinity(0) if ALL_CORES else frozenset()
        pin(ALL_CORES)
        try:
            return side()
        finally:
            pin(pinned)

    return run


def quietest_core(seconds: float = 0.3) -> int:
    """The core with the least to do just now; -1 where that cannot be told."""
    try:
        before = _idle_ticks()
        time.sleep(seconds)
        after = _idle_ticks()
    except (OSError, ValueError):
        return -1
    return max(ALL_CORES, default=-1, key=lambda core: (after[core] - before[core], core))


def _idle_ticks() -> dict[int, int]:
    lines = Path("/proc/stat").read_text().splitlines()
    cores = [line.split() for line in lines if line.startswith("cpu") and line[3] != " "]
    return {int(fields[0][3:]): int(fields[4]) for fields in cores}


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
still: its kernel or hypervisor ran something else, and a virtual machine is not told."""

_stalled = 0.0
_other_threads = 0.0


def spin(seconds: float) -> None:
    """Use the processor for some microseconds, and notice when it is taken away meanwhile."""
    last = perf_counter()
    end = last + seconds
    while last < end:
        now = perf_counter()
        if now - last > STALL:
            _taken_away(now - last)
        last = now


def _taken_away(seconds: float) -> None:
    """Count it as the machine's doing, unless another thread of this very process ran."""
    global _stalled, _other_threads
    before, _other_threads = _other_threads, process_time() - thread_time()
    if _other_threads - before < seconds / 2:
        _stalled += seconds


def _run_delay() -> float:
    """Seconds this thread waited for the kernel to run something else; 0 where it does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


@attrs.frozen
class Wait:
    """One time that somebody had to wait, in seconds, and what it was made of."""

    seconds: float
    stalled: float = 0.0
    """Of it, the machine's: it ran something else."""
    collecting: float = 0.0
    """Of it, the garbage collector's."""


class Waits:
    """Collects waits, and knows what each was made of.

    Those in which the machine stood still are counted, not compared: on a shared machine they would
    be the worst ones on every side, and say nothing about any.
    """

    def __init__(self) -> None:
        self.all: list[Wait] = []
        self.disturbed: list[Wait] = []
        self._collected = 0.0
        self._collecting_since = 0.0
        self._before = (0.0, 0.0, 0.0)

    def begin(self) -> None:
        """A wait may begin now; stalls and collections from here on count."""
        self._before = (_stalled, _run_delay(), self._collected)

    def end(self, seconds: float) -> None:
        """It is over, and took `seconds`."""
        stalled, delay, collected = self._before
        machine = max(_stalled - stalled, _run_delay() - delay)
        wait = Wait(seconds, machine, self._collected - collected)
        (self.disturbed if machine > STALL else self.all).append(wait)

    def note(self, seconds: float) -> None:
        """Count a wait of which nothing else is known: among threads, who could say."""
        self.all.append(Wait(seconds))

    @property
    def worst(self) -> Wait:
        """The longest of those in which the machine did not stand still."""
        return max(self.all, key=lambda wait: wait.seconds)

    @property
    def blame(self) -> str:
        """What the worst one was made of, and what was left out."""
        seconds = [wait.seconds for wait in self.all]
        text = (
            f"p99 {percentile(seconds, 0.99) * 1e3:.3g} ms; of the worst "
            f"{self.worst.collecting * 1e3:.2g} ms was garbage collection"
        )
        if self.disturbed:
            longest = max(wait.stalled for wait in self.disturbed) * 1e3
            text += (
                f"; without {len(self.disturbed)} of {len(seconds) + len(self.disturbed)} "
                f"in which the machine stood still, for up to {longest:.3g} ms"
            )
        return text

    @contextmanager
    def watching(self) -> Iterator[Waits]:
        """Watch the garbage collector meanwhile."""
        gc.callbacks.append(self._collector)
        self.begin()
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
