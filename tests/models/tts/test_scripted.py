from __future__ import annotations

from functools import partial

import pytest
import trio

from models.faults import FaultKind, ModelFault, ScriptedCrash
from models.spoken import Listener, speech_pcm
from models.stt.scripted import ScriptedStt
from models.tts.protocol import CancelSpeech, Synthesized
from models.tts.scripted import (
    ScriptedTts,
    ScriptedTtsConfig,
    TtsFault,
    TtsPlan,
    TtsTrouble,
)
from models.words import Word
from supervision import ActorCrashed
from supervision.testing import SystemUnderTest, simulate
from tests.models.stt.conformance import Ears, open_line
from tests.models.tts.conformance import Mouth, TtsConformance, a_speaker, answer


async def scripted(
    system: SystemUnderTest, *faults: TtsFault, config: ScriptedTtsConfig | None = None
) -> Mouth:
    plan = TtsPlan(faults)
    ref = await system.spawn(partial(ScriptedTts, config, plan), path="/tts")

    def crash() -> None:
        system.expect_crash("/tts", ScriptedCrash)
        plan._faults = (TtsFault(TtsTrouble.CRASH, piece=1, after_words=2),)

    return Mouth(system, ref, crash=crash, slack=0)


class TestAtOnce(TtsConformance):
    @pytest.fixture
    async def mouth(self, system: SystemUnderTest) -> Mouth:
        return await scripted(system)


class TestInRealTime(TtsConformance):
    @pytest.fixture
    async def mouth(self, system: SystemUnderTest) -> Mouth:
        return await scripted(system, config=ScriptedTtsConfig(real_time_factor=0.2))


async def test_every_word_takes_exactly_its_time(system: SystemUnderTest) -> None:
    speaker = await a_speaker(await scripted(system))
    assert await answer(speaker.say("u-1", "Two pizzas, please.")) == Synthesized("u-1", 0, 0.9)
    assert speaker.words("u-1") == [
        Word("Two", 0.0, 0.3),
        Word("pizzas,", 0.3, 0.6),
        Word("please.", 0.6, 0.9),
    ]
    pcm = b"".join(audio.pcm for audio in speaker.kept)
    assert pcm == speech_pcm("Two pizzas, please.")


async def test_what_it_says_a_scripted_recogniser_understands(system: SystemUnderTest) -> None:
    speaker = await a_speaker(await scripted(system))
    await answer(speaker.say("u-1", "It costs 3 €, all in all."))
    stt = await system.spawn(ScriptedStt, path="/stt")
    line = await open_line(Ears(system, stt, say=speech_pcm, crash=lambda: None), "s-1")
    for audio in speaker.kept:
        line.hear(audio.pcm)
    final = await line.flush(1)
    await line.close()
    assert final.text == "It costs 3 €, all in all."
    assert list(final.words) == speaker.words("u-1")


async def test_a_word_that_has_no_room_takes_the_time_it_needs(system: SystemUnderTest) -> None:
    speaker = await a_speaker(await scripted(system))
    await answer(speaker.say("u-1", "x" * 100))
    listener = Listener(16000)
    for audio in speaker.kept:
        listener.hear(audio.pcm)
    assert listener.words() == (Word("x" * 100, 0.0, 0.65),)


async def test_words_come_at_the_pace_asked_for(system: SystemUnderTest) -> None:
    config = ScriptedTtsConfig(first_byte=0.2, real_time_factor=0.5)
    speaker = await a_speaker(await scripted(system, config=config))
    began = system.now
    reply = speaker.say("u-1", "one two three")
    await speaker.began.wait()
    assert system.now - began == pytest.approx(0.2)
    await reply
    assert system.now - began == pytest.approx(0.2 + 3 * 0.15)


async def test_a_piece_fails_after_so_many_words_and_the_next_goes_on(
    system: SystemUnderTest,
) -> None:
    fault = TtsFault(TtsTrouble.FAIL, piece=1, after_words=2, kind=FaultKind.TIMEOUT)
    speaker = await a_speaker(await scripted(system, fault))
    first = speaker.say("u-1", "one two three", last=False)
    second = speaker.say("u-1", "four", piece=1)
    assert await answer(first) == ModelFault("scripted", FaultKind.TIMEOUT, "as planned")
    assert [word.text for word in speaker.words("u-1")] == ["one", "two"]
    assert await answer(second) == Synthesized("u-1", 1, 0.3)


async def test_a_word_can_crash_it(system: SystemUnderTest) -> None:
    system.expect_crash("/tts", ScriptedCrash)
    speaker = await a_speaker(
        await scripted(system, TtsFault(TtsTrouble.CRASH, piece=0, at_word="bang"))
    )
    with pytest.raises(ActorCrashed):
        await speaker.say("u-1", "one bang two")
    assert [word.text for word in speaker.words("u-1")] == ["one"]
    assert isinstance(await answer(speaker.say("u-2", "one two")), Synthesized)


@pytest.mark.parametrize("words", [0, 2])
async def test_a_stalled_piece_says_no_more_until_it_is_cancelled(
    system: SystemUnderTest, words: int
) -> None:
    mouth = await scripted(system, TtsFault(TtsTrouble.STALL, after_words=words))
    speaker = await a_speaker(mouth)
    reply = speaker.say("u-1", "one two three")
    await trio.sleep(60)
    assert len(speaker.words("u-1")) == words
    mouth.ref.tell(CancelSpeech("u-1"))
    assert await answer(reply) == ModelFault("scripted", FaultKind.CANCELLED)


async def test_two_hundred_speak_at_once(system: SystemUnderTest) -> None:
    speaker = await a_speaker(
        await scripted(system, config=ScriptedTtsConfig(real_time_factor=1.0))
    )
    replies = [speaker.say(f"u-{n}", "one two three") for n in range(200)]
    began = system.now
    for reply in replies:
        await reply
    assert system.now - began == pytest.approx(0.95)
    assert all(speaker.seconds(f"u-{n}") == pytest.approx(0.9) for n in range(200))


async def everybody_says_and_hears(system: SystemUnderTest) -> None:
    """Ten calls at once, each a voice of its own and ears of its own."""
    tts = await system.spawn(ScriptedTts, ScriptedTtsConfig(real_time_factor=0.3))
    stt = await system.spawn(ScriptedStt)
    mouth = Mouth(system, tts, crash=lambda: None)
    ears = Ears(system, stt, say=speech_pcm, crash=lambda: None)

    async def call(number: int) -> None:
        speaker = await a_speaker(mouth)
        text = f"this is call number {number} speaking"
        await answer(speaker.say(f"u-{number}", text))
        line = await open_line(ears, f"s-{number}")
        for audio in speaker.kept:
            line.hear(audio.pcm)
        assert (await line.flush(1)).text == text
        await line.close()

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(call, number)


@pytest.mark.parametrize("seed", range(5))
def test_ten_calls_do_not_mix_in_any_order_of_events(seed: int) -> None:
    simulate(everybody_says_and_hears, seed)
