"""pacing: how late frames of sound leave, under text load.

Every frame of every call against the most punctual frame of its stretch of speech; beside the calls
ten actors pass text on, 500 messages a second together. 10, 100 and 200 calls, each load in a
process of its own on one pinned core, the far ends included. The scenario is in calls.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.calls import run_load
from bench.measure import Figure, in_fresh_process, percentile, quietest_core

SESSIONS = (10, 100, 200)
SECONDS = 20.0
CHATTERS = 10
BUDGET_MS = 5.0


def figures() -> Iterator[Figure]:
    """The 99th percentile for each number of calls."""
    for sessions in SESSIONS:
        core = quietest_core()
        load = in_fresh_process(run_load, sessions, SECONDS, "balanced", core, CHATTERS)
        late = load.lateness_ms
        note = f"{len(late)} frames; p50 {percentile(late, 0.5):.2f} ms, worst {max(late):.1f} ms"
        name = f"pacing_lateness_p99_ms_{sessions}"
        yield Figure(name, percentile(late, 0.99), "ms", "budget", BUDGET_MS, note=note)
