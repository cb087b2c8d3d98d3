from __future__ import annotations

import io
import math
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.parser import BytesParser
from typing import Any

import attrs
import orjson
import pytest
import trio

from models.faults import FaultKind, ModelFault
from models.stt.openai import OpenAiSttConfig, openai_stt_spec
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from models.words import Word
from supervision import ActorRef, Reply
from supervision.faults import Fault, InjectedFault
from supervision.secret import Secret
from supervision.testing import Probe, SystemUnderTest, system_under_test
from tests.models.net.servers import (
    Answer,
    Exchange,
    HttpServer,
    gibberish,
    hang,
    hang_up,
    http_server,
    whole,
)
from tests.models.stt.conformance import Ears, SttConformance

RATE = 16000
PHRASES = ("yes please", "two pizzas", "no thanks")


def say(phrase: str) -> bytes:
    """Half a second in which each sample tells the number of the phrase."""
    return (PHRASES.index(phrase) + 1).to_bytes(2, "little") * (RATE // 2)


def form_of(exchange: Exchange) -> dict[str, bytes]:
    content = b"Content-Type: " + exchange.request.headers["content-type"].encode() + b"\r\n\r\n"
    message = BytesParser().parsebytes(content + exchange.request.body)
    fields: dict[str, bytes] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload
    return fields


async def understands(exchange: Exchange) -> None:
    with wave.open(io.BytesIO(form_of(exchange)["file"])) as recording:
        assert recording.getparams()[:3] == (1, 2, RATE)
        pcm = recording.readframes(recording.getnframes())
    samples = [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), 2)]
    heard = sorted({n for n in samples if n}, key=samples.index)
    text = " ".join(PHRASES[n - 1] for n in heard)
    start = next(at for at, n in enumerate(samples) if n) / RATE
    words = [
        {"word": f" {word}", "start": start + 0.2 * n, "end": start + 0.2 * n + 0.1}
        for n, word in enumerate(text.split())
    ]
    body = orjson.dumps({"text": f" {text.capitalize()}.", "words": words})
    await whole(200, body, content_type="application/json")(exchange)


@attrs.define(eq=False)
class Rig:
    system: SystemUnderTest
    server: HttpServer
    stt: ActorRef[SttMessage]
    probe: Probe

    def open(self) -> Reply[StreamClosed | ModelFault]:
        phrases = ("Ada", "Troupe")
        request = OpenStream("s-1", RATE, self.probe.ref, "en-GB", phrases)
        return self.stt.ask(request, timeout=math.inf)

    async def fault(self) -> ModelFault:
        over = self.open()
        self.stt.tell(Audio("s-1", say("yes please")))
        self.stt.tell(Flush("s-1", 1))
        with trio.fail_after(10):
            answer = await over
        assert isinstance(answer, ModelFault)
        return answer


@asynccontextmanager
async def rig(*answers: Answer, **config: Any) -> AsyncIterator[Rig]:
    async with http_server(*answers) as server, system_under_test() as system:
        settings = OpenAiSttConfig("w-1", Secret("sk-1"), server.url, **config)
        stt = await system.start_child(openai_stt_spec(settings, "stt"))
        yield Rig(system, server, stt, await system.probe(Transcript))


class TestOpenAi(SttConformance):
    @pytest.fixture
    async def ears(self) -> AsyncIterator[Ears]:
        async with rig(understands, words=True) as r:

            def crash() -> None:
                r.system.expect_crash("/stt", InjectedFault)
                r.system.inject("/stt", Fault("crash", times=1))
                r.stt.tell(Flush("nobody", 1))

            yield Ears(r.system, r.stt, say, crash, RATE, PHRASES, partials=False)


async def test_a_flush_is_one_request_with_a_recording() -> None:
    seen: list[dict[str, bytes]] = []

    async def look(exchange: Exchange) -> None:
        seen.append(form_of(exchange))
        await understands(exchange)

    async with rig(look, words=True) as r:
        over = r.open()
        r.stt.tell(Audio("s-1", bytes(RATE)))
        r.stt.tell(Flush("s-1", 1))
        r.stt.tell(Audio("s-1", say("two pizzas")))
        r.stt.tell(Flush("s-1", 2))
        assert (await r.probe.expect(Transcript, within=5)).text == ""
        heard = await r.probe.expect(Transcript, within=5)
        assert (heard.text, heard.flush, heard.start, heard.end) == ("Two pizzas.", 2, 0.5, 1.0)
        assert heard.words[0] == Word("two", 0.5, 0.6)
        assert heard.words[1].start == pytest.approx(0.7)
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
        (fields,) = seen
        assert {name: fields[name] for name in fields if name != "file"} == {
            "model": b"w-1",
            "response_format": b"verbose_json",
            "language": b"en",
            "timestamp_granularities[]": b"word",
            "prompt": b"Ada, Troupe",
        }
        assert r.server.received[0].headers["authorization"] == "Bearer sk-1"


async def test_a_recording_that_is_too_long_is_understood_without_a_flush() -> None:
    async with rig(understands, longest=1.0) as r:
        over = r.open()
        for _ in range(3):
            r.stt.tell(Audio("s-1", say("no thanks")))
        heard = await r.probe.expect(Transcript, within=5)
        assert (heard.text, heard.flush, heard.end) == ("No thanks.", 0, 1.0)
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (whole(401), FaultKind.UNAUTHORIZED),
        (whole(429), FaultKind.RATE_LIMITED),
        (whole(400), FaultKind.REJECTED),
        (whole(500), FaultKind.UNAVAILABLE),
        (hang_up, FaultKind.UNAVAILABLE),
        (gibberish, FaultKind.GARBLED),
        (whole(200, b"I am a teapot"), FaultKind.GARBLED),
        (whole(200, b'{"text": 7}'), FaultKind.GARBLED),
        (whole(200, b'{"text": "' + b"x" * 2_000_000), FaultKind.GARBLED),
    ],
)
async def test_a_recogniser_that_cannot_says_why(answer: Answer, kind: FaultKind) -> None:
    async with rig(answer) as r:
        assert (await r.fault()).kind is kind


async def test_a_recogniser_that_does_not_answer_is_given_up() -> None:
    async with rig(hang(), answer=0.1) as r:
        assert (await r.fault()).kind is FaultKind.TIMEOUT


async def test_a_failure_that_passes_goes_unnoticed() -> None:
    async with rig(whole(500), understands) as r:
        over = r.open()
        r.stt.tell(Audio("s-1", say("yes please")))
        r.stt.tell(Flush("s-1", 1))
        assert (await r.probe.expect(Transcript, within=5)).text == "Yes please."
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
