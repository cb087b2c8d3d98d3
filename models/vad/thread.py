"""The engine's own thread: the only place where a model computes."""

from __future__ import annotations

import logging
from collections.abc import Callable

import attrs
import numpy as np

from models.vad.engine import Engine, EngineUnavailable, SlotNumbers, Windows
from supervision import BlockingActor, Refuse, Request, handles

log = logging.getLogger("troupe.models.vad")


@attrs.frozen
class Rows:
    """Windows of different legs at one rate: what comes next in each one's slot."""

    rate: int
    slots: tuple[int, ...]
    fresh: tuple[int, ...]
    """Those of the slots in which the window is the first, or nothing before it counts."""
    pcm: tuple[bytes, ...] = attrs.field(repr=False)
    """Mono s16le, one window per slot."""


Scores = tuple[tuple[float, ...], ...]
"""The probability of speech of each window of each `Rows`."""


@attrs.frozen
class Infer(Request[Scores]):
    """Score these. Refused if the engine cannot run at all."""

    batch: tuple[Rows, ...]


@attrs.frozen
class CheckEngine(Request[str]):
    """Do you run? Answered with the engine's name; refused, with the reason, if it does not."""


def infer_rows(engine: Engine, batch: tuple[Rows, ...]) -> Scores:
    """Have an engine score a batch, rate by rate."""
    return tuple(_infer(engine, rows) for rows in batch)


def _infer(engine: Engine, rows: Rows) -> tuple[float, ...]:
    slots: SlotNumbers = np.array(rows.slots, np.intp)
    if rows.fresh:
        engine.reset(rows.rate, np.array(rows.fresh, np.intp))
    samples = np.frombuffer(b"".join(rows.pcm), "<i2")
    windows: Windows = samples.reshape(len(slots), -1).astype(np.int16, copy=False)
    return tuple(engine.infer(rows.rate, windows, slots).tolist())


class VadEngineActor(BlockingActor[Infer | CheckEngine]):
    """Owns an engine. One that cannot be made is no crash: every request is refused then.

    Args:
        make: makes the engine, on the thread; it may take its time, and raise
            `EngineUnavailable`.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        super().__init__()
        self._make = make
        self._engine: Engine | None = None
        self._reason = ""

    def on_start(self) -> None:
        try:
            self._engine = self._make()
        except EngineUnavailable as error:
            self._reason = str(error)

    @handles
    def on_infer(self, message: Infer) -> Scores:
        return infer_rows(self._running(), message.batch)

    @handles
    def on_check(self, _message: CheckEngine) -> str:
        return self._running().name

    def _running(self) -> Engine:
        if self._engine is None:
            raise Refuse(self._reason)
        return self._engine

    def __repr__(self) -> str:
        engine = self._engine.name if self._engine else f"unavailable: {self._reason}"
        return f"<VadEngineActor {engine}>"
