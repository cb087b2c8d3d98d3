from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import orjson
import pytest
import trio
from trio_websocket import WebSocketConnection

from models.faults import FaultKind, ModelFault
from models.tts.elevenlabs import ElevenLabs, ElevenLabsConfig, elevenlabs_spec
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize, Synthesized, TtsMessage
from models.words import Word
from supervision import ActorRef, Reply
from supervision.faults import Fault, InjectedFault
from supervision.resilience import BreakerConfig
from supervision.secret import Secret
from supervision.testing import Probe, SystemUnderTest, system_under_test
from tests.models.net.servers import Talk, WsServer, memory_server, ws_server
from tests.models.tts.conformance import Mouth, TtsConformance

KEY = Secret("el-1")
RATE = 16000
CHARACTER = b"\1\2" * (RATE // 50)
"""Each character sounds for 20 ms."""


def chunk(characters: str, **more: Any) -> str:
    alignment = {
        "chars": list(characters),
        "charStartTimesMs": [20 * n for n in range(len(characters))],
        "charDurationsMs": [20] * len(characters),
    }
    audio = b64encode(CHARACTER * len(characters)).decode()
    return orjson.dumps({"audio": audio, "alignment": alignment, **more}).decode()


def speaks(
    got: list[Any], *, every: float = 0.0, leaves_out: str = "", chunks: int = 1 << 30
) -> Talk:
    """Speaks what it is told to; hangs up after so many chunks."""

    async def talk(socket: WebSocketConnection) -> None:
        left = chunks
        while True:
            message = orjson.loads(await socket.get_message())
            got.append(message)
            if message["text"] == "":
                await socket.send_message(orjson.dumps({"audio": None, "isFinal": True}).decode())
                return
            text = "".join(c for c in message["text"] if c not in leaves_out)
            if not message.get("flush"):
                continue
            for at in range(0, len(text), 7):
                if left == 0:
                    await socket._stream.aclose()
                    return
                left -= 1
                await socket.send_message(chunk(text[at : at + 7]))
                await trio.sleep(every)

    return talk


async def says_nothing(socket: WebSocketConnection) -> None:
    while True:
        await socket.get_message()


def says(*messages: str) -> Talk:
    async def talk(socket: WebSocketConnection) -> None:
        for message in messages:
            await socket.send_message(message)
        await says_nothing(socket)

    return talk


class TestElevenLabs(TtsConformance):
    @pytest.fixture
    async def mouth(self) -> AsyncIterator[Mouth]:
        async with ws_server(speaks([])) as server, system_under_test() as system:
            config = ElevenLabsConfig(KEY, url=server.url, rate=RATE)
            tts = await system.start_child(elevenlabs_spec(config, "tts"))

            def crash() -> None:
                system.expect_crash("/tts", InjectedFault)
                system.inject("/tts", Fault("crash", times=1))
                tts.tell(CancelSpeech("nobody"))

            yield Mouth(system, tts, crash)


@attrs.define(eq=False)
class Rig:
    """A voice on virtual time."""

    system: SystemUnderTest
    server: WsServer
    tts: ActorRef[TtsMessage]
    actor: ElevenLabs
    probe: Probe

    def ask(self, *texts: str, last: bool = True) -> list[Reply[Synthesized | ModelFault]]:
        return [
            self.tts.ask(
                Synthesize("u-1", n, text, self.probe.ref, last=last and n == len(texts) - 1),
                timeout=math.inf,
            )
            for n, text in enumerate(texts)
        ]

    async def fault(self, *texts: str) -> ModelFault:
        answers = [await reply for reply in self.ask(*texts or ("Hello.",))]
        assert all(answer == answers[0] for answer in answers)
        assert isinstance(answers[0], ModelFault)
        return answers[0]

    async def words(self) -> Sequence[Word]:
        await self.system.settle()  # an answer may overtake what was told to another actor
        return [word for audio in self.probe.received for word in audio.words]


@asynccontextmanager
async def rig(
    system: SystemUnderTest, *talks: Talk | int | None, **config: Any
) -> AsyncIterator[Rig]:
    server = memory_server(*talks)
    async with trio.open_nursery() as nursery:
        settings = ElevenLabsConfig(KEY, url=server.url, rate=RATE, **config)
        actors: list[ElevenLabs] = []

        def make() -> ElevenLabs:
            actors.append(ElevenLabs(settings, "tts", partial(server.dial, nursery)))
            return actors[-1]

        tts = await system.spawn(make, path="/tts")
        yield Rig(system, server, tts, actors[0], await system.probe(SpeechAudio))
        await system.stop("/tts")
        nursery.cancel_scope.cancel()


async def test_an_utterance_is_one_socket_and_each_piece_is_flushed(
    system: SystemUnderTest,
) -> None:
    got: list[Any] = []
    async with rig(system, speaks(got)) as r:
        answers = [await reply for reply in r.ask("Hello  there.", "How are you?")]
        assert answers == [Synthesized("u-1", 0, 0.26), Synthesized("u-1", 1, 0.26)]
        settings = {
            "stability": 0.5,
            "similarity_boost": 0.75,
            "style": 0.0,
            "use_speaker_boost": True,
            "speed": 1.0,
        }
        assert got == [
            {"text": " ", "voice_settings": settings},
            {"text": "Hello there. ", "flush": True},
            {"text": "How are you? ", "flush": True},
            {"text": ""},
        ]
        (target,) = r.server.targets
        assert urlsplit(target).path == "/21m00Tcm4TlvDq8ikWAM/stream-input"
        assert dict(parse_qsl(urlsplit(target).query)) == {
            "model_id": "eleven_multilingual_v2",
            "output_format": "pcm_16000",
            "sync_alignment": "true",
            "inactivity_timeout": "25",
        }
        assert r.server.headers[0]["xi-api-key"] == "el-1"
        await trio.sleep(2)
        assert r.server.open == 0


async def test_words_come_with_the_times_of_their_piece(system: SystemUnderTest) -> None:
    async with rig(system, speaks([])) as r:
        for reply in r.ask("Hello there.", "How?"):
            await reply
        assert [(w.text, round(w.start, 3), round(w.end, 3)) for w in await r.words()] == [
            ("Hello", 0.0, 0.1),
            ("there.", 0.12, 0.24),
            ("How?", 0.0, 0.08),
        ]


async def test_a_socket_waits_for_the_next_piece_and_not_for_ever(system: SystemUnderTest) -> None:
    async with rig(system, speaks([])) as r:
        for pause in (0, 15, 30):
            await trio.sleep(pause)
            (reply,) = r.ask("Hello.", last=False)
            assert isinstance(await reply, Synthesized)
        assert len(r.server.targets) == 2
        await trio.sleep(21)
        assert r.server.open == 0
        assert r.actor.statistics().guard.under_way == 0


async def test_a_cut_before_the_first_sound_is_repaired(system: SystemUnderTest) -> None:
    async with rig(system, speaks([], chunks=0), speaks([])) as r:
        answers = [await reply for reply in r.ask("Hello there.", "How?")]
        assert all(isinstance(answer, Synthesized) for answer in answers)
        assert [w.text for w in await r.words()] == ["Hello", "there.", "How?"]


async def test_a_cut_in_mid_speech_ends_all_that_follows(system: SystemUnderTest) -> None:
    async with rig(system, speaks([], chunks=1)) as r:
        assert (await r.fault("Hello there.", "How?", "...")).kind is FaultKind.UNAVAILABLE
        assert [w.text for w in await r.words()] == ["Hello"]


@pytest.mark.parametrize(
    ("talk", "after"), [(says_nothing, 1.0), (says("{}"), 1.0), (speaks([], every=1.5), 1.0)]
)
async def test_no_progress_while_text_is_pending_is_a_fault(
    system: SystemUnderTest, talk: Talk, after: float
) -> None:
    async with rig(system, talk) as r:
        began = system.now
        assert (await r.fault("Hello there.", "How?")).kind is FaultKind.TIMEOUT
        assert system.now - began == pytest.approx(after)
        await trio.sleep(1)
        assert r.server.open == 0


async def test_a_voice_that_leaves_characters_out_is_believed(system: SystemUnderTest) -> None:
    text = "A sentence of many words, and one dash — here."
    async with rig(system, speaks([], leaves_out="—")) as r:
        (reply,) = r.ask(text, last=False)
        assert isinstance(await reply, Synthesized)


async def test_slow_speech_is_fine_as_long_as_it_goes_on(system: SystemUnderTest) -> None:
    async with rig(system, speaks([], every=0.9)) as r:
        (reply,) = r.ask("A sentence that takes its time to be spoken.")
        assert isinstance(await reply, Synthesized)


ERROR = '{"message": "what was said", "error": "%s", "code": 1008}'


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (401, FaultKind.UNAUTHORIZED),
        (429, FaultKind.RATE_LIMITED),
        (503, FaultKind.UNAVAILABLE),
        (None, FaultKind.UNAVAILABLE),
        (says(ERROR % "invalid_api_key"), FaultKind.UNAUTHORIZED),
        (says(ERROR % "quota_exceeded"), FaultKind.UNAUTHORIZED),
        (says(ERROR % "too_many_concurrent_requests"), FaultKind.RATE_LIMITED),
        (says(ERROR % "voice_not_found"), FaultKind.REJECTED),
        (says("nonsense"), FaultKind.GARBLED),
        (says("[]"), FaultKind.GARBLED),
        (says('{"audio": "&&&"}'), FaultKind.GARBLED),
        (says('{"audio": 7}'), FaultKind.GARBLED),
        (says('{"audio": "AAAA", "alignment": {"chars": ["a"]}}'), FaultKind.GARBLED),
        (says("x" * (5 << 20)), FaultKind.GARBLED),
    ],
)
async def test_a_voice_that_cannot_says_why(
    system: SystemUnderTest, talk: Talk | int | None, kind: FaultKind
) -> None:
    async with rig(system, talk) as r:
        fault = await r.fault("Hello there.", "How?")
        assert fault.kind is kind
        assert "said" not in fault.detail
        assert r.actor.statistics().guard.under_way == 0


async def test_failures_in_a_row_open_the_breaker(system: SystemUnderTest) -> None:
    async with rig(system, 401, breaker=BreakerConfig(failures=2)) as r:
        kinds = [(await r.fault()).kind for _ in range(3)]
        assert kinds == [FaultKind.UNAUTHORIZED] * 2 + [FaultKind.BREAKER_OPEN]


async def test_a_cancelled_utterance_closes_its_socket_at_once(system: SystemUnderTest) -> None:
    async with rig(system, speaks([], every=0.5)) as r:
        replies = r.ask("A sentence that takes its time.", "And another one.")
        await r.probe.expect(SpeechAudio)
        r.tts.tell(CancelSpeech("u-1"))
        for reply in replies:
            fault = await reply
            assert isinstance(fault, ModelFault)
            assert fault.kind is FaultKind.CANCELLED
        await trio.sleep(0.6)
        assert r.server.open == 0
        (again,) = r.ask("Hello.")
        assert isinstance(await again, Synthesized)


async def test_an_utterance_ends_with_its_listener(system: SystemUnderTest) -> None:
    async with rig(system, speaks([], every=0.5)) as r:
        system.expect_dead_letters(r.probe.ref.path)
        (reply,) = r.ask("A sentence that takes its time.")
        await r.probe.expect(SpeechAudio)
        await system.stop(r.probe.ref.path)
        fault = await reply
        assert isinstance(fault, ModelFault)
        await trio.sleep(0.6)
        assert r.server.open == 0
