"""smart-turn on onnxruntime: judges by the sound alone whether a turn is over.

Source: https://github.com/pipecat-ai/smart-turn, version 3: input `input_features` [B, 80, 800],
one output, a probability already. The file is brought by the user. This module needs onnxruntime.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnxruntime

from models.turn.config import TurnConfig
from models.turn.features import BANDS, STEPS, Floats, features
from models.turn.protocol import JudgeTurn, TurnJudgement
from supervision import BlockingActor, Refuse, handles

log = logging.getLogger("troupe.models.turn")

INPUT = "input_features"


class ModelUnusable(Exception):
    """The file cannot be used as a smart-turn model; the message says why."""


class SmartTurn:
    """The model itself, on the thread of whoever calls it. 42 ms a judgement.

    Raises:
        ModelUnusable: the file is missing, or something else.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise ModelUnusable(f"there is no model file {str(file)!r}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, ["CPUExecutionProvider"]
            )
            self.probability(np.zeros((BANDS, STEPS), np.float32))
        except Exception as error:  # each of onnxruntime's errors has a class of its own
            raise ModelUnusable(f"{file.name} is no smart-turn model: {error}") from error

    def probability(self, picture: Floats) -> float:
        """That the turn is over. `picture` is what `features` makes."""
        (output,) = self._session.run(None, {INPUT: picture[None]})
        return float(np.clip(np.ravel(output)[0], 0, 1))


class TurnJudge(BlockingActor[JudgeTurn]):
    """Judges one turn after the other, on a thread of its own.

    A file that cannot be used is no crash: it is logged once, and every request is refused.
    """

    batch_size = 1  # an answer goes out as soon as it is there

    def __init__(self, config: TurnConfig) -> None:
        super().__init__()
        self._config = config
        self._model: SmartTurn | None = None
        self._reason = ""

    def on_start(self) -> None:
        try:
            self._model = SmartTurn(Path(self._config.model))
        except ModelUnusable as error:
            self._reason = str(error)
            log.warning("%s: no end of turn is judged: %s", self.path, error)

    @handles
    def on_judge(self, message: JudgeTurn) -> TurnJudgement:
        if self._model is None:
            raise Refuse(self._reason)
        if not message.pcm or len(message.pcm) % 2:
            raise Refuse(f"{len(message.pcm)} bytes are no s16le sound")
        probability = self._model.probability(features(message.pcm))
        return TurnJudgement(probability, complete=probability >= self._config.threshold)

    def __repr__(self) -> str:
        state = f"threshold {self._config.threshold:g}" if self._model else self._reason
        return f"<TurnJudge {state or 'starting'}>"
