"""Stopping: in what order, within what time, and what is done about those who will not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervision import (
    ActorStopped,
    ChildSpec,
    Refused,
    Restart,
    Strategy,
    StuckTask,
    SupervisionConfig,
    Supervisor,
    System,
    handles,
    open_system,
)
from supervision.events import ActorEnded, ActorStuck, Subscription
from supervision.messages import How
from supervision.testing import SystemUnderTest
from tests.supervision.supervisor_kit import (
    Child,
    Diary,
    End,
    Hang,
    Life,
    Way,
    child,
    pause,
    slow_to_start,
    slow_to_stop,
    supervise,
)


class Shielded(Child):
    """Owns a task that takes no notice of being cancelled for a while."""

    def __init__(self, name: str, diary: Diary, seconds: float) -> None:
        super().__init__(name, diary)
        self.seconds = seconds

    def on_start(self) -> None:
        super().on_start()
        self.start_task(self._work, name="work")

    async def _work(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.seconds)
            self.diary.write(f".{self.name}")


def shielded(name: str, diary: Diary, seconds: float, **more: Any) -> Any:
    return ChildSpec(name, partial(Shielded, name, diary, seconds), **more)


async def how_each_ended(endings: Subscription[ActorEnded]) -> dict[str, How]:
    """By path, what the events so far say of its last end."""
    events = [await anext(endings) for _ in range(len(endings))]
    return {event.path: event.reason.how for event in events}


@asynccontextmanager
async def leaving_behind(*stuck: str) -> AsyncIterator[System]:
    """A system at whose end `StuckTask` must name these."""
    try:
        async with open_system(SupervisionConfig(kill_grace=1.0)) as system:
            yield system
    except StuckTask as error:
        assert set(error.stuck) == set(stuck)
    else:
        pytest.fail("nothing was left behind")


# -- order and deadlines -----------------------------------------------------------------


async def test_children_stop_in_reverse_start_order_one_after_the_other(
    system: SystemUnderTest,
) -> None:
    diary = Diary()
    specs = [slow_to_stop(name, diary, 1.0) for name in "abc"]
    await supervise(system, specs)
    started = system.now
    diary.take()
    await system.stop("/sup")
    assert diary.take() == ["-c", "-b", "-a"]
    assert system.now - started == pytest.approx(3.0)


async def test_each_child_has_its_own_shutdown_time(system: SystemUnderTest) -> None:
    with system.events.subscribe(ActorEnded) as endings:
        diary = Diary()
        specs = [
            slow_to_stop("a", diary, 1.0, shutdown=1.5),
            slow_to_stop("b", diary, 1.0, shutdown=0.5),
            slow_to_stop("c", diary, 7.0),  # more than the 5 s an actor has if its spec is silent
            slow_to_stop("d", diary, 100.0, shutdown="infinity"),
        ]
        await supervise(system, specs)
        started = system.now
        diary.take()
        await system.stop("/sup")
        assert diary.take() == ["-d", "-a"]
        assert system.now - started == pytest.approx(100 + 5 + 0.5 + 1)
        assert await how_each_ended(endings) == {
            "/sup/d": How.SHUTDOWN,
            "/sup/c": How.KILLED,
            "/sup/b": How.KILLED,
            "/sup/a": How.SHUTDOWN,
            "/sup": How.SHUTDOWN,
        }


async def test_brutal_is_at_once_and_without_on_stop(system: SystemUnderTest) -> None:
    with system.events.subscribe(ActorEnded) as endings:
        diary = Diary()
        await supervise(system, [child("a", diary), child("b", diary, shutdown="brutal")])
        started = system.now
        diary.take()
        await system.stop("/sup")
        assert system.now == started
        assert diary.take() == ["-a"]
        ends = await how_each_ended(endings)
        assert ends["/sup/b"] is How.KILLED


async def test_an_async_handler_may_finish_within_the_shutdown_time(
    system: SystemUnderTest,
) -> None:
    with system.events.subscribe(ActorEnded) as endings:
        diary = Diary()
        await supervise(system, [child("a", diary, shutdown=2.0)])
        answer = system.ref("/sup/a").ask(Hang(), timeout=100)
        queued = system.ref("/sup/a").ask(Life(), timeout=100)
        await system.settle()
        started = system.now
        await system.stop("/sup")
        assert system.now - started == pytest.approx(2.0)
        ends = await how_each_ended(endings)
        assert ends["/sup/a"] is How.KILLED
        with pytest.raises(ActorStopped):
            await answer
        with pytest.raises(ActorStopped):
            await queued


async def test_a_killed_sibling_is_started_again_with_the_others(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/a")
    with system.events.subscribe(ActorEnded) as endings:
        diary = Diary()
        specs = [child("a", diary), child("b", diary, shutdown=1.0), child("c", diary)]
        await supervise(system, specs, Strategy.ONE_FOR_ALL)
        hanging = system.ref("/sup/b").ask(Hang(), timeout=100)
        await system.settle()
        diary.take()
        system.ref("/sup/a").tell(End(Way.HANDLER))
        await system.settle()
        assert diary.take() == ["!a", "-c"]  # b will not stop
        await pause(1.0)
        ends = await how_each_ended(endings)
        assert ends["/sup/b"] is How.KILLED
        assert diary.take() == ["+a", "+b", "+c"]
        with pytest.raises(ActorStopped):
            await hanging
        assert await system.ref("/sup/b").ask(Life()) == 2


@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
async def test_a_killed_temporary_sibling_is_forgotten(
    restart: Restart, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/a")
    diary = Diary()
    specs = [child("a", diary), child("b", diary, restart, shutdown="brutal")]
    await supervise(system, specs, Strategy.ONE_FOR_ALL)
    system.ref("/sup/a").tell(End(Way.HANDLER))
    await system.settle()
    assert diary.lives["b"] == (1 if restart is Restart.TEMPORARY else 2)


async def test_a_supervisor_out_of_time_has_all_its_children_cut_off_at_once(
    system: SystemUnderTest,
) -> None:
    with system.events.subscribe(ActorEnded) as endings:
        diary = Diary()
        inner = ChildSpec(
            "inner",
            partial(Supervisor, [slow_to_stop(n, diary, 3.0) for n in "abc"]),
            shutdown=4.0,
        )
        await supervise(system, [inner])
        diary.take()
        started = system.now
        await system.stop("/sup")
        assert system.now - started == pytest.approx(4.0)
        assert diary.take() == ["-c"]
        ends = await how_each_ended(endings)
        assert ends["/sup/inner/c"] is How.SHUTDOWN
        assert ends["/sup/inner/b"] is ends["/sup/inner/a"] is ends["/sup/inner"] is How.KILLED


async def test_a_supervisor_has_no_bound_of_its_own_unless_it_is_given_one(
    system: SystemUnderTest,
) -> None:
    diary = Diary()
    inner = ChildSpec("inner", partial(Supervisor, [slow_to_stop("a", diary, 4.0)] * 1))
    outer = [inner, slow_to_stop("b", diary, 4.0), slow_to_stop("c", diary, 4.0)]
    await supervise(system, [ChildSpec("outer", partial(Supervisor, outer))])
    diary.take()
    await system.stop("/sup")
    assert diary.take() == ["-c", "-b", "-a"]


async def test_an_ask_of_a_child_that_stops_in_order_is_answered_before(
    system: SystemUnderTest,
) -> None:
    """`stop` goes behind the waiting messages; the supervisor's stop goes before them."""
    diary = Diary()
    await supervise(system, [child("a", diary, Restart.TEMPORARY), child("b", diary)])
    a, b = system.ref("/sup/a"), system.ref("/sup/b")
    before, after = a.ask(Life()), None
    a.tell(End(Way.RETURNS))
    after = a.ask(Life())
    assert await before == 1
    assert await after == 1  # it was there when the actor told itself to stop
    with pytest.raises(ActorStopped):
        await a.ask(Life())
    stopping = system.ref("/").ask(_terminate("sup"))
    late = b.ask(Life())
    await stopping
    assert late.done


def _terminate(name: str) -> Any:
    from supervision.supervisor import TerminateChild

    return TerminateChild(name)


# -- stop during start -------------------------------------------------------------------


@pytest.mark.parametrize("shutdown", [2.0, "brutal"])
async def test_a_child_that_starts_for_ever_is_cut_off_in_its_shutdown_time(
    shutdown: Any, system: SystemUnderTest
) -> None:
    diary = Diary()
    specs = [child("a", diary), slow_to_start("b", diary, 1e6, shutdown=shutdown)]
    specs.append(child("c", diary))
    refused: list[BaseException] = []

    async def spawn() -> None:
        try:
            await supervise(system, specs)
        except Refused as error:
            refused.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(spawn)
        await pause()
        assert diary.take() == ["+a", "~b"]
        started = system.now
        await system.stop("/sup")
        assert system.now - started == pytest.approx(2.0 if shutdown == 2.0 else 0.0)
    assert diary.take() == ["-a"]
    assert "c" not in diary.lives
    assert refused
    assert system.find("/sup") is None
    assert system.find("/sup/a") is None


async def test_a_child_told_to_stop_while_it_starts_stops_once_it_has(
    system: SystemUnderTest,
) -> None:
    diary = Diary()
    specs = [child("a", diary), slow_to_start("b", diary, 3.0), child("c", diary)]

    async def spawn() -> None:
        with pytest.raises(Refused):
            await supervise(system, specs)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(spawn)
        await pause()
        await system.stop("/sup")
    assert diary.take() == ["+a", "~b", "+b", "-b", "-a"]


async def test_leaving_the_block_while_a_tree_starts_stops_what_has_started(
    system: SystemUnderTest,
) -> None:
    """The `system` fixture checks that nothing is left."""
    diary = Diary()
    inner = [child("a", diary), slow_to_start("b", diary, 1.0)]
    outer = [child("x", diary), ChildSpec("inner", partial(Supervisor, inner)), child("y", diary)]
    with trio.move_on_after(0.5):
        await supervise(system, outer)
    assert diary.take() == ["+x", "+a", "~b"]


# -- those who will not end --------------------------------------------------------------


async def test_what_ends_within_the_grace_is_waited_for(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("a", diary), shielded("b", diary, 0.9, shutdown=1.0)])
    diary.take()
    started = system.now
    await system.stop("/sup")
    assert diary.take() == ["-b", ".b", "-a"]
    assert system.now - started == pytest.approx(0.9)


async def test_what_will_not_end_is_fenced_reported_and_raised(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()
    async with leaving_behind("/sup/b task 'work'") as system:
        specs = [child("a", diary), shielded("b", diary, 60.0, shutdown=2.0)]
        await system.spawn(Supervisor, specs, path="/sup")
        diary.take()
        started = system.now
        with system.events.subscribe(ActorStuck) as stuck:
            await system.stop("/sup")
            assert (await anext(stuck)).path == "/sup/b"
        assert system.now - started == pytest.approx(3.0)  # 2 to stop, 1 of grace
        assert diary.take() == ["-b", "-a"]
    assert diary.take() == [".b"]  # trio cannot abandon a task, so the block waited for it


async def test_a_fenced_child_is_replaced_and_its_late_end_disturbs_nobody(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()
    async with leaving_behind("/sup/b task 'work'") as system:
        specs = [child("a", diary), shielded("b", diary, 20.0, shutdown=1.0)]
        await system.spawn(Supervisor, specs, Strategy.ONE_FOR_ALL, path="/sup")
        b = system.ref("/sup/b")
        system.ref("/sup/a").tell(End(Way.HANDLER))
        await pause(3.0)
        assert await b.ask(Life()) == 2
        diary.take()
        await pause(30.0)  # meanwhile the first life's task has ended
        assert diary.take() == [".b"]
        assert await b.ask(Life()) == 2


class HangsInHook(Child):
    """Its async `on_stop` shields itself; what it does later must not touch the next life."""

    async def on_stop(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(20.0)
        self.diary.write(f"late {self.name} {self.life}")


async def test_a_fenced_hook_that_ends_late_leaves_the_next_life_alone(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()
    async with leaving_behind("/sup/b task 'handlers'") as system:
        b = ChildSpec("b", partial(HangsInHook, "b", diary), shutdown=1.0)
        specs = [child("a", diary), b]
        await system.spawn(Supervisor, specs, Strategy.ONE_FOR_ALL, path="/sup")
        ref = system.ref("/sup/b")
        system.ref("/sup/a").tell(End(Way.HANDLER))
        await pause(3.0)
        assert await ref.ask(Life()) == 2
        await pause(30.0)
        assert "late b 1" in diary.take()
        assert await ref.ask(Life()) == 2


class HangsInHandler(Child):
    @handles
    async def on_hang(self, message: Hang) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(20.0)
        self.diary.write(f"late {self.name} {self.life}")


async def test_a_fenced_handler_answers_nobody_and_leaves_the_next_life_alone(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()
    async with leaving_behind("/sup/b task 'handlers'") as system:
        b = ChildSpec("b", partial(HangsInHandler, "b", diary), shutdown=1.0)
        specs = [child("a", diary), b]
        await system.spawn(Supervisor, specs, Strategy.ONE_FOR_ALL, path="/sup")
        ref = system.ref("/sup/b")
        in_hand = ref.ask(Hang(), timeout=100)
        await pause(0)
        system.ref("/sup/a").tell(End(Way.HANDLER))
        await pause(3.0)
        with pytest.raises(ActorStopped):
            await in_hand
        second = ref.ask(Hang(), timeout=100)
        await pause(16.0)
        assert not second.done  # the first life's handler must not unpause the second's
        queued = ref.ask(Life(), timeout=100)
        await pause(1.5)
        assert "late b 1" in diary.take()
        assert not queued.done
        assert await queued == 2


async def test_a_crash_with_a_task_that_will_not_end_is_fenced_too(
    autojump_clock: MockClock,
) -> None:
    """Nobody has told it to stop, so no shutdown time runs; it must come back all the same."""
    diary = Diary()
    async with leaving_behind("/sup/b task 'work'") as system:
        specs = [shielded("b", diary, 600.0, shutdown=2.0)]
        await system.spawn(Supervisor, specs, path="/sup")
        ref = system.ref("/sup/b")
        ref.tell(End(Way.HANDLER))
        await pause(3.1)
        assert await ref.ask(Life()) == 2


async def test_a_stuck_supervisor_with_a_stuck_child_ends_all_the_same(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()

    class Manager(Supervisor):
        def on_start(self) -> None:
            self.start_task(self._work, name="manage")

        async def _work(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(60.0)

    async with leaving_behind("/sup/b task 'work'", "/sup task 'manage'") as system:
        specs = [shielded("b", diary, 60.0)]
        await system.start_child(ChildSpec("sup", partial(Manager, specs), shutdown="brutal"))
        started = system.now
        await system.stop("/sup")
        assert system.now - started < 10


async def test_the_whole_tree_stops_within_the_roots_time(autojump_clock: MockClock) -> None:
    diary = Diary()
    async with open_system(SupervisionConfig(shutdown=7.0)) as system:
        specs = [slow_to_stop(n, diary, 3.0, shutdown="infinity") for n in "abcd"]
        await system.spawn(Supervisor, specs, path="/sup")
        diary.take()
        started = trio.current_time()
    assert trio.current_time() - started == pytest.approx(7.0)
    assert diary.take() == ["-d", "-c"]


async def test_the_tree_stops_in_order_when_the_block_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()
    with trio.move_on_after(1.0):
        async with open_system() as system:
            await system.spawn(
                Supervisor, [slow_to_stop(n, diary, 2.0) for n in "abc"], path="/sup"
            )
            await trio.sleep_forever()
    assert diary.take()[3:] == ["-c", "-b", "-a"]
    assert trio.current_time() == pytest.approx(7.0)
