"""The watchdog: what holds the loop is seen, named, and told, even while it does.

These run in real time: a thread watches, and threads know no virtual clock.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Actor,
    Request,
    SupervisionConfig,
    SupervisionError,
    System,
    handles,
    open_system,
)
from supervision.events import HandlerOverrun
from supervision.watchdog import Liveness, MessageAges


@attrs.frozen
class Hold(Request[None]):
    """Hold the loop for so long."""

    seconds: float


@attrs.frozen
class HoldInTask(Request[None]):
    seconds: float


@attrs.frozen
class HoldAsync(Request[None]):
    seconds: float


def computes(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class Greedy(Actor[Hold | HoldInTask | HoldAsync]):
    @handles
    def on_hold(self, message: Hold) -> None:
        computes(message.seconds)

    @handles
    async def on_hold_async(self, message: HoldAsync) -> None:
        await trio.lowlevel.checkpoint()
        computes(message.seconds)

    @handles
    def on_hold_in_task(self, message: HoldInTask) -> None:
        async def hold() -> None:
            computes(message.seconds)
            promise.resolve(None)

        promise = self.defer()
        self.start_task(hold)


def is_live(system: System) -> bool:
    return system.live


def meanwhile(do: Callable[[], Any], after: float) -> tuple[threading.Thread, list[Any]]:
    """Do something on another thread, some time from now."""
    found: list[Any] = []

    def run() -> None:
        time.sleep(after)
        found.append(do())

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


async def looked_at_while(system: System, request: Request[None], after: float) -> Liveness:
    greedy = system.find("/greedy") or await system.spawn(Greedy, path="/greedy")
    thread, found = meanwhile(system.liveness, after)
    await greedy.ask(request)
    thread.join()
    liveness: Liveness = found[0]
    return liveness


# -- overruns -----------------------------------------------------------------------------


async def test_a_handler_over_its_budget_is_published_with_its_stack() -> None:
    async with open_system() as system:
        with system.events.subscribe(HandlerOverrun) as overruns:
            greedy = await system.spawn(Greedy, path="/greedy")
            await greedy.ask(Hold(0.2))
            with trio.fail_after(5):
                overrun = await anext(overruns)
        assert (overrun.path, overrun.message_type) == ("/greedy", "Hold")
        assert 0.1 < overrun.seconds < 2
        assert overrun.stack.rstrip().splitlines()[-2].endswith("in computes")
        assert "on_hold" in overrun.stack
        assert overrun.at <= system.now


async def test_many_short_handlers_in_a_row_are_no_overrun() -> None:
    async with open_system(SupervisionConfig(handler_budget_ms=150)) as system:
        with system.events.subscribe(HandlerOverrun) as overruns:
            greedy = await system.spawn(Greedy, path="/greedy")
            for _ in range(80):
                greedy.tell(Hold(0.005))
            await greedy.ask(Hold(0))
            await trio.sleep(0.1)
            assert len(overruns) == 0


async def test_one_overrun_is_one_event() -> None:
    async with open_system() as system:
        with system.events.subscribe(HandlerOverrun) as overruns:
            greedy = await system.spawn(Greedy, path="/greedy")
            await greedy.ask(Hold(0.3))
            await greedy.ask(Hold(0.3))
            await trio.sleep(0.1)
            assert len(overruns) == 2


# -- is it live? --------------------------------------------------------------------------

CONFIG = SupervisionConfig(not_live_after=0.2)


@pytest.mark.parametrize("request_type", [Hold, HoldInTask, HoldAsync])
async def test_a_node_whose_loop_is_held_says_so_and_by_whom(
    request_type: Callable[[float], Request[None]],
) -> None:
    async with open_system(CONFIG) as system:
        await trio.sleep(0.1)
        assert is_live(system)
        seen = await looked_at_while(system, request_type(1.0), after=0.8)
        assert not seen.live
        assert (seen.path, seen.message_type) == ("/greedy", request_type(0).__class__.__name__)
        assert 0.2 < seen.since < 2
        assert "in computes" in seen.stack
        with trio.fail_after(5):
            while not is_live(system):  # noqa: ASYNC110  a thread notices
                await trio.sleep(0.01)


async def test_what_is_no_actor_s_holds_the_loop_without_a_name() -> None:
    async with open_system(CONFIG) as system:
        thread, found = meanwhile(system.liveness, after=0.6)
        await trio.sleep(0.05)
        computes(0.9)
        thread.join()
        assert (found[0].live, found[0].path, found[0].message_type) == (False, "", "")
        assert "in computes" in found[0].stack


async def test_a_short_hold_and_a_quiet_loop_are_live() -> None:
    async with open_system(SupervisionConfig(not_live_after=5)) as system:
        assert (await looked_at_while(system, Hold(0.4), after=0.2)).live
        await trio.sleep(0.3)
        thread, found = meanwhile(system.liveness, after=0)
        await trio.sleep(0.1)
        thread.join()
        assert found[0].live
        assert (found[0].path, found[0].message_id) == ("", 0)


async def test_the_watchdog_ends_with_its_node() -> None:
    async with open_system() as system:
        assert "troupe watchdog" in {thread.name for thread in threading.enumerate()}
        assert is_live(system)
    assert "troupe watchdog" not in {thread.name for thread in threading.enumerate()}
    assert not is_live(system)
    with pytest.raises(RuntimeError, match="no watchdog"):
        system.liveness()


@pytest.mark.parametrize("options", [{"watchdog": False}, {"inline": True}])
async def test_a_node_can_do_without(options: dict[str, bool]) -> None:
    async with open_system(**options) as system:  # type: ignore[arg-type]
        assert "troupe watchdog" not in {thread.name for thread in threading.enumerate()}
        assert is_live(system)
        with pytest.raises(RuntimeError, match="no watchdog"):
            system.liveness()
        await system.spawn(Greedy, path="/greedy")
        assert system.tree("/greedy").oldest_wait == 0


async def test_nodes_come_and_go_quickly() -> None:
    begun = time.perf_counter()
    for _ in range(50):
        async with open_system():
            pass
    assert time.perf_counter() - begun < 2.5  # no end waits for a look


# -- the socket ---------------------------------------------------------------------------


def ask_socket(path: Path) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(str(path))
        data = b""
        while more := client.recv(65536):
            data += more
    told: dict[str, Any] = json.loads(data)
    return told


def is_there(path: Path) -> bool:
    return path.exists()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def text_of(path: Path) -> str:
    return path.read_text()


def replace(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "stack"  # addresses are short


async def test_the_socket_answers_even_while_the_loop_is_stuck(path: Path) -> None:
    config = SupervisionConfig(not_live_after=0.2, stack_socket=str(path))
    async with open_system(config, name="held") as system:
        assert mode_of(path) == 0o600
        greedy = await system.spawn(Greedy, path="/greedy")
        thread, found = meanwhile(lambda: ask_socket(path), after=0.6)
        await greedy.ask(Hold(1.0))
        thread.join()
        (told,) = found
        assert (told["node"], told["pid"], told["live"]) == ("held", os.getpid(), False)
        assert (told["path"], told["message_type"]) == ("/greedy", "Hold")
        assert told["since"] > 0.2
        assert any("in computes" in line for line in told["stack"])
        await trio.sleep(0.1)
        calm = await trio.to_thread.run_sync(ask_socket, path)
        assert (calm["live"], calm["path"]) == (True, "")
    assert not is_there(path)
    assert "troupe stack socket" not in {thread.name for thread in threading.enumerate()}


async def test_clients_that_go_away_or_never_read_do_no_harm(path: Path) -> None:
    async with open_system(SupervisionConfig(stack_socket=str(path))):
        idle = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
        for client in idle:
            client.connect(str(path))
        idle[0].close()
        assert (await trio.to_thread.run_sync(ask_socket, path))["live"]
        for client in idle:
            client.close()


async def test_a_socket_left_behind_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    assert is_there(path)
    async with open_system(SupervisionConfig(stack_socket=str(path))):
        assert (await trio.to_thread.run_sync(ask_socket, path))["live"]
    assert not is_there(path)


async def opened(path: Path) -> None:
    async with open_system(SupervisionConfig(stack_socket=str(path))):
        pass


async def test_the_socket_of_a_live_node_is_left_alone(path: Path) -> None:
    async with open_system(SupervisionConfig(stack_socket=str(path))):
        with pytest.raises(SupervisionError, match="another node answers at"):
            await opened(path)
        assert (await trio.to_thread.run_sync(ask_socket, path))["live"]


async def test_a_file_in_the_way_is_left_alone(path: Path) -> None:
    replace(path, "precious")
    with pytest.raises(SupervisionError, match="is there already and is no socket"):
        await opened(path)
    assert text_of(path) == "precious"
    with pytest.raises(FileNotFoundError):
        await opened(path.parent / "no" / "folder")


async def test_a_socket_that_somebody_replaced_is_not_removed(path: Path) -> None:
    async with open_system(SupervisionConfig(stack_socket=str(path))):
        replace(path, "somebody else's")
    assert text_of(path) == "somebody else's"


# -- ages ---------------------------------------------------------------------------------


def test_an_age_is_right_to_the_precision_of_a_look() -> None:
    ages = MessageAges()
    for tick in range(1, 101):
        ages.note(tick * 10, tick * 0.005)
    assert ages.age_of(500, 1.0) == pytest.approx(1.0 - 0.25)
    assert ages.age_of(501, 1.0) == pytest.approx(1.0 - 0.255)
    assert ages.age_of(1001, 1.0) == 0  # sent since the last look


def test_a_message_sent_before_a_quiet_time_is_old() -> None:
    ages = MessageAges()
    ages.note(7, 1.0)
    for tick in range(1000):
        ages.note(7, 1.0 + tick)
    assert ages.age_of(7, 1001.0) == 1000.0


@given(st.lists(st.integers(0, 3), max_size=6000))
def test_however_much_is_forgotten_no_message_looks_older_than_it_is(steps: list[int]) -> None:
    ages = MessageAges()
    sent: dict[int, float] = {}
    newest = 0
    for tick, count in enumerate(steps, start=1):
        for _ in range(count):
            newest += 1
            sent[newest] = tick - 0.5
        ages.note(newest, float(tick))
    now = float(len(steps) + 1)
    for message_id, when in list(sent.items())[-50:]:
        assert now - when - 1 <= ages.age_of(message_id, now) <= now - when
    for message_id, when in sent.items():
        assert ages.age_of(message_id, now) <= now - when
    assert len(ages._marks[0]) <= MessageAges.KEEP + 1
