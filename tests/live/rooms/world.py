"""Everybody around a node that is killed: the road to it, who receives its webhooks, its disk."""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import attrs
import httpx
import orjson
import trio

from models.rooms.event import RoomEvent
from tests.live.rooms.house import SECRET
from tests.live.rooms.node import ROOM, Orders, run
from transports.channels.signature import SIGNATURE, TIMESTAMP, sign
from transports.stores.backend import EventFilter, Page, RoomRecord
from transports.stores.config import StoreConfig, make_backend

UP_WITHIN = 30.0
"""Seconds a node has to come up on a busy machine."""
ALL = EventFilter(include_blocked=True)


# -- the receiver of webhooks --------------------------------------------------------------------


@attrs.frozen
class Received:
    """One POST."""

    key: str
    event_id: str
    index: int
    body: dict[str, Any]


@attrs.define(eq=False)
class Receiver:
    """Somebody else's server, which keeps idempotency keys."""

    url: str = ""
    posts: list[Received] = attrs.field(factory=list)
    """All that came."""
    refusing: int = 0
    """So many of the next are answered with 503."""

    @property
    def taken(self) -> list[Received]:
        """What came, each key once: the rest was known."""
        known: dict[str, Received] = {}
        for post in list(self.posts):
            known.setdefault(post.key, post)
        return list(known.values())

    def texts(self) -> list[str]:
        """Of the messages."""
        return [post.body["content"].get("body", "") for post in self.taken]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listening, until the block is left."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if kept.refusing > 0:
                kept.refusing -= 1
                self._answer(503)
                return
            expected = sign(SECRET, data, self.headers[TIMESTAMP])
            assert self.headers[SIGNATURE] == expected
            body = json.loads(data)
            post = Received(self.headers["Idempotency-Key"], body["event_id"], body["index"], body)
            kept.posts.append(post)
            self._answer(200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests say what is wrong themselves."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Nodes that are killed leave broken connections."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_address[1]}/events"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


# -- the road to the node --------------------------------------------------------------------------


@attrs.define(eq=False)
class Road:
    """An address that stays while the node behind it is another one each time."""

    port: int
    target: int | None = None
    """The port of the node that lives now."""

    @property
    def wire(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def road() -> AsyncIterator[Road]:
    """Open, until the block is left."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        way = Road(listener.socket.getsockname()[1])
        nursery.start_soon(partial(trio.serve_listeners, partial(_lead, way), [listener]))
        yield way
        nursery.cancel_scope.cancel()


async def _lead(way: Road, near: trio.SocketStream) -> None:
    async with near:
        if way.target is None:
            return
        try:
            far = await trio.open_tcp_stream("127.0.0.1", way.target)
        except OSError:
            return
        async with far, trio.open_nursery() as nursery:
            nursery.start_soon(_pass, near, far, nursery.cancel_scope)
            nursery.start_soon(_pass, far, near, nursery.cancel_scope)


async def _pass(source: trio.SocketStream, to: trio.SocketStream, both: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some(65536):
            await to.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    both.cancel()


# -- the node --------------------------------------------------------------------------------------


_context = multiprocessing.get_context("forkserver")
# A process of its own for each life, made from one that has loaded everything, in 30 ms.
_context.set_forkserver_preload(["pytest", "tests.live.rooms.node"])


@attrs.define(eq=False)
class Node:
    """One life of it."""

    process: BaseProcess
    log: Path
    port: int = 0

    @classmethod
    async def start(cls, orders: Orders, log: Path) -> Node | None:
        """One that is up; None if its fuse was faster."""
        ours, theirs = _context.Pipe(duplex=False)
        process = _context.Process(target=run, args=(orders, log, theirs), daemon=True)
        process.start()
        theirs.close()
        node = cls(process, log)
        try:
            with ours, trio.fail_after(UP_WITHIN):
                await trio.lowlevel.wait_readable(ours.fileno())
                node.port = int(ours.recv().rsplit(":", 1)[1])
        except EOFError:
            await node.wait_dead()
            return None
        return node

    async def wait_dead(self, within: float = 20.0) -> None:
        """Until the fuse has blown."""
        ended = await self._end(within)
        assert ended is not None, "it never came to the step at which it should have ended"
        assert ended == -signal.SIGKILL, self.log.read_text()

    async def stop(self) -> None:
        """In order."""
        self.process.terminate()
        ended = await self._end(20.0)
        assert ended is not None, "the node does not stop"
        assert ended == 0, self.log.read_text()

    async def _end(self, within: float) -> int | None:
        """Its exit code; None if it did not end by itself."""
        with trio.move_on_after(within):
            await trio.lowlevel.wait_readable(self.process.sentinel)
            self.process.join()
            return self.process.exitcode
        self.process.kill()
        self.process.join()
        return None


# -- who writes ------------------------------------------------------------------------------------


@attrs.frozen
class Sent:
    """A message that was acknowledged."""

    text: str
    event_id: str
    index: int


async def post_until_taken(way: Road, text: str, external_id: str) -> Sent:
    """A sender of webhooks: what is not acknowledged is sent again under the same name."""
    attempt = 0
    async with httpx.AsyncClient(timeout=5.0) as client:
        while True:
            attempt += 1
            said = {"sender_id": "shop", "body": text, "external_id": external_id}
            # Each attempt is signed anew: within a second it would have the same signature.
            body = orjson.dumps({**said, "attempt": attempt})
            try:
                answer = await client.post(
                    way.url("/webhooks/hook"), content=body, headers=signed(body)
                )
            except httpx.TransportError:
                await trio.sleep(0.05)
                continue
            if answer.status_code == 200:
                told = answer.json()
                return Sent(text, told["event_id"], told["index"])
            # 202: accepted, and how it ends is not known. 5xx: not now.
            assert answer.status_code in (202, 429, 503), answer.text
            await trio.sleep(0.1)


def signed(body: bytes, at: float | None = None) -> dict[str, str]:
    """The headers of an honest request."""
    timestamp = str(int(time.time() if at is None else at))
    return {
        "Content-Type": "application/json",
        TIMESTAMP: timestamp,
        SIGNATURE: sign(SECRET, body, timestamp),
    }


# -- what is on disk -------------------------------------------------------------------------------


@attrs.frozen
class OnDisk:
    """The room as the store has it."""

    record: RoomRecord
    events: list[RoomEvent]

    @property
    def delivered(self) -> bool:
        room = self.record.context.room
        return room.delivered_index == room.latest_index


@contextmanager
def disk(config: StoreConfig) -> Iterator[Disk]:
    """The store, looked at from beside the node."""
    backend = make_backend(config)()
    backend.open()
    try:
        yield Disk(backend)
    finally:
        backend.close()


@attrs.frozen
class Disk:
    """Reads the store."""

    backend: Any

    def look(self) -> OnDisk:
        """What is there now."""
        record = self.backend.load_room(ROOM, 100)
        events: list[RoomEvent] = []
        while page := self.backend.get_timeline(ROOM, ALL, Page(1000, after_index=len(events) - 1)):
            events += page
        self.backend.flush()  # lets go of what was read
        assert record is not None
        return OnDisk(record, events)
