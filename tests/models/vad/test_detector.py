"""The node's detector: who is told what, when; and what happens when its engine fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import trio

from models.vad.config import VadConfig
from models.vad.detector import MANY_LEGS, VadStatistics, VoiceDetector
from models.vad.engine import Engine, EngineUnavailable, Probabilities, SlotNumbers, Windows
from models.vad.health import Health
from models.vad.hub import detector_of, vad_spec
from models.vad.levels import Level
from models.vad.protocol import LeaveVad, VadLeg, VadMessage, Voice, Window
from models.vad.scripted import LoudnessEngine
from supervision import ActorRef
from supervision.testing import Probe, SystemUnderTest, simulate
from tests.models.vad.sound import LOUD, QUIET

LOUDNESS = VadConfig(engine="loudness")
SILERO = VadConfig()


class Recording(LoudnessEngine):
    """Notes what it is given, and fails when it is told to."""

    def __init__(self, diary: Diary) -> None:
        super().__init__()
        self._diary = diary
        if diary.unavailable:
            raise EngineUnavailable(diary.unavailable)

    @property
    def name(self) -> str:
        return "recording"

    def reset(self, rate: int, slots: SlotNumbers) -> None:
        self._diary.resets.append((rate, slots.tolist()))

    def infer(self, rate: int, windows: Windows, slots: SlotNumbers) -> Probabilities:
        self._diary.batches.append((rate, slots.tolist()))
        self._diary.threads.add(threading.current_thread())
        if self._diary.crashes:
            self._diary.crashes -= 1
            raise RuntimeError("the model fell over")
        return super().infer(rate, windows, slots)


class Diary:
    """What the engines of a test did, over all restarts."""

    def __init__(self, crashes: int = 0, unavailable: str = "") -> None:
        self.crashes = crashes
        self.unavailable = unavailable
        self.batches: list[tuple[int, list[int]]] = []
        self.resets: list[tuple[int, list[int]]] = []
        self.threads: set[threading.Thread] = set()


class Track:
    """A leg that speaks window by window."""

    def __init__(self, to: ActorRef[VadMessage], probe: Probe, name: str = "a") -> None:
        self.leg = VadLeg(name, 16000, probe.ref)
        self.end = 0
        self._to = to

    def say(self, *windows: bytes) -> None:
        for pcm in windows:
            self.end += len(pcm) // 2
            self._to.tell(Window(self.leg, pcm, self.end))


async def start(
    system: SystemUnderTest, config: VadConfig, diary: Diary | None = None
) -> ActorRef[VadMessage]:
    make: Callable[[], Engine] | None = partial(Recording, diary) if diary else None
    await system.start_child(vad_spec(config, make=make), parent="/")
    await trio.sleep(0.001)  # the clock stands still while the engine's thread has work
    return detector_of(system, "/vad")


def statistics(system: SystemUnderTest) -> VadStatistics:
    found = system.state("/vad/detector").statistics
    assert found is not None
    return VadStatistics(**{**found, "health": Health(found["health"])})


def told(probe: Probe) -> list[tuple[Level, int, int, int]]:
    voices = [each for each in probe.received if isinstance(each, Voice)]
    return [(voice.level, voice.run, voice.start, voice.end) for voice in voices]


async def test_a_leg_is_told_what_changed_to_the_sample(system: SystemUnderTest) -> None:
    probe = await system.probe(Voice)
    track = Track(await start(system, LOUDNESS), probe)
    for pcm in [QUIET, QUIET, LOUD, LOUD, LOUD, LOUD, *[QUIET] * 9]:
        track.say(pcm)
        await trio.sleep(0.032)
    assert told(probe) == [
        (Level.LOW, 1, 0, 512),
        (Level.LOW, 2, 0, 1024),
        (Level.HIGH, 1, 1024, 1536),
        (Level.HIGH, 2, 1024, 2048),
        (Level.LOW, 1, 3072, 3584),
        (Level.LOW, 2, 3072, 4096),
        (Level.LOW, 7, 3072, 6656),
    ]


@pytest.mark.parametrize("config", [LOUDNESS, SILERO], ids=["on the loop", "on the thread"])
async def test_a_lone_window_is_answered_at_once_and_a_second_one_gathers(
    system: SystemUnderTest, config: VadConfig
) -> None:
    probe, crowd = await system.probe(Voice), await system.probe(Voice)
    detector = await start(system, config, Diary() if config is SILERO else None)
    for number in range(MANY_LEGS):
        Track(detector, crowd, f"crowd-{number}").say(QUIET)
    await trio.sleep(1)
    first, second, third = (Track(detector, probe, name) for name in "abc")
    begun, batches = system.now, statistics(system).batches
    first.say(LOUD)
    await probe.expect(Voice, within=0.001)
    assert system.now == begun
    await trio.sleep(0.003)
    second.say(LOUD)
    third.say(LOUD)
    assert (await probe.expect(Voice)).leg == "b"
    assert (await probe.expect(Voice)).leg == "c"
    assert system.now == pytest.approx(begun + 0.008, abs=1e-4)
    assert statistics(system).batches == batches + 2


async def test_few_legs_gather_for_a_shorter_time(system: SystemUnderTest) -> None:
    probe = await system.probe(Voice)
    detector = await start(system, LOUDNESS)
    first, second = Track(detector, probe, "a"), Track(detector, probe, "b")
    begun = system.now
    first.say(LOUD)
    await probe.expect(Voice, within=0.001)
    second.say(LOUD)
    await probe.expect(Voice)
    assert system.now == pytest.approx(begun + 2 * 0.008 / MANY_LEGS, abs=1e-5)


async def test_a_full_batch_does_not_wait(system: SystemUnderTest) -> None:
    probe = await system.probe(Voice)
    detector = await start(system, VadConfig(engine="loudness", max_batch=2))
    begun = system.now
    for name in "abcde":
        Track(detector, probe, name).say(LOUD)
    for _ in range(5):
        await probe.expect(Voice)
    assert system.now - begun <= 0.0081
    assert statistics(system).batches == 3, "one alone, two that were full"


async def test_the_model_computes_on_a_thread_of_its_own_in_batches(
    system: SystemUnderTest,
) -> None:
    diary, probe = Diary(), await system.probe(Voice)
    detector = await start(system, SILERO, diary)
    tracks = [Track(detector, probe, str(n)) for n in range(20)]
    for _ in range(3):
        for track in tracks:
            track.say(LOUD)
        await trio.sleep(0.032)
    assert threading.main_thread() not in diary.threads
    assert len(diary.threads) == 1
    assert all(len(set(slots)) == len(slots) for _, slots in diary.batches)
    assert max(len(slots) for _, slots in diary.batches) >= 19
    assert sum(len(slots) for _, slots in diary.batches) == 60
    assert sorted(slot for _, slots in diary.resets for slot in slots) == list(range(20))
    assert len(told(probe)) == 40


async def test_a_burst_of_one_leg_is_handled_in_order(system: SystemUnderTest) -> None:
    probe = await system.probe(Voice)
    track = Track(await start(system, SILERO, Diary()), probe)
    track.say(QUIET, QUIET, LOUD, LOUD, QUIET)
    await trio.sleep(0.1)
    ends = [(level, run, end) for level, run, _, end in told(probe)]
    assert ends == [
        (Level.LOW, 1, 512),
        (Level.LOW, 2, 1024),
        (Level.HIGH, 1, 1536),
        (Level.HIGH, 2, 2048),
        (Level.LOW, 1, 2560),
    ]


async def test_a_leg_that_leaves_is_told_nothing_more_and_one_that_is_silent_is_forgotten(
    system: SystemUnderTest,
) -> None:
    probe = await system.probe(Voice)
    detector = await start(system, LOUDNESS)
    leaving, silent = Track(detector, probe, "a"), Track(detector, probe, "b")
    leaving.say(LOUD, LOUD, LOUD)
    detector.tell(LeaveVad("a"))
    silent.say(QUIET)
    await trio.sleep(50)
    assert len(told(probe)) == 1, "of b; a had left when its windows would have been scored"
    assert statistics(system).legs == 1
    await trio.sleep(20)
    found = statistics(system)
    assert (found.legs, found.reaped) == (0, 1)
    silent.say(QUIET)
    assert (await probe.expect(Voice)).run == 1


async def test_a_crash_of_the_engine_loses_what_it_had_in_hand_and_no_more(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    system.expect_crash("/vad/engine", RuntimeError)
    diary, probe = Diary(crashes=1), await system.probe(Voice)
    track = Track(await start(system, SILERO, diary), probe)
    for _ in range(4):
        track.say(LOUD)
        await trio.sleep(0.032)
    await trio.sleep(1)
    assert told(probe) == [(Level.HIGH, 1, 512, 1024), (Level.HIGH, 2, 512, 1536)]
    found = statistics(system)
    assert (found.lost, found.scored, found.engine) == (1, 3, "recording")
    assert diary.resets == [(16000, [0]), (16000, [0])]
    assert "1 windows are lost" in caplog.text


async def test_an_engine_that_keeps_crashing_is_replaced_and_tried_again_later(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    system.expect_crash("/vad/engine", RuntimeError)
    diary, probe = Diary(crashes=3), await system.probe(Voice)
    track = Track(await start(system, SILERO, diary), probe)
    for _ in range(100):
        track.say(QUIET)
        await trio.sleep(0.1)
    found = statistics(system)
    assert (found.health, found.engine, found.lost) == (Health.RESTING, "energy", 3)
    assert "the model fell over" in found.reason
    assert "the energy engine does the work for now" in caplog.text
    assert [level for level, *_ in told(probe)] == [Level.LOW] * 3
    await trio.sleep(66)
    assert statistics(system).engine == "recording"
    track.say(LOUD)
    await trio.sleep(0.1)
    assert told(probe)[-1][:2] == (Level.HIGH, 1)


async def test_an_engine_that_cannot_run_costs_nothing_but_itself(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    diary, probe = Diary(unavailable="no such file"), await system.probe(Voice)
    track = Track(await start(system, SILERO, diary), probe)
    for _ in range(10):
        track.say(QUIET)
        await trio.sleep(0.032)
    assert [run for _, run, *_ in told(probe)] == [1, 2, 7]
    found = statistics(system)
    assert (found.engine, found.reason, found.lost) == ("energy", "no such file", 0)
    await trio.sleep(600)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, "not every minute"
    diary.unavailable = ""
    await system.restart("/vad/engine")
    await trio.sleep(66)
    assert statistics(system).health is Health.WELL


async def test_a_missing_model_file_is_a_warning(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
    await start(system, VadConfig(model="/nowhere/silero.onnx"))
    assert "there is no model file '/nowhere/silero.onnx'" in caplog.text


@pytest.mark.parametrize("what", ["/vad/detector", "/vad/engine", "/vad"])
async def test_a_restart_in_mid_stream_keeps_the_ref_and_begins_a_new_run(
    system: SystemUnderTest, what: str
) -> None:
    probe = await system.probe(Voice)
    track = Track(await start(system, SILERO, Diary()), probe)
    track.say(LOUD)
    await probe.expect(Voice)
    await system.restart(what)
    await trio.sleep(0.1)
    track.say(LOUD)
    voice = await probe.expect(Voice)
    assert (voice.level, voice.end) == (Level.HIGH, 1024)
    expected = (2, 0) if what == "/vad/engine" else (1, 512)
    assert (voice.run, voice.start) == expected


async def test_windows_that_come_while_the_detector_restarts_are_not_lost(
    system: SystemUnderTest,
) -> None:
    probe = await system.probe(Voice)
    track = Track(await start(system, LOUDNESS), probe)
    track.say(LOUD)
    await probe.expect(Voice)
    system.suspend("/vad/detector")
    await system.settle()
    track.say(LOUD, LOUD)
    await system.restart("/vad/detector")
    system.resume("/vad/detector")
    assert (await probe.expect(Voice)).end == 1024
    assert (await probe.expect(Voice)).run == 2


async def test_what_is_no_window_is_refused_and_said_once(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    probe = await system.probe(Voice)
    track = Track(await start(system, LOUDNESS), probe)
    track.say(b"12", b"12", LOUD)
    assert (await probe.expect(Voice)).level is Level.HIGH
    assert caplog.text.count("is not heard") == 1
    assert statistics(system).refused == 2


async def many_legs(system: SystemUnderTest) -> list[tuple[str, Level, int, int]]:
    probe, loud = await system.probe(Voice), np.random.default_rng(7).random((6, 40)) < 0.5
    detector = await start(system, SILERO, Diary())
    tracks = [Track(detector, probe, str(n)) for n in range(6)]
    for number in range(40):
        for track, line in zip(tracks, loud, strict=True):
            track.say(LOUD if line[number] else QUIET)
            await trio.sleep(0.032 / 6)
    await trio.sleep(0.1)
    assert statistics(system).scored == 240
    voices = sorted(probe.received, key=lambda voice: (voice.leg, voice.end))
    assert [v for v in probe.received if v.leg == "3"] == [v for v in voices if v.leg == "3"]
    return [(voice.leg, voice.level, voice.run, voice.end) for voice in voices]


def test_in_whatever_order_actors_run_legs_are_told_the_same() -> None:
    results = [simulate(many_legs, seed).result for seed in range(10)]
    assert all(result == results[0] for result in results)
    assert len(results[0]) > 100


async def a_model_that_falls_over(system: SystemUnderTest) -> tuple[int, int]:
    system.expect_crash("/vad/engine", RuntimeError)
    probe, diary = await system.probe(Voice), Diary()
    detector = await start(system, SILERO, diary)
    tracks = [Track(detector, probe, str(n)) for n in range(4)]
    for number in range(40):
        if number % 10 == 3:
            diary.crashes = 1
        for track in tracks:
            track.say(LOUD if number % 3 else QUIET)
            await trio.sleep(0.008)
    await trio.sleep(5)
    found = statistics(system)
    assert found.heard == found.scored + found.lost + found.dropped == 160
    assert (found.engine, found.waiting, diary.crashes) == ("recording", 0, 0)
    for track in tracks:
        ends = [voice.end for voice in probe.received if voice.leg == track.leg.id]
        assert ends == sorted(set(ends)), "in order, none told twice"
    return found.lost, found.dropped


@pytest.mark.parametrize("seed", range(10))
def test_whenever_the_model_falls_over_each_window_is_accounted_for(seed: int) -> None:
    lost, _dropped = simulate(a_model_that_falls_over, seed).result
    assert 4 <= lost <= 16


async def test_only_silero_needs_a_thread(system: SystemUnderTest) -> None:
    await system.start_child(vad_spec(VadConfig(engine="energy")), parent="/")
    await system.start_child(vad_spec(VadConfig(), id="other", make=LoudnessEngine), parent="/")
    assert system.find("/vad/engine") is None
    assert system.find("/other/engine") is not None
    await trio.sleep(0.001)


def test_a_detector_says_in_a_line_what_it_is_doing() -> None:
    detector = VoiceDetector(LOUDNESS, "", LoudnessEngine)
    assert repr(detector) == "<VoiceDetector loudness: 0 legs, nothing under way>"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("engine", "webrtc"),
        ("gather_ms", -1),
        ("gather_ms", float("nan")),
        ("max_batch", 0),
        ("backlog", 0),
        ("max_legs", 0),
        ("leg_timeout", 0),
        ("engine_timeout", float("inf")),
        ("engine_failures", 0),
        ("engine_rest", 0),
        ("loudness", 0),
    ],
)
def test_what_makes_no_sense_is_not_configured(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        VadConfig(**{field: value})  # type: ignore[arg-type]
