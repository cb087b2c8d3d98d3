from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from models.faults import FaultKind, ModelFault
from models.local import EngineMissing
from models.tts.espeak import FRONT, EspeakConfig, espeak_spec
from models.tts.protocol import CancelSpeech, Synthesize, Synthesized
from supervision import SupervisionConfig
from supervision.faults import Fault, InjectedFault
from supervision.testing import SystemUnderTest, system_under_test
from tests.models.tts.conformance import Mouth, Speaker, TtsConformance, a_speaker, answer

pytest.importorskip("espeakng_loader")


@pytest.fixture
async def node(autojump_clock: MockClock) -> AsyncIterator[SystemUnderTest]:
    async with system_under_test(SupervisionConfig(fault_injection=True)) as system:
        yield system


async def espeak(system: SystemUnderTest, config: EspeakConfig | None = None) -> Mouth:
    await system.start_child(espeak_spec(config or EspeakConfig(), "tts"))
    ref = system.ref(f"/tts/{FRONT}")

    def crash() -> None:
        system.expect_crash(f"/tts/{FRONT}", InjectedFault)
        system.inject(f"/tts/{FRONT}", Fault("crash", CancelSpeech, times=1))
        ref.tell(CancelSpeech("nobody"))

    return Mouth(system, ref, crash)


class TestEspeak(TtsConformance):
    @pytest.fixture
    async def mouth(self, node: SystemUnderTest) -> Mouth:
        return await espeak(node)


TEXTS = (
    "Hello there, Größe two pizzas — please. It costs $3.50 at 10:30 on St. John's, well-known.",
    "— hm ... (really) !!! 'quoted' &amp; <b>x</b>; 1,000,000 U.S.A. a/b and/or foo@bar.com",
    "A cup of tea in the garden, — of the queen.",
    "...",
    "😀 你好 hi\t\n there\0zero",
    "[[h@l'oU]] ok",
)


@pytest.mark.parametrize("text", TEXTS)
async def test_every_word_of_any_text_has_its_time(node: SystemUnderTest, text: str) -> None:
    speaker = await a_speaker(await espeak(node))
    done = await answer(speaker.say("u-1", text))
    assert isinstance(done, Synthesized)
    words = speaker.words("u-1")
    assert [word.text for word in words] == text.split()
    edge = 0.0
    for word in words:
        assert edge <= word.start <= word.end <= done.seconds
        edge = word.end
    # What is spoken takes its time: only marks may take none.
    assert all(w.end > w.start for w in words if any(c.isalpha() for c in w.text))


async def test_a_word_ends_where_its_voice_does(node: SystemUnderTest) -> None:
    speaker = await a_speaker(await espeak(node))
    await answer(speaker.say("u-1", "Two pizzas, please."))
    pizzas, please = speaker.words("u-1")[1:]
    assert please.start - pizzas.end > 0.05, "the comma's pause belongs to no word"
    pcm = b"".join(audio.pcm for audio in speaker.kept)
    pause = pcm[2 * round(pizzas.end * 22050) : 2 * round(please.start * 22050)]
    assert max(memoryview(pause).cast("h")) <= 64


async def test_there_is_a_pause_before_each_piece_but_the_first(node: SystemUnderTest) -> None:
    speaker = await a_speaker(await espeak(node, EspeakConfig(pause=0.3)))
    for piece in (0, 1):
        await answer(speaker.say("u-1", "Two pizzas, please.", piece=piece, last=False))
    first, second = speaker.words("u-1", 0), speaker.words("u-1", 1)
    assert first[0].start == 0
    assert [w.start for w in second] == pytest.approx([w.start + 0.3 for w in first], abs=0.01)
    assert speaker.seconds("u-1", 1) == pytest.approx(speaker.seconds("u-1", 0) + 0.3, abs=0.01)
    assert first[-1].end == pytest.approx(speaker.seconds("u-1", 0), abs=0.02)
    pcm = b"".join(audio.pcm for audio in speaker.of("u-1", 1))
    assert not any(pcm[: 2 * 6615])


async def test_chunks_are_short_and_the_rate_is_the_voices_own(node: SystemUnderTest) -> None:
    speaker = await a_speaker(await espeak(node))
    await answer(speaker.say("u-1", "Two pizzas, please."))
    assert {audio.rate for audio in speaker.kept} == {22050}
    assert max(len(audio.pcm) / 2 / 22050 for audio in speaker.kept) < 0.0605


async def test_the_configured_voice_rate_and_pitch_are_heard(node: SystemUnderTest) -> None:
    slow = await espeak(node, EspeakConfig(words_per_minute=100, pitch=80, voice="en-us+f3"))
    speaker = await a_speaker(slow)
    text = "Two pizzas, please."
    done = await answer(speaker.say("u-1", text))
    await node.stop("/tts")
    quick = await a_speaker(await espeak(node, EspeakConfig(words_per_minute=300)))
    other = await answer(quick.say("u-1", text))
    assert isinstance(done, Synthesized)
    assert isinstance(other, Synthesized)
    assert done.seconds > 1.8 * other.seconds


async def test_a_language_has_a_voice_of_its_own(node: SystemUnderTest) -> None:
    mouth = await espeak(node)
    speaker = await a_speaker(mouth)
    text = "Guten Morgen, meine Damen"
    for language in ("en", "en-US", "de", "de-DE", "fr-fr"):
        await mouth.ref.ask(Synthesize(language, 0, text, speaker.to, language=language))
    await trio.sleep(0.1)
    # Breath is noise, so no two sounds are quite alike; how long they are tells who speaks.
    english, german, french = (speaker.seconds(name) for name in ("en", "de", "fr-fr"))
    assert speaker.seconds("en-US") == pytest.approx(english, abs=0.02)
    assert speaker.seconds("de-DE") == pytest.approx(german, abs=0.02)
    assert abs(english - german) > 0.1
    assert abs(french - german) > 0.1
    assert min(english, german, french) > 1


def zero_crossings(speaker: Speaker, utterance: str) -> int:
    samples = memoryview(b"".join(audio.pcm for audio in speaker.of(utterance))).cast("h")
    return sum((a < 0) != (b < 0) for a, b in pairwise(samples))


async def test_a_voice_may_be_named_with_its_variant(node: SystemUnderTest) -> None:
    mouth = await espeak(node)
    speaker = await a_speaker(mouth)
    voices = ("en-us", "en-gb", "en-gb+f3", "en-us+f3", "English (America)")
    for voice in voices:
        await mouth.ref.ask(Synthesize(voice, 0, "Two pizzas", speaker.to, voice=voice))
    await trio.sleep(0.1)
    assert all(speaker.seconds(voice) > 0.3 for voice in voices)
    assert speaker.seconds(voices[4]) == pytest.approx(speaker.seconds(voices[0]), abs=0.02)
    high, low = (zero_crossings(speaker, voice) for voice in ("en-gb+f3", "en-gb"))
    assert high > 1.1 * low


@pytest.mark.parametrize("voice", ["nobody", "nobody+f3", "a\0b"])
async def test_a_voice_that_is_not_there_is_refused(node: SystemUnderTest, voice: str) -> None:
    mouth = await espeak(node)
    speaker = await a_speaker(mouth)
    fault = await mouth.ref.ask(Synthesize("u-1", 0, "Hello", speaker.to, voice=voice))
    assert fault == ModelFault("espeak", FaultKind.REJECTED, f"there is no voice {voice!r}")
    assert isinstance(await answer(speaker.say("u-2", "Hello there.")), Synthesized)


async def test_a_long_speech_does_not_hold_up_a_short_one(node: SystemUnderTest) -> None:
    mouth = await espeak(node)
    speaker = await a_speaker(mouth)
    long = [speaker.say("long", mouth.texts[2], piece=n, last=n == 9) for n in range(10)]
    short = speaker.say("short", mouth.texts[0])
    for reply in (*long, short):
        await answer(reply)
    order = [audio.utterance for audio in speaker.kept]
    before = [a.piece for a in speaker.kept[: order.index("short")]]
    assert max(before) <= 1


async def test_what_is_too_long_or_too_much_is_refused(node: SystemUnderTest) -> None:
    mouth = await espeak(node, EspeakConfig(longest=20, waiting=2))
    speaker = await a_speaker(mouth)
    fault = await answer(speaker.say("u-1", "x" * 21))
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.REJECTED
    answers = [await r for r in [speaker.say(f"u-{n}", "Hello there.") for n in range(4)]]
    kinds = [a.kind if isinstance(a, ModelFault) else None for a in answers]
    assert kinds == [None, None, None, FaultKind.RATE_LIMITED]


async def test_an_engine_that_crashes_is_a_fault_and_comes_back(node: SystemUnderTest) -> None:
    node.expect_crash("/tts/engine", InjectedFault)
    speaker = await a_speaker(await espeak(node))
    node.inject("/tts/engine", Fault("crash", times=1))
    fault = await answer(speaker.say("u-1", "Hello there."))
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.UNAVAILABLE
    assert isinstance(await answer(speaker.say("u-2", "Hello there.")), Synthesized)


async def test_a_cancel_reaches_the_thread_at_work(node: SystemUnderTest) -> None:
    mouth = await espeak(node, EspeakConfig(longest=100_000))
    speaker = await a_speaker(mouth)
    node.expect_dead_letters("*")
    began = time.perf_counter()
    reply = speaker.say("u-1", " ".join([mouth.long] * 100))  # half an hour of speech
    await speaker.began.wait()
    mouth.ref.tell(CancelSpeech("u-1"))
    fault = await answer(reply)
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.CANCELLED
    assert speaker.seconds("u-1") < 600
    assert time.perf_counter() - began < 1


def test_an_engine_that_is_configured_and_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.local.find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match=r"pip install 'troupe\[local\]'"):
        espeak_spec(EspeakConfig())
