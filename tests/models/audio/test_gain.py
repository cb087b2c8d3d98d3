"""Gain: where it goes, how fast, and that nobody hears a click."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio import DUCK_GAIN, DUCK_MS, RAMP_IN_MS, GainRamp, fade_out

RATE = 16000
STEADY = np.full(320, 10000, "<i2").tobytes()


def samples_of(pcm: bytes) -> NDArray[np.int64]:
    return np.frombuffer(pcm, "<i2").astype(np.int64)


def test_at_rest_at_one_the_same_object_passes() -> None:
    assert GainRamp().apply(STEADY, RATE) is STEADY


def test_a_duck_takes_ten_milliseconds_to_a_fifth_and_a_bit() -> None:
    ramp = GainRamp()
    ramp.to(DUCK_GAIN, DUCK_MS)
    out = samples_of(ramp.apply(STEADY, RATE))
    assert out[159] == out[-1] == round(10000 * DUCK_GAIN) == 1778
    assert out[79] == round(10000 * (1 + DUCK_GAIN) / 2)
    assert not ramp.moving


def test_a_ramp_has_no_step_larger_than_an_even_one_and_begins_where_it_was() -> None:
    ramp = GainRamp()
    ramp.to(DUCK_GAIN, DUCK_MS)
    down = samples_of(ramp.apply(STEADY, RATE))
    ramp.to(1, RAMP_IN_MS)
    up = samples_of(ramp.apply(STEADY, RATE))
    all_of_it = np.concatenate(([10000], down, up, [10000]))
    steps = np.abs(np.diff(all_of_it))
    assert steps[:321].max() <= 10000 * (1 - DUCK_GAIN) / 160 + 1
    assert steps[321:].max() <= 10000 * (1 - DUCK_GAIN) / 320 + 1
    assert ramp.apply(STEADY, RATE) is STEADY


def test_a_change_of_mind_goes_on_from_where_the_gain_is() -> None:
    ramp = GainRamp()
    ramp.to(0, 20)
    assert samples_of(ramp.apply(STEADY[:320], RATE))[-1] == 5000
    assert ramp.gain == pytest.approx(0.5)
    ramp.to(1, 20)
    assert samples_of(ramp.apply(STEADY, RATE))[[0, -1]].tolist() == [5016, 10000]


def test_going_to_where_it_is_is_no_way_at_all() -> None:
    ramp = GainRamp()
    ramp.to(1, 20)
    assert not ramp.moving
    assert ramp.apply(STEADY, RATE) is STEADY


def test_no_time_is_a_jump() -> None:
    ramp = GainRamp()
    ramp.to(0.5, 0)
    assert set(samples_of(ramp.apply(STEADY, RATE))) == {5000}
    ramp.to(0, 0)
    assert ramp.apply(STEADY, RATE) == bytes(640)


def test_what_gets_too_loud_is_clipped() -> None:
    ramp = GainRamp(10)
    loud = np.array([4000, -4000, 100], "<i2").tobytes()
    assert samples_of(ramp.apply(loud, RATE)).tolist() == [32767, -32768, 1000]


@given(
    st.lists(st.integers(0, 200), max_size=12),
    st.floats(0, 2),
    st.floats(0, 2),
    st.floats(0, 60),
    st.sampled_from([8000, 16000, 24000]),
)
def test_in_pieces_it_sounds_as_in_one(
    lengths: list[int], before: float, after: float, ms: float, rate: int
) -> None:
    sound = np.full(sum(lengths), 10000, "<i2").tobytes()
    whole, pieces = GainRamp(before), GainRamp(before)
    for ramp in (whole, pieces):
        ramp.to(after, ms)
    out, at = b"", 0
    for length in lengths:
        out += pieces.apply(sound[at : at + 2 * length], rate)
        at += 2 * length
    expected = samples_of(whole.apply(sound, rate))
    assert np.abs(samples_of(out) - expected).max(initial=0) <= 1  # rounding


@pytest.mark.parametrize("bad", [-0.1, float("inf"), float("nan")])
def test_gains_and_times_are_checked(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        GainRamp(bad)
    ramp = GainRamp()
    with pytest.raises(ValueError, match="finite"):
        ramp.to(bad, 10)
    with pytest.raises(ValueError, match="finite"):
        ramp.to(0.5, bad)
    assert ramp.apply(STEADY, RATE) is STEADY


def test_it_shows_where_it_is_going() -> None:
    ramp = GainRamp()
    assert repr(ramp) == "<GainRamp 1>"
    ramp.to(0, 20)
    ramp.apply(STEADY[:320], RATE)
    assert repr(ramp) == "<GainRamp 0.5 on the way to 0>"


def test_a_fade_out_falls_as_the_specification_says() -> None:
    tail = np.full(round(0.4 * 24000), 1000, "<i2").tobytes()
    faded = samples_of(fade_out(tail, 24000, 0.4))
    quarter = len(faded) // 4
    assert [faded[at * quarter] for at in (0, 1, 2, 3)] == [1000, 177, 31, 5]
    assert faded[-1] == 0


def test_a_fade_out_keeps_its_seconds_at_most_and_ends_at_zero_however_loud() -> None:
    loud = np.full(24000, -32768, "<i2").tobytes()
    faded = samples_of(fade_out(loud, 24000, 0.4))
    assert len(faded) == 9600
    assert faded[-1] == 0
    assert len(fade_out(loud[:100], 24000, 0.4)) == 100
    assert fade_out(loud, 24000, 0) == b""
    assert fade_out(b"", 24000) == b""
    with pytest.raises(ValueError, match="not negative"):
        fade_out(loud, 24000, -1)
