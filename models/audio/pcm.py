"""From numbers back to bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clipped(values: NDArray[np.int32]) -> bytes:
    """Sums of samples as s16le, clipped to 16 bits. Overwrites `values`."""
    pcm: bytes = np.clip(values, -32768, 32767, out=values).astype("<i2").tobytes()
    return pcm


def rounded(values: NDArray[np.float32] | NDArray[np.float64]) -> bytes:
    """Samples as s16le, rounded to the nearest and clipped to 16 bits. Overwrites `values`."""
    np.rint(values, out=values)
    pcm: bytes = np.clip(values, -32768, 32767, out=values).astype("<i2").tobytes()
    return pcm
