"""The test kit: what fails a test, what a probe sees, and that it gets on with other plugins.

Whole test runs go on in pytest processes of their own: what they are about is how pytest ends.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from supervision import Actor, Refuse, Refused, Request, handles
from supervision.events import ActorStarted
from supervision.testing import (
    SystemUnderTest,
    Unexpected,
    simulate,
    system_under_test,
)

ACTORS = """
import attrs, pytest, threading, time, trio
from supervision import Actor, ActorCrashed, Mailbox, Request, Restart, handles

@attrs.frozen
class Crash(Request[int]):
    text: str = "planned"

@attrs.frozen
class Note:
    value: int = 0

class Fragile(Actor):
    @handles
    def crash(self, message: Crash) -> int:
        raise ValueError(message.text)

    @handles
    def note(self, message: Note) -> None:
        pass

class Clumsy(Fragile):
    def on_stop(self):
        raise OSError("in on_stop")

class Ticking(Fragile):
    def on_start(self):
        self.send_every(1.0, Note())
"""

OUTCOMES = """
async def test_passes_if_nothing_happened(system):
    ref = await system.spawn(Fragile)
    ref.tell(Note())

async def test_fails_on_an_unexpected_crash(system):
    (await system.spawn(Fragile, path="/fragile")).tell(Crash())
    await system.settle()

async def test_passes_on_an_expected_crash(system):
    system.expect_crash("/frag*", ValueError)
    (await system.spawn(Fragile, path="/fragile")).tell(Crash())
    await system.settle()

async def test_passes_on_a_crash_that_is_expected_afterwards(system):
    (await system.spawn(Fragile, path="/fragile")).tell(Crash())
    await system.settle()
    system.expect_crash()

async def test_fails_on_a_crash_of_another_kind(system):
    system.expect_crash("/fragile", OSError)
    (await system.spawn(Fragile, path="/fragile")).tell(Crash())
    await system.settle()

async def test_fails_on_a_crash_of_another_actor(system):
    system.expect_crash("/other")
    (await system.spawn(Fragile, path="/fragile")).tell(Crash())
    await system.settle()

async def test_fails_on_a_crash_while_the_system_stops(system):
    await system.spawn(Clumsy)

async def test_passes_on_an_expected_crash_while_the_system_stops(system):
    system.expect_crash(error=OSError)
    await system.spawn(Clumsy)

async def test_fails_on_an_unexpected_dead_letter(system):
    ref = await system.spawn(Fragile, path="/fragile")
    await system.stop("/fragile")
    ref.tell(Note())

async def test_passes_on_an_expected_dead_letter(system):
    system.expect_dead_letters("/fragile")
    ref = await system.spawn(Fragile, path="/fragile")
    await system.stop("/fragile")
    ref.tell(Note())

async def test_passes_with_mail_that_waits_when_the_test_is_over(system):
    ref = await system.spawn(Fragile, path="/fragile")
    system.suspend("/fragile")
    ref.tell(Note())

async def test_passes_with_timers_of_actors_that_live(system):
    await system.spawn(Ticking)
    await trio.sleep(10)

async def test_fails_on_a_thread_that_outlives_it(system):
    threading.Thread(target=time.sleep, args=(0.5,), name="left behind").start()

async def test_passes_on_an_expected_leak(system):
    system.expect_leak("thread left*")
    threading.Thread(target=time.sleep, args=(0.5,), name="left behind too").start()

async def test_passes_with_idle_threads_of_trio(system):
    await trio.to_thread.run_sync(time.sleep, 0)

async def test_fails_on_a_timer_that_outlives_it(system):
    system._node.timers.call_at(1000.0, print)

async def test_fails_as_it_is_and_tells_the_crash(system):
    ref = await system.spawn(Fragile, path="/fragile")
    with pytest.raises(ActorCrashed):
        await ref.ask(Crash())
    assert False, "of its own"

async def test_passes_without_taking_real_time(system):
    await trio.sleep(3600)
    assert system.now == 3600

async def test_passes_on_a_clock_that_the_test_brings(system, autojump_clock):
    await trio.sleep(3600)
    assert system.now == 3600 == autojump_clock.current_time()

@pytest.fixture
async def fragile(system):
    return await system.spawn(Fragile, path="/fragile")

async def test_passes_with_async_fixtures_that_use_it(fragile, system):
    assert system.ref("/fragile") is fragile

@pytest.mark.parametrize("number", [1, 2])
async def test_passes_with_parameters(system, number):
    await system.spawn(Fragile)

class TestMethods:
    async def test_passes_as_a_method(self, system):
        await system.spawn(Fragile)
"""

BESIDE_ANYIO = """
import anyio

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.mark.anyio
async def test_passes_under_anyio(anyio_backend):
    await anyio.sleep(0)

async def test_passes_with_system(system):
    assert await (await system.probe()).ref.ask(Crash()) is None

async def test_fails_with_system(system):
    (await system.spawn(Fragile)).tell(Crash())
    await system.settle()

def test_passes_without_any_loop():
    pass
"""


@attrs.frozen
class Run:
    """How a run of pytest ended."""

    outcomes: dict[str, str]
    output: str


def run_pytest(folder: Path, body: str, *, ini: str = "", options: tuple[str, ...] = ()) -> Run:
    (folder / "test_inner.py").write_text(ACTORS + body)
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--tb=short"),
            *("-p", "no:hypothesispytest", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    outcomes: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("test_inner.py::") and rest:
            outcomes[name.rpartition("::")[2]] = rest.split()[0]
    return Run(outcomes, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    ini = "trio_mode = true\nfilterwarnings = error"
    return run_pytest(tmp_path_factory.mktemp("outcomes"), OUTCOMES, ini=ini)


def names(word: str) -> list[str]:
    lines = [line.strip() for line in OUTCOMES.splitlines()]
    found = [line.split("test_")[1].split("(")[0] for line in lines if " test_" in line]
    return [name for name in found if name.startswith(word)]


@pytest.mark.parametrize("name", names("passes"))
def test_a_test(outcomes: Run, name: str) -> None:
    ends = [end for inner, end in outcomes.outcomes.items() if f"test_{name}" in inner]
    assert ends, outcomes.output
    assert set(ends) == {"PASSED"}, outcomes.output


@pytest.mark.parametrize("name", names("fails"))
def test_a_test_that(outcomes: Run, name: str) -> None:
    assert outcomes.outcomes[f"test_{name}"] == "FAILED", outcomes.output


def test_there_are_tests_that_pass_and_tests_that_fail(outcomes: Run) -> None:
    assert len(names("passes")) > 10
    assert len(names("fails")) > 7
    assert len(outcomes.outcomes) == len(names("passes")) + len(names("fails")) + 1


@pytest.mark.parametrize(
    "line",
    [
        "/fragile crashed (crash-1, handler): ValueError: planned",
        "/clumsy-1 crashed (crash-1, on_stop): OSError: in on_stop",
        "dead letter: Note to /fragile (stopped)",
        "thread left behind",
        "1 timers",
        "the test did not expect this (`system.expect_crash(...)` and its kin do)",
        "AssertionError: of its own",
    ],
)
def test_a_failure_says_what_happened(outcomes: Run, line: str) -> None:
    assert line in outcomes.output


@pytest.mark.parametrize("trio_mode", ["false", "true"])
def test_it_works_beside_the_plugin_of_anyio(tmp_path: Path, trio_mode: str) -> None:
    body = BESIDE_ANYIO
    if trio_mode == "true":  # then pytest-trio takes all async tests, anyio's too: not ours to say
        body = body.replace("async def test_passes_under_anyio", "async def not_a_test")
    done = run_pytest(tmp_path, body, ini=f"trio_mode = {trio_mode}\nmarkers = anyio")
    for name, end in done.outcomes.items():
        assert end == ("PASSED" if name.startswith("test_passes") else "FAILED"), done.output
    assert len(done.outcomes) == (5 if trio_mode == "false" else 3)


def test_without_pytest_trio_the_fixture_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "pytest_trio.py").write_text("raise ImportError('hidden by the test')")
    body = "def test_needs_it(system): pass\ndef test_passes_without_it(): pass\n"
    done = run_pytest(tmp_path, body, options=("-p", "no:trio"))
    assert done.outcomes == {"test_needs_it": "ERROR", "test_passes_without_it": "PASSED"}
    assert "pip install 'troupe[testing]'" in done.output


# -- probes -------------------------------------------------------------------------------------


@attrs.frozen
class Note:
    value: int = 0


class Other:
    pass


class Value(Request[int]):
    pass


async def test_a_probe_sees_messages_in_order_and_each_once(system: SystemUnderTest) -> None:
    probe = await system.probe(Note)
    for number in range(3):
        probe.ref.tell(Note(number))
    assert [(await probe.expect(Note)).value for _ in range(3)] == [0, 1, 2]
    await probe.expect_nothing()
    assert probe.received == [Note(0), Note(1), Note(2)]


async def test_a_probe_waits_for_what_it_expects_on_virtual_time(system: SystemUnderTest) -> None:
    probe = await system.probe(Note)

    async def tell_later() -> None:
        await trio.sleep(5)
        probe.ref.tell(Note(1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell_later)
        with pytest.raises(AssertionError, match="no Note within 2 s; nothing came"):
            await probe.expect(Note, within=2)
        assert (await probe.expect(Note, within=10)).value == 1
    assert system.now == 5


async def test_a_probe_says_what_came_instead(system: SystemUnderTest) -> None:
    probe = await system.probe()
    probe.ref.tell(Note(7))
    with pytest.raises(AssertionError, match=r"expected a Other, but Note\(value=7\) came"):
        await probe.expect(Other)
    probe.ref.tell(Note(8))
    with pytest.raises(AssertionError, match=r"expected nothing for 1 s, but Note\(value=8\) came"):
        await probe.expect_nothing()


async def test_a_probe_answers_as_told(system: SystemUnderTest) -> None:
    def refuse(_request: Value) -> int:
        raise Refuse("no")

    probe = await system.probe()
    assert await probe.ref.ask(Value()) is None
    probe.answer(Value, 7)
    assert await probe.ref.ask(Value()) == 7
    probe.answer(Value, lambda request: len(probe.received))
    assert await probe.ref.ask(Value()) == 3
    probe.answer(Value, refuse)
    with pytest.raises(Refused):
        await probe.ref.ask(Value())


async def test_a_probe_accepts_what_it_was_made_for(system: SystemUnderTest) -> None:
    typed, open_ = await system.probe(Note, path="/typed"), await system.probe()
    assert typed.ref.path == "/typed"
    assert typed.ref.accepts == (Note,)
    open_.ref.tell("anything")
    with pytest.raises(Exception, match="/typed does not accept Other; it accepts Note"):
        typed.ref.tell(Other())


# -- the context manager, without pytest ----------------------------------------------------------


class Fragile(Actor[Any]):
    @handles
    def note(self, message: Note) -> None:
        raise ValueError(message.value)


def test_the_kit_works_without_the_fixture() -> None:
    async def main() -> None:
        async with system_under_test() as system:
            (await system.spawn(Fragile, path="/fragile")).tell(Note(3))
            await trio.sleep(1)

    with pytest.raises(Unexpected, match=r"/fragile crashed \(crash-1, handler\): ValueError: 3"):
        trio.run(main, clock=MockClock(autojump_threshold=0))


def test_an_error_of_the_test_comes_first_with_the_crashes_as_notes() -> None:
    async def main() -> None:
        async with system_under_test() as system:
            (await system.spawn(Fragile, path="/fragile")).tell(Note(3))
            await trio.sleep(1)
            raise KeyError("of its own")

    with pytest.raises(KeyError) as raised:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert raised.value.__notes__[0].startswith("unexpected meanwhile: /fragile crashed")


def test_nothing_is_lost_between_the_start_and_the_first_look() -> None:
    """Events of the very first actors are seen by the account as well."""

    class Crashing(Actor[Any]):
        def on_start(self) -> None:
            raise ValueError("at once")

    async def main() -> None:
        async with system_under_test() as system:
            with system.events.subscribe(ActorStarted) as started:
                with pytest.raises(Refused):
                    await system.spawn(Crashing)
                assert len(started) == 0

    with pytest.raises(Unexpected, match="at once"):
        trio.run(main, clock=MockClock(autojump_threshold=0))


def test_simulate_is_as_strict_as_the_fixture_unless_told_otherwise() -> None:
    async def scenario(system: SystemUnderTest) -> str:
        (await system.spawn(Fragile, path="/fragile")).tell(Note(3))
        await trio.sleep(1)
        return "done"

    with pytest.raises(Unexpected):
        simulate(scenario, 0)
    assert simulate(scenario, 0, strict=False).result == "done"


def test_virtual_time_stands_still_while_anything_can_run() -> None:
    async def scenario(system: SystemUnderTest) -> list[float]:
        probe = await system.probe(Note)
        times: list[float] = []
        for _ in range(100):
            probe.ref.tell(Note())
            await probe.expect(Note, within=math.inf)
            times.append(system.now)
        return times

    assert simulate(scenario, 1).result == [0.0] * 100
