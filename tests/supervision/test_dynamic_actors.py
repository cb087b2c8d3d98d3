"""Dynamic supervisors as running actors: many alike children, each on its own."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    ActorRef,
    ActorStopped,
    ChildSpec,
    DynamicSupervisor,
    Exhausted,
    NotAccepted,
    Refused,
    Request,
    Restart,
    StartFailed,
    Supervisor,
)
from supervision.messages import SHUTDOWN, ExitReason, How
from supervision.supervisor import (
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from supervision.testing import SystemUnderTest, simulate
from tests.supervision.supervisor_kit import (
    NORMAL_WAYS,
    Boom,
    Diary,
    End,
    GiveUp,
    Hang,
    Life,
    Way,
    child,
    pause,
    slow_to_start,
    slow_to_stop,
)


async def calls(system: SystemUnderTest, **flags: Any) -> tuple[ActorRef[Any], list[ExitReason]]:
    """A running dynamic supervisor at /calls, and the list its end is written into."""
    ref = await system.spawn(DynamicSupervisor, **flags, path="/calls", restart=Restart.TEMPORARY)
    ends: list[ExitReason] = []
    ref.on_gone(ends.append)
    return ref, ends


@pytest.mark.parametrize("way", Way, ids=lambda way: way.name)
@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
async def test_who_starts_again_when_a_child_ends(
    restart: Restart, way: Way, system: SystemUnderTest
) -> None:
    system.expect_crash("/calls/b")
    diary = Diary()
    supervisor, ends = await calls(system)
    for name in "abc":
        await supervisor.ask(StartChild(child(name, diary, restart)))
    victim = system.ref("/calls/b")
    victim.tell(End(way))
    await pause()
    back = restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and way not in NORMAL_WAYS)
    assert diary.lives == {"a": 1, "b": 2 if back else 1, "c": 1}
    assert victim.alive == back
    ids = [info.id for info in await supervisor.ask(WhichChildren())]
    assert ids == (["a", "b", "c"] if back else ["a", "c"])
    assert not ends


async def test_one_child_out_of_restarts_ends_alone(system: SystemUnderTest) -> None:
    system.expect_crash("/calls/*", Boom)
    diary = Diary()
    supervisor, ends = await calls(system, intensity=1, period=5.0)
    refs = {n: await supervisor.ask(StartChild(child(n, diary))) for n in "abcdef"}
    for ref in refs.values():
        ref.tell(End(Way.HANDLER))
    await system.settle()
    assert diary.lives == dict.fromkeys("abcdef", 2)
    refs["a"].tell(End(Way.HANDLER))
    waiting = refs["a"].ask(Life())
    await system.settle()
    assert not refs["a"].alive
    assert isinstance(waiting.error, ActorStopped)
    assert system.find("/calls/a") is None
    assert not ends
    assert [await refs[n].ask(Life()) for n in "bcdef"] == [2] * 5


async def test_or_takes_all_along_if_it_is_told_to(system: SystemUnderTest) -> None:
    system.expect_crash("/calls/*", Boom)
    diary = Diary()
    supervisor, ends = await calls(system, intensity=0, exhausted=Exhausted.ESCALATE)
    refs = [await supervisor.ask(StartChild(child(n, diary))) for n in "abc"]
    refs[1].tell(End(Way.HANDLER))
    await system.settle()
    assert [reason.how for reason in ends] == [How.SHUTDOWN]
    assert isinstance(ends[0].error, Boom)
    assert not any(ref.alive for ref in refs)


@pytest.mark.parametrize("exhausted", Exhausted, ids=lambda exhausted: exhausted.value)
async def test_escalate_fails_it_in_any_case(exhausted: Exhausted, system: SystemUnderTest) -> None:
    system.expect_crash("/calls/*", "Escalate")
    diary = Diary()
    supervisor, ends = await calls(system, intensity=10, exhausted=exhausted)
    await supervisor.ask(StartChild(child("a", diary)))
    b = await supervisor.ask(StartChild(child("b", diary)))
    b.tell(GiveUp())
    await system.settle()
    assert [reason.how for reason in ends] == [How.CRASHED]
    assert diary.take() == ["+a", "+b", "!b", "-a"]


async def test_more_than_max_children_are_refused(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await calls(system, max_children=2)
    for name in "ab":
        await supervisor.ask(StartChild(child(name, diary)))
    with pytest.raises(Refused, match="there already are 2 children, the limit"):
        await supervisor.ask(StartChild(child("c", diary)))
    await supervisor.ask(TerminateChild("a"))
    assert (await supervisor.ask(StartChild(child("c", diary)))).path == "/calls/c"


@pytest.mark.parametrize("where", ["__init__", "on_start"])
async def test_a_child_that_cannot_start_leaves_nothing_behind(
    where: str, system: SystemUnderTest
) -> None:
    system.expect_crash("/calls/b", Boom)
    diary = Diary()
    supervisor, ends = await calls(system, intensity=0, exhausted=Exhausted.ESCALATE)
    diary.failing[f"b {where}"] = 1
    with pytest.raises(StartFailed, match="/calls/b could not be started") as refused:
        await supervisor.ask(StartChild(child("b", diary)))
    assert isinstance(refused.value.__cause__, Boom)
    assert system.find("/calls/b") is None
    assert await supervisor.ask(WhichChildren()) == ()
    assert not ends


async def test_children_start_and_stop_side_by_side(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await calls(system)
    started = system.now
    specs = [slow_to_start(f"c{n}", diary, 1.0) for n in range(20)]
    replies = [supervisor.ask(StartChild(spec)) for spec in specs]
    for reply in replies:
        await reply
    assert system.now - started == pytest.approx(1.0)
    for name in "xyz":
        await supervisor.ask(StartChild(slow_to_stop(name, diary, 2.0)))
    started = system.now
    await system.stop("/calls")
    assert system.now - started == pytest.approx(2.0)


async def test_each_has_its_shutdown_time_when_all_are_stopped(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await calls(system)
    for name, seconds, shutdown in [
        ("quick", 0.5, 1.0),
        ("late", 9.0, 3.0),
        ("slow", 20.0, "infinity"),
        ("rude", 9.0, "brutal"),
    ]:
        await supervisor.ask(StartChild(slow_to_stop(name, diary, seconds, shutdown=shutdown)))
    started = system.now
    diary.take()
    await system.stop("/calls")
    assert system.now - started == pytest.approx(20.0)
    assert diary.take() == ["-quick", "-slow"]


async def test_a_thousand_children_stop_at_once(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await calls(system)
    for number in range(1000):
        await supervisor.ask(StartChild(child(f"c{number}", diary)))
    await system.stop("/calls")
    assert sum(line.startswith("-") for line in diary.lines) == 1000
    assert len(system._node.cells) == 1


async def test_a_restarted_dynamic_supervisor_begins_without_children(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/*")
    diary = Diary()
    inner = ChildSpec("calls", DynamicSupervisor)
    await system.spawn(Supervisor, [inner], path="/sup")
    calls = system.ref("/sup/calls")
    a = await calls.ask(StartChild(child("a", diary)))
    ends: list[ExitReason] = []
    a.on_gone(ends.append)
    asked = a.ask(Hang(), timeout=inf)
    b = await calls.ask(StartChild(child("b", diary)))
    b.tell(GiveUp())
    await pause(6.0)
    assert len(ends) == 1
    assert isinstance(asked.error, ActorStopped)
    assert await calls.ask(WhichChildren()) == ()
    assert not a.alive
    again = await calls.ask(StartChild(child("a", diary)))
    assert await again.ask(Life()) == 2
    assert system.ref("/sup/calls/a") == again


async def test_requests_by_hand(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await calls(system, intensity=0)
    a = await supervisor.ask(StartChild(child("a", diary, Restart.TEMPORARY)))
    for _ in range(5):
        await supervisor.ask(RestartChild("a"))
    assert await a.ask(Life()) == 6
    with pytest.raises(Refused, match="terminating it forgets it"):
        await supervisor.ask(DeleteChild("a"))
    with pytest.raises(Refused, match="there is no child 'x'"):
        await supervisor.ask(TerminateChild("x"))
    both = [supervisor.ask(TerminateChild("a")) for _ in range(2)]
    for reply in both:
        await reply
    assert not a.alive
    with pytest.raises(Refused, match="there is no child 'a'"):
        await supervisor.ask(RestartChild("a"))


async def test_a_child_told_to_stop_before_it_was_constructed_has_its_own_time(
    system: SystemUnderTest,
) -> None:
    """Start and stop in one breath: what it is, and so its time, is known only later."""
    diary = Diary()
    supervisor, _ = await calls(system)
    inner = ChildSpec("inner", partial(Supervisor, [slow_to_stop("a", diary, 4.0)] * 1))
    outer = ChildSpec("outer", partial(Supervisor, [inner, slow_to_stop("b", diary, 4.0)]))
    starting = supervisor.ask(StartChild(outer), timeout=inf)
    stopping = supervisor.ask(TerminateChild("outer"), timeout=inf)
    await stopping
    assert starting.done
    started = [line for line in diary.lines if line[0] == "+"]
    stopped = [line for line in diary.lines if line[0] == "-"]
    assert len(started) == len(stopped)


async def test_a_message_sent_with_the_start_is_the_first_it_handles(
    system: SystemUnderTest,
) -> None:
    """A ref is answered once the child runs; who knows the path can only find it then."""
    diary = Diary()
    supervisor, _ = await calls(system)
    reply = supervisor.ask(StartChild(slow_to_start("a", diary, 1.0)))
    await pause(0.5)
    early = system.ref("/calls/a").ask(Life())
    await reply
    assert await early == 1


async def test_mail_to_an_ended_child_is_a_dead_letter(system: SystemUnderTest) -> None:
    system.expect_dead_letters("/calls/a")
    diary = Diary()
    supervisor, _ = await calls(system)
    a = await supervisor.ask(StartChild(child("a", diary, Restart.TEMPORARY)))
    a.tell(End(Way.RETURNS))
    await system.settle()
    a.tell(End(Way.RETURNS))
    with pytest.raises(ActorStopped):
        await a.ask(Life())
    assert [letter.path for letter in system.dead_letters()] == ["/calls/a"]
    assert (await a.wait_gone()) != SHUTDOWN


@attrs.frozen
class Unknown(Request[None]):
    """Nobody handles it."""


async def find_early(system: SystemUnderTest) -> str:
    """Write to an actor as soon as its path is known; whether that was before it existed."""
    system.expect_dead_letters("/calls/*")
    supervisor, _ = await calls(system)
    reply = supervisor.ask(StartChild(child("a", Diary())))
    while system.find("/calls/a") is None:  # a checkpoint is a slice of the dispatcher
        await trio.lowlevel.checkpoint()
    early = system.ref("/calls/a")
    moment = "after" if early.accepts else "before"
    asked, refused = early.ask(Life()), early.ask(Unknown())
    if moment == "before":
        early.tell(Unknown())
    assert await reply == early
    assert await asked == 1
    with pytest.raises(NotAccepted):
        await refused
    assert len(system.dead_letters()) == (moment == "before")
    return moment


def test_an_actor_found_before_it_exists_takes_mail() -> None:
    """Its path is known once its start is decided, a moment before its class has a say."""
    assert {simulate(find_early, seed).result for seed in range(30)} == {"before", "after"}
