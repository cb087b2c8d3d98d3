"""`Reply` as a `pykka.Future`: what pykka's documentation promises of futures, and trio's await."""

from __future__ import annotations

import asyncio
import operator
import queue
import threading
import time
import types
from collections.abc import Generator
from functools import partial
from typing import Any

import attrs
import pykka
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    BlockingOnLoop,
    Reply,
    Request,
    handles,
    open_system,
)

on_thread = trio.to_thread.run_sync


@attrs.frozen
class After(Request[int]):
    """Answered with `n` after a while."""

    n: int
    seconds: float = 0.01


@attrs.frozen
class Items(Request[tuple[int, ...]]):
    pass


@attrs.frozen
class Boom(Request[int]):
    pass


@attrs.frozen
class Square:
    n: int


@attrs.frozen
class Got:
    value: object


@attrs.frozen
class Failed:
    error: Exception


class Source(Actor[After | Items | Boom]):
    @handles
    async def after(self, message: After) -> int:
        await trio.sleep(message.seconds)
        return message.n

    @handles
    async def items(self, _message: Items) -> tuple[int, ...]:
        await trio.sleep(0.01)
        return (1, 2, 3, 4)

    @handles
    def boom(self, _message: Boom) -> int:
        raise ValueError("boom")


# -- unresolved replies, awaited in trio --------------------------------------------------


async def test_map_of_an_unresolved_reply_is_awaited() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        assert await source.ask(After(3)).map(lambda n: n + 1).map(str) == "4"


async def test_filter_and_reduce_of_an_unresolved_reply_are_awaited() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        assert await source.ask(Items()).filter(lambda n: n % 2) == [1, 3]
        assert await source.ask(Items()).reduce(operator.add) == 10
        assert await source.ask(Items()).reduce(operator.add, 5) == 15


async def test_join_of_unresolved_replies_is_awaited() -> None:
    async with open_system() as system:
        source, other = await system.spawn(Source), await system.spawn(Source)
        joined = source.ask(After(1)).join(other.ask(After(2)), source.ask(Items()))
        assert await joined == [1, 2, (1, 2, 3, 4)]


async def test_a_reply_joins_futures_of_pykka_without_blocking_the_loop() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        future = pykka.ThreadingFuture[int]()
        joined = source.ask(After(1)).join(future)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while ticks < 3:
                await trio.sleep(0.001)
                ticks += 1
            future.set(2)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            assert await joined == [1, 2]
        assert ticks == 3


async def test_a_failed_source_fails_what_is_derived_from_it() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        with pytest.raises(ActorCrashed):
            await source.ask(Boom()).map(str)
        with pytest.raises(ActorCrashed):
            await on_thread(source.ask(After(1)).join(source.ask(Boom())).get)


async def test_the_function_runs_once_however_many_wait_for_it() -> None:
    calls: list[int] = []

    def slowly(n: int) -> int:
        calls.append(n)
        time.sleep(0.01)
        return n + 1

    async with open_system() as system:
        source = await system.spawn(Source)
        mapped = source.ask(After(3)).map(slowly)
        results: list[int] = []

        async def wait() -> None:
            results.append(await mapped)

        async def wait_on_thread() -> None:
            results.append(await on_thread(mapped.get))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
                nursery.start_soon(wait_on_thread)
        assert results == [4] * 6
        assert calls == [3]


async def test_what_the_function_raises_belongs_to_those_who_wait() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        mapped = source.ask(After(0)).map(lambda n: 1 / n)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await mapped
        assert system.crashes() == ()


async def test_a_derived_reply_may_be_cancelled_while_awaited_and_awaited_again() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        mapped = source.ask(After(3, 0.05)).map(str)
        with trio.move_on_after(0.01) as scope:
            await mapped
        assert scope.cancelled_caught
        assert await mapped == "3"


async def test_a_derived_reply_is_piped_to_an_actor() -> None:
    class Collector(Actor[Got | Failed | Square]):
        def __init__(self, reply: Reply[Any]) -> None:
            super().__init__()
            self.reply = reply
            self.got: list[object] = []

        def on_start(self) -> None:
            self.pipe(self.reply, to=Got, failed=Failed)

        @handles(Got, Failed, Square)
        def take(self, message: object) -> None:
            self.got.append(message)

    async with open_system() as system:
        source = await system.spawn(Source)
        mapped = await system.spawn(Collector, source.ask(After(3)).map(str))
        failing = await system.spawn(Collector, source.ask(After(0)).map(lambda n: 1 / n))
        bare: Reply[int] = Reply()  # settled by code of the user's, on any thread
        plain = await system.spawn(Collector, bare)
        await on_thread(bare.set, 7)
        await trio.sleep(0.05)
        proxies: list[Any] = [ref.pykka.proxy() for ref in (mapped, failing, plain)]
        assert await proxies[0].got == [Got("3")]
        (failed,) = await proxies[1].got
        assert isinstance(failed.error, ZeroDivisionError)
        assert await proxies[2].got == [Got(7)]


# -- on threads ---------------------------------------------------------------------------


async def test_get_blocks_any_thread_but_the_loops() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        reply = source.ask(After(3))
        with pytest.raises(BlockingOnLoop):
            reply.get()
        with pytest.raises(BlockingOnLoop):
            reply.map(str).get()
        assert await on_thread(reply.get) == 3
        with pytest.raises(BlockingOnLoop):
            reply.get()  # settled or not: code that works by luck is worse than an error
        assert await on_thread(reply.map(str).get) == "3"
    assert reply.get() == 3  # there is no loop any more


async def test_get_all_waits_for_all_of_them() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        replies = [source.ask(After(n)) for n in range(3)]
        assert await on_thread(pykka.get_all, replies) == [0, 1, 2]
        with pytest.raises(pykka.Timeout):
            await on_thread(lambda: pykka.get_all([source.ask(After(1, 0.5))], timeout=0.01))


async def test_the_timeout_of_get_is_kept_by_what_is_derived() -> None:
    async with open_system() as system:
        source = await system.spawn(Source)
        mapped = source.ask(After(3, 0.1)).map(str)
        with pytest.raises(pykka.Timeout):
            await on_thread(lambda: mapped.get(timeout=0))
        assert await on_thread(lambda: mapped.get(timeout=5)) == "3"


# -- replies that code of the user's settles ----------------------------------------------


def test_it_is_settled_once() -> None:
    reply: Reply[int] = Reply()
    reply.set(1)
    with pytest.raises(queue.Full):
        reply.set(2)
    with pytest.raises(queue.Full):
        reply.set_exception((ValueError, ValueError("late"), None))
    with pytest.raises(queue.Full):
        reply.set_get_hook(lambda timeout: 3)
    assert reply.get() == 1


def test_set_exception_takes_the_exception_in_hand() -> None:
    reply: Reply[int] = Reply()
    try:
        raise NameError("foo")
    except NameError:
        reply.set_exception()
    with pytest.raises(NameError, match="foo"):
        reply.get()
    with pytest.raises(ValueError, match="except block"):
        Reply[int]().set_exception()


def test_a_derived_reply_cannot_be_settled_from_outside() -> None:
    mapped = Reply[int]().map(str)
    with pytest.raises(queue.Full):
        mapped.set("4")
    with pytest.raises(queue.Full):
        mapped.set_exception((ValueError, ValueError("no"), None))
    with pytest.raises(queue.Full):
        mapped.set_get_hook(lambda timeout: "4")


def test_other_event_loops_wait_for_it_as_for_futures_of_pykka() -> None:
    reply: Reply[int] = Reply()

    @types.coroutine
    def get_it() -> Generator[Any, Any, int]:
        return (yield from reply)

    async def main() -> tuple[int, int]:
        return await get_it(), await reply

    threading.Timer(0.01, reply.set, [1]).start()
    assert asyncio.run(main()) == (1, 1)


async def test_trio_waits_for_a_reply_that_a_thread_settles() -> None:
    async def settle(reply: Reply[int], start: threading.Event) -> None:
        def run() -> None:
            start.wait()
            reply.set(1)

        await on_thread(run)

    for _ in range(300):  # the setting and the waiting cross in every way
        reply: Reply[int] = Reply()
        start = threading.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(settle, reply, start)
            await trio.lowlevel.checkpoint()
            start.set()
            assert await reply == 1


async def test_a_get_hook_that_blocks_is_awaited_without_blocking_the_loop() -> None:
    future = pykka.ThreadingFuture[int]()
    calls: list[float | None] = []

    def hook(timeout: float | None) -> int:
        calls.append(timeout)
        result: int = future.get(timeout=timeout)
        return result

    reply: Reply[int] = Reply()
    reply.set_get_hook(hook)
    with pytest.raises(queue.Full):
        reply.set(9)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(on_thread, partial(reply.get))

        async def settle() -> None:
            await trio.sleep(0.01)
            future.set(5)

        nursery.start_soon(settle)
        assert await reply == 5
    assert calls == [None]


async def test_a_reply_inside_a_reply_is_a_value_like_any_other() -> None:
    class Asker(Actor[After]):
        def on_receive(self, message: After) -> Reply[int]:
            return self.system.ref("/source").ask(message)

    async with open_system() as system:
        await system.spawn(Source, path="/source")
        asker = await system.spawn(Asker)
        inner: Any = await asker.ask(After(3))
        assert await inner == 3
