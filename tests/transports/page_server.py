"""A small server for the talk page: it serves the files and speaks the wire, as tests direct it.

It runs in a thread of its own, so that plain tests (Playwright's are not async) can direct it:

    with PageServer() as server:
        page.goto(server.address)
        page.click("#connect-text")
        call = server.wait_for_call()
        call.send(type="clear", id=1)
        call.wait_for("cleared")

`python -m tests.transports.page_server` serves the page with a conversation played by nobody, to
look at.
"""

from __future__ import annotations

import json
import math
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import attrs
import trio
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from tests.transports.browser import PATIENCE
from transports.server.pages import CONTENT_TYPES, PAGE_HEADERS, PAGES


def tone(seconds: float, rate: int, frequency: float = 440, level: float = 0.3) -> bytes:
    """A sine, 16-bit little-endian mono."""
    step = 2 * math.pi * frequency / rate
    values = (int(level * 32767 * math.sin(step * i)) for i in range(round(seconds * rate)))
    return b"".join(struct.pack("<h", value) for value in values)


@attrs.define(eq=False)
class PageCall:
    """One connection of a page, as seen by the server. All methods are for other threads."""

    start: dict[str, Any]
    ready: dict[str, Any]
    _server: PageServer
    _outbox: trio.MemorySendChannel[bytes | str | None]
    texts: list[dict[str, Any]] = attrs.field(factory=list)
    frames: list[bytes] = attrs.field(factory=list)
    arrivals: list[float] = attrs.field(factory=list)
    """When each frame came, in seconds of `time.monotonic`."""
    lost: bool = False
    """The connection is gone, for whatever reason."""

    def send(self, **message: Any) -> None:
        self._server.soon(self._outbox.send_nowait, json.dumps(message))

    def show(self, what: str, **fields: Any) -> None:
        self.send(type="show", what=what, **fields)

    def play(self, sound: bytes) -> None:
        """Sends sound at once, in frames of 20 ms."""
        size = 2 * self.ready["rate"] // 50
        for at in range(0, len(sound), size):
            self._server.soon(self._outbox.send_nowait, sound[at : at + size])

    def cut(self) -> None:
        """Closes the TCP connection without a word, as a dead network does."""
        self._server.soon(self._outbox.send_nowait, None)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The page's messages of this type so far, oldest first."""
        return [text for text in list(self.texts) if text["type"] == kind]

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The `count`th message of this type."""
        self._server.wait_until(lambda: len(self.of(kind)) >= count, f"{count} × {kind}")
        return self.of(kind)[count - 1]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        self._server.wait_until(condition, what)

    @property
    def sound(self) -> bytes:
        return b"".join(list(self.frames))


class PageServer:
    """Serves `transports/pages` on 127.0.0.1; `with` starts and ends it."""

    def __init__(self, *, rate: int = 24000, token: str = "", port: int = 0) -> None:
        self.rate = rate
        self.token = token
        self.address = ""
        self.calls: list[PageCall] = []
        self.refuses: dict[str, str] | None = None
        """Answer every start with this `error` (code and message) while it is set."""
        self._port = port
        self._changed = threading.Condition()
        self._running = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._run,), daemon=True)

    def __enter__(self) -> PageServer:
        self._thread.start()
        assert self._running.wait(PATIENCE), "the page server did not start"
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.soon(self._scope.cancel)
        self._thread.join(PATIENCE)

    def soon(self, act: Callable[..., object], *args: Any) -> None:
        """Does something on the server's own thread."""
        self._token.run_sync_soon(act, *args)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"never: {what}"

    def wait_for_call(self, count: int = 1) -> PageCall:
        """The `count`th connection whose start was accepted."""
        self.wait_until(lambda: len(self.calls) >= count, f"connection {count}")
        return self.calls[count - 1]

    # -- on the server's thread ---------------------------------------------------------------

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as self._scope:
            async with trio.open_nursery() as nursery:
                listeners = await trio.open_tcp_listeners(self._port, host="127.0.0.1")
                self.address = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
                self._running.set()
                await trio.serve_listeners(self._serve, listeners, handler_nursery=nursery)

    async def _serve(self, stream: trio.SocketStream) -> None:
        protocol = ServerProtocol(max_size=1 << 20)
        try:
            async with stream:
                while not protocol.close_expected():
                    data = await stream.receive_some(65536)
                    protocol.receive_data(data) if data else protocol.receive_eof()
                    for event in protocol.events_received():
                        if isinstance(event, Request):
                            answered = await self._answer(protocol, stream, event)
                            if not answered:
                                return
                    if not data:
                        return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the browser went away in mid-sentence; nothing is owed to it

    async def _answer(
        self, protocol: ServerProtocol, stream: trio.SocketStream, request: Request
    ) -> bool:
        """Files get their answer and the end; a page that calls is served until it is gone."""
        if request.path.split("?")[0] != "/media":
            protocol.send_response(self._file(request.path.split("?")[0]))
            await _flush(protocol, stream)
            return False
        protocol.send_response(protocol.accept(request))
        await _flush(protocol, stream)
        await self._talk(protocol, stream)
        return False

    def _file(self, path: str) -> Response:
        file = PAGES / (path.lstrip("/") or "index.html")
        if file.parent != PAGES or not file.is_file():
            return Response(404, "Not Found", Headers({"Content-Length": "0"}), b"")
        body = file.read_bytes()
        headers = Headers(
            {
                **PAGE_HEADERS,  # the real server's: its policy is part of what the page meets
                "Content-Type": CONTENT_TYPES[file.suffix],
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
        )
        return Response(200, "OK", headers, body)

    async def _talk(self, protocol: ServerProtocol, stream: trio.SocketStream) -> None:
        call: PageCall | None = None
        async with trio.open_nursery() as nursery:
            while data := await _receive(stream):
                protocol.receive_data(data)
                for event in protocol.events_received():
                    assert isinstance(event, Frame)
                    if event.opcode is Opcode.TEXT and call is None:
                        call = await self._welcome(protocol, stream, json.loads(bytes(event.data)))
                        if call is not None:
                            nursery.start_soon(self._write, protocol, stream, call)
                    elif call is not None:
                        self._received(call, event)
                await _flush(protocol, stream)
                if protocol.close_expected():
                    break
            nursery.cancel_scope.cancel()
        if call is not None:
            with self._changed:
                call.lost = True
                self._changed.notify_all()

    async def _welcome(
        self, protocol: ServerProtocol, stream: trio.SocketStream, start: dict[str, Any]
    ) -> PageCall | None:
        refusal = self.refuses
        if self.token and start.get("token") != self.token:
            refusal = {"code": "unauthorized", "message": "This server asks for a token."}
        if refusal is not None:
            protocol.send_text(json.dumps({"type": "error", **refusal}).encode())
            protocol.send_close(1008)
            await _flush(protocol, stream)
            return None
        number = len(self.calls) + 1
        known = [one.ready for one in self.calls if one.ready["resume"] == start.get("resume")]
        ready = {
            "type": "ready",
            "stream": start["stream"],
            "call": known[0]["call"] if known else f"c-{number}",
            "leg": "a",
            "resume": known[0]["resume"] if known else f"resume-{number}",
            "resumed": bool(known),
            "format": "s16le",
            "rate": self.rate,
        }
        protocol.send_text(json.dumps(ready).encode())
        await _flush(protocol, stream)
        # Longer than anything a test sends at once: a minute of frames.
        outbox, self._inbox = trio.open_memory_channel[bytes | str | None](3000)
        call = PageCall(start, ready, self, outbox)
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
        return call

    async def _write(
        self, protocol: ServerProtocol, stream: trio.SocketStream, call: PageCall
    ) -> None:
        async for item in self._inbox:
            if item is None:
                await stream.aclose()
                return
            if isinstance(item, str):
                protocol.send_text(item.encode())
            else:
                protocol.send_binary(item)
            await _flush(protocol, stream)

    def _received(self, call: PageCall, frame: Frame) -> None:
        with self._changed:
            if frame.opcode is Opcode.TEXT:
                call.texts.append(json.loads(bytes(frame.data)))
            elif frame.opcode is Opcode.BINARY:
                call.frames.append(bytes(frame.data))
                call.arrivals.append(time.monotonic())
            self._changed.notify_all()


async def _flush(protocol: ServerProtocol, stream: trio.SocketStream) -> None:
    for data in protocol.data_to_send():
        if data:
            await stream.send_all(data)


async def _receive(stream: trio.SocketStream) -> bytes:
    try:
        return bytes(await stream.receive_some(65536))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return b""


def perform(call: PageCall, pause: Callable[[float], object] = time.sleep) -> None:
    """Plays a conversation to the page: a receptionist, an interruption, a tool, a handoff."""
    rate = call.ready["rate"]
    call.show("agent", name="Receptionist", reason="")
    greeting = "Good evening, this is the Harbour Hotel. How can I help you tonight?"
    call.show("floors", user="quiet", agent="speaking", at=0.4)
    call.show("speech", utterance=1, text=greeting, agent="Receptionist")
    _speak(call, 1, greeting, 1.6, pause, rate)
    call.show("said", utterance=1, text=greeting, interrupted=False, agent="Receptionist")
    call.show("floors", user="speaking", agent="idle", at=3.1)
    ask = "I would like to change my booking to three nights"
    for words in range(2, len(ask.split()) + 1, 3):
        call.show("transcript", turn=1, text=" ".join(ask.split()[:words]), final=False, leg="a")
        pause(0.15)
    call.show("transcript", turn=1, text=f"{ask}.", final=True, leg="a")
    call.show("floors", user="committed", agent="thinking", at=5.2)
    call.show("tool", id="t1", name="find_booking", state="started", detail="guest Okafor")
    parts = {"end_of_turn": 250, "transcript": 60, "model": 210, "speech": 95, "playout": 40}
    call.show("turn", turn=1, parts_ms=parts, total_ms=655, barge_in_ms=None)
    pause(0.3)
    call.show("tool", id="t1", name="find_booking", state="done", detail="HH-2210, 2 nights")
    answer = (
        "I have found your booking for two nights from Friday. A third night would be in the "
        "garden room, which has no view of the water, and the price"
    )
    call.show("floors", user="quiet", agent="speaking", at=6.1)
    call.show("speech", utterance=2, text=answer, agent="Receptionist")
    heard = "I have found your booking for two nights from Friday. A third night"
    _speak(call, 2, heard, 1.4, pause, rate)
    call.play(tone(0.4, rate, 190))
    call.show("floors", user="speaking", agent="held", at=8.4)
    call.send(type="clear", id=1)
    pause(0.1)
    call.show("said", utterance=2, text=heard, interrupted=True, agent="Receptionist")
    call.show("floors", user="speaking", agent="cut", at=8.6)
    call.show("transcript", turn=2, text="Can I pay with points?", final=True, leg="a")
    parts = {"end_of_turn": 250, "transcript": 45, "model": 330, "speech": 120, "playout": 40}
    call.show("turn", turn=2, parts_ms=parts, total_ms=785, barge_in_ms=84)
    call.show("agent", name="Loyalty desk", reason="the guest asks about points")
    last = "Yes, you can. Three nights are forty thousand points, and breakfast is included."
    call.show("floors", user="quiet", agent="speaking", at=10.2)
    call.show("speech", utterance=3, text=last, agent="Loyalty desk")
    _speak(call, 3, "Yes, you can. Three nights are forty", 1.0, pause, rate)


def _speak(
    call: PageCall,
    utterance: int,
    text: str,
    seconds: float,
    pause: Callable[[float], object],
    rate: int,
) -> None:
    words = text.split()
    for index, word in enumerate(words):
        loud = 0.12 + 0.25 * (len(word) % 5) / 4
        call.play(tone(seconds / len(words), rate, 150 + 12 * len(word), loud))
        spoken = len(" ".join(words[: index + 1]))
        call.show("spoken", utterance=utterance, characters=spoken)
        pause(seconds / len(words))


def main() -> None:
    with PageServer(port=8765) as server:
        served = 0
        while True:
            time.sleep(0.2)
            if len(server.calls) > served:
                served = len(server.calls)
                perform(server.calls[-1])


if __name__ == "__main__":
    main()
