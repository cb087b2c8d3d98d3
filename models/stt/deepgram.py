"""Deepgram's streaming recogniser: one WebSocket for each stream, opened anew when it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import cast
from urllib.parse import urlencode

import attrs
import trio
from attrs.validators import and_, deep_iterable, ge, gt, instance_of, le, min_len

from models.faults import FaultKind, ModelFault
from models.net import Call, Provider, ProviderFault, WebSocket, open_websocket
from models.net.faults import one_fault
from models.net.http import WS_URL, check_key, secure_context
from models.net.websocket import dial
from models.stt.deepgram_wire import KEEP_ALIVE, DeepgramLine
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from supervision import Actor, ChildSpec, handles
from supervision.resilience import BreakerConfig
from supervision.secret import Secret

_LONGEST_MESSAGE = 1 << 20
_RESTS = (0.1, 5.0)
"""Seconds before the first reconnect, which double, and the longest."""
_STEADY = 5.0
"""Seconds after which a connection that worked has earned its stream all its tries anew."""


@attrs.frozen
class DeepgramConfig:
    """Deepgram's streaming recogniser."""

    api_key: Secret = attrs.field(validator=check_key)
    """Sent with each connection."""

    url: str = attrs.field(default="wss://api.deepgram.com/v1/listen", validator=WS_URL)
    """Where it listens."""

    model: str = attrs.field(default="nova-2", validator=min_len(1))
    """As Deepgram names it."""

    punctuate: bool = True
    """Set points and capitals."""

    smart_format: bool = True
    """Write numbers, dates and the like as people do."""

    endpointing_ms: int = attrs.field(default=300, validator=[ge(0), le(10_000)])
    """Milliseconds of silence after which it makes a final of its own. 0: only when asked."""

    phrases: tuple[str, ...] = attrs.field(
        default=(), validator=deep_iterable(and_(instance_of(str), min_len(1)))
    )
    """Listened for in every stream, beside the stream's own."""

    chunk: float = attrs.field(default=0.06, validator=[ge(0), le(0.25)])
    """Seconds of audio in one message: three frames instead of one cost a third. A flush sends what
    there is at once, so no turn ends later for it."""

    connect: float = attrs.field(default=2.0, validator=gt(0))
    """Seconds to connect, TLS and handshake included."""

    stall: float = attrs.field(default=3.0, validator=gt(0))
    """Seconds after audio was sent in which something must come back: it answers silence too. The
    socket is opened anew then, and if nothing comes from that one either, the stream fails."""

    flush: float = attrs.field(default=1.5, validator=gt(0))
    """Seconds until a flush is answered with what has been understood by then."""

    finish: float = attrs.field(default=2.0, validator=gt(0))
    """Seconds that what is unfinished has at the close of a stream."""

    keep_alive: float = attrs.field(default=5.0, validator=[gt(0), le(9)])
    """Seconds without audio after which it is told that there is still somebody: it hangs up
    after 10."""

    replay: float = attrs.field(default=5.0, validator=[ge(1), le(30)])
    """Seconds of audio that are kept, for the next connection and while there is none."""

    tries: int = attrs.field(default=6, validator=[instance_of(int), ge(0)])
    """Reconnects in a row before a stream fails."""

    concurrent: int = attrs.field(default=200, validator=[instance_of(int), ge(1)])
    """Streams open at the same time."""

    breaker: BreakerConfig = attrs.field(factory=BreakerConfig)


@attrs.frozen
class _Due:
    """Time to look at a stream: a flush, or its close, may be overdue. To the actor itself."""

    number: int
    closing: bool = False


@attrs.define(eq=False)
class _Stream:
    """An open stream, between the handlers that fill it and the task that empties it."""

    request: OpenStream
    call: Call
    line: DeepgramLine
    flushes: int = 0
    wake: trio.Event = attrs.field(factory=trio.Event)
    """There is something to send."""
    watch: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Its deadline is when the server must have said something."""


class Deepgram(Provider[SttMessage | _Due]):
    """Understands streams. Each is a task of this actor, which holds one socket at a time."""

    def __init__(
        self,
        config: DeepgramConfig,
        name: str,
        dialled: Callable[[], Awaitable[trio.abc.Stream]] | None = None,
    ) -> None:
        """`dialled` makes the stream to the server, in tests."""
        super().__init__(name, config.breaker, config.concurrent)
        self._config = config
        self._dialled = dialled
        self._streams: dict[str, _Stream] = {}

    async def on_start(self) -> None:
        context = None if self._dialled else await secure_context(self._config.url)
        self._dial = self._dialled or partial(dial, self._config.url, context)

    @handles
    def on_open(self, message: OpenStream) -> ModelFault | None:
        if message.stream in self._streams:
            return self.fault(FaultKind.REJECTED, "a stream of that name is open")
        config = self._config
        call = self.open_call(message.stream, message.to)
        line = DeepgramLine(message.stream, message.rate, config.replay, config.flush, config.chunk)
        stream = self._streams[message.stream] = _Stream(message, call, line)
        self.start_call(call, self._listen, stream)
        return None

    @handles
    def on_audio(self, message: Audio) -> None:
        stream = self._streams.get(message.stream)
        if stream is None or stream.line.closed:
            self.dropped += 1
        else:
            self.dropped += stream.line.append(message.pcm) > 0
            if stream.line.ready:
                stream.wake.set()

    @handles
    def on_flush(self, message: Flush) -> None:
        stream = self._streams.get(message.stream)
        if stream is None or stream.line.closed:
            return
        stream.line.flush(message.number, self.now)
        stream.wake.set()
        self.send_after(self._config.flush, _Due(stream.call.number))

    @handles
    def on_close(self, message: CloseStream) -> None:
        stream = self._streams.get(message.stream)
        if stream is None or stream.line.closed:
            return
        stream.line.close()
        stream.wake.set()
        self.send_after(self._config.finish, _Due(stream.call.number, closing=True))

    @handles
    def on_due(self, message: _Due) -> None:
        stream = next((s for s in self._streams.values() if s.call.number == message.number), None)
        if stream is None:
            return
        line = stream.line
        for transcript in line.concluded() if message.closing else line.time_passed(self.now):
            stream.call.to.tell(transcript)
        if message.closing:
            self.end_call(stream.call, StreamClosed(stream.call.name))

    def on_call_ended(self, call: Call, answer: object) -> None:
        if call.name in self._streams and self._streams[call.name].call is call:
            del self._streams[call.name]

    # -- in the task of a stream ----------------------------------------------------------

    async def _listen(self, call: Call, stream: _Stream) -> StreamClosed:
        # Each connection asks the guard for itself, and tells it what came of it.
        self.guard.outcome(call.number, FaultKind.CANCELLED, self.now)
        tries, silent = 0, False
        while True:
            denied = self.guard.again(call.number, self.now)
            if denied is not None:
                raise ProviderFault(denied.kind, denied.detail, denied.retry_after)
            began = self.now
            call.told = False  # here: this connection has said something
            try:
                await self._converse(call, stream)
                await self._say_all(call, stream.line.concluded())
                return StreamClosed(call.name)
            except ProviderFault as fault:
                self.guard.outcome(call.number, fault.kind, self.now, fault.retry_after)
                if fault.kind not in (FaultKind.UNAVAILABLE, FaultKind.TIMEOUT):
                    raise
                well = call.told
                if (silent and not well) or tries >= self._config.tries:
                    raise
                # One that accepts connections and says nothing is not worth six of them.
                silent = not well and fault.kind is FaultKind.TIMEOUT
                if well and self.now - began >= _STEADY:
                    tries = 0
            await trio.sleep(min(_RESTS[1], _RESTS[0] * 2**tries))
            tries += 1
            self.retries += 1

    async def _converse(self, call: Call, stream: _Stream) -> None:
        """One connection, until the server closes it after we have asked it to."""
        config, line = self._config, stream.line
        headers = {"Authorization": f"Token {config.api_key.reveal()}"}
        async with open_websocket(
            f"{config.url}?{self._query(stream.request)}",
            headers,
            self._dial,
            within=config.connect,
            longest=_LONGEST_MESSAGE,
        ) as socket:
            line.connected()
            stream.watch = trio.CancelScope()
            with one_fault():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send, stream, socket)
                    with stream.watch:
                        await self._receive(call, stream, socket)
                    if stream.watch.cancelled_caught:
                        detail = f"nothing came back for {config.stall:g} s"
                        raise ProviderFault(FaultKind.TIMEOUT, detail)
                    nursery.cancel_scope.cancel()
            if not line.close_sent:
                raise socket.closed_fault()

    async def _send(self, stream: _Stream, socket: WebSocket) -> None:
        while True:
            stream.wake = trio.Event()
            while (message := stream.line.next_to_send()) is not None:
                await socket.send(message)
                if stream.watch.deadline == inf:
                    stream.watch.deadline = trio.current_time() + self._config.stall
            with trio.move_on_after(self._config.keep_alive) as pause:
                await stream.wake.wait()
            if pause.cancelled_caught:
                await socket.send(KEEP_ALIVE)

    async def _receive(self, call: Call, stream: _Stream, socket: WebSocket) -> None:
        while (message := await socket.receive()) is not None:
            stream.watch.deadline = inf
            transcripts = stream.line.received(message)
            if not call.told:
                call.told = True
                self.guard.outcome(call.number, None, self.now)
            await self._say_all(call, transcripts)

    async def _say_all(self, call: Call, transcripts: list[Transcript]) -> None:
        for transcript in transcripts:
            await self.say(call, transcript)

    def _query(self, request: OpenStream) -> str:
        config = self._config
        phrases = "keyterm" if config.model.startswith("nova-3") else "keywords"
        query: dict[str, object] = {
            "model": config.model,
            "language": request.language,
            "encoding": "linear16",
            "sample_rate": request.rate,
            "channels": 1,
            "punctuate": _word(config.punctuate),
            "smart_format": _word(config.smart_format),
            "interim_results": "true",
            "endpointing": config.endpointing_ms or "false",
            phrases: (*config.phrases, *request.phrases),
        }
        return urlencode(query, doseq=True, errors="replace")


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def deepgram_spec(config: DeepgramConfig, id: str = "deepgram") -> ChildSpec[SttMessage]:
    """A child that understands speech, called `id` in faults and statistics."""
    # What it sends itself is nobody else's business.
    start = cast(Callable[[], Actor[SttMessage]], partial(Deepgram, config, id))
    return ChildSpec(id, start)
