"""Resampling: the same however it is cut, in time, and without what does not belong there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio import Quality, Resampler

PATHS = [
    (8000, 16000),
    (16000, 8000),
    (16000, 24000),
    (24000, 16000),
    (16000, 48000),
    (48000, 16000),
    (8000, 24000),
    (24000, 8000),
    (8000, 48000),
    (48000, 8000),
    (22050, 16000),
    (22050, 8000),
    (44100, 16000),
    (16000, 44100),
]
ODD = (16000, 15991)
"""Two rates that never coincide within a second, so no table can hold their period."""
DOWN = [(rate_in, rate_out) for rate_in, rate_out in PATHS if rate_in > rate_out]

NOISE = (np.random.default_rng(5).normal(size=6000) * 6000).astype("<i2").tobytes()


def samples_of(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def tone(hz: float, rate: int, seconds: float = 1.0, magnitude: float = 16000) -> bytes:
    at = np.arange(round(rate * seconds)) / rate
    return np.rint(magnitude * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


def level(pcm: bytes, rate: int) -> float:
    """dB relative to `tone`, without the first quarter of a second."""
    steady = samples_of(pcm)[rate // 4 :]
    power = float((steady**2).mean())
    return 10 * float(np.log10(max(power, 1e-3) / (16000**2 / 2)))


def in_pieces(resampler: Resampler, pcm: bytes, lengths: Sequence[int]) -> list[bytes]:
    out, at = [], 0
    for length in lengths:
        out.append(resampler.process(pcm[2 * at : 2 * (at + length)]))
        at += length
    out.append(resampler.process(pcm[2 * at :]))
    out.append(resampler.flush())
    return out


@given(
    st.sampled_from([*PATHS, ODD]),
    st.sampled_from(Quality),
    st.lists(st.integers(0, 1200) | st.integers(0, 3), max_size=25),
)
def test_in_any_pieces_it_is_the_same_sound_to_the_bit(
    path: tuple[int, int], quality: Quality, lengths: list[int]
) -> None:
    resampler = Resampler(*path, quality)
    pieces = b"".join(in_pieces(resampler, NOISE, lengths))
    # The same resampler again: a flush leaves nothing behind.
    assert pieces == b"".join(in_pieces(resampler, NOISE, []))


@pytest.mark.parametrize("quality", Quality)
def test_pieces_of_seconds_are_like_short_ones(quality: Quality) -> None:
    sound = NOISE * 5  # 30 000 samples
    resampler = Resampler(8000, 16000, quality)
    assert b"".join(in_pieces(resampler, sound, [])) == b"".join(
        in_pieces(resampler, sound, [160] * 187)
    )


@given(st.sampled_from(PATHS), st.lists(st.integers(0, 5000), max_size=25))
def test_low_delay_gives_at_once_all_that_belongs_to_the_time_that_came(
    path: tuple[int, int], lengths: list[int]
) -> None:
    rate_in, rate_out = path
    resampler, taken, given_out = Resampler(*path), 0, 0
    for length in lengths:
        given_out += len(resampler.process(bytes(2 * length))) // 2
        taken += length
        assert given_out == -(-taken * rate_out // rate_in)


@pytest.mark.parametrize(("rate_in", "rate_out"), PATHS)
def test_a_frame_of_20_ms_gives_a_frame_of_20_ms_from_the_first_one_on(
    rate_in: int, rate_out: int
) -> None:
    resampler = Resampler(rate_in, rate_out)
    frames = [len(resampler.process(bytes(rate_in // 50 * 2))) // 2 for _ in range(10)]
    assert frames == [rate_out // 50] * 10


@pytest.mark.parametrize("quality", Quality)
@pytest.mark.parametrize(("rate_in", "rate_out"), [*PATHS, ODD])
def test_after_a_minute_not_a_frame_is_missing_or_too_much(
    rate_in: int, rate_out: int, quality: Quality
) -> None:
    resampler = Resampler(rate_in, rate_out, quality)
    second = bytes(2 * rate_in)
    count = sum(len(resampler.process(second)) for _ in range(60)) + len(resampler.flush())
    assert abs(count // 2 - 60 * rate_out) < rate_out // 50


@pytest.mark.parametrize(("rate_in", "rate_out"), PATHS)
def test_low_delay_is_late_by_what_it_says_and_by_less_than_two_milliseconds(
    rate_in: int, rate_out: int
) -> None:
    resampler = Resampler(rate_in, rate_out)
    click = np.zeros(rate_in // 10, "<i2")
    click[rate_in // 20] = 30000
    out = samples_of(resampler.process(click.tobytes()))
    late = int(np.abs(out).argmax()) / rate_out - (rate_in // 20) / rate_in
    assert late == pytest.approx(resampler.delay, abs=1 / min(rate_in, rate_out))
    assert resampler.delay == pytest.approx(15 / min(rate_in, rate_out))
    assert resampler.delay < 0.002


@pytest.mark.parametrize(("rate_in", "rate_out"), [(16000, 24000), (8000, 16000), (48000, 16000)])
def test_high_says_how_much_it_holds_back_and_gives_it_at_the_end(
    rate_in: int, rate_out: int
) -> None:
    resampler = Resampler(rate_in, rate_out, Quality.HIGH)
    out = resampler.process(bytes(2 * rate_in))
    held = 1 - len(out) / 2 / rate_out
    assert resampler.delay == pytest.approx(held)
    assert 0 < held < 0.2
    assert len(resampler.flush()) / 2 / rate_out == pytest.approx(held, abs=0.001)
    assert resampler.delay == 0


@pytest.mark.parametrize("quality", Quality)
@pytest.mark.parametrize(("rate_in", "rate_out"), PATHS)
def test_the_voice_band_comes_through_as_it_was(
    rate_in: int, rate_out: int, quality: Quality
) -> None:
    nyquist = min(rate_in, rate_out) / 2
    for hz in (100, 0.4 * nyquist, 0.78 * nyquist):
        resampler = Resampler(rate_in, rate_out, quality)
        out = resampler.process(tone(hz, rate_in)) + resampler.flush()
        assert abs(level(out[: 2 * rate_out], rate_out)) < 0.1


@pytest.mark.parametrize(("rate_in", "rate_out"), DOWN)
def test_what_the_lower_rate_cannot_hold_is_gone_rather_than_folded_back(
    rate_in: int, rate_out: int
) -> None:
    for above in (1.06, 1.1, 1.25, 1.5, 1.9):
        hz = above * rate_out / 2
        if hz < rate_in / 2:
            out = Resampler(rate_in, rate_out).process(tone(hz, rate_in))
            assert level(out, rate_out) < -62


@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(8000, 16000), (16000, 48000), (16000, 24000), (8000, 24000)]
)
def test_upwards_no_mirror_image_appears(rate_in: int, rate_out: int) -> None:
    hz = 0.7 * rate_in / 2
    out = samples_of(Resampler(rate_in, rate_out).process(tone(hz, rate_in)))[rate_out // 2 :]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size)))
    hertz = np.fft.rfftfreq(out.size, 1 / rate_out)
    images = spectrum[np.abs(hertz - hz) > 50].max() / spectrum.max()
    assert 20 * np.log10(images) < -60


def test_rates_that_never_meet_are_resampled_too() -> None:
    rate_in, rate_out = ODD
    resampler = Resampler(rate_in, rate_out)
    out = resampler.process(tone(1000, rate_in)) + resampler.flush()
    assert len(out) // 2 == pytest.approx(rate_out, abs=1)
    assert abs(level(out, rate_out)) < 0.1


@pytest.mark.parametrize("quality", Quality)
def test_silence_stays_silent_and_a_steady_level_steady(quality: Quality) -> None:
    for path in PATHS:
        resampler = Resampler(*path, quality)
        assert set(resampler.process(bytes(40000)) + resampler.flush()) <= {0}
        steady = np.full(20000, 12345, "<i2").tobytes()
        out = samples_of(resampler.process(steady))
        assert np.abs(out[len(out) // 2 :] - 12345).max(initial=0) <= 1


def test_full_scale_is_clipped_and_never_wraps_around() -> None:
    at = np.arange(16000)
    square = np.where(at // 40 % 2, 32767, -32768).astype("<i2").tobytes()
    resampler = Resampler(16000, 24000)
    out = samples_of(resampler.process(square))
    assert (out.min(), out.max()) == (-32768, 32767)  # it overshoots beside every edge
    since_edge = (np.arange(out.size) - resampler.delay * 24000) % 120
    for low_or_high, middle in ((-1, 30), (1, 90)):
        flat = np.abs(since_edge - middle) < 25  # not nearer than five samples to an edge
        assert (out[120:][flat[120:]] * low_or_high > 28000).all()


@pytest.mark.parametrize("quality", Quality)
def test_after_a_reset_nothing_is_heard_of_what_was_cut(quality: Quality) -> None:
    resampler = Resampler(24000, 16000, quality)
    resampler.process(NOISE)
    resampler.reset()
    assert resampler.delay == Resampler(24000, 16000, quality).delay
    assert set(resampler.process(bytes(48000)) + resampler.flush()) <= {0}


@pytest.mark.parametrize("quality", Quality)
def test_equal_rates_pass_the_same_object(quality: Quality) -> None:
    resampler = Resampler(16000, 16000, quality)
    assert resampler.process(NOISE) is NOISE
    assert resampler.delay == 0
    assert resampler.flush() == b""
    resampler.reset()


@pytest.mark.parametrize("quality", Quality)
def test_nothing_gives_nothing_and_half_a_sample_is_refused(quality: Quality) -> None:
    resampler = Resampler(8000, 16000, quality)
    assert resampler.process(b"") == b""
    with pytest.raises(ValueError, match="multiple of element size"):
        resampler.process(b"abc")
    assert len(resampler.process(bytes(16000)) + resampler.flush()) // 2 >= 16000


@pytest.mark.parametrize("rates", [(0, 8000), (8000, 0), (-1, 1)])
def test_rates_are_positive(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(*rates)


def test_it_shows_what_it_does() -> None:
    assert repr(Resampler(8000, 16000)) == "<Resampler 8000 to 16000 Hz, low_delay>"
