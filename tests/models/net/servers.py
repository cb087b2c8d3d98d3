"""Servers that speak providers' wire formats on 127.0.0.1, and misbehave when told to."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import h11
import orjson
import trio
from trio.testing import memory_stream_pair
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    wrap_server_stream,
)


@attrs.frozen
class Received:
    """A request that came."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@attrs.define(eq=False)
class Exchange:
    """One request, to be answered by hand."""

    request: Received
    stream: trio.abc.Stream
    reusable: bool = False

    async def start(self, status: int = 200, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", "Transfer-Encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.stream.send_all("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        if data:
            await self.stream.send_all(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self) -> None:
        await self.stream.send_all(b"0\r\n\r\n")
        self.reusable = True

    async def hung_up(self) -> None:
        """Wait until the client closes the connection."""
        try:
            while await self.stream.receive_some(1024):
                pass
        except trio.BrokenResourceError:
            pass


Answer = Callable[[Exchange], Awaitable[None]]


@attrs.define(eq=False)
class HttpServer:
    """Answers each request by the next of its answers, the last one for ever."""

    url: str
    answers: deque[Answer]
    received: list[Received] = attrs.field(factory=list)
    first: trio.Event = attrs.field(factory=trio.Event)
    """A request has come."""
    connections: int = 0
    hung_up: trio.Event = attrs.field(factory=trio.Event)
    """A connection is over."""

    def next_answer(self) -> Answer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            try:
                while await self._exchange(stream):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            finally:
                self.hung_up.set()

    async def _exchange(self, stream: trio.SocketStream) -> bool:
        received = await _read_request(stream)
        if received is None:
            return False
        self.received.append(received)
        self.first.set()
        exchange = Exchange(received, stream)
        await self.next_answer()(exchange)
        return exchange.reusable


async def _read_request(stream: trio.abc.Stream) -> Received | None:
    wire = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    body = b""
    while True:
        try:
            event = wire.next_event()
        except h11.RemoteProtocolError:  # it was cut off in the middle of asking
            return None
        match event:
            case h11.NEED_DATA:
                try:
                    wire.receive_data(bytes(await stream.receive_some(65536)))
                except trio.BrokenResourceError:
                    return None
            case h11.Request():
                head = event
            case h11.Data():
                body += bytes(event.data)
            case h11.EndOfMessage() if head is not None:
                headers = {name.decode(): value.decode() for name, value in head.headers}
                return Received(head.target.decode(), headers, body)
            case _:
                return None


@asynccontextmanager
async def http_server(*answers: Answer) -> AsyncIterator[HttpServer]:
    async with trio.open_nursery() as nursery:
        server = HttpServer("", deque(answers))
        (listener,) = await nursery.start(
            partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1")
        )
        server.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/v1"
        yield server
        nursery.cancel_scope.cancel()


# -- answers --------------------------------------------------------------------------------


def whole(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A complete answer."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start(status, **headers)
        await exchange.send(body)
        await exchange.finish()

    return answer


def parts(pieces: Iterable[bytes], *, every: float = 0.0, first: float = 0.0) -> Answer:
    """An answer in pieces, with pauses."""

    async def answer(exchange: Exchange) -> None:
        await trio.sleep(first)
        await exchange.start()
        for piece in pieces:
            await exchange.send(piece)
            await trio.sleep(every)
        await exchange.finish()

    return answer


def cut(pieces: Iterable[bytes]) -> Answer:
    """An answer whose connection breaks after these pieces."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start()
        for piece in pieces:
            await exchange.send(piece)

    return answer


def hang(pieces: Iterable[bytes] = ()) -> Answer:
    """An answer that stops after these pieces, its connection open."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start()
        for piece in pieces:
            await exchange.send(piece)
        await exchange.hung_up()
        raise trio.BrokenResourceError

    return answer


async def hang_up(exchange: Exchange) -> None:
    """No answer at all."""


async def gibberish(exchange: Exchange) -> None:
    """Not HTTP."""
    await exchange.stream.send_all(b"220 mail.example.com ESMTP ready\r\n\r\n")


def sse(*events: object) -> list[bytes]:
    """Events of a stream, each of its own piece."""
    return [
        b"data: " + (event.encode() if isinstance(event, str) else orjson.dumps(event)) + b"\n\n"
        for event in events
    ]


# -- WebSockets -----------------------------------------------------------------------------

Talk = Callable[[WebSocketConnection], Awaitable[None]]


@attrs.define(eq=False)
class WsServer:
    """Talks to each client by the next of its talks, the last one for ever."""

    url: str
    talks: deque[Talk | int | None]
    """A number: the status the handshake is refused with. None: hang up instead of a handshake."""
    targets: list[str] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)
    open: int = 0

    async def serve(self, request: WebSocketRequest) -> None:
        self.targets.append(request.path)
        self.headers.append({name.decode(): value.decode() for name, value in request.headers})
        talk = self.talks.popleft() if len(self.talks) > 1 else self.talks[0]
        if talk is None:
            return
        if isinstance(talk, int):
            await request.reject(talk, extra_headers=[(b"retry-after", b"7")], body=b"{}")
            return
        self.open += 1
        try:
            socket = await request.accept()
            try:
                await talk(socket)
            except ConnectionClosed:
                pass
            else:
                with trio.move_on_after(1):
                    await socket.aclose()
        finally:
            self.open -= 1

    async def _serve(self, request: WebSocketRequest, scope: trio.CancelScope) -> None:
        await self.serve(request)
        scope.cancel()

    async def dial(self, nursery: trio.Nursery) -> trio.abc.Stream:
        """A connection to this server made of memory, so that virtual time may pass on it."""
        ours, theirs = memory_stream_pair()
        nursery.start_soon(self.serve_stream, theirs)
        await trio.lowlevel.checkpoint()
        return ours

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                # Of a client that hangs up before it has asked, trio-websocket says nothing.
                with trio.move_on_after(0.5):
                    request = await wrap_server_stream(nursery, stream)
                    nursery.start_soon(self._serve, request, nursery.cancel_scope)
                    return
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def ws_server(*talks: Talk | int | None) -> AsyncIterator[WsServer]:
    server = WsServer("", deque(talks))
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            partial(trio.serve_tcp, server.serve_stream, 0, host="127.0.0.1")
        )
        server.url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


def memory_server(*talks: Talk | int | None) -> WsServer:
    """One that is reached by `dial` only."""
    return WsServer("ws://memory.test", deque(talks))
