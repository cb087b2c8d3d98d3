"""The picture of the sound that smart-turn looks at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.turn.features import BANDS, FRAME, SAMPLES, STEP, STEPS, features


def tone(hz: float, samples: int = SAMPLES, loudness: float = 0.3) -> npt.NDArray[np.int16]:
    time = np.arange(samples) / 16000
    return (loudness * 32767 * np.sin(2 * np.pi * hz * time)).astype("<i2")


def noise(samples: int, seed: int = 0) -> npt.NDArray[np.int16]:
    return (np.random.default_rng(seed).standard_normal(samples) * 3000).astype("<i2")


def slaney_hz(mel: float) -> float:
    """Slaney's scale, as its definition reads."""
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def by_definition(samples: npt.NDArray[np.int16], step: int) -> npt.NDArray[np.float64]:
    """One step's 80 values in double precision, before the clamp: sums written out."""
    sound = np.zeros(SAMPLES)
    sound[SAMPLES - len(samples) :] = samples / 32768
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    padded = np.concatenate([sound[200:0:-1], sound, sound[-2:-202:-1]])
    n = np.arange(FRAME)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / FRAME)
    frame = padded[step * STEP : step * STEP + FRAME] * window
    power = [abs(np.sum(frame * np.exp(-2j * np.pi * k * n / FRAME))) ** 2 for k in range(201)]
    top = 15 + 27 * np.log(8) / np.log(6.4)
    edges = [slaney_hz(top * each / (BANDS + 1)) for each in range(BANDS + 2)]
    bands = np.zeros(BANDS)
    for band in range(BANDS):
        low, middle, high = edges[band : band + 3]
        for k in range(201):
            rising, falling = (40 * k - low) / (middle - low), (high - 40 * k) / (high - middle)
            bands[band] += max(0.0, min(rising, falling)) * 2 / (high - low) * power[k]
    return np.log10(np.maximum(bands, 1e-10))


@pytest.mark.parametrize("samples", [noise(SAMPLES), noise(50_001), tone(440)])
def test_the_picture_is_what_its_definition_says(samples: npt.NDArray[np.int16]) -> None:
    picture = features(samples.tobytes())
    assert picture.shape == (BANDS, STEPS)
    assert picture.dtype == np.float32
    floor = picture.min()
    for step in (0, 1, 400, 700, 798, 799):
        expected = (by_definition(samples, step) + 4) / 4
        shown = picture[:, step] > floor + 1e-4  # below, the clamp has decided
        assert np.abs(picture[shown, step] - expected[shown]).max(initial=0) < 2e-4
        assert (expected[~shown] < floor + 2e-4).all()


@given(st.integers(0, 2000), st.integers(0, 3))
def test_the_span_is_80_decibels_at_most(samples: int, seed: int) -> None:
    picture = features(noise(samples, seed).tobytes())
    assert np.isfinite(picture).all()
    assert picture.max() - picture.min() <= 2 + 1e-5


def test_silence_makes_an_even_picture() -> None:
    assert np.unique(features(bytes(2 * SAMPLES))) == pytest.approx([-1.5])
    assert np.array_equal(features(b""), features(bytes(2 * SAMPLES)))


def test_of_longer_sound_the_end_counts() -> None:
    sound = noise(SAMPLES + 5000)
    assert np.array_equal(features(sound.tobytes()), features(sound[5000:].tobytes()))


def test_shorter_sound_has_silence_before_it() -> None:
    sound = noise(16000)
    padded = np.concatenate([np.zeros(SAMPLES - 16000, "<i2"), sound])
    picture = features(sound.tobytes())
    assert np.array_equal(picture, features(padded.tobytes()))
    assert picture[:, :690].mean() < picture[:, -90:].mean() - 0.5


def test_how_loud_it_is_does_not_show() -> None:
    quiet, loud = features(tone(300, loudness=0.1).tobytes()), features(tone(300).tobytes())
    assert np.abs(quiet - loud)[quiet > quiet.min() + 0.3].max() < 0.01


@pytest.mark.parametrize("hz", [100, 440, 1000, 2500, 6000])
def test_a_tone_stands_in_its_own_band(hz: float) -> None:
    top = 15 + 27 * np.log(8) / np.log(6.4)
    middles = [slaney_hz(top * band / (BANDS + 1)) for band in range(1, BANDS + 1)]
    brightest = int(features(tone(hz).tobytes())[:, 400].argmax())
    assert abs(brightest - int(np.abs(np.array(middles) - hz).argmin())) <= 1


def test_half_a_sample_is_an_error() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        features(b"123")
