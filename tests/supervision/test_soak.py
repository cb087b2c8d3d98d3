"""Soak: very many asks, against actors that crash, restart and stop under them.

Every ask is answered once, by the actor it was put to; every request is handled once at most. The
asks have no timeout, so one that is lost hangs, and is found and named by `fail_after`.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import pykka
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    ChildSpec,
    DynamicSupervisor,
    Mailbox,
    MailboxFull,
    Promise,
    Refuse,
    Refused,
    Reply,
    Request,
    Restart,
    SupervisionError,
    handles,
)
from supervision.testing import SystemUnderTest, system_under_test

THREADS = 8

SIZES = [
    pytest.param(12_000, id="sample"),
    pytest.param(100_000, id="soak", marks=pytest.mark.soak),
]


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Ask(Request[int]):
    """Answered with its own number, if at all."""

    number: int
    how: str


CALM = (*("value",) * 12, "value after a while", "refused", "later", "aside", "never")
WAYS = (*CALM, "crash", "crash after a while", "crash of a task")


class Poke:
    """Do what was put off."""


class Flaky(Actor[Ask | Poke]):
    """Answers in every way, and crashes now and then with answers owed and messages stashed."""

    poison = None
    mailbox = Mailbox(100_000)

    def __init__(self, handled: Counter[int]) -> None:
        super().__init__()
        self.handled = handled
        self.owed: list[tuple[Promise[int], int]] = []

    @handles
    def poke(self, _message: Poke) -> None:
        for promise, number in self.owed:
            promise.resolve(number)
        self.owed.clear()
        self.unstash()

    @handles
    def ask(self, message: Ask) -> Any:
        number = message.number
        if message.how == "aside" and random.random() < 0.5:
            self.stash()
            self.ref.tell(Poke())
            return None
        self.handled[number] += 1
        match message.how:
            case "refused":
                raise Refuse("no")
            case "crash":
                raise Boom
            case "later" | "never":
                self.owed.append((self.defer(), number))
                if message.how == "later" or len(self.owed) > 5:
                    self.ref.tell(Poke())
            case "crash of a task":
                self.start_task(self.fail)
        return number

    async def fail(self) -> None:
        raise Boom


class FlakyAsync(Flaky):
    async def ask(self, message: Ask) -> Any:
        self.handled[message.number] += 1
        if message.how == "value after a while":
            await trio.sleep(0.0001)
        if message.how == "crash after a while":
            await trio.sleep(0.0001)
            raise Boom
        if message.how == "crash":
            raise Boom
        if message.how == "refused":
            raise Refuse("no")
        return message.number


@attrs.define
class Ledger:
    """What became of every ask."""

    handled: Counter[int] = attrs.field(factory=Counter)
    ends: Counter[str] = attrs.field(factory=Counter)
    settled: Counter[int] = attrs.field(factory=Counter)
    wrong: list[str] = attrs.field(factory=list)

    def record(self, number: int, reply: Reply[int]) -> None:
        """On whatever thread waited for it."""
        error = reply.error
        if error is None:
            if reply.result() != number:
                self.wrong.append(f"{number} was answered {reply.result()}")
            self.ends["value"] += 1
        elif isinstance(error, Refused | ActorCrashed | ActorStopped):
            self.ends[type(error).__name__] += 1
        else:
            self.wrong.append(f"{number} ended in {error!r}")

    def count(self, number: int, _reply: object = None) -> None:
        self.settled[number] += 1

    def check(self, total: int) -> None:
        assert self.wrong == []
        assert sum(self.ends.values()) == total
        assert sum(self.settled.values()) == total
        assert set(self.settled.values()) == {1}
        assert set(self.handled.values()) <= {1}


async def ask_from_tasks(
    ref: Callable[[], ActorRef[Any]],
    numbers: range,
    ledger: Ledger,
    rng: random.Random,
    ways: Sequence[str],
) -> None:
    """Up to twenty asks under way at once."""
    for start in range(0, len(numbers), 20):
        asked: list[tuple[int, Reply[int]]] = []
        for number in numbers[start : start + 20]:
            reply = ref().ask(Ask(number, rng.choice(ways)), timeout=math.inf)
            reply.on_settled(partial(ledger.count, number))
            asked.append((number, reply))
        for number, reply in asked:
            try:
                await reply
            except SupervisionError:
                pass
            ledger.record(number, reply)


def ask_from_thread(
    ref: Callable[[], ActorRef[Any]],
    numbers: range,
    ledger: Ledger,
    seed: int,
    ways: Sequence[str],
) -> None:
    """One ask at a time, or a few."""
    rng = random.Random(seed)
    position = 0
    while position < len(numbers):
        asked: list[tuple[int, Reply[int]]] = []
        for number in numbers[position : position + rng.randint(1, 4)]:
            asked.append((number, ref().ask(Ask(number, rng.choice(ways)), timeout=math.inf)))
            position += 1
        for number, reply in asked:
            try:
                reply.get(timeout=60)
            except SupervisionError:
                pass
            ledger.record(number, reply)
            ledger.count(number)


async def ask_from_everywhere(
    ref: Callable[[], ActorRef[Any]],
    total: int,
    ledger: Ledger,
    seed: int,
    ways: Sequence[str] = WAYS,
) -> None:
    """Half from sixteen tasks, half from eight threads, at once."""
    half = total // 2
    threads = [
        range(half + n * half // THREADS, half + (n + 1) * half // THREADS) for n in range(THREADS)
    ]
    tasks = [range(n * half // 16, (n + 1) * half // 16) for n in range(16)]
    limiter = trio.CapacityLimiter(THREADS)

    async def in_thread(numbers: range, seed: int) -> None:
        await trio.to_thread.run_sync(
            ask_from_thread, ref, numbers, ledger, seed, ways, limiter=limiter
        )

    async with trio.open_nursery() as nursery:
        for number, numbers in enumerate(threads):
            nursery.start_soon(in_thread, numbers, seed + number)
        for number, numbers in enumerate(tasks):
            rng = random.Random(seed - 1 - number)
            nursery.start_soon(ask_from_tasks, ref, numbers, ledger, rng, ways)


async def poke(refs: list[ActorRef[Any]]) -> None:
    """See to it that no answer is owed for ever."""
    while True:
        for ref in refs:
            ref.tell(Poke())
        await trio.sleep(0.005)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")  # thousands of crashes are logged


@pytest.mark.parametrize("total", SIZES)
async def test_asks_of_actors_that_crash_at_random_are_all_answered_once(total: int) -> None:
    ledger = Ledger()
    async with system_under_test() as system:
        system.expect_crash("/pool/*", Boom)
        await system.spawn(DynamicSupervisor, intensity=10**9, path="/pool")
        refs = [
            await system.spawn(kind, ledger.handled, path=f"/pool/{kind.__name__}-{number}")
            for number in range(4)
            for kind in (Flaky, FlakyAsync)
        ]
        picks = random.Random(total)
        with trio.fail_after(20 + total / 500):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(poke, refs)
                await ask_from_everywhere(lambda: picks.choice(refs), total, ledger, total)
                nursery.cancel_scope.cancel()
        assert all(ref.alive for ref in refs)
        assert system._node.crashes.count > total / 50
        assert len(system._node.timers) < 10
    ledger.check(total)
    assert set(ledger.ends) == {"value", "Refused", "ActorCrashed"}


async def _replace(
    system: SystemUnderTest, slots: list[ActorRef[Any]], handled: Counter[int], seed: int
) -> None:
    """Stop one actor after another, in every way, and put a new one in its place."""
    rng = random.Random(seed)
    number = 0
    while True:
        number += 1
        slot = rng.randrange(len(slots))
        old = slots[slot]
        kind = rng.choice((Flaky, FlakyAsync))
        spec: ChildSpec[Any] = ChildSpec(
            f"n{number}",
            partial(kind, handled),
            Restart.TEMPORARY,
            shutdown=rng.choice((5.0, 0.001, "brutal")),
        )
        slots[slot] = await system.start_child(spec, parent="/pool")
        match rng.randrange(4):
            case 0:
                _ = old.pykka.stop(block=False)
            case 1:
                await trio.to_thread.run_sync(old.pykka.stop)
            case 2 if old._cell.actor is not None:
                old._cell.actor.stop()
            case _:
                try:
                    await system.stop(old.path)
                except SupervisionError:
                    pass  # it had crashed
        await trio.sleep(rng.choice((0, 0.0005)))


@pytest.mark.parametrize("total", SIZES)
async def test_asks_that_race_a_stop_are_all_answered_once(total: int) -> None:
    ledger = Ledger()
    async with system_under_test() as system:
        system.expect_crash("/pool/*", Boom)
        system.expect_dead_letters("/pool/*")  # pokes
        await system.spawn(DynamicSupervisor, path="/pool")
        slots: list[ActorRef[Any]] = [
            await system.start_child(
                ChildSpec(f"first{n}", partial(Flaky, ledger.handled), Restart.TEMPORARY),
                parent="/pool",
            )
            for n in range(4)
        ]
        picks = random.Random(total)
        with trio.fail_after(20 + total / 500):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_replace, system, slots, ledger.handled, total)
                nursery.start_soon(poke, slots)
                await ask_from_everywhere(lambda: picks.choice(slots), total, ledger, total, CALM)
                nursery.cancel_scope.cancel()
    ledger.check(total)
    assert ledger.ends["ActorStopped"] > total / 200
    assert ledger.ends["value"] > total / 4


@pytest.mark.parametrize("total", SIZES)
async def test_asks_that_race_the_end_of_the_whole_system_are_all_answered(total: int) -> None:
    """The threads know nothing of it: they ask until they are told that all is over."""
    rounds = total // 300
    asked = answered = 0
    refs: list[ActorRef[Any]] = []
    over = threading.Event()
    counts: list[tuple[int, int]] = []

    def ask_on() -> None:
        mine = done = 0
        while not over.is_set():
            reply = refs[-1].ask(Ask(mine, "value"), timeout=math.inf)
            mine += 1
            try:
                assert reply.get(timeout=30) == mine - 1
            except (ActorStopped, MailboxFull):
                time.sleep(0.0002)
            done += 1
        counts.append((mine, done))

    async def one_round(first: trio.Event) -> None:
        async with system_under_test() as system:
            system.expect_dead_letters()
            system.expect_leak("thread *")
            refs.append(await system.spawn(Flaky, Counter()))
            first.set()
            await trio.sleep(0.002)

    async with trio.open_nursery() as nursery:
        first = trio.Event()
        nursery.start_soon(one_round, first)
        await first.wait()
        for _ in range(4):
            nursery.start_soon(trio.to_thread.run_sync, ask_on)
        for _ in range(rounds):
            await one_round(trio.Event())
        over.set()
    for mine, done in counts:
        asked += mine
        answered += done
    assert asked == answered
    assert asked > rounds


# -- the gap in which pykka loses asks ---------------------------------------------------


class LateInbox:
    """The actor stops after the asker has seen it alive, and before its message is put in."""

    def __init__(self, ref: pykka.ActorRef[Any]) -> None:
        self._ref = ref
        self._inbox = ref.actor_inbox

    def put(self, envelope: Any) -> None:
        self._ref.actor_inbox = self._inbox
        self._ref.stop()
        self._inbox.put(envelope)


def test_pykka_loses_an_ask_that_comes_in_the_moment_of_a_stop() -> None:
    """What ours is measured against: if pykka mends it, this test and what docs say can go."""

    class Threading(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> Any:
            return message

    ref = Threading.start()
    ref.actor_inbox = LateInbox(ref)  # type: ignore[assignment]
    future = ref.ask(1, block=False)
    assert not ref.is_alive()
    with pytest.raises(pykka.Timeout):
        future.get(timeout=0.2)


class LateMail(deque[Any]):
    """As `LateInbox`: what a thread appends comes only once the actor is gone."""

    def __init__(self, loop: threading.Thread) -> None:
        super().__init__()
        self._loop = loop
        self.looked = threading.Event()
        self.gone = threading.Event()

    def append(self, envelope: Any) -> None:
        if threading.current_thread() is not self._loop:
            self.looked.set()
            self.gone.wait(10)
        super().append(envelope)


async def test_ours_answers_an_ask_that_comes_in_the_moment_of_a_stop() -> None:
    async with system_under_test() as system:
        ref = await system.spawn(Flaky, Counter(), path="/flaky")
        mail = ref._cell.inbox = LateMail(threading.current_thread())
        ends: list[type] = []

        def ask() -> None:
            with pytest.raises(SupervisionError) as raised:
                ref.ask(Ask(1, "value"), timeout=math.inf).get(timeout=10)
            ends.append(raised.type)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, ask)
            await trio.to_thread.run_sync(mail.looked.wait)
            await system.stop("/flaky")
            mail.gone.set()
        assert ends == [ActorStopped]
