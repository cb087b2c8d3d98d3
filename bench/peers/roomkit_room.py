"""RoomKit in the scenarios of rooms.py, beside ours. What is fair about it, and what not:

The same: one process on one core, one room, one person who waits for each answer, the texts, a
store in memory, a target that takes each delivery at once, an agent that answers at once without
streaming (RoomKit's AI channel over the mock of a model that it ships), and the two targets of B1
and B2. A message counts from the call of `process_inbound` to its return, by when its answer was
sent on both sides; each side sees to it that as many answers came as messages were said.

In its favour: its garbage is collected before each repetition, and it runs on the newer Python that
it needs, where ours may be older. In ours: a node tunes the interpreter's garbage collection, which
RoomKit does not do, so here neither is it. Its AI channel makes a prompt of the room's last events;
our agent is given them and looks at none.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import Figure
from bench.peers.environment import PeerUnavailable, python_with
from bench.rooms import Load, SlowTarget

NAME = "RoomKit"
REQUIREMENT = "roomkit==0.58.0"
OLDEST_PYTHON = 12
SCRIPT = Path(__file__).with_name("roomkit_load.py")
RUN_SECONDS = 300.0


class RoomKit:
    """RoomKit in an environment of its own, ready to be measured."""

    def __init__(self) -> None:
        """Install it, if need be.

        Raises:
            PeerUnavailable: that was not possible.
        """
        self._python = python_with(NAME, REQUIREMENT, OLDEST_PYTHON)

    def run_load(self, messages: int, repetitions: int, core: int = -1) -> Load:
        """One room, in a process of its own.

        Raises:
            PeerUnavailable: it failed, or did not end in time.
        """
        result = self._run(
            {"scenario": "load", "messages": messages, "repetitions": repetitions, "core": core}
        )
        return Load(*(tuple(result[name]) for name in ("per_s", "cpu_ms", "latency_ms")))

    def run_slow_target(self, core: int = -1) -> SlowTarget:
        """B1 and B2. Raises PeerUnavailable."""
        result = self._run({"scenario": "slow_target", "core": core})
        websocket, sms, callers = (
            tuple(result[name]) for name in ("websocket_ms", "sms_ms", "callers_ms")
        )
        return SlowTarget(websocket, sms, callers, ordered=sorted(callers) == list(callers))

    def _run(self, scenario: dict[str, Any]) -> dict[str, Any]:
        # -I: neither this folder nor PYTHONPATH is looked into for what it imports.
        command = [str(self._python), "-I", str(SCRIPT), json.dumps(scenario)]
        what = "failed in a room"
        try:
            ran = subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=RUN_SECONDS
            )
        except subprocess.CalledProcessError as failed:
            raise PeerUnavailable(NAME, what, failed.stderr) from failed
        except subprocess.TimeoutExpired as late:
            raise PeerUnavailable(NAME, what, f"not done after {RUN_SECONDS:.0f} s") from late
        result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return result


def beside(theirs: Load, ours: Load) -> Iterator[Figure]:
    """Its messages beside ours: of the rate below 1, else above 1, we are faster."""
    name = "peer_roomkit_"
    spread = f"{len(theirs.per_s)} repetitions of {min(theirs.per_s):.3g}"
    note = f"{spread} to {max(theirs.per_s):.3g} messages a second"
    yield Figure(f"{name}messages_per_s", theirs.rate, "/s", "troupe", ours.rate, note=note)
    yield Figure(f"{name}cpu_ms_per_message", theirs.cpu, "ms", "troupe", ours.cpu)
    yield Figure(f"{name}latency_p50_ms", theirs.p50, "ms", "troupe", ours.p50)
    yield Figure(f"{name}latency_p99_ms", theirs.p99, "ms", "troupe", ours.p99)
