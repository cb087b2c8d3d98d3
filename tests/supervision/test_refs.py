"""Refs: addresses that outlive restarts, for any thread."""

from __future__ import annotations

import math
import threading
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorRef,
    ActorStopped,
    ChildSpec,
    NoSuchActor,
    Request,
    Restart,
    Supervisor,
    handles,
)
from supervision.supervisor import RestartChild
from supervision.testing import SystemUnderTest, system_under_test


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Add:
    number: int


class Total(Request[int]):
    pass


class Crash:
    pass


class Counter(Actor[Add | Total | Crash]):
    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.total = start

    @handles
    def add(self, message: Add) -> None:
        self.total += message.number

    @handles
    def how_many(self, _message: Total) -> int:
        return self.total

    @handles
    def crash(self, _message: Crash) -> None:
        raise Boom


async def test_a_ref_outlives_restarts(system: SystemUnderTest) -> None:
    ref = await system.spawn(Counter, 10, path="/counter")
    system.expect_crash("/counter", Boom)
    first = ref._cell.actor
    for life in range(1, 4):
        assert ref._cell.lives == life
        ref.tell(Add(1))
        assert await ref.ask(Total()) == 11
        if life == 2:
            await system.restart("/counter")
        else:
            ref.tell(Crash())
            await system.settle()
    assert ref._cell.actor is not first
    assert system.ref("/counter") == ref
    assert ref.alive


async def test_a_ref_to_one_that_is_gone_stays_harmless(system: SystemUnderTest) -> None:
    ref = await system.spawn(Counter, path="/counter")
    await system.stop("/counter")
    system.expect_dead_letters("/counter")
    assert not ref.alive
    assert ref.path == "/counter"
    assert ref.accepts == (Add, Crash, Total)
    assert repr(ref) == "<ActorRef /counter>"
    ref.tell(Add(1))
    with pytest.raises(ActorStopped) as stopped:
        await ref.ask(Total())
    assert stopped.value.actor == "/counter"


async def test_another_actor_at_the_same_path_is_another_actor(system: SystemUnderTest) -> None:
    old = await system.spawn(Counter, 1, path="/counter")
    await system.stop("/counter")
    new = await system.spawn(Counter, 2, path="/counter")
    assert old != new
    assert len({old, new, system.ref("/counter")}) == 2
    with pytest.raises(ActorStopped):
        await old.ask(Total())
    assert await new.ask(Total()) == 2


async def test_a_static_child_that_was_ended_and_started_again_has_its_old_ref(
    system: SystemUnderTest,
) -> None:
    children: list[ChildSpec[Any]] = [ChildSpec("counter", Counter, Restart.TRANSIENT)]
    await system.spawn(Supervisor, children, path="/top")
    ref = system.ref("/top/counter")
    await system.stop("/top/counter")
    assert [ref.alive] == [False]
    with pytest.raises(NoSuchActor):
        system.ref("/top/counter")
    await system.ref("/top").ask(RestartChild("counter"))
    assert ref.alive
    assert system.ref("/top/counter") == ref
    ref.tell(Add(1))
    assert await ref.ask(Total()) == 1


async def test_an_actor_knows_its_own_ref_from_its_constructor_on(system: SystemUnderTest) -> None:
    class Introducing(Counter):
        def __init__(self, seen: list[ActorRef[Any]]) -> None:
            super().__init__()
            seen.append(self.ref)
            self.ref.tell(Add(5))

        def on_start(self) -> None:
            self.ref.tell(Add(6))

    seen: list[ActorRef[Any]] = []
    ref = await system.spawn(Introducing, seen, path="/introducing")
    assert seen == [ref]
    assert await ref.ask(Total()) == 11


async def test_refs_of_different_systems_in_one_loop_mix(system: SystemUnderTest) -> None:
    class Relay(Actor[Any]):
        def __init__(self, other: ActorRef[Any]) -> None:
            super().__init__()
            self.other = other

        @handles
        def add(self, message: Add) -> None:
            self.other.tell(message)

        @handles
        async def how_many(self, _message: Total) -> int:
            return await self.other.ask(Total())

        @handles
        def crash(self, _message: Crash) -> None:
            self.pipe(self.other.ask(Total()), to=Add)

    inner_counter: ActorRef[Any]
    async with system_under_test() as inner:
        inner_counter = await inner.spawn(Counter, 3)
        relay = await system.spawn(Relay, inner_counter)
        relay.tell(Add(4))
        assert await relay.ask(Total()) == 7
        relay.tell(Crash())
        await system.settle()
        assert await relay.ask(Total()) == 14
    system.expect_crash(error=ActorStopped)
    with pytest.raises(Exception, match="crashed while it had this request"):
        await relay.ask(Total())


# -- threads ----------------------------------------------------------------------------------


async def test_refs_work_on_any_thread(system: SystemUnderTest) -> None:
    ref = await system.spawn(Counter)

    def elsewhere() -> int:
        ref.tell(Add(1))
        return ref.ask(Total(), timeout=math.inf).get()

    answers: list[int] = []

    async def one() -> None:
        answers.append(await trio.to_thread.run_sync(elsewhere))

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(one)
    assert max(answers) == 8


async def test_threads_that_tell_while_the_loop_sleeps_wake_it() -> None:
    async with system_under_test() as system:
        probe = await system.probe(Add)

        def tell_now_and_then() -> None:
            for number in range(20):
                probe.ref.tell(Add(number))
                threading.Event().wait(0.002)

        thread = threading.Thread(target=tell_now_and_then)
        thread.start()
        for number in range(20):
            assert (await probe.expect(Add, within=2)).number == number
        await trio.to_thread.run_sync(thread.join)


async def test_an_answer_can_be_awaited_on_another_trio_loop() -> None:
    async with system_under_test() as system:
        ref = await system.spawn(Counter, 7)

        async def other_loop() -> tuple[int, int]:
            first = await ref.ask(Total())
            reply = ref.ask(Total())
            await trio.sleep(0.01)
            return first, await reply

        assert await trio.to_thread.run_sync(trio.run, other_loop) == (7, 7)


async def test_two_nodes_on_two_threads_ask_each_other() -> None:
    """Each is a foreign thread to the other, and each has a loop of its own."""
    async with system_under_test() as system:
        here = await system.spawn(Counter, 1)
        there: list[ActorRef[Any]] = []
        ready, done = threading.Event(), threading.Event()

        async def other_node() -> int:
            async with system_under_test() as other:
                there.append(await other.spawn(Counter, 2))
                ready.set()
                answer = sum([await here.ask(Total()) for _ in range(100)])
                with trio.fail_after(5):
                    await trio.to_thread.run_sync(done.wait)
                return answer

        answers: list[int] = []

        async def run_other() -> None:
            answers.append(await trio.to_thread.run_sync(trio.run, other_node))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_other)
            await trio.to_thread.run_sync(ready.wait)
            assert sum([await there[0].ask(Total()) for _ in range(100)]) == 200
            there[0].tell(Add(1))
            assert await there[0].ask(Total()) == 3
            done.set()
        assert answers == [100]


async def test_refs_may_be_used_after_their_system_has_closed() -> None:
    async with system_under_test() as system:
        ref = await system.spawn(Counter)
        reply = ref.ask(Total())
    with pytest.raises(ActorStopped):
        await reply
    ref.tell(Add(1))
    with pytest.raises(ActorStopped):
        await ref.ask(Total())
    with pytest.raises(ActorStopped):
        await ref.send(Add(1))

    def elsewhere() -> None:
        ref.tell(Add(1))
        with pytest.raises(ActorStopped):
            ref.ask(Total()).get()

    await trio.to_thread.run_sync(elsewhere)


def test_refs_may_be_used_after_the_loop_itself_has_ended() -> None:
    refs: list[ActorRef[Any]] = []

    async def main() -> None:
        async with system_under_test() as system:
            refs.append(await system.spawn(Counter))

    trio.run(main)

    def use() -> None:
        refs[0].tell(Add(1))
        with pytest.raises(ActorStopped):
            refs[0].ask(Total()).get()

    use()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
