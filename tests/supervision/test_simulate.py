"""Simulations: one seed gives one run, and a race is a number that one can commit."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio._core import _run

from supervision import (
    Actor,
    ActorRef,
    AskTimeout,
    ChildSpec,
    DynamicSupervisor,
    Request,
    Restart,
    SupervisionConfig,
    Supervisor,
    handles,
)
from supervision.blocking import BlockingActor
from supervision.determinism import deterministic_trio
from supervision.resilience import Backoff
from supervision.testing import Simulation, SystemUnderTest, simulate


class Boom(Exception):
    """The fault that tests plan."""


# -- a planted race ------------------------------------------------------------------------


class Read(Request[int]):
    """What the account holds."""


@attrs.frozen
class Write:
    amount: int


@attrs.frozen
class Deposit:
    """Read the account, add, write it back: the classic mistake."""

    amount: int


@attrs.frozen
class Balance:
    amount: int
    deposit: int


class Account(Actor[Read | Write]):
    def __init__(self) -> None:
        super().__init__()
        self.amount = 0

    @handles
    def read(self, _message: Read) -> int:
        return self.amount

    @handles
    def write(self, message: Write) -> None:
        self.amount = message.amount


class Teller(Actor[Deposit | Balance]):
    def __init__(self, account: ActorRef[Read | Write]) -> None:
        super().__init__()
        self.account = account

    @handles
    def deposit(self, message: Deposit) -> None:
        def balance(amount: int) -> Balance:
            return Balance(amount, message.amount)

        self.pipe(self.account.ask(Read()), to=balance)

    @handles
    def balance(self, message: Balance) -> None:
        self.account.tell(Write(message.amount + message.deposit))


async def two_tellers(system: SystemUnderTest) -> int:
    account = await system.spawn(Account, path="/account")
    one = await system.spawn(Teller, account, path="/one")
    other = await system.spawn(Teller, account, path="/other")
    one.tell(Deposit(1))
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    other.tell(Deposit(10))
    await system.settle()
    return await account.ask(Read())


def test_a_race_is_found_by_some_seed_and_replayed_by_it() -> None:
    results = {seed: simulate(two_tellers, seed).result for seed in range(100)}
    right = [seed for seed, result in results.items() if result == 11]
    wrong = [seed for seed, result in results.items() if result != 11]
    assert len(right) >= 5
    assert len(wrong) >= 5
    assert {results[seed] for seed in wrong} == {1, 10}  # whose write was lost
    for seed in [*wrong[:5], *right[:5]]:
        again = [simulate(two_tellers, seed) for _ in range(3)]
        assert [simulation.result for simulation in again] == [results[seed]] * 3
        assert again[0].log == again[1].log == again[2].log


# -- one seed, one run ---------------------------------------------------------------------


@attrs.frozen
class Hop:
    """To be passed on at random."""

    left: int


@attrs.frozen
class Slow(Request[int]):
    seconds: float


class Crash:
    """Told to crash."""


class Peer(Actor[Any]):
    """Passes messages on, asks, waits, starts tasks and timers, and crashes now and then."""

    def __init__(self, peers: list[ActorRef[Any]]) -> None:
        super().__init__()
        self.peers = peers

    def on_start(self) -> None:
        self.send_every(0.7, Hop(0))

    @handles
    def hop(self, message: Hop) -> None:
        if message.left == 0:
            return
        if message.left % 5 == 0:
            self.start_task(trio.sleep, 0.01 * message.left, to=lambda _none: Hop(0))
        for step in (1, 2):
            peer = self.peers[(message.left * 7 + step) % len(self.peers)]
            if message.left % 3 == 0:
                reply = peer.ask(Slow(0.05 * step), timeout=0.1)
                self.pipe(reply, to=Hop, failed=lambda _error: Hop(0))
            else:
                peer.tell(Hop(message.left - 1))

    @handles
    async def slow(self, message: Slow) -> int:
        await trio.sleep(message.seconds)
        return 0

    @handles
    def crash(self, _message: Crash) -> None:
        raise Boom


class RealtimePeer(Peer):
    realtime = True


async def busy(system: SystemUnderTest) -> int:
    system.expect_crash(error=Boom)
    peers: list[ActorRef[Any]] = []

    def spec(number: int) -> ChildSpec[Any]:
        kind = RealtimePeer if number % 3 == 0 else Peer
        backoff = Backoff(base=0.1, maximum=1.0) if number % 2 else None
        return ChildSpec(f"p{number}", lambda: kind(peers), backoff=backoff)

    children = [spec(number) for number in range(4)]
    await system.spawn(Supervisor, children, path="/top", restart=Restart.TEMPORARY)
    await system.spawn(DynamicSupervisor, path="/pool")
    peers += [system.ref(f"/top/p{number}") for number in range(4)]
    peers += [await system.start_child(spec(number), parent="/pool") for number in range(4, 8)]

    async def user(number: int) -> None:
        for step in range(4):
            peers[number].tell(Hop(8))
            await trio.sleep(0.05)
            try:
                await peers[step].ask(Slow(0.01), timeout=0.05)
            except AskTimeout:
                pass

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(user, number)
        await trio.sleep(0.1)
        for peer in peers[:5]:
            peer.tell(Crash())
    await trio.sleep(2)
    return system._node.turns


@pytest.mark.parametrize("seed", [0, 1, 7, 12345, 2**40])
def test_one_seed_gives_one_log(seed: int) -> None:
    one, other = simulate(busy, seed), simulate(busy, seed)
    assert len(one.log) > 300
    assert len({line.outcome for line in one.log}) > 3
    assert one.log == other.log
    assert one == other
    assert one.seed == seed


def test_other_seeds_give_other_logs() -> None:
    logs = {tuple(simulate(busy, seed).log) for seed in range(5)}
    assert len(logs) == 5


def test_what_ran_before_does_not_matter() -> None:
    """Nor how: random numbers drawn by others, other simulations, garbage, string hashes."""
    first = simulate(busy, 3)
    random.random()
    simulate(two_tellers, 99)
    _run._r.random()
    garbage = [object() for _ in range(1000)]
    assert simulate(busy, 3).log == first.log
    del garbage


PROGRAM = """
import hashlib, pickle, sys
sys.path.insert(0, {root!r})
from tests.supervision.test_simulate import busy, two_tellers
from supervision.testing import simulate
for scenario in (busy, two_tellers):
    print(hashlib.sha256(repr(simulate(scenario, 5).log).encode()).hexdigest())
"""


def test_another_process_gives_the_same_log() -> None:
    """Strings hash differently there, so nothing may depend on the order of a set of them."""
    program = textwrap.dedent(PROGRAM).format(root=str(Path(__file__).parents[2]))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_the_log_tells_the_messages_and_their_causes() -> None:
    simulation = simulate(two_tellers, 0)
    by_id = {line.id: line for line in simulation.log}
    kinds = [line.message_type for line in simulation.log if line.path != "/"]
    assert sorted(kinds) == sorted(
        ["Deposit", "Deposit", "Read", "Read", "Read", "Balance", "Balance", "Write", "Write"]
    )
    for line in simulation.log:
        if line.message_type == "Write":
            balance = by_id[line.cause]
            assert balance.message_type == "Balance"
            assert by_id[balance.cause].message_type == "Deposit"


# -- what any schedule keeps ---------------------------------------------------------------


@given(st.integers(0, 2**32))
def test_every_schedule_is_one_that_a_live_node_could_have(seed: int) -> None:
    """Messages of one sender to one receiver in order; signals before messages."""

    @attrs.frozen
    class Numbered:
        sender: int
        number: int

    class Receiver(Actor[Any]):
        @handles(Numbered)
        def come(self, message: Any) -> None:
            assert not stopped
            seen.append((message.sender, message.number))

        def on_stop(self) -> None:
            stopped.append(1)

    seen: list[tuple[int, int]] = []
    stopped: list[int] = []

    async def scenario(system: SystemUnderTest) -> None:
        system.expect_dead_letters("/receiver")
        receiver = await system.spawn(Receiver, path="/receiver")

        async def send(sender: int) -> None:
            for number in range(20):
                receiver.tell(Numbered(sender, number))
                if number % 4 == sender:
                    await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for sender in range(4):
                nursery.start_soon(send, sender)
        await system.stop("/receiver")

    simulate(scenario, seed)
    for sender in range(4):
        numbers = [number for by, number in seen if by == sender]
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == len(numbers)


def test_timeouts_cost_no_time_and_are_exact() -> None:
    async def scenario(system: SystemUnderTest) -> float:
        class Silent(Actor[Any]):
            @handles
            def read(self, _message: Read) -> int:
                self.defer()
                return 0

        silent = await system.spawn(Silent)
        with pytest.raises(AskTimeout):
            await silent.ask(Read(), timeout=86_400)
        return system.now

    assert simulate(scenario, 0).result == 86_400


# -- how -----------------------------------------------------------------------------------


def test_the_configuration_can_be_given() -> None:
    async def scenario(system: SystemUnderTest) -> int:
        return system._node.config.mailbox

    assert simulate(scenario, 0, config=SupervisionConfig(mailbox=7)).result == 7


def test_a_failing_scenario_fails_with_its_own_error() -> None:
    async def scenario(_system: SystemUnderTest) -> None:
        raise Boom("as it is")

    with pytest.raises(Boom, match="as it is"):
        simulate(scenario, 0)


def test_trio_is_left_as_it_was() -> None:
    private: Any = _run
    before = private._r.getstate(), private._ALLOW_DETERMINISTIC_SCHEDULING
    simulate(two_tellers, 4)
    assert (private._r.getstate(), private._ALLOW_DETERMINISTIC_SCHEDULING) == before


@pytest.mark.parametrize("name", ["_r", "_ALLOW_DETERMINISTIC_SCHEDULING"])
def test_a_trio_it_does_not_know_is_refused_not_trusted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delattr(_run, name)
    with (
        pytest.raises(RuntimeError, match=rf"schedules in a way .*no {name}\b.* use an older trio"),
        deterministic_trio(0),
    ):
        pass


def test_trio_shuffles_tasks_by_the_seed_alone() -> None:
    """What `deterministic_trio` needs of trio, checked against the one that is installed."""

    def order(seed: int) -> list[int]:
        seen: list[int] = []

        async def task(number: int) -> None:
            for _ in range(5):
                await trio.lowlevel.checkpoint()
                seen.append(number)

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                for number in range(10):
                    nursery.start_soon(task, number)

        with deterministic_trio(seed):
            trio.run(main)
        return seen

    assert all(order(seed) == order(seed) for seed in range(10))
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def test_a_simulation_says_what_it_is() -> None:
    simulation: Simulation[int] = simulate(two_tellers, 4)
    assert repr(simulation).startswith("Simulation(seed=4, result=")
    assert "log" not in repr(simulation)


def test_blocking_actors_run_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    class Blocking(BlockingActor[Any]):
        @handles
        def read(self, _message: Read) -> int:
            threads.append(threading.current_thread())
            return 7

    async def scenario(system: SystemUnderTest) -> int:
        blocking = await system.spawn(Blocking)
        return await blocking.ask(Read())

    def no_thread(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert simulate(scenario, 0).result == 7
    assert threads == [threading.main_thread()]


def test_answers_that_a_dying_actor_owes_are_given_in_the_order_they_were_asked() -> None:
    """Whatever is settled together is settled in an order that is the same in each run."""

    class Owing(Actor[Any]):
        @handles
        def read(self, _message: Read) -> int:
            self.defer()
            return 0

    class Asking(Actor[Any]):
        def __init__(self, owing: ActorRef[Any], number: int) -> None:
            super().__init__()
            self.owing = owing
            self.number = number

        def on_start(self) -> None:
            self.pipe(self.owing.ask(Read()), to=Write, failed=lambda _e: Write(self.number))

        @handles
        def write(self, message: Write) -> None:
            order.append(message.amount)

    order: list[int] = []

    async def scenario(system: SystemUnderTest) -> None:
        owing = await system.spawn(Owing, path="/owing")
        for number in range(50):
            await system.spawn(Asking, owing, number)
        await system.settle()
        settled: list[Any] = []
        life = owing._cell.life
        assert life is not None
        for reply in life.deferred or ():
            reply.on_settled(settled.append)
        expected = list(life.deferred or ())
        await system.restart("/owing")
        assert settled == expected
        await system.settle()

    simulate(scenario, 0)
    assert sorted(order) == list(range(50))
