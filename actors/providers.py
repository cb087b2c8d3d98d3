"""The providers of a node: which engines its configuration names, and where they stand in the tree.

With `app.py` the only module that names concrete engines. Each capability has one that is used and
others to fall back on, in order; all of them run, so that the next one is warm when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import attrs

from models.llm.dialogue import DialogueConfig, DialogueLlm
from models.llm.openai import OpenAiLlmConfig, openai_llm_spec
from models.stt.deepgram import DeepgramConfig, deepgram_spec
from models.stt.openai import OpenAiSttConfig, openai_stt_spec
from models.stt.pocketsphinx import PocketsphinxConfig, pocketsphinx_spec
from models.tts.elevenlabs import ElevenLabsConfig, elevenlabs_spec
from models.tts.espeak import EspeakConfig, espeak_spec
from models.tts.openai import OpenAiTtsConfig, openai_tts_spec
from models.turn.config import TurnConfig
from models.turn.spec import turn_spec
from models.vad.config import VadConfig
from models.vad.hub import DETECTOR, vad_spec
from supervision import ChildSpec, Supervisor
from supervision.resilience import Backoff

FRONT = "front"
"""The child that is asked, of engines that are more than one actor."""

PATIENT = Backoff(base=0.1, maximum=10.0)
"""Who keeps failing is not restarted in a hurry, and never ends the node."""


def _configured(capability: Any) -> None:
    """Every engine that is used has its section, and is used once."""
    names = (capability.use, *capability.fallback)
    for name in names:
        if getattr(capability, name) is None:
            problem = f"engine {name!r} is used, so it needs a section of its own, with its key"
            raise ValueError(problem)
    if len(set(names)) < len(names):
        raise ValueError("an engine that is used need not be its own fallback")


@attrs.frozen
class SttConfig:
    """Speech to text."""

    use: Literal["pocketsphinx", "deepgram", "openai"] = "pocketsphinx"
    """Which engine listens: pocketsphinx, deepgram or openai."""
    fallback: tuple[Literal["pocketsphinx", "deepgram", "openai"], ...] = ()
    """Who takes over when it fails, in order."""
    pocketsphinx: PocketsphinxConfig = attrs.field(factory=PocketsphinxConfig)
    deepgram: DeepgramConfig | None = None
    openai: OpenAiSttConfig | None = None

    def __attrs_post_init__(self) -> None:
        _configured(self)


@attrs.frozen
class TtsConfig:
    """Text to speech."""

    use: Literal["espeak", "elevenlabs", "openai"] = "espeak"
    """Which engine speaks: espeak, elevenlabs or openai."""
    fallback: tuple[Literal["espeak", "elevenlabs", "openai"], ...] = ()
    """Who takes over when it fails, from the first word that was not spoken."""
    espeak: EspeakConfig = attrs.field(factory=EspeakConfig)
    elevenlabs: ElevenLabsConfig | None = None
    openai: OpenAiTtsConfig | None = None

    def __attrs_post_init__(self) -> None:
        _configured(self)


@attrs.frozen
class LlmConfig:
    """Language models."""

    use: Literal["dialogue", "openai"] = "dialogue"
    """Which engine thinks: dialogue (a script) or openai (and all that speak like it)."""
    fallback: tuple[Literal["dialogue", "openai"], ...] = ()
    """Who takes over when it fails."""
    dialogue: DialogueConfig = attrs.field(factory=DialogueConfig)
    openai: OpenAiLlmConfig | None = None

    def __attrs_post_init__(self) -> None:
        _configured(self)


@attrs.frozen
class ModelsConfig:
    """Everything that listens, speaks and thinks."""

    vad: VadConfig = attrs.field(factory=VadConfig)
    turn: TurnConfig = attrs.field(factory=TurnConfig)
    stt: SttConfig = attrs.field(factory=SttConfig)
    tts: TtsConfig = attrs.field(factory=TtsConfig)
    llm: LlmConfig = attrs.field(factory=LlmConfig)


@attrs.frozen
class Providers:
    """The models of a node: one child of the root, and the paths of whom to ask."""

    spec: ChildSpec[Any]
    vad: str
    turn: str
    """ "": there is no end-of-turn model."""
    recognisers: tuple[str, ...]
    voices: tuple[str, ...]
    models: tuple[str, ...]


Make = Callable[[Any, str], ChildSpec[Any]]

_RECOGNISERS: Mapping[str, tuple[Make, str]] = {
    "pocketsphinx": (pocketsphinx_spec, FRONT),
    "deepgram": (deepgram_spec, ""),
    "openai": (openai_stt_spec, ""),
}
_VOICES: Mapping[str, tuple[Make, str]] = {
    "espeak": (espeak_spec, FRONT),
    "elevenlabs": (elevenlabs_spec, ""),
    "openai": (openai_tts_spec, ""),
}


def _dialogue_spec(config: DialogueConfig, id: str) -> ChildSpec[Any]:
    return ChildSpec(id, partial(DialogueLlm, config))


_MODELS: Mapping[str, tuple[Make, str]] = {
    "dialogue": (_dialogue_spec, ""),
    "openai": (openai_llm_spec, ""),
}


def providers(config: ModelsConfig, path: str = "/models") -> Providers:
    """The models that `config` names, below `path`.

    Raises:
        EngineMissing: the package of an engine that is named is not installed.
    """
    children: list[ChildSpec[Any]] = [vad_spec(config.vad)]
    turn = turn_spec(config.turn)
    if turn is not None:
        children.append(turn)
    fronts = {}
    for id, capability, known in (
        ("stt", config.stt, _RECOGNISERS),
        ("tts", config.tts, _VOICES),
        ("llm", config.llm, _MODELS),
    ):
        group, fronts[id] = _group(id, path, capability, known)
        children.append(group)
    return Providers(
        ChildSpec(path.strip("/"), partial(Supervisor, children), backoff=PATIENT),
        f"{path}/vad/{DETECTOR}",
        f"{path}/turn" if turn is not None else "",
        fronts["stt"],
        fronts["tts"],
        fronts["llm"],
    )


def _group(
    id: str, path: str, capability: Any, known: Mapping[str, tuple[Make, str]]
) -> tuple[ChildSpec[Any], tuple[str, ...]]:
    """A capability's supervisor, and the paths of its engines in the order of preference."""
    specs, paths = [], []
    for name in (capability.use, *capability.fallback):
        make, front = known[name]
        specs.append(attrs.evolve(make(getattr(capability, name), name), backoff=PATIENT))
        paths.append(f"{path}/{id}/{name}" + (f"/{front}" if front else ""))
    return ChildSpec(id, partial(Supervisor, specs), backoff=PATIENT), tuple(paths)
