"""Fault injection: what goes wrong is exactly what was ordered, for as long as it was ordered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    BlockingActor,
    ChildSpec,
    Request,
    Restart,
    SupervisionConfig,
    SupervisionError,
    Supervisor,
    handles,
    open_system,
)
from supervision.faults import Fault, FaultInjectionOff, FaultKind
from supervision.testing import SystemUnderTest, system_under_test
from tests.supervision import worker_actors


@attrs.frozen
class Say(Request[str]):
    text: str


@attrs.frozen
class Shout(Say):
    pass


@attrs.frozen
class Later(Request[str]):
    text: str


@attrs.frozen
class Heard(Request[list[str]]):
    pass


class Parrot(Actor[Say | Later | Heard]):
    heard: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.heard = []

    @handles
    def on_say(self, message: Say) -> str:
        self.heard.append(message.text)
        return message.text

    @handles
    async def on_later(self, message: Later) -> str:
        await trio.sleep(1)
        self.heard.append(message.text)
        return message.text

    @handles
    def on_heard(self, _message: Heard) -> list[str]:
        return self.heard


@asynccontextmanager
async def cage() -> AsyncIterator[tuple[SystemUnderTest, ActorRef[Any]]]:
    config = SupervisionConfig(fault_injection=True, intensity=1000)
    async with system_under_test(config) as system:
        await system.spawn(Supervisor, [ChildSpec("parrot", Parrot)], path="/sup")
        yield system, system.ref("/sup/parrot")


async def test_it_is_off_unless_the_configuration_says_so(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        await system.spawn(Parrot, path="/parrot")
        with pytest.raises(FaultInjectionOff, match="fault_injection = true"):
            system.inject("/parrot", Fault(FaultKind.CRASH))


async def test_a_crash_hits_the_nth_message_so_many_times(autojump_clock: MockClock) -> None:
    async with cage() as (system, parrot):
        system.expect_crash("/sup/parrot", "InjectedFault")
        planted = system.inject("/sup/parrot", Fault("crash", Say, nth=2, times=2))
        outcomes = []
        for number in range(5):
            try:
                outcomes.append(await parrot.ask(Say(str(number))))
            except ActorCrashed:
                outcomes.append("crash")
        assert outcomes == ["0", "crash", "crash", "3", "4"]
        assert (planted.seen, planted.hits) == (5, 2)
        assert "by fault injection" in system.crashes()[0].error
        assert system.tree("/sup/parrot").restarts == 2  # it has outlived the restarts


async def test_only_messages_of_the_type_are_hit(autojump_clock: MockClock) -> None:
    async with cage() as (system, parrot):
        system.expect_crash()
        by_name = system.inject("/sup/parrot", Fault("crash", "Shout"))
        assert await parrot.ask(Say("quiet")) == "quiet"
        with pytest.raises(ActorCrashed):
            await parrot.ask(Shout("loud"))
        by_name.remove()
        assert await parrot.ask(Shout("loud")) == "loud"
        by_base = system.inject("/sup/parrot", Fault("crash", Say))
        with pytest.raises(ActorCrashed):
            await parrot.ask(Shout("loud"))
        assert await parrot.ask(Heard()) == []
        assert (by_name.hits, by_base.hits) == (1, 1)


async def test_a_delay_makes_the_actor_slow_and_keeps_the_order(autojump_clock: MockClock) -> None:
    async with cage() as (system, parrot):
        system.inject("/sup/parrot", Fault("delay", Say, times=1, seconds=3))
        begun = system.now
        answers = [parrot.ask(Say("first")), parrot.ask(Say("second"))]
        assert await answers[0] == "first"
        assert system.now == begun + 3
        assert await answers[1] == "second"
        assert system.now == begun + 3
        assert await parrot.ask(Heard()) == ["first", "second"]


async def test_a_delayed_message_is_traced_when_it_waits_and_when_it_is_done(
    autojump_clock: MockClock,
) -> None:
    async with cage() as (system, parrot):
        system.inject("/sup/parrot", Fault("delay", seconds=3))
        with system.trace("/sup/parrot") as trace:
            parrot.tell(Say("hello"))
            await trio.sleep(5)
            outcomes = [(await anext(trace)).outcome for _ in range(len(trace))]
        assert outcomes == ["started", "ok"]


async def test_an_actor_may_be_stopped_while_a_message_is_delayed(
    autojump_clock: MockClock,
) -> None:
    async with cage() as (system, parrot):
        system.inject("/sup/parrot", Fault("delay", Say, seconds=3))
        answer = parrot.ask(Say("first"), timeout=inf)
        await system.settle()
        begun = system.now
        await system.stop("/sup/parrot")
        assert system.now == begun + 3
        with pytest.raises(ActorStopped):
            await answer


async def test_a_delayed_message_outlives_a_restart_in_order(autojump_clock: MockClock) -> None:
    async with cage() as (system, parrot):
        system.inject("/sup/parrot", Fault("delay", Say, times=1, seconds=3))
        answer = parrot.ask(Say("first"))
        await system.settle()
        await system.restart("/sup/parrot")
        assert await answer == "first"


async def test_an_actor_that_is_cut_off_answers_for_its_delayed_message(
    autojump_clock: MockClock,
) -> None:
    async with cage() as (system, parrot):
        system.inject("/sup/parrot", Fault("delay", Say, seconds=60))
        answer = parrot.ask(Say("first"), timeout=inf)
        await system.settle()
        await system.stop("/sup/parrot")  # in vain for 5 s
        with pytest.raises(ActorStopped):
            await answer
        await trio.sleep(100)  # its timer fires into the void


async def test_a_dropped_message_is_lost_and_its_asker_times_out(autojump_clock: MockClock) -> None:
    async with cage() as (system, parrot):
        system.inject("/sup/parrot", Fault(FaultKind.DROP, Say, times=2))
        begun = system.now
        with pytest.raises(AskTimeout):
            await parrot.ask(Say("lost"), timeout=7)
        assert system.now == begun + 7
        forever = parrot.ask(Say("lost too"), timeout=inf)
        assert await parrot.ask(Say("hello")) == "hello"
        assert system.tree("/sup/parrot").dropped == 2
        assert await parrot.ask(Heard()) == ["hello"]
        await system.stop("/sup/parrot")
        with pytest.raises(ActorStopped):  # even this ask ends
            await forever


async def test_a_duplicated_message_is_handled_twice_in_a_row(autojump_clock: MockClock) -> None:
    async with cage() as (system, parrot):
        system.inject("/sup/parrot", Fault("duplicate", Say, times=1))
        first, second = parrot.ask(Say("a")), parrot.ask(Say("b"))
        assert (await first, await second) == ("a", "b")
        assert await parrot.ask(Heard()) == ["a", "a", "b"]


@pytest.mark.parametrize("kind", ["duplicate", "delay"])
async def test_async_handlers_are_hit_alike(kind: str, autojump_clock: MockClock) -> None:
    async with cage() as (system, parrot):
        seconds = 5 if kind == "delay" else 0
        system.inject("/sup/parrot", Fault(kind, Later, times=1, seconds=seconds))
        begun = system.now
        assert await parrot.ask(Later("a"), timeout=60) == "a"
        assert system.now == begun + 1 + seconds
        expected = ["a"] if kind == "delay" else ["a", "a"]
        assert await parrot.ask(Heard()) == expected


async def test_with_the_last_fault_removed_the_actor_has_its_class_s_table_back(
    autojump_clock: MockClock,
) -> None:
    async with cage() as (system, parrot):
        cell = parrot._cell
        first = system.inject("/sup/parrot", Fault("drop", Say))
        second = system.inject("/sup/parrot", Fault("drop", Later))
        assert cell.table is not Parrot._rt_table()
        first.remove()
        first.remove()
        assert await parrot.ask(Say("hello")) == "hello"
        second.remove()
        assert cell.table is Parrot._rt_table()
        assert cell.faults is None
        assert repr(second) == "<Injection drop at /sup/parrot: 0 of 0>"


async def test_the_actor_can_still_be_stopped_and_others_of_its_class_are_spared(
    autojump_clock: MockClock,
) -> None:
    async with cage() as (system, _parrot):
        system.expect_crash()
        twin = await system.spawn(Parrot, path="/twin", restart=Restart.TEMPORARY)
        system.inject("/twin", Fault("crash"))
        other = await system.spawn(Parrot, path="/other", restart=Restart.TEMPORARY)
        assert await other.ask(Say("hello")) == "hello"
        # Asking it to stop is a message too, but the runtime's own, which no fault touches.
        _ = twin.pykka.stop(block=False)
        await system.settle()
        assert not twin.alive
        assert not system.crashes()


async def test_a_blocking_actor_is_hit_on_its_thread(autojump_clock: MockClock) -> None:
    class Blocks(BlockingActor[Say | Heard]):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[str] = []

        @handles
        def on_say(self, message: Say) -> str:
            self.heard.append(message.text)
            return message.text

        @handles
        def on_heard(self, _message: Heard) -> list[str]:
            return self.heard

    async with cage() as (system, _parrot):
        system.expect_crash("/blocks")
        blocks = await system.spawn(Blocks, path="/blocks")
        twice = system.inject("/blocks", Fault("duplicate", Say))
        assert await blocks.ask(Say("a")) == "a"
        assert await blocks.ask(Heard()) == ["a", "a"]
        twice.remove()
        lost = system.inject("/blocks", Fault("drop", Say))
        with pytest.raises(AskTimeout):
            await blocks.ask(Say("b"))
        lost.remove()
        slow = system.inject("/blocks", Fault("delay", Say, seconds=0.01))
        assert await blocks.ask(Say("c")) == "c"
        slow.remove()
        system.inject("/blocks", Fault("crash", Say))
        with pytest.raises(ActorCrashed):
            await blocks.ask(Say("d"))


async def test_a_worker_process_is_out_of_reach(autojump_clock: MockClock) -> None:
    async with cage() as (system, _parrot):
        await system.spawn(worker_actors.Worker, path="/worker")
        with pytest.raises(SupervisionError, match="/worker run in a worker process"):
            system.inject("/worker", Fault("crash"))
        (stack,) = system.stacks("/worker")
        assert "worker process" in stack.stack
        assert system.state("/worker").statistics is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "delay"},
        {"kind": "drop", "seconds": 1},
        {"kind": "drop", "nth": 0},
        {"kind": "drop", "times": 0},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each says something else
        Fault(**wrong)
