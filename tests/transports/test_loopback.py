import pytest
import trio

from models.audio import Frame
from supervision import Refuse, Refused
from supervision.testing import SystemUnderTest
from tests.transports.hosts import fake_host
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
    Typed,
)
from transports.loopback import Loopback, Lost, Microphones

TONE = b"\x01\x02" * 320
"""20 ms at 16 kHz."""


async def test_what_is_spoken_arrives_in_real_time_20_ms_at_a_time(
    system: SystemUnderTest,
) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, microphone=False)
    await person.attach()
    spoken = person.speak(TONE * 5 + b"\x01\x02" * 10)
    assert spoken.end - spoken.start == pytest.approx(0.1 + 10 / 16000)
    await trio.sleep(0.05)
    assert [frame.samples for frame in call.frames] == [320, 320]
    await trio.sleep(0.2)
    assert [frame.samples for frame in call.frames] == [320] * 5 + [10]
    assert call.heard == TONE * 5 + b"\x01\x02" * 10
    assert not person.speaking


async def test_a_microphone_sends_silence_between_words(system: SystemUnderTest) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref)
    await person.attach()
    await trio.sleep(0.11)
    spoken = person.speak(TONE)
    assert spoken.start == pytest.approx(system.now - 0.01)
    await trio.sleep(0.1)
    assert call.heard == bytes(640) * 5 + TONE + bytes(640) * 4


async def test_many_microphones_share_a_beat(system: SystemUnderTest) -> None:
    microphones = await system.spawn(Microphones)
    calls = [await fake_host(system) for _ in range(3)]
    people = [Loopback(system, call.host.ref, microphones=microphones) for call in calls]
    for person in people:
        await person.attach()
        await trio.sleep(0.004)
    people[1].speak(TONE * 3)
    people[2].mute()
    await trio.sleep(0.2)
    assert calls[0].heard == bytes(640) * len(calls[0].frames)
    assert 9 <= len(calls[0].frames) <= 11
    assert calls[1].heard.strip(b"\0") == TONE * 3
    assert calls[2].frames == []
    people[1].drop()
    await people[1].wait_gone()
    heard = len(calls[1].frames)
    await trio.sleep(0.2)
    assert len(calls[1].frames) == heard
    await people[1].reattach()
    await trio.sleep(0.2)
    assert len(calls[1].frames) - heard == pytest.approx(10, abs=1)


async def test_frames_may_have_any_size(system: SystemUnderTest) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, microphone=False)
    await person.attach()
    person.speak(TONE, frame_samples=100)
    await trio.sleep(1)
    assert [frame.samples for frame in call.frames] == [100, 100, 100, 20]


async def test_it_counts_what_it_played_and_reports_it_while_it_plays(
    system: SystemUnderTest,
) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, buffer=0.0, microphone=False)
    await person.attach()
    assert person.wire is not None
    for _ in range(15):
        person.wire.tell(Frame(TONE, 16000))
    await trio.sleep(2)
    assert call.of(Played) == [Played(1600), Played(3200), Played(4800)]
    assert person.heard_pcm() == TONE * 15
    assert person.heard()[-1].end == pytest.approx(person.audible_until())


async def test_a_clear_is_answered_exactly_and_marks_behind_it_are_never_played(
    system: SystemUnderTest,
) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, buffer=0.0, microphone=False)
    await person.attach()
    assert person.wire is not None
    for _ in range(5):
        person.wire.tell(Frame(TONE, 16000))
    person.wire.tell(SendMark("end"))
    await trio.sleep(0.05)
    person.wire.tell(Clear(3))
    person.wire.tell(SendMark("after"))
    await trio.sleep(1)
    assert call.of(Cleared) == [Cleared(3, 800, 800)]
    assert call.of(MarkPlayed) == [MarkPlayed("after")]
    assert call.of(Played)[-1] == Played(800)


async def test_latency_delays_what_it_hears_and_what_it_says_of_it(
    system: SystemUnderTest,
) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, buffer=0.0, latency=0.05, microphone=False)
    await person.attach()
    assert person.wire is not None
    sent = system.now
    person.wire.tell(Frame(TONE, 16000))
    person.wire.tell(SendMark("m"))
    await call.events.expect(MarkPlayed)
    assert system.now - sent == pytest.approx(0.05 + 0.02 + 0.05)
    assert person.heard()[0].start - sent == pytest.approx(0.05)


async def test_a_dropped_wire_says_nothing_and_the_person_comes_back(
    system: SystemUnderTest,
) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, microphone=False)
    first = await person.attach()
    person.drop()
    await person.wait_gone()
    assert call.of(HungUp) == []
    assert (await person.expect(Lost)).reason == "dropped"
    again = await person.reattach()
    assert call.attaches[-1].resume == first.resume
    assert again.resumed
    person.speak(TONE)
    await trio.sleep(0.1)
    assert call.heard == TONE


async def test_whoever_does_not_read_for_two_seconds_is_lost(system: SystemUnderTest) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, microphone=False)
    await person.attach()
    assert person.wire is not None
    person.stop_reading()
    await trio.sleep(5)  # nothing was sent, so nothing is late
    person.wire.tell(Frame(TONE, 16000))
    await trio.sleep(1.9)
    assert person.of_type(Lost) == []
    await trio.sleep(0.2)
    assert await person.expect(Lost) == Lost("the far end does not read")
    assert not person.wire.alive


async def test_whoever_reads_again_in_time_hears_all_of_it(system: SystemUnderTest) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, microphone=False)
    await person.attach()
    assert person.wire is not None
    person.stop_reading()
    person.wire.tell(Frame(TONE, 16000))
    person.wire.tell(ShowNotice("hello"))
    await trio.sleep(1)
    assert person.of_type(ShowNotice) == []
    person.resume_reading()
    await trio.sleep(5)
    assert person.heard_pcm() == TONE
    assert await person.expect(ShowNotice) == ShowNotice("hello")


async def test_keys_writing_muting_and_hanging_up(system: SystemUnderTest) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref)
    await person.attach()
    person.press("5")
    person.write("hello")
    person.mute()
    await trio.sleep(0.1)
    assert call.frames == []
    person.mute(False)
    await trio.sleep(0.09)
    person.hang_up("bye")
    await person.wait_gone()
    typed, pressed = Typed("hello"), Dtmf("5")
    assert call.events.received == [pressed, typed, Muted(True), Muted(False), HungUp("bye")]
    assert len(call.frames) == 5


async def test_the_call_hangs_up(system: SystemUnderTest) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref)
    await person.attach()
    assert person.wire is not None
    person.wire.tell(CloseWire("over"))
    await person.wait_gone()
    assert await person.expect(CloseWire) == CloseWire("over")
    assert call.of(HungUp) == []


async def test_whoever_is_refused_leaves_nothing(system: SystemUnderTest) -> None:
    host = await system.probe(Attach)

    def refuse(_request: Attach) -> Attached:
        raise Refuse("full")

    host.answer(Attach, refuse)
    person = Loopback(system, host.ref)
    with pytest.raises(Refused, match="full"):
        await person.attach()
    assert person.wire is None


async def test_waiting_for_sound_and_for_quiet(system: SystemUnderTest) -> None:
    call = await fake_host(system)
    person = Loopback(system, call.host.ref, buffer=0.0)
    await person.attach()
    assert person.wire is not None
    began = system.now
    for _ in range(50):
        person.wire.tell(Frame(TONE, 16000))
    await person.wait_heard(0.5)
    assert system.now - began == pytest.approx(0.5, abs=0.01)
    await person.wait_quiet(0.5)
    assert system.now - began == pytest.approx(1.5, abs=0.05)
    with pytest.raises(AssertionError, match="not 2"):
        await person.wait_heard(2, within=0.2)
