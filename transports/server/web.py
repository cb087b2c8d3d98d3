"""Everything on the port that is not media: a Starlette application, served by hypercorn.

Hypercorn's public interface is to listen on an address of its own; to hand it a connection that was
already accepted takes its private parts. So it listens on a private loopback port, and the bytes of
each connection are passed on to it. Pages and API calls bear the extra step easily, and media never
comes here. Who a connection really comes from is known by the port it has towards hypercorn;
whatever reaches that private port from elsewhere is turned away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from supervision import Actor, handles
from supervision.secret import Secret
from transports.connection import Connection
from transports.server.config import ServerConfig
from transports.server.gate import Gate
from transports.server.head import MOST_HEAD
from transports.server.listener import Serve
from transports.server.pages import page_routes

GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
WRITE_TIMEOUT = 30.0
"""Seconds that a peer may take to read a piece of an answer."""
READ_TIMEOUT = 60.0
"""Seconds that a peer may send nothing in the middle of a request, or on a WebSocket, which is
pinged more often than that."""


@attrs.frozen
class Visitor:
    """Where a connection really comes from."""

    peer: str
    secure: bool


@attrs.frozen
class WebStatistics:
    """Who is being served."""

    open: int
    served: int


class Web(Actor[Serve]):
    """Runs hypercorn, and passes connections on to it."""

    def __init__(
        self,
        config: ServerConfig,
        routes: Sequence[BaseRoute],
        ready: Callable[[], bool],
        public: Sequence[BaseRoute] = (),
    ) -> None:
        """Nothing listens before `on_start`.

        Args:
            routes: for those the gate admits.
            ready: whether the node can take calls just now, for `/health`.
            public: for all, as pages and `/health` are: each has to know by itself whom to trust.
        """
        super().__init__()
        self._config = config
        self._routes = routes
        self._ready = ready
        self._public = public
        self._visitors: dict[int, Visitor] = {}
        """By the port they have towards hypercorn."""
        self._served = 0

    async def on_start(self) -> None:
        self._stopping = trio.Event()
        self._listening = trio.Event()
        self._port = 0
        self.start_task(self._serve, name="hypercorn")
        with trio.fail_after(10):
            await self._listening.wait()

    def on_stop(self) -> None:
        self._stopping.set()

    @handles
    def on_serve(self, message: Serve) -> None:
        self._served += 1
        self.start_task(self._pass_on, message.connection, name="visitor")

    def statistics(self) -> WebStatistics:
        return WebStatistics(len(self._visitors), self._served)

    # -- hypercorn ------------------------------------------------------------------------

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            app = partial(_introduced, self._application(), self._visitors)
            bound: list[str] = await nursery.start(
                partial(serve, shutdown_trigger=self._stopping.wait, mode="asgi"),
                app,
                _hypercorn_config(),
            )
            self._port = int(bound[0].rpartition(":")[2])
            self._listening.set()

    def _application(self) -> ASGIApp:
        guard = Gate(self._config.tokens, self._config.origins)
        health = Route("/health", self._health)
        inner = Starlette(routes=list(self._routes))
        pages = page_routes()
        public = [health, *pages, *self._public]
        app = Starlette(routes=public)
        app.router.default = partial(_guarded, inner, guard)
        return app

    async def _health(self, _request: Request) -> JSONResponse:
        live = self.system.live
        ready = live and self._ready()
        return JSONResponse(
            {"live": live, "ready": ready},
            status_code=200 if ready else 503,
            headers={"Cache-Control": "no-store"},
        )

    # -- passing on -----------------------------------------------------------------------

    async def _pass_on(self, connection: Connection) -> None:
        try:
            inside = await trio.open_tcp_stream("127.0.0.1", self._port)
        except OSError:
            connection.abort()
            return
        port = inside.socket.getsockname()[1]
        self._visitors[port] = Visitor(connection.peer, connection.secure)
        try:
            async with inside, trio.open_nursery() as nursery:
                nursery.start_soon(_pump, connection, inside, nursery.cancel_scope)
                await _pump(inside, connection, nursery.cancel_scope)
                nursery.cancel_scope.cancel()  # hypercorn has closed: nothing more is answered
        finally:
            del self._visitors[port]
            connection.abort()


async def _pump(
    source: trio.abc.HalfCloseableStream,
    sink: trio.abc.HalfCloseableStream,
    both: trio.CancelScope,
) -> None:
    """Pass bytes on until there are no more, then half-close; if one breaks, both end."""
    try:
        while data := await source.receive_some(65536):
            with trio.fail_after(WRITE_TIMEOUT):
                await sink.send_all(data)
        await sink.send_eof()
    except (*GONE, trio.TooSlowError):
        both.cancel()


def _hypercorn_config() -> Config:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = None
    # It announces its private address, which is nobody's business, at level info.
    config.errorlog = logging.getLogger("troupe.transports.hypercorn")
    config.loglevel = "WARNING"
    config.errorlog.setLevel(logging.WARNING)
    config.h11_max_incomplete_size = MOST_HEAD
    config.graceful_timeout = 2.0
    config.read_timeout = int(READ_TIMEOUT)
    config.websocket_ping_interval = READ_TIMEOUT / 3
    config.websocket_max_message_size = 1024 * 1024
    config.include_server_header = False
    config.alpn_protocols = ["http/1.1"]
    return config


async def _introduced(
    app: ASGIApp, visitors: dict[int, Visitor], scope: Scope, receive: Receive, send: Send
) -> None:
    """The application, told who really asks."""
    if scope["type"] == "lifespan":
        await app(scope, receive, send)
        return
    client = scope.get("client") or ("", 0)
    visitor = visitors.get(client[1])
    if visitor is None:
        await _refuse(scope, receive, send, 403, "this port is not for you")
        return
    scheme = {"http": ("http", "https"), "websocket": ("ws", "wss")}[scope["type"]]
    told = {**scope, "client": (visitor.peer, client[1]), "scheme": scheme[visitor.secure]}
    await app(told, receive, send)


async def _guarded(app: ASGIApp, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
    """The application, for those the gate admits."""
    if scope["type"] == "lifespan":
        await app(scope, receive, send)
        return
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    safe = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    if not safe and not gate.allows_origin(headers.get(b"origin", ""), host):
        await _refuse(scope, receive, send, 403, "pages of other origins may not do this")
    elif not gate.admits(_token(scope, headers), peer=scope["client"][0], host=host):
        await _refuse(scope, receive, send, 401, "show a token: Authorization: Bearer ...")
    else:
        await app(scope, receive, send)


def _token(scope: Scope, headers: dict[bytes, str]) -> Secret | None:
    """From the authorization header; browsers cannot set it on WebSockets, so `?token=` there."""
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = ""
        if scope["type"] == "websocket":
            token = Request({**scope, "type": "http"}).query_params.get("token", "")
    return Secret(token.strip()) if token.strip() else None


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4000 + status, "reason": text})
        return
    response: Any = PlainTextResponse(text, status, headers={"Cache-Control": "no-store"})
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    await response(scope, receive, send)
