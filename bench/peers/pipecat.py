"""Pipecat's pipeline under the load of calls.py, beside ours. What is fair about it, and what not:

The same: one process on one core, the phrases and when they are said, silence between them, 20 ms
frames, 16 kHz, silero on onnxruntime in a session of one thread, replies of 10 s that come at once
in words of 0.3 s, the 150 ms of the recogniser and the 50 ms of the voice, the garbage collector.
An interruption is counted from the first sample of the phrase, said 20 ms before its frame comes,
until the output transport is told to drop what it has; if frames of the reply come later still,
until the last of them.

In Pipecat's favour: nothing is on that a call can do without (RTVI, turn tracking, idle timeouts,
metrics, logs); the model that tells whether a turn is over, which is on by default, is replaced by
its timer; recogniser, language model and voice are bare processors, not subclasses of its services,
which do more; input and output are subclasses of its transports, but behind them is nothing, while
our loopbacks keep books of what is heard; all pipelines run before the first is spoken to. A node's
supervision, counters and call records have no counterpart in it, and cost us.

In ours: we fall silent for the time being and go on if nothing is understood; an interruption of
Pipecat's is for good, so it has reason to wait longer, and by default (0.2 s of speech) it does.
`eager` is as quick as its voice detector can be made: one window, whatever its volume. Pipecat has
a model and a thread for each session where we have one for all; it is often run with a process per
session, which spares none of the work counted here but has more cores to do it on. Our node tunes
the interpreter (how often threads take turns); Pipecat does not, so here neither is it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs

from bench.calls import PERIOD, PHRASES, REPLY_WORDS, STT_LATENCY, WARM, Load
from bench.measure import Figure
from bench.peers.environment import PeerUnavailable, python_with

NAME = "Pipecat"
REQUIREMENT = "pipecat-ai[silero]==1.14.0"
SCRIPT = Path(__file__).with_name("pipecat_load.py")
TOO_LATE = 2.0
"""Seconds after which a phrase has interrupted nothing."""
START_SECONDS = 120.0
"""To import it, load the models and start the pipelines; and to end."""


@attrs.frozen
class PeerLoad(Load):
    """What one run of a peer gave."""

    people_ms: float = 0.0
    """Of `cpu_ms`, what those who talk to it cost by themselves, in the same process."""


class Pipecat:
    """Pipecat in an environment of its own, ready to be measured."""

    def __init__(self) -> None:
        """Install it, if need be.

        Raises:
            PeerUnavailable: that was not possible.
        """
        self._python = python_with(NAME, REQUIREMENT)

    def run_load(self, sessions: int, seconds: float, settings: str, core: int = -1) -> PeerLoad:
        """Run the scenario in a process of its own; `lateness_ms` stays empty.

        Args:
            settings: "default" or "eager".
        Raises:
            PeerUnavailable: it failed, or did not end in time.
        """
        scenario = {
            "sessions": sessions,
            "seconds": seconds,
            "warm": WARM,
            "period": PERIOD,
            "reply_words": REPLY_WORDS,
            "stt_latency": STT_LATENCY,
            "settings": settings,
            "core": core,
            "phrases": [str(path) for path in sorted(PHRASES.glob("*.wav"))],
        }
        # -I: neither this folder nor PYTHONPATH is looked into for what it imports.
        command = [str(self._python), "-I", str(SCRIPT), json.dumps(scenario)]
        limit = WARM + seconds + START_SECONDS
        try:
            ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=limit)
        except subprocess.CalledProcessError as failed:
            raise PeerUnavailable(NAME, "failed under load", failed.stderr) from failed
        except subprocess.TimeoutExpired as late:
            said = f"not done after {limit:.0f} s"
            raise PeerUnavailable(NAME, "failed under load", said) from late
        return read_result(ran.stdout.splitlines()[-1])


def read_result(line: str) -> PeerLoad:
    """What a run came to: a delay for each phrase that was said over a reply, or a miss."""
    result = json.loads(line)
    delays, missed = [], 0
    for said, silenced in result["sessions"]:
        for start, over in said:
            if not (over and result["begun"] <= start <= result["ended"] - TOO_LATE):
                continue
            after = [at for at in silenced if start <= at <= start + TOO_LATE]
            if after:
                delays.append(1000 * (after[0] - start))
            else:
                missed += 1
    return PeerLoad(
        sessions=len(result["sessions"]),
        cpu_ms=float(result["cpu_ms"]),
        bargein_ms=tuple(delays),
        lateness_ms=(),
        missed=missed,
        people_ms=float(result["people_ms"]),
    )


def cost(theirs: PeerLoad, ours: Load) -> Figure:
    """Its processor time beside ours: above 1, we are cheaper."""
    name = f"peer_pipecat_cpu_ms_per_session_second_{theirs.sessions}"
    note = f"of it the people who talk {theirs.people_ms:.2f} ms"
    return Figure(name, theirs.cpu_ms, "ms", "troupe", ours.cpu_ms, note=note)


def interrupting(theirs: PeerLoad, ours: Load, profile: str = "") -> Iterator[Figure]:
    """How fast it is interrupted, beside us: above 1, we are faster."""
    name = f"peer_pipecat_bargein{profile and '_' + profile}"
    note = f"{len(theirs.bargein_ms)} interruptions, {theirs.missed} not noticed"
    # A busy machine shows in the 95th percentile first, and not always on both sides.
    if hasattr(os, "getloadavg"):
        note += f"; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    yield Figure(f"{name}_p50_{theirs.sessions}", theirs.p50, "ms", "troupe", ours.p50, note=note)
    yield Figure(f"{name}_p95_{theirs.sessions}", theirs.p95, "ms", "troupe", ours.p95)
