"""Deadlines of asks: inherited by what is asked while answering, and kept in one small heap."""

from __future__ import annotations

import gc
import math
import tracemalloc
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorRef,
    AskTimeout,
    Promise,
    Reply,
    Request,
    SupervisionConfig,
    handles,
)
from supervision.testing import SystemUnderTest, system_under_test


class Ping(Request[float]):
    """Answered with the time that is left to answer it."""


class Silence(Request[float]):
    """Never answered."""


@attrs.frozen
class Plain(Request[float]):
    """Ask on from a plain handler, by a pipe. The answer is when the inner ask gives up."""

    timeout: float | None = None


@attrs.frozen
class PromiseFirst(Request[float]):
    """As `Plain`, but the answer is deferred before the question is passed on."""


@attrs.frozen
class Async(Request[float]):
    """Ask on from an async handler."""


@attrs.frozen
class InTask(Request[float]):
    """Ask on from an owned task."""


@attrs.frozen
class Told:
    """Asks on too, but answers nobody."""

    deadlines: list[float]


class Silent(Actor[Any]):
    @handles
    def silence(self, _message: Silence | Ping) -> float:
        self.defer()
        return 0.0


class Middle(Actor[Any]):
    """Passes the question on, and tells by which deadline."""

    def __init__(self, silent: ActorRef[Any]) -> None:
        super().__init__()
        self._silent = silent

    @handles
    def plain(self, message: Plain) -> float:
        return self._silent.ask(Silence(), timeout=message.timeout).deadline

    @handles
    def promise_first(self, _message: PromiseFirst) -> float:
        promise = self.defer()
        promise.resolve(self._silent.ask(Silence()).deadline)
        return 0.0

    @handles
    async def in_async_handler(self, _message: Async) -> float:
        await trio.sleep(0.25)
        return self._silent.ask(Silence()).deadline

    @handles
    def in_task(self, _message: InTask) -> float:
        promise: Promise[float] = self.defer()

        async def ask_on() -> float:
            await trio.sleep(0.25)
            return self._silent.ask(Silence()).deadline

        self.start_task(ask_on, to=lambda deadline: partial(promise.resolve, deadline))
        return 0.0

    @handles(partial)
    def got(self, message: partial[None]) -> None:
        message()

    @handles
    def told(self, message: Told) -> None:
        message.deadlines.append(self._silent.ask(Silence()).deadline)


@pytest.fixture
async def middle(system: SystemUnderTest) -> ActorRef[Any]:
    silent = await system.spawn(Silent, path="/silent")
    return await system.spawn(Middle, silent, path="/middle")


@pytest.mark.parametrize("request_", [Plain(), PromiseFirst(), Async(), InTask()])
async def test_an_ask_made_while_answering_gives_up_when_its_asker_does(
    system: SystemUnderTest, middle: ActorRef[Any], request_: Request[float]
) -> None:
    asked_at = system.now
    assert await middle.ask(request_, timeout=2.0) == asked_at + 2.0


async def test_an_ask_of_its_own_shorter_timeout_keeps_it(
    system: SystemUnderTest, middle: ActorRef[Any]
) -> None:
    asked_at = system.now
    assert await middle.ask(Plain(timeout=0.5), timeout=2.0) == asked_at + 0.5


async def test_for_ever_means_as_long_as_the_asker_waits(
    system: SystemUnderTest, middle: ActorRef[Any]
) -> None:
    asked_at = system.now
    assert await middle.ask(Plain(timeout=math.inf), timeout=2.0) == asked_at + 2.0
    assert await middle.ask(Plain(timeout=math.inf), timeout=math.inf) == math.inf


async def test_what_is_told_inherits_nothing(
    system: SystemUnderTest, middle: ActorRef[Any]
) -> None:
    deadlines: list[float] = []
    middle.tell(Told(deadlines))
    await system.settle()
    assert deadlines == [system.now + 5.0]  # the node's default


async def test_a_deadline_is_inherited_through_any_number_of_actors(
    system: SystemUnderTest,
) -> None:
    @attrs.frozen
    class Down(Request[float]):
        left: int

    class Link(Actor[Any]):
        @handles(Down)
        async def down(self, message: Any) -> float:
            await trio.sleep(0.1)
            if message.left == 0:
                return self.ref.ask(message).deadline
            deadline: float = await links[message.left - 1].ask(Down(message.left - 1))
            return deadline

    links = [await system.spawn(Link) for _ in range(10)]
    system.expect_dead_letters()
    asked_at = system.now
    assert await links[9].ask(Down(9), timeout=3.0) == asked_at + 3.0


async def test_who_gives_up_early_says_how_long_it_could_wait(
    system: SystemUnderTest, middle: ActorRef[Any]
) -> None:
    @attrs.frozen
    class Outer(Request[str]):
        pass

    class Asker(Actor[Any]):
        @handles(Outer)
        async def outer(self, _message: Any) -> str:
            await trio.sleep(0.5)
            try:
                await silent.ask(Silence(), timeout=30)
            except AskTimeout as error:
                texts.append(str(error))
            return ""

    texts: list[str] = []
    silent = await system.spawn(Silent, path="/quiet")
    asker = await system.spawn(Asker, path="/asker")
    with pytest.raises(AskTimeout) as late:
        await asker.ask(Outer(), timeout=2.0)
    assert late.value.waited == 2.0
    await system.settle()
    assert len(texts) == 1
    assert texts[0].startswith("/quiet did not answer within 1.5 s.")


async def test_an_ask_under_a_deadline_that_has_passed_fails_at_once(
    system: SystemUnderTest,
) -> None:
    @attrs.frozen
    class Late(Request[str]):
        pass

    class Asker(Actor[Any]):
        @handles(Late)
        async def late(self, _message: Any) -> str:
            await trio.sleep(3)
            before = self.now
            with pytest.raises(AskTimeout):
                await silent.ask(Silence(), timeout=30)
            waited.append(self.now - before)
            return ""

    waited: list[float] = []
    silent = await system.spawn(Silent)
    asker = await system.spawn(Asker)
    with pytest.raises(AskTimeout):
        await asker.ask(Late(), timeout=1.0)
    await trio.sleep(5)
    assert waited == [0.0]


# -- the heap -----------------------------------------------------------------------------


class Echo(Actor[Any]):
    @handles
    def ping(self, _message: Ping) -> float:
        return 1.0


async def test_two_hundred_thousand_answered_asks_do_not_stay_in_the_heap(
    system: SystemUnderTest,
) -> None:
    """At 30 s each, a busy node would remember millions of timeouts that are long over."""
    echo = await system.spawn(Echo)
    heap = system._node.timers
    largest = 0
    for _ in range(400):
        replies = [echo.ask(Ping(), timeout=30.0) for _ in range(500)]
        for reply in replies:
            await reply
        largest = max(largest, len(heap._heap))
    assert system.now == 0.0
    assert largest < 4 * 1024
    assert len(heap) == 0


async def test_asks_in_flight_are_not_swept_with_the_answered_ones(
    system: SystemUnderTest,
) -> None:
    echo, silent = await system.spawn(Echo), await system.spawn(Silent)
    waiting: list[Reply[float]] = []
    for round_ in range(200):
        waiting.append(silent.ask(Ping(), timeout=1.0 + round_))
        for reply in [echo.ask(Ping(), timeout=30.0) for _ in range(50)]:
            await reply
    for count, reply in enumerate(waiting, start=1):
        with pytest.raises(AskTimeout):
            await reply
        assert system.now == float(count)


async def test_asks_that_are_over_are_forgotten_with_what_they_carried() -> None:
    """Memory of a long run: replies, timers and deferred answers must not pile up."""

    class Owes(Actor[Any]):
        @handles
        def ping(self, _message: Ping) -> float:
            self.defer().resolve(1.0)
            return 0.0

        @handles
        def silence(self, _message: Silence) -> float:
            self.defer()
            return 0.0

    async with system_under_test(SupervisionConfig(ask_timeout=30.0)) as system:
        owes = await system.spawn(Owes)

        async def some_asks() -> None:
            for _ in range(2000):
                await owes.ask(Ping())
            for _ in range(200):
                with pytest.raises(AskTimeout):
                    await owes.ask(Silence(), timeout=0.0)

        await some_asks()
        gc.collect()
        tracemalloc.start()
        try:
            await some_asks()
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(3):
                await some_asks()
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < 200_000
        life = owes._cell.life
        assert life is not None
        assert len(life.deferred or ()) < 200
