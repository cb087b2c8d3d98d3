"""ElevenLabs' voices: one WebSocket for each utterance, with word times."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil, inf
from typing import cast
from urllib.parse import quote, urlencode

import attrs
import orjson
import trio
from attrs.validators import ge, gt, in_, instance_of, le, matches_re, min_len

from models.faults import FaultKind, ModelFault
from models.net import Call, Provider, ProviderFault, WebSocket, open_websocket
from models.net.faults import one_fault
from models.net.http import WS_URL, check_key, secure_context
from models.net.websocket import dial
from models.tts.elevenlabs_wire import ElevenLabsLine, PieceSpoken, Sound
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize, Synthesized, TtsMessage
from supervision import Actor, ChildSpec, handles
from supervision.resilience import BreakerConfig
from supervision.secret import Secret
from supervision.tasks import Task

_LONGEST_MESSAGE = 4 << 20
"""Bytes; some 70 s of sound in base64 at 22050 Hz."""
_MOST_PIECES = 256


@attrs.frozen
class ElevenLabsConfig:
    """A voice of ElevenLabs."""

    api_key: Secret = attrs.field(validator=check_key)
    """Sent with each connection."""

    voice: str = attrs.field(
        default="21m00Tcm4TlvDq8ikWAM", validator=matches_re(r"[A-Za-z0-9_-]+")
    )
    """Its id; used where a piece names none."""

    model: str = attrs.field(default="eleven_multilingual_v2", validator=min_len(1))
    """As ElevenLabs names it. The v3 models do not speak through this interface."""

    url: str = attrs.field(default="wss://api.elevenlabs.io/v1/text-to-speech", validator=WS_URL)
    """Where `/<voice>/stream-input` is appended."""

    rate: int = attrs.field(default=22050, validator=in_((16000, 22050, 24000, 44100)))
    """Samples per second."""

    stability: float = attrs.field(default=0.5, validator=[ge(0), le(1)])
    """More is steadier and less lively."""

    similarity: float = attrs.field(default=0.75, validator=[ge(0), le(1)])
    """More is closer to the voice that was cloned."""

    style: float = attrs.field(default=0.0, validator=[ge(0), le(1)])
    """More is more expressive, and slower to begin."""

    speaker_boost: bool = True
    """Closer to the speaker, and slower to begin."""

    speed: float = attrs.field(default=1.0, validator=[ge(0.7), le(1.2)])
    """Of the speech; 1 is normal."""

    first: float = attrs.field(default=1.0, validator=gt(0))
    """Seconds until the first sound of an utterance, connecting and a second attempt included."""

    stall: float = attrs.field(default=1.0, validator=gt(0))
    """Seconds that may pass without more of it while text is pending."""

    idle: float = attrs.field(default=20.0, validator=[gt(0), le(170)])
    """Seconds that a socket is kept for the next piece of its utterance."""

    concurrent: int = attrs.field(default=100, validator=[instance_of(int), ge(1)])
    """Utterances under way at the same time."""

    breaker: BreakerConfig = attrs.field(factory=BreakerConfig)


@attrs.frozen
class _SocketEnded:
    """The task of an utterance is over; to the actor itself."""

    number: int
    fault: ModelFault | None


@attrs.define(eq=False)
class _Utterance:
    """An utterance, between the handlers that add pieces and the task that has them spoken."""

    number: int
    name: str
    voice: str
    language: str
    line: ElevenLabsLine
    pieces: deque[tuple[int, Call]] = attrs.field(factory=deque)
    """Those that are not answered, in order."""
    task: Task | None = None
    wake: trio.Event = attrs.field(factory=trio.Event)
    """There is something to send."""
    watch: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Its deadline is when there must be progress, or when an idle socket is closed."""
    telling: trio.Lock = attrs.field(factory=trio.Lock)
    """What comes from the line is told in that order, whichever task it came to."""
    well: bool = False
    """Sound has come from the connection that is open."""


@contextmanager
def _unwatched(watch: trio.CancelScope) -> Iterator[None]:
    """It is not the provider that is waited for in here."""
    began, left = trio.current_time(), watch.deadline
    watch.deadline = inf
    yield
    watch.deadline = left + (trio.current_time() - began)


class ElevenLabs(Provider[TtsMessage | _SocketEnded]):
    """Speaks. An utterance is a task of this actor, which holds its socket."""

    def __init__(
        self,
        config: ElevenLabsConfig,
        name: str,
        dialled: Callable[[], Awaitable[trio.abc.Stream]] | None = None,
    ) -> None:
        """`dialled` makes the stream to the server, in tests."""
        super().__init__(name, config.breaker, config.concurrent)
        self._config = config
        self._dialled = dialled
        self._utterances: dict[str, _Utterance] = {}
        """Those that pieces can be added to."""
        self._sockets: dict[int, _Utterance] = {}
        """Those that have a task, also when they were cancelled."""

    async def on_start(self) -> None:
        context = None if self._dialled else await secure_context(self._config.url)
        self._dial = self._dialled or partial(dial, self._config.url, context)

    # -- pieces ---------------------------------------------------------------------------

    @handles
    def on_synthesize(self, message: Synthesize) -> Synthesized | ModelFault | None:
        utterance = self._utterances.get(message.utterance)
        if utterance is None:
            if not any(c.isalnum() for c in message.text):  # nothing that could be said
                return Synthesized(message.utterance, message.piece, 0.0)
            utterance = _Utterance(
                next(self._numbers),
                message.utterance,
                message.voice or self._config.voice,
                message.language,
                ElevenLabsLine(self._config.rate),
            )
            self._utterances[message.utterance] = utterance
        if len(utterance.pieces) >= _MOST_PIECES:
            return self.fault(FaultKind.RATE_LIMITED, f"{_MOST_PIECES} pieces are waiting")
        call = self.open_call(message.utterance, message.to)
        utterance.pieces.append((message.piece, call))
        utterance.line.add(message.piece, message.text, message.last)
        utterance.wake.set()
        if utterance.task is None:
            self._start(utterance)
        return None

    @handles
    def on_cancel(self, message: CancelSpeech) -> None:
        utterance = self._utterances.get(message.utterance)
        if utterance is not None:
            self._give_up(utterance, self.fault(FaultKind.CANCELLED))

    def on_call_ended(self, call: Call, answer: object) -> None:
        utterance = self._utterances.get(call.name)
        if utterance is None or all(piece is not call for _, piece in utterance.pieces):
            return
        if isinstance(answer, ModelFault):
            # What follows a gap is of no use to anybody: the fallback begins with this piece.
            self._give_up(utterance, answer)
        else:
            utterance.pieces.popleft()

    def _start(self, utterance: _Utterance) -> None:
        fault = self.guard.enter(utterance.number, self.now)
        if fault is not None:
            self._give_up(utterance, fault)
            return
        number = utterance.number
        self._sockets[number] = utterance
        utterance.task = self.start_task(
            self._hold,
            utterance,
            name=f"{self.name} {utterance.name}",
            to=lambda fault: _SocketEnded(number, fault),
            cancelled=lambda: _SocketEnded(number, self.fault(FaultKind.CANCELLED)),
        )

    def _give_up(self, utterance: _Utterance, fault: ModelFault) -> None:
        """Answer all its pieces so, and close its socket."""
        if self._utterances.get(utterance.name) is utterance:
            del self._utterances[utterance.name]
        pieces, utterance.pieces = utterance.pieces, deque()
        for _, call in pieces:
            self.end_call(call, fault)
        if utterance.task is not None:
            utterance.task.cancel()

    @handles
    def on_socket_ended(self, message: _SocketEnded) -> None:
        utterance = self._sockets.pop(message.number)
        utterance.task = None
        fault = message.fault
        self.guard.leave(
            message.number,
            fault.kind if fault else None,
            self.now,
            fault.retry_after if fault else 0.0,
        )
        if fault is not None:
            self._give_up(utterance, fault)
        elif utterance.pieces:  # they came when the socket was just being closed
            self._start(utterance)
        elif self._utterances.get(utterance.name) is utterance:
            del self._utterances[utterance.name]

    # -- in the task of an utterance ------------------------------------------------------

    async def _hold(self, utterance: _Utterance) -> ModelFault | None:
        """Have it spoken. None: its socket was closed in order, and pieces may be left."""
        utterance.watch = trio.CancelScope(deadline=trio.current_time() + self._config.first)
        utterance.well = False
        try:
            with utterance.watch:
                await self._converse_twice(utterance)
                return None
            return await self._overdue(utterance)
        except ProviderFault as fault:
            return fault.of(self.name)

    async def _converse_twice(self, utterance: _Utterance) -> None:
        try:
            await self._converse(utterance)
            return
        except ProviderFault as fault:
            if not (fault.passing and utterance.line.untouched):
                raise
            if not utterance.pieces:  # an idle socket that the server has closed
                return
        self.retries += 1
        await self._converse(utterance)

    async def _overdue(self, utterance: _Utterance) -> ModelFault | None:
        """The time for progress is over."""
        if not utterance.pieces or (utterance.well and not utterance.line.waiting):
            return None
        nearly = utterance.line.settled()
        if nearly:
            await self._tell(utterance, nearly)
            return None
        patience = f"{self._config.stall if utterance.well else self._config.first:g} s"
        detail = f"no progress for {patience}" if utterance.well else f"no sound within {patience}"
        return self.fault(FaultKind.TIMEOUT, detail)

    async def _converse(self, utterance: _Utterance) -> None:
        config = self._config
        async with open_websocket(
            self._address(utterance),
            {"xi-api-key": config.api_key.reveal()},
            self._dial,
            within=config.first,
            longest=_LONGEST_MESSAGE,
        ) as socket:
            utterance.line.connected()
            with one_fault():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send, utterance, socket)
                    await self._receive(utterance, socket)
                    nursery.cancel_scope.cancel()
            if utterance.line.waiting:
                raise socket.closed_fault()

    async def _send(self, utterance: _Utterance, socket: WebSocket) -> None:
        config = self._config
        settings = {
            "stability": config.stability,
            "similarity_boost": config.similarity,
            "style": config.style,
            "use_speaker_boost": config.speaker_boost,
            "speed": config.speed,
        }
        await socket.send(orjson.dumps({"text": " ", "voice_settings": settings}).decode())
        while True:
            utterance.wake = trio.Event()
            waiting = utterance.line.waiting
            while (message := utterance.line.next_to_send()) is not None:
                if utterance.well and not waiting:  # else it waits for the sound of earlier text
                    utterance.watch.deadline = trio.current_time() + config.stall
                await socket.send(message)
            await self._tell(utterance, [*utterance.line.spoken()])  # pieces without sound
            await utterance.wake.wait()

    async def _receive(self, utterance: _Utterance, socket: WebSocket) -> None:
        while (message := await socket.receive()) is not None:
            told = utterance.line.received(message)
            if told:
                utterance.well = True
                self.guard.outcome(utterance.number, None, self.now)
                await self._tell(utterance, told)
                busy = utterance.line.waiting or utterance.line.ended
                patience = self._config.stall if busy else self._config.idle
                utterance.watch.deadline = trio.current_time() + patience

    async def _tell(self, utterance: _Utterance, told: list[Sound | PieceSpoken]) -> None:
        async with utterance.telling:
            for what in told:
                if not utterance.pieces:
                    return
                piece, call = utterance.pieces[0]
                if isinstance(what, PieceSpoken):
                    self.end_call(call, Synthesized(utterance.name, piece, what.seconds))
                elif what.pcm or what.words:
                    rate, words = self._config.rate, what.words
                    with _unwatched(utterance.watch):
                        sound = SpeechAudio(utterance.name, piece, what.pcm, rate, words)
                        await self.say(call, sound)

    def _address(self, utterance: _Utterance) -> str:
        config = self._config
        query = {
            "model_id": config.model,
            "output_format": f"pcm_{config.rate}",
            "sync_alignment": "true",
            # A little more than ours, so that it is we who close the socket.
            "inactivity_timeout": ceil(config.idle) + 5,
        }
        if "v2_5" in config.model:  # the only ones that let themselves be told
            query["language_code"] = utterance.language.partition("-")[0]
        return f"{config.url}/{quote(utterance.voice, safe='')}/stream-input?{urlencode(query)}"


def elevenlabs_spec(config: ElevenLabsConfig, id: str = "elevenlabs") -> ChildSpec[TtsMessage]:
    """A child that speaks, called `id` in faults and statistics."""
    # What it sends itself is nobody else's business.
    start = cast(Callable[[], Actor[TtsMessage]], partial(ElevenLabs, config, id))
    return ChildSpec(id, start)
