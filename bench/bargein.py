"""bargein: from the first sample of somebody's speech to silence, with 10 calls on one core.

Real speech (bench/phrases: flite's voice rms, trimmed to the first sound) over replies of 10 s, the
real voice detector, the balanced and the eager profile. Silence is when the far end is told to drop
what it has; it is sent 20 ms ahead. The latency of the turns, in its parts, is told too. The
scenario is in calls.py. With `--peers` Pipecat goes through the same, with its default settings and
with its quickest (peers/pipecat.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.calls import Load, run_load
from bench.measure import Figure, in_fresh_process, quietest_core
from bench.peers.pipecat import Pipecat, interrupting
from transports.leg import ShowTurn

SESSIONS = 10
SECONDS = 40.0
BUDGET = {"balanced": (100.0, 140.0), "eager": (60.0, 110.0)}


def figures(*, peers: bool = False) -> Iterator[Figure]:
    """Both profiles, against their budgets; and a peer's settings that are most like them."""
    pipecat = Pipecat() if peers else None
    for profile, (middle, most) in BUDGET.items():
        core = quietest_core()
        load = in_fresh_process(run_load, SESSIONS, SECONDS, profile, core, shows=True)
        name = "bargein" if profile == "balanced" else f"bargein_{profile}"
        note = noted(load)
        yield Figure(f"{name}_p50", load.p50, "ms", "budget", middle, note=note)
        yield Figure(f"{name}_p95", load.p95, "ms", "budget", most)
        if profile == "balanced":
            yield _latency(load.turns)
        if pipecat:
            settings = "default" if profile == "balanced" else profile
            theirs = pipecat.run_load(SESSIONS, SECONDS, settings, core)
            yield from interrupting(theirs, load, profile.removeprefix("balanced"))


def _latency(turns: Sequence[ShowTurn]) -> Figure:
    """From the end of a caller's speech to the first sample of the answer, and its parts."""
    parts = {name: median(turn.parts_ms[name] for turn in turns) for name in turns[0].parts_ms}
    off = max(abs(sum(turn.parts_ms.values()) - turn.total_ms) for turn in turns)
    note = ", ".join(f"{name} {value:.0f}" for name, value in parts.items())
    note += f" (medians); in no turn do the parts miss the sum by more than {off:.2g} ms"
    return Figure("turn_latency_p50", median(turn.total_ms for turn in turns), "ms", note=note)


def noted(load: Load) -> str:
    """How many interruptions there were, and how many phrases were not noticed at all."""
    return f"{len(load.bargein_ms)} interruptions, {load.missed} not noticed"
