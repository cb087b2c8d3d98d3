"""The detector and its engine's thread, as one child spec for the tree.

vad            a supervisor, one for one
├─ engine      a thread with the model; not there if the engine needs none
└─ detector    who is told `Window`s; its ref outlives restarts of all three
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from models.vad.config import VadConfig
from models.vad.detector import VoiceDetector
from models.vad.energy import EnergyEngine
from models.vad.engine import Engine, EngineUnavailable
from models.vad.protocol import VadMessage
from models.vad.scripted import LoudnessEngine
from models.vad.thread import VadEngineActor
from supervision import ActorRef, ChildSpec, Supervisor, System
from supervision.resilience import Backoff
from supervision.supervisor import SupervisorMessage

ENGINE = "engine"
DETECTOR = "detector"

# A restart that waits does not count towards the supervisor's intensity: no fault of a model ends
# the node, the detector goes on without it. Short, because windows wait meanwhile.
_ENGINE_BACKOFF = Backoff(base=0.1, maximum=5.0)
_DETECTOR_BACKOFF = Backoff(base=0.02, maximum=2.0)


def vad_spec(
    config: VadConfig, *, id: str = "vad", make: Callable[[], Engine] | None = None
) -> ChildSpec[SupervisorMessage]:
    """The whole of voice activity detection.

    Args:
        id: its name among its siblings.
        make: makes another engine for the thread than the configured one. It is called on the
            thread, at every restart, and raises `EngineUnavailable` if there is no such engine.
    """
    if make is None and config.engine == "silero":
        make = partial(load_silero, config.model)
    local: Callable[[], Engine] = EnergyEngine
    if config.engine == "loudness":
        local = partial(LoudnessEngine, config.loudness)
    detector = partial(VoiceDetector, config, ENGINE if make else "", local)
    children: list[ChildSpec[Any]] = [ChildSpec(DETECTOR, detector, backoff=_DETECTOR_BACKOFF)]
    if make is not None:
        thread = partial(VadEngineActor, make)
        children.insert(0, ChildSpec(ENGINE, thread, backoff=_ENGINE_BACKOFF))
    return ChildSpec(id, partial(Supervisor, children))


def detector_of(system: System, path: str = "/models/vad") -> ActorRef[VadMessage]:
    """Where legs send their windows, given the path of what `vad_spec` describes.

    Raises:
        NoSuchActor: nothing of it runs.
    """
    return system.ref(f"{path}/{DETECTOR}")


def load_silero(model: str) -> Engine:
    """The model in this file; "" is the packaged one.

    Raises:
        EngineUnavailable: there is no onnxruntime, no such file, or it is another model.
    """
    try:
        # Here and not above: whoever uses another engine needs neither the package nor its weight.
        from models.vad.silero import SileroEngine
    except ImportError as error:
        raise EngineUnavailable(f"silero needs the package onnxruntime: {error}") from error
    return SileroEngine(Path(model) if model else None)
