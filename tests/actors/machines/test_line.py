"""A leg's line: wires come and go."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.line import Line, LineState


def test_a_line_waits_for_its_first_wire_no_longer_than_for_a_lost_one() -> None:
    line = Line(away_max=20.0)
    line.began(5.0)
    assert not line.time_passed(24.9)
    assert line.time_passed(25.0)
    assert line.state is LineState.GONE
    assert line.attached() is None


def test_a_lost_line_comes_back_with_another_wire() -> None:
    line = Line()
    line.began(0.0)
    assert line.attached() == 1
    assert line.deadline == inf
    assert line.lost(1, 10.0)
    assert (line.state, line.deadline) == (LineState.AWAY, 30.0)
    assert line.attached() == 2
    assert (line.state, line.deadline) == (LineState.ATTACHED, inf)


def test_an_old_wire_s_end_ends_no_new_one() -> None:
    line = Line()
    line.attached()
    line.attached()  # it took over before the first was missed
    assert not line.lost(1, 10.0)
    assert line.state is LineState.ATTACHED
    assert line.lost(2, 11.0)
    assert not line.lost(2, 12.0)
    assert line.deadline == 31.0


def test_hanging_up_is_news_once() -> None:
    line = Line()
    line.attached()
    assert line.hung_up()
    assert not line.hung_up()
    assert not line.lost(1, 1.0)
    assert not line.time_passed(1e9)


def test_a_line_that_is_waited_for_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="away_max"):
        Line(away_max=0.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["attached", "lost", "stale", "hung_up", "wait"]), st.floats(0, 30)
        ),
        max_size=30,
    )
)
def test_a_line_that_nobody_is_on_always_has_a_deadline(steps: list[tuple[str, float]]) -> None:
    line, at = Line(), 0.0
    line.began(at)
    for step, gap in steps:
        until = at + gap
        if line.deadline <= until:
            assert line.time_passed(line.deadline)
            assert line.state is LineState.GONE
        at = until
        wire = line.wire
        match step:
            case "attached":
                number = line.attached()
                assert number in (None, wire + 1)
            case "lost":
                line.lost(line.wire, at)
            case "stale":
                state = line.state
                assert not line.lost(line.wire - 1, at)
                assert line.state is state
            case "hung_up":
                line.hung_up()
            case _:
                pass
        waiting = line.state in (LineState.WAITING, LineState.AWAY)
        assert (line.deadline < inf) == waiting
        assert not line.deadline < at
