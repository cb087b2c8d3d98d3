"""What every recogniser must do: `models/stt/protocol.py` as tests.

The tests of an engine subclass `SttConformance` (as `TestSomething`, in their own file) and give it
a fixture `ears`: the running engine, and audio in which it hears known phrases. Everything here
runs on virtual and on real time, whatever the fixture's system runs on.

    class TestOurs(SttConformance):
        @pytest.fixture
        async def ears(self, system: SystemUnderTest) -> Ears:
            ref = await system.spawn(OurStt, path="/stt")
            return Ears(system, ref, say=..., crash=...)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import pytest
import trio

from models.faults import ModelFault
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from supervision import Actor, ActorCrashed, ActorRef, Refused, Reply, Restart, System, handles

PATIENCE = 10.0
"""Seconds anything may take. Real ones for engines in threads, processes and behind sockets."""


@attrs.frozen(eq=False)
class Ears:
    """A recogniser under test."""

    system: System
    ref: ActorRef[SttMessage]
    say: Callable[[str], bytes]
    """Makes audio of a phrase: mono s16le at `rate`."""
    crash: Callable[[], object]
    """Makes the actor that `ref` is crash now, or soon by itself (after which it must have failed,
    and the system under test must have been told to expect it)."""
    rate: int = 16000
    phrases: tuple[str, str, str] = ("yes please", "two pizzas", "no thanks")
    """What it hears without a mistake when it is said. All different, no word in two of them."""
    pause: float = 0.2
    """Seconds of silence that follow what is said, before the flush."""
    partials: bool = True
    """It tells what it has understood so far."""
    words: bool = True
    """Its finals hold word times."""
    slack: float = 0.1
    """Seconds by which its word times may be outside of the audio they were said in."""


def normal(text: str) -> str:
    """What counts when texts are compared: the words."""
    return " ".join("".join(c for c in w if c.isalnum()) for w in text.lower().split())


class Paper(Actor[Transcript]):
    """Writes down the transcripts that it is told."""

    def __init__(self, written: list[Transcript]) -> None:
        super().__init__()
        self._written = written

    @handles
    def on_transcript(self, message: Transcript) -> None:
        self._written.append(message)


@attrs.define(eq=False)
class Line:
    """One stream, seen by who speaks on it."""

    ears: Ears
    name: str
    over: Reply[StreamClosed | ModelFault]
    told: list[Transcript]
    sent: int = 0
    """Bytes of audio so far."""

    @property
    def seconds(self) -> float:
        """Of the audio that was sent so far."""
        return self.sent / (2 * self.ears.rate)

    @property
    def finals(self) -> list[Transcript]:
        return [t for t in self.told if t.final]

    def hear(self, pcm: bytes) -> None:
        """Send audio in frames of 20 ms, as it comes from a leg."""
        frame = 2 * self.ears.rate // 50
        for at in range(0, len(pcm), frame):
            self.ears.ref.tell(Audio(self.name, pcm[at : at + frame]))
        self.sent += len(pcm)

    def silence(self, seconds: float) -> None:
        self.hear(bytes(2 * int(self.ears.rate * seconds)))

    def say(self, phrase: str) -> None:
        self.hear(self.ears.say(phrase))
        self.silence(self.ears.pause)

    async def flush(self, number: int) -> Transcript:
        """Flush, and wait for the final that answers it."""
        self.ears.ref.tell(Flush(self.name, number))
        return await self.wait_final(number)

    async def wait_final(self, number: int) -> Transcript:
        with trio.fail_after(PATIENCE):
            while True:
                for transcript in self.finals:
                    if transcript.flush == number:
                        return transcript
                await trio.sleep(0.01)

    async def close(self) -> StreamClosed | ModelFault:
        self.ears.ref.tell(CloseStream(self.name))
        with trio.fail_after(PATIENCE):
            return await self.over


async def open_line(ears: Ears, name: str) -> Line:
    """Open a stream; it may not be ready yet, but audio may be sent."""
    told: list[Transcript] = []
    paper = await ears.system.spawn(Paper, told, restart=Restart.TEMPORARY)
    over = ears.ref.ask(OpenStream(name, ears.rate, paper), timeout=math.inf)
    return Line(ears, name, over, told)


class SttConformance:
    """The suite. A subclass has a fixture `ears`."""

    async def test_what_is_said_is_understood(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[0])
        final = await line.flush(1)
        assert normal(final.text) == normal(ears.phrases[0])
        assert final.stream == "s-1"
        assert final.flush == 1
        assert 0 <= final.start <= final.end <= line.seconds + ears.slack
        assert await line.close() == StreamClosed("s-1")

    async def test_words_are_in_order_and_lie_in_the_audio(self, ears: Ears) -> None:
        if not ears.words:
            pytest.skip("this engine knows no word times")
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[0])
        final = await line.flush(1)
        await line.close()
        assert normal(" ".join(word.text for word in final.words)) == normal(final.text)
        assert all(word.start <= word.end for word in final.words)
        starts = [word.start for word in final.words]
        assert starts == sorted(starts)
        assert -ears.slack <= starts[0]
        assert final.words[-1].end <= line.seconds + ears.slack

    async def test_partials_come_before_their_final_and_none_after_it(self, ears: Ears) -> None:
        if not ears.partials:
            pytest.skip("this engine tells no partials")
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[0])
        await line.flush(1)
        await trio.sleep(0.3)
        await line.close()
        assert [t.final for t in line.told].index(True) > 0, "no partial came"
        # What is told after the final is about what comes next, and nothing came.
        assert not any(t.text for t in line.told[[t.flush for t in line.told].index(1) + 1 :])

    async def test_a_flush_after_silence_is_answered_with_nothing(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        line.silence(0.5)
        final = await line.flush(7)
        assert (final.text, final.flush, final.words) == ("", 7, ())
        await line.close()

    async def test_a_flush_without_any_audio_is_answered(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        assert (await line.flush(3)).text == ""
        await line.close()

    async def test_each_flush_is_answered_with_its_number(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        for number, phrase in enumerate(ears.phrases, start=1):
            line.say(phrase)
            assert normal((await line.flush(number)).text) == normal(phrase)
        await line.close()
        assert [t.flush for t in line.finals if t.flush] == [1, 2, 3]

    async def test_times_are_those_of_the_stream(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[0])
        first = await line.flush(1)
        said = line.seconds
        line.silence(0.4)
        line.say(ears.phrases[1])
        second = await line.flush(2)
        await line.close()
        assert first.end <= said + ears.slack
        assert second.end > said
        if ears.words:
            assert second.words[0].start >= said - ears.slack

    async def test_what_is_unfinished_at_the_close_is_finished_first(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[1])
        assert await line.close() == StreamClosed("s-1")
        await trio.sleep(0.05)  # the answer may overtake what was told to another actor
        assert normal(" ".join(t.text for t in line.finals)) == normal(ears.phrases[1])

    async def test_a_stream_ends_once_and_its_name_is_free_again(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[0])
        await line.flush(1)
        assert await line.close() == StreamClosed("s-1")
        told = len(line.told)
        line.say(ears.phrases[1])  # dropped: it is closed
        assert await line.close() == StreamClosed("s-1")  # the same reply as before
        again = await open_line(ears, "s-1")
        again.say(ears.phrases[2])
        assert normal((await again.flush(1)).text) == normal(ears.phrases[2])
        await again.close()
        assert len(line.told) == told

    async def test_two_streams_do_not_mix(self, ears: Ears) -> None:
        left, right = await open_line(ears, "left"), await open_line(ears, "right")
        frame = 2 * ears.rate // 50
        tail = bytes(2 * int(ears.rate * ears.pause))
        one, two = ears.say(ears.phrases[0]) + tail, ears.say(ears.phrases[1]) + tail
        for at in range(0, max(len(one), len(two)), frame):
            for line, pcm in ((left, one), (right, two)):
                line.hear(pcm[at : at + frame])
        ears.ref.tell(Flush("right", 2))
        ears.ref.tell(Flush("left", 1))
        assert normal((await left.wait_final(1)).text) == normal(ears.phrases[0])
        assert normal((await right.wait_final(2)).text) == normal(ears.phrases[1])
        assert {t.stream for t in left.told} == {"left"}
        assert {t.stream for t in right.told} == {"right"}
        assert await left.close() == StreamClosed("left")
        assert await right.close() == StreamClosed("right")

    async def test_a_name_in_use_is_refused_and_the_first_stream_goes_on(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        second = await open_line(ears, "s-1")
        with trio.fail_after(PATIENCE):
            try:
                assert isinstance(await second.over, ModelFault)
            except Refused:
                pass
        line.say(ears.phrases[0])
        assert normal((await line.flush(1)).text) == normal(ears.phrases[0])
        assert await line.close() == StreamClosed("s-1")

    async def test_messages_of_unknown_streams_are_dropped(self, ears: Ears) -> None:
        for message in (Audio("nobody", b"\1\0" * 320), Flush("nobody", 1), CloseStream("nobody")):
            ears.ref.tell(message)
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[0])
        assert normal((await line.flush(1)).text) == normal(ears.phrases[0])
        await line.close()

    async def test_audio_of_no_or_odd_length_is_taken(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        pcm = ears.say(ears.phrases[0]) + bytes(2 * int(ears.rate * ears.pause))
        at = 0
        for size in (0, 2, 46, 0, 1998):
            ears.ref.tell(Audio("s-1", pcm[at : at + size]))
            at += size
        line.hear(pcm[at:])
        assert normal((await line.flush(1)).text) == normal(ears.phrases[0])
        await line.close()

    async def test_half_a_sample_harms_nobody(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        ears.ref.tell(Audio("odd", b"\1"))
        odd = await open_line(ears, "odd")
        ears.ref.tell(Audio("odd", b"\1\0\1"))
        line.say(ears.phrases[0])
        assert normal((await line.flush(1)).text) == normal(ears.phrases[0])
        await line.close()
        await odd.close()

    async def test_the_ask_of_an_open_stream_ends_with_the_provider(self, ears: Ears) -> None:
        line = await open_line(ears, "s-1")
        line.say(ears.phrases[0])
        await line.flush(1)
        ears.crash()
        with pytest.raises(ActorCrashed), trio.fail_after(PATIENCE):
            await line.over
        # And the one that is started in its place has ears.
        again = await open_line(ears, "s-2")
        again.say(ears.phrases[1])
        assert normal((await again.flush(1)).text) == normal(ears.phrases[1])
        await again.close()
