"""A call as one specification: the tree below `/calls/<id>` can be read off this page."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any

import attrs

from actors.call.agent import Agent
from actors.call.bridge import Bridge
from actors.call.call import Call, CallMemory
from actors.call.inbound import InboundTrack
from actors.call.line import Line, LineMemory
from actors.call.listener import Listener, ListenerMemory
from actors.call.outbound import OutboundTrack
from actors.call.session import Session
from actors.call.speaker import Speaker
from actors.call.team import Team
from actors.machines.profiles import PROFILES, FloorConfig
from actors.machines.speech_text import SpeechTextConfig
from supervision import AutoShutdown, ChildSpec, DynamicSupervisor, Restart, Strategy, Supervisor

INTENSITY = 10
PERIOD = 10.0
"""So many restarts in so many seconds, and the call is given up. Each actor of a call may crash
once for one cause; one that crashes at every message is past that in no time."""


@attrs.frozen
class CallPlan:
    """What every call of a node is made of. Providers are paths, in the order of preference."""

    team: Team
    vad: str
    recognisers: tuple[str, ...]
    voices: tuple[str, ...]
    models: tuple[str, ...]
    floor: FloorConfig = attrs.field(factory=FloorConfig, kw_only=True)
    text: SpeechTextConfig = attrs.field(factory=SpeechTextConfig, kw_only=True)
    phrases: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """What people are likely to say, for recognisers that listen for it."""
    language: str = attrs.field(default="en", kw_only=True)
    voice: str = attrs.field(default="", kw_only=True)
    turn: str = attrs.field(default="", kw_only=True)
    """The end-of-turn model's path; "" is none."""
    calls: str = attrs.field(default="/calls", kw_only=True)
    """Where the calls live."""


def call_spec(plan: CallPlan, call_id: str, agent: str = "") -> ChildSpec[Any]:
    """A call and all that belongs to it. It ends, as a whole, when its `call` does."""
    path = f"{plan.calls}/{call_id}"
    first = agent or plan.team.first
    children: list[ChildSpec[Any]] = [
        ChildSpec(
            "call",
            partial(Call, path, CallMemory(first), partial(leg_spec, plan, path)),
            Restart.TRANSIENT,
            significant=True,
        ),
        ChildSpec("session", partial(Session, path, plan.floor, has_turn_model=bool(plan.turn))),
        ChildSpec(
            "speaker",
            partial(
                Speaker,
                path,
                plan.voices,
                plan.text,
                plan.voice,
                plan.language,
                plan.floor.max_utterance,
            ),
        ),
        ChildSpec(
            "agent", partial(Agent, path, plan.models, plan.team, plan.floor.apology, count(1))
        ),
        ChildSpec("bridge", partial(Bridge, path)),
        ChildSpec("legs", DynamicSupervisor),
    ]
    supervisor = partial(
        Supervisor,
        children,
        Strategy.ONE_FOR_ONE,
        intensity=INTENSITY,
        period=PERIOD,
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    return ChildSpec(call_id, supervisor, Restart.TEMPORARY)


def leg_spec(plan: CallPlan, call: str, leg: str) -> ChildSpec[Any]:
    """One person's line, ears and mouthpiece. What is listed later needs what is listed before."""
    profile = PROFILES[plan.floor.profile]
    runs = frozenset({1, profile.confirm_windows, profile.duck_windows, profile.hold_windows})
    children: list[ChildSpec[Any]] = [
        ChildSpec("line", partial(Line, leg, call, plan.floor.leg_away_max, LineMemory())),
        ChildSpec("outbound", partial(OutboundTrack, leg, call)),
        ChildSpec(
            "listener",
            partial(
                Listener,
                leg,
                call,
                plan.recognisers,
                plan.phrases,
                plan.language,
                ListenerMemory(),
            ),
        ),
        ChildSpec("inbound", partial(InboundTrack, leg, call, plan.vad, runs, plan.turn)),
    ]
    supervisor = partial(
        Supervisor, children, Strategy.ONE_FOR_ONE, intensity=INTENSITY, period=PERIOD
    )
    return ChildSpec(leg, supervisor, Restart.TEMPORARY)
