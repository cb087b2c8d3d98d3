"""Asks around a stop: pykka loses some, ours are all answered, also those to pykka's actors."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import attrs
import pykka
import pytest
import trio

from supervision import Actor, ActorRef, ActorStopped, Request, Restart, handles, open_system

T = TypeVar("T")

SECONDS = 1.5
"""How long each race is repeated."""

THREADS = 4
ASKS = 25


@attrs.frozen
class Ping(Request[str]):
    pass


class Ours(Actor[Ping]):
    @handles
    def ping(self, _message: Ping) -> str:
        return "pong"


class Theirs(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message: Any) -> str:
        return "pong"


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can, so that they meet everywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


async def on_thread(function: Callable[..., T], *args: Any) -> T:
    return await trio.to_thread.run_sync(function, *args)


def ask_often(ask: Callable[[], Any], start: threading.Barrier, replies: list[Any]) -> None:
    start.wait()
    replies.extend([ask() for _ in range(ASKS)])


def outcome(reply: Any) -> str:
    """How an ask ended; waits for it on this thread."""
    try:
        answer: str = reply.get(timeout=5)
    except pykka.ActorDeadError:
        return "stopped"
    except pykka.Timeout:
        return "unanswered"
    return answer


async def race(
    start_one: Callable[[], Any], stop: Callable[[Any], object], *askers: Callable[[Any], Any]
) -> Counter[str]:
    """Ask an actor from several threads while it is stopped, again and again."""
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        actor = await start_one()
        start = threading.Barrier(THREADS + 1)
        replies: list[Any] = []
        async with trio.open_nursery() as nursery:
            for number in range(THREADS):
                ask = partial(askers[number % len(askers)], actor)
                nursery.start_soon(on_thread, ask_often, ask, start, replies)

            def stop_it(actor: Any = actor, start: threading.Barrier = start) -> None:
                start.wait()
                stop(actor)

            nursery.start_soon(on_thread, stop_it)
        outcomes.update(await on_thread(list, map(outcome, replies)))
    return outcomes


# -- pykka's own --------------------------------------------------------------------------


class PutWhenAllIsOver(queue.Queue[Any]):
    """An inbox whose users are interrupted between pykka's look at `is_alive` and their `put`."""

    over = threading.Event()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item.message == "late":
            self.over.wait()
        super().put(item, block, timeout)


class Interrupted(Theirs):
    @staticmethod
    def _create_actor_inbox() -> Any:
        return PutWhenAllIsOver()

    def _actor_loop(self) -> None:
        super()._actor_loop()
        PutWhenAllIsOver.over.set()


async def test_pykka_loses_an_ask_that_is_put_in_after_the_last_look_and_ours_does_not() -> None:
    async with open_system() as system:
        for make_ask, expected in (
            (lambda actor: partial(actor.ask, "late", block=False), pykka.Timeout),
            (lambda actor: partial(system.foreign(actor).ask, "late", timeout=60), ActorStopped),
        ):
            PutWhenAllIsOver.over.clear()
            actor = Interrupted.start()
            ask = make_ask(actor)
            replies: list[Any] = []

            async def ask_late(ask: Any = ask, replies: Any = replies) -> None:
                replies.append(await on_thread(ask))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask_late)
                await trio.sleep(0.02)  # it has seen the actor alive
                _stopped = actor.stop(block=False)
            with pytest.raises(expected):
                await on_thread(partial(replies[0].get, timeout=0.5))


@pytest.mark.usefixtures("restless")
async def test_a_stop_that_races_asks_to_a_foreign_actor_leaves_none_unanswered() -> None:
    async with open_system() as system:

        async def start() -> ActorRef[Any]:
            return system.foreign(Theirs.start())

        outcomes = await race(
            start,
            lambda ref: ref.pykka.stop(block=False),
            lambda ref: ref.ask("ping", timeout=60),
        )
        assert outcomes.keys() == {"pong", "stopped"}, outcomes


# -- ours ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("restless")
async def test_a_stop_that_races_asks_to_an_actor_of_ours_leaves_none_unanswered() -> None:
    async with open_system() as system:

        async def start() -> ActorRef[Ping]:
            return await system.spawn(Ours, restart=Restart.TEMPORARY)

        outcomes = await race(
            start,
            lambda ref: ref.pykka.stop(block=False),
            lambda ref: ref.ask(Ping(), timeout=60),
            lambda ref: ref.pykka.ask(Ping(), block=False),
        )
        assert outcomes.keys() == {"pong", "stopped"}, outcomes
        assert system.dead_letters() == ()


@pytest.mark.usefixtures("restless")
async def test_closing_the_node_while_threads_ask_leaves_none_unanswered() -> None:
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        start = threading.Barrier(THREADS + 1)
        replies: list[Any] = []
        async with trio.open_nursery() as nursery:  # noqa: SIM117
            async with open_system() as system:
                ours = await system.spawn(Ours)
                theirs = Theirs.start()
                foreign = system.foreign(theirs)
                for ask in (
                    partial(ours.ask, Ping(), timeout=60),
                    partial(ours.pykka.ask, Ping(), block=False),
                    partial(foreign.ask, "ping", timeout=60),
                    partial(foreign.ask, "ping", timeout=60),
                ):
                    nursery.start_soon(on_thread, ask_often, ask, start, replies)
                await on_thread(start.wait)
        outcomes.update(await on_thread(list, map(outcome, replies)))
        _stopped = theirs.stop(block=False)
    assert outcomes.keys() <= {"pong", "stopped"}, outcomes
    assert outcomes["stopped"] > 0, outcomes


@pytest.mark.usefixtures("restless")
async def test_stops_from_four_threads_at_once_are_all_answered() -> None:
    def stop(view: pykka.ActorRef[Any], start: threading.Barrier) -> bool:
        start.wait()
        return view.stop(block=True, timeout=5)

    async with open_system() as system:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            ours = await system.spawn(Ours, restart=Restart.TEMPORARY)
            start = threading.Barrier(THREADS)
            stopped: list[bool] = []

            async def stop_it(
                view: Any = ours.pykka, start: Any = start, stopped: Any = stopped
            ) -> None:
                stopped.append(await on_thread(stop, view, start))

            async with trio.open_nursery() as nursery:
                for _ in range(THREADS):
                    nursery.start_soon(stop_it)
            assert any(stopped)
            assert not ours.pykka.is_alive()
