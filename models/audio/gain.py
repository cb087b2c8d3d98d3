"""Playing louder and quieter without a click."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from models.audio.pcm import rounded

DUCK_GAIN = 10 ** (-15 / 20)
"""What the agent is turned down to at the first sign of speech over it: -15 dB."""
DUCK_MS = 10.0
"""How long turning down takes: as short as it can be without a click."""
RAMP_IN_MS = 20.0
"""How long coming back takes, after a duck or a hold."""


class GainRamp:
    """A gain that moves along a straight line to where it is wanted.

    Mono s16le goes through `apply` in pieces of any length; a ramp runs on from one to the next.
    What gets too loud is clipped.
    """

    def __init__(self, gain: float = 1.0) -> None:
        """At rest at `gain`, a factor: 1 changes nothing, 0 is silence.

        Raises:
            ValueError: `gain` is negative or not finite.
        """
        self.target = _checked(gain)
        """Where the gain is, or is on its way to."""
        self._from = gain
        self._seconds = 0.0
        """How long the way takes in all; 0 at rest."""
        self._gone = 0.0
        """Of that, what is behind us."""

    def __repr__(self) -> str:
        way = f" on the way to {self.target:.3g}" if self.moving else ""
        return f"<GainRamp {self.gain:.3g}{way}>"

    @property
    def moving(self) -> bool:
        """A ramp is in progress."""
        return self._seconds > 0

    @property
    def gain(self) -> float:
        """The gain of the last sample that went through."""
        if not self.moving:
            return self.target
        return self._from + (self.target - self._from) * self._gone / self._seconds

    def to(self, gain: float, ms: float) -> None:
        """Go to `gain` within `ms` milliseconds, from where it is now; 0 ms jumps.

        Raises:
            ValueError: `gain` or `ms` is negative or not finite.
        """
        _checked(gain)
        _checked(ms)
        self._from, self.target = self.gain, gain
        self._seconds = ms / 1000 if gain != self._from else 0.0
        self._gone = 0.0

    def apply(self, pcm: bytes, rate: int) -> bytes:
        """The same samples at this gain; the very same object at rest at 1.

        Args:
            rate: samples per second, by which the ramp knows how far it got.
        Raises:
            ValueError: half a sample at the end, found where samples had to be looked at.
        """
        if not self.moving:
            if self.target == 1:
                return pcm
            if self.target == 0:
                return bytes(len(pcm))
            return _scaled(np.frombuffer(pcm, "<i2"), self.target)
        samples = np.frombuffer(pcm, "<i2")
        start = self._gone * rate
        way = (start + np.arange(1, samples.size + 1)) / max(self._seconds * rate, 1.0)
        gains = self._from + (self.target - self._from) * np.minimum(way, 1.0)
        self._gone += samples.size / rate
        if self._gone >= self._seconds:
            self._seconds = 0.0
        return _scaled(samples, gains)


def fade_out(pcm: bytes, rate: int, seconds: float = 0.4) -> bytes:
    """The beginning of `pcm`, at most `seconds` of it, falling by 60 dB to a last sample of 0.

    Even in dB, as sounds die away: at a quarter, half and three quarters of the way a magnitude of
    1000 has become 177, 31 and 5. If there is less, the fall takes what there is; the rest of a
    longer piece is dropped.

    Raises:
        ValueError: `seconds` is negative or not finite, or there is half a sample at the end.
    """
    kept = np.frombuffer(pcm, "<i2")[: round(_checked(seconds) * rate)]
    if not kept.size:
        return b""
    curve = 10.0 ** np.linspace(0, -3, kept.size)
    curve[-1] = 0
    faded: bytes = (kept * curve).astype("<i2").tobytes()  # rounds towards zero
    return faded


def _checked(number: float) -> float:
    if not 0 <= number < inf:
        raise ValueError(f"Gains and times are finite and not negative: {number}")
    return number


def _scaled(samples: NDArray[np.int16], gain: float | NDArray[np.float64]) -> bytes:
    return rounded(np.multiply(samples, gain, dtype=np.float64))
