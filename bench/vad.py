"""vad: what voice activity detection costs, and how long a leg waits to be told.

Legs of 16 kHz, each with a window every 32 ms, spread evenly over time, as in calls. The cost is
the processor time of the whole process (loop, detector, engine thread) per second of one leg, less
what feeding the windows costs, which is measured with an actor that drops them. The floor is the
bare model in a bare thread, on batches of the same size, as often: a model that pauses between two
batches finds its weights outside the processor's caches, which is most of what few legs cost. What
it needs without a pause, all legs in one batch, stands beside it. The wait is from telling the
detector a window to the handler of the leg that is told what changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle, islice, pairwise
from statistics import median
from time import perf_counter, process_time, sleep

import attrs
import numpy as np
import trio

from bench.measure import Figure, in_turns, percentile
from models.vad.config import VadConfig
from models.vad.hub import detector_of, load_silero, vad_spec
from models.vad.protocol import VadLeg, VadMessage, Voice, Window
from supervision import Actor, ActorRef, ChildSpec, System, handles, open_system

LEGS = (1, 10, 100, 200)
ROUNDS = 3
SECONDS = 2.0
RATE = 16000
WINDOW = 512
PERIOD = WINDOW / RATE
LOWS = frozenset(range(4, 10_000, 4))
"""Every fourth window of noise tells its leg something: far more often than a person would."""

NOISE = (np.random.default_rng(0).standard_normal(WINDOW) * 600).astype("<i2").tobytes()


@attrs.frozen
class Run:
    """One measured stretch."""

    cpu: float
    """Seconds of processor per leg and second."""
    waits: Sequence[float]
    """Seconds from window to `Voice`."""
    batch: float
    """Windows in a batch, on average."""


class Leg(Actor[Voice]):
    """Takes the time when it is told."""

    realtime = True

    def __init__(self, sent: dict[tuple[str, int], float], waits: list[float]) -> None:
        super().__init__()
        self._sent = sent
        self._waits = waits

    @handles
    def on_voice(self, message: Voice) -> None:
        self._waits.append(perf_counter() - self._sent[message.leg, message.end])


class Deaf(Actor[Window]):
    """Stands in for the detector, to see what feeding it costs."""

    realtime = True

    @handles
    def on_window(self, _message: Window) -> None: ...


async def _start(system: System, gather_ms: float | None) -> ActorRef[VadMessage]:
    if gather_ms is None:
        await system.start_child(ChildSpec("deaf", Deaf), parent="/")
        return system.ref("/deaf")
    await system.start_child(vad_spec(VadConfig(gather_ms=gather_ms)), parent="/")
    return detector_of(system, "/vad")


async def _paced(count: int, gather_ms: float | None) -> Run:
    """The node itself. Without `gather_ms` there is no detector, only who feeds it."""
    sent: dict[tuple[str, int], float] = {}
    waits: list[float] = []
    async with open_system() as system:
        detector = await _start(system, gather_ms)
        to = await system.spawn(Leg, sent, waits)
        legs = [VadLeg(str(n), RATE, to, low_runs=LOWS) for n in range(count)]
        rounds = int(SECONDS / PERIOD)
        begun, cpu = trio.current_time(), process_time()
        for number in range(1, rounds + 1):
            for place, leg in enumerate(legs):
                due = begun + (number + place / count) * PERIOD
                if due > trio.current_time():
                    await trio.sleep_until(due)
                sent[leg.id, number * WINDOW] = perf_counter()
                detector.tell(Window(leg, NOISE, number * WINDOW))
        await trio.sleep(0.05)
        cpu = process_time() - cpu
        if gather_ms is None:
            return Run(cpu / (rounds * PERIOD * count), waits, 1.0)
        found = system.state("/vad/detector").statistics or {}
    if found["engine"] != "silero" or found["lost"]:
        raise RuntimeError(f"this run says nothing about silero: {found}")
    # What was dropped, or still waits, has cost nothing: a core that is too slow is no cheaper.
    return Run(cpu / (found["scored"] * PERIOD), waits, found["scored"] / found["batches"])


def _bare(count: int, batches: int, seconds: float) -> Run:
    """The model alone: all legs in so many batches a window, in that time or, if 0, at once."""
    engine, slots = load_silero(""), np.arange(count)
    windows = np.tile(np.frombuffer(NOISE, np.int16), (count, 1))
    engine.infer(RATE, windows, slots)
    cuts = [count * part // batches for part in range(batches + 1)]
    parts = [slice(*cut) for cut in pairwise(cuts)]
    turns = int(seconds / PERIOD) or max(1, 1000 // count)
    begun, cpu = perf_counter(), process_time()
    for turn, part in enumerate(islice(cycle(parts), turns * batches)):
        if seconds:
            sleep(max(0.0, begun + turn * PERIOD / batches - perf_counter()))
        engine.infer(RATE, windows[part], slots[part])
    return Run((process_time() - cpu) / (turns * count * PERIOD), (), count / batches)


def figures() -> Iterator[Figure]:
    """CPU per leg-second at several numbers of legs, each with its waits."""
    sys.setswitchinterval(0.0005)  # as `troupe run` does
    for count in LEGS:
        gather_ms = VadConfig().gather_ms
        batches = min(count, round(PERIOD * 1e3 / gather_ms))
        sides = {
            "ours": partial(trio.run, _paced, count, gather_ms),
            "ungathered": partial(trio.run, _paced, count, 0.0),
            "feeding": partial(trio.run, _paced, count, None),
            "bare": partial(_bare, count, batches, SECONDS),
            "unpaused": partial(_bare, count, 1, 0.0),
        }
        yield _figure(count, in_turns(ROUNDS, sides))


def _figure(count: int, runs: Mapping[str, Sequence[Run]]) -> Figure:
    cpu = {side: 1e3 * median(run.cpu for run in each) for side, each in runs.items()}
    batch = median(run.batch for run in runs["ours"])
    return Figure(
        f"vad, {count} legs",
        cpu["ours"] - cpu["feeding"],
        "ms/s",
        "bare model",
        cpu["bare"],
        {"unpaused": cpu["unpaused"], "feeding": cpu["feeding"]},
        f"{batch:.3g} windows a batch, told after {_told(runs['ours'])}; ungathered: "
        f"{cpu['ungathered'] - cpu['feeding']:.3g} ms/s, {_told(runs['ungathered'])}",
    )


def _told(runs: Sequence[Run]) -> str:
    waits = [wait * 1e3 for run in runs for wait in run.waits]
    return f"p50 {median(waits):.3g}, p99 {percentile(waits, 0.99):.3g} ms"
