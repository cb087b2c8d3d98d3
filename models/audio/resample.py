"""Changing a stream's rate, for a conversation or for a file."""

from __future__ import annotations

import enum
from typing import Protocol

import numpy as np
import soxr

from models.audio.pcm import rounded
from models.audio.polyphase import LONGEST_PERIOD, Polyphase, period


class Quality(enum.Enum):
    """What a stream's listener minds more."""

    LOW_DELAY = "low_delay"
    """Somebody waits for it: a short filter (`polyphase.py`), late by 15 samples of the lower rate
    (0.94 ms at 16 kHz) and never in bursts. It keeps what is below 0.79 of the lower Nyquist
    frequency as it is, and what would alias is down by 63 dB (but for the topmost 5 %)."""
    HIGH = "high"
    """Nobody does: soxr's "HQ", which keeps nearly all of the band and holds back up to 0.2 s."""


class _Kernel(Protocol):
    @property
    def delay(self) -> float: ...
    def process(self, pcm: bytes | memoryview) -> bytes: ...
    def flush(self) -> bytes: ...
    def reset(self) -> None: ...


class Resampler:
    """One mono stream from one rate to another, piece by piece.

    The pieces may have any length, and what comes out does not depend on it. Reset it wherever the
    sound is cut, or the end of what was cut off is heard before the next.
    """

    def __init__(self, rate_in: int, rate_out: int, quality: Quality = Quality.LOW_DELAY) -> None:
        """A stream of s16le at `rate_in` samples per second, to be at `rate_out`.

        Raises:
            ValueError: a rate is not positive.
        """
        if rate_in < 1 or rate_out < 1:
            raise ValueError(
                f"Rates are positive: from {rate_in} to {rate_out} Hz is no resampling."
            )
        self.rate_in = rate_in
        self.rate_out = rate_out
        self.quality = quality
        self._kernel = _kernel(rate_in, rate_out, quality)

    def __repr__(self) -> str:
        return f"<Resampler {self.rate_in} to {self.rate_out} Hz, {self.quality.value}>"

    @property
    def delay(self) -> float:
        """Seconds by which what comes out is behind what went in, at this moment.

        Constant for `LOW_DELAY`: all samples come in time, and are a little late. For `HIGH` it is
        the sound held back, which rises and falls as it is given out in bursts.
        """
        return self._kernel.delay if self._kernel else 0.0

    def process(self, pcm: bytes) -> bytes:
        """What can be given after these samples; with equal rates the very same object.

        Raises:
            ValueError: half a sample at the end.
        """
        return self._kernel.process(pcm) if self._kernel else pcm

    def flush(self) -> bytes:
        """The end of the stream: what is still inside. Another stream may begin after it."""
        return self._kernel.flush() if self._kernel else b""

    def reset(self) -> None:
        """Forget what is inside: what comes next has nothing to do with what was."""
        if self._kernel:
            self._kernel.reset()


def _kernel(rate_in: int, rate_out: int, quality: Quality) -> _Kernel | None:
    if rate_in == rate_out:
        return None
    if quality is Quality.HIGH:
        return _Soxr(rate_in, rate_out, "HQ")
    if period(rate_in, rate_out) > LONGEST_PERIOD:
        # Rates hardly anybody uses together. "LQ" is soxr's shortest filter; "QQ" holds nothing
        # back because it has none, and downwards every alias comes through it in full.
        return _Soxr(rate_in, rate_out, "LQ")
    return Polyphase(rate_in, rate_out)


class _Soxr:
    """soxr's streaming resampler, on bytes.

    It works in float32: for int16 it adds noise before rounding (dither), so that silence would not
    stay silent and no two runs would be alike.
    """

    def __init__(self, rate_in: int, rate_out: int, quality: str) -> None:
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality=quality)
        self._taken = 0
        self._given = 0

    @property
    def delay(self) -> float:
        return max(0.0, self._taken / self._rate_in - self._given / self._rate_out)

    def process(self, pcm: bytes | memoryview) -> bytes:
        return self._resample(pcm, last=False)

    def flush(self) -> bytes:
        rest = self._resample(b"", last=True)
        self.reset()
        return rest

    def reset(self) -> None:
        self._stream.clear()
        self._taken = self._given = 0

    def _resample(self, pcm: bytes | memoryview, *, last: bool) -> bytes:
        new = np.frombuffer(pcm, "<i2")
        made = self._stream.resample_chunk(new.astype(np.float32), last=last)
        self._taken += new.size
        self._given += made.size
        return rounded(made)
