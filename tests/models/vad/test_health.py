"""When an engine is used, left alone and tried again."""

from __future__ import annotations

from math import inf

from models.vad.health import EngineHealth, Health


def well() -> EngineHealth:
    health = EngineHealth(failures=3, rest=60)
    health.runs()
    return health


def test_an_engine_is_used_once_it_has_proved_to_run() -> None:
    health = EngineHealth(failures=3, rest=60)
    assert health.state is Health.CHECKING
    health.runs()
    assert (health.state, health.reason, health.deadline) == (Health.WELL, "", inf)


def test_one_that_cannot_run_rests_and_is_checked_again() -> None:
    health = EngineHealth(failures=3, rest=60)
    health.does_not_run("no file", at=10)
    assert (health.state, health.reason, health.deadline) == (Health.RESTING, "no file", 70)
    assert not health.time_passed(69.9)
    assert health.time_passed(70)
    assert not health.time_passed(71), "one check at a time"
    assert health.state is Health.RESTING, "until it has answered"
    health.does_not_run("no file", at=72)
    assert health.deadline == 132


def test_failures_in_a_row_are_too_many_and_others_are_not() -> None:
    health = well()
    for at in range(20):
        health.failed("crash", at)
        health.failed("crash", at)
        health.worked()
    assert health.state is Health.WELL
    for at in range(3):
        health.failed("crash", at)
    assert (health.state, health.deadline) == (Health.RESTING, 62)


def test_after_a_rest_failures_are_counted_from_the_start() -> None:
    health = well()
    for _ in range(3):
        health.failed("crash", 0)
    assert health.time_passed(60)
    health.runs()
    health.failed("crash", 61)
    assert health.state is Health.WELL
