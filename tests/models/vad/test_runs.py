"""Runs of one level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vad.levels import Level
from models.vad.runs import Run, level_of


@pytest.mark.parametrize(
    ("probability", "level"),
    [
        (0.0, Level.LOW),
        (0.3499, Level.LOW),
        (0.35, Level.BETWEEN),
        (0.4999, Level.BETWEEN),
        (0.5, Level.HIGH),
        (1.0, Level.HIGH),
    ],
)
def test_a_level_is_a_probability_against_two_thresholds(probability: float, level: Level) -> None:
    assert level_of(probability) is level


def test_a_run_knows_its_first_sample() -> None:
    run = Run()
    for start, probability in enumerate([0.1, 0.1, 0.9, 0.8]):
        run.heard(probability, start * 512)
    assert run == Run(Level.HIGH, 2, 1024)


def test_what_is_between_belongs_to_no_run_and_breaks_every_run() -> None:
    run = Run()
    run.heard(0.9, 0)
    run.heard(0.4, 512)
    assert run.length == 0
    run.heard(0.9, 1024)
    assert run == Run(Level.HIGH, 1, 1024)


def test_a_run_that_was_broken_off_begins_anew() -> None:
    run = Run()
    run.heard(0.9, 0)
    run.break_off()
    run.heard(0.9, 512)
    assert run == Run(Level.HIGH, 1, 512)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_a_run_is_the_longest_tail_of_one_level(probabilities: list[float]) -> None:
    run, levels = Run(), [level_of(p) for p in probabilities]
    for number, probability in enumerate(probabilities):
        run.heard(probability, number * 256)
    tail = next((n for n, level in enumerate(levels[::-1]) if level is not levels[-1]), len(levels))
    if levels[-1] is Level.BETWEEN:
        assert run.length == 0
    else:
        assert run == Run(levels[-1], tail, (len(levels) - tail) * 256)
