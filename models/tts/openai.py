"""Voices behind OpenAI's speech API: OpenAI's own, and the servers that speak alike.

Each piece is a request of its own. The piece that sounds and the next one are asked for at the
same time; the next one's sound is left in its socket until its turn, so that nothing is kept here
and no gap is heard between sentences. The API tells no word times.
"""

from __future__ import annotations

from collections import deque
from functools import partial

import attrs
import httpx
import trio
from attrs.validators import ge, gt, instance_of, le, min_len

from models.faults import FaultKind, ModelFault
from models.net import Call, HttpConfig, Patience, Provider, ProviderFault
from models.net.faults import garbled
from models.net.http import URL, Body, check_key, hold, open_bearer_client, streamed, to_json
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize, Synthesized, TtsMessage
from supervision import ChildSpec, handles
from supervision.resilience import BreakerConfig
from supervision.secret import Secret

_AHEAD = 2
"""Pieces of an utterance that are asked for at the same time: the one that sounds, and the next."""

_MOST_PIECES = 256
"""Pieces of one utterance that may wait."""


@attrs.frozen
class OpenAiTtsConfig:
    """A voice behind an OpenAI-style API."""

    model: str = attrs.field(default="gpt-4o-mini-tts", validator=min_len(1))
    """As the server names it."""

    voice: str = attrs.field(default="alloy", validator=min_len(1))
    """As the server names it; used where a piece names none."""

    api_key: Secret | None = attrs.field(default=None, validator=check_key)
    """Sent as a bearer token. A local server needs none."""

    base_url: str = attrs.field(default="https://api.openai.com/v1", validator=URL)
    """Where `/audio/speech` is appended."""

    rate: int = attrs.field(default=24000, validator=[instance_of(int), ge(8000), le(48000)])
    """Samples per second that the server sends as `pcm`: OpenAI's are 24000. They are not said in
    the answer, so if this is wrong the voice is too high or too low."""

    speed: float = attrs.field(default=1.0, validator=[ge(0.25), le(4)])
    """Of the speech; 1 is normal."""

    instructions: str = ""
    """How to speak, for models that listen to that; "": not sent."""

    first: float = attrs.field(default=1.0, validator=gt(0))
    """Seconds until the first sound of a piece, a second attempt included."""

    stall: float = attrs.field(default=1.0, validator=gt(0))
    """Seconds that may pass without more of it."""

    longest: float = attrs.field(default=300.0, validator=gt(0))
    """Seconds of sound that one piece may have."""

    concurrent: int = attrs.field(default=100, validator=[instance_of(int), ge(1)])
    """Requests under way at the same time."""

    http: HttpConfig = attrs.field(factory=HttpConfig)
    breaker: BreakerConfig = attrs.field(factory=BreakerConfig)


@attrs.define(eq=False)
class _Piece:
    """A piece that was asked for and not answered."""

    request: Synthesize
    call: Call
    turn: trio.Event = attrs.field(factory=trio.Event)
    """All pieces before it have sounded."""
    started: bool = False


class OpenAiTts(Provider[TtsMessage]):
    """Speaks. A piece is one streamed request, and a task of this actor."""

    def __init__(
        self, config: OpenAiTtsConfig, name: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(name, config.breaker, config.concurrent)
        self._config = config
        self._transport = transport
        self._lines: dict[str, deque[_Piece]] = {}
        """The pieces of each utterance that are not answered, in order."""

    async def on_start(self) -> None:
        self._client = await open_bearer_client(self._config, self._transport)
        self.start_task(hold, self._client, name="connections")

    @handles
    def on_synthesize(self, message: Synthesize) -> ModelFault | None:
        line = self._lines.setdefault(message.utterance, deque())
        if len(line) >= _MOST_PIECES:
            return self.fault(FaultKind.RATE_LIMITED, f"{_MOST_PIECES} pieces are waiting")
        line.append(_Piece(message, self.open_call(message.utterance, message.to)))
        self._move_up(message.utterance)
        return None

    @handles
    def on_cancel(self, message: CancelSpeech) -> None:
        for piece in self._lines.pop(message.utterance, ()):
            self.cancel_call(piece.call)

    def on_call_ended(self, call: Call, answer: object) -> None:
        line = self._lines.get(call.name)
        if line is None or all(piece.call is not call for piece in line):
            return
        if isinstance(answer, ModelFault):
            # What follows a gap is of no use to anybody: the fallback begins with this piece.
            del self._lines[call.name]
            for piece in line:
                self.end_call(piece.call, answer)
            return
        line.popleft()  # pieces are answered in order, for each waits for its turn
        if line:
            self._move_up(call.name)
        else:
            del self._lines[call.name]

    def _move_up(self, utterance: str) -> None:
        """Let the first piece sound, and ask for the next one if that is no trouble."""
        line = self._lines[utterance]
        line[0].turn.set()
        for number, piece in enumerate([*line][:_AHEAD]):
            if not piece.started and (number == 0 or self.guard.at_ease(self.now)):
                piece.started = True
                self.start_call(piece.call, self._speak, piece)

    # -- in the task of a piece -----------------------------------------------------------

    async def _speak(self, call: Call, piece: _Piece) -> Synthesized:
        try:
            return await self._synthesize(call, piece)
        except ProviderFault:
            await piece.turn.wait()  # what comes before it may still sound to its end
            raise

    async def _synthesize(self, call: Call, piece: _Piece) -> Synthesized:
        request = piece.request
        if not any(c.isalnum() for c in request.text):  # nothing that could be said
            await piece.turn.wait()
            return Synthesized(request.utterance, request.piece, 0.0)
        body = to_json(self._body(request))
        patience = Patience(self._config.first, self._config.stall)
        with patience.waiting():
            try:
                return await self._attempt(call, piece, body, patience)
            except ProviderFault as fault:
                if call.told or not fault.passing:
                    raise
            self.retries += 1
            return await self._attempt(call, piece, body, patience)
        raise AssertionError("`waiting` has raised")

    def _body(self, request: Synthesize) -> dict[str, object]:
        config = self._config
        body: dict[str, object] = {
            "model": config.model,
            "input": request.text,
            "voice": request.voice or config.voice,
            "response_format": "pcm",
        }
        if config.speed != 1:
            body["speed"] = config.speed
        if config.instructions:
            body["instructions"] = config.instructions
        return body

    async def _attempt(
        self, call: Call, piece: _Piece, body: bytes, patience: Patience
    ) -> Synthesized:
        headers = {"Content-Type": "application/json"}
        async with streamed(self._client, "audio/speech", content=body, headers=headers) as sound:
            if sound.content_type.startswith(("text/", "application/json")):
                raise garbled("text where sound was asked for")
            return await self._play(call, piece, sound, patience)

    async def _play(
        self, call: Call, piece: _Piece, sound: Body, patience: Patience
    ) -> Synthesized:
        request, rate = piece.request, self._config.rate
        samples, odd = 0, b""
        while (data := await sound.next()) is not None:
            patience.progress()
            data = odd + data
            whole = len(data) // 2 * 2
            data, odd = data[:whole], data[whole:]
            samples += whole // 2
            if samples > rate * self._config.longest:
                raise garbled(f"more than {self._config.longest:g} s of sound")
            if data:
                with patience.held():
                    await piece.turn.wait()
                    await self.say(call, SpeechAudio(request.utterance, request.piece, data, rate))
        if not samples:
            raise garbled("no sound")
        return Synthesized(request.utterance, request.piece, samples / rate)


def openai_tts_spec(config: OpenAiTtsConfig, id: str = "openai") -> ChildSpec[TtsMessage]:
    """A child that speaks, called `id` in faults and statistics."""
    return ChildSpec(id, partial(OpenAiTts, config, id))
