"""The pure machine against Erlang/OTP 25: 300 recorded scenarios, reproduced event for event.

`otp_traces.json` holds what OTP's own `supervisor` did, one scenario a line:

- `strategy`, `intensity`, `period_s`, `auto_shutdown`: the supervisor's flags
- `children`: `[id, restart, significant]` in start order
- `script`: `[child, how]` in order: the child ends `normal`, with reason `shutdown`, or crashing
  (`boom`); then the supervisor, if it still lives, is told to shut down
- `trace`: `start id`, `stop id reason`, `op id how` (a step met a living child), `op_no_child id`
  (it did not), `sup reason` (the supervisor ended)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from supervision.messages import NORMAL, SHUTDOWN, ExitReason, How
from supervision.restart import Action, Exit, Settled, Start, Stop, Supervision
from supervision.spec import AutoShutdown, ChildSpec, Restart, Strategy

Trace = list[list[str]]

ENDS = {"normal": NORMAL, "shutdown": SHUTDOWN, "boom": ExitReason(How.CRASHED)}
NAMES = {How.NORMAL: "normal", How.SHUTDOWN: "shutdown", How.CRASHED: "boom"}


@attrs.frozen
class Scenario:
    """One recorded run of the real supervisor."""

    strategy: Strategy
    intensity: int
    period: float
    auto_shutdown: AutoShutdown
    children: Sequence[tuple[str, Restart, bool]]
    script: Sequence[tuple[str, str]]
    trace: Trace

    @classmethod
    def of(cls, record: dict[str, Any]) -> Scenario:
        return cls(
            Strategy(record["strategy"]),
            record["intensity"],
            record["period_s"],
            AutoShutdown(record["auto_shutdown"]),
            [(name, Restart(restart), bool(sig)) for name, restart, sig in record["children"]],
            [(name, how) for name, how in record["script"]],
            record["trace"],
        )


SCENARIOS = [
    Scenario.of(record)
    for record in json.loads((Path(__file__).parent / "otp_traces.json").read_text())
]


def never_called() -> Any:
    raise AssertionError("a pure machine starts nothing")


class Driver:
    """Does at once what the machine decides, and writes down what it does."""

    def __init__(self, scenario: Scenario) -> None:
        self.trace: Trace = []
        self.running: set[str] = set()
        self.machine = Supervision(
            scenario.strategy, scenario.intensity, scenario.period, scenario.auto_shutdown
        )
        specs = [
            ChildSpec(name, never_called, restart, significant=significant)
            for name, restart, significant in scenario.children
        ]
        self.perform(self.machine.boot(specs, 0.0))

    def perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Start(child_id):
                    self.trace.append(["start", child_id])
                    self.running.add(child_id)
                    self.perform(self.machine.started(child_id, 0.0))
                case Stop(child_id):
                    self.ended(child_id, SHUTDOWN)
                case Exit(reason):
                    self.trace.append(["sup", NAMES[reason.how]])
                case Settled(_ticket, problem):
                    assert not problem

    def ended(self, child_id: str, reason: ExitReason) -> None:
        self.trace.append(["stop", child_id, NAMES[reason.how]])
        self.running.remove(child_id)
        self.perform(self.machine.ended(child_id, reason, 0.0))

    def step(self, child_id: str, how: str) -> None:
        if child_id in self.running:
            self.trace.append(["op", child_id, how])
            self.ended(child_id, ENDS[how])
        else:
            self.trace.append(["op_no_child", child_id])


@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_the_machine_does_what_otps_supervisor_did(number: int) -> None:
    scenario = SCENARIOS[number]
    driver = Driver(scenario)
    for child_id, how in scenario.script:
        if driver.machine.exited is None:
            driver.step(child_id, how)
    if driver.machine.exited is None:
        driver.perform(driver.machine.shut_down(0.0))
    assert driver.trace == scenario.trace
    assert not driver.running


def test_the_record_holds_every_kind_of_scenario() -> None:
    assert len(SCENARIOS) == 300
    assert {scenario.strategy for scenario in SCENARIOS} == set(Strategy)
    assert {scenario.auto_shutdown for scenario in SCENARIOS} == set(AutoShutdown)
    assert {scenario.intensity for scenario in SCENARIOS} == {0, 1, 2, 3}
    kinds = {(r, s) for scenario in SCENARIOS for _, r, s in scenario.children}
    assert len(kinds) == 5  # a permanent child cannot be significant
