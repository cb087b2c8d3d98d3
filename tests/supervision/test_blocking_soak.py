"""Nothing is lost and nothing is answered twice, however the thread crashes, stops and starts."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    ActorCrashed,
    ActorRef,
    ActorStopped,
    BlockingActor,
    MailboxFull,
    Refuse,
    Refused,
    Reply,
    Request,
    SupervisionConfig,
    handles,
    open_system,
)

SOAK = os.environ.get("TROUPE_SOAK") == "1"
ASKERS = 4
ASKS = 20_000 if SOAK else 400
"""Of each of the four threads and of trio."""

CONFIG = SupervisionConfig(intensity=1_000_000_000, mailbox=1_000_000, ask_timeout=60)


@attrs.frozen
class Echo(Request[int]):
    number: int


class Fragile(BlockingActor[Echo]):
    """Crashes on every twentieth message or so, and counts what it has handled."""

    poison = None

    def __init__(self, handled: Counter[int], *, hold: bool) -> None:
        super().__init__()
        self.handled = handled
        self.rng = random.Random(len(handled))
        self.fragile_end = hold

    @handles
    def echo(self, message: Echo) -> int:
        self.handled[message.number] += 1
        chance = self.rng.random()
        if chance < 0.05:
            raise ValueError(message.number)
        if chance < 0.1:
            raise Refuse("now")
        return message.number


class FragileInBatches(Fragile):
    def on_batch_end(self) -> None:
        if self.rng.random() < 0.03:
            raise OSError("disk")


def outcome(get: Any, number: int) -> str:
    try:
        assert get() == number
    except Exception as error:  # noqa: BLE001  which one is the outcome
        return type(error).__name__
    return "answered"


async def ask_from_everywhere(ref: ActorRef[Echo]) -> Counter[str]:
    outcomes: list[str] = []
    settled: Counter[int] = Counter()

    def count(number: int, _: Reply[int]) -> None:
        settled[number] += 1

    def from_thread(first: int) -> None:
        replies = []
        for number in range(first, first + ASKS):
            replies.append((number, ref.ask(Echo(number))))
            if len(replies) >= 50:
                outcomes.extend(outcome(reply.get, n) for n, reply in replies)
                replies.clear()
        outcomes.extend(outcome(reply.get, n) for n, reply in replies)

    async def from_trio(first: int) -> None:
        for number in range(first, first + ASKS):
            reply = ref.ask(Echo(number))
            reply.on_settled(partial(count, number))
            try:
                await reply
            except Exception:  # noqa: BLE001  counted below
                pass
            outcomes.append(outcome(reply.result, number))

    async with trio.open_nursery() as nursery:
        for asker in range(ASKERS):
            nursery.start_soon(trio.to_thread.run_sync, from_thread, (asker + 1) * ASKS)
        nursery.start_soon(from_trio, 0)
    assert set(settled.values()) == {1}
    return Counter(outcomes)


@pytest.mark.parametrize("kind", [Fragile, FragileInBatches])
async def test_every_ask_is_answered_once_however_often_it_crashes(
    kind: type[Fragile], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "troupe.supervision")
    handled: Counter[int] = Counter()
    async with open_system(CONFIG) as system:
        ref = await system.spawn(kind, handled, hold=kind is FragileInBatches)
        outcomes = await ask_from_everywhere(ref)
        crashes = system._node.crashes.count
    assert system._node.busy_outside == 0
    assert outcomes.keys() <= {"answered", "Refused", "ActorCrashed"}
    assert outcomes.total() == (ASKERS + 1) * ASKS
    # Each was begun once: what was not when it crashed came back, what was did not.
    assert handled == Counter(range((ASKERS + 1) * ASKS))
    assert outcomes["answered"] > 0
    assert crashes > 0
    # trio keeps its worker threads for a while; ours are gone.
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("troupe")]
    assert not ours


async def test_every_ask_is_answered_once_while_it_stops(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "troupe.supervision")
    handled: Counter[int] = Counter()
    async with open_system(CONFIG) as system:
        ref = await system.spawn(Fragile, handled, hold=False, path="/fragile")
        stopped = trio.Event()

        async def stop_soon() -> None:
            while len(handled) < ASKS:  # noqa: ASYNC110
                await trio.sleep(0)  # noqa: ASYNC115
            await system.stop("/fragile")
            stopped.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_soon)
            outcomes = await ask_from_everywhere(ref)
            await stopped.wait()
    names = {kind.__name__ for kind in (Refused, ActorCrashed, ActorStopped, MailboxFull)}
    assert outcomes.keys() <= {"answered", *names}
    assert outcomes.total() == (ASKERS + 1) * ASKS
    assert outcomes["ActorStopped"] > 0
    assert max(handled.values()) == 1
