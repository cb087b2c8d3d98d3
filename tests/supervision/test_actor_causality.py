"""Every message names the one whose handling sent it, however long the way there was."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from supervision import Actor, ActorRef, Request, Restart, Terminated, Wake, handles
from supervision.observe import TraceEvent, TraceFilter
from supervision.testing import SystemUnderTest, system_under_test


@attrs.frozen
class Start:
    """Have an effect, in some way, on `Effect`."""

    way: str


@attrs.frozen
class Effect(Request[int]):
    way: str = ""


@attrs.frozen
class Hop:
    """The next stretch of a long way."""

    number: int


class Target(Actor[Any]):
    @handles
    def effect(self, _message: Effect) -> int:
        return 1


class Source(Actor[Any]):
    """Sends `Effect` to itself or to the target, by every way there is."""

    def __init__(self, target: ActorRef[Any]) -> None:
        super().__init__()
        self.target = target

    @handles
    def begin(self, message: Start) -> None:
        getattr(self, message.way)()

    @handles
    def effect(self, _message: Effect) -> int:
        return 1

    @handles
    def wake(self, _message: Wake) -> None:
        """Sent by `wake_at`."""

    @handles
    def terminated(self, _message: Terminated) -> None:
        """Sent by a watch."""

    def tell(self) -> None:
        self.target.tell(Effect())

    def tell_itself(self) -> None:
        self.ref.tell(Effect())

    def ask(self) -> None:
        self.pipe(self.target.ask(Effect()), to=lambda _one: Effect("outcome"))

    def task_tells(self) -> None:
        async def task() -> None:
            await trio.sleep(1)
            self.target.tell(Effect())

        self.start_task(task)

    def task_tells_in_a_thread(self) -> None:
        def thread() -> None:
            self.target.tell(Effect())

        async def task() -> None:
            await trio.to_thread.run_sync(thread)

        self.start_task(task)

    def outcome_of_a_task(self) -> None:
        self.start_task(trio.sleep, 1, to=lambda _none: Effect())

    def failure_of_a_task(self) -> None:
        async def fail() -> None:
            raise ValueError

        self.start_task(fail, failed=lambda _error: Effect())

    def cancellation_of_a_task(self) -> None:
        task = self.start_task(trio.sleep_forever, cancelled=Effect)
        task.cancel()

    def timer(self) -> None:
        self.send_after(1, Effect())

    def beat(self) -> None:
        self.send_every(1, Effect())

    def wakes(self) -> None:
        self.wake_at(self.now + 1)

    def stash_later(self) -> None:
        self.ref.tell(Effect("stash"))


class AsyncSource(Source):
    @handles
    async def begin(self, message: Start) -> None:  # type: ignore[override]
        await trio.sleep(0.5)
        getattr(self, message.way)()
        await trio.sleep(0.5)


class NestedSource(Source):
    """Does it in a task of a nursery that an async handler has opened."""

    @handles
    async def begin(self, message: Start) -> None:  # type: ignore[override]
        async def child() -> None:
            await trio.sleep(0.5)
            getattr(self, message.way)()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)


class TaskSource(Source):
    """Does it in an owned task."""

    @handles
    def begin(self, message: Start) -> None:
        async def task() -> None:
            await trio.sleep(0.5)
            getattr(self, message.way)()

        self.start_task(task)


WAYS = [
    "tell",
    "tell_itself",
    "ask",
    "task_tells",
    "outcome_of_a_task",
    "failure_of_a_task",
    "cancellation_of_a_task",
    "timer",
    "beat",
    "wakes",
]


@pytest.mark.parametrize("kind", [Source, AsyncSource, NestedSource, TaskSource])
@pytest.mark.parametrize("way", WAYS)
async def test_an_effect_names_its_cause(
    system: SystemUnderTest, kind: type[Source], way: str
) -> None:
    events: list[TraceEvent] = []
    target = await system.spawn(Target)
    source = await system.spawn(kind, target)
    system._node.observe(TraceFilter(), events.append)
    source.tell(Start(way))
    await trio.sleep(2.7)
    start_ids = {event.id for event in events if event.message_type == "Start"}
    effects = [event for event in events if event.message_type in ("Effect", "Wake")]
    assert len(start_ids) == 1
    assert effects
    assert {effect.cause for effect in effects} == start_ids
    assert all(event.id > event.cause for event in events)


async def test_a_thread_of_an_owned_task_names_the_cause_too() -> None:
    events: list[TraceEvent] = []
    async with system_under_test() as system:
        target = await system.probe()
        source = await system.spawn(Source, target.ref)
        system._node.observe(TraceFilter(), events.append)
        source.tell(Start("task_tells_in_a_thread"))
        await target.expect(Effect, within=5)
    assert [event.message_type for event in events] == ["Start", "Effect"]
    assert events[1].cause == events[0].id


async def test_what_comes_from_outside_has_no_cause(system: SystemUnderTest) -> None:
    events: list[TraceEvent] = []
    target = await system.spawn(Target)
    system._node.observe(TraceFilter(), events.append)
    target.tell(Effect())
    await target.ask(Effect())
    await trio.to_thread.run_sync(target.tell, Effect())
    await system.settle()
    assert [event.cause for event in events] == [0, 0, 0]


async def test_a_chain_can_be_followed_from_its_end_to_its_beginning(
    system: SystemUnderTest,
) -> None:
    """Handler, async handler, owned task, timer, pipe: one hop each."""

    arrived: list[int] = []
    events: list[TraceEvent] = []
    refs: list[ActorRef[Any]] = []
    hops: list[Callable[[Any, Hop], Any]] = []

    def passes_on(actor: Any, hop: Hop) -> None:
        refs[hop.number + 1].tell(Hop(hop.number + 1))

    async def waits_and_passes_on(actor: Any, hop: Hop) -> None:
        await trio.sleep(1)
        passes_on(actor, hop)

    def in_a_task(actor: Any, hop: Hop) -> None:
        actor.start_task(waits_and_passes_on, actor, hop)

    def by_a_timer(actor: Any, hop: Hop) -> None:
        actor.send_after(1, Effect(str(hop.number)))

    def by_a_pipe(actor: Any, hop: Hop) -> None:
        actor.pipe(refs[-1].ask(Effect()), to=lambda _one: Effect(str(hop.number)))

    def ends(actor: Any, hop: Hop) -> None:
        arrived.append(hop.number)

    hops += [passes_on, waits_and_passes_on, in_a_task, by_a_timer, by_a_pipe, ends]

    def kind_of(step: Callable[[Any, Hop], Any]) -> type[Actor[Any]]:
        class Link(Actor[Any]):
            hop = handles(Hop)(step)

            @handles
            def effect(self, message: Effect) -> int:
                if message.way:
                    passes_on(self, Hop(int(message.way)))
                return 1

        return Link

    refs += [await system.spawn(kind_of(step)) for step in hops]
    system._node.observe(TraceFilter(), events.append)
    refs[0].tell(Hop(0))
    await trio.sleep(10)
    assert arrived == [5]
    by_id = {event.id: event for event in events}
    event = next(event for event in events if event.message == Hop(5))
    chain = [event.message_type]
    while event.cause:
        event = by_id[event.cause]
        chain.append(event.message_type)
    assert chain == ["Hop", "Effect", "Hop", "Effect", "Hop", "Hop", "Hop", "Hop"]


async def test_terminated_names_what_made_the_actor_stop(system: SystemUnderTest) -> None:
    events: list[TraceEvent] = []

    class Mortal(Actor[Any]):
        @handles
        def effect(self, _message: Effect) -> int:
            self.stop()
            return 1

    class Watching(Source):
        def begin(self, _message: Start) -> None:
            self.watch(self.target)

    mortal = await system.spawn(Mortal, restart=Restart.TEMPORARY)
    watcher = await system.spawn(Watching, mortal)
    watcher.tell(Start(""))
    await system.settle()
    system._node.observe(TraceFilter(), events.append)
    assert await mortal.ask(Effect(), timeout=math.inf) == 1
    await system.settle()
    assert [event.message_type for event in events] == ["Effect", "StopRequest", "Terminated"]
