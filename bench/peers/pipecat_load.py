"""The load of calls.py for Pipecat 1.14. A script for an interpreter that has Pipecat, not Troupe.

    python -I pipecat_load.py '{"sessions": 10, "seconds": 30, ...}'

The scenario is one JSON object (`Scenario`), and so is the result, on the last line of the output:
`cpu_ms` per session and second; when measuring `begun` and `ended`, seconds of the monotonic clock;
and of each session the phrases (`said`: when, and whether over a reply) and when the agent was
`silenced`. What is fair about it and what not is in pipecat.py.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import sys
import wave
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time

from loguru import logger  # type: ignore[import-not-found]
from pipecat.audio.vad.silero import SileroVADAnalyzer  # type: ignore[import-not-found]
from pipecat.audio.vad.vad_analyzer import VADParams  # type: ignore[import-not-found]
from pipecat.frames.frames import (  # type: ignore[import-not-found]
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # type: ignore[import-not-found]
from pipecat.pipeline.worker import (  # type: ignore[import-not-found]
    PipelineParams,
    PipelineWorker,
)
from pipecat.processors.aggregators.llm_context import (  # type: ignore[import-not-found]
    LLMContext,
)
from pipecat.processors.aggregators.llm_response_universal import (  # type: ignore[import-not-found]
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import (  # type: ignore[import-not-found]
    FrameDirection,
    FrameProcessor,
)
from pipecat.transports.base_input import BaseInputTransport  # type: ignore[import-not-found]
from pipecat.transports.base_output import BaseOutputTransport  # type: ignore[import-not-found]
from pipecat.transports.base_transport import TransportParams  # type: ignore[import-not-found]
from pipecat.turns.user_stop import (  # type: ignore[import-not-found]
    SpeechTimeoutUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import (  # type: ignore[import-not-found]
    UserTurnStrategies,
)
from pipecat.utils.time import time_now_iso8601  # type: ignore[import-not-found]
from pipecat.workers.runner import WorkerRunner  # type: ignore[import-not-found]

RATE = 16000
FRAME = 0.02
"""Seconds of one frame, in and out."""
SILENCE = bytes(round(RATE * FRAME) * 2)
BEAT = 0.005
"""Seconds between two looks at who is due, as our Microphones have it."""
FIRST_PHRASE = 2.0
"""Seconds a session listens to its greeting before it says something."""
WORD = 0.3
"""Seconds of sound for a word."""
TTS_LATENCY = 0.05
SETTINGS = {
    "default": VADParams(),
    "eager": VADParams(start_secs=0.0, confidence=0.5, min_volume=0.0),
}


@dataclass(frozen=True)
class Scenario:
    """What is to be run; times in seconds."""

    sessions: int
    seconds: float
    warm: float
    period: float
    reply_words: int
    stt_latency: float
    settings: str
    """One of `SETTINGS`."""
    core: int
    """-1: all."""
    phrases: Sequence[str]
    """Wave files, 16 kHz, mono."""


class Ears(FrameProcessor):  # type: ignore[misc]
    """Understands nothing and says so in time: two words for each stretch of speech."""

    def __init__(self, latency: float) -> None:
        super().__init__()
        self._latency = latency
        self._answer: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._forget()
            self._answer = self.create_task(self._transcribe())

    async def _transcribe(self) -> None:
        await asyncio.sleep(self._latency)
        text, now = "another question", time_now_iso8601()
        await self.push_frame(TranscriptionFrame(text, "user", now, finalized=True))

    async def _forget(self) -> None:
        if self._answer is not None:
            await self.cancel_task(self._answer)
            self._answer = None

    async def cleanup(self) -> None:
        await self._forget()
        await super().cleanup()


class Mind(FrameProcessor):  # type: ignore[misc]
    """Answers whatever it is asked at once, with the same words."""

    def __init__(self, reply: str) -> None:
        super().__init__()
        self._reply = reply

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self.push_frame(LLMFullResponseStartFrame())
            await self.push_frame(LLMTextFrame(self._reply))
            await self.push_frame(LLMFullResponseEndFrame())
        else:
            await self.push_frame(frame, direction)


class Voice(FrameProcessor):  # type: ignore[misc]
    """Speaks a reply: after 50 ms all of it, word by word."""

    def __init__(self, word: bytes) -> None:
        super().__init__()
        self._word = word

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            await self._speak(frame.text.split())
        else:
            await self.push_frame(frame, direction)

    async def _speak(self, words: Sequence[str]) -> None:
        await asyncio.sleep(TTS_LATENCY)
        await self.push_frame(TTSStartedFrame())
        for word in words:
            await self.push_frame(TTSTextFrame(word, "word"))
            await self.push_frame(TTSAudioRawFrame(self._word, RATE, 1))
        await self.push_frame(TTSStoppedFrame())


class Microphone(BaseInputTransport):  # type: ignore[misc]
    """An input with nothing behind it: frames are pushed into it."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class Speaker(BaseOutputTransport):  # type: ignore[misc]
    """An output with nothing behind it: it takes a frame when the one before has been played.

    It keeps time, and begins anew after an interruption, as Pipecat's WebSocket transports do;
    those send at twice the pace, this one at that of a player.
    """

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self._due = 0.0
        self.last = -math.inf
        """When the newest frame came, in seconds of the monotonic clock."""
        self.silenced: list[float] = []
        """When it was told to drop what it has; or, if frames came after that, the last of them."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self.silenced.append(monotonic())
            self._due = 0.0

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.last = now = monotonic()
        # No answer begins that soon, so it is a straggler of the reply that was interrupted.
        if self.silenced and now - self.silenced[-1] < 0.3:
            self.silenced[-1] = now
        wait = max(0.0, self._due - now)
        await asyncio.sleep(wait)
        self._due = self._due + FRAME if wait else monotonic() + FRAME
        return True


@dataclass(frozen=True)
class Phrase:
    """Something that was said."""

    start: float
    """When its first sample was."""
    over: bool
    """Whether a reply was being played just then."""


@dataclass
class Session:
    """One pipeline, and the person who talks to it."""

    number: int
    offset: float
    """Seconds after the first session that it begins."""
    microphone: Microphone
    speaker: Speaker
    worker: PipelineWorker
    started: asyncio.Event = field(default_factory=asyncio.Event)
    said: list[Phrase] = field(default_factory=list)
    clock: float = math.inf
    """When the sample before the next frame was said."""
    _frames: deque[bytes] = field(default_factory=deque)
    _first: float = math.inf

    async def begin(self, at: float) -> None:
        """Turn the microphone on, and have a greeting spoken."""
        self.clock = at
        self._first = at + FIRST_PHRASE
        await self.worker.queue_frame(LLMRunFrame())

    def say_if_due(self, period: float, sounds: Sequence[bytes]) -> None:
        """Begin a phrase, with the next frame, when the time for it has come."""
        turn = len(self.said)
        # Not a multiple of 20 or 32 ms, so that phrases begin in every phase of the windows.
        if self.clock < self._first + turn * (period + 0.0037):
            return
        sound = sounds[(self.number + turn) % len(sounds)]
        size = len(SILENCE)
        self._frames.extend(sound[begin : begin + size] for begin in range(0, len(sound), size))
        self.said.append(Phrase(self.clock, self.speaker.last > self.clock - 0.1))

    async def feed(self, now: float) -> None:
        """Give all frames that are complete by now."""
        while self.clock + FRAME <= now:
            pcm = self._frames.popleft() if self._frames else SILENCE
            self.clock += len(pcm) / (2 * RATE)
            await self.microphone.push_audio_frame(InputAudioRawFrame(pcm, RATE, 1))


def new_session(scenario: Scenario, number: int, word: bytes) -> Session:
    """A pipeline as Pipecat's examples have it, with stand-ins for the services."""
    params = TransportParams(
        audio_in_enabled=True,
        audio_in_sample_rate=RATE,
        audio_out_enabled=True,
        audio_out_sample_rate=RATE,
        audio_out_10ms_chunks=round(FRAME * 100),
    )
    microphone, speaker = Microphone(params), Speaker(params)
    aggregators = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(params=SETTINGS[scenario.settings]),
            user_turn_strategies=UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()]),
        ),
    )
    pipeline = Pipeline(
        [
            microphone,
            Ears(scenario.stt_latency),
            aggregators.user(),
            Mind(" ".join(["and"] * scenario.reply_words)),
            Voice(word),
            speaker,
            aggregators.assistant(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )
    offset = scenario.period * number / scenario.sessions
    session = Session(number, offset, microphone, speaker, worker)

    async def on_started(_worker: PipelineWorker, _frame: Frame) -> None:
        session.started.set()

    worker.add_event_handler("on_pipeline_started", on_started)
    return session


async def talk(sessions: Sequence[Session], scenario: Scenario, sounds: Sequence[bytes]) -> None:
    """Be all the people, on one beat."""
    begun = beat = monotonic()
    waiting = deque(sessions)
    while True:
        now = monotonic()
        while waiting and begun + waiting[0].offset <= now:
            await waiting.popleft().begin(now)
        for session in sessions:
            session.say_if_due(scenario.period, sounds)
            await session.feed(now)
        beat += BEAT
        await asyncio.sleep(max(0.0, beat - monotonic()))


async def run(scenario: Scenario) -> dict[str, object]:
    """Run the scenario, and say what came of it."""
    sounds = [read(path) for path in scenario.phrases]
    word = sounds[0][: round(RATE * WORD) * 2]
    sessions = [new_session(scenario, number, word) for number in range(scenario.sessions)]
    runners = []
    for session in sessions:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(session.worker)
        runners.append((runner, asyncio.create_task(runner.run())))
    for session in sessions:
        await asyncio.wait_for(session.started.wait(), 60)
    people = asyncio.create_task(talk(sessions, scenario, sounds))
    await asyncio.sleep(scenario.warm)
    gc.collect()
    gc.freeze()
    begun, cpu = monotonic(), process_time()
    await asyncio.sleep(scenario.seconds)
    cpu, ended = process_time() - cpu, monotonic()
    people.cancel()
    await asyncio.wait([people])
    if not people.cancelled():
        people.result()  # it ended by an error of its own, which is told
    for runner, _running in runners:
        await runner.cancel()
    await asyncio.wait([running for _runner, running in runners], timeout=30)
    return {
        "cpu_ms": 1000 * cpu / (ended - begun) / len(sessions),
        "begun": begun,
        "ended": ended,
        "sessions": [
            {
                "said": [[phrase.start, phrase.over] for phrase in session.said],
                "silenced": session.speaker.silenced,
            }
            for session in sessions
        ],
    }


def read(path: str) -> bytes:
    """The samples of a wave file."""
    with wave.open(path) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"{path} is not 16 kHz, mono, 16 bits")
        return bytes(sound.readframes(sound.getnframes()))


def main() -> None:
    """Read the scenario, run it, print the result."""
    scenario = Scenario(**json.loads(sys.argv[1]))
    errors: list[str] = []
    logger.remove()  # it would write down every step
    logger.add(errors.append, level="ERROR", format="{name}: {message}")
    if scenario.core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {scenario.core})
    result = asyncio.run(run(scenario))
    # Pipelines go on after an error, and what is measured then is something else.
    if errors:
        sys.exit(f"{len(errors)} errors in the pipelines, the first: {errors[0]}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
