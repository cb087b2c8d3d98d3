"""A worker process that dies, hangs or is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from supervision import (
    ActorCrashed,
    ActorStopped,
    ChildSpec,
    Restart,
    SupervisionConfig,
    WorkerDied,
    open_system,
)
from tests.supervision.processes import children, runs, until
from tests.supervision.worker_actors import (
    Add,
    Die,
    Hang,
    Pid,
    StopsSlowly,
    Worker,
)

QUICK = SupervisionConfig(intensity=1_000_000, kill_grace=5.0)


async def test_a_worker_killed_in_mid_request_is_a_crash_and_the_next_ask_works() -> None:
    async with open_system(QUICK) as system:
        worker = await system.spawn(Worker, path="/worker")
        before = worker.ask(Add(1))
        killed = worker.ask(Die(signal.SIGKILL))
        after = worker.ask(Add(1))
        assert await before == 1
        with pytest.raises(ActorCrashed) as crash:
            await killed
        died = crash.value.__cause__
        assert isinstance(died, WorkerDied)
        assert died.status == -signal.SIGKILL
        assert "was killed by SIGKILL" in str(died)
        assert died.stderr.endswith("x on stdout")
        assert len(died.stderr) <= 8192
        assert await after == 1
        assert len(system.crashes()) == 1


async def test_an_exit_code_is_reported() -> None:
    async with open_system(QUICK) as system:
        worker = await system.spawn(Worker, restart=Restart.TEMPORARY)
        with pytest.raises(ActorCrashed) as crash:
            await worker.ask(Die(code=7))
        assert "ended with exit code 7; the last it wrote" in str(crash.value.__cause__)


async def test_a_worker_that_dies_while_idle_is_restarted() -> None:
    async with open_system(QUICK) as system:
        worker = await system.spawn(Worker)
        pid = await worker.ask(Pid())
        os.kill(pid, signal.SIGKILL)
        await until(system.crashes)
        assert await worker.ask(Pid()) != pid


async def test_a_hung_worker_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    async with open_system(QUICK) as system:
        spec = ChildSpec("worker", Worker, shutdown=0.01, restart=Restart.PERMANENT)
        worker = await system.start_child(spec)
        hung = worker.ask(Hang(str(tmp_path / "begun")), timeout=60)
        waiting = worker.ask(Add(4))
        await until((tmp_path / "begun").exists)
        pids = [int(pid) for pid in (tmp_path / "begun").read_text().split()]
        started = time.monotonic()
        await system.restart("/worker")
        with pytest.raises(ActorStopped):
            await hung
        assert await waiting == 4
        assert time.monotonic() - started < 4
        await until(lambda: not any(map(runs, pids)))


async def test_one_that_does_not_stop_is_killed() -> None:
    async with open_system(QUICK) as system:
        worker = await system.start_child(ChildSpec("worker", StopsSlowly, shutdown=0.01))
        pid = await worker.ask(Pid())
        await system.stop("/worker")
        assert not runs(pid)


async def test_a_cancelled_system_leaves_no_process() -> None:
    with trio.CancelScope() as scope:
        async with open_system(SupervisionConfig(shutdown=0.05)) as system:
            idle = await system.spawn(Worker)
            hung = await system.spawn(StopsSlowly)
            pids = [await worker.ask(Pid()) for worker in (idle, hung)]
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert not any(map(runs, pids))


async def test_one_that_is_stopped_while_it_starts_leaves_no_process() -> None:
    others = children()  # servers that other tests of this run have started
    async with open_system(QUICK) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.spawn, Worker)
            await until(lambda: len(system._node.cells) > 1)
            nursery.cancel_scope.cancel()
        cell = next(cell for path, cell in system._node.cells.items() if path != "/")
        await system.stop(cell.path)
    assert set(children()) <= set(others)


def test_a_worker_does_not_outlive_a_node_that_was_killed(tmp_path: Path) -> None:
    program = f"""
import trio
from supervision import *
from tests.supervision.worker_actors import *
async def main():
    async with open_system() as system:
        worker = await system.spawn(Worker)
        worker.tell(Hang({str(tmp_path / "begun")!r}))
        print(await (await system.spawn(Worker)).ask(Pid()), flush=True)
        await trio.sleep_forever()
trio.run(main)
"""
    node = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    with node.stdout:
        pids = [int(node.stdout.readline())]
    while not (tmp_path / "begun").exists():
        time.sleep(0.001)
    busy, grandchild = map(int, (tmp_path / "begun").read_text().split())
    node.kill()
    node.wait()
    deadline = time.monotonic() + 10
    while any(map(runs, [*pids, busy])) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(runs, [*pids, busy]))
    os.kill(grandchild, signal.SIGKILL)  # which belongs to nobody any more
