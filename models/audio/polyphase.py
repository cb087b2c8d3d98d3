"""Changing the rate by a short low-pass filter: the resampler for what people wait for.

soxr's filters work on blocks and give what they made in bursts. Fed with 20 ms at a time, its "LQ"
holds back between 2 and 20 ms from 16 to 24 kHz and up to 61 ms from 8 to 16; "MQ" and "HQ" double
that. It is nothing for a file and much for a conversation. This filter holds nothing back: every
piece gives at once all the samples that belong to its time, and they are late by 15 samples of the
lower rate, always: 0.94 ms at 16 kHz, 1.9 ms at 8 kHz. A 20 ms frame in is a 20 ms frame out.

How: think of the sound as brought to the least common multiple of both rates by putting zeros
between the samples, low-passed there, and thinned to the new rate. Of all the products only those
are made that are neither zero nor thrown away, and they are made for a block of output samples at a
time: the stretch of input a block can see, times a matrix that holds the filter shifted by one
output sample per column. numpy does that product; what is here is the choice of the numbers.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd

import attrs
import numpy as np
from numpy.typing import NDArray

from models.audio.pcm import rounded

SPAN = 15
"""How far the filter sees to either side, in samples of the lower rate; so it is also the delay."""

_CUTOFF = 0.92
"""Where the filter is at half, as a share of the lower of both Nyquist frequencies. It begins to
fall at 0.79 of it and is down by 63 dB at 1.05: only what aliases into the topmost 5 % survives."""

_KAISER_BETA = 6.0
"""The window's shape: 63 dB down beside the pass band."""

_SCALE = 1 << 20
"""Coefficients are whole multiples of its inverse. Samples are whole numbers, and a double holds
the sums of their products exactly, so what comes out does not depend on how the stream was cut into
pieces, nor on the order in which this machine's linear algebra adds."""

_BLOCK = 32
"""Output samples made at a time, at most (where the rates allow it): at 16 to 64 the product is
fastest, below that there are too many, above it most of the matrix is zero."""

_LONGEST = 0.06
"""Seconds worked on at a time. From a million multiplications on (0.3 s at 48 to 16 kHz) OpenBLAS
wakes threads of its own, which spin and fight for the cores that carry calls: half a second in one
piece then took 4.5 ms on a busy machine instead of 0.1."""

LONGEST_PERIOD = 1000
"""Samples, of either rate, after which both coincide again, at most: the matrices hold one period.
It is 441 from 22.05 and 44.1 kHz to 8 and 16, and 640 from 11.025 to 16."""


@attrs.frozen(eq=False)
class _Plan:
    """All that a pair of rates determines. Shared by all its streams, and only read.

    Time is cut into periods after which both rates' samples coincide again, and a period into
    blocks.
    """

    up: int
    down: int
    """`up` samples out for `down` samples in."""
    behind: int
    """Input samples before a period that its first block still sees."""
    sees: NDArray[np.intp]
    """Shape (blocks in a period, input samples a block sees): which ones, from `behind` on."""
    matrices: NDArray[np.float64]
    """Shape (blocks in a period, input samples a block sees, output samples in a block)."""
    outputs: int
    """Output samples in a period."""
    inputs: int
    """Input samples in a period."""

    def seen_in(self, periods: int) -> NDArray[np.intp]:
        """What is seen in so many periods, shape (blocks in a period, periods, input samples)."""
        starts = np.arange(periods)[:, None] * self.inputs
        return self.sees[:, None, :] + starts


def period(rate_in: int, rate_out: int) -> int:
    """Samples, of the higher rate, after which samples of both coincide again."""
    return max(rate_in, rate_out) // gcd(rate_in, rate_out)


@lru_cache(maxsize=64)
def _plan(rate_in: int, rate_out: int) -> _Plan:
    common = gcd(rate_in, rate_out)
    up, down = rate_out // common, rate_in // common
    taps = _low_pass(up, down)
    behind = (len(taps) - 1) // up
    size = _block_size(up)
    count = max(up, size)
    outputs = np.arange(count).reshape(-1, 1, size)
    # On the common time line output sample k stands at k * down and input sample n at n * up. Tap
    # j of the filter joins those whose distance is j; it looks back only, which makes the delay.
    newest = outputs * down // up
    width = behind + 1 + int((newest[..., -1] - newest[..., 0]).max())
    inputs = newest[..., :1] - behind + np.arange(width)[:, None]
    distance = outputs * down - inputs * up
    reached = (distance >= 0) & (distance < len(taps))
    matrices = np.where(reached, taps[np.where(reached, distance, 0)], 0.0)
    return _Plan(up, down, behind, inputs[..., 0] + behind, matrices, count, count // up * down)


def _low_pass(up: int, down: int) -> NDArray[np.float64]:
    """The filter on the common time line; symmetric."""
    half = SPAN * max(up, down)
    at = np.arange(-half, half + 1)
    taps = np.sinc(at * _CUTOFF / max(up, down)) * np.kaiser(2 * half + 1, _KAISER_BETA)
    # Every `up`-th tap makes one output sample. If their sums differed, a steady input would come
    # out with a tone on it.
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    return np.rint(taps * _SCALE) / _SCALE


def _block_size(up: int) -> int:
    """Near `_BLOCK`, and either a multiple of `up`, which needs one matrix, or a divisor of it."""
    if up <= _BLOCK:
        return _BLOCK // up * up
    return max(size for size in range(1, _BLOCK + 1) if up % size == 0)


class Polyphase:
    """One stream from `rate_in` to `rate_out`.

    After n samples in, exactly ceil(n * rate_out / rate_in) have come out.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        """The first stream with this pair of rates works out the filter, in some milliseconds.

        Args:
            rate_in: samples per second; likewise `rate_out`. `period()` of both is at most
                `LONGEST_PERIOD`.
        """
        self._plan = _plan(rate_in, rate_out)
        self._rate_in = rate_in
        self._longest = max(1, round(_LONGEST * rate_in))
        self._seen = self._plan.seen_in(0)
        """For as many periods as the last piece had: the next one will be alike."""
        self.delay = SPAN / min(rate_in, rate_out)
        """Seconds by which every sample comes out late."""
        self.reset()

    def reset(self) -> None:
        """Begin anew: before the first sample there was silence."""
        self._taken = 0
        """Samples that have come in."""
        self._given = 0
        """Samples that have gone out."""
        self._held = np.zeros(self._plan.behind)
        """The newest input, from the first sample on that the period of the next output sees."""

    def process(self, pcm: bytes | memoryview) -> bytes:
        """All the samples whose time has come with these."""
        plan = self._plan
        new = np.frombuffer(pcm, "<i2")
        if new.size > self._longest:
            parts = range(0, new.size, self._longest)
            return b"".join([self.process(new[at : at + self._longest].data) for at in parts])
        self._taken += new.size
        due = -(-self._taken * plan.up // plan.down)
        first = self._given // plan.outputs
        periods = -(-due // plan.outputs) - first
        known = self._held.size + new.size
        # The last period may only have begun; zeros stand for what has not come, and the samples
        # that would need it are not among those that are due. One more, since all blocks are made
        # to see equally far.
        sound = np.zeros(max(known, plan.behind + periods * plan.inputs + 1))
        sound[: self._held.size] = self._held
        sound[self._held.size : known] = new
        if self._seen.shape[1] != periods:
            self._seen = plan.seen_in(periods)
        made = (sound.take(self._seen) @ plan.matrices).transpose(1, 0, 2).reshape(-1)
        before = first * plan.outputs
        made = made[self._given - before : due - before]
        self._given = due
        self._held = sound[(due // plan.outputs - first) * plan.inputs : known].copy()
        return rounded(made)

    def flush(self) -> bytes:
        """The tail: what the filter gives while silence follows. Then another stream may begin."""
        tail = self.process(bytes(2 * ceil(self.delay * self._rate_in)))
        self.reset()
        return tail
