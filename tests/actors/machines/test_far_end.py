"""What a wire's far end has played, as far as can be known."""

from __future__ import annotations

from math import inf

import pytest

from actors.machines.playout import FarEnd

RATE = 8000


def test_a_far_end_that_tells_nothing_plays_in_real_time() -> None:
    far = FarEnd(RATE)
    assert (far.played(5.0), far.empty_at) == (0, -inf)
    far.send(800, at=1.0)
    far.send(800, at=1.05)
    assert [far.played(at) for at in (0.9, 1.0, 1.1, 1.2, 9.0)] == [0, 0, 800, 1600, 1600]
    assert far.empty_at == pytest.approx(1.2)
    far.send(800, at=2.0)  # it had run dry
    assert far.played(2.05) == 2000


def test_reports_are_believed_and_carried_on_from() -> None:
    far = FarEnd(RATE, reports=True)
    far.send(8000, at=0.0)
    far.report(400, at=0.1)
    assert [far.played(at) for at in (0.1, 0.2, 9.0)] == [400, 1200, 8000]
    assert far.empty_at == pytest.approx(0.1 + 7600 / RATE)


def test_a_far_end_whose_reports_stop_is_not_taken_to_play_on_for_ever() -> None:
    far = FarEnd(RATE, reports=True)
    far.send(80000, at=0.0)
    far.report(400, at=0.1)
    assert far.played(5.0) == 400 + RATE


@pytest.mark.parametrize("told", [-5, 10**9])
def test_impossible_reports_are_bounded(told: int) -> None:
    far = FarEnd(RATE, reports=True)
    far.send(800, at=0.0)
    far.report(told, at=0.01)
    assert 0 <= far.played(0.01) <= 800
    assert 0 <= far.cleared(told, 0, at=0.02) <= 800
    assert far.sent == far.played(0.02)


def test_time_without_sound_is_not_played() -> None:
    far = FarEnd(RATE, reports=True)
    far.send(160, at=0.0)
    far.report(160, at=0.05)
    far.send(160, at=5.0)
    assert far.played(5.01) == 160 + 80
