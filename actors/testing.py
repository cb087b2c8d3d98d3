"""A whole call on virtual time, with scripted models: the test kit for agents and conversations.

    async def test_it_greets(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, replies=["Good morning."])
        person = await rig.call()
        await person.wait_heard(1.0)

Everything between the person and the scripted models is the product: exchange, session, tracks,
floors, loopback wire. Sound is `speech_pcm`, which spells its words, so `rig.heard(person)` is what
the person heard, in words, and `rig.history(person)` is what the call says they heard.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import attrs

from actors.call.call import CallStatus, DescribeCall
from actors.call.exchange import Exchange, ExchangeConfig
from actors.call.team import AgentProfile, Team
from actors.call.tree import CallPlan
from actors.machines.profiles import FloorConfig
from models.conversation import AgentSaid, Item
from models.llm.scripted import LlmPlan, ScriptedLlm
from models.scripted import (
    Listener,
    ScriptedStt,
    ScriptedSttConfig,
    ScriptedTts,
    ScriptedTtsConfig,
    SttPlan,
    TtsPlan,
    speech_pcm,
)
from models.turn.protocol import JudgeTurn
from models.vad.config import VadConfig
from models.vad.hub import vad_spec
from models.words import Word
from supervision import Actor, ActorRef, ChildSpec, DynamicSupervisor, Supervisor, System
from supervision.resilience import Backoff
from transports.leg import Attach
from transports.loopback import Loopback

AGENT = "agent"


def simple_team(name: str = AGENT) -> Team:
    """One agent without tools."""
    return Team(name, {name: AgentProfile(name)})


@attrs.define(eq=False)
class CallRig:
    """A node's worth of call, for tests."""

    system: System
    exchange: ActorRef[Attach]
    plan: CallPlan
    llm: LlmPlan
    stt: SttPlan
    tts: TtsPlan

    @classmethod
    async def open(
        cls,
        system: System,
        replies: Sequence[Any] | Callable[..., Any] = (),
        *,
        team: Team | None = None,
        floor: FloorConfig | None = None,
        stt: ScriptedSttConfig | None = None,
        stt_plan: SttPlan | None = None,
        tts: ScriptedTtsConfig | None = None,
        tts_plan: TtsPlan | None = None,
        second_voice: bool = False,
        second_model: Sequence[Any] | None = None,
        judge: Callable[[], Actor[JudgeTurn]] | None = None,
        max_calls: int = 1000,
    ) -> CallRig:
        """Start models, calls and exchange in `system`.

        Args:
            replies: what the language model says, one after another (models/llm/scripted.py). The
                first answers the call: it is the greeting.
            second_voice: a healthy voice takes over when the first one fails.
            second_model: the replies of a model that takes over when the first one fails.
            judge: makes an end-of-turn model.
        """
        llm = LlmPlan(replies)
        stt_plan, tts_plan = stt_plan or SttPlan(), tts_plan or TtsPlan()
        stt, tts = stt or ScriptedSttConfig(), tts or ScriptedTtsConfig()
        patient = Backoff(base=0.01, maximum=0.1)
        children: list[ChildSpec[Any]] = [
            vad_spec(VadConfig(engine="loudness")),
            ChildSpec("stt", partial(ScriptedStt, stt, stt_plan), backoff=patient),
            ChildSpec("tts", partial(ScriptedTts, tts, tts_plan), backoff=patient),
            ChildSpec("llm", partial(ScriptedLlm, llm), backoff=patient),
        ]
        voices, models = ["/models/tts"], ["/models/llm"]
        if second_voice:
            children.append(ChildSpec("tts-2", partial(ScriptedTts, tts, TtsPlan())))
            voices.append("/models/tts-2")
        if second_model is not None:
            children.append(ChildSpec("llm-2", partial(ScriptedLlm, LlmPlan(second_model))))
            models.append("/models/llm-2")
        if judge is not None:
            children.append(ChildSpec("turn", judge))
        await system.start_child(ChildSpec("models", partial(Supervisor, children)))
        plan = CallPlan(
            team or simple_team(),
            "/models/vad/detector",
            ("/models/stt",),
            tuple(voices),
            tuple(models),
            floor=floor or FloorConfig(),
            turn="/models/turn" if judge is not None else "",
        )
        await system.start_child(ChildSpec("calls", DynamicSupervisor))
        exchange = await system.spawn(Exchange, plan, ExchangeConfig(max_calls), path="/exchange")
        return cls(system, exchange, plan, llm, stt_plan, tts_plan)

    def person(self, **options: Any) -> Loopback:
        """Somebody who has not called yet; options are those of `Loopback`."""
        return Loopback(self.system, self.exchange, **options)

    async def call(self, **options: Any) -> Loopback:
        """Somebody who calls."""
        person = self.person(**options)
        await person.attach()
        return person

    def path(self, person: Loopback) -> str:
        """The path of the call that this person is in."""
        assert person.attached is not None, "this person has not called yet"
        return f"{self.plan.calls}/{person.attached.call}"

    async def status(self, person: Loopback) -> CallStatus:
        """How that person's call stands."""
        return await self.system.ref(f"{self.path(person)}/call").ask(DescribeCall())

    async def history(self, person: Loopback) -> tuple[Item, ...]:
        """What history says."""
        return (await self.status(person)).history

    async def said(self, person: Loopback) -> str:
        """What history says that the agent said."""
        items = await self.history(person)
        return " ".join(item.text for item in items if isinstance(item, AgentSaid))


def say(text: str, seconds_per_word: float = 0.3, rate: int = 16000) -> bytes:
    """The sound of somebody who says this."""
    return speech_pcm(text, rate, seconds_per_word)


def heard_words(person: Loopback) -> str:
    """What the person heard, as far as it was whole words."""
    return " ".join(word.text for word in heard(person))


def heard(person: Loopback, whole: float = 0.0) -> Sequence[Word]:
    """The words the person heard, in seconds of sound; only those that lasted `whole` seconds."""
    listener = Listener(person.rate_out)
    for piece in person.heard():
        listener.hear(piece.pcm)
    return [word for word in listener.words() if word.end - word.start >= whole - 1e-4]


def holes(person: Loopback) -> Sequence[float]:
    """Seconds of silence between two stretches of sound the person heard, in order."""
    pieces = [piece for piece in person.heard() if not piece.silent]
    return [b.start - a.end for a, b in pairwise(pieces) if b.start - a.end > 1e-6]


def noise(seconds: float, rate: int = 16000, loudness: int = 8000) -> bytes:
    """A sound that is loud and says nothing: a square wave of 100 Hz."""
    half = rate // 200
    wave = struct.pack(f"<{half}h", *[loudness] * half) + struct.pack(
        f"<{half}h", *[-loudness] * half
    )
    return (wave * (round(seconds * 100) + 1))[: 2 * round(seconds * rate)]
