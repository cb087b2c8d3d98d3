"""Rows 26 and 27: calls that are over leave nothing behind. A hundred; a thousand in a soak."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio

from actors.call.session import HangUp
from actors.machines.profiles import FloorConfig
from actors.testing import say
from supervision.testing import SystemUnderTest
from tests.conftest import SOAK
from tests.live.caller import caller
from tests.live.nodes import Rig, rig

CALLS = 1000 if SOAK else 100
WARM = 50
"""Calls after which everything that is kept for reuse is there."""
AT_ONCE = 10
MEGABYTES = 5.0
"""V6, for a thousand calls. A hundred may need as much: rings of bounded size fill up meanwhile."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts by /proc")


@attrs.frozen
class Census:
    """What there is of everything that a call might leave behind."""

    tasks: int
    descriptors: int
    threads: int
    actors: frozenset[str]
    timers: int

    @classmethod
    def of(cls, system: SystemUnderTest) -> Census:
        return cls(
            trio.lowlevel.current_statistics().tasks_living,
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            frozenset(system._node.cells),
            len(system._node.timers),
        )


def megabytes() -> float:
    """Resident memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def one_call(node: Rig, number: int) -> None:
    """Short, and over in one of the ways in which calls are over."""
    async with caller(node.media) as person:
        await person.wait(lambda: person.audible_until() > 0, "a sound")
        match number % 4:
            case 0:  # hangs up in mid-speech
                return
            case 1:  # interrupts, and leaves
                person.say(say("hello"))
                await person.wait(lambda: person.cleared_at, "silence")
            case 2:  # is lost, and never comes back
                person.cut()
            case 3:  # is hung up on
                node.system.ref(f"/calls/{person.call}/call").tell(HangUp("enough"))
                await person.wait(lambda: person.ended, "goodbye")


async def calls(node: Rig, count: int) -> None:
    """So many, some at the same time."""
    numbers = iter(range(count))

    async def caller_after_caller() -> None:
        for number in numbers:
            await one_call(node, number)
            if number % 50 == 0:
                forget(node)
                gc.collect()  # calls are cycles; a collection that is due is no growth

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(caller_after_caller)


def forget(node: Rig) -> None:
    """What the test kit keeps, to be looked at by tests: who asked the model, and dead letters."""
    node.calls.llm.asked.clear()
    node.system._letters.clear()


async def settled(still: Callable[[], bool]) -> None:
    with trio.move_on_after(5.0):
        while still():  # noqa: ASYNC110, it ends by itself
            await trio.sleep(0.05)


async def census(count: int) -> tuple[Census, Census, float]:
    """What there is before and after so many calls, and the megabytes in between."""
    floor = FloorConfig(leg_away_max=1.0)
    async with rig(lambda _request: "one two three four five six", floor=floor) as node:
        node.system.expect_dead_letters("*")  # what was on its way to a call that is over
        await calls(node, WARM)
        await settled(lambda: any("/calls/c-" in path for path in node.system._node.cells))
        forget(node)
        before, memory = Census.of(node.system), megabytes()
        await calls(node, count)
        await settled(lambda: Census.of(node.system) != before)
        forget(node)
        return before, Census.of(node.system), megabytes() - memory


def test_rows_26_and_27_calls_that_are_over_leave_nothing_behind() -> None:
    """RC, in a process of its own: what pytest and other tests keep is not the product's."""
    code = (
        "import trio; from tests.live.test_leaks import census; "
        f"before, after, grown = trio.run(census, {CALLS}); "
        "assert after == before, (before, after); print(grown)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100.0,
    )
    assert done.returncode == 0, done.stderr
    grown = float(done.stdout)
    print(f"{CALLS} calls: {grown:+.2f} MB")  # noqa: T201
    assert grown < MEGABYTES
