"""What is drawn for a simulated call before it begins: how quick and how faulty everything is."""

from __future__ import annotations

import random

import attrs

from models.scripted import (
    ScriptedSttConfig,
    ScriptedTtsConfig,
    SttFault,
    SttTrouble,
    TtsFault,
    TtsTrouble,
)

VICTIMS = ("session", "speaker", "agent", "outbound", "inbound", "listener", "line", "vad")
"""Actors that may crash at any moment."""


@attrs.frozen
class Traits:
    """What is drawn before the call begins."""

    profile: str
    latency: float
    page: bool
    """The far end counts and reports what it plays; otherwise it is a telephone, which does not."""
    second_voice: bool
    second_model: bool
    stt: ScriptedSttConfig
    stt_faults: tuple[SttFault, ...]
    tts: ScriptedTtsConfig
    tts_faults: tuple[TtsFault, ...]
    model_faults: float
    """The share of generations that fail, stall or crash."""
    tools: float
    """The share of generations that call a tool, hand off or delegate."""
    hangs_up: bool
    crashes: tuple[tuple[float, str], ...]
    drops: tuple[tuple[float, float], ...]
    """When the line is lost, and for how long."""
    seconds: float
    """How long the person goes on doing things."""
    ends: str
    """How the call ends."""


def draw_traits(rng: random.Random) -> Traits:
    """A world's traits."""
    seconds = rng.uniform(9, 15)
    faulty = rng.random() < 0.5
    crashes = []
    if rng.random() < 0.5:
        at = rng.uniform(0.1, seconds)
        for _ in range(rng.choice((1, 1, 2, 3))):
            crashes.append((at, rng.choice(VICTIMS)))
            at += rng.choice((0.0, 0.01, rng.uniform(0.1, 4)))
    drops = []
    if rng.random() < 0.35:
        drops.append((rng.uniform(0.2, seconds), _away_for(rng)))
        if rng.random() < 0.3:
            drops.append((sum(drops[0]) + rng.uniform(0.1, 3), rng.uniform(0.2, 2)))
    page = rng.random() < 0.8
    tts = ScriptedTtsConfig(
        first_byte=rng.choice((0.02, 0.05, 0.3)),
        real_time_factor=rng.choice((0.0, 0.0, 0.3, 0.8)),
    )
    stt = ScriptedSttConfig(
        partial_every=rng.choice((0.1, 0.3, 5.0)), final_latency=rng.choice((0.02, 0.1, 0.4))
    )
    return Traits(
        profile=rng.choice(("eager", "balanced", "balanced", "calm")),
        latency=rng.choice((0.0, 0.0, 0.02, 0.08, 0.15)) if page else 0.0,
        page=page,
        second_voice=rng.random() < 0.5,
        second_model=rng.random() < 0.5,
        stt=stt,
        stt_faults=_stt_faults(rng) if rng.random() < 0.2 else (),
        tts=tts,
        tts_faults=_tts_faults(rng) if faulty and rng.random() < 0.5 else (),
        model_faults=rng.choice((0.1, 0.4)) if faulty and rng.random() < 0.6 else 0.0,
        tools=rng.choice((0.0, 0.2, 0.6)),
        hangs_up=rng.random() < 0.1,
        crashes=tuple(crashes),
        drops=tuple(drops),
        seconds=seconds,
        ends=rng.choice(("hangs up", "hangs up", "ended from outside", "line is lost")),
    )


def _away_for(rng: random.Random) -> float:
    return rng.choice((rng.uniform(0.2, 1), rng.uniform(1, 5), rng.uniform(5, 10), 25.0))


def _stt_faults(rng: random.Random) -> tuple[SttFault, ...]:
    troubles = (SttTrouble.FAIL, SttTrouble.CRASH, SttTrouble.SILENT, SttTrouble.LATE)
    return tuple(
        SttFault(
            rng.choice(troubles),
            stream=rng.randint(1, 5),
            after=rng.uniform(0, 1.5),
            seconds=rng.uniform(0.2, 3),
        )
        for _ in range(rng.randint(1, 2))
    )


def _tts_faults(rng: random.Random) -> tuple[TtsFault, ...]:
    return tuple(
        TtsFault(rng.choice(list(TtsTrouble)), rng.randint(1, 8), rng.randint(0, 4))
        for _ in range(rng.randint(1, 3))
    )
