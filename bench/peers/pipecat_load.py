"""The load of calls.py for Pipecat 1.14. A script for an interpreter that has Pipecat, not Troupe.

    python -I pipecat_load.py '{"sessions": 10, "seconds": 30, ...}'

The scenario is one JSON object (`Scenario`), and so is the result, on the last line of the output:
`cpu_ms` per session and second, and of it what the people cost who talk, `people_ms`; when the
measurement `begun` and `ended`, seconds of the monotonic clock; of each of the `sessions` the
phrases, `[when, whether over a reply]`, and when the agent was silenced. How fair: pipecat.py.
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
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import NoReturn

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
from pipecat.workers.runner import WorkerRunner  # type: ignore[import-not-found]

RATE = 16000
FRAME = 0.02
"""Seconds of one frame, in and out."""
SILENCE = bytes(round(RATE * FRAME) * 2)
BEAT = 0.005
"""Seconds between two looks at who is due, as our Microphones have it."""
FIRST_PHRASE = 2.0
"""Seconds a session listens to its greeting before it says something."""
PEOPLE_SECONDS = 3.0
"""How long what the people cost by themselves is measured."""
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

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            # Longer than it takes to answer lies between two of these: one task at most.
            self.create_task(self._transcribe())

    async def _transcribe(self) -> None:
        await asyncio.sleep(self._latency)
        await self.push_frame(TranscriptionFrame("what else", "user", "", finalized=True))


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
        self._due, self._told = 0.0, -math.inf
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
            self._told, self._due = monotonic(), 0.0
            self.silenced.append(self._told)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.last = now = monotonic()
        # No answer begins that soon, so it is a straggler of the reply that was interrupted.
        if now - self._told < 0.3:
            self.silenced[-1] = now
        wait = max(0.0, self._due - now)
        await asyncio.sleep(wait)
        self._due = self._due + FRAME if wait else monotonic() + FRAME
        return True


@dataclass
class Person:
    """Who talks to a pipeline: silence, and a phrase now and then."""

    number: int
    offset: float
    """Seconds after the first person that this one begins."""
    say: Callable[[InputAudioRawFrame], Awaitable[None]]
    speaker: Speaker | None = None
    """What is listened to; None: nothing."""
    said: list[tuple[float, bool]] = field(default_factory=list)
    """When the first sample of each phrase was said, and whether over a reply."""
    clock: float = math.inf
    """When the sample before the next frame was said."""
    began: float = math.inf
    """When the microphone was turned on."""
    _frames: deque[bytes] = field(default_factory=deque)

    def begin_phrase_if_due(self, period: float, sounds: Sequence[bytes]) -> None:
        """Say one, from the next frame on, when the time for it has come."""
        turn = len(self.said)
        # Not a multiple of 20 or 32 ms, so that phrases begin in every phase of the windows.
        if not self.began + FIRST_PHRASE + turn * (period + 0.0037) <= self.clock < math.inf:
            return
        sound = sounds[(self.number + turn) % len(sounds)]
        size = len(SILENCE)
        self._frames.extend(sound[begin : begin + size] for begin in range(0, len(sound), size))
        # Half a second is no pause: a machine with too much to do plays with gaps.
        over = self.speaker is not None and self.speaker.last > self.clock - 0.5
        self.said.append((self.clock, over))

    async def give_due(self, now: float) -> None:
        """Give all frames that are complete by now."""
        while self.clock + FRAME <= now:
            pcm = self._frames.popleft() if self._frames else SILENCE
            self.clock += len(pcm) / (2 * RATE)
            await self.say(InputAudioRawFrame(pcm, RATE, 1))


async def talk(people: Sequence[Person], period: float, sounds: Sequence[bytes]) -> NoReturn:
    """Be all the people, on one beat."""
    begun = beat = monotonic()
    waiting = deque(people)
    while True:
        now = monotonic()
        while waiting and begun + waiting[0].offset <= now:
            person = waiting.popleft()
            person.began = person.clock = now
        for person in people:
            person.begin_phrase_if_due(period, sounds)
            await person.give_due(now)
        beat += BEAT
        await asyncio.sleep(max(0.0, beat - monotonic()))


class Session:
    """One pipeline as Pipecat's examples have it, with stand-ins for the services."""

    def __init__(self, scenario: Scenario, number: int, word: bytes) -> None:
        params = TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=RATE,
            audio_out_enabled=True,
            audio_out_sample_rate=RATE,
            audio_out_10ms_chunks=round(FRAME * 100),
        )
        microphone, self.speaker = Microphone(params), Speaker(params)
        offset = scenario.period * number / scenario.sessions
        self.person = Person(number, offset, microphone.push_audio_frame, self.speaker)
        vad = SileroVADAnalyzer(params=SETTINGS[scenario.settings])
        turns = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()])
        aggregators = LLMContextAggregatorPair(
            LLMContext(),
            user_params=LLMUserAggregatorParams(vad_analyzer=vad, user_turn_strategies=turns),
        )
        processors = [
            microphone,
            Ears(scenario.stt_latency),
            aggregators.user(),
            Mind(" ".join(["and"] * scenario.reply_words)),
            Voice(word),
            self.speaker,
            aggregators.assistant(),
        ]
        self.worker = PipelineWorker(
            Pipeline(processors),
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )
        self.worker.add_event_handler("on_pipeline_started", self._on_started)
        self._started = asyncio.Event()
        self._runner = WorkerRunner(handle_sigint=False)

    async def start(self) -> None:
        """Return when the pipeline runs."""
        await self._runner.add_workers(self.worker)
        self._running = asyncio.create_task(self._runner.run())
        await asyncio.wait_for(self._started.wait(), 60)

    async def greet(self) -> None:
        """Have the agent speak when the person begins to listen."""
        await asyncio.sleep(self.person.offset)
        await self.worker.queue_frame(LLMRunFrame())

    async def stop(self) -> None:
        await self._runner.cancel()
        await asyncio.wait_for(self._running, 30)

    async def _on_started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self._started.set()


async def run(scenario: Scenario) -> dict[str, object]:
    """Run the scenario, and say what came of it."""
    sounds = [read(path) for path in scenario.phrases]
    word = sounds[0][: round(RATE * WORD) * 2]
    alone = [Person(number, 0.0, nobody_listens) for number in range(scenario.sessions)]
    talking = talk(alone, scenario.period, sounds)
    people_ms, _, _ = await measure(talking, 0.5, PEOPLE_SECONDS)
    sessions = [Session(scenario, number, word) for number in range(scenario.sessions)]
    for session in sessions:
        await session.start()
    greetings = asyncio.gather(*(session.greet() for session in sessions))
    people = [session.person for session in sessions]
    talking = talk(people, scenario.period, sounds)
    cpu_ms, begun, ended = await measure(talking, scenario.warm, scenario.seconds)
    await greetings
    for session in sessions:
        await session.stop()
    return {
        "cpu_ms": cpu_ms / len(people),
        "people_ms": people_ms / len(people),
        "begun": begun,
        "ended": ended,
        "sessions": [(session.person.said, session.speaker.silenced) for session in sessions],
    }


async def measure(
    people: Coroutine[object, object, NoReturn], warm: float, seconds: float
) -> tuple[float, float, float]:
    """Let people talk: milliseconds of processor a second, from when, until when."""
    talking = asyncio.create_task(people)
    await asyncio.sleep(warm)
    gc.collect()
    gc.freeze()
    begun, cpu = monotonic(), process_time()
    await asyncio.sleep(seconds)
    cpu, ended = process_time() - cpu, monotonic()
    if talking.done():
        talking.result()  # it failed, and this tells how
    talking.cancel()
    await asyncio.wait([talking])
    return 1000 * cpu / (ended - begun), begun, ended


async def nobody_listens(_frame: InputAudioRawFrame) -> None:
    """Where people talk to whose own cost is measured."""


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
