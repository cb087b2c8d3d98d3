"""The fallback: loudness above the noise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.vad.energy import EnergyEngine
from models.vad.scripted import LoudnessEngine
from tests.models.vad.sound import Samples, noise, spoken, windows_of


def probabilities(sound: Samples, engine: EnergyEngine | None = None) -> list[float]:
    engine = engine or EnergyEngine()
    slot = np.array([0])
    return [float(engine.infer(16000, window[None], slot)[0]) for window in windows_of(sound)]


def test_speech_after_a_noisy_pause_is_heard_and_the_pause_is_not(tmp_path: Path) -> None:
    speech = spoken("Good morning, I would like to book a table for two.", tmp_path)
    sound = np.concatenate([noise(16000, 0.003), speech, noise(16000, 0.003)]).astype(np.int16)
    sound += noise(len(sound), 0.003, seed=1)
    heard = np.array(probabilities(sound))
    during = slice(31, 31 + len(speech) // 512)
    assert max(heard[:31]) < 0.35
    assert np.mean(heard[during] >= 0.5) > 0.5
    assert max(heard[during.stop + 4 :]) < 0.35


def test_silence_is_never_speech() -> None:
    assert max(probabilities(np.zeros(16000, np.int16))) < 0.01
    assert max(probabilities(noise(16000, 0.0005))) < 0.35


def test_a_constant_is_no_sound() -> None:
    assert max(probabilities(np.full(16000, 9000, np.int16))) < 0.01


def test_a_noise_that_goes_on_is_got_used_to() -> None:
    sound = np.concatenate([noise(8000, 0.001), noise(16000 * 12, 0.03)])
    heard = probabilities(sound)
    assert heard[20] > 0.5
    assert max(heard[-31:]) < 0.35


def test_a_leg_that_begins_in_moderate_noise_is_not_taken_for_speech() -> None:
    assert max(probabilities(noise(32000, 0.007))) < 0.35


def test_a_batch_is_equal_to_single_calls_and_a_reset_begins_anew() -> None:
    together, alone = EnergyEngine(), EnergyEngine()
    for turn in range(8):
        windows = np.stack([noise(512, 0.001 * 3**n, 9 * turn + n) for n in range(5)])
        batch = together.infer(16000, windows, np.arange(5))
        single = [alone.infer(16000, windows[n : n + 1], np.array([n]))[0] for n in range(5)]
        assert batch.tolist() == [float(each) for each in single]
    first = probabilities(noise(8000, 0.02))
    together.reset(16000, np.array([0]))
    assert probabilities(noise(8000, 0.02), together) == first


@pytest.mark.parametrize(("loudness", "speech"), [(0.0, 0.0), (0.019, 0.0), (0.021, 1.0)])
def test_for_the_loudness_engine_what_is_loud_is_speech(loudness: float, speech: float) -> None:
    window = np.full((1, 512), round(loudness * 32768), np.int16)
    assert LoudnessEngine(0.02).infer(16000, window, np.array([0])).tolist() == [speech]


def test_the_detector_and_its_fallback_are_imported_without_onnxruntime() -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from models.vad.hub import vad_spec, load_silero\n"
        "from models.vad.config import VadConfig\n"
        "from models.vad.engine import EngineUnavailable\n"
        "vad_spec(VadConfig(engine='energy'))\n"
        "try: load_silero('')\n"
        "except EngineUnavailable as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "needs the package onnxruntime" in ran.stdout
