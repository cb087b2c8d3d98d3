"""Replies: settled once, by whoever is first, seen by all who wait.

What they share with pykka's futures is in test_pykka_futures.py.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervision import Actor, AskTimeout, Reply, Request, handles
from supervision.testing import SystemUnderTest, simulate, system_under_test


class Value(Request[int]):
    pass


class Later(Request[int]):
    pass


class Server(Actor[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.owed: list[Any] = []

    @handles
    def value(self, _message: Value) -> int:
        return 7

    @handles
    def later(self, _message: Later) -> int:
        self.owed.append(self.defer())
        return 0


@pytest.mark.parametrize("waiters", [0, 1, 4])
def test_of_many_threads_that_settle_it_one_does(waiters: int) -> None:
    for _ in range(50):
        reply: Reply[int] = Reply()
        barrier = threading.Barrier(8 + waiters)
        won: list[int] = []
        seen: list[int] = []

        def settle(
            number: int,
            reply: Reply[int] = reply,
            barrier: threading.Barrier = barrier,
            won: list[int] = won,
        ) -> None:
            barrier.wait()
            if reply.settle(number, None):
                won.append(number)

        def wait(
            reply: Reply[int] = reply,
            barrier: threading.Barrier = barrier,
            seen: list[int] = seen,
        ) -> None:
            barrier.wait()
            seen.append(reply.get(timeout=5))

        threads = [threading.Thread(target=settle, args=(n,)) for n in range(8)]
        threads += [threading.Thread(target=wait) for _ in range(waiters)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert seen == won * waiters
        assert reply.result() == won[0]


async def test_the_answer_and_the_timeout_of_an_ask_do_not_both_count() -> None:
    """A thread answers at about the time the ask gives up: whoever is first, all see the same."""
    outcomes: set[str] = set()
    async with system_under_test() as system:
        server = await system.spawn(Server)

        def answer(reply: Reply[int], patience: float) -> bool:
            threading.Event().wait(patience)
            return reply.settle(7, None)

        for attempt in range(100):
            reply = server.ask(Later(), timeout=0.002)
            seen: list[Reply[int]] = []
            reply.on_settled(seen.append)
            won = await trio.to_thread.run_sync(answer, reply, 0.0015 + attempt * 0.00001)
            await trio.sleep(0.002)
            assert seen == [reply]
            outcomes.add(type(reply.error).__name__)
            assert won == (reply.error is None)
    assert outcomes <= {"NoneType", "AskTimeout"}


async def test_a_reply_says_what_it_is(system: SystemUnderTest) -> None:
    server = await system.spawn(Server, path="/server")
    pending = server.ask(Later(), timeout=1)
    assert repr(pending) == "<Reply from /server: pending>"
    with pytest.raises(RuntimeError, match="has no result yet; `await` it"):
        pending.result()
    assert pending.error is None
    answered = server.ask(Value())
    await answered
    assert repr(answered) == "<Reply from /server: answered>"
    with pytest.raises(AskTimeout):
        await pending
    assert repr(pending) == "<Reply from /server: failed>"
    assert isinstance(pending.error, AskTimeout)


async def test_who_waits_is_called_back_on_the_loop_wherever_it_was_settled(
    system: SystemUnderTest,
) -> None:
    threads: list[threading.Thread] = []
    server = await system.spawn(Server)
    reply = server.ask(Later(), timeout=math.inf)  # virtual time passes while the thread works
    reply.on_settled(lambda _reply: threads.append(threading.current_thread()))
    await system.settle()
    promise = server._cell.actor.owed[0]
    await trio.to_thread.run_sync(promise.resolve, 7)
    assert await reply == 7
    reply.on_settled(lambda _reply: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()] * 2


async def test_a_callback_that_fails_is_nobody_elses_fault(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []

    def fail(_reply: Reply[int]) -> None:
        called.append("fails")
        raise ValueError("planned")

    server = await system.spawn(Server, path="/server")
    for request, patience in ((Value(), 5.0), (Later(), 1.0)):
        reply = server.ask(request, timeout=patience)
        reply.on_settled(fail)
        reply.on_settled(lambda _reply: called.append("goes on"))
        with trio.move_on_after(2):
            try:
                await reply
            except AskTimeout:
                pass
    assert called == ["fails", "goes on"] * 2
    assert caplog.text.count("A callback that waited for the answer of /server failed") == 2
    assert await server.ask(Value()) == 7  # and the node's timers live too
    with pytest.raises(AskTimeout):
        await server.ask(Later(), timeout=1)


async def test_to_await_a_reply_is_a_checkpoint_even_when_it_is_settled(
    system: SystemUnderTest,
) -> None:
    server = await system.spawn(Server)
    reply = server.ask(Value())
    await reply
    with trio.CancelScope() as scope:
        scope.cancel()
        await reply
    assert scope.cancelled_caught
    assert await reply == 7


async def test_an_ask_that_is_not_awaited_costs_nobody_anything(system: SystemUnderTest) -> None:
    server = await system.spawn(Server)
    for _ in range(1000):
        reply = server.ask(Value())
        del reply
    await system.settle()
    assert len(system._node.timers) == 0


@given(
    st.lists(st.sampled_from(["wait", "cancel", "answer", "time"]), max_size=25), st.integers(0, 5)
)
def test_all_who_wait_see_the_one_outcome(script: list[str], seed: int) -> None:
    """Waiters come and give up in any order while the answer and the timeout race."""

    async def scenario(system: SystemUnderTest) -> None:
        server = await system.spawn(Server)
        reply = server.ask(Later(), timeout=1.0)
        await system.settle()
        promise = server._cell.actor.owed[0]
        outcomes: list[Any] = []
        scopes: list[trio.CancelScope] = []

        async def wait(scope: trio.CancelScope) -> None:
            with scope:
                try:
                    outcomes.append(await reply)
                except AskTimeout as error:
                    outcomes.append(error)

        async with trio.open_nursery() as nursery:
            for step in script:
                if step == "wait":
                    scopes.append(trio.CancelScope())
                    nursery.start_soon(wait, scopes[-1])
                elif step == "cancel" and scopes:
                    scopes.pop().cancel()
                elif step == "answer":
                    promise.resolve(7)
                elif step == "time":
                    await trio.sleep(0.4)
        assert reply.done
        final = reply.error or reply.result()
        assert all(outcome is final for outcome in outcomes)

    async def ended(system: SystemUnderTest) -> None:
        with trio.fail_after(100):
            await scenario(system)
        await trio.sleep(2)

    script = [*script, "wait"]
    simulate(ended, seed)
