"""Real HTTP on 127.0.0.1: a receiver that answers as it is told, and a server of given routes."""

from __future__ import annotations

import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import h11
import orjson
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.routing import BaseRoute


@attrs.frozen
class Received:
    """A request that came in."""

    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@attrs.frozen
class Reply:
    """What the receiver answers with; a status of 0 hangs up instead."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    delay: float = 0.0


class Receiver:
    """Somebody else's HTTP server."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: deque[Reply] = deque()
        """The next ones; then 200."""
        self.connections = 0
        self._news = trio.Event()
        self.port = 0
        self.tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?tenant=7"

    async def wait_received(self, count: int) -> None:
        """Until so many requests have come in."""
        while len(self.received) < count:
            self._news = trio.Event()
            await self._news.wait()

    async def serve(self, plain: trio.SocketStream) -> None:
        self.connections += 1
        wire = h11.Connection(h11.SERVER)
        stream: trio.abc.Stream = plain
        if self.tls is not None:
            stream = trio.SSLStream(plain, self.tls, server_side=True, https_compatible=True)
        try:
            async with stream:
                while await self._one(wire, stream):
                    wire.start_next_cycle()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the sender has given up

    async def _one(self, wire: h11.Connection, stream: trio.abc.Stream) -> bool:
        """Take a request and answer it; False when that was the last."""
        request: h11.Request | None = None
        body = b""
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                wire.receive_data(bytes(await stream.receive_some(65536)))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return False
        assert request is not None
        headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        self.received.append(Received(request.target.decode(), headers, body))
        self._news.set()
        reply = self.replies.popleft() if self.replies else Reply()
        await trio.sleep(reply.delay)
        if not reply.status:
            return False
        lines = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        lines.append((b"content-length", str(len(reply.body)).encode()))
        head = h11.Response(status_code=reply.status, headers=lines)
        for part in (head, h11.Data(reply.body), h11.EndOfMessage()):
            data = wire.send(part)
            await stream.send_all(data or b"")
        return wire.our_state is h11.DONE and wire.their_state is h11.DONE


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver, for as long as the block."""
    receiver = Receiver()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        receiver.port = listeners[0].socket.getsockname()[1]
        receiver.tls = tls
        nursery.start_soon(trio.serve_listeners, receiver.serve, listeners)
        yield receiver
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving(routes: Sequence[BaseRoute]) -> AsyncIterator[str]:
    """The address of a server of these routes, for as long as the block."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = logging.getLogger("tests.hypercorn")
    config.loglevel = "WARNING"
    config.graceful_timeout = 0.5
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        run = partial(serve, shutdown_trigger=done.wait, mode="asgi")
        bound: list[str] = await nursery.start(run, Starlette(routes=list(routes)), config)
        yield bound[0]
        done.set()
        nursery.cancel_scope.cancel()
