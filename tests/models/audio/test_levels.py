"""Loudness."""

from __future__ import annotations

import numpy as np
import pytest

from models.audio import FLOOR_DBFS, peak, rms_dbfs


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def test_a_square_wave_of_full_scale_is_zero_and_a_sine_three_less() -> None:
    assert rms_dbfs(pcm(-32768, -32768)) == 0
    sine = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000) * 32767
    assert rms_dbfs(sine.astype("<i2").tobytes()) == pytest.approx(-3.01, abs=0.01)


def test_half_the_magnitude_is_six_less() -> None:
    assert rms_dbfs(pcm(16384, -16384)) == pytest.approx(-6.02, abs=0.01)


@pytest.mark.parametrize("quiet", [b"", bytes(640), pcm(1, -1, 1), pcm(32)])
def test_what_is_quieter_than_the_floor_is_at_the_floor(quiet: bytes) -> None:
    assert rms_dbfs(quiet) == FLOOR_DBFS == -60


def test_the_peak_is_the_largest_magnitude_of_either_sign() -> None:
    assert peak(pcm(1, -16384, 8192)) == 0.5
    assert peak(pcm(-32768)) == 1
    assert peak(pcm(-5, -3)) == 5 / 32768
    assert peak(b"") == 0


def test_views_do_as_well() -> None:
    assert peak(memoryview(pcm(16384))) == 0.5
    assert rms_dbfs(memoryview(pcm(-32768))) == 0
