"""Rows of the failure table (voice-quality §7) that a real clock and real sockets must show."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import attrs
import numpy as np
import pytest
import trio

from actors.call.exchange import Exchange, ExchangeConfig
from actors.testing import CallRig, say
from models.audio import read_wav
from models.conversation import AgentSaid, UserSaid
from models.llm.protocol import Generate
from models.llm.scripted import Reply, Say
from models.scripted import ScriptedTtsConfig
from models.stt.protocol import Audio, CloseStream, Flush, OpenStream, StreamClosed
from supervision import Actor, Promise, handles
from supervision.testing import SystemUnderTest
from tests.live.caller import caller
from tests.live.nodes import Rig, config_for_tests, rig, running_node
from tests.live.voice import need_local_models
from transports.leg import ShowFloors
from transports.server import ServerConfig, Where, server
from transports.server.tree import pcm_wires

COUNTING = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
PHRASE = Path(__file__).parents[2] / "bench/phrases/wait-i-have-a-question.wav"


def replies(request: Generate) -> Reply | str:
    said = [item.text for item in request.context if isinstance(item, UserSaid)]
    if not said:
        return "Good morning."
    if "count" in said[-1]:
        return Reply(*(Say(f"{word} ", after=0.01) for word in COUNTING.split()))
    return f"You said {said[-1]}."


# -- row 6: nothing old is heard after the cut ------------------------------------------------


async def test_row_6_a_peer_that_buffers_3_seconds_plays_nothing_old_after_the_flush() -> None:
    """RC: a telephone gateway with a long buffer, one that counts and one that does not."""
    tts = ScriptedTtsConfig(seconds_per_word=0.25)
    async with rig(replies, tts=tts) as node, trio.open_nursery() as nursery:
        nursery.start_soon(_interrupt_a_long_buffer, node, True)
        nursery.start_soon(_interrupt_a_long_buffer, node, False)


async def _interrupt_a_long_buffer(node: Rig, counts: bool) -> None:
    async with caller(node.media, buffer=3.0, answers=counts) as person:
        await person.wait(lambda: person.ears.received > person.rate // 4, "the greeting")
        await person.write("count please")
        await person.wait_shown("turn")
        # By now seconds of sound wait in the buffer, of which little or nothing was played.
        await person.wait(lambda: "two" in person.heard_words(), "counting")
        flushes = len(person.cleared_at)
        dropped = person.ears.dropped
        person.say(say("hello", 0.15))
        await person.wait(lambda: len(person.cleared_at) > flushes, "the flush")
        cut_at = person.cleared_at[flushes]
        assert person.ears.dropped > dropped + (0 if counts else person.rate // 2)
        before = set(person.heard_words().split())
        await person.wait(lambda: "You said hello." in person.heard_words(), "the answer")
        counted = set(COUNTING.split()).intersection(person.heard_words().split())
        assert counted <= before, "something old was heard"
        heard = person.ears.heard(trio.current_time())
        after = min(piece.start for piece in heard if piece.start >= cut_at)
        assert after >= cut_at + 3.0 - 0.02, "whatever comes first went through the buffer"
        history = (await node.status(person.call)).history
        cut = [i for i in history if isinstance(i, AgentSaid) and i.interrupted][-1]
        if counts:
            assert cut.text in person.heard_words()


# -- row 12: the first syllable ---------------------------------------------------------------


@attrs.define(eq=False)
class Tape:
    """Everything a recogniser was given, by stream."""

    sounds: dict[str, bytearray] = attrs.field(factory=lambda: defaultdict(bytearray))


class Recorder(Actor[OpenStream | Audio | Flush | CloseStream]):
    """A recogniser that understands nothing and keeps everything."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape
        self._open: dict[str, Promise[StreamClosed]] = {}

    @handles
    def on_open(self, message: OpenStream) -> None:
        assert message.rate == 16000
        self._open[message.stream] = self.defer()

    @handles
    def on_audio(self, message: Audio) -> None:
        self._tape.sounds[message.stream] += message.pcm

    @handles
    def on_flush(self, message: Flush) -> None: ...

    @handles
    def on_close(self, message: CloseStream) -> None:
        promise = self._open.pop(message.stream, None)
        if promise is not None:
            promise.resolve(StreamClosed(message.stream))


async def test_row_12_the_recogniser_hears_300_ms_before_the_onset_to_the_sample() -> None:
    """RC: barge-in while the agent speaks; what STT receives is what was sent, from there on."""
    tape = Tape()
    quiet = np.random.default_rng(12).integers(-40, 40, 3 * 16000).astype("<i2")
    spoken = np.frombuffer(say("wait a moment"), "<i2")
    onset = len(quiet) // 2
    sent = np.concatenate((quiet[:onset], spoken, quiet[onset:])).tobytes()
    async with rig([COUNTING]) as node:
        await node.system.spawn(lambda: Recorder(tape), path="/recorder")
        plan = attrs.evolve(node.calls.plan, recognisers=("/recorder",))
        exchange = await node.system.spawn(
            lambda: Exchange(plan, ExchangeConfig()), path="/exchange-12"
        )
        wires = {"/media": pcm_wires(exchange)}
        await node.system.start_child(
            attrs.evolve(server(ServerConfig(port=0), wires), id="server-12")
        )
        address = await node.system.ref("/server-12/listener").ask(Where())
        async with caller(address.replace("http", "ws") + "/media") as person:
            person.say(sent)
            await trio.sleep(len(sent) / 32000 + 0.2)
        (sound,) = tape.sounds.values()
        await node.system.stop("/server-12")
    # Background noise differs everywhere: where its first bytes are found is where they were sent.
    begins = sent.find(bytes(sound[:640]))
    assert begins >= 0
    assert begins % 2 == 0
    assert begins // 2 <= onset - round(0.3 * 16000)
    heard = bytes(sound).rstrip(b"\0")
    assert sent[begins:].startswith(heard[: len(sent) - begins])
    assert begins // 2 + len(heard) // 2 >= onset + len(spoken)


# -- row 34: a full thread pool ---------------------------------------------------------------


async def _block_the_pool(jobs: int, seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(jobs):
            nursery.start_soon(trio.to_thread.run_sync, time.sleep, seconds)


def test_row_34_forty_blocking_jobs_in_the_pool_do_not_delay_the_voice_detector() -> None:
    """RC: promise V1, one phrase with the real detector, while trio's own pool is full."""
    need_local_models()
    phrase = read_wav(PHRASE)
    assert phrase.rate == 16000

    async def interrupt(media: str) -> float:
        async with caller(media) as person:
            await person.wait_shown("speech")
            await trio.sleep(1.5)
            said_at = person.say(phrase.pcm)
            await person.wait(lambda: person.cleared_at, "silence")
            return person.cleared_at[0] - said_at

    with running_node(config_for_tests()) as node, node.beside(_block_the_pool, 40, 3.0):
        took = trio.run(interrupt, node.address.replace("http", "ws") + "/media")
    # V1's p95 and what the test's own microphone adds: a tick of 20 ms, twice.
    assert 0.0 < took < 0.140 + 0.040


# -- row 35: frames of any size ---------------------------------------------------------------


LONGEST_FRAME = 1600
"""Samples: 100 ms. No microphone sends more at a time."""


async def _events(system: SystemUnderTest, calls: CallRig, samples: int) -> dict[str, float]:
    """When what was noticed of a sentence that comes in frames of that size, from its beginning.

    A frame cannot come before its last sample was spoken, so the floors' times are less that.
    """
    # All of it in such frames: so the detector's windows lie where they always lie.
    person = await calls.call(microphone=False)
    answered = system.now
    sound = bytes(2 * 16000) + say("two pizzas please") + bytes(3 * 16000)
    began = system.now + 1.0
    person.speak(sound, frame_samples=samples)
    await trio.sleep(4.5)
    floors = person.of_type(ShowFloors)
    times = {floor.user: answered + floor.at - began for floor in reversed(floors)}
    (said,) = [item for item in await calls.history(person) if isinstance(item, UserSaid)]
    assert said.text == "two pizzas please"
    person.hang_up()
    await person.wait_gone()
    return {"said": said.at - began, "onset": times["onset"], "trailing": times["trailing"]}


@pytest.mark.parametrize("samples", [1, 7, 160, 319, 320, 333, 512, 800, 1024, 2000, 4999, 5000])
async def test_row_35_frames_of_any_size_give_the_same_events_within_20_ms(
    system: SystemUnderTest, samples: int
) -> None:
    calls = await CallRig.open(system, replies)
    usual = await _events(system, calls, 320)
    other = await _events(system, calls, samples)
    waits = max(0, samples - 320) / 16000
    assert abs(other["said"] - usual["said"]) <= 0.020
    if samples > LONGEST_FRAME:
        return  # so much comes at once that states come and go unseen: what counts is the turn
    for event in ("onset", "trailing"):
        assert abs(other[event] - usual[event]) <= 0.020 + waits, (event, other, usual)


# -- row 36: a resampling leg -----------------------------------------------------------------


async def test_row_36_a_resampling_leg_has_no_gaps_and_takes_the_time_it_should() -> None:
    """RC: a voice of 22.05 kHz on a leg of 24 kHz."""
    words = [f"word{number}" for number in range(12)]
    tts = ScriptedTtsConfig(rate=22050)
    answer = " ".join(words)
    async with rig([answer], tts=tts) as node, caller(node.media, rate=24000) as person:
        await person.wait_shown("said", text=answer)
        heard = [p for p in person.ears.heard(trio.current_time()) if not p.silent]
        gaps = [after.start - before.end for before, after in pairwise(heard)]
        assert max(gaps) < 0.001
        begins, ends = heard[0].start, heard[-1].end
        assert abs(ends - begins - len(words) * tts.seconds_per_word) < 0.05
        quietest = min(
            person.loudness(begins + at / 100, begins + at / 100 + 0.01)
            for at in range(3, round(100 * (ends - begins)) - 3)
        )
        assert quietest > 0.1, "a hole in the sound"
