"""bargein: from the first sample of somebody's speech to silence, with 10 calls on one core.

Real speech (bench/phrases: flite's voice rms, trimmed to the first sound) over replies of 10 s, the
real voice detector, the balanced and the eager profile. Silence is when the far end is told to drop
what it has; it is sent 20 ms ahead. The scenario
is in calls.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.calls import Load, run_load
from bench.measure import Figure, in_fresh_process, quietest_core

SESSIONS = 10
SECONDS = 60.0
BUDGET = {"balanced": (100.0, 140.0), "eager": (60.0, 110.0)}


def figures() -> Iterator[Figure]:
    """Both profiles, against their budgets."""
    for profile, (median, most) in BUDGET.items():
        load = in_fresh_process(run_load, SESSIONS, SECONDS, profile, quietest_core())
        name = "bargein" if profile == "balanced" else f"bargein_{profile}"
        note = noted(load)
        yield Figure(f"{name}_p50", load.p50, "ms", "budget", median, note=note)
        yield Figure(f"{name}_p95", load.p95, "ms", "budget", most)


def noted(load: Load) -> str:
    """How many interruptions there were, and how many phrases were not noticed at all."""
    return f"{len(load.bargein_ms)} interruptions, {load.missed} not noticed"
