"""The dispatcher: short turns, one slice for all, realtime first, and nobody starves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import groupby, pairwise
from typing import Any

import attrs
import pytest
import trio

from supervision import Actor, ActorRef, Request, SupervisionConfig, handles, open_system
from supervision import dispatcher as dispatcher_module
from supervision.dispatcher import REALTIME_TURNS, ROUND, Dispatcher
from supervision.node import Node
from supervision.system import System

MS = 0.001


@attrs.frozen
class Work:
    """Handling it takes so many seconds of the fake clock."""

    seconds: float = 0.0


class Ping:
    """Passed to and fro for ever."""


class Done(Request[int]):
    """How many it has handled."""


class FakeClock:
    """Stands for `perf_counter`; only handlers make it move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Worker(Actor[Any]):
    def __init__(self, bench: Bench, name: str) -> None:
        super().__init__()
        self.bench = bench
        self.name = name
        self.partner: ActorRef[Any] | None = None

    @handles
    def work(self, message: Work) -> None:
        self.bench.log.append(self.name)
        self.bench.clock.now += message.seconds

    @handles
    def ping(self, message: Ping) -> None:
        self.bench.log.append(self.name)
        self.bench.clock.now += 0.01 * MS
        if self.partner is not None:
            self.partner.tell(message)


class RealtimeWorker(Worker):
    realtime = True


class Bench:
    """A node whose slices can be looked at one by one."""

    def __init__(self) -> None:
        self.log: list[str] = []
        """Who handled a message, in order."""
        self.clock = FakeClock()
        self.slices: list[list[str]] = []
        """The log, cut where trio had its turn."""
        self.system: System

    async def workers(self, count: int, kind: type[Worker] = Worker) -> list[ActorRef[Any]]:
        prefix = "r" if kind.realtime else "o"
        names = [f"{prefix}{number}" for number in range(count)]
        return [await self.system.spawn(kind, self, name, path=f"/{name}") for name in names]

    def turns(self) -> list[tuple[str, int]]:
        """Who had a turn, and how many messages they handled in it."""
        return [(name, len(list(group))) for name, group in groupby(self.log)]


def with_bench(
    monkeypatch: pytest.MonkeyPatch,
    scenario: Callable[[Bench], Awaitable[None]],
    config: SupervisionConfig | None = None,
) -> Bench:
    bench = Bench()
    monkeypatch.setattr(dispatcher_module, "perf_counter", bench.clock)

    class Watched(Dispatcher):
        def slice(self) -> None:
            before = len(bench.log)
            super().slice()
            if len(bench.log) > before:
                bench.slices.append(bench.log[before:])

    async def main() -> None:
        async with open_system(config, dispatcher=Watched, watchdog=False) as bench.system:
            await scenario(bench)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return bench


# -- turns ------------------------------------------------------------------------------------


def test_an_actor_handles_sixteen_messages_in_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        for worker in await bench.workers(2):
            for _ in range(40):
                worker.tell(Work())
        await trio.testing.wait_all_tasks_blocked()

    bench = with_bench(monkeypatch, scenario)
    assert bench.turns() == [("o0", 16), ("o1", 16), ("o0", 16), ("o1", 16), ("o0", 8), ("o1", 8)]


def test_the_length_of_a_turn_can_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        for worker in await bench.workers(2):
            for _ in range(5):
                worker.tell(Work())
        await trio.testing.wait_all_tasks_blocked()

    bench = with_bench(monkeypatch, scenario, SupervisionConfig(slice_messages=3))
    assert bench.turns() == [("o0", 3), ("o1", 3), ("o0", 2), ("o1", 2)]


@pytest.mark.parametrize("count", [8, 32, 100, 400])
def test_with_many_ready_a_round_of_all_stays_short(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    async def scenario(bench: Bench) -> None:
        for worker in await bench.workers(count):
            for _ in range(20):
                worker.tell(Work())
        await trio.testing.wait_all_tasks_blocked()

    bench = with_bench(monkeypatch, scenario)
    assert len(bench.log) == 20 * count
    # How much others did between two turns of one and the same.
    first = [position for position, name in enumerate(bench.log) if name == "o0"]
    longest = max(later - earlier for earlier, later in pairwise(first))
    assert longest <= max(ROUND + 16, count)


def test_a_suspension_or_stop_ends_a_turn_after_the_message_in_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(bench: Bench) -> None:
        class Pausing(Worker):
            def work(self, message: Work) -> None:
                super().work(message)
                if len(bench.log) == 3:
                    bench.system.suspend(self.path)

        ref = await bench.system.spawn(Pausing, bench, "p", path="/p")
        for _ in range(10):
            ref.tell(Work())
        await trio.testing.wait_all_tasks_blocked()

    assert with_bench(monkeypatch, scenario).turns() == [("p", 3)]


# -- slices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 10, 100])
def test_one_slice_bounds_all_actors_together(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """However many are busy, trio has its turn after a millisecond and what one turn adds."""
    each = 0.02 * MS

    async def scenario(bench: Bench) -> None:
        for worker in await bench.workers(count):
            for _ in range(1000 // count):
                worker.tell(Work(each))
        await trio.testing.wait_all_tasks_blocked()

    bench = with_bench(monkeypatch, scenario)
    assert sum(map(len, bench.slices)) == len(bench.log) == 1000 // count * count
    assert max(map(len, bench.slices)) * each <= 1 * MS + 16 * each
    # And it is used: no slice but the last is much shorter.
    assert min(map(len, bench.slices[:-1])) * each >= 1 * MS - each


def test_the_length_of_a_slice_can_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        for worker in await bench.workers(10):
            for _ in range(100):
                worker.tell(Work(0.1 * MS))
        await trio.testing.wait_all_tasks_blocked()

    config = SupervisionConfig(slice_ms=5.0, slice_messages=1)
    bench = with_bench(monkeypatch, scenario, config)
    assert set(map(len, bench.slices[:-1])) <= {50, 51}


def test_a_bystander_has_its_turn_though_actors_keep_each_other_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(bench: Bench) -> None:
        one, other = await bench.workers(2)
        one._cell.actor.partner, other._cell.actor.partner = other, one
        for _ in range(50):
            one.tell(Ping())
        handled: list[int] = []
        for _ in range(20):
            await trio.lowlevel.checkpoint()
            handled.append(len(bench.log))
        waits = [later - earlier for earlier, later in pairwise(handled)]
        # A slice is 100 messages of 10 µs, and the bystander is one of few tasks.
        assert max(waits) <= 3 * 120
        one._cell.actor.partner = None

    with_bench(monkeypatch, scenario)


def test_sockets_and_timers_have_their_turn_too() -> None:
    """On the real clock, beside actors that never rest."""

    class Restless(Actor[Any]):
        @handles
        def ping(self, message: Ping) -> None:
            self.ref.tell(message)

    async def main() -> None:
        async with open_system(watchdog=False) as system:
            for _ in range(20):
                (await system.spawn(Restless)).tell(Ping())
            left, right = trio.socket.socketpair()
            with left, right, trio.fail_after(10):
                for _ in range(50):
                    await left.send(b"x")
                    assert await right.recv(1) == b"x"
                    await trio.sleep(0.001)

    trio.run(main)


# -- realtime -----------------------------------------------------------------------------------


def test_realtime_actors_go_first_and_ordinary_ones_keep_a_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(bench: Bench) -> None:
        ordinary = await bench.workers(2)
        realtime = await bench.workers(3, RealtimeWorker)
        for worker in [*ordinary, *realtime]:
            for _ in range(160):
                worker.tell(Work())
        await trio.testing.wait_all_tasks_blocked()

    turns = with_bench(monkeypatch, scenario).turns()
    assert {count for _, count in turns} == {16}
    classes = "".join(name[0] for name, _ in turns)
    # 30 realtime turns: eight, then an ordinary one; and what is left is the ordinary ones'.
    assert REALTIME_TURNS == 8
    assert classes == "rrrrrrrro" * 3 + "r" * 6 + "o" * 17


def test_a_realtime_actor_does_not_wait_for_the_queue_of_ordinary_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(bench: Bench) -> None:
        (realtime,) = await bench.workers(1, RealtimeWorker)

        class Alarming(Worker):
            def work(self, message: Work) -> None:
                super().work(message)
                if len(bench.log) == 1:
                    realtime.tell(Work())

        first = await bench.system.spawn(Alarming, bench, "a", path="/a")
        first.tell(Work())
        for worker in await bench.workers(100):
            for _ in range(5):
                worker.tell(Work())
        await trio.testing.wait_all_tasks_blocked()

    bench = with_bench(monkeypatch, scenario)
    assert bench.log[:2] == ["a", "r0"]


def test_what_is_signalled_goes_before_all_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        workers = await bench.workers(50)
        system = bench.system
        for worker in workers:
            for _ in range(20):
                worker.tell(Work())
        system.suspend("/o49")
        await trio.testing.wait_all_tasks_blocked()
        assert "o49" not in bench.log
        system.resume("/o49")
        await trio.testing.wait_all_tasks_blocked()
        assert bench.log.count("o49") == 20

    with_bench(monkeypatch, scenario)


# -- what it counts -----------------------------------------------------------------------------


def test_messages_and_time_are_counted_per_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        one, other = await bench.workers(2)
        for _ in range(30):
            one.tell(Work(0.2 * MS))
        other.tell(Work(0.5 * MS))
        await trio.testing.wait_all_tasks_blocked()
        assert (one._cell.handled, other._cell.handled) == (30, 1)
        assert one._cell.busy == pytest.approx(6 * MS)
        assert other._cell.busy == pytest.approx(0.5 * MS)

    with_bench(monkeypatch, scenario)


def test_a_dispatcher_of_ones_own_can_be_given() -> None:
    made: list[Node] = []

    class Mine(Dispatcher):
        def __init__(self, node: Node) -> None:
            super().__init__(node)
            made.append(node)

    async def main() -> None:
        async with open_system(dispatcher=Mine) as system:
            assert made == [system._node]

    trio.run(main)
