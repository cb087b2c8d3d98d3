"""Voice activity by loudness above the noise, where there is no onnxruntime.

A leg's noise floor follows its windows down at once and up by `RISE` a second; speech is what
stands `MARGIN` above it. Stops and pauses pull the floor back down every few hundred milliseconds
while somebody speaks.

What it cannot do: tell speech from any other sound. A door, a cough, a keyboard and music are
speech to it; a noise that starts and goes on (a fan) is, until the floor has reached it, after up
to ten seconds; very soft speech, or speech in loud noise, is not heard. A leg whose first sound is
speech is heard from `LOUDEST_FLOOR` + `MARGIN` up only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.vad.engine import Probabilities, SlotNumbers, Windows, rows_for

MARGIN = 10.0
"""dB above the floor at which the probability is one half."""
SLOPE = 1.5
"""dB: the width of the step from no to yes. The probability is 0.35 at 1 dB less."""
RISE = 3.0
"""dB a second. Speech without any dip for two seconds is rare, so it costs its own end 6 dB."""
SOFTEST_SPEECH = -52.0
"""dB of full scale: below it nothing is speech, however silent the line."""
LOUDEST_FLOOR = -42.0
"""dB of full scale: no first window is taken for noise louder than this."""

_WINDOW_SECONDS = 0.032
_NEW = np.float32(np.inf)


class EnergyEngine:
    """Needs numpy only. Takes any rate; a batch of 64 windows costs as much as one of silero."""

    def __init__(self) -> None:
        self._floors: dict[int, npt.NDArray[np.float32]] = {}

    @property
    def name(self) -> str:
        return "energy"

    def reset(self, rate: int, slots: SlotNumbers) -> None:
        self._floor(rate, slots)[slots] = _NEW

    def infer(self, rate: int, windows: Windows, slots: SlotNumbers) -> Probabilities:
        floors = self._floor(rate, slots)
        level = decibels(windows)
        before = floors[slots]
        risen = np.where(before == _NEW, LOUDEST_FLOOR, before + RISE * _WINDOW_SECONDS)
        floor = np.minimum(level, risen)
        floors[slots] = floor
        above = level - np.maximum(floor + MARGIN, SOFTEST_SPEECH)
        probabilities: Probabilities = (1 / (1 + np.exp(-above / SLOPE))).astype(np.float32)
        return probabilities

    def _floor(self, rate: int, slots: SlotNumbers) -> npt.NDArray[np.float32]:
        floors = self._floors.get(rate)
        if floors is None:
            floors = self._floors[rate] = np.zeros(0, np.float32)
        more = rows_for(int(slots.max(initial=-1)) + 1, len(floors)) - len(floors)
        if more > 0:
            new = np.full(more, _NEW, np.float32)
            floors = self._floors[rate] = np.concatenate([floors, new])
        return floors


def decibels(windows: Windows) -> npt.NDArray[np.float32]:
    """The loudness of each window in dB of full scale, its constant part left out; -96 at least."""
    samples = windows.astype(np.float32)
    samples -= samples.mean(axis=1, keepdims=True)
    power = np.einsum("ij,ij->i", samples, samples) / samples.shape[1]
    level: npt.NDArray[np.float32] = 10 * np.log10(np.maximum(power, 0.25) / 2.0**30)
    return level
