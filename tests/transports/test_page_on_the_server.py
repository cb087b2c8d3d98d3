"""The talk page in a real browser on the real server: both sides of the wire as they ship."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from models.audio import Frame
from supervision import Actor, handles, open_system
from supervision.secret import Secret
from tests.transports.browser import PATIENCE, open_browser, open_page, snapshot, wait_for
from tests.transports.page_server import tone
from transports.leg import (
    Attach,
    Attached,
    Clear,
    Cleared,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    SendMark,
    ShowTranscript,
    Typed,
    WireEvent,
)
from transports.server import ServerConfig, Where, server
from transports.server.tree import pcm_wires

RATE = 24000


class Parrot(Actor[Attach | Frame | WireEvent]):
    """A call that does what is written to it."""

    def __init__(self, seen: list[object]) -> None:
        super().__init__()
        self._seen = seen

    @handles
    def on_attach(self, message: Attach) -> Attached:
        self._seen.append(message)
        self._wire = message.wire
        resumed = message.resume is not None
        return Attached("c-1", "a", self.ref, self.ref, Secret("the-way-back"), resumed)

    @handles
    def on_frame(self, message: Frame) -> None:
        self._seen.append(message)

    @handles
    def on_event(self, message: Played | Cleared | MarkPlayed | Dtmf | Muted | HungUp) -> None:
        self._seen.append(message)

    @handles
    def on_typed(self, message: Typed) -> None:
        self._wire.tell(ShowTranscript(1, message.text, True, "a"))
        match message.text:
            case "speak":
                self._say(0.5)
                self._wire.tell(SendMark("said"))
            case "speak long":
                self._say(2.0)
            case "stop":
                self._wire.tell(Clear(1))

    def _say(self, seconds: float) -> None:
        sound = tone(seconds, RATE)
        for at in range(0, len(sound), RATE // 25):
            self._wire.tell(Frame(sound[at : at + RATE // 25], RATE))


@contextmanager
def _node() -> Iterator[tuple[str, list[object]]]:
    """A node in a thread of its own: its address, and what its call has seen."""
    seen: list[object] = []
    started: list[tuple[str, trio.lowlevel.TrioToken, trio.Event]] = []
    running = threading.Event()

    async def run() -> None:
        async with open_system() as system:
            parrot = await system.spawn(Parrot, seen, path="/parrot")
            await system.start_child(server(ServerConfig(port=0), {"/media": pcm_wires(parrot)}))
            address = await system.ref("/server/listener").ask(Where())
            over = trio.Event()
            started.append((address, trio.lowlevel.current_trio_token(), over))
            running.set()
            await over.wait()

    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    assert running.wait(PATIENCE), "the node did not start"
    address, token, over = started[0]
    try:
        yield address, seen
    finally:
        token.run_sync_soon(over.set)
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


def _until(page: Any, seen: list[object], kind: type[Any], **fields: object) -> Any:
    """The newest of the call's events of that kind, once it has these fields."""
    for _ in range(1000):
        found = [one for one in list(seen) if isinstance(one, kind)]
        if found and all(getattr(found[-1], name) == fields[name] for name in fields):
            return found[-1]
        page.wait_for_timeout(10)
    raise AssertionError(f"never: {kind.__name__} {fields}; the last is {found[-1:]}")


def _write(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")


def test_a_call_goes_well_from_the_first_word_to_the_last(browser: Any) -> None:
    with _node() as (address, seen), open_page(browser) as page:
        page.goto(f"{address}/?agent=ada&processing=off")
        page.click("#connect")
        wait_for(page, "it.state === 'live'")
        attach = _until(page, seen, Attach)
        assert (attach.rate_in, attach.rate_out, attach.agent) == (16000, RATE, "ada")
        assert attach.capabilities.reports_played
        assert attach.capabilities.counts_cleared
        assert attach.capabilities.shows
        assert _until(page, seen, Frame).samples == 320

        _write(page, "speak")
        _until(page, seen, MarkPlayed, name="said")
        _until(page, seen, Played, samples=RATE // 2)
        wait_for(page, "it.items[0].kind === 'user' && it.items[0].final")

        _write(page, "speak long")
        wait_for(page, f"it.speaker.played > {RATE // 2}")
        _write(page, "stop")
        cleared = _until(page, seen, Cleared, number=1)
        assert RATE // 2 < cleared.samples < RATE // 2 + 2 * RATE
        wait_for(page, "it.speaker.waiting === 0")
        speaker = snapshot(page)["speaker"]
        assert cleared.samples + cleared.dropped == speaker["received"]

        page.click("#mute")
        _until(page, seen, Muted, muted=True)
        page.click("#keypad-open")
        page.click("#keypad button:text-is('7')")
        _until(page, seen, Dtmf, digit="7")

        page.clock.install()
        page.click("#drop")
        wait_for(page, "it.state === 'away'")
        page.clock.run_for(5100)
        page.clock.resume()
        wait_for(page, "it.state === 'live' && it.ready.resumed")
        again = _until(page, seen, Attach)
        assert again.resume.reveal() == "the-way-back"
        assert not any(isinstance(one, HungUp) for one in seen)

        page.click("#hang-up")
        _until(page, seen, HungUp, reason="hung up")
