"""The load scenario of calls.py over WebSockets: the node on one core, the callers on another.

The callers are a process of their own (`python -m bench.calls_over_sockets PORT N SECONDS`), so the
node's processor time is all its own. They speak docs/wire.md: PCM at 16 kHz both ways, 20 ms at a
time, played counts every 100 ms and answers to `clear`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import process_time
from typing import Any

import orjson
import trio

from actors.interpreter import Collector, share_among_threads
from bench.calls import PERIOD, SETTLE, WARM, Load, phrases, start_node
from bench.measure import ALL_CORES, pin
from supervision import SupervisionConfig, open_system
from transports.client_link import connect_link
from transports.far_end import FarEnd
from transports.frame_link import FrameLink, LinkClosed
from transports.server import ServerConfig, Where, server
from transports.server.tree import pcm_wires

RATE = 16000
FRAME = 640
TICK = 0.02
REPORT_TICKS = 5


# -- the node ---------------------------------------------------------------------------------


def run_sockets(sessions: int, seconds: float, core: int = -1) -> Load:
    """Run the scenario over sockets. For a process of its own: it pins and tunes itself."""
    pin({core} - {-1})
    share_among_threads(0.5)
    return trio.run(_serve, sessions, seconds, core)


async def _serve(sessions: int, seconds: float, core: int) -> Load:
    config = SupervisionConfig(mailbox=20_000)
    async with open_system(config, name="bench") as system:
        await start_node(system)
        exchange = system.ref("/exchange")
        media = {"/media": pcm_wires(exchange)}
        await system.start_child(server(ServerConfig(port=0), media))
        url = await system.ref("/server/listener").ask(Where())
        others = (set(ALL_CORES) - {core}) or set(ALL_CORES)
        command = [sys.executable, "-m", "bench.calls_over_sockets", url, str(sessions)]
        command += [str(seconds), ",".join(map(str, others))]
        root = Path(__file__).parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root)}
        process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, env=environment, cwd=root
        )
        assert process.stdout is not None
        told = b""
        while not told.endswith(b"\n"):  # all are connected
            told += await process.stdout.receive_some(1000)
        await trio.sleep(WARM)
        Collector()
        await trio.sleep(SETTLE)
        begun, cpu = trio.current_time(), process_time()
        await trio.sleep(seconds)
        cpu, ended = process_time() - cpu, trio.current_time()
        answer = b""
        async for data in process.stdout:
            answer += data
        await process.wait()
    result = json.loads(answer)
    milliseconds = 1000 * cpu / (ended - begun) / sessions
    return Load(sessions, milliseconds, tuple(result["bargein_ms"]), (), result["missed"])


# -- the callers ------------------------------------------------------------------------------


class Caller:
    """One caller: a microphone, a player, and the times of what happened."""

    def __init__(self, link: FrameLink, sounds: Sequence[bytes], number: int) -> None:
        self._link = link
        self._sounds = sounds
        self._number = number
        self._ears = FarEnd(RATE, record=False)
        self.spoken: list[float] = []
        """When each phrase began."""
        self.clears: list[float] = []

    async def start(self) -> None:
        start = {"type": "start", "stream": "s", "format": "s16le", "rate": RATE}
        start |= {"played": True, "clear": True}
        await self._link.send([orjson.dumps(start).decode()])
        first, *rest = await self._link.receive()
        assert orjson.loads(first)["type"] == "ready", first
        await self._take(rest)

    async def talk(self, begin: float) -> None:
        silence = bytes(FRAME)
        saying, said, turn, tick = b"", 0, 0, 0
        while True:
            tick += 1
            now = begin + tick * TICK
            await trio.sleep_until(now)
            if not saying and now >= begin + 2.0 + turn * (PERIOD + 0.0037):
                saying, said = self._sounds[(self._number + turn) % len(self._sounds)], 0
                turn += 1
                self.spoken.append(now - TICK)  # its first sample is the first of this frame
            frame = silence
            if saying:
                frame = saying[said : said + FRAME].ljust(FRAME, b"\0")
                said += FRAME
                if said >= len(saying):
                    saying = b""
            payloads: list[bytes | str] = [frame]
            if tick % REPORT_TICKS == 0 and self._ears.received:
                played = self._ears.played(trio.current_time())
                payloads.append(f'{{"type":"played","samples":{played}}}')
            await self._link.send(payloads)

    async def listen(self) -> None:
        while True:
            await self._take(await self._link.receive())

    async def _take(self, payloads: Sequence[bytes | str]) -> None:
        now = trio.current_time()
        for payload in payloads:
            if isinstance(payload, bytes):
                self._ears.receive(payload, now)
                continue
            fields: dict[str, Any] = orjson.loads(payload)
            if fields["type"] == "clear":
                self.clears.append(now)
                played, dropped = self._ears.clear(now)
                answer = {"type": "cleared", "id": fields["id"]}
                answer |= {"played": played, "dropped": dropped}
                await self._link.send([orjson.dumps(answer).decode()])


async def call(url: str, sessions: int, seconds: float) -> None:
    """Call, talk, and print what came of it."""
    address = url.replace("http", "ws", 1) + "/media"
    async with AsyncExitStack() as links:
        callers = []
        for number in range(sessions):
            link = await links.enter_async_context(connect_link(address))
            callers.append(Caller(link, phrases(), number))
            await callers[-1].start()
        begin = await _talk(callers, sessions, seconds)
    delays, missed = [], 0
    for caller in callers:
        for start in caller.spoken:
            if not begin + WARM <= start <= begin + WARM + seconds - 2:
                continue
            after = [at for at in caller.clears if start <= at <= start + 2]
            if after:
                delays.append(1000 * (after[0] - start))
            else:
                missed += 1
    sys.stdout.write(json.dumps({"bargein_ms": delays, "missed": missed}) + "\n")


async def _talk(callers: Sequence[Caller], sessions: int, seconds: float) -> float:
    """All talk for their time; returns when they began."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    begin = trio.current_time()
    try:
        async with trio.open_nursery() as nursery:
            for number, caller in enumerate(callers):
                # On a grid, so that one wake-up serves several; spread over the period.
                offset = round(PERIOD * number / sessions, 2) + 0.005 * (number % 4)
                nursery.start_soon(caller.talk, begin + offset)
                nursery.start_soon(caller.listen)
            await trio.sleep(WARM + SETTLE + seconds)
            nursery.cancel_scope.cancel()
    except* LinkClosed:
        pass
    return begin


if __name__ == "__main__":
    _, where, how_many, how_long, cores = sys.argv
    pin({int(each) for each in cores.split(",")})
    trio.run(call, where, int(how_many), float(how_long))
