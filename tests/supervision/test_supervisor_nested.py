"""Trees of supervisors: faults that climb, refs that survive, significant children, the root."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervision import (
    ActorRef,
    ActorStopped,
    AutoShutdown,
    ChildSpec,
    DynamicSupervisor,
    Escalate,
    NodeFailed,
    Refused,
    Restart,
    StartFailed,
    Strategy,
    Supervisor,
    open_system,
)
from supervision.messages import SHUTDOWN, ExitReason, How
from supervision.supervisor import StartChild, WhichChildren
from supervision.testing import SystemUnderTest
from tests.supervision.supervisor_kit import (
    Boom,
    Child,
    Diary,
    End,
    GiveUp,
    Life,
    Way,
    child,
    pause,
    slow_to_start,
    slow_to_stop,
    supervise,
)


def nested(
    name: str, children: Any, *args: Any, restart: Restart = Restart.PERMANENT, **kwargs: Any
) -> ChildSpec[Any]:
    """A spec of a supervisor."""
    return ChildSpec(name, partial(Supervisor, children, *args, **kwargs), restart)


# -- faults climb ------------------------------------------------------------------------


async def test_a_supervisor_that_gives_up_is_restarted_by_its_own(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/inner/*", Boom)
    diary = Diary()
    inner = nested("inner", [child("a", diary), child("b", diary)], intensity=0)
    _, ends = await supervise(system, [child("x", diary), inner], intensity=1)
    refs = [system.ref(f"/sup/inner/{name}") for name in "ab"]
    diary.take()
    refs[1].tell(End(Way.HANDLER))
    await system.settle()
    assert diary.take() == ["!b", "-a", "+a", "+b"]
    # the same refs, at the same paths
    assert [await ref.ask(Life()) for ref in refs] == [2, 2]
    assert [system.ref(ref.path) for ref in refs] == refs
    assert diary.lives["x"] == 1
    refs[1].tell(End(Way.HANDLER))
    await system.settle()
    assert [reason.how for reason in ends] == [How.SHUTDOWN]
    assert isinstance(ends[0].error, Boom)
    assert not any(ref.alive for ref in refs)


@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
async def test_giving_up_is_no_abnormal_end_and_escalating_is(
    restart: Restart, system: SystemUnderTest
) -> None:
    """As in OTP, a supervisor out of restarts ends with reason shutdown."""
    system.expect_crash("/sup/*")
    diary = Diary()
    inner = [
        nested("gives_up", [child("a", diary)], intensity=0, restart=restart),
        nested("escalates", [child("b", diary)], restart=restart),
    ]
    await supervise(system, inner, intensity=10)
    system.ref("/sup/gives_up/a").tell(End(Way.HANDLER))
    system.ref("/sup/escalates/b").tell(GiveUp())
    await system.settle()
    assert diary.lives["a"] == (2 if restart is Restart.PERMANENT else 1)
    assert diary.lives["b"] == (1 if restart is Restart.TEMPORARY else 2)


async def test_an_escalation_is_a_new_decision_at_every_level(system: SystemUnderTest) -> None:
    """It ends one supervisor; the next level restarts that one, and counts."""
    system.expect_crash("/sup/*", "Escalate")
    diary = Diary()
    _, ends = await supervise(system, [nested("inner", [child("a", diary)])], intensity=1)
    ref = system.ref("/sup/inner/a")
    ref.tell(GiveUp())
    assert await ref.ask(Life()) == 2
    ref.tell(GiveUp())
    await system.settle()
    assert [reason.how for reason in ends] == [How.SHUTDOWN]


async def test_an_escalation_while_starting_again_counts_as_one(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/*")
    diary = Diary()

    class Hopeless(Child):
        def on_start(self) -> None:
            if self.life == 2:
                raise Escalate("gone")
            super().on_start()

    hopeless = ChildSpec("a", partial(Hopeless, "a", diary))
    _, ends = await supervise(
        system, [nested("inner", [child("z", diary), hopeless], intensity=100)], intensity=1
    )
    ref = system.ref("/sup/inner/a")
    ref.tell(End(Way.HANDLER))
    assert await ref.ask(Life()) == 3
    assert diary.lives["z"] == 2
    assert not ends


async def test_a_grandchild_that_cannot_start_again_takes_its_supervisor_along(
    system: SystemUnderTest,
) -> None:
    """The inner supervisor restarts, fails to boot, is tried again: each try counts above."""
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    inner = nested("inner", [child("a", diary), child("b", diary)], intensity=0)
    _, ends = await supervise(system, [inner], intensity=3)
    diary.failing["b on_start"] = 2
    system.ref("/sup/inner/b").tell(End(Way.HANDLER))
    await system.settle()
    assert not ends
    assert await system.ref("/sup/inner/b").ask(Life()) == 4
    diary.failing["b on_start"] = 100
    system.ref("/sup/inner/b").tell(End(Way.TASK))
    await pause()
    assert ends
    assert not [path for path in system._node.cells if path.startswith("/sup")]


async def test_a_supervisors_own_crash_cuts_its_children_off(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/inner", Boom)
    diary = Diary()

    class Manager(Supervisor):
        def on_start(self) -> None:
            self.start_task(self._work)

        async def _work(self) -> None:
            await trio.sleep(1.0)
            raise Boom("manager")

    specs = [child("a", diary), slow_to_stop("b", diary, 1e6, shutdown="infinity")]
    inner = ChildSpec("inner", partial(Manager, specs), Restart.PERMANENT, shutdown="brutal")
    await supervise(system, [inner], intensity=1000)
    ref = system.ref("/sup/inner/a")
    await pause(1.5)
    assert diary.lives == {"a": 2, "b": 2}
    assert await ref.ask(Life()) == 2
    await pause(100.0)
    assert diary.lives["a"] > 50  # and again and again, each within a second of its own


# -- a supervisor that ends while it restarts --------------------------------------------


@pytest.mark.parametrize("strategy", [Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL])
async def test_a_supervisor_told_to_stop_while_it_stops_a_group(
    strategy: Strategy, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child("a", diary), child("b", diary), slow_to_stop("c", diary, 2.0)]
    await supervise(system, specs, strategy)
    diary.take()
    system.ref("/sup/b").tell(End(Way.HANDLER))
    await pause(1.0)
    await system.stop("/sup")
    assert diary.take() == ["!b", "-c", "-a"]
    assert diary.lives == {"a": 1, "b": 1, "c": 1}


async def test_a_supervisor_told_to_stop_while_it_starts_a_group(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [
        child("a", diary),
        slow_to_start("b", diary, 2.0, shutdown=1.0),
        child("c", diary),
    ]
    await supervise(system, specs, Strategy.ONE_FOR_ALL)
    diary.take()
    system.ref("/sup/a").tell(End(Way.HANDLER))
    await system.settle()
    assert diary.take() == ["!a", "-c", "-b", "+a", "~b"]
    started = system.now
    await system.stop("/sup")
    assert system.now - started == pytest.approx(1.0)  # b was cut off
    assert diary.take() == ["-a"]
    assert diary.lives["c"] == 1


async def test_a_supervisor_killed_while_it_starts_a_group(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child("a", diary), slow_to_start("b", diary, 2.0), child("c", diary)]
    inner = ChildSpec("inner", partial(Supervisor, specs, Strategy.ONE_FOR_ALL), shutdown="brutal")
    await supervise(system, [inner])
    diary.take()
    system.ref("/sup/inner/a").tell(End(Way.HANDLER))
    await system.settle()
    started = system.now
    await system.stop("/sup")
    assert system.now == started
    assert diary.take() == ["!a", "-c", "-b", "+a", "~b"]


async def test_a_child_that_crashes_while_its_siblings_are_stopped_is_not_counted_twice(
    system: SystemUnderTest,
) -> None:
    """Its end is taken for the stop that it was about to be told."""
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child("a", diary), child("b", diary), slow_to_stop("c", diary, 2.0)]
    _, ends = await supervise(system, specs, Strategy.ONE_FOR_ALL, intensity=1)
    diary.take()
    system.ref("/sup/a").tell(End(Way.HANDLER))
    await pause(1.0)
    system.ref("/sup/b").tell(End(Way.HANDLER))
    await pause(2.0)
    assert diary.take() == ["!a", "!b", "-c", "+a", "+b", "+c"]
    assert not ends


async def test_a_supervisor_subclass_told_to_stop_in_its_own_on_start_has_no_children(
    system: SystemUnderTest,
) -> None:
    diary = Diary()

    class Slow(Supervisor):
        async def on_start(self) -> None:
            await trio.sleep(2.0)

    inner = ChildSpec("inner", partial(Slow, [child("a", diary)]), Restart.TEMPORARY)
    supervisor, _ = await supervise(system, [])
    starting = supervisor.ask(StartChild(inner))
    await pause(1.0)
    await system.stop("/sup")
    assert starting.done
    assert diary.lives == {}


# -- refs survive ------------------------------------------------------------------------


async def test_refs_survive_every_restart_above_them(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/*")
    diary = Diary()
    leaf = child("leaf", diary)
    trigger = child("trigger", diary)
    deep = nested("one", [nested("two", [nested("three", [leaf])]), trigger], intensity=0)
    await supervise(system, [deep], intensity=100)
    ref = system.ref("/sup/one/two/three/leaf")
    middle = system.ref("/sup/one/two")
    for life in range(2, 5):
        system.ref("/sup/one/trigger").tell(End(Way.HANDLER))
        await system.settle()
        assert await ref.ask(Life()) == life
    assert system.ref("/sup/one/two/three/leaf") == ref
    assert [info.id for info in await middle.ask(WhichChildren())] == ["three"]


@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
async def test_refs_to_children_of_any_kind_survive_their_supervisors_restart(
    restart: Restart, system: SystemUnderTest
) -> None:
    """A temporary child too: it is its supervisor that was restarted, and begins anew."""
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child("a", diary), child("b", diary, restart)]
    await supervise(system, [nested("inner", specs, intensity=0)])
    ref = system.ref("/sup/inner/b")
    ends: list[ExitReason] = []
    ref.on_gone(ends.append)
    system.ref("/sup/inner/a").tell(End(Way.HANDLER))
    await system.settle()
    assert await ref.ask(Life()) == 2
    assert system.ref("/sup/inner/b") is ref
    assert not ends
    await system.stop("/sup")
    assert ends == [SHUTDOWN]


async def test_children_added_by_hand_do_not_survive_their_supervisors_restart(
    system: SystemUnderTest,
) -> None:
    """As in OTP: it starts anew from its own specs. Their watchers are told."""
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    await supervise(system, [nested("inner", [child("a", diary)], intensity=0)])
    added = await system.ref("/sup/inner").ask(StartChild(child("b", diary)))
    ends: list[ExitReason] = []
    added.on_gone(ends.append)
    asked = []
    system.ref("/sup/inner/a").tell(End(Way.HANDLER))
    asked.append(added.ask(Life()))
    await system.settle()
    assert ends == [SHUTDOWN]
    assert not added.alive
    assert system.find("/sup/inner/b") is None
    for reply in asked:
        assert reply.error is None or isinstance(reply.error, ActorStopped)
    again = await system.ref("/sup/inner").ask(StartChild(child("b", diary)))
    assert await again.ask(Life()) == 2


# -- significant children ----------------------------------------------------------------


@pytest.mark.parametrize(
    "auto", [AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT], ids=lambda a: a.value
)
@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY], ids=lambda r: r.value)
@pytest.mark.parametrize("way", [Way.RETURNS, Way.SHUTS_DOWN, Way.HANDLER], ids=lambda w: w.name)
async def test_significant_children_end_their_supervisor(
    way: Way, restart: Restart, auto: AutoShutdown, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [
        child("a", diary),
        child("s", diary, restart, significant=True),
        child("t", diary, restart, significant=True),
        child("n", diary, restart),
    ]
    _, ends = await supervise(system, specs, auto_shutdown=auto, intensity=10)
    comes_back = restart is Restart.TRANSIENT and way is Way.HANDLER
    for name, ended in [
        ("n", False),
        ("s", auto is AutoShutdown.ANY_SIGNIFICANT),
        ("t", True),
    ]:
        ref = system.find(f"/sup/{name}")
        if ref is not None:
            ref.tell(End(way))
            await system.settle()
        assert bool(ends) == (ended and not comes_back)
    if ends:
        assert ends == [SHUTDOWN]
        assert diary.lines[-1] == "-a"


async def test_a_significant_child_that_is_terminated_by_hand_ends_nothing(
    system: SystemUnderTest,
) -> None:
    diary = Diary()
    specs = [child("a", diary), child("s", diary, Restart.TRANSIENT, significant=True)]
    _, ends = await supervise(system, specs, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    await system.stop("/sup/s")
    await pause()
    assert not ends


async def test_a_significant_child_that_will_be_back_keeps_its_supervisor(
    system: SystemUnderTest,
) -> None:
    """One ends for good while another's crash is still to be looked at: it is not the last."""
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [
        child("s", diary, Restart.TRANSIENT, significant=True),
        child("t", diary, Restart.TRANSIENT, significant=True),
        slow_to_stop("z", diary, 2.0),
    ]
    supervisor, ends = await supervise(system, specs, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    stopping = system.stop
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stopping, "/sup/z")  # the supervisor is busy for two seconds
        await pause(1.0)
        system.ref("/sup/s").tell(End(Way.RETURNS))
        await system.settle()
        system.ref("/sup/t").tell(End(Way.HANDLER))
        await system.settle()
    await system.settle()
    assert not ends
    assert diary.lives["t"] == 2
    assert supervisor.alive


async def test_a_significant_child_needs_an_auto_shutdown(system: SystemUnderTest) -> None:
    """As in OTP: else its mark would mean nothing."""
    system.expect_crash("/sup", ValueError)
    significant = child("s", Diary(), Restart.TRANSIENT, significant=True)
    with pytest.raises(StartFailed, match="/sup could not be started") as refused:
        await supervise(system, [significant])
    assert "`auto_shutdown` of its supervisor is NEVER" in str(refused.value.__cause__)
    static, _ = await supervise(system, [])
    dynamic = await system.spawn(DynamicSupervisor, path="/calls")
    for supervisor in (static, dynamic):
        with pytest.raises(Refused, match="is NEVER"):
            await supervisor.ask(StartChild(significant))


def test_a_permanent_child_cannot_be_significant() -> None:
    with pytest.raises(ValueError, match="make it transient or temporary"):
        child("a", Diary(), significant=True)


# -- the root ----------------------------------------------------------------------------


async def test_the_roots_failure_is_the_blocks(autojump_clock: MockClock) -> None:
    diary = Diary()
    refs: list[ActorRef[Any]] = []

    async def run() -> None:
        async with open_system() as system:
            await system.spawn(Child, "x", diary, path="/x")
            refs.append(await system.spawn(Child, "a", diary, path="/a"))
            for _ in range(4):  # three are forgiven
                refs[0].tell(End(Way.HANDLER))
                await trio.sleep(0.1)
            await trio.sleep_forever()

    with pytest.raises(NodeFailed) as failed:
        await run()
    assert isinstance(failed.value.__cause__, Boom)
    assert diary.take()[-2:] == ["!a", "-x"]
    assert not refs[0].alive


async def test_an_escalation_to_the_root_is_the_blocks_failure(autojump_clock: MockClock) -> None:
    diary = Diary()

    async def run() -> None:
        async with open_system() as system:
            ref = await system.spawn(Child, "a", diary, path="/a")
            ref.tell(GiveUp())
            await trio.sleep_forever()

    with pytest.raises(NodeFailed, match="Escalate"):
        await run()


async def test_the_blocks_own_error_is_told_when_the_root_did_not_fail(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()

    async def run() -> None:
        async with open_system() as system:
            await system.spawn(Child, "a", diary, path="/a")
            raise Boom("mine")

    with pytest.raises(Boom, match="mine"):
        await run()
    assert diary.take() == ["+a", "-a"]


async def test_temporary_children_of_the_root_never_end_it(system: SystemUnderTest) -> None:
    system.expect_crash("/t*", Boom)
    diary = Diary()
    for number in range(20):
        ref = await system.spawn(Child, "t", diary, path=f"/t{number}", restart=Restart.TEMPORARY)
        ref.tell(End(Way.HANDLER))
    await system.settle()
    assert diary.lives["t"] == 20
