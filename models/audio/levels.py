"""How loud a piece of sound is."""

from __future__ import annotations

from math import log10

import numpy as np

FLOOR_DBFS = -60.0
"""What is quieter than this is as quiet as this, digital silence included."""

_FULL_SCALE = 32768.0


def rms_dbfs(pcm: bytes | memoryview) -> float:
    """The level of mono s16le in dB of full scale, -60 to 0; -60 for no samples at all.

    0 is a square wave of full scale, so a sine of full scale has -3.
    """
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    if not samples.size:
        return FLOOR_DBFS
    mean_square = float(samples.dot(samples)) / (samples.size * _FULL_SCALE**2)
    return max(FLOOR_DBFS, 10 * log10(mean_square)) if mean_square else FLOOR_DBFS


def peak(pcm: bytes | memoryview) -> float:
    """The largest magnitude in mono s16le, 0 to 1; 0 for no samples at all."""
    samples = np.frombuffer(pcm, "<i2")
    if not samples.size:
        return 0.0
    # As Python's numbers: the magnitude of -32768 does not fit 16 bits.
    return max(-int(samples.min()), int(samples.max())) / _FULL_SCALE
