"""Adding tracks: mono s16le of one rate, the shorter ones followed by silence.

Sums are made in 32 bits and clipped to 16 once, at the end, so it does not matter who comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.audio.pcm import clipped


def mix(tracks: Sequence[bytes]) -> bytes:
    """The sum of all tracks, as long as the longest. A single one is handed on as it is."""
    if len(tracks) < 2:
        return tracks[0] if tracks else b""
    return clipped(np.add.reduce(_rows(tracks), axis=0, dtype=np.int32))


def mix_minus(tracks: Sequence[bytes]) -> list[bytes]:
    """What each party of a conference hears: the sum of all the others.

    All are as long as the longest track. One total less each track, so the cost grows with the
    number of parties, not with its square.
    """
    if len(tracks) < 2:
        return [bytes(len(track)) for track in tracks]
    if len(tracks) == 2 and len(tracks[0]) == len(tracks[1]):
        return [tracks[1], tracks[0]]
    rows = _rows(tracks)
    total = np.add.reduce(rows, axis=0, dtype=np.int32)
    all_others = clipped(total - rows)
    size = len(all_others) // len(tracks)
    return [all_others[size * row : size * (row + 1)] for row in range(len(tracks))]


def _rows(tracks: Sequence[bytes]) -> NDArray[np.int16]:
    """One track a row, shape (tracks, samples of the longest)."""
    longest = max(map(len, tracks))
    # `ljust` returns the very same object when there is nothing to pad.
    joined = b"".join([track.ljust(longest, b"\0") for track in tracks])
    return np.frombuffer(joined, "<i2").reshape(len(tracks), longest // 2)
