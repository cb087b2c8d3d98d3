"""The flight recorder: what it writes comes back, and what it cannot write it says."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import supervision.recorder as recorder_module
from supervision import Actor, ActorRef, BlockingActor, Request, handles, open_system
from supervision.causality import follow, mermaid
from supervision.encoding import NotDecodable, NotEncodable, RefTo, decode, encode
from supervision.observe import TraceEvent
from supervision.recorder import VERSION, WhenFull, message_line
from supervision.recordings import BadRecording, Recording, read_recording
from supervision.secret import MASK, Secret
from supervision.testing import SystemUnderTest


class Drink(enum.Enum):
    TEA = "tea"
    COFFEE = "coffee"


@attrs.frozen
class Order(Request[str]):
    what: Drink
    note: Any = None
    _hidden: int = 0
    size: int = attrs.field(init=False, default=2)


@dataclasses.dataclass(frozen=True)
class Bill:
    amount: Decimal
    lines: tuple[Order, ...] = ()


@attrs.frozen
class Brew(Request[str]):
    what: Drink


@attrs.frozen
class Hello:
    to: Any


class Opaque:
    """No attrs class and no dataclass."""


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
    monkeypatch.setattr(recorder_module, "BUFFER", 300)
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

        monkeypatch.setattr(recorder_module, "write_all", full)
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


# -- bodies -------------------------------------------------------------------------------


def event(message: Any, number: int = 1) -> TraceEvent:
    return TraceEvent(
        at=1.0,
        id=number,
        cause=0,
        path="/a",
        message=message,
        message_type=type(message).__qualname__,
        asked=False,
        seconds=0.5,
        outcome="ok",
    )


def file_of(path: Path, *lines: bytes | str | Mapping[str, Any]) -> Path:
    def written(line: bytes | str | Mapping[str, Any]) -> bytes:
        if isinstance(line, Mapping):
            line = json.dumps(line)
        return line.encode() if isinstance(line, str) else line

    path.write_bytes(b"".join(written(line).rstrip(b"\n") + b"\n" for line in lines))
    return path


HEADER = {
    "format": "troupe-recording",
    "version": 1,
    "node": "local",
    "python": "3.11",
    "started": "2026-01-01T00:00:00Z",
    "at": 0.0,
    "paths": "*",
}

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.binary().map(bytearray)
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.sampled_from(Drink)
    | st.just(PurePosixPath("/a/b"))
    | st.just(...)
)
HASHABLE = st.integers() | st.text() | st.binary() | st.sampled_from(Drink) | st.uuids()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(HASHABLE, inner)
        | st.dictionaries(st.sampled_from(["$", "$bytes", "a"]), inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
        | st.builds(Hello, inner)
        | st.builds(Order, st.sampled_from(Drink), inner, st.integers())
        | st.builds(Bill, st.decimals(allow_nan=False), st.builds(tuple))
    ),
    max_leaves=20,
)
MESSAGES = (
    st.builds(Hello, VALUES)
    | st.builds(Order, st.sampled_from(Drink), VALUES, st.integers())
    | st.builds(Bill, st.decimals(allow_nan=False))
    | VALUES
)


@given(st.lists(MESSAGES, max_size=5))
def test_every_message_comes_back_equal_and_of_its_type(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("recording") / "file"
    lines = [message_line(event(message, n)) for n, message in enumerate(messages, start=1)]
    recording = read_recording(file_of(path, HEADER, *lines))
    assert [message.unencodable for message in recording] == [""] * len(messages)
    found = [message.message() for message in recording]
    assert found == messages
    assert [type(message) for message in found] == [type(message) for message in messages]


@given(VALUES)
def test_types_survive_wherever_they_are(value: Any) -> None:
    def shape(value: Any) -> Any:
        inside: Sequence[Any] = ()
        if isinstance(value, list | tuple):
            inside = value
        elif isinstance(value, dict):
            inside = list(value.values())
        elif isinstance(value, Hello):
            inside = (value.to,)
        elif isinstance(value, Order):
            inside = (value.what, value.note)
        return (type(value), [shape(held) for held in inside])

    found = decode(json.loads(json.dumps(encode(value))))
    assert found == value
    assert shape(found) == shape(value)


async def test_refs_become_paths_and_secrets_are_masked(system: SystemUnderTest) -> None:
    ref = await bar(system)
    assert decode(encode(Hello((ref, Secret("hunter2"))))) == Hello((RefTo("/bar"), Secret(MASK)))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Opaque(), "Opaque is no attrs class and no dataclass"),
        ([Hello(Opaque())], "Opaque is no attrs class"),
        (lambda: None, "function is no attrs class"),
        (ValueError("x"), "ValueError is no attrs class"),
    ],
)
def test_what_cannot_be_written_says_why(value: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotEncodable, match=why):
        encode(value)
    (message,) = read_recording(file_of(tmp_path / "file", HEADER, message_line(event(value))))
    assert why in message.unencodable
    assert message.body is None
    with pytest.raises(NotDecodable, match=why):
        message.message()


def test_a_circle_and_a_huge_body_are_left_out(tmp_path: Path) -> None:
    circle: list[Any] = []
    circle.append(circle)
    huge = Hello("x" * 2_000_000)
    lines = [message_line(event(Hello(circle))), message_line(event(huge, 2))]
    first, second = read_recording(file_of(tmp_path / "file", HEADER, *lines))
    assert "circle" in first.unencodable
    assert "more than the 1048576 that are recorded" in second.unencodable


def test_a_hostile_message_still_makes_a_line(tmp_path: Path) -> None:
    @attrs.frozen(init=False)
    class Unset:
        never: int

        def __init__(self) -> None:
            """Leave it unset."""

    class HostileDict(dict[str, int]):
        def __iter__(self) -> Any:
            raise RuntimeError("no")

    lines = [message_line(event(Unset())), message_line(event(Hello(HostileDict()), 2))]
    first, second = read_recording(file_of(tmp_path / "file", HEADER, *lines))
    assert "never" in first.unencodable
    assert "HostileDict" in second.unencodable


@pytest.mark.parametrize(
    ("json_", "problem"),
    [
        ({"$": "no.such.module:Class"}, "import no.such.module first"),
        ({"$": f"{__name__}:NoSuch"}, "no class NoSuch"),
        ({"$": f"{__name__}:event"}, "no class event"),
        ({"$": f"{__name__}:test.<locals>.Local"}, "made inside a function"),
        ({"$": f"{__name__}:Hello", "to": 1, "cc": 2}, "other fields now: cc"),
        ({"$": f"{__name__}:Hello"}, "other fields now: to"),
        ({"$": f"{__name__}:Opaque"}, "is no attrs class"),
        ({"$enum": f"{__name__}:Drink", "name": "MILK"}, "MILK"),
        ({"$bytes": "not base64!"}, "bytes"),
        ({"$wat": 1}, "no kind of value"),
        ({"$dict": 7}, r"\$dict"),
        ({"$datetime": "yesterday"}, "yesterday"),
    ],
)
def test_a_body_that_was_not_written_by_us_is_refused(json_: Any, problem: str) -> None:
    with pytest.raises(NotDecodable, match=problem):
        decode(json_)


def test_reading_imports_nothing() -> None:
    assert "antigravity" not in sys.modules
    with pytest.raises(NotDecodable):
        decode({"$": "antigravity:Fly"})
    assert "antigravity" not in sys.modules


# -- strict reading -----------------------------------------------------------------------

LINE = message_line(event(Hello(1))).decode().rstrip()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"hello\n", "no recording of Troupe's"),
        (b"\x7fELF\x02\x01\x01\0\0", "no recording of Troupe's"),
        (b'{"format": "troupe-crash-dump"}\n', "no recording of Troupe's"),
        (b"[]\n", "no recording of Troupe's"),
        (json.dumps({**HEADER, "version": 2}).encode(), "version 2, this reads 1: .*newer Troupe"),
        (json.dumps({**HEADER, "version": "x"}).encode(), "version 'x'.*no such version"),
        (json.dumps({**HEADER, "node": 3}).encode(), "line 1: 'node' must be a str, not int"),
    ],
)
def test_what_is_no_recording_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(BadRecording, match=problem) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{broken", "line 2: it is damaged"),
        ("[1]", "line 2: .*an object was expected, not list"),
        ("", "line 2: it is damaged"),
        ("[" * 100_000, "line 2: it is damaged"),
        (LINE.replace('"id":1', '"id":"1"'), "line 2: 'id' must be a int, not str"),
        (LINE.replace('"id":1', '"id":true'), "line 2: 'id' must be a int, not bool"),
        (LINE.replace('"asked":false,', ""), "line 2: 'asked' must be a bool, not nothing"),
        (LINE.replace('"body"', '"boddy"'), "line 2: nothing here is called boddy"),
        ('{"end": "stopped", "at": 1, "messages": 0, "lost": 0}', "line 3: there is more after"),
    ],
)
def test_a_damaged_line_is_named(line: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match=problem):
        read_recording(file_of(tmp_path / "file", HEADER, line, LINE))


def whole(tmp_path: Path) -> tuple[bytes, Recording]:
    lines = [message_line(event(Hello("ä" * n), n)) for n in range(1, 6)]
    path = file_of(tmp_path / "whole", HEADER, *lines)
    return path.read_bytes(), read_recording(path)


def test_a_last_line_that_was_cut_off_is_left_out_and_said(tmp_path: Path) -> None:
    data, recording = whole(tmp_path)
    head = data.index(b"\n")
    for length in range(head + 1, len(data), 5):
        path = tmp_path / "cut"
        path.write_bytes(data[:length])
        cut = read_recording(path)
        complete = data[:length].count(b"\n") - 1
        unfinished = data[:length].rpartition(b"\n")[2]
        if length == len(data) - 1 or data[length : length + 1] == b"\n":
            complete += 1  # only the line end is missing
        elif unfinished:
            assert f"last line of {len(unfinished)} bytes was left out" in cut.truncated
        assert cut.messages == recording.messages[:complete]
        assert not cut.ended
    assert VERSION == 1


def test_an_end_whose_beginning_was_lost_is_passed_over(tmp_path: Path) -> None:
    done = {"done": 7, "at": 2.0, "seconds": 1.0, "outcome": "ok"}
    recording = read_recording(file_of(tmp_path / "file", HEADER, done, {"lost": 3, "at": 2}, LINE))
    assert (len(recording), recording.lost) == (1, 3)


def test_types_of_the_test_itself_are_used(tmp_path: Path) -> None:
    """`UUID` and friends come back as themselves, inside messages as well."""
    values: list[Any] = [UUID(int=1), Decimal("1.10"), datetime.timedelta(microseconds=1)]
    make: Callable[[Any], Any] = Hello
    lines = [message_line(event(make(value), n)) for n, value in enumerate(values, 1)]
    found = read_recording(file_of(tmp_path / "file", HEADER, *lines))
    assert [message.message().to for message in found] == values
    assert os.listdir(tmp_path) == ["file"]
