"""echo: how many 640-byte WebSocket frames a second one core can receive and send back.

640 bytes are 20 ms of 16 kHz sound. A client in a process of its own keeps one frame on the way on
each of its connections; what is counted is the server's processor time, so the client's speed does
not matter. The sides differ in nothing but the WebSocket: our link around the sans-I/O protocol of
`websockets`, our link around trio-websocket, and Starlette on hypercorn, which is what the media
path would cost if it went through ASGI.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from time import process_time

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.measure import ALL_CORES, Figure, in_turns, medians, pin
from transports.connection import SocketConnection
from transports.frame_link import LinkClosed, OpenLink
from transports.sansio_link import open_sansio_link
from transports.trio_link import open_trio_link

CONNECTIONS = 20
FRAMES = 20_000
"""Echoes in one round, over all connections."""
WARM_UP = 1_000
FRAME_BYTES = 640
ROUNDS = 5

TRIO_WEBSOCKET = "trio-websocket"
ASGI = "hypercorn+Starlette"


# -- servers ----------------------------------------------------------------------------------


@asynccontextmanager
async def _links(open_link: OpenLink) -> AsyncIterator[int]:
    """Echoes over our links; gives the port."""

    async def echo(sock: socket.socket) -> None:
        async with open_link(SocketConnection(sock, "bench")) as link:
            try:
                while True:
                    for payload in await link.receive():
                        if not link.send_nowait(payload):
                            await link.send([payload])
            except LinkClosed:
                return

    async def accept(nursery: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(listening)
            nursery.start_soon(echo, listening.accept()[0])

    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as listening:
        listening.setblocking(False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, nursery)
            yield listening.getsockname()[1]
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def _asgi() -> AsyncIterator[int]:
    """Echoes over Starlette on hypercorn."""

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_bytes(await websocket.receive_bytes())
        except WebSocketDisconnect:
            return

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.loglevel = "ERROR"
    config.graceful_timeout = 0.1
    app = Starlette(routes=[WebSocketRoute("/", echo)])
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        run = partial(serve, shutdown_trigger=stopping.wait, mode="asgi")
        bound: list[str] = await nursery.start(run, app, config)
        yield int(bound[0].rpartition(":")[2])
        stopping.set()


async def _echoes_per_second(server: Callable[[], object]) -> float:
    """Echoes for each second of this process's processor time."""
    async with server() as port:  # type: ignore[attr-defined]  # one of the two above
        command = [sys.executable, __file__, str(port)]
        client = await trio.lowlevel.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert client.stdin is not None
        assert client.stdout is not None
        await client.stdout.receive_some()  # it is warm
        before = process_time()
        await client.stdin.send_all(b"go\n")
        await client.stdout.receive_some()  # it is done
        taken = process_time() - before
        await client.stdin.aclose()
        await client.wait()
    return FRAMES / taken


# -- the client -------------------------------------------------------------------------------


def _client(port: int) -> None:
    """Keep a frame on the way on each connection, with as little ado as possible."""
    pin(ALL_CORES)
    sockets = [_connected(port) for _ in range(CONNECTIONS)]
    _echo(sockets, WARM_UP)
    print("warm", flush=True)
    sys.stdin.readline()
    _echo(sockets, FRAMES)
    print("done", flush=True)
    sys.stdin.readline()
    for sock in sockets:
        sock.close()


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101")
    return sock


def _echo(sockets: list[socket.socket], count: int) -> None:
    # A mask of zeros is as good as any to the server, which cannot know and unmasks all the same.
    frame = b"\x82\xfe" + FRAME_BYTES.to_bytes(2, "big") + bytes(4) + bytes(FRAME_BYTES)
    back = FRAME_BYTES + 4
    with selectors.DefaultSelector() as selector:
        missing = dict.fromkeys(sockets, back)
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ)
            sock.sendall(frame)
        sent, done = len(sockets), 0
        while done < count:
            for key, _ in selector.select():
                sock = key.fileobj  # type: ignore[assignment]  # only sockets are registered
                missing[sock] -= len(sock.recv(missing[sock]))
                if missing[sock]:
                    continue
                done += 1
                if sent < count:
                    sent += 1
                    missing[sock] = back
                    sock.sendall(frame)


def figures() -> Iterator[Figure]:
    """`echo`: frames a second."""
    sides: dict[str, Callable[[], float]] = {
        "ours": partial(trio.run, _echoes_per_second, partial(_links, open_sansio_link)),
        TRIO_WEBSOCKET: partial(trio.run, _echoes_per_second, partial(_links, open_trio_link)),
        ASGI: partial(trio.run, _echoes_per_second, _asgi),
    }
    rate = medians(in_turns(ROUNDS, sides))
    also = {ASGI: rate[ASGI]}
    yield Figure("echo", rate["ours"], "1/s", TRIO_WEBSOCKET, rate[TRIO_WEBSOCKET], also)


if __name__ == "__main__":
    _client(int(sys.argv[1]))
