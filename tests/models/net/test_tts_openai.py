from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from models.faults import FaultKind, ModelFault
from models.tts.openai import OpenAiTts, OpenAiTtsConfig, openai_tts_spec
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize, Synthesized, TtsMessage
from supervision import Actor, ActorRef
from supervision.faults import Fault, InjectedFault
from supervision.resilience import BreakerConfig
from supervision.secret import Secret
from supervision.testing import Probe, SystemUnderTest, system_under_test
from tests.models.net.servers import (
    Answer,
    Exchange,
    HttpServer,
    cut,
    gibberish,
    hang,
    http_server,
    parts,
    whole,
)
from tests.models.tts.conformance import Mouth, TtsConformance

LOUD = b"\1\2" * 480  # 20 ms at 24 kHz


@attrs.define(eq=False)
class Rig:
    system: SystemUnderTest
    server: HttpServer
    tts: ActorRef[TtsMessage]
    probe: Probe
    actor: OpenAiTts

    async def speak(self, text: str = "Hello.", piece: int = 0) -> Synthesized | ModelFault:
        with trio.fail_after(10):
            request = Synthesize("u-1", piece, text, self.probe.ref)
            answer = await self.tts.ask(request, timeout=math.inf)
            await self.system.settle()  # an answer may overtake what was told to another actor
            return answer

    async def fault(self) -> ModelFault:
        answer = await self.speak()
        assert isinstance(answer, ModelFault)
        return answer

    @property
    def pcm(self) -> bytes:
        return b"".join(m.pcm for m in self.probe.received)


@asynccontextmanager
async def rig(*answers: Answer, **config: Any) -> AsyncIterator[Rig]:
    async with http_server(*answers) as server, system_under_test() as system:
        settings = OpenAiTtsConfig("t-1", "v-1", Secret("sk-1"), server.url, **config)
        spec = openai_tts_spec(settings, "tts")
        actors: list[OpenAiTts] = []

        def make() -> Actor[TtsMessage]:
            actor = spec.start()
            assert isinstance(actor, OpenAiTts)
            actors.append(actor)
            return actor

        tts = await system.start_child(attrs.evolve(spec, start=make))
        yield Rig(system, server, tts, await system.probe(SpeechAudio), actors[0])


async def speaks(exchange: Exchange) -> None:
    """20 ms of sound for each character."""
    await exchange.start(content_type="audio/pcm")
    for _ in exchange.request.json["input"]:
        await exchange.send(LOUD)
        await trio.lowlevel.checkpoint()
    await exchange.finish()


class TestOpenAi(TtsConformance):
    @pytest.fixture
    async def mouth(self) -> AsyncIterator[Mouth]:
        async with rig(speaks) as r:

            def crash() -> None:
                r.system.expect_crash("/tts", InjectedFault)
                r.system.inject("/tts", Fault("crash", times=1))
                r.tts.tell(CancelSpeech("nobody"))

            yield Mouth(r.system, r.tts, crash, words=False)


async def test_a_piece_is_one_request() -> None:
    async with rig(parts([LOUD[:3], LOUD[3:], LOUD]), speed=1.5, instructions="Whisper.") as r:
        assert await r.speak() == Synthesized("u-1", 0, 0.04)
        assert r.pcm == 2 * LOUD
        (request,) = r.server.received
        assert request.target == "/v1/audio/speech"
        assert request.json == {
            "model": "t-1",
            "input": "Hello.",
            "voice": "v-1",
            "response_format": "pcm",
            "speed": 1.5,
            "instructions": "Whisper.",
        }


async def test_what_has_nothing_to_say_is_not_asked_for() -> None:
    async with rig(speaks) as r:
        assert await r.speak("...") == Synthesized("u-1", 0, 0.0)
        assert r.server.received == []


async def test_the_next_piece_is_asked_for_while_one_sounds_and_waits_for_its_turn() -> None:
    go_on = trio.Event()

    async def slow(exchange: Exchange) -> None:
        if exchange.request.json["input"] != "Hi 0.":
            return await speaks(exchange)
        await exchange.start()
        await exchange.send(LOUD)
        await go_on.wait()
        return await exchange.finish()

    async with rig(slow) as r:
        replies = [
            r.tts.ask(Synthesize("u-1", n, f"Hi {n}.", r.probe.ref, last=n == 2), timeout=math.inf)
            for n in range(3)
        ]
        with trio.fail_after(5):
            while len(r.server.received) < 2:  # noqa: ASYNC110
                await trio.sleep(0.01)
        await trio.sleep(0.05)
        assert {m.piece for m in r.probe.received} == {0}
        assert len(r.server.received) == 2
        go_on.set()
        assert [type(await reply) for reply in replies] == [Synthesized] * 3
        await r.system.settle()
        pieces = [m.piece for m in r.probe.received]
        assert pieces == sorted(pieces)


async def test_what_follows_a_gap_is_not_spoken() -> None:
    async def breaks(exchange: Exchange) -> None:
        await (cut([LOUD]) if exchange.request.json["input"] == "Hi 0." else speaks)(exchange)

    async with rig(breaks) as r:
        replies = [
            r.tts.ask(Synthesize("u-1", n, f"Hi {n}.", r.probe.ref, last=n == 2), timeout=math.inf)
            for n in range(3)
        ]
        for reply in replies:
            fault = await reply
            assert isinstance(fault, ModelFault)
            assert fault.kind is FaultKind.UNAVAILABLE
        await r.system.settle()
        assert {m.piece for m in r.probe.received} == {0}


async def test_what_fails_before_the_first_sound_is_tried_once_more() -> None:
    async with rig(whole(503), speaks) as r:
        assert isinstance(await r.speak(), Synthesized)
        assert len(r.server.received) == 2


@pytest.mark.parametrize(
    "answer",
    [
        gibberish,
        whole(200, b'{"error": "no"}', content_type="application/json"),
        whole(200, b"<html>", content_type="text/html"),
        whole(200, b""),
        whole(200, LOUD * 200),
    ],
)
async def test_what_is_no_sound_is_garbled(answer: Answer) -> None:
    async with rig(answer, longest=1.0) as r:
        assert (await r.fault()).kind is FaultKind.GARBLED


@pytest.mark.parametrize("said", [[], [LOUD]])
async def test_a_voice_that_makes_no_progress_is_given_up(said: list[bytes]) -> None:
    async with rig(hang(said), first=0.1, stall=0.1) as r:
        assert (await r.fault()).kind is FaultKind.TIMEOUT
        with trio.fail_after(2):
            await r.server.hung_up.wait()


async def test_what_is_asked_for_ahead_and_fails_lets_the_piece_before_it_sound() -> None:
    go_on = trio.Event()

    async def answer(exchange: Exchange) -> None:
        if exchange.request.json["input"] == "Hi 1.":
            return await whole(400)(exchange)
        await exchange.start()
        await go_on.wait()
        await exchange.send(LOUD)
        return await exchange.finish()

    async with rig(answer, first=5.0) as r:
        replies = [
            r.tts.ask(Synthesize("u-1", n, f"Hi {n}.", r.probe.ref, last=n == 2), timeout=math.inf)
            for n in range(3)
        ]
        await trio.sleep(0.1)
        go_on.set()
        answers = [await reply for reply in replies]
        assert answers[0] == Synthesized("u-1", 0, 0.02)
        assert [a.kind for a in answers if isinstance(a, ModelFault)] == [FaultKind.REJECTED] * 2


async def test_nothing_is_asked_for_ahead_where_there_is_no_room() -> None:
    async with rig(speaks, concurrent=1) as r:
        replies = [
            r.tts.ask(Synthesize("u-1", n, f"Hi {n}.", r.probe.ref, last=n == 2), timeout=math.inf)
            for n in range(3)
        ]
        assert [type(await reply) for reply in replies] == [Synthesized] * 3


async def test_an_open_breaker_answers_all_pieces_and_keeps_no_place() -> None:
    async with rig(whole(401), whole(401), breaker=BreakerConfig(failures=1)) as r:
        assert (await r.fault()).kind is FaultKind.UNAUTHORIZED
        replies = [
            r.tts.ask(Synthesize("u-2", n, "Hi.", r.probe.ref, last=n == 2), timeout=math.inf)
            for n in range(3)
        ]
        for reply in replies:
            fault = await reply
            assert isinstance(fault, ModelFault)
            assert fault.kind is FaultKind.BREAKER_OPEN
        assert r.actor.statistics().guard.under_way == 0
        assert r.actor.statistics().faults == {"unauthorized": 1, "breaker_open": 3}


@pytest.mark.parametrize("text", ["half a pair: \ud83d", 'tab\tand "quotes"'])
async def test_any_text_is_spoken_or_rejected(text: str) -> None:
    async with rig(speaks) as r:
        answer = await r.speak(text)
        if isinstance(answer, ModelFault):
            assert answer.kind is FaultKind.REJECTED


def test_a_key_with_a_line_break_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="api_key") as refused:
        OpenAiTtsConfig(api_key=Secret("sk-12345\n"))
    assert "12345" not in str(refused.value)
