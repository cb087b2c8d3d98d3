"""The flight recorder: what it writes comes back, and what it cannot write it says."""

from __future__ import annotations

import datetime
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

import supervision.writing as writing
from supervision import Actor, ActorRef, BlockingActor, handles, open_system
from supervision.causality import follow, mermaid
from supervision.encoding import NotDecodable
from supervision.recordings import read_recording
from supervision.testing import SystemUnderTest
from supervision.writing import WhenFull
from tests.supervision.recorded import (
    Brew,
    Drink,
    Hello,
    Order,
)


class Bar(Actor[Order | Brew | Hello]):
    def __init__(self, kitchen: ActorRef[Any] | None = None) -> None:
        super().__init__()
        self.kitchen = kitchen

    @handles
    async def on_order(self, message: Order) -> str:
        await trio.sleep(1)
        if self.kitchen is None:
            return "nothing"
        return await self.kitchen.ask(Brew(message.what))

    @handles
    def on_brew(self, message: Brew) -> str:
        return message.what.value

    @handles
    def on_hello(self, _message: Hello) -> None:
        pass


async def bar(system: SystemUnderTest) -> ActorRef[Any]:
    kitchen = await system.spawn(Bar, path="/kitchen")
    return await system.spawn(Bar, kitchen, path="/bar")


# -- recording ----------------------------------------------------------------------------


async def test_a_recording_comes_back_as_it_was(system: SystemUnderTest, tmp_path: Path) -> None:
    ref = await bar(system)
    file = tmp_path / "evening.jsonl"
    begun = system.now
    async with system.record(file=file) as recorder:
        assert await ref.ask(Order(Drink.TEA, b"no sugar")) == "tea"
        ref.tell(Hello(("you", {1, 2})))
        await system.settle()
    assert (recorder.messages, recorder.lost, recorder.problem) == (3, 0, None)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    recording = read_recording(file)
    assert (recording.node, recording.paths, recording.at) == ("node", "*", begun)
    assert recording.python == sys.version.split()[0]
    assert datetime.datetime.fromisoformat(recording.started).tzinfo is not None
    assert (recording.ended, recording.truncated, recording.lost) == (True, "", 0)
    order, brew, hello = recording.messages
    assert order.message() == Order(Drink.TEA, b"no sugar")
    assert hello.message() == Hello(("you", {1, 2}))
    assert (order.path, order.cause, order.asked, order.outcome) == ("/bar", 0, True, "ok")
    assert (order.began, order.seconds, order.at) == (begun, 1, begun + 1)
    assert (brew.cause, brew.message_type) == (order.id, "Brew")
    assert [message.id for message in recording.from_outside()] == [order.id, hello.id]
    assert len(recording) == 3
    # The tools for traces work on it alike.
    turn = follow(recording.events(), brew.id)
    assert [caused.event.path for caused in turn.root.led_to] == ["/kitchen"]
    assert "a1->>a2: Brew\n    a2-->>a1: answer\n    a1-->>a0: answer" in mermaid(turn)


async def test_only_what_was_asked_for_is_recorded(system: SystemUnderTest, tmp_path: Path) -> None:
    ref = await bar(system)
    async with (
        system.record("/kitchen", file=tmp_path / "kitchen") as kitchen,
        system.record(types=[Order], file=tmp_path / "orders") as orders,
    ):
        await ref.ask(Order(Drink.TEA))
    assert (kitchen.messages, orders.messages) == (1, 1)
    assert [message.path for message in read_recording(tmp_path / "kitchen")] == ["/kitchen"]
    assert [message.path for message in read_recording(tmp_path / "orders")] == ["/bar"]


async def test_a_handler_that_never_ends_is_in_the_recording(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    class Stuck(Actor[Hello]):
        @handles
        async def on_hello(self, _message: Hello) -> None:
            await trio.sleep_forever()

    stuck = await system.spawn(Stuck, path="/stuck")
    async with system.record(file=tmp_path / "stuck"):
        stuck.tell(Hello("you"))
        await system.settle()
    (message,) = read_recording(tmp_path / "stuck")
    assert message.outcome == "started"
    assert message.message() == Hello("you")


async def test_a_blocking_actor_is_recorded_too(system: SystemUnderTest, tmp_path: Path) -> None:
    class Blocks(BlockingActor[Brew]):
        @handles
        def on_brew(self, message: Brew) -> str:
            return message.what.value

    blocks = await system.spawn(Blocks, path="/blocks")
    async with system.record(file=tmp_path / "blocks"):
        await blocks.ask(Brew(Drink.TEA))
        await system.settle()
    (message,) = read_recording(tmp_path / "blocks")
    assert (message.path, message.outcome) == ("/blocks", "ok")


async def test_a_node_that_closes_ends_its_recordings(tmp_path: Path) -> None:
    async with open_system() as system:
        ref = await system.spawn(Bar, path="/bar")
        system.record(file=tmp_path / "file")
        for _ in range(99):
            ref.tell(Hello("you"))
        await ref.ask(Brew(Drink.TEA))
    recording = read_recording(tmp_path / "file")
    assert len(recording) == 100
    assert recording.ended


async def test_a_recorder_may_be_stopped_twice_and_costs_nothing_then(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    ref = await bar(system)
    to_close = list(system._node.on_close)
    recorder = system.record(file=tmp_path / "file")
    assert "records *" in repr(recorder)
    await recorder.stop()
    await recorder.stop()
    assert system._node.tap is None
    assert system._node.on_close == to_close
    ref.tell(Hello("you"))
    await system.settle()
    assert (recorder.messages, recorder.running) == (0, False)
    assert len(read_recording(tmp_path / "file")) == 0


async def test_no_recording_is_ever_overwritten(system: SystemUnderTest, tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("precious")
    with pytest.raises(FileExistsError, match="never overwritten"):
        system.record(file=tmp_path / "evidence")
    assert (tmp_path / "evidence").read_text() == "precious"
    with pytest.raises(FileNotFoundError):
        system.record(file=tmp_path / "no" / "such" / "folder")
    assert system._node.tap is None
    with pytest.raises(ValueError, match="one"):
        system.record()
    with pytest.raises(ValueError, match="one"):
        system.record(file="a", ring=1)
    with pytest.raises(ValueError, match="not 0"):
        system.record(ring=0)


# -- rings --------------------------------------------------------------------------------


async def test_a_ring_keeps_the_last_messages_and_can_be_saved(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    ref = await bar(system)
    recorder = system.record(ring=250)
    for number in range(300):
        await ref._cell.node.cells["/kitchen"].ref.ask(Brew(Drink.TEA))
        del number
    ref.tell(Order(Drink.COFFEE))
    await trio.sleep(2)
    assert len(recorder.kept()) == 250
    saved = await recorder.save(tmp_path / "ring")
    recording = read_recording(tmp_path / "ring")
    assert saved == len(recording) == 249  # the order made two events
    assert recording.messages[-2].message() == Order(Drink.COFFEE)
    assert recording.messages[-2].outcome == "ok"
    assert (recording.lost, recording.ended) == (302 - 249, True)
    with pytest.raises(FileExistsError):
        await recorder.save(tmp_path / "ring")
    await recorder.stop()
    assert await recorder.save(tmp_path / "again") == saved


# -- bounds -------------------------------------------------------------------------------


async def test_a_full_file_keeps_the_beginning_or_the_end(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    ref = await bar(system)
    stops, rotates = tmp_path / "stops", tmp_path / "rotates"
    async with (
        system.record(file=stops, max_bytes=5000) as stopped,
        system.record(file=rotates, max_bytes=5000, when_full=WhenFull.ROTATE) as rotated,
    ):
        for number in range(200):
            ref.tell(Hello(number))
            await system.settle()
    beginning = read_recording(stops)
    assert [message.message().to for message in beginning] == list(range(len(beginning)))
    assert 0 < len(beginning) < 100
    assert beginning.lost == stopped.lost == 200 - len(beginning)
    assert beginning.ended
    before, end = read_recording(tmp_path / "rotates.1"), read_recording(rotates)
    numbers = [message.message().to for message in (*before, *end)]
    assert numbers == list(range(200 - len(numbers), 200))
    assert rotated.lost == 0
    for file in (stops, rotates, tmp_path / "rotates.1"):
        assert file.stat().st_size < 5500


async def test_too_much_for_the_thread_is_lost_and_told_where(
    system: SystemUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await bar(system)
    monkeypatch.setattr(writing, "BUFFER", 300)
    async with system.record(file=tmp_path / "file") as recorder:
        for number in range(10):  # one slice: the thread has no turn meanwhile, or a short one
            ref.tell(Hello("x" * 200 + str(number)))
        await system.settle()
        while recorder._writer is not None and recorder._writer._lines:  # noqa: ASYNC110
            await trio.sleep(0.001)  # a thread empties it
        ref.tell(Hello("last"))
        await system.settle()
    recording = read_recording(tmp_path / "file")
    assert recorder.lost > 0
    assert recording.lost == recorder.lost == 11 - len(recording)
    assert recording.messages[-1].message() == Hello("last")


async def test_a_disk_that_fails_stops_the_recording_and_nothing_else(
    system: SystemUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await bar(system)
    async with system.record(file=tmp_path / "file") as recorder:
        ref.tell(Hello(1))
        await system.settle()

        def full(_file: int, _data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(writing, "write_all", full)
        for number in range(2, 5):
            ref.tell(Hello(number))
        await system.settle()
    assert isinstance(recorder.problem, OSError)
    assert recorder.lost >= 3
    assert ref.alive


def test_a_process_that_is_killed_leaves_what_it_has_recorded(tmp_path: Path) -> None:
    program = f"""
import attrs, trio
from supervision import Actor, handles, open_system

@attrs.frozen
class Hello:
    n: int

class A(Actor[Hello]):
    @handles
    def on_hello(self, m: Hello) -> None:
        pass

async def main():
    async with open_system() as system:
        a = await system.spawn(A, path="/a")
        system.record(file={str(tmp_path / "file")!r})
        for n in range(500):
            a.tell(Hello(n))
            if n % 100 == 0:
                await trio.sleep(0.001)
        await trio.sleep(0.1)
        print("recorded", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"recorded\n"
        process.send_signal(signal.SIGKILL)
    recording = read_recording(tmp_path / "file")
    assert [message.body["n"] for message in recording] == list(range(500))
    assert not recording.ended
    with pytest.raises(NotDecodable, match="no class Hello"):
        recording.messages[0].message()
