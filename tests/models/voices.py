"""Speakers for tests with real recognisers: programs that may be on this machine, or not."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from functools import lru_cache

import numpy as np
import pytest
import soxr

FLITE = shutil.which("flite")
ESPEAK = shutil.which("espeak-ng")
needs_flite = pytest.mark.skipif(FLITE is None, reason="the program flite is not here")
needs_espeak = pytest.mark.skipif(ESPEAK is None, reason="the program espeak-ng is not here")


@lru_cache(maxsize=64)
def flite(text: str, rate: int = 16000, voice: str = "rms") -> bytes:
    """The best understood of the voices: mono s16le."""
    assert FLITE is not None
    command = [FLITE, "-voice", voice, "-t", text, "-o", "/dev/stdout"]
    return _pcm(subprocess.run(command, check=True, capture_output=True).stdout, rate)


@lru_cache(maxsize=64)
def espeak(text: str, rate: int = 16000, voice: str = "en-us") -> bytes:
    """The quickest: mono s16le."""
    assert ESPEAK is not None
    command = [ESPEAK, "-v", voice, "--stdout", text]
    return _pcm(subprocess.run(command, check=True, capture_output=True).stdout, rate)


def _pcm(wav: bytes, rate: int) -> bytes:
    # Written to a pipe, the length in the header is not that of the sound.
    with wave.open(io.BytesIO(wav)) as file:
        own = file.getframerate()
    samples = np.frombuffer(wav[44 : len(wav) - len(wav) % 2], "<i2")
    resampled: np.ndarray[tuple[int], np.dtype[np.int16]] = soxr.resample(samples, own, rate)
    return resampled.astype("<i2").tobytes()
