"""A voice activity detector for tests: what is loud is speech. Exact, and without memory."""

from __future__ import annotations

import numpy as np

from models.vad.engine import Probabilities, SlotNumbers, Windows


class LoudnessEngine:
    """The probability is 1 for a window as loud as `threshold` or louder, else 0.

    A test writes its script into the sound: `bytes(n)` is silence, a constant of any loudness is
    speech, and each window's answer can be worked out by hand.

    Args:
        threshold: root mean square of the window's samples; full scale is 1.
    """

    def __init__(self, threshold: float = 0.02) -> None:
        self._power = (threshold * 32768) ** 2

    @property
    def name(self) -> str:
        return "loudness"

    def reset(self, rate: int, slots: SlotNumbers) -> None:
        """There is nothing to forget."""

    def infer(self, rate: int, windows: Windows, slots: SlotNumbers) -> Probabilities:
        power = np.square(windows, dtype=np.float64).mean(axis=1)
        loud: Probabilities = (power >= self._power).astype(np.float32)
        return loud
