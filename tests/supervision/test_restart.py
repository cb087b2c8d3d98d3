"""The static supervisor's machine, one rule at a time: what goes in, what comes out.

What random runs find too seldom stands here by name; test_restart_model.py has the random runs,
test_oracle.py the recorded ones of the real OTP.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.messages import KILLED, NORMAL, SHUTDOWN, ExitReason, How
from supervision.resilience import Backoff
from supervision.restart import (
    Action,
    Exit,
    Gone,
    RestartWindow,
    Settled,
    Start,
    Stop,
    Supervision,
    children_to_restart,
)
from supervision.spec import AutoShutdown, ChildSpec, Restart, Strategy

CRASHED = ExitReason(How.CRASHED, ValueError("boom"), "crash-7")
ESCALATED = ExitReason(How.ESCALATED, ValueError("hopeless"), "crash-8")


class FullDelay(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def never() -> Any:
    raise AssertionError("a pure machine starts nothing")


def spec(name: str, restart: Restart = Restart.PERMANENT, **more: Any) -> ChildSpec[Any]:
    return ChildSpec(name, never, restart, **more)


def booted(*specs: ChildSpec[Any], **flags: Any) -> Supervision:
    """A machine whose children all run."""
    machine = Supervision(rng=FullDelay(), **flags)
    machine.boot(specs, 0.0)
    for child in specs:
        machine.started(child.id, 0.0)
    assert all(child.running for child in machine.children.values())
    return machine


def brief(actions: Sequence[Action]) -> str:
    """Actions on a line: +start -stop !brutal stop ~gone =settled ?refused and the exit."""
    words = []
    for action in actions:
        match action:
            case Start(child):
                words.append(f"+{child}")
            case Stop(child, brutal):
                words.append(f"!{child}" if brutal else f"-{child}")
            case Gone(child):
                words.append(f"~{child}")
            case Settled(ticket, problem):
                words.append(f"?{ticket}" if problem else f"={ticket}")
            case Exit(reason):
                words.append(f"exit({reason.how.value})")
    return " ".join(words)


# -- intensity ---------------------------------------------------------------------------


def test_exactly_as_many_restarts_as_the_intensity_are_forgiven() -> None:
    window = RestartWindow(3, 5.0)
    assert [window.restarted(at) for at in (0.0, 1.0, 2.0)] == [True] * 3
    assert not window.restarted(3.0)


def test_an_intensity_of_none_forgives_none() -> None:
    assert not RestartWindow(0, 5.0).restarted(0.0)


def test_a_restart_as_old_as_the_period_still_counts_and_an_older_one_does_not() -> None:
    window = RestartWindow(1, 5.0)
    assert window.restarted(0.0)
    assert not window.restarted(5.0)
    window = RestartWindow(1, 5.0)
    assert window.restarted(0.0)
    assert window.restarted(5.001)


@given(
    st.integers(0, 5),
    st.floats(0.1, 10),
    st.lists(st.floats(0, 5), max_size=40),
)
def test_the_window_counts_what_lies_within_the_period(
    intensity: int, period: float, gaps: list[float]
) -> None:
    window = RestartWindow(intensity, period)
    times: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        times.append(now)
        within = [at for at in times if now - at <= period]
        assert window.restarted(now) == (len(within) <= intensity)


def test_giving_up_tells_the_fault_and_its_report() -> None:
    machine = booted(spec("a"), spec("b"), intensity=0)
    assert brief(machine.ended("a", CRASHED, 1.0)) == "-b"
    (last,) = machine.ended("b", SHUTDOWN, 1.0)
    assert last == Exit(ExitReason(How.SHUTDOWN, CRASHED.error, "crash-7"))
    assert isinstance(last, Exit)
    assert (last.reason.error, last.reason.report) == (CRASHED.error, "crash-7")


# -- who is restarted --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "group"),
    [
        (Strategy.ONE_FOR_ONE, ["b"]),
        (Strategy.REST_FOR_ONE, ["b", "c"]),
        (Strategy.ONE_FOR_ALL, ["a", "b", "c"]),
    ],
)
def test_the_strategies(strategy: Strategy, group: list[str]) -> None:
    assert children_to_restart(strategy, "b", ["a", "b", "c"]) == group


def test_an_ended_sibling_comes_back_with_its_group() -> None:
    """As in OTP: a transient child whose work is done is started again by one_for_all."""
    machine = booted(spec("a"), spec("t", Restart.TRANSIENT), strategy=Strategy.ONE_FOR_ALL)
    assert brief(machine.ended("t", NORMAL, 1.0)) == "~t"
    assert brief(machine.ended("a", CRASHED, 2.0)) == "+a"
    assert brief(machine.started("a", 2.0)) == "+t"


def test_a_temporary_sibling_does_not_come_back_with_its_group() -> None:
    machine = booted(spec("t", Restart.TEMPORARY), spec("a"), strategy=Strategy.ONE_FOR_ALL)
    assert brief(machine.ended("a", CRASHED, 1.0)) == "-t"
    assert brief(machine.ended("t", SHUTDOWN, 1.0)) == "~t +a"
    assert list(machine.children) == ["a"]


def test_an_end_that_waits_is_taken_for_the_stop_that_was_coming() -> None:
    machine = booted(spec("a"), spec("b"), spec("c"), strategy=Strategy.ONE_FOR_ALL, intensity=1)
    assert brief(machine.ended("a", CRASHED, 1.0)) == "-c"
    assert brief(machine.ended("b", CRASHED, 1.0)) == ""
    assert brief(machine.ended("c", SHUTDOWN, 1.0)) == "+a"
    assert brief(machine.started("a", 1.0)) == "+b"
    assert brief(machine.started("b", 1.0)) == "+c"
    assert brief(machine.started("c", 1.0)) == ""  # and b's end counts no second time
    assert machine.exited is None


def test_an_old_end_says_nothing_of_a_newer_one() -> None:
    """b's first end was dealt with by the group; what waits in its place must not be acted on."""
    machine = booted(
        spec("a"), spec("b", Restart.TRANSIENT), spec("c"), strategy=Strategy.ONE_FOR_ALL
    )
    machine.ended("a", CRASHED, 1.0)  # c is being stopped
    machine.ended("b", CRASHED, 1.0)  # waits
    machine.ended("c", SHUTDOWN, 1.0)
    machine.started("a", 1.0)  # b is asked to start
    machine.started("b", 1.0)  # c is asked to start
    machine.ended("b", NORMAL, 1.0)  # waits, behind its first end
    assert brief(machine.started("c", 1.0)) == "~b"


def test_a_retry_is_behind_what_has_happened_since() -> None:
    machine = booted(spec("a"), spec("b"), intensity=10)
    assert brief(machine.ended("a", CRASHED, 1.0)) == "+a"
    machine.ended("b", CRASHED, 1.0)
    assert brief(machine.start_failed("a", CRASHED, 1.0)) == "+b"
    assert brief(machine.started("b", 1.0)) == "+a"


def test_a_stop_answers_a_retry_too() -> None:
    machine = booted(spec("a"), spec("b"), intensity=10)
    machine.ended("a", CRASHED, 1.0)
    machine.terminate("a", "t", 1.0)
    assert brief(machine.start_failed("a", CRASHED, 1.0)) == "~a =t"
    assert brief(machine.ended("b", CRASHED, 1.0)) == "+b"


# -- ends of the supervisor --------------------------------------------------------------


@pytest.mark.parametrize("when", ["running", "starting again"])
def test_an_escalation_fails_the_supervisor(when: str) -> None:
    machine = booted(spec("a"), spec("b"))
    if when == "running":
        actions = machine.ended("b", ESCALATED, 1.0)
    else:
        machine.ended("b", CRASHED, 1.0)
        actions = machine.start_failed("b", ESCALATED, 1.0)
    assert brief(actions) == "-a"
    assert brief(machine.ended("a", SHUTDOWN, 1.0)) == "exit(crashed)"
    assert machine.exited is not None
    assert machine.exited.error is ESCALATED.error


def test_a_boot_that_fails_stops_what_has_started() -> None:
    machine = Supervision()
    assert brief(machine.boot([spec("a"), spec("b"), spec("c")], 0.0)) == "+a"
    assert brief(machine.started("a", 0.0)) == "+b"
    assert brief(machine.start_failed("b", CRASHED, 0.0)) == "-a"
    assert brief(machine.ended("a", SHUTDOWN, 0.0)) == "exit(crashed)"


def test_a_boot_says_when_it_is_done() -> None:
    machine = Supervision()
    assert brief(machine.boot([], 0.0)) == "=boot"
    machine = Supervision()
    machine.boot([spec("a")], 0.0)
    assert brief(machine.started("a", 0.0)) == "=boot"


def test_a_boot_that_is_interrupted_never_says_so() -> None:
    machine = Supervision()
    machine.boot([spec("a"), spec("b")], 0.0)
    assert brief(machine.shut_down(0.0)) == "-a"
    assert brief(machine.started("a", 0.0)) == ""  # it has been told
    assert brief(machine.ended("a", SHUTDOWN, 0.0)) == "exit(shutdown)"


def test_a_shutdown_while_a_group_is_stopped_goes_on_from_there() -> None:
    machine = booted(spec("a"), spec("b"), spec("c"), strategy=Strategy.ONE_FOR_ALL)
    assert brief(machine.ended("b", CRASHED, 1.0)) == "-c"
    assert brief(machine.shut_down(1.0)) == ""
    assert brief(machine.ended("c", SHUTDOWN, 1.0)) == "-a"
    assert brief(machine.ended("a", SHUTDOWN, 1.0)) == "exit(shutdown)"


def test_a_kill_tells_all_at_once() -> None:
    machine = booted(spec("a"), spec("b"), spec("c"))
    assert brief(machine.shut_down(1.0)) == "-c"
    assert brief(machine.kill(1.0)) == "!c !b !a"
    assert brief(machine.kill(1.0)) == ""
    assert brief(machine.ended("a", KILLED, 1.0)) == ""
    assert brief(machine.ended("c", KILLED, 1.0)) == ""
    assert brief(machine.ended("b", KILLED, 1.0)) == "exit(killed)"


def test_nothing_follows_an_exit_but_refusals() -> None:
    machine = booted()
    assert brief(machine.shut_down(0.0)) == "exit(shutdown)"
    assert brief(machine.shut_down(0.0)) == brief(machine.kill(0.0)) == ""
    assert brief(machine.add(spec("a"), "t", 0.0)) == "?t"
    assert machine.time_passed(1.0) == []


# -- significant children ----------------------------------------------------------------


def test_a_significant_sibling_whose_end_waits_is_not_over_yet() -> None:
    machine = booted(
        spec("s", Restart.TRANSIENT, significant=True),
        spec("t", Restart.TRANSIENT, significant=True),
        spec("z"),
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
    )
    machine.terminate("z", "z", 1.0)
    machine.ended("s", NORMAL, 1.0)
    machine.ended("t", CRASHED, 1.0)
    assert brief(machine.ended("z", SHUTDOWN, 1.0)) == "~z =z ~s +t"


def test_a_significant_sibling_in_its_back_off_is_not_over_yet() -> None:
    machine = booted(
        spec("s", Restart.TRANSIENT, significant=True),
        spec("t", Restart.TRANSIENT, significant=True, backoff=Backoff(base=1.0)),
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
    )
    machine.ended("t", CRASHED, 1.0)
    assert brief(machine.ended("s", NORMAL, 1.0)) == "~s"
    assert brief(machine.time_passed(2.0)) == "+t"
    machine.started("t", 2.0)
    assert brief(machine.ended("t", NORMAL, 3.0)) == "~t exit(shutdown)"


# -- back-off ----------------------------------------------------------------------------

BACKOFF = Backoff(base=1.0, factor=2.0, maximum=8.0, quiet=60.0)


def test_the_deadline_is_when_the_first_restart_is_due() -> None:
    machine = booted(spec("a", backoff=BACKOFF), spec("b", backoff=Backoff(base=5.0)))
    assert machine.deadline == inf
    machine.ended("b", CRASHED, 0.0)
    assert machine.deadline == 5.0
    machine.ended("a", CRASHED, 0.5)
    assert machine.deadline == 1.5
    assert machine.time_passed(1.499) == []
    assert brief(machine.time_passed(1.5)) == "+a"
    assert machine.deadline == inf  # one thing at a time: nobody needs to call while a starts
    machine.started("a", 1.6)
    assert machine.deadline == 5.0


def test_restarts_that_became_due_while_it_was_busy_follow_at_once() -> None:
    machine = booted(spec("a", backoff=BACKOFF), spec("b", backoff=BACKOFF), spec("c"))
    machine.ended("a", CRASHED, 0.0)
    machine.ended("b", CRASHED, 0.0)
    machine.ended("c", CRASHED, 0.5)  # c is asked to start, slowly
    assert machine.time_passed(1.0) == []
    assert brief(machine.started("c", 3.0)) == "+a"
    assert brief(machine.started("a", 3.0)) == "+b"


def test_a_group_that_waits_is_started_in_order_and_as_one() -> None:
    machine = booted(
        spec("a"), spec("b", backoff=BACKOFF), spec("c"), strategy=Strategy.REST_FOR_ONE
    )
    machine.ended("b", CRASHED, 0.0)
    assert brief(machine.ended("c", SHUTDOWN, 0.0)) == ""
    assert brief(machine.time_passed(1.0)) == "+b"
    assert brief(machine.start_failed("b", CRASHED, 1.0)) == ""  # c is not started alone
    assert machine.deadline == 3.0


def test_a_failed_start_of_one_does_not_delay_another_that_is_due() -> None:
    machine = booted(spec("a", backoff=BACKOFF), spec("b", backoff=BACKOFF))
    machine.ended("a", CRASHED, 0.0)
    machine.ended("b", CRASHED, 0.0)
    assert brief(machine.time_passed(1.0)) == "+a"
    assert brief(machine.start_failed("a", CRASHED, 1.0)) == "+b"


def test_a_restart_that_waits_its_turn_is_not_started_before_its_group() -> None:
    """c is due while b's end is being dealt with: it comes with b's group, not before it."""
    machine = booted(
        spec("a"),
        spec("b", backoff=Backoff(base=10.0)),
        spec("c", backoff=BACKOFF),
        spec("d"),
        strategy=Strategy.REST_FOR_ONE,
    )
    assert brief(machine.ended("c", CRASHED, 0.0)) == "-d"
    machine.ended("d", SHUTDOWN, 0.0)
    machine.add(spec("e"), "e", 0.0)
    machine.started("e", 0.0)
    assert brief(machine.ended("b", CRASHED, 0.5)) == "-e"
    assert machine.time_passed(1.0) == []
    assert brief(machine.ended("e", SHUTDOWN, 1.5)) == ""
    assert machine.deadline == 10.5
    assert brief(machine.time_passed(10.5)) == "+b"


def test_a_child_is_quiet_while_it_is_up_and_only_then() -> None:
    backoff = Backoff(base=1.0, factor=10.0, maximum=1000.0, quiet=5.0)
    machine = booted(spec("a", backoff=backoff))
    machine.ended("a", CRASHED, 0.0)
    assert machine.deadline == 1.0
    machine.time_passed(1.0)
    machine.start_failed("a", CRASHED, 100.0)  # it took long to fail, and was never up
    assert machine.deadline == 110.0
    machine.time_passed(110.0)
    machine.started("a", 150.0)
    machine.ended("a", CRASHED, 154.0)  # up for four seconds
    assert machine.deadline == 254.0
    machine.time_passed(254.0)
    machine.started("a", 254.0)
    machine.ended("a", CRASHED, 259.0)  # up for five
    assert machine.deadline == 260.0


def test_restarts_with_a_wait_count_for_nothing_and_those_without_do() -> None:
    machine = booted(spec("a", backoff=BACKOFF), spec("b"), spec("c", backoff=Backoff(base=0.0)))
    for at in range(10):
        machine.ended("a", CRASHED, at * 100.0)
        machine.time_passed(at * 100.0 + 50.0)
        machine.started("a", at * 100.0 + 50.0)
    assert machine.exited is None
    for name in ["b", "c", "c"]:
        assert brief(machine.ended(name, CRASHED, 1000.0)) == f"+{name}"
        machine.started(name, 1000.0)
    assert brief(machine.ended("c", CRASHED, 1000.0)) == "-b"  # from last to first: c is down


# -- requests ----------------------------------------------------------------------------


def test_a_child_that_cannot_be_added_is_forgotten_and_refused_once() -> None:
    machine = booted()
    assert brief(machine.add(spec("a"), "t", 0.0)) == "+a"
    assert machine.start_failed("a", CRASHED, 0.0) == [
        Settled("t", "it failed to start: crashed: ValueError", CRASHED.error),
        Gone("a", CRASHED),
    ]
    assert machine.children == {}


def test_an_operators_restart_keeps_a_temporary_child() -> None:
    machine = booted(spec("t", Restart.TEMPORARY))
    assert brief(machine.restart("t", "r", 0.0)) == "-t"
    assert brief(machine.ended("t", SHUTDOWN, 0.0)) == "+t"
    assert brief(machine.started("t", 0.0)) == "=r"


def test_an_operators_restart_of_a_temporary_child_that_fails_is_its_end() -> None:
    machine = booted(spec("t", Restart.TEMPORARY))
    machine.restart("t", "r", 0.0)
    machine.ended("t", SHUTDOWN, 0.0)
    assert brief(machine.start_failed("t", CRASHED, 0.0)) == "?r ~t"
    assert machine.children == {}


def test_a_child_that_will_be_tried_again_cannot_be_deleted() -> None:
    machine = booted(spec("a"))
    machine.ended("a", CRASHED, 0.0)
    machine.delete("a", "d", 0.0)
    assert brief(machine.start_failed("a", CRASHED, 0.0)) == "?d +a"


def test_all_that_waits_is_refused_when_the_supervisor_ends() -> None:
    machine = booted(spec("a"), spec("b"))
    assert brief(machine.restart("a", "r", 0.0)) == "-a"
    for request in (machine.terminate, machine.delete):
        assert request("b", request.__name__, 0.0) == []
    assert machine.add(spec("c"), "add", 0.0) == []
    assert brief(machine.shut_down(0.0)) == "?r ?terminate ?delete ?add"
    assert brief(machine.ended("a", SHUTDOWN, 0.0)) == "-b"
    assert brief(machine.ended("b", SHUTDOWN, 0.0)) == "exit(shutdown)"


def test_reports_of_children_it_does_not_know_are_ignored() -> None:
    machine = booted(spec("a"))
    assert machine.started("x", 0.0) == ()
    assert machine.start_failed("x", CRASHED, 0.0) == ()
    assert machine.ended("x", CRASHED, 0.0) == ()
