"""The detector on a real clock: what other threads do, and an engine that does not come back."""

from __future__ import annotations

import threading
from functools import partial
from statistics import median

import attrs
import trio

from models.vad.config import VadConfig
from models.vad.engine import Probabilities, SlotNumbers, Windows
from models.vad.hub import detector_of, vad_spec
from models.vad.levels import Level
from models.vad.protocol import VadLeg, Voice, Window
from models.vad.scripted import LoudnessEngine
from supervision import Actor, handles, open_system
from tests.models.vad.sound import QUIET

EVERY = frozenset(range(1, 400))


@attrs.frozen
class Heard:
    """A leg was told something."""

    at: float
    """In the node's time."""
    voice: Voice


class Listener(Actor[Voice]):
    def __init__(self, channel: trio.MemorySendChannel[Heard]) -> None:
        super().__init__()
        self._channel = channel

    @handles
    def on_voice(self, message: Voice) -> None:
        self._channel.send_nowait(Heard(self.now, message))


def test_work_in_other_threads_does_not_delay_the_detector() -> None:
    """As many jobs as trio has threads, and more behind them: the model has a thread of its own."""
    release = threading.Event()

    async def main() -> list[float]:
        waits = []
        async with open_system() as system, trio.open_nursery() as nursery:
            for _ in range(80):
                nursery.start_soon(trio.to_thread.run_sync, lambda: release.wait(30) and None)
            await system.start_child(vad_spec(VadConfig(), make=LoudnessEngine), parent="/")
            heard, told = trio.open_memory_channel[Heard](10)
            listener = await system.spawn(Listener, heard)
            leg = VadLeg("a", 16000, listener, EVERY, EVERY)
            to = detector_of(system, "/vad")
            for number in range(10):
                begun = trio.current_time()
                to.tell(Window(leg, QUIET, (number + 1) * 512))
                with trio.fail_after(5):
                    waits.append((await told.receive()).at - begun)
                await trio.sleep(0.01)
            release.set()
        return waits

    assert median(trio.run(main)) < 0.05


class Stuck(LoudnessEngine):
    """Takes a window and does not come back."""

    def __init__(self, release: threading.Event) -> None:
        super().__init__()
        self._release = release

    def infer(self, rate: int, windows: Windows, slots: SlotNumbers) -> Probabilities:
        self._release.wait(30)
        return super().infer(rate, windows, slots)


def test_an_engine_that_does_not_come_back_is_replaced() -> None:
    release = threading.Event()
    config = VadConfig(engine_timeout=0.2, engine_failures=2)

    async def main() -> Voice:
        async with open_system() as system:
            await system.start_child(vad_spec(config, make=partial(Stuck, release)), parent="/")
            heard, told = trio.open_memory_channel[Heard](10)
            leg = VadLeg("a", 16000, await system.spawn(Listener, heard))
            to = detector_of(system, "/vad")
            for number in range(3):
                to.tell(Window(leg, QUIET, (number + 1) * 512))
            with trio.fail_after(5):
                first = (await told.receive()).voice
            statistics = system.state("/vad/detector").statistics
            assert statistics is not None
            assert (statistics["engine"], statistics["lost"]) == ("energy", 2)
            release.set()
        return first

    voice = trio.run(main)
    assert (voice.level, voice.start, voice.end) == (Level.LOW, 1024, 1536)
