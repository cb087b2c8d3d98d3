"""What people say in live tests, made by whichever speaker is on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from models.local import EngineMissing, require
from tests.models.voices import ESPEAK, FLITE, espeak, flite

Voice = Callable[[str, int], bytes]
"""Speaks a text at a sample rate: mono s16le."""


AUDIBLE = 330
"""-40 dB."""


def a_voice() -> Voice:
    """Flite's `rms`, which a small recogniser understands best; else an espeak-ng voice."""
    if FLITE is not None:
        return flite
    if ESPEAK is not None:
        return partial(espeak, voice="en-us+f3")
    pytest.skip("nobody can speak here: neither flite nor espeak-ng is installed")


def need_local_models() -> None:
    """Skip where the optional extra `local` is not installed."""
    try:
        require("pocketsphinx", "pocketsphinx")
        require("espeak", "espeakng_loader")
    except EngineMissing as missing:
        pytest.skip(str(missing))


def conversation(parts: Sequence[float | str], rate: int) -> tuple[bytes, dict[str, float]]:
    """A recording of silences (seconds) and sentences, and when each sentence begins in it.

    >>> sound, begins = conversation([5.0, "tell me about the hotel"], 16000)
    """
    voice = a_voice()
    sound = bytearray()
    begins = {}
    for part in parts:
        if isinstance(part, str):
            begins[part] = len(sound) / 2 / rate
            sound += from_first_sound(voice(part, rate))
        else:
            sound += bytes(2 * round(part * rate))
    return bytes(sound), begins


def from_first_sound(pcm: bytes) -> bytes:
    """Without the silence that speakers begin with: promises count from the first sound."""
    samples = np.frombuffer(pcm, "<i2")
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE)
    return samples[loud[0] :].tobytes() if len(loud) else pcm
