"""room: what a message costs, what a slow target and a busy room do to others, an idle room's size.

A message is said and answered: committed, brought to an agent, and its answer committed and brought
back; the scenario is in rooms.py. One room with one person who waits for each answer, and 200 rooms
with a person in each, all at once; both with a store in memory. With SQLite (in a temporary file)
and PostgreSQL the 200 rooms, whose commits are put together, and in the notes one that has nobody
to share with. B1 and B2 are five messages 20 ms apart to a WebSocket and to an SMS that takes half
a second. Then 10 000 rooms on one node (many_rooms.py).

Each figure is the median of its repetitions. It stands beside its budget, or beside the least that
storing takes: the bare store with two commits a message, one after the other. With `--peers`
RoomKit does the same with its store in memory (peers/roomkit_room.py).
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.bare_stores import (
    Bare,
    NoPostgres,
    filesystem,
    new_schema,
    postgres,
    run_memory,
    run_postgres,
    run_sqlite,
)
from bench.many_rooms import fill, run_made, run_opened
from bench.measure import Figure, in_fresh_process, quietest_core
from bench.peers.roomkit_room import RoomKit, beside
from bench.rooms import Kept, Load, SlowTarget, run_load, run_slow_target

REPETITIONS = 5
MESSAGES = 2000
"""Of each repetition."""
MESSAGES_MANY = 4000
BARE_MESSAGES = 1000
PEER_MESSAGES = 500
ROOMS = 200
OPEN_ROOMS = 10_000
BUDGET_PER_S = 2000.0
BUDGET_CPU_MS = 0.5
B1_LIMIT_MS = 20.0
B2_LIMIT_MS = 550.0
SLOW_RUNS = 3


def figures(*, peers: bool = False) -> Iterator[Figure]:
    """All of them; a peer's beside ours, if asked for."""
    roomkit = RoomKit() if peers else None
    core = quietest_core()
    one = in_fresh_process(run_load, 1, MESSAGES, REPETITIONS, Kept(), core)
    yield from _in_memory(one, 1, core)
    if roomkit is not None:
        yield from beside(roomkit.run_load(PEER_MESSAGES, REPETITIONS, core), one)
    core = quietest_core()
    many = in_fresh_process(run_load, ROOMS, MESSAGES_MANY, REPETITIONS, Kept(), core)
    yield from _in_memory(many, ROOMS, core)
    yield from _sqlite()
    yield from _postgres()
    yield from _slow(roomkit)
    yield from _many()


# -- messages ----------------------------------------------------------------------------------


def _in_memory(load: Load, rooms: int, core: int) -> Iterator[Figure]:
    bare = in_fresh_process(run_memory, MESSAGES, core)
    tail = "" if rooms == 1 else f"_{rooms}rooms"
    also = {"bare store": bare.cpu_ms}
    # What everybody waits for at once is one's own message and that of all others.
    budget = rooms * 1000 / BUDGET_PER_S
    rate = f"messages_per_s{tail}"
    yield Figure(rate, load.rate, "/s", "budget", BUDGET_PER_S, note=_spread(load.per_s))
    cpu = f"cpu_ms_per_message{tail}"
    note = _spread(load.cpu_ms)
    yield Figure(cpu, load.cpu, "ms", "budget", BUDGET_CPU_MS, also=also, note=note)
    yield Figure(f"latency_p50_ms{tail}", load.p50, "ms", "budget", budget)
    yield Figure(f"latency_p99_ms{tail}", load.p99, "ms", "our p50", load.p50)


def _sqlite() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as folder:
        core = quietest_core()
        bare = in_fresh_process(run_sqlite, BARE_MESSAGES, f"{folder}/bare.sqlite", core)
        alone, many = (
            _kept_on_disk(rooms, Kept("sqlite", f"{folder}/{rooms}.sqlite"), core)
            for rooms in (1, ROOMS)
        )
        disk = f"on {filesystem(Path(folder))}"
    yield from _on_disk("sqlite", many, alone, bare, "bare sqlite3", disk)


def _postgres() -> Iterator[Figure]:
    try:
        with postgres() as dsn:
            core = quietest_core()
            with new_schema(dsn) as schema:
                bare = in_fresh_process(run_postgres, BARE_MESSAGES, dsn, schema, core)
            loads = []
            for rooms in (1, ROOMS):
                with new_schema(dsn) as schema:
                    loads.append(_kept_on_disk(rooms, Kept("postgres", dsn, schema), core))
    except NoPostgres as reason:
        print(f"room: nothing is measured with PostgreSQL: {reason}", file=sys.stderr)
        return
    alone, many = loads
    note = "the server's own processor time is not in it"
    yield from _on_disk("postgres", many, alone, bare, "bare psycopg", note)


def _kept_on_disk(rooms: int, where: Kept, core: int) -> Load:
    messages = MESSAGES if rooms > 1 else MESSAGES // 4
    return in_fresh_process(run_load, rooms, messages, REPETITIONS, where, core)


def _on_disk(
    name: str, many: Load, alone: Load, bare: Bare, peer: str, about: str
) -> Iterator[Figure]:
    """Of 200 rooms; one alone is in the notes."""
    note = f"{ROOMS} rooms, {about}; {_spread(many.per_s)}; one room alone {alone.rate:.0f}"
    yield Figure(f"messages_per_s_{name}", many.rate, "/s", peer, bare.per_s, note=note)
    note = f"one room alone {alone.cpu:.3g}"
    yield Figure(f"cpu_ms_per_message_{name}", many.cpu, "ms", peer, bare.cpu_ms, note=note)
    # 200 who wait at the same store would wait for each other there, too.
    note = f"one room alone {alone.p50:.3g}, and the bare store {bare.p50:.3g}"
    p50, p99 = f"latency_p50_ms_{name}", f"latency_p99_ms_{name}"
    yield Figure(p50, many.p50, "ms", f"{ROOMS} x {peer}", ROOMS * bare.p50, note=note)
    note = f"one room alone {alone.p99:.3g}, and the bare store {bare.p99:.3g}"
    yield Figure(p99, many.p99, "ms", "our p50", many.p50, note=note)


def _spread(values: Sequence[float]) -> str:
    return f"{len(values)} repetitions from {min(values):.3g} to {max(values):.3g}"


# -- one slow target ---------------------------------------------------------------------------


def _slow(roomkit: RoomKit | None) -> Iterator[Figure]:
    runs = [in_fresh_process(run_slow_target, quietest_core()) for _ in range(SLOW_RUNS)]
    websocket, first = slow_worst(runs), slow_first(runs)
    sms = "SMS at " + ", ".join(f"{at:.0f}" for at in runs[0].sms_ms)
    order = "in order" if all(run.ordered for run in runs) else "NOT IN ORDER"
    note = f"{sms} ms, {order}; {_spread([max(run.websocket_ms) for run in runs])}"
    yield Figure("b1_websocket_worst_ms", websocket, "ms", "limit", B1_LIMIT_MS, note=note)
    callers = "callers waited " + ", ".join(f"{waited:.0f}" for waited in runs[0].callers_ms)
    note = f"{callers} ms; {_spread([run.callers_ms[0] for run in runs])}"
    yield Figure("b2_first_caller_ms", first, "ms", "limit", B2_LIMIT_MS, note=note)
    if roomkit is None:
        return
    theirs = roomkit.run_slow_target(quietest_core())
    worst = max(theirs.websocket_ms, default=math.nan)
    came = "WebSocket after " + ", ".join(f"{ms:.0f}" for ms in theirs.websocket_ms) + " ms"
    yield Figure("peer_roomkit_b1_websocket_worst_ms", worst, "ms", "troupe", websocket, note=came)
    waited = "callers waited " + ", ".join(f"{ms:.0f}" for ms in theirs.callers_ms) + " ms"
    theirs_first = theirs.callers_ms[0]
    yield Figure(
        "peer_roomkit_b2_first_caller_ms", theirs_first, "ms", "troupe", first, note=waited
    )


def slow_worst(runs: Sequence[SlowTarget]) -> float:
    """The latest delivery by the WebSocket, milliseconds after its message."""
    return median(max(run.websocket_ms) for run in runs)


def slow_first(runs: Sequence[SlowTarget]) -> float:
    """How long the first caller waited, milliseconds."""
    return median(run.callers_ms[0] for run in runs)


# -- many rooms --------------------------------------------------------------------------------


def _many() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as folder:
        where = Kept("sqlite", f"{folder}/rooms.sqlite")
        fill(OPEN_ROOMS, where)
        opened = in_fresh_process(run_opened, OPEN_ROOMS, where, quietest_core())
    made, fairness = in_fresh_process(run_made, OPEN_ROOMS, quietest_core())
    note = f"{OPEN_ROOMS} rooms with 2 bindings, opened from SQLite; the others with what they keep"
    yield Figure("idle_room_kib", opened.kib, "KiB", "made in memory", made.kib, note=note)
    note = f"to open all takes {opened.ms * OPEN_ROOMS / 1000:.1f} s"
    yield Figure("open_room_ms", opened.ms, "ms", "to make one", made.ms, note=note)
    alone, beside_busy = (
        median(waits.p99 for waits in turns) for turns in (fairness.alone, fairness.flooded)
    )
    note = (
        f"p50 {median(waits.p50 for waits in fairness.flooded):.3g} ms, "
        f"without it {median(waits.p50 for waits in fairness.alone):.3g}; "
        f"p99 {_spread([waits.p99 for waits in fairness.flooded])}; it had "
        f"{fairness.flood_per_s:.0f} messages a second, and {OPEN_ROOMS} rooms were open"
    )
    name = "latency_p99_ms_beside_a_busy_room"
    yield Figure(name, beside_busy, "ms", "without it", alone, note=note)
