"""The quiet of a room, as a machine."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from actors.machines.room.quiet import Quiet


def test_nobody_waits_and_nothing_is_due() -> None:
    quiet: Quiet[str] = Quiet()
    assert quiet.deadline == inf
    assert quiet.passed(100.0) == []


def test_quiet_counts_from_when_it_was_asked_for() -> None:
    quiet: Quiet[str] = Quiet()
    quiet.wait("a", 1.0, 15.0, at=10.0)
    assert quiet.deadline == 11.0
    assert quiet.passed(10.9) == []
    assert quiet.passed(11.0) == [("a", True)]
    assert quiet.deadline == inf


def test_what_goes_on_meanwhile_has_it_count_anew() -> None:
    quiet: Quiet[str] = Quiet()
    quiet.wait("a", 1.0, 15.0, at=10.0)
    quiet.is_now(True, 10.5)
    assert quiet.deadline == 25.0
    quiet.is_now(False, 12.0)
    assert quiet.deadline == 13.0
    assert quiet.passed(13.0) == [("a", True)]


def test_it_does_not_wait_for_ever() -> None:
    quiet: Quiet[str] = Quiet(busy=True)
    quiet.wait("a", 1.0, 15.0, at=10.0)
    assert quiet.passed(25.0) == [("a", False)]


@given(
    st.lists(st.tuples(st.floats(0.01, 3.0), st.booleans()), max_size=30),
    st.floats(0.0, 3.0),
    st.floats(0.1, 20.0),
)
def test_everybody_is_told_in_time_and_rightly(
    changes: list[tuple[float, bool]], buffer: float, timeout: float
) -> None:
    quiet: Quiet[str] = Quiet()
    quiet.wait("a", buffer, timeout, at=0.0)
    at, last_noise, told = 0.0, 0.0, None
    for after, busy in [*changes, (100.0, False)]:
        while told is None and quiet.deadline <= at + after:
            moment = max(at, quiet.deadline)
            ((_, is_quiet),) = quiet.passed(moment)
            told = moment
            assert moment <= timeout + 1e-9
            assert is_quiet == (not quiet.busy and last_noise + buffer <= moment)
        at += after
        if quiet.busy:
            last_noise = at
        quiet.is_now(busy, at)
    assert told is not None
