"""Group commit: with `on_batch_end`, an answer means that the batch is on disk."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import attrs
import pytest
import trio

from supervision import (
    ActorCrashed,
    BlockingActor,
    Refuse,
    Refused,
    Request,
    SupervisionConfig,
    handles,
    open_system,
)

QUICK = SupervisionConfig(intensity=1_000_000)


@attrs.frozen
class Put(Request[int]):
    """Store a number; answered with how many messages its batch had before it."""

    number: int


@attrs.frozen
class Hold(Request[None]):
    """Keep the thread busy, so that what is sent meanwhile is one batch."""

    gate: threading.Event


class Store(BlockingActor[Put | Hold]):
    commits = 0

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def on_start(self) -> None:
        # sqlite3 insists on one thread for all that follows, so this proves that there is one.
        self.db = sqlite3.connect(self.file)
        self.db.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
        self.db.commit()
        self.in_batch = 0

    @handles
    def put(self, message: Put) -> int:
        if message.number < 0:
            raise Refuse("negative")
        self.db.execute("INSERT INTO numbers VALUES (?)", (message.number,))
        if message.number == 1313:
            raise RuntimeError("1313")
        self.in_batch += 1
        return self.in_batch - 1

    @handles
    def hold(self, message: Hold) -> None:
        message.gate.wait()

    def on_batch_end(self) -> None:
        if self.db.execute("SELECT count(*) FROM numbers WHERE number = 666").fetchone()[0]:
            raise sqlite3.OperationalError("disk full")
        self.db.commit()
        self.in_batch = 0
        Store.commits += 1

    def on_failure(self, *_: object) -> None:
        self.db.close()

    def on_stop(self) -> None:
        self.db.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "numbers.db"


def on_disk(file: Path) -> list[int]:
    db = sqlite3.connect(file)
    try:
        return [number for (number,) in db.execute("SELECT number FROM numbers ORDER BY rowid")]
    finally:
        db.close()


async def test_answered_means_on_disk(file: Path) -> None:
    async with open_system(QUICK) as system:
        store = await system.spawn(Store, file)
        for number in range(20):
            await store.ask(Put(number))
            assert on_disk(file) == list(range(number + 1))


async def test_messages_that_wait_share_a_commit_and_none_is_answered_before_it(
    file: Path,
) -> None:
    async with open_system(QUICK) as system:
        store = await system.spawn(Store, file)
        gate = threading.Event()
        held = store.ask(Hold(gate))
        await trio.testing.wait_all_tasks_blocked()
        replies = [store.ask(Put(number)) for number in range(20)]
        before = Store.commits
        gate.set()
        await held
        assert [await reply for reply in replies] == [*range(16), *range(4)]
        assert Store.commits - before <= 3
    assert on_disk(file) == list(range(20))


async def test_a_batch_that_cannot_be_committed_crashes_whole(file: Path) -> None:
    async with open_system(QUICK) as system:
        store = await system.spawn(Store, file)
        gate = threading.Event()
        held = store.ask(Hold(gate))
        await trio.testing.wait_all_tasks_blocked()
        replies = [store.ask(Put(number)) for number in (1, -1, 666, 2)]
        gate.set()
        await held
        for reply in replies:  # the refusal too: what it saw was never committed
            with pytest.raises(ActorCrashed) as crash:
                await reply
            assert isinstance(crash.value.__cause__, sqlite3.OperationalError)
        assert [report.where for report in system.crashes()] == ["on_batch_end"]
        await store.ask(Put(3))
    assert on_disk(file) == [3]


async def test_a_crash_in_the_batch_leaves_nothing_of_it_acknowledged(file: Path) -> None:
    async with open_system(QUICK) as system:
        store = await system.spawn(Store, file)
        gate = threading.Event()
        held = store.ask(Hold(gate))
        await trio.testing.wait_all_tasks_blocked()
        replies = [store.ask(Put(number)) for number in (1, 2, 1313, 3, 4)]
        gate.set()
        await held
        for reply in replies[:3]:
            with pytest.raises(ActorCrashed) as crash:
                await reply
            assert isinstance(crash.value.__cause__, RuntimeError)
        for reply in replies[3:]:  # not begun, so the next life has them
            await reply
        assert len(system.crashes()) == 1
    assert on_disk(file) == [3, 4]


async def test_a_refusal_is_no_crash_of_its_batch(file: Path) -> None:
    async with open_system(QUICK) as system:
        store = await system.spawn(Store, file)
        replies = [store.ask(Put(number)) for number in (1, -1, 2)]
        await replies[0]
        with pytest.raises(Refused, match="negative"):
            await replies[1]
        await replies[2]
    assert on_disk(file) == [1, 2]


async def test_what_was_handled_before_the_stop_is_committed_and_answered(file: Path) -> None:
    begun = threading.Event()

    class Slow(Store):
        @handles
        def hold(self, message: Hold) -> None:
            begun.set()
            message.gate.wait()

    async with open_system(QUICK) as system:
        store = await system.spawn(Slow, file, path="/store")
        gate = threading.Event()
        put, held, late = store.ask(Put(1)), store.ask(Hold(gate)), store.ask(Put(2))
        await trio.to_thread.run_sync(begun.wait)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.stop, "/store")
            await trio.testing.wait_all_tasks_blocked()
            gate.set()
        assert await put == 0
        await held
        assert late.error is not None
    assert on_disk(file) == [1]
