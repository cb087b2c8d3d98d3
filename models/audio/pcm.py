"""From numbers back to bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# np.minimum and np.maximum, since np.clip takes longer to find out what is wanted of it than both
# take for a frame.


def clipped(values: NDArray[np.int32]) -> bytes:
    """Sums of samples as s16le, clipped to 16 bits. Overwrites `values`."""
    np.minimum(np.maximum(values, -32768, out=values), 32767, out=values)
    pcm: bytes = values.astype("<i2").tobytes()
    return pcm


def rounded(values: NDArray[np.float32] | NDArray[np.float64]) -> bytes:
    """Samples as s16le, rounded to the nearest and clipped to 16 bits. Overwrites `values`."""
    np.rint(values, out=values)
    np.minimum(np.maximum(values, -32768, out=values), 32767, out=values)
    pcm: bytes = values.astype("<i2").tobytes()
    return pcm
