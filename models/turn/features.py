"""What smart-turn looks at: 8 s of sound as a picture of 80 bands by 800 steps.

The log-mel spectrogram that Whisper's encoder takes, as described in Radford et al., "Robust Speech
Recognition via Large-Scale Weak Supervision" (2022), section 2.1, over sound brought to mean 0 and
variance 1; the filters are those of M. Slaney's Auditory Toolbox (1998).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from models.turn.protocol import LONGEST, RATE

Floats = npt.NDArray[np.float32]

SAMPLES: Final = int(LONGEST * RATE)
FRAME: Final = 400
"""25 ms."""
STEP: Final = 160
"""10 ms."""
BANDS: Final = 80
STEPS: Final = SAMPLES // STEP
_BINS: Final = FRAME // 2 + 1

_LINEAR_BELOW: Final = 1000.0
"""Hz. Slaney's scale is linear up to here and logarithmic above."""
_HZ_PER_MEL: Final = 200 / 3
_LOG_STEP: Final = np.log(6.4) / 27
"""27 mels take it from 1000 Hz to 6400."""


def features(pcm: bytes) -> Floats:
    """The picture of the last 8 s of some sound, with silence before it if it is shorter.

    Args:
        pcm: mono s16le at 16 kHz.
    Returns:
        float32 of shape (80, 800): the lowest band and the earliest step first.
    Raises:
        ValueError: half a sample.
    """
    samples = np.frombuffer(pcm, "<i2")[-SAMPLES:]
    sound = np.zeros(SAMPLES, np.float32)
    if len(samples):
        sound[-len(samples) :] = samples
    sound *= np.float32(1 / 32768)
    # Sums in double precision: 128 000 of them would cost single precision its last digits.
    mean, variance = sound.mean(dtype=np.float64), sound.var(dtype=np.float64)
    level: Floats = np.subtract(sound, mean, dtype=np.float32)
    level /= np.float32(np.sqrt(variance + 1e-7))
    bands = _mel_filters() @ _power(level)
    picture = np.log10(np.maximum(bands, 1e-10))
    result: Floats = (np.maximum(picture, picture.max() - 8) + 4) / 4
    return result


def _power(sound: Floats) -> Floats:
    """The power spectrum, shape (201, 800)."""
    padded = np.pad(sound, FRAME // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::STEP][:STEPS]
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).T
    return power.astype(np.float32, copy=False)


@cache
def _window() -> Floats:
    """Hann's, periodic: one period is 400 samples, of which the last is not the first again."""
    window: Floats = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    return window


def _mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = np.log(np.maximum(hz, _LINEAR_BELOW) / _LINEAR_BELOW) / _LOG_STEP
    mels: npt.NDArray[np.float64] = np.minimum(hz, _LINEAR_BELOW) / _HZ_PER_MEL + above
    return mels


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    corner = _LINEAR_BELOW / _HZ_PER_MEL
    above = np.exp(_LOG_STEP * np.maximum(mel - corner, 0))
    hertz: npt.NDArray[np.float64] = np.minimum(mel, corner) * _HZ_PER_MEL * above
    return hertz


@cache
def _mel_filters() -> Floats:
    """80 triangles over 0 to 8000 Hz, each of area 1, in shape (80, 201)."""
    top = _mel(np.array([RATE / 2]))[0]
    edges = _hz(np.linspace(0, top, BANDS + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = np.linspace(0, RATE / 2, _BINS)
    triangles = np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle))
    filters: Floats = (np.maximum(triangles, 0) * 2 / (high - low)).astype(np.float32)
    return filters
