"""Back-off: a restart waits, does not count, grows, and is forgiven after a quiet time."""

from __future__ import annotations

import random
from typing import Any

import pytest

from supervision import ActorRef, ChildSpec, Restart, Strategy, Supervisor
from supervision.messages import ExitReason, How
from supervision.resilience import Backoff
from supervision.supervisor import DeleteChild, RestartChild, WhichChildren
from supervision.testing import SystemUnderTest
from tests.supervision import supervisor_kit
from tests.supervision.supervisor_kit import (
    Boom,
    Diary,
    End,
    Life,
    Way,
    child,
    pause,
)


class FullDelay(random.Random):
    """Jitter that always draws the longest delay, so that tests can tell the time."""

    def uniform(self, a: float, b: float) -> float:
        return b


BACKOFF = Backoff(base=1.0, factor=2.0, maximum=8.0, quiet=60.0)


async def supervise(
    system: SystemUnderTest, *args: Any, **kwargs: Any
) -> tuple[ActorRef[Any], list[ExitReason]]:
    """A supervisor without jitter."""
    system._node.rng = FullDelay()
    system.expect_crash("/sup*", Boom)
    return await supervisor_kit.supervise(system, *args, **kwargs)


async def crash(system: SystemUnderTest, name: str = "b") -> None:
    system.ref(f"/sup/{name}").tell(End(Way.HANDLER))
    await system.settle()


async def test_restarts_wait_longer_and_longer_up_to_the_maximum(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("b", diary, backoff=BACKOFF)])
    for delay in [1.0, 2.0, 4.0, 8.0, 8.0]:
        lives = diary.lives["b"]
        system.ref("/sup/b").tell(End(Way.TASK))  # takes 0.1 s to crash
        await pause(0.1)
        await pause(delay - 0.01)
        assert diary.lives["b"] == lives
        await pause(0.02)
        assert diary.lives["b"] == lives + 1


async def test_a_quiet_time_forgives_all_failures(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("b", diary, backoff=BACKOFF)])
    for _ in range(3):
        await crash(system)
        await pause(10.0)
    assert diary.lives["b"] == 4  # the next would wait 8 s
    await pause(60.0)
    await crash(system)
    await pause(1.0)
    assert diary.lives["b"] == 5


async def test_failing_to_start_is_not_quiet_however_long_it_takes(system: SystemUnderTest) -> None:
    backoff = Backoff(base=1.0, factor=10.0, maximum=1000.0, quiet=5.0)
    diary = Diary()
    await supervise(system, [child("b", diary, backoff=backoff)])
    diary.failing["b on_start"] = 2
    await crash(system)
    await pause(1.0)
    assert diary.lives["b"] == 2
    await pause(10.0)  # the wait itself is longer than `quiet`
    assert diary.lives["b"] == 3
    await pause(99.0)
    assert diary.lives["b"] == 3
    await pause(1.0)
    assert diary.lives["b"] == 4


async def test_a_restart_that_waited_does_not_count(system: SystemUnderTest) -> None:
    """An outage of a provider must not climb the tree."""
    diary = Diary()
    backoff = Backoff(base=0.01, factor=1.0, maximum=0.01)
    specs = [child("a", diary), child("b", diary, backoff=backoff)]
    _, ends = await supervise(system, specs, intensity=1, period=1000.0)
    for _ in range(4):  # four of one kind; the fifth is poison
        await crash(system)
        await pause(0.01)
    diary.failing["b on_start"] = 100
    await crash(system)
    await pause(10.0)
    assert not ends
    assert diary.lives["b"] == 106
    await crash(system, "a")
    assert not ends  # the one that is forgiven
    await crash(system, "a")
    assert [reason.how for reason in ends] == [How.SHUTDOWN]


async def test_a_back_off_of_nothing_is_no_wait_and_counts(system: SystemUnderTest) -> None:
    diary = Diary()
    backoff = Backoff(base=0.0)
    _, ends = await supervise(system, [child("b", diary, backoff=backoff)], intensity=2)
    await crash(system)
    await crash(system)
    assert not ends
    await crash(system)
    assert ends


async def test_mail_waits_while_a_restart_does(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("b", diary, backoff=BACKOFF)])
    await crash(system)
    answer = system.ref("/sup/b").ask(Life())
    await pause(0.9)
    assert not answer.done
    assert await answer == 2


@pytest.mark.parametrize("strategy", [Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL])
async def test_siblings_are_stopped_at_once_and_started_with_the_one_that_waits(
    strategy: Strategy, system: SystemUnderTest
) -> None:
    diary = Diary()
    specs = [child("a", diary), child("b", diary, backoff=BACKOFF), child("c", diary)]
    await supervise(system, specs, strategy)
    diary.take()
    await crash(system)
    others = "c" if strategy is Strategy.REST_FOR_ONE else "ca"
    assert diary.take() == ["!b", *(f"-{name}" for name in others)]
    await pause(0.9)
    assert diary.take() == []
    await pause(0.1)
    assert diary.take() == [f"+{name}" for name in sorted("b" + others)]


async def test_a_sibling_that_restarts_the_group_ends_the_wait(system: SystemUnderTest) -> None:
    diary = Diary()
    specs = [child("a", diary), child("b", diary, backoff=BACKOFF)]
    await supervise(system, specs, Strategy.REST_FOR_ONE)
    await crash(system)
    await crash(system, "a")
    assert diary.lives == {"a": 2, "b": 2}
    await pause(100.0)
    assert diary.lives == {"a": 2, "b": 2}


async def test_each_child_backs_off_on_its_own(system: SystemUnderTest) -> None:
    diary = Diary()
    slow = Backoff(base=3.0)
    specs = [child("a", diary, backoff=slow), child("b", diary, backoff=BACKOFF)]
    await supervise(system, specs)
    await crash(system, "a")
    await crash(system, "b")
    diary.take()
    await pause(1.0)
    assert diary.take() == ["+b"]
    await pause(2.0)
    assert diary.take() == ["+a"]


async def test_a_child_that_waits_can_be_stopped(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("a", diary), child("b", diary, backoff=BACKOFF)])
    await crash(system)
    waiting = system.ref("/sup/b")
    asked = waiting.ask(Life())
    await system.stop("/sup/b")
    assert asked.done  # and failed: see test_supervisor_requests
    assert not waiting.alive
    await pause(10.0)
    assert diary.lives["b"] == 1


async def test_a_child_that_waits_can_be_restarted_now(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("b", diary, backoff=BACKOFF)])
    await crash(system)
    await system.ref("/sup").ask(RestartChild("b"))
    assert diary.lives["b"] == 2
    await pause(10.0)
    assert diary.lives["b"] == 2


async def test_a_child_that_waits_is_not_deleted(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await supervise(system, [child("b", diary, backoff=BACKOFF)])
    await crash(system)
    refused = supervisor.ask(DeleteChild("b"))
    await system.settle()
    assert "terminate it first" in str(refused.error)
    (info,) = await supervisor.ask(WhichChildren())
    assert (info.running, info.restarts) == (False, 1)


async def test_a_supervisor_stops_while_a_child_waits(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("a", diary), child("b", diary, backoff=BACKOFF)])
    await crash(system)
    diary.take()
    await system.stop("/sup")
    assert diary.take() == ["-a"]
    await pause(10.0)
    assert diary.lives["b"] == 1


async def test_a_supervisor_can_be_backed_off_too(system: SystemUnderTest) -> None:
    diary = Diary()
    inner = ChildSpec(
        "inner", lambda: Supervisor([child("b", diary)], intensity=0), backoff=BACKOFF
    )
    _, ends = await supervise(system, [inner], intensity=0)
    ref = system.ref("/sup/inner/b")
    ref.tell(End(Way.HANDLER))
    await pause(0.9)
    assert diary.lives["b"] == 1
    assert await ref.ask(Life()) == 2
    assert not ends


async def test_a_transient_child_backs_off_only_from_faults(system: SystemUnderTest) -> None:
    diary = Diary()
    spec = child("b", diary, Restart.TRANSIENT, backoff=BACKOFF)
    await supervise(system, [spec])
    await crash(system)
    await pause(1.0)
    system.ref("/sup/b").tell(End(Way.RETURNS))
    await pause(10.0)
    assert diary.lives["b"] == 2
    assert system.find("/sup/b") is None
