"""Who is restarted, as a table: strategy × restart type × way to end; and when it is too much."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from supervision import Restart, Strategy
from supervision.messages import How
from supervision.testing import SystemUnderTest
from tests.supervision.supervisor_kit import (
    NORMAL_WAYS,
    Boom,
    Diary,
    End,
    GiveUp,
    Life,
    Way,
    child,
    pause,
    supervise,
)

# How many of the siblings a, b, c are restarted when b is.
RESTARTED = {
    Strategy.ONE_FOR_ONE: {"b"},
    Strategy.REST_FOR_ONE: {"b", "c"},
    Strategy.ONE_FOR_ALL: {"a", "b", "c"},
}


def comes_back(restart: Restart, way: Way) -> bool:
    return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and way not in NORMAL_WAYS)


def group_restart(strategy: Strategy, restart: Restart, way: Way) -> list[str]:
    """What follows the end of b: who is stopped (-), then who is started (+)."""
    if not comes_back(restart, way):
        return []
    group = sorted(RESTARTED[strategy])
    return [*(f"-{n}" for n in reversed(group) if n != "b"), *(f"+{n}" for n in group)]


@pytest.mark.parametrize("way", Way, ids=lambda way: way.name)
@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
@pytest.mark.parametrize("strategy", Strategy, ids=lambda strategy: strategy.value)
async def test_who_starts_again_when_a_child_ends(
    strategy: Strategy, restart: Restart, way: Way, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/b")
    diary = Diary()
    specs = [child("a", diary), child("b", diary, restart), child("c", diary)]
    _, ends = await supervise(system, specs, strategy)
    victim = system.ref("/sup/b")
    victim.tell(End(way))
    await pause()
    back = comes_back(restart, way)
    again = RESTARTED[strategy] if back else set()
    assert diary.lives == {name: 2 if name in again else 1 for name in "abc"}
    assert victim.alive == back
    assert not ends
    for name, life in diary.lives.items():
        if name != "b" or back:
            assert await system.ref(f"/sup/{name}").ask(Life()) == life
    last = "!b" if way not in (*NORMAL_WAYS, Way.ON_STOP, Way.ASYNC_ON_STOP) else "-b"
    follows = group_restart(strategy, restart, way)
    assert diary.take() == ["+a", "+b", "+c", last, *follows]


def test_the_table_in_the_documents_says_the_same() -> None:
    document = Path(__file__).parents[2] / "docs" / "supervision.md"
    table = document.read_text(encoding="utf-8").partition("All three together, for b:")[2]
    rows = [line.split("|")[1:-1] for line in table.split("\n\n")[1].splitlines()[2:]]
    names = [(row[0].strip(), row[1].strip()) for row in rows]
    assert names == [
        (strategy.value if restart is Restart.PERMANENT else "", restart.value)
        for strategy in RESTARTED
        for restart in Restart
    ]
    kinds = itertools.product(RESTARTED, Restart)
    for (strategy, restart), (_, _, normal, crashed, escalated) in zip(kinds, rows, strict=True):
        for cell, way in [(normal, Way.RETURNS), (crashed, Way.HANDLER)]:
            done = [word for word in cell.replace("−", "-").split() if word[0] in "+-"]
            assert done == group_restart(strategy, restart, way), (strategy, restart, way)
        assert escalated.strip() == "−c −a, the supervisor fails"


@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
@pytest.mark.parametrize("strategy", Strategy, ids=lambda strategy: strategy.value)
async def test_escalate_ends_the_supervisor_whatever_the_child_is(
    strategy: Strategy, restart: Restart, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/b", "Escalate")
    diary = Diary()
    specs = [child("a", diary), child("b", diary, restart), child("c", diary)]
    _, ends = await supervise(system, specs, strategy, intensity=100)
    system.ref("/sup/b").tell(GiveUp())
    await pause()
    assert diary.take() == ["+a", "+b", "+c", "!b", "-c", "-a"]
    assert [reason.how for reason in ends] == [How.CRASHED]
    assert type(ends[0].error).__name__ == "Escalate"


@pytest.mark.parametrize("strategy", Strategy, ids=lambda strategy: strategy.value)
@pytest.mark.parametrize("intensity", [0, 1, 3])
async def test_so_many_restarts_are_forgiven_and_one_more_is_not(
    intensity: int, strategy: Strategy, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    specs = [child("a", diary), child("b", diary), child("c", diary)]
    _, ends = await supervise(system, specs, strategy, intensity=intensity, period=5.0)
    victim = system.ref("/sup/b")
    for _ in range(intensity):
        victim.tell(End(Way.HANDLER))
        await system.settle()
    assert not ends
    assert await victim.ask(Life()) == intensity + 1
    diary.take()
    victim.tell(End(Way.HANDLER))
    await system.settle()
    assert diary.take() == ["!b", "-c", "-a"]
    assert [reason.how for reason in ends] == [How.SHUTDOWN]  # as in OTP
    assert isinstance(ends[0].error, Boom)
    assert ends[0].report == system.crashes()[-1].id


async def test_restarts_are_forgotten_after_the_period(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    _, ends = await supervise(system, [child("b", diary)], intensity=1, period=5.0)
    victim = system.ref("/sup/b")
    for _ in range(10):
        victim.tell(End(Way.TASK))
        await pause(5.01)
    assert not ends
    assert diary.lives == {"b": 11}
    victim.tell(End(Way.TASK))
    await pause(5.0)  # still within the period, bounds included
    victim.tell(End(Way.TASK))
    await pause(0.2)
    assert [reason.how for reason in ends] == [How.SHUTDOWN]


async def test_restarts_of_all_children_count_together(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    _, ends = await supervise(system, [child(n, diary) for n in "abc"], intensity=2)
    for name in "abc":
        assert not ends
        system.ref(f"/sup/{name}").tell(End(Way.HANDLER))
        await system.settle()
    assert ends


@pytest.mark.parametrize("where", ["__init__", "on_start"])
@pytest.mark.parametrize("strategy", Strategy, ids=lambda strategy: strategy.value)
async def test_a_failing_restart_is_tried_again_and_counts(
    strategy: Strategy, where: str, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    specs = [child("a", diary), child("b", diary), child("c", diary)]
    _, ends = await supervise(system, specs, strategy, intensity=3)
    victim = system.ref("/sup/b")
    diary.failing[f"b {where}"] = 2  # with the crash itself exactly the three that are forgiven
    victim.tell(End(Way.HANDLER))
    await system.settle()
    assert not ends
    assert await victim.ask(Life()) == 4
    for name in "ac":
        assert system.ref(f"/sup/{name}").alive


@pytest.mark.parametrize("where", ["__init__", "on_start"])
@pytest.mark.parametrize("strategy", Strategy, ids=lambda strategy: strategy.value)
async def test_a_restart_that_fails_once_too_often_ends_the_supervisor(
    strategy: Strategy, where: str, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    specs = [child("a", diary), child("b", diary), child("c", diary)]
    _, ends = await supervise(system, specs, strategy, intensity=3)
    diary.failing[f"b {where}"] = 3
    system.ref("/sup/b").tell(End(Way.HANDLER))
    await system.settle()
    assert [reason.how for reason in ends] == [How.SHUTDOWN]
    assert diary.lives["b"] == 4


async def test_a_sibling_that_cannot_be_restarted_is_the_next_to_be_tried(
    system: SystemUnderTest,
) -> None:
    """As in OTP: rest_for_one goes on from the one whose start failed, not from the crashed one."""
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child(name, diary) for name in "abcd"]
    _, ends = await supervise(system, specs, Strategy.REST_FOR_ONE, intensity=3)
    diary.take()
    diary.failing["c on_start"] = 1
    system.ref("/sup/b").tell(End(Way.HANDLER))
    await system.settle()
    assert not ends
    assert diary.take() == ["!b", "-d", "-c", "+b", "+c", "+d"]
    assert diary.lives == {"a": 1, "b": 2, "c": 3, "d": 2}
