"""voice: what a voice session costs, and whether it is still interrupted in time, by load.

1, 10, 50, 100 and 200 calls on one pinned core, each load in a process of its own; then with PCM
both ways over WebSockets, the callers in a process of their own on another core. The scenario is in
calls.py. Costs are milliseconds of processor per session and second, of all threads: the model, the
runtime, the actors of the call, and without WebSocket also the far ends, which live in the same
process; what those cost alone is measured too, and named in the note. With `--peers` Pipecat has
the same load at 1, 10 and 25 sessions, each time right after us (peers/pipecat.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.bargein import noted
from bench.calls import run_far_ends, run_load
from bench.calls_over_sockets import run_sockets
from bench.measure import Figure, in_fresh_process, quietest_core
from bench.peers.pipecat import Pipecat, cost, interrupting

SESSIONS = (1, 10, 50, 100, 200)
PEER_SESSIONS = (1, 10, 25)
OVER_SOCKETS = (10, 50, 100)
SECONDS = 30.0
BUDGET_MS = 4.0
BUDGET_WS_MS = 8.0
BARGEIN_BUDGET = {100: 140.0, 200: 160.0}


def figures(*, peers: bool = False) -> Iterator[Figure]:
    """Per load: cost, median and 95th percentile of interrupting; and a peer's, if asked for."""
    pipecat = Pipecat() if peers else None
    for sessions in sorted({*SESSIONS, *PEER_SESSIONS}) if pipecat else SESSIONS:
        core = quietest_core()
        far = in_fresh_process(run_far_ends, sessions, 5.0, core)
        load = in_fresh_process(run_load, sessions, SECONDS, "balanced", core)
        budget = BARGEIN_BUDGET.get(sessions)
        peer = "budget" if budget else ""
        yield Figure(
            f"cpu_ms_per_session_second_{sessions}",
            load.cpu_ms,
            "ms",
            peer,
            BUDGET_MS if budget else None,
            note=f"of it the far ends {far:.2f} ms",
        )
        yield Figure(f"bargein_p50_{sessions}", load.p50, "ms", note=noted(load))
        yield Figure(f"bargein_p95_{sessions}", load.p95, "ms", peer, budget)
        if pipecat and sessions in PEER_SESSIONS:
            theirs = pipecat.run_load(sessions, SECONDS, "default", core)
            yield cost(theirs, load)
            yield from interrupting(theirs, load)
    for sessions in OVER_SOCKETS:
        core = quietest_core()
        load = in_fresh_process(run_sockets, sessions, SECONDS, core)
        name = f"cpu_ws_ms_per_session_second_{sessions}"
        yield Figure(name, load.cpu_ms, "ms", "budget", BUDGET_WS_MS)
        yield Figure(f"bargein_ws_p95_{sessions}", load.p95, "ms", note=noted(load))
