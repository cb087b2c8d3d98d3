"""Real supervisors against Erlang/OTP 25: the 300 scenarios, each under ten scheduler seeds.

What test_oracle.py asks of the pure machine, asked of running actors: they write down their own
starts and stops, and the order must be that of the real supervisor, whatever order the scheduler
takes the ready actors in.
"""

from __future__ import annotations

from functools import partial

import attrs
import pytest

from supervision import Actor, ChildSpec, Restart, Supervisor, handles
from supervision.messages import NORMAL, SHUTDOWN, ExitReason
from supervision.testing import SystemUnderTest, simulate
from tests.supervision.test_oracle import NAMES, SCENARIOS, Scenario, Trace

SEEDS = range(10)


class Boom(Exception):
    pass


@attrs.frozen
class End:
    how: str


class Member(Actor[End]):
    """A child that writes down when it starts and how it ends."""

    def __init__(self, name: str, trace: Trace) -> None:
        super().__init__()
        self.name = name
        self.trace = trace
        self.ending = "shutdown"  # unless it ends by itself

    def on_start(self) -> None:
        self.trace.append(["start", self.name])

    @handles
    def on_end(self, message: End) -> None:
        self.ending = message.how
        if message.how == "boom":
            raise Boom
        self.stop(NORMAL if message.how == "normal" else SHUTDOWN)

    def on_stop(self) -> None:
        self.trace.append(["stop", self.name, self.ending])

    def on_failure(self, *_: object) -> None:
        self.trace.append(["stop", self.name, "boom"])


async def play(scenario: Scenario, system: SystemUnderTest) -> Trace:
    """Run a scenario; what happened."""
    system.expect_crash("/sup/*", Boom)
    trace: Trace = []
    members = [
        ChildSpec(name, partial(Member, name, trace), restart, significant=significant)
        for name, restart, significant in scenario.children
    ]
    supervisor = await system.spawn(
        Supervisor,
        members,
        scenario.strategy,
        intensity=scenario.intensity,
        period=scenario.period,
        auto_shutdown=scenario.auto_shutdown,
        path="/sup",
        restart=Restart.TEMPORARY,
    )

    def ended(reason: ExitReason) -> None:
        trace.append(["sup", NAMES[reason.how]])

    supervisor.on_gone(ended)
    for name, how in scenario.script:
        if not supervisor.alive:
            break
        member = system.find(f"/sup/{name}")
        if member is None:
            trace.append(["op_no_child", name])
        else:
            trace.append(["op", name, how])
            member.tell(End(how))
        await system.settle()
    if supervisor.alive:
        await system.stop("/sup")
    return trace


@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_supervisors_do_what_otps_did(number: int) -> None:
    scenario = SCENARIOS[number]
    for seed in SEEDS:
        simulation = simulate(partial(play, scenario), seed)
        assert simulation.result == scenario.trace, f"under seed {seed}"
