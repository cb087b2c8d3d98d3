"""What every voice must do: `models/tts/protocol.py` as tests.

The tests of an engine subclass `TtsConformance` (as `TestSomething`, in their own file) and give it
a fixture `mouth`: the running engine. Everything here runs on virtual and on real time, whatever
the fixture's system runs on.

    class TestOurs(TtsConformance):
        @pytest.fixture
        async def mouth(self, system: SystemUnderTest) -> Mouth:
            ref = await system.spawn(OurTts, path="/tts")
            return Mouth(system, ref, crash=...)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import attrs
import pytest
import trio

from models.faults import FaultKind, ModelFault
from models.tts.protocol import (
    CancelSpeech,
    SpeechAudio,
    Synthesize,
    Synthesized,
    TtsMessage,
)
from models.words import Word
from supervision import Actor, ActorCrashed, ActorRef, Reply, Restart, System, handles

PATIENCE = 10.0
"""Seconds anything may take. Real ones for engines in threads, processes and behind sockets."""


@attrs.frozen(eq=False)
class Mouth:
    """A voice under test."""

    system: System
    ref: ActorRef[TtsMessage]
    crash: Callable[[], object]
    """Makes the actor that `ref` is crash now, or soon by itself (after which it must have failed,
    and the system under test must have been told to expect it)."""
    words: bool = True
    """It knows word times."""
    texts: tuple[str, str, str] = (
        "Hello there.",
        "Two pizzas, please.",
        "It costs ten dollars, all in all.",
    )
    """Sentences it can say, all different."""
    long: str = " ".join(["This is a sentence that goes on and on for quite a while."] * 5)
    """What takes it a while."""
    slack: float = 0.001
    """Seconds by which word times may be outside of the audio."""


class Tape(Actor[SpeechAudio]):
    """Keeps the sound that it is told."""

    def __init__(self, kept: list[SpeechAudio], began: trio.Event) -> None:
        super().__init__()
        self._kept = kept
        self._began = began

    @handles
    def on_audio(self, message: SpeechAudio) -> None:
        self._kept.append(message)
        self._began.set()


@attrs.define(eq=False)
class Speaker:
    """One who has texts spoken, and what came of it."""

    mouth: Mouth
    to: ActorRef[SpeechAudio]
    kept: list[SpeechAudio]
    began: trio.Event
    """Set once it has been told any sound."""

    def say(
        self, utterance: str, text: str, *, piece: int = 0, last: bool = True
    ) -> Reply[Synthesized | ModelFault]:
        request = Synthesize(utterance, piece, text, self.to, last=last)
        return self.mouth.ref.ask(request, timeout=math.inf)

    def of(self, utterance: str, piece: int = 0) -> list[SpeechAudio]:
        return [a for a in self.kept if (a.utterance, a.piece) == (utterance, piece)]

    def seconds(self, utterance: str, piece: int = 0) -> float:
        return sum(len(a.pcm) / (2 * a.rate) for a in self.of(utterance, piece))

    def words(self, utterance: str, piece: int = 0) -> list[Word]:
        return [word for audio in self.of(utterance, piece) for word in audio.words]


async def a_speaker(mouth: Mouth) -> Speaker:
    kept: list[SpeechAudio] = []
    began = trio.Event()
    tape = await mouth.system.spawn(Tape, kept, began, restart=Restart.TEMPORARY)
    return Speaker(mouth, tape, kept, began)


async def answer(reply: Reply[Synthesized | ModelFault]) -> Synthesized | ModelFault:
    """The answer, and what was told before it has come too."""
    with trio.fail_after(PATIENCE):
        result = await reply
    await trio.sleep(0.02)  # the answer may overtake what was told to another actor
    return result


class TtsConformance:
    """The suite. A subclass has a fixture `mouth`."""

    async def test_a_text_becomes_sound_of_the_length_it_says(self, mouth: Mouth) -> None:
        speaker = await a_speaker(mouth)
        done = await answer(speaker.say("u-1", mouth.texts[0]))
        assert isinstance(done, Synthesized)
        assert (done.utterance, done.piece) == ("u-1", 0)
        assert done.seconds > 0.1
        assert done.seconds == pytest.approx(speaker.seconds("u-1"), abs=0.001)
        assert all(len(a.pcm) % 2 == 0 for a in speaker.kept)
        assert len({a.rate for a in speaker.kept}) == 1
        assert any(any(a.pcm) for a in speaker.kept), "all silence"

    async def test_the_words_are_those_of_the_text_in_order(self, mouth: Mouth) -> None:
        if not mouth.words:
            pytest.skip("this engine knows no word times")
        speaker = await a_speaker(mouth)
        for piece, text in enumerate(mouth.texts):
            done = await answer(speaker.say("u-1", text, piece=piece, last=piece == 2))
            assert isinstance(done, Synthesized)
            words = speaker.words("u-1", piece)
            assert " ".join(w.text.strip() for w in words) == text
            assert all(a.start <= a.end for a in words)
            assert all(a.end <= b.start + mouth.slack for a, b in pairwise(words))
            assert -mouth.slack <= words[0].start
            assert words[-1].end <= done.seconds + mouth.slack

    async def test_pieces_under_way_at_once_come_in_order(self, mouth: Mouth) -> None:
        speaker = await a_speaker(mouth)
        replies = [
            speaker.say("u-1", text, piece=piece, last=piece == 2)
            for piece, text in enumerate(mouth.texts)
        ]
        answers = [await answer(reply) for reply in replies]
        assert all(isinstance(done, Synthesized) for done in answers)
        pieces = [a.piece for a in speaker.kept]
        assert pieces == sorted(pieces)
        assert set(pieces) == {0, 1, 2}

    async def test_two_utterances_do_not_mix(self, mouth: Mouth) -> None:
        one, two = await a_speaker(mouth), await a_speaker(mouth)
        alone = await answer(one.say("alone", mouth.texts[1]))
        first, second = one.say("u-1", mouth.texts[1]), two.say("u-2", mouth.texts[2])
        done, other = await answer(first), await answer(second)
        assert isinstance(alone, Synthesized)
        assert isinstance(done, Synthesized)
        assert isinstance(other, Synthesized)
        assert {a.utterance for a in one.kept} == {"alone", "u-1"}
        assert {a.utterance for a in two.kept} == {"u-2"}
        assert done.seconds == pytest.approx(one.seconds("u-1"), abs=0.001)
        assert other.seconds == pytest.approx(two.seconds("u-2"), abs=0.001)

    async def test_an_empty_last_piece_only_says_so(self, mouth: Mouth) -> None:
        speaker = await a_speaker(mouth)
        first = speaker.say("u-1", mouth.texts[0], piece=0, last=False)
        assert isinstance(await answer(first), Synthesized)
        done = await answer(speaker.say("u-1", "", piece=1))
        assert done == Synthesized("u-1", 1, 0.0)
        assert speaker.seconds("u-1", 1) == 0

    async def test_what_is_cancelled_is_answered_so(self, mouth: Mouth) -> None:
        speaker = await a_speaker(mouth)
        replies = [
            speaker.say("u-1", mouth.long, piece=piece, last=piece == 2) for piece in range(3)
        ]
        mouth.ref.tell(CancelSpeech("u-1"))
        for reply in replies:
            fault = await answer(reply)
            assert isinstance(fault, ModelFault)
            assert fault.kind is FaultKind.CANCELLED
        kept = len(speaker.kept)
        await trio.sleep(0.3)
        assert len(speaker.kept) == kept, "audio after the answer"

    async def test_a_cancelled_utterance_stops_while_it_sounds(self, mouth: Mouth) -> None:
        speaker = await a_speaker(mouth)
        reply = speaker.say("u-1", mouth.long)
        with trio.fail_after(PATIENCE):
            await speaker.began.wait()
        mouth.ref.tell(CancelSpeech("u-1"))
        result = await answer(reply)
        if isinstance(result, Synthesized):  # it was quicker
            assert result.seconds == pytest.approx(speaker.seconds("u-1"), abs=0.001)
        else:
            assert result.kind is FaultKind.CANCELLED
        kept = len(speaker.kept)
        await trio.sleep(0.3)
        assert len(speaker.kept) == kept, "audio after the answer"

    async def test_a_cancel_is_about_its_own_utterance_only(self, mouth: Mouth) -> None:
        speaker = await a_speaker(mouth)
        mouth.ref.tell(CancelSpeech("nobody"))
        cancelled, other = speaker.say("u-1", mouth.long), speaker.say("u-2", mouth.texts[1])
        mouth.ref.tell(CancelSpeech("u-1"))
        assert isinstance(await answer(cancelled), ModelFault)
        done = await answer(other)
        assert isinstance(done, Synthesized)
        assert done.seconds == pytest.approx(speaker.seconds("u-2"), abs=0.001)
        mouth.ref.tell(CancelSpeech("u-2"))  # it is over already
        assert isinstance(await answer(speaker.say("u-3", mouth.texts[0])), Synthesized)

    async def test_the_ask_of_a_piece_ends_with_the_provider(self, mouth: Mouth) -> None:
        speaker = await a_speaker(mouth)
        reply = speaker.say("u-1", mouth.long)
        mouth.crash()
        with pytest.raises(ActorCrashed), trio.fail_after(PATIENCE):
            await reply
        # And the one that is started in its place has a voice.
        assert isinstance(await answer(speaker.say("u-2", mouth.texts[0])), Synthesized)
