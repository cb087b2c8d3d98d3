"""The scenarios of rooms.py for RoomKit 0.58. A script for an interpreter that has it, not Troupe.

    python -I roomkit_load.py '{"scenario": "load", "messages": 500, "repetitions": 5, "core": 0}'
    python -I roomkit_load.py '{"scenario": "slow_target", "core": 0}'

The result is one JSON object on the last line of the output. How fair: roomkit_room.py.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Sequence
from time import perf_counter, process_time
from typing import Any

from roomkit import (  # type: ignore[import-not-found]
    AIChannel,
    ChannelCategory,
    InboundMessage,
    RoomKit,
    SMSChannel,
    TextContent,
    WebSocketChannel,
)
from roomkit.models.delivery import ProviderResult  # type: ignore[import-not-found]
from roomkit.providers.ai.mock import MockAIProvider  # type: ignore[import-not-found]
from roomkit.providers.sms.base import SMSProvider  # type: ignore[import-not-found]

QUESTION = "When does the next train to Basel leave, and from which platform?"
ANSWER = "At noon, from platform 7."
ROOM = "room"
WARM = 100
MESSAGES = 5
APART = 0.02
SMS_SECONDS = 0.5


async def load(messages: int, repetitions: int) -> dict[str, Any]:
    """One room, a WebSocket, a mock of a language model; each message when the last is answered."""
    kit = RoomKit()
    socket = WebSocketChannel("ws")
    answers = 0

    async def take(_connection: str, _event: object) -> None:
        nonlocal answers
        answers += 1

    provider = MockAIProvider([ANSWER])
    kit.register_channel(socket)
    kit.register_channel(AIChannel("ai", provider=provider))
    await kit.create_room(room_id=ROOM)
    socket.register_connection("connection", take, room_id=ROOM)
    await kit.attach_channel(ROOM, "ws")
    await kit.attach_channel(ROOM, "ai", category=ChannelCategory.INTELLIGENCE)

    latencies: list[float] = []

    async def say() -> None:
        begun = perf_counter()
        said = TextContent(body=QUESTION)
        message = InboundMessage(channel_id="ws", sender_id="guest", content=said)
        await kit.process_inbound(message, room_id=ROOM)
        latencies.append(1000 * (perf_counter() - begun))

    for _ in range(WARM):
        await say()
    latencies.clear()
    rates, costs = [], []
    for _ in range(repetitions):
        provider.calls.clear()  # it keeps the contexts of all its calls for tests to look at
        gc.collect()
        cpu, begun = process_time(), perf_counter()
        for _ in range(messages):
            await say()
        rates.append(messages / (perf_counter() - begun))
        costs.append(1000 * (process_time() - cpu) / messages)
    await kit.close()
    if answers != WARM + messages * repetitions:
        raise SystemExit(f"error: {answers} answers came")
    return {"per_s": rates, "cpu_ms": costs, "latency_ms": latencies}


class SlowSms(SMSProvider):  # type: ignore[misc]
    """Takes half a second, and notes when each message was sent."""

    def __init__(self) -> None:
        self.sent: list[float] = []

    @property
    def from_number(self) -> str:
        return "+15550001234"

    async def send(self, event: Any, to: str, from_: str | None = None) -> ProviderResult:
        await asyncio.sleep(SMS_SECONDS)
        self.sent.append(perf_counter())
        return ProviderResult(success=True)


async def slow_target() -> dict[str, Any]:
    """Five messages 20 ms apart to a WebSocket and to an SMS of half a second."""
    kit = RoomKit()
    caller, socket, sms = WebSocketChannel("caller"), WebSocketChannel("ws"), SlowSms()
    shown: list[tuple[float, int]] = []

    async def take(_connection: str, event: Any) -> None:
        shown.append((perf_counter(), int(event.content.body)))

    for channel in (caller, socket, SMSChannel("sms", provider=sms)):
        kit.register_channel(channel)
    await kit.create_room(room_id=ROOM)
    socket.register_connection("connection", take, room_id=ROOM)
    await kit.attach_channel(ROOM, "caller")
    await kit.attach_channel(ROOM, "ws")
    await kit.attach_channel(ROOM, "sms", metadata={"phone_number": "+15550005678"})
    called: list[float] = []
    returned: dict[int, float] = {}

    async def call(number: int) -> None:
        said = TextContent(body=str(number))
        message = InboundMessage(channel_id="caller", sender_id="guest", content=said)
        called.append(perf_counter())
        await kit.process_inbound(message, room_id=ROOM)
        returned[number] = perf_counter()

    calls = []
    for number in range(MESSAGES):
        calls.append(asyncio.create_task(call(number)))
        await asyncio.sleep(APART)
    await asyncio.gather(*calls)
    # What the last call did not wait for.
    for _ in range(100):
        if len(shown) == len(sms.sent) == MESSAGES:
            break
        await asyncio.sleep(0.1)
    await kit.close()
    return {
        "websocket_ms": [1000 * (at - called[number]) for at, number in shown],
        "sms_ms": [1000 * (at - called[0]) for at in sms.sent],
        "callers_ms": [1000 * (returned[number] - called[number]) for number in range(MESSAGES)],
    }


def main(arguments: Sequence[str]) -> None:
    scenario = json.loads(arguments[0])
    if scenario["core"] >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {scenario["core"]})
    if scenario["scenario"] == "load":
        result = asyncio.run(load(scenario["messages"], scenario["repetitions"]))
    else:
        result = asyncio.run(slow_target())
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
