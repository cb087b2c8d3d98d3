"""A mouth without a key and a network: espeak-ng in this process, with exact word times.

It sounds like a machine, and is quick like one: the first 60 ms of sound take less than a
millisecond, a minute of it 50. The library is GPL-3.0-or-later, so it is an optional extra.

`espeak_spec` is the whole of it as a child spec; users talk to its child `front`:

    /…/<id>          one_for_one
    ├─ engine        an `EspeakEngine`: a thread that speaks one piece at a time
    └─ front         an `EspeakTts`, which takes `TtsMessage`, and gives every utterance its turn
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from functools import partial
from typing import Any, assert_never

import attrs
from attrs.validators import ge, gt, le, min_len

from models.faults import FaultKind, ModelFault
from models.local import require
from models.tts.espeak_engine import EspeakEngine, Speak, Spoken
from models.tts.protocol import CancelSpeech, Synthesize, Synthesized, TtsMessage
from supervision import (
    Actor,
    ActorRef,
    AskTimeout,
    ChildSpec,
    Promise,
    Refused,
    Supervisor,
)
from supervision.resilience import (
    BreakerConfig,
    BreakerStatistics,
    CircuitBreaker,
    Denied,
    Permit,
)

FRONT = "front"
"""The child of `espeak_spec` that takes `TtsMessage`."""
ENGINE = "engine"


@attrs.frozen
class EspeakConfig:
    """How it speaks."""

    name: str = attrs.field(default="espeak", validator=min_len(1))
    """What it is called in faults."""
    voice: str = attrs.field(default="en-us", validator=min_len(1))
    """As espeak-ng names it: a language, and a variant if you like ("en-us+f3")."""
    words_per_minute: int = attrs.field(default=175, validator=[ge(80), le(450)])
    """How fast."""
    pitch: int = attrs.field(default=50, validator=[ge(0), le(100)])
    """How high; 50 is the voice's own."""
    volume: int = attrs.field(default=100, validator=[ge(0), le(200)])
    """Percent of the voice's own loudness."""
    pause: float = attrs.field(default=0.2, validator=[ge(0), le(2)])
    """Seconds of silence before each piece of an utterance but its first (number 0). Before, for
    silence after the last one would look as if it were still speaking."""
    longest: int = attrs.field(default=1000, validator=ge(1))
    """Characters in one piece; longer ones are refused. Its sound is told in chunks of 60 ms, all
    at once: 1000 characters are about as many chunks as a mailbox holds."""
    waiting: int = attrs.field(default=1000, validator=ge(1))
    """Pieces that may wait for their turn; what is more is refused as RATE_LIMITED."""
    patience: float = attrs.field(default=5.0, validator=gt(0))
    """Seconds one piece may take."""
    breaker: BreakerConfig = attrs.field(factory=lambda: BreakerConfig(rest=10.0))


def espeak_spec(config: EspeakConfig, id: str = "espeak") -> ChildSpec[Any]:
    """The voice and its thread. Its users ask the child `front`.

    Raises:
        EngineMissing: the package is not installed.
    """
    require(config.name, "espeakng_loader")
    engine = ChildSpec(ENGINE, partial(EspeakEngine, config.name))
    front = ChildSpec(FRONT, partial(EspeakTts, config))
    return ChildSpec(id, partial(Supervisor, [engine, front]))


@attrs.frozen
class EspeakStatistics:
    """What the voice has done since its front was started."""

    waiting: int
    """Pieces, the one being spoken included."""
    spoken: int
    cancelled: int
    breaker: BreakerStatistics


@attrs.define(eq=False)
class _Piece:
    """A piece that is to be spoken."""

    request: Synthesize
    answer: Promise[Synthesized | ModelFault]


@attrs.define(eq=False)
class _Speaking:
    """The piece the engine has in hand."""

    piece: _Piece
    cancelled: threading.Event
    """Set to have the engine's thread stop within a chunk."""
    permit: Permit


@attrs.frozen
class _Done:
    """The engine has answered."""

    speaking: _Speaking
    spoken: Spoken


@attrs.frozen
class _Failed:
    """The engine has not."""

    speaking: _Speaking
    error: Exception


class EspeakTts(Actor[TtsMessage | _Done | _Failed]):
    """The front: one piece of each utterance in turn, so that nobody waits for a long speech."""

    def __init__(self, config: EspeakConfig) -> None:
        super().__init__()
        self._config = config
        self._breaker = CircuitBreaker(config.breaker)
        self._queue: OrderedDict[str, deque[_Piece]] = OrderedDict()
        """Pieces that wait, by utterance, the utterance whose turn is next first."""
        self._waiting = 0
        self._speaking: _Speaking | None = None
        self._spoken = 0
        self._cancelled = 0

    def on_start(self) -> None:
        """Find the engine, which was started before."""
        self._engine: ActorRef[Speak] = self.system.ref(f"{self.path.rpartition('/')[0]}/{ENGINE}")

    def on_stop(self) -> None:
        """Nobody will be told how it ends."""
        self._hush()

    def on_failure(self, *_: object) -> None:
        """Whoever asked has been told that it is over."""
        self._hush()

    def statistics(self) -> EspeakStatistics:
        busy = self._speaking is not None
        return EspeakStatistics(
            self._waiting + busy, self._spoken, self._cancelled, self._breaker.statistics()
        )

    def on_receive(self, message: TtsMessage | _Done | _Failed) -> Synthesized | ModelFault | None:
        match message:
            case Synthesize():
                return self._take(message)
            case CancelSpeech(utterance):
                self._cancel(utterance)
            case _Done():
                self._done(message)
            case _Failed():
                self._failed(message)
            case _:
                assert_never(message)
        return None

    def _fault(self, kind: FaultKind, detail: str = "", retry_after: float = 0.0) -> ModelFault:
        return ModelFault(self._config.name, kind, detail, retry_after)

    def _take(self, message: Synthesize) -> ModelFault | None:
        if len(message.text) > self._config.longest:
            detail = f"a piece has at most {self._config.longest} characters"
            return self._fault(FaultKind.REJECTED, detail)
        if self._waiting >= self._config.waiting:
            return self._fault(FaultKind.RATE_LIMITED, "too many pieces wait", retry_after=0.5)
        self._queue.setdefault(message.utterance, deque()).append(_Piece(message, self.defer()))
        self._waiting += 1
        self._next()
        return None

    def _next(self) -> None:
        """Have the next piece spoken, if there is one and the engine is idle."""
        while self._queue and self._speaking is None:
            utterance, pieces = self._queue.popitem(last=False)
            piece = pieces.popleft()
            self._waiting -= 1
            if pieces:
                self._queue[utterance] = pieces  # at the end: the others first
            if not piece.request.text.strip():
                piece.answer.resolve(Synthesized(utterance, piece.request.piece, 0.0))
                continue
            permit = self._breaker.allow(self.now)
            if isinstance(permit, Denied):
                wait = max(0.0, permit.until - self.now)
                piece.answer.resolve(self._fault(FaultKind.BREAKER_OPEN, retry_after=wait))
                continue
            self._speak(_Speaking(piece, threading.Event(), permit))

    def _speak(self, speaking: _Speaking) -> None:
        self._speaking = speaking
        request, config = speaking.piece.request, self._config
        speak = Speak(
            request.utterance,
            request.piece,
            request.text,
            request.to,
            request.voice or self._voice_of(request.language),
            config.words_per_minute,
            config.pitch,
            config.volume,
            config.pause if request.piece else 0.0,
            speaking.cancelled,
        )
        self.pipe(
            self._engine.ask(speak, timeout=config.patience),
            to=partial(_Done, speaking),
            failed=partial(_Failed, speaking),
        )

    def _voice_of(self, language: str) -> str:
        """The configured voice, if it speaks the language; else the library's own choice."""
        own = self._config.voice.partition("+")[0].partition("-")[0]
        return self._config.voice if language.partition("-")[0] == own else language.lower()

    def _done(self, message: _Done) -> None:
        speaking, spoken = message.speaking, message.spoken
        request = speaking.piece.request
        self._speaking = None
        answer: Synthesized | ModelFault
        if speaking.cancelled.is_set():
            self._breaker.cancelled(speaking.permit, self.now)
            self._cancelled += 1
            answer = self._fault(FaultKind.CANCELLED)
        else:
            self._breaker.succeeded(speaking.permit, self.now)
            self._spoken += 1
            answer = Synthesized(request.utterance, request.piece, spoken.seconds)
        speaking.piece.answer.resolve(answer)
        self._next()

    def _failed(self, message: _Failed) -> None:
        speaking, error = message.speaking, message.error
        self._speaking = None
        speaking.cancelled.set()  # if it is only slow, nobody waits for it any more
        match error:
            case Refused():  # no such voice: the engine is well
                self._breaker.succeeded(speaking.permit, self.now)
                fault = self._fault(FaultKind.REJECTED, error.reason)
            case AskTimeout():
                self._breaker.failed(speaking.permit, self.now)
                fault = self._fault(FaultKind.TIMEOUT)
            case _:
                self._breaker.failed(speaking.permit, self.now)
                fault = self._fault(FaultKind.UNAVAILABLE, type(error).__name__)
        speaking.piece.answer.resolve(fault)
        self._next()

    def _cancel(self, utterance: str) -> None:
        for piece in self._queue.pop(utterance, ()):
            self._waiting -= 1
            self._cancelled += 1
            piece.answer.resolve(self._fault(FaultKind.CANCELLED))
        speaking = self._speaking
        if speaking is not None and speaking.piece.request.utterance == utterance:
            # Answered when the thread has stopped: until then a chunk may still come.
            speaking.cancelled.set()

    def _hush(self) -> None:
        if self._speaking is not None:
            self._speaking.cancelled.set()
