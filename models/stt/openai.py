"""Recognisers behind OpenAI's transcription API: OpenAI's own, and the servers that speak alike.

They take whole recordings: the audio of a stream is collected, and each `Flush` has what there is
by then understood. There are no partial transcripts.
"""

from __future__ import annotations

import struct
from collections import deque
from functools import partial
from typing import Any

import attrs
import httpx
import orjson
import trio
from attrs.validators import ge, gt, instance_of, le, min_len

from models.faults import FaultKind, ModelFault
from models.net import Call, HttpConfig, Patience, Provider, ProviderFault
from models.net.faults import garbled
from models.net.http import URL, check_key, hold, open_bearer_client, streamed
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from models.words import Word
from supervision import ChildSpec, handles
from supervision.resilience import BreakerConfig
from supervision.secret import Secret

_SHORTEST = 0.1
"""Seconds. The API refuses less, and nobody says anything in so little."""

_LONGEST_ANSWER = 1 << 20
_MOST_JOBS = 8
"""Recordings of one stream that may wait while one is understood."""


@attrs.frozen
class OpenAiSttConfig:
    """A recogniser behind an OpenAI-style API."""

    model: str = attrs.field(default="gpt-4o-mini-transcribe", validator=min_len(1))
    """As the server names it."""

    api_key: Secret | None = attrs.field(default=None, validator=check_key)
    """Sent as a bearer token. A local server needs none."""

    base_url: str = attrs.field(default="https://api.openai.com/v1", validator=URL)
    """Where `/audio/transcriptions` is appended."""

    words: bool = False
    """Ask for word times. Of OpenAI's own models only `whisper-1` knows them."""

    longest: float = attrs.field(default=60.0, validator=[ge(1), le(600)])
    """Seconds of audio that are collected without a flush; then they are understood all the same,
    as a final of the recogniser's own."""

    answer: float = attrs.field(default=5.0, validator=gt(0))
    """Seconds in which a recording is understood, a second attempt included."""

    concurrent: int = attrs.field(default=200, validator=[instance_of(int), ge(1)])
    """Streams open at the same time."""

    http: HttpConfig = attrs.field(factory=HttpConfig)
    breaker: BreakerConfig = attrs.field(factory=BreakerConfig)


@attrs.frozen
class _Recording:
    """Some of a stream, to be understood."""

    pcm: bytes
    start: float
    """Seconds from the start of the stream."""
    flush: int
    """The number of the `Flush` that asked for it; 0 for none."""
    last: bool


@attrs.define(eq=False)
class _Stream:
    """An open stream, between the handlers that fill it and the task that empties it."""

    request: OpenStream
    audio: bytearray = attrs.field(factory=bytearray)
    """What has not been cut off to be understood."""
    before: int = 0
    """Bytes of the stream that came before `audio`."""
    jobs: deque[_Recording] = attrs.field(factory=deque)
    wake: trio.Event = attrs.field(factory=trio.Event)

    def cut(self, flush: int = 0, *, last: bool = False) -> None:
        """Have what came since the last time understood."""
        whole = len(self.audio) // 2 * 2
        start = self.before / (2 * self.request.rate)
        self.jobs.append(_Recording(bytes(self.audio[:whole]), start, flush, last))
        del self.audio[:whole]
        self.before += whole
        self.wake.set()

    async def next_job(self) -> _Recording:
        while not self.jobs:
            self.wake = trio.Event()
            await self.wake.wait()
        return self.jobs.popleft()


class OpenAiStt(Provider[SttMessage]):
    """Understands streams. A stream is a task of this actor, and each recording a request."""

    def __init__(
        self, config: OpenAiSttConfig, name: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(name, config.breaker, config.concurrent)
        self._config = config
        self._transport = transport
        self._streams: dict[str, tuple[Call, _Stream]] = {}

    async def on_start(self) -> None:
        self._client = await open_bearer_client(self._config, self._transport)
        self.start_task(hold, self._client, name="connections")

    @handles
    def on_open(self, message: OpenStream) -> ModelFault | None:
        if message.stream in self._streams:
            return self.fault(FaultKind.REJECTED, "a stream of that name is open")
        call = self.open_call(message.stream, message.to)
        stream = _Stream(message)
        self._streams[message.stream] = call, stream
        self.start_call(call, self._listen, stream)
        return None

    @handles
    def on_audio(self, message: Audio) -> None:
        stream = self._open(message.stream)
        if stream is None:
            self.dropped += 1
            return
        stream.audio += message.pcm
        if len(stream.audio) >= 2 * stream.request.rate * self._config.longest:
            self._cut(message.stream)

    @handles
    def on_flush(self, message: Flush) -> None:
        if self._open(message.stream) is not None:
            self._cut(message.stream, message.number)

    @handles
    def on_close(self, message: CloseStream) -> None:
        stream = self._open(message.stream)
        if stream is not None:
            stream.cut(last=True)

    def on_call_ended(self, call: Call, answer: object) -> None:
        if call.name in self._streams and self._streams[call.name][0] is call:
            del self._streams[call.name]

    def _open(self, name: str) -> _Stream | None:
        """The stream of that name, if it still takes audio."""
        _, stream = self._streams.get(name, (None, None))
        if stream is None or (stream.jobs and stream.jobs[-1].last):
            return None
        return stream

    def _cut(self, name: str, flush: int = 0) -> None:
        call, stream = self._streams[name]
        if len(stream.jobs) >= _MOST_JOBS:
            detail = f"{_MOST_JOBS} recordings wait to be understood"
            self.end_call(call, self.fault(FaultKind.TIMEOUT, detail))
            return
        stream.cut(flush)

    # -- in the task of a stream ----------------------------------------------------------

    async def _listen(self, call: Call, stream: _Stream) -> StreamClosed:
        # Opening a stream proves nothing of the provider: each recording asks the guard for itself.
        self.guard.outcome(call.number, FaultKind.CANCELLED, self.now)
        while True:
            job = await stream.next_job()
            transcript = await self._understand(call, stream.request, job)
            if transcript.text or transcript.flush:
                await self.say(call, transcript)
            if job.last:
                return StreamClosed(call.name)

    async def _understand(self, call: Call, request: OpenStream, job: _Recording) -> Transcript:
        end = job.start + len(job.pcm) / (2 * request.rate)
        silence = Transcript(call.name, "", True, job.start, end, flush=job.flush)
        if end - job.start < _SHORTEST or job.pcm.count(0) == len(job.pcm):
            return silence
        denied = self.guard.again(call.number, self.now)
        if denied is not None:
            raise ProviderFault(denied.kind, denied.detail, denied.retry_after)
        answer = await self._transcribe(request, job)
        self.guard.outcome(call.number, None, self.now)
        text, words = _read(answer, job.start)
        return attrs.evolve(silence, text=text, words=words)

    async def _transcribe(self, request: OpenStream, job: _Recording) -> bytes:
        patience = Patience(self._config.answer, self._config.answer)
        with patience.waiting():
            try:
                return await self._attempt(request, job)
            except ProviderFault as fault:
                if not fault.passing:
                    raise
            self.retries += 1
            return await self._attempt(request, job)
        raise AssertionError("`waiting` has raised")

    async def _attempt(self, request: OpenStream, job: _Recording) -> bytes:
        fields: dict[str, Any] = {
            "model": self._config.model,
            "response_format": "verbose_json" if self._config.words else "json",
            "language": request.language.partition("-")[0].encode(errors="replace").decode(),
        }
        if self._config.words:
            fields["timestamp_granularities[]"] = "word"
        if request.phrases:
            fields["prompt"] = ", ".join(request.phrases).encode(errors="replace").decode()
        file = ("audio.wav", wav(job.pcm, request.rate), "audio/wav")
        async with streamed(
            self._client, "audio/transcriptions", data=fields, files={"file": file}
        ) as body:
            return await body.read(_LONGEST_ANSWER)


def wav(pcm: bytes, rate: int) -> bytes:
    """A WAV file of mono s16le."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    data = struct.pack("<4sI", b"data", len(pcm)) + pcm
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def _read(answer: bytes, start: float) -> tuple[str, tuple[Word, ...]]:
    """The text and the words of an answer; its times begin at `start`."""
    try:
        heard = orjson.loads(answer)
        text = heard["text"].strip()
        words = tuple(
            Word(word["word"].strip(), start + float(word["start"]), start + float(word["end"]))
            for word in heard.get("words") or ()
        )
    except (orjson.JSONDecodeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise garbled("not a transcription") from error
    return text, words


def openai_stt_spec(config: OpenAiSttConfig, id: str = "openai") -> ChildSpec[SttMessage]:
    """A child that understands speech, called `id` in faults and statistics."""
    return ChildSpec(id, partial(OpenAiStt, config, id))
