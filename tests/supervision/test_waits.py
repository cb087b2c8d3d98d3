"""Who waits for whom: rings of paused mailboxes fail at once, everything else is left alone."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskCycle,
    AskTimeout,
    BlockingActor,
    Request,
    handles,
)
from supervision.testing import SystemUnderTest
from supervision.waits import WaitGraph


@attrs.frozen
class Ping(Request[str]):
    """Answered at once."""


@attrs.frozen
class Pass(Request[str]):
    """Ask the next one along the way, and answer what it answers."""

    way: tuple[ActorRef[Any], ...]
    patience: float = 5.0


@attrs.frozen
class PassAll(Request[list[str]]):
    """Ask all of these at once."""

    to: tuple[ActorRef[Any], ...]
    message: Any


@attrs.frozen
class PassInTask(Request[str]):
    """Ask the next one from a task of one's own; answer when it has answered."""

    way: tuple[ActorRef[Any], ...]


@attrs.frozen
class Answered:
    value: str


class Relay(Actor[Ping | Pass | PassAll | PassInTask | Answered]):
    def __init__(self) -> None:
        super().__init__()
        self.told = ""

    @handles
    def on_ping(self, _message: Ping) -> str:
        return self.path

    @handles
    async def on_pass(self, message: Pass) -> str:
        first, *rest = message.way
        question = Pass(tuple(rest), message.patience) if rest else Ping()
        answer: str = await first.ask(question, timeout=message.patience)
        return f"{self.path} {answer}"

    @handles
    async def on_pass_all(self, message: PassAll) -> list[str]:
        answers: list[str] = []

        async def ask(ref: ActorRef[Any]) -> None:
            answers.append(await ref.ask(message.message))

        async with trio.open_nursery() as nursery:
            for ref in message.to:
                nursery.start_soon(ask, ref)
        return answers

    @handles
    def on_pass_in_task(self, message: PassInTask) -> None:
        promise = self.defer()

        async def ask() -> None:
            first, *rest = message.way
            promise.resolve(await first.ask(PassInTask(tuple(rest)) if rest else Ping()))

        self.start_task(ask)

    @handles
    def on_answered(self, message: Answered) -> None:
        self.told = message.value


async def relays(system: SystemUnderTest, names: str) -> list[ActorRef[Any]]:
    return [await system.spawn(Relay, path=f"/{name}") for name in names]


async def test_two_that_wait_for_each_other_are_told_at_once_and_by_name(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/b", AskCycle)
    system.expect_crash("/a", ActorCrashed)
    a, b = await relays(system, "ab")
    begun = system.now
    with pytest.raises(ActorCrashed) as caught:
        await a.ask(Pass((b, a)), timeout=60)
    assert system.now == begun
    cycle = caught.value.__cause__.__cause__  # type: ignore[union-attr]
    assert isinstance(cycle, AskCycle)
    assert cycle.ring == ("/b", "/a", "/b")
    assert "/b → /a → /b" in str(cycle)
    assert not system.waits()


async def test_a_ring_of_three_is_found_where_it_closes(system: SystemUnderTest) -> None:
    system.expect_crash()
    a, b, c = await relays(system, "abc")
    begun = system.now
    with pytest.raises(ActorCrashed):
        await a.ask(Pass((b, c, a)), timeout=60)
    assert system.now == begun
    found = [report for report in system.crashes() if report.error_type == "AskCycle"]
    assert [report.path for report in found] == ["/c"]
    assert "/c → /a → /b → /c" in found[0].error


async def test_one_that_asks_itself_is_told(system: SystemUnderTest) -> None:
    system.expect_crash("/a", AskCycle)
    (a,) = await relays(system, "a")
    with pytest.raises(ActorCrashed) as caught:
        await a.ask(Pass((a,)), timeout=60)
    assert isinstance(caught.value.__cause__, AskCycle)


async def test_a_ring_is_found_through_the_second_of_two_asks_at_once(
    system: SystemUnderTest,
) -> None:
    system.expect_crash()
    a, b, c = await relays(system, "abc")
    begun = system.now
    with pytest.raises(ActorCrashed):
        await a.ask(PassAll((b, c), Pass((a,))), timeout=60)
    assert system.now == begun
    # And when the first is answered, the edge to the second is still there.
    begun = system.now
    with pytest.raises(ActorCrashed):
        await a.ask(Pass((b, c, a)), timeout=60)
    assert system.now == begun


async def test_a_long_chain_that_closes_no_ring_is_answered(system: SystemUnderTest) -> None:
    a, b, c, d = await relays(system, "abcd")
    assert await a.ask(Pass((b, c, d))) == "/a /b /c /d"
    # The same pairs the other way round, afterwards, are no ring either.
    assert await d.ask(Pass((c, b, a))) == "/d /c /b /a"
    assert not system.waits()


async def test_a_ring_of_tasks_is_answered_because_no_mailbox_is_paused(
    system: SystemUnderTest,
) -> None:
    a, b = await relays(system, "ab")
    assert await a.ask(PassInTask((b, a))) == "/a"


async def test_a_task_does_not_wait_on_behalf_of_the_handler_that_started_it(
    system: SystemUnderTest,
) -> None:
    answers: list[str] = []

    class Starter(Actor[Pass | Ping]):
        @handles
        async def on_pass(self, message: Pass) -> str:
            self.start_task(self.ask, message.way[0])
            await trio.sleep(1)
            return "done"

        async def ask(self, ref: ActorRef[Any]) -> None:
            answers.append(await ref.ask(Pass((self.ref,))))

        @handles
        def on_ping(self, _message: Ping) -> str:
            return "pong"

    (b,) = await relays(system, "b")
    starter = await system.spawn(Starter, path="/starter")
    # b waits for the starter, whose handler pauses but waits for nobody: no ring, only patience.
    assert await starter.ask(Pass((b,))) == "done"
    await system.settle()
    assert answers == ["/b pong"]


async def test_a_task_in_somebody_else_s_nursery_waits_for_itself_alone(
    system: SystemUnderTest,
) -> None:
    """It inherits the context of the handler that started it, but pauses no mailbox."""
    answers: list[str] = []

    class Keeper(Actor[Pass | Ping]):
        nursery: trio.Nursery

        async def on_start(self) -> None:
            ready = trio.Event()

            async def keep() -> None:
                async with trio.open_nursery() as self.nursery:
                    ready.set()
                    await trio.sleep_forever()

            self.start_task(keep)
            await ready.wait()

        @handles
        async def on_pass(self, message: Pass) -> str:
            self.nursery.start_soon(self.ask, message.way[0])
            await trio.sleep(1)
            return "done"

        async def ask(self, ref: ActorRef[Any]) -> None:
            answers.append(await ref.ask(Pass((self.ref,))))

        @handles
        def on_ping(self, _message: Ping) -> str:
            return "pong"

    (b,) = await relays(system, "b")
    keeper = await system.spawn(Keeper, path="/keeper")
    with system.trace("/b") as trace:
        asked = keeper.ask(Pass((b,)))
        await system.settle()
        assert [wait.asker for wait in system.waits()] == ["/b"]
        assert await asked == "done"
        await system.settle()
        assert (await anext(trace)).cause > 0
    assert answers == ["/b pong"]


async def test_waits_say_who_waits_for_whom_since_when(system: SystemUnderTest) -> None:
    a, b = await relays(system, "ab")

    class Slow(Actor[Ping]):
        @handles
        async def on_ping(self, _message: Ping) -> str:
            await trio.sleep(3)
            return "at last"

    slow = await system.spawn(Slow, path="/slow")
    begun = system.now
    answer = a.ask(Pass((b, slow)))
    await trio.sleep(2)
    waits = system.waits()
    assert [(wait.asker, wait.target) for wait in waits] == [("/a", "/b"), ("/b", "/slow")]
    assert all(wait.since == begun and wait.seconds == 2 for wait in waits)
    assert await answer == "/a /b at last"
    assert not system.waits()


async def test_a_wait_ends_with_its_timeout_and_with_its_actor(system: SystemUnderTest) -> None:
    a, b, slow = await relays(system, "abs")
    system.suspend("/s")
    system.expect_crash("/a", AskTimeout)
    with pytest.raises(ActorCrashed):
        await a.ask(Pass((slow,)), timeout=10)
    assert not system.waits()
    waiting = b.ask(Pass((slow,), patience=60), timeout=60)
    await system.settle()
    assert [wait.asker for wait in system.waits()] == ["/b"]
    await system.stop("/b")  # in vain for 5 s, then it is cut off
    assert not system.waits()
    assert isinstance(waiting.error, ActorStopped)
    system.resume("/s")


async def test_a_thread_that_asks_back_closes_a_ring_too(system: SystemUnderTest) -> None:
    system.expect_crash()

    class Blocks(BlockingActor[Pass]):
        @handles
        def on_pass(self, message: Pass) -> str:
            return message.way[0].ask(Ping(), timeout=60).get()

    class Waits(Actor[Pass | Ping]):
        @handles
        async def on_pass(self, message: Pass) -> str:
            return await message.way[0].ask(Pass((self.ref,)), timeout=60)

        @handles
        def on_ping(self, _message: Ping) -> str:
            return "pong"

    blocks = await system.spawn(Blocks, path="/blocks")
    waits = await system.spawn(Waits, path="/waits")
    assert await blocks.ask(Pass((waits,))) == "pong"
    begun = system.now
    with pytest.raises(ActorCrashed):
        await waits.ask(Pass((blocks,)), timeout=60)
    assert system.now == begun
    (cycle,) = [report for report in system.crashes() if report.error_type == "AskCycle"]
    assert "/blocks → /waits → /blocks" in cycle.error


# -- the graph, against a simple model ----------------------------------------------------

NODES = st.integers(0, 5)
STEPS = st.lists(st.tuples(st.sampled_from(["enter", "leave", "forget"]), NODES, NODES))


def reaches(edges: list[tuple[int, int]], start: int, goal: int) -> bool:
    seen, todo = set[int](), [start]
    while todo:
        at = todo.pop()
        if at == goal:
            return True
        if at not in seen:
            seen.add(at)
            todo += [b for a, b in edges if a == at]
    return False


@given(STEPS)
def test_exactly_the_edges_that_would_close_a_ring_are_refused(
    steps: list[tuple[str, int, int]],
) -> None:
    graph: WaitGraph[int] = WaitGraph(lambda: 0.0)
    edges: list[tuple[int, int]] = []
    for what, a, b in steps:
        if what == "enter":
            ring = graph.enter(a, b)
            assert (ring is not None) == reaches(edges, b, a)
            if ring is None:
                edges.append((a, b))
            else:
                assert ring[0] == ring[-1] == a
                assert all(pair in edges for pair in itertools.pairwise(ring[1:]))
        elif what == "leave":
            graph.leave(a, b)
            if (a, b) in edges:
                edges.remove((a, b))
        else:
            graph.forget(a)
            edges = [edge for edge in edges if edge[0] != a]
        assert sorted((a, b) for a, b, _since in graph.edges()) == sorted(edges)


def test_threads_may_enter_and_leave_at_once() -> None:
    graph: WaitGraph[str] = WaitGraph(lambda: 0.0)

    def work(name: str) -> None:
        for _ in range(2000):
            assert graph.enter(name, "target") is None
            graph.leave(name, "target")

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not graph.edges()
