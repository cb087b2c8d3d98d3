"""The load scenario of `voice`, `bargein` and `pacing`: many calls on one node, in real time.

Per session a phrase of real speech every 8.1 s, and replies of 10 s that the next one interrupts.
The voice detector is the real one (silero on onnxruntime), everything between the wire and the
models is the product; recogniser, language model and voice are stand-ins that answer in the time
that quick real ones take (150 ms, at once, 50 ms). Each load runs in a process of its own on one
pinned core, the far ends (loopbacks) included.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import attrs
import trio

import transports.loopback
from actors.call.exchange import Exchange, ExchangeConfig
from actors.call.tree import CallPlan
from actors.interpreter import Collector, share_among_threads
from actors.machines.profiles import FloorConfig
from actors.testing import simple_team
from bench.measure import percentile, pin
from models.audio import Frame, read_wav
from models.faults import ModelFault
from models.llm.scripted import LlmPlan, ScriptedLlm
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from models.tts.scripted import ScriptedTts, ScriptedTtsConfig, TtsPlan
from models.vad.config import VadConfig
from models.vad.hub import vad_spec
from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Mailbox,
    Promise,
    SupervisionConfig,
    Supervisor,
    System,
    handles,
    open_system,
)
from supervision.secret import Secret
from transports.far_end import FarEnd
from transports.leg import (
    Attach,
    Attached,
    Clear,
    Cleared,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    ShowTurn,
    Typed,
    WireCapabilities,
    WireEvent,
    WireMessage,
)
from transports.loopback import Loopback
from transports.microphones import Microphones, Spoken

PHRASES = Path(__file__).parent / "phrases"
PERIOD = 8.1
"""Seconds from one phrase of a session to its next."""
REPLY_WORDS = 34
"""At 0.3 s a word: 10 s."""
WARM = 8.0
"""Seconds before anything is measured: everybody has been greeted, everybody speaks once."""
SETTLE = 1.0
"""Seconds after the collection before the load, which holds everybody up for a tenth of one."""
SENT_AHEAD = 3
"""Frames at the beginning of a stretch of speech that leave before their time."""
STT_LATENCY = 0.15


@attrs.frozen
class _Voice:
    """Time for a frame."""


@attrs.frozen
class _Answer:
    stream: str
    number: int


class QuickEars(Actor[SttMessage | _Answer]):
    """Understands nothing and says so in time: two words for each utterance, 150 ms after it."""

    realtime = True
    mailbox = Mailbox(20_000)

    def on_start(self) -> None:
        self._open: dict[str, tuple[OpenStream, Promise[StreamClosed | ModelFault]]] = {}
        self._samples: dict[str, int] = {}

    @handles
    def on_open(self, message: OpenStream) -> None:
        self._open[message.stream] = (message, self.defer())
        self._samples[message.stream] = 0

    @handles
    def on_audio(self, message: Audio) -> None:
        self._samples[message.stream] += len(message.pcm) // 2

    @handles
    def on_flush(self, message: Flush) -> None:
        self.send_after(STT_LATENCY, _Answer(message.stream, message.number))

    @handles
    def on_answer(self, message: _Answer) -> None:
        if message.stream in self._open:
            end = self._samples[message.stream] / self._open[message.stream][0].rate
            text = "another question"
            self._open[message.stream][0].to.tell(
                Transcript(message.stream, text, True, end, end, flush=message.number)
            )

    @handles
    def on_close(self, message: CloseStream) -> None:
        opened = self._open.pop(message.stream, None)
        if opened is not None:
            opened[1].resolve(StreamClosed(message.stream))


@attrs.frozen
class Load:
    """What one run gave."""

    sessions: int
    cpu_ms: float
    """Milliseconds of processor per session and second, all threads."""
    bargein_ms: tuple[float, ...]
    """From the first sample of a phrase to the end of playout, each."""
    lateness_ms: tuple[float, ...]
    """How much later than its due time each frame was played out."""
    missed: int
    """Phrases that interrupted nothing although the agent was speaking."""
    turns: tuple[ShowTurn, ...] = ()
    """The latency of every turn and its parts, as the session shows them, if asked for."""

    @property
    def p50(self) -> float:
        return median(self.bargein_ms) if self.bargein_ms else math.nan

    @property
    def p95(self) -> float:
        return percentile(self.bargein_ms, 0.95) if self.bargein_ms else math.nan


def phrases() -> Sequence[bytes]:
    """The shipped phrases: flite's voice rms, 16 kHz, trimmed to their first sound."""
    return tuple(read_wav(path).pcm for path in sorted(PHRASES.glob("*.wav")))


async def start_node(system: System, profile: str = "balanced", gather_ms: float = 8.0) -> CallPlan:
    """Models, calls and exchange, as in a real node."""
    reply = " ".join(["and"] * REPLY_WORDS)
    children: list[ChildSpec[Any]] = [
        vad_spec(VadConfig(gather_ms=gather_ms)),
        ChildSpec("stt", QuickEars),
        ChildSpec("tts", partial(ScriptedTts, ScriptedTtsConfig(), TtsPlan())),
        ChildSpec("llm", partial(ScriptedLlm, LlmPlan(lambda _request: reply))),
    ]
    await system.start_child(ChildSpec("models", partial(Supervisor, children)))
    plan = CallPlan(
        simple_team(),
        "/models/vad/detector",
        ("/models/stt",),
        ("/models/tts",),
        ("/models/llm",),
        floor=FloorConfig(profile=profile),
    )
    await system.start_child(ChildSpec("calls", DynamicSupervisor))
    await system.spawn(Exchange, plan, ExchangeConfig(), path="/exchange")
    return plan


def run_load(
    sessions: int,
    seconds: float,
    profile: str = "balanced",
    core: int = -1,
    text_load: int = 0,
    *,
    shows: bool = False,
) -> Load:
    """Run the scenario. For a process of its own: it pins and tunes itself as `troupe run` does."""
    pin({core} - {-1})
    transports.loopback.FarEnd = TimedEnd  # type: ignore[attr-defined]
    share_among_threads(0.5)
    return trio.run(_load, sessions, seconds, profile, text_load, shows)


class Answering(Actor[Attach | Frame | WireEvent | _Voice]):
    """A call that is none: it takes sound, and gives as much. To see what far ends cost alone."""

    realtime = True
    mailbox = Mailbox(20_000)

    def __init__(self) -> None:
        super().__init__()
        self._wires: list[ActorRef[WireMessage]] = []
        self._frame = Frame(bytes(640), 16000)

    def on_start(self) -> None:
        self.send_every(0.02, _Voice())

    @handles
    def on_attach(self, message: Attach) -> Attached:
        self._wires.append(message.wire)
        return Attached("c-1", "a", self.ref, self.ref, Secret("none"))

    @handles
    def on_voice(self, message: _Voice) -> None:
        for wire in self._wires:
            wire.tell(self._frame)

    @handles(Frame, Played, Cleared, MarkPlayed, Dtmf, Typed, Muted, HungUp)
    def on_anything(self, message: Frame | WireEvent) -> None:
        pass


def run_far_ends(sessions: int, seconds: float, core: int = -1) -> float:
    """Milliseconds of processor per session and second that the loopbacks cost by themselves."""
    pin({core} - {-1})
    return trio.run(_far_ends, sessions, seconds)


async def _far_ends(sessions: int, seconds: float) -> float:
    async with open_system(SupervisionConfig(mailbox=20_000), name="bench") as system:
        host = await system.spawn(Answering)
        people = await _people(system, host, sessions)
        for person in people:
            await person.attach()
        await trio.sleep(1.0)
        cpu = process_time()
        await trio.sleep(seconds)
        return 1000 * (process_time() - cpu) / seconds / sessions


async def _people(
    system: System, host: ActorRef[Attach], count: int, *, shows: bool = False
) -> Sequence[Loopback]:
    microphones = await system.spawn(Microphones)
    can = WireCapabilities(reports_played=True, counts_cleared=True, send_ahead=0.02, shows=shows)
    return [
        Loopback(system, host, capabilities=can, buffer=0.0, microphones=microphones, record=False)
        for _ in range(count)
    ]


async def _load(sessions: int, seconds: float, profile: str, text_load: int, shows: bool) -> Load:
    sounds = phrases()
    config = SupervisionConfig(mailbox=20_000)
    async with open_system(config, name="bench") as system:
        await start_node(system, profile)
        exchange = system.ref("/exchange")
        people = await _people(system, exchange, sessions, shows=shows)
        spoken: list[list[Spoken]] = [[] for _ in people]
        for _ in range(text_load):
            await system.spawn(Chatter)
        async with trio.open_nursery() as nursery:
            for number, person in enumerate(people):
                offset = PERIOD * number / sessions
                nursery.start_soon(_session, person, offset, sounds, number, spoken[number])
            await trio.sleep(WARM)
            Collector()
            await trio.sleep(SETTLE)
            begun, cpu = trio.current_time(), process_time()
            await trio.sleep(seconds)
            cpu = process_time() - cpu
            ended = trio.current_time()
            nursery.cancel_scope.cancel()
        bargeins, missed = _bargeins(people, spoken, begun, ended)
        lateness = _lateness(people, begun)
    return Load(
        sessions,
        1000 * cpu / (ended - begun) / sessions,
        tuple(bargeins),
        tuple(lateness),
        missed,
        tuple(
            event.message
            for person in people
            for event in person.events
            if isinstance(event.message, ShowTurn) and event.at >= begun
        ),
    )


async def _session(
    person: Loopback, offset: float, sounds: Sequence[bytes], number: int, spoken: list[Spoken]
) -> None:
    await trio.sleep(offset)
    await person.attach()
    start = trio.current_time() + 2.0
    for turn in range(10_000):
        # Not a multiple of 20 or 32 ms, so that phrases begin in every phase of the windows.
        await trio.sleep_until(start + turn * (PERIOD + 0.0037))
        spoken.append(person.speak(sounds[(number + turn) % len(sounds)]))


def _bargeins(
    people: Sequence[Loopback], spoken: Sequence[Sequence[Spoken]], begun: float, ended: float
) -> tuple[list[float], int]:
    delays, missed = [], 0
    for person, phrases_said in zip(people, spoken, strict=True):
        clears = [event.at for event in person.events if isinstance(event.message, Clear)]
        for phrase in phrases_said:
            if not begun <= phrase.start <= ended - 2.0:
                continue
            after = [at for at in clears if phrase.start <= at <= phrase.start + 2.0]
            if after:
                delays.append(1000 * (after[0] - phrase.start))
            else:
                missed += 1
    return delays, missed


class TimedEnd(FarEnd):
    """A far end that notes when each frame came."""

    arrivals: list[tuple[float, int]]

    def receive(self, pcm: bytes, at: float) -> None:
        self.__dict__.setdefault("arrivals", []).append((at, len(pcm) // 2))
        super().receive(pcm, at)


def _lateness(people: Sequence[Loopback], begun: float) -> Iterator[float]:
    """Of every frame since `begun`, against the most punctual one of its stretch of speech."""
    for person in people:
        for ears in person._ears:
            for whole in _stretches(ears.__dict__.get("arrivals", ())):
                # Not those before: the collection then held everybody up, and a track that is late
                # by more than a tenth of a second moves its clock.
                stretch = [(at, samples) for at, samples in whole if at >= begun]
                offsets, played = [], 0.0
                for at, samples in stretch:
                    offsets.append(at - played)
                    played += samples / ears.rate
                on_time = min(offsets, default=0.0)
                yield from (1000 * (offset - on_time) for offset in offsets)


def _stretches(
    arrivals: Sequence[tuple[float, int]],
) -> Iterator[Sequence[tuple[float, int]]]:
    """Frames that follow each other without a pause; what is sent ahead at first is left out."""
    stretch: list[tuple[float, int]] = []
    for at, samples in arrivals:
        if stretch and at - stretch[-1][0] > 0.2:
            if len(stretch) > SENT_AHEAD:
                yield stretch[SENT_AHEAD:]
            stretch = []
        stretch.append((at, samples))
    if len(stretch) > SENT_AHEAD:
        yield stretch[SENT_AHEAD:]


@attrs.frozen
class Chat:
    """Text that is passed on."""

    text: str


class Chatter(Actor[Chat]):
    """The text load: fifty messages a second, each handled in a tenth of a millisecond or so."""

    def on_start(self) -> None:
        self.send_every(0.02, Chat("hello " * 50))

    @handles
    def on_chat(self, message: Chat) -> None:
        for _ in range(20):
            message.text.upper().split()
