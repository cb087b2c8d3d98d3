"""The account of a turn's latency: it always adds up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.turn_clock import Stage, TurnClock

ORDER = list(Stage)


def clock_of(*moments: tuple[Stage, float], ended: float = 10.0) -> TurnClock:
    clock = TurnClock(1, ended)
    for stage, at in moments:
        clock.reached(stage, at)
    return clock


def test_each_part_is_the_time_since_the_one_before() -> None:
    times = [10.25, 10.3, 10.8, 10.9, 11.1, 11.15]
    latency = clock_of(*zip(ORDER, times, strict=True)).latency()
    assert [round(part, 6) for part in latency.parts.values()] == [0.25, 0.05, 0.5, 0.1, 0.2, 0.05]
    assert list(latency.parts) == [stage.value for stage in ORDER]
    assert latency.total == pytest.approx(1.15)


def test_a_thought_begun_early_took_no_time_of_its_own() -> None:
    clock = clock_of(
        (Stage.LLM, 9.9), (Stage.END_OF_TURN, 10.25), (Stage.TEXT, 10.3), (Stage.PLAYOUT, 10.5)
    )
    parts = clock.latency().parts
    assert parts["llm"] == parts["history"] == parts["tts"] == 0.0
    assert parts["text"] == pytest.approx(0.05)
    assert parts["playout"] == pytest.approx(0.2)


def test_only_the_first_sound_counts() -> None:
    clock = clock_of((Stage.PLAYOUT, 10.5))
    assert clock.complete
    clock.reached(Stage.PLAYOUT, 12.0)
    clock.reached(Stage.TTS, 12.0)  # of a later piece
    assert clock.latency().total == pytest.approx(0.5)


def test_overlaps_are_told_beside_the_parts() -> None:
    clock = clock_of((Stage.END_OF_TURN, 10.5))
    assert clock.latency().transcript is None
    clock.transcript_at = 10.2
    assert clock.latency().transcript == pytest.approx(0.2)
    clock.transcript_at = 9.0  # it was there before the speech had ended
    assert clock.latency().transcript == 0.0


def test_an_account_without_events_is_empty() -> None:
    clock = clock_of()
    assert not clock.complete
    assert clock.latency().total == sum(clock.latency().parts.values()) == 0.0


@given(
    st.lists(st.tuples(st.sampled_from(ORDER), st.floats(-10, 100)), max_size=12),
    st.sampled_from([0.0, 1e5, 1e9]),
)
def test_parts_are_never_negative_and_add_up_to_the_wall_clock(
    moments: list[tuple[Stage, float]], start: float
) -> None:
    """V8, whatever came in whatever order."""
    clock = TurnClock(1, start)
    first: dict[Stage, float] = {}
    for stage, after in moments:
        clock.reached(stage, start + after)
        first.setdefault(stage, start + after)
    latency = clock.latency()
    assert all(part >= 0 for part in latency.parts.values())
    assert len(latency.parts) == len(ORDER)
    assert sum(latency.parts.values()) == pytest.approx(latency.total, abs=1e-3)
    if Stage.PLAYOUT in first:
        wall = max(0.0, first[Stage.PLAYOUT] - start)
        assert latency.total == pytest.approx(wall, abs=1e-3)
