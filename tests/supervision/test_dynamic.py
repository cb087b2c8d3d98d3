"""The dynamic supervisor's machine, one rule at a time; test_dynamic_model.py has random runs."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from supervision.dynamic import DynamicSupervision
from supervision.messages import KILLED, NORMAL, SHUTDOWN, ExitReason, How
from supervision.resilience import Backoff
from supervision.restart import Exit
from supervision.spec import Exhausted, Restart
from tests.supervision.test_restart import CRASHED, ESCALATED, FullDelay, brief, spec


def with_children(*names: str, restart: Restart = Restart.PERMANENT, **flags: Any) -> Any:
    """A machine whose children all run."""
    machine = DynamicSupervision(rng=FullDelay(), **flags)
    for name in names:
        machine.add(spec(name, restart), f"add {name}", 0.0)
        machine.started(name, 0.0)
    return machine


def test_children_start_side_by_side() -> None:
    machine = with_children()
    assert brief(machine.add(spec("a"), "1", 0.0)) == "+a"
    assert brief(machine.add(spec("b"), "2", 0.0)) == "+b"
    assert brief(machine.started("b", 0.0)) == "=2"
    assert brief(machine.started("a", 0.0)) == "=1"


def test_each_child_has_an_intensity_of_its_own() -> None:
    """Four unrelated calls that crash must not end all calls."""
    machine = with_children(*"abcde", intensity=1, period=5.0)
    for name in "abcde":
        assert brief(machine.ended(name, CRASHED, 1.0)) == f"+{name}"
        machine.started(name, 1.0)
    assert brief(machine.ended("a", CRASHED, 2.0)) == "~a"
    assert sorted(machine.children) == ["b", "c", "d", "e"]
    assert brief(machine.ended("b", CRASHED, 6.001)) == "+b"


def test_a_child_that_is_exhausted_may_take_the_supervisor_along() -> None:
    machine = with_children("a", "b", "c", intensity=0, exhausted=Exhausted.ESCALATE)
    assert brief(machine.ended("b", CRASHED, 1.0)) == "~b -a -c"
    assert brief(machine.ended("c", SHUTDOWN, 1.0)) == "~c"
    gone, last = machine.ended("a", SHUTDOWN, 1.0)
    assert brief([gone]) == "~a"
    assert isinstance(last, Exit)
    assert last.reason.how is How.SHUTDOWN
    assert last.reason.error is CRASHED.error
    assert last.reason.report == "crash-7"


@pytest.mark.parametrize("exhausted", Exhausted)
def test_an_escalation_fails_the_supervisor_in_any_case(exhausted: Exhausted) -> None:
    machine = with_children("a", restart=Restart.TEMPORARY, exhausted=exhausted)
    assert brief(machine.ended("a", ESCALATED, 1.0)) == "~a exit(crashed)"


def test_an_escalation_while_starting_again_fails_the_supervisor_too() -> None:
    machine = with_children("a")
    machine.ended("a", CRASHED, 1.0)
    assert brief(machine.start_failed("a", ESCALATED, 1.0)) == "~a exit(crashed)"


def test_a_child_that_never_started_concerns_only_who_asked_for_it() -> None:
    machine = with_children("b", intensity=0, exhausted=Exhausted.ESCALATE)
    machine.add(spec("a"), "1", 0.0)
    assert brief(machine.start_failed("a", ESCALATED, 0.0)) == "?1 ~a"
    assert machine.exited is None


@pytest.mark.parametrize(
    ("restart", "reason", "back"),
    [
        (Restart.PERMANENT, NORMAL, True),
        (Restart.PERMANENT, CRASHED, True),
        (Restart.TRANSIENT, NORMAL, False),
        (Restart.TRANSIENT, SHUTDOWN, False),
        (Restart.TRANSIENT, CRASHED, True),
        (Restart.TRANSIENT, KILLED, True),
        (Restart.TEMPORARY, CRASHED, False),
    ],
)
def test_who_comes_back(restart: Restart, reason: ExitReason, back: bool) -> None:
    machine = with_children("a", restart=restart)
    assert brief(machine.ended("a", reason, 1.0)) == ("+a" if back else "~a")


def test_a_failing_restart_is_tried_again_and_counts() -> None:
    machine = with_children("a", intensity=2)
    assert brief(machine.ended("a", CRASHED, 1.0)) == "+a"
    assert brief(machine.start_failed("a", CRASHED, 1.0)) == "+a"
    assert brief(machine.start_failed("a", CRASHED, 1.0)) == "~a"


def test_more_children_than_allowed_are_refused_until_one_is_gone() -> None:
    machine = with_children("a", "b", restart=Restart.TEMPORARY, max_children=2)
    (refused,) = machine.add(spec("c"), "t", 0.0)
    assert refused.problem == "there already are 2 children, the limit"
    machine.ended("a", NORMAL, 1.0)
    assert brief(machine.add(spec("c"), "t", 1.0)) == "+c"


def test_a_child_in_its_back_off_still_takes_its_place() -> None:
    machine = with_children(max_children=1)
    machine.add(spec("a", backoff=Backoff(base=1.0)), "1", 0.0)
    machine.started("a", 0.0)
    machine.ended("a", CRASHED, 0.0)
    assert brief(machine.add(spec("b"), "2", 0.5)) == "?2"
    assert machine.deadline == 1.0
    assert brief(machine.time_passed(1.0)) == "+a"
    assert machine.deadline == inf


def test_all_are_stopped_together() -> None:
    machine = with_children("a", "b", "c")
    machine.add(spec("d", backoff=Backoff(base=1.0)), "d", 0.0)
    machine.started("d", 0.0)
    machine.ended("d", CRASHED, 0.0)
    machine.add(spec("e"), "e", 0.0)
    assert brief(machine.shut_down(0.5)) == "-a -b -c ~d -e"
    assert machine.deadline == inf
    for name in "bca":
        assert brief(machine.ended(name, SHUTDOWN, 1.0)) == f"~{name}"
    assert brief(machine.start_failed("e", SHUTDOWN, 1.0)) == "?e ~e exit(shutdown)"


def test_a_kill_forgets_those_that_wait() -> None:
    machine = with_children("a")
    machine.add(spec("d", backoff=Backoff(base=1.0)), "d", 0.0)
    machine.started("d", 0.0)
    machine.ended("d", CRASHED, 0.0)
    machine.shut_down(0.0)
    assert brief(machine.kill(0.0)) == "!a"
    assert brief(machine.ended("a", KILLED, 0.0)) == "~a exit(killed)"


def test_a_restart_by_hand_is_answered_when_the_child_runs_again() -> None:
    machine = with_children("a", restart=Restart.TEMPORARY, intensity=0)
    assert brief(machine.restart("a", "r", 1.0)) == "-a"
    assert brief(machine.restart("a", "s", 1.0)) == ""
    assert brief(machine.ended("a", SHUTDOWN, 1.0)) == "+a"
    assert brief(machine.started("a", 1.0)) == "=r =s"


def test_a_restart_by_hand_that_fails_is_refused() -> None:
    machine = with_children("a", restart=Restart.TEMPORARY)
    machine.restart("a", "r", 1.0)
    machine.ended("a", SHUTDOWN, 1.0)
    assert brief(machine.start_failed("a", CRASHED, 1.0)) == "?r ~a"
    machine = with_children("a")
    machine.restart("a", "r", 1.0)
    machine.ended("a", SHUTDOWN, 1.0)
    assert brief(machine.start_failed("a", CRASHED, 1.0)) == "?r +a"


def test_the_last_word_of_people_holds() -> None:
    machine = with_children("a")
    machine.restart("a", "r", 1.0)
    machine.terminate("a", "t", 1.0)
    assert brief(machine.restart("a", "s", 1.0)) == "?s"
    assert brief(machine.ended("a", SHUTDOWN, 1.0)) == "?r ~a =t"


def test_a_wait_that_people_ended_does_not_start_the_child_again() -> None:
    machine = with_children()
    machine.add(spec("a", backoff=Backoff(base=5.0)), "a", 0.0)
    machine.started("a", 0.0)
    machine.ended("a", CRASHED, 0.0)
    assert brief(machine.restart("a", "r", 1.0)) == "+a"
    assert brief(machine.started("a", 1.0)) == "=r"
    assert brief(machine.time_passed(5.0)) == ""


def test_a_child_that_was_up_for_a_quiet_time_is_forgiven() -> None:
    machine = with_children()
    machine.add(spec("a", backoff=Backoff(base=1.0, factor=10.0, quiet=20.0)), "a", 0.0)
    machine.started("a", 0.0)
    for at, due in [(0.0, 1.0), (10.0, 20.0), (39.0, 69.0), (89.0, 90.0)]:
        machine.ended("a", CRASHED, at)
        assert machine.deadline == due
        assert brief(machine.time_passed(due)) == "+a"
        machine.started("a", due)
