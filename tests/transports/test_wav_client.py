import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from models.audio import Frame, read_wav, write_wav
from supervision import Actor, handles, open_system
from supervision.faults import Fault, InjectedFault
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.hosts import FakeHost
from tests.transports.peers import serve
from transports.leg import (
    Attach,
    Attached,
    Clear,
    Cleared,
    CloseWire,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    SendMark,
    ShowNotice,
    ShowTranscript,
    Typed,
    WireEvent,
)
from transports.server import ServerConfig, Where, server
from transports.server.tree import pcm_wires
from transports.wav_client import (
    DONE,
    FAILED,
    UNUSABLE,
    CallFailed,
    Shown,
    WavCall,
    line_of,
    run_call,
)

TONE = b"\x01\x02" * 320
SAID = Frame(TONE * 50, 16000)
"""One second."""


async def wait_attached(host: FakeHost) -> None:
    await host.host.expect(Attach, within=2)


async def test_it_says_the_wav_in_real_time_and_hears_what_comes_in_its_place(
    system: SystemUnderTest,
) -> None:
    place = await serve(system)
    recordings = []

    async def call() -> None:
        recordings.append(await WavCall(place.media, patience=1.0).run(SAID))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_attached(place.host)
        wire = place.host.attaches[0].wire
        wire.tell(ShowTranscript(1, "hello", final=True))
        await trio.sleep(0.5)
        assert len(place.host.frames) == pytest.approx(25, abs=2)
        for _ in range(10):
            wire.tell(Frame(b"\x05\x06" * 320, 16000))
        wire.tell(SendMark("end"))
        await place.host.events.expect(Played, within=1)
    recording = recordings[0]
    assert place.host.of(MarkPlayed) == [MarkPlayed("end")]
    assert place.host.of(Played)[-1] == Played(3200)
    assert place.host.events.received[-1] == HungUp("quiet")
    assert place.host.heard.startswith(SAID.pcm)
    silence = recording.heard.pcm[: -10 * 640]
    assert recording.heard.pcm.endswith(b"\x05\x06" * 3200)
    assert not silence.strip(b"\0")
    assert len(silence) / 32000 == pytest.approx(0.56, abs=0.03)  # the buffer is in it
    assert [shown.what for shown in recording.shown] == ["transcript"]
    assert recording.reason == "quiet"


async def test_a_clear_cuts_what_is_heard_and_is_answered_exactly(system: SystemUnderTest) -> None:
    place = await serve(system)
    recordings = []

    async def call() -> None:
        recordings.append(await WavCall(place.media, patience=5.0).run(SAID))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_attached(place.host)
        wire = place.host.attaches[0].wire
        wire.tell(Frame(TONE * 50, 16000))
        await trio.sleep(0.5)
        wire.tell(Clear(1))
        await trio.sleep(0.1)
        wire.tell(CloseWire("that is all"))
    assert recordings[0].reason == "that is all"
    (cleared,) = place.host.of(Cleared)
    assert cleared.samples + cleared.dropped == 16000
    assert cleared.samples / 16000 == pytest.approx(0.44, abs=0.02)
    assert recordings[0].heard.pcm.strip(b"\0").count(b"\x01\x02") == cleared.samples


async def test_another_rate_is_resampled(system: SystemUnderTest) -> None:
    place = await serve(system)
    sound = Frame(b"\x00\x10" * 8000, 8000)
    await WavCall(place.address, patience=0.1).run(sound)
    assert all(frame.rate == 16000 for frame in place.host.frames)
    assert sum(frame.samples for frame in place.host.frames) == pytest.approx(16000, abs=3200)


async def test_a_call_that_does_not_come_about_says_why(system: SystemUnderTest) -> None:
    place = await serve(system, ServerConfig(port=0, tokens=(Secret("key"),)))
    with pytest.raises(CallFailed, match="token"):
        await WavCall(place.media, Secret("wrong")).run(SAID)
    with pytest.raises(CallFailed, match="refused"):
        await WavCall(place.media + "/nowhere").run(SAID)
    with pytest.raises(CallFailed):
        await WavCall("gopher://127.0.0.1").run(SAID)
    await system.stop("/server")
    with pytest.raises(CallFailed, match="cannot be reached"):
        await WavCall(place.media, Secret("key")).run(SAID)


async def test_a_connection_that_breaks_fails_the_call(system: SystemUnderTest) -> None:
    place = await serve(system)
    failures = []

    async def call() -> None:
        with pytest.raises(CallFailed) as failed:
            await WavCall(place.media).run(SAID)
        failures.append(failed.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_attached(place.host)
        await trio.sleep(0.1)
        system.expect_crash("*/w-1", InjectedFault)
        system.inject("/server/wires/w-1", Fault("crash", ShowNotice))
        place.host.attaches[0].wire.tell(ShowNotice("the last one"))
    assert len(failures) == 1


def test_what_cannot_be_used_is_told_before_anybody_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_call("ws://127.0.0.1:9/media", tmp_path / "none.wav") == UNUSABLE
    (tmp_path / "text.wav").write_text("hello")
    assert run_call("ws://127.0.0.1:9/media", tmp_path / "text.wav") == UNUSABLE
    assert "text.wav" in capsys.readouterr().err


class Parrot(Actor[Attach | Frame | WireEvent]):
    """A call that says back what it hears, and shows that it does."""

    @handles
    def on_attach(self, message: Attach) -> Attached:
        self._wire = message.wire
        self._wire.tell(ShowTranscript(1, "hello", final=True))
        return Attached("c-1", "a", self.ref, self.ref, Secret("back"))

    @handles
    def on_frame(self, message: Frame) -> None:
        if message.pcm.strip(b"\0"):
            self._wire.tell(message)

    @handles
    def on_event(
        self, message: Played | Cleared | MarkPlayed | Dtmf | Typed | Muted | HungUp
    ) -> None: ...


@contextmanager
def a_node_in_a_thread() -> Iterator[str]:
    """Its address, in real time: the command runs a loop of its own."""
    addresses: queue.Queue[str] = queue.Queue()
    stops: queue.Queue[tuple[trio.lowlevel.TrioToken, trio.Event]] = queue.Queue()

    async def node() -> None:
        async with open_system() as system:
            parrot = await system.spawn(Parrot)
            await system.start_child(server(ServerConfig(port=0), {"/media": pcm_wires(parrot)}))
            stop = trio.Event()
            stops.put((trio.lowlevel.current_trio_token(), stop))
            addresses.put(await system.ref("/server/listener").ask(Where()))
            await stop.wait()

    thread = threading.Thread(target=trio.run, args=(node,))
    thread.start()
    token, stop = stops.get(timeout=10)
    try:
        yield addresses.get(timeout=10)
    finally:
        token.run_sync_soon(stop.set)
        thread.join(timeout=10)


def test_the_command_writes_what_was_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Frame(TONE * 15, 16000)
    write_wav(tmp_path / "in.wav", said)
    with a_node_in_a_thread() as address:
        code = run_call(address, tmp_path / "in.wav", tmp_path / "out.wav", patience=0.4)
    assert code == DONE
    heard = read_wav(tmp_path / "out.wav")
    assert heard.pcm.lstrip(b"\0").startswith(said.pcm[:1280])
    assert heard.pcm.count(b"\x01\x02") == said.samples
    told = capsys.readouterr().out
    assert "caller: hello" in told
    assert "the call c-1 is over" in told


def test_nobody_there_is_a_failed_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wav(tmp_path / "in.wav", SAID)
    assert read_wav(tmp_path / "in.wav") == SAID
    assert run_call("ws://127.0.0.1:9/media", tmp_path / "in.wav") == FAILED
    assert "cannot be reached" in capsys.readouterr().err


def test_what_is_shown_is_printed_in_words() -> None:
    shown = Shown(1.5, "said", {"agent": "bob", "text": "Well", "interrupted": True})
    assert line_of(shown) == "   1.50 s  bob: Well -- interrupted"
    turn = Shown(2, "turn", {"turn": 1, "parts_ms": {"stt": 20.0, "llm": 300.2}, "total_ms": 320.2})
    assert line_of(turn) == "   2.00 s  turn 1: 320 ms (stt 20, llm 300)"
    floors = Shown(2, "floors", {"user": "quiet"})
    assert line_of(floors) == ""
    assert "quiet" in line_of(floors, verbose=True)
