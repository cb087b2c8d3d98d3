"""Sound for the tests of voice activity: synthetic, and spoken where a speaker is installed."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

Samples = npt.NDArray[np.int16]

LOUD = np.full(512, 8000, np.int16).tobytes()
"""A window of 16 kHz that the loudness engine calls speech."""
QUIET = bytes(1024)


def noise(samples: int, loudness: float, seed: int = 0) -> Samples:
    """White noise of that root mean square; full scale is 1."""
    values = np.random.default_rng(seed).standard_normal(samples) * loudness * 32768
    return values.clip(-32768, 32767).astype(np.int16)


def windows_of(samples: Samples, size: int = 512) -> npt.NDArray[np.int16]:
    """Cut into whole windows, shape [n, size]; what is left over is left out."""
    return samples[: len(samples) // size * size].reshape(-1, size)


def spoken(text: str, folder: Path) -> Samples:
    """Speech at 16 kHz by flite; the test is skipped where there is no flite."""
    flite = shutil.which("flite")
    if flite is None:
        pytest.skip("needs the program flite, to speak with")
    file = folder / "speech.wav"
    subprocess.run([flite, "-voice", "rms", "-t", text, "-o", str(file)], check=True, timeout=30)
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (16000, 1)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.int16)
