from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
import trio

from models.faults import FaultKind, ModelFault
from models.stt.deepgram import Deepgram, DeepgramConfig, deepgram_spec
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from supervision import ActorRef, Reply
from supervision.faults import Fault, InjectedFault
from supervision.resilience import BreakerConfig
from supervision.secret import Secret
from supervision.testing import Probe, SystemUnderTest, system_under_test
from tests.models.net.fake_deepgram import (
    PHRASES,
    RATE,
    FakeDeepgram,
    closes,
    recognises,
    say,
    says,
    says_nothing,
)
from tests.models.net.servers import Talk, WsServer, memory_server, ws_server
from tests.models.stt.conformance import Ears, SttConformance

KEY = Secret("dg-1")


class TestDeepgram(SttConformance):
    @pytest.fixture
    async def ears(self) -> AsyncIterator[Ears]:
        async with ws_server(recognises([])) as server, system_under_test() as system:
            stt = await system.start_child(deepgram_spec(DeepgramConfig(KEY, server.url), "stt"))

            def crash() -> None:
                system.expect_crash("/stt", InjectedFault)
                system.inject("/stt", Fault("crash", times=1))
                stt.tell(Flush("nobody", 1))

            yield Ears(system, stt, say, crash, RATE, PHRASES)


@attrs.define(eq=False)
class Rig:
    """A recogniser on virtual time."""

    system: SystemUnderTest
    server: WsServer
    stt: ActorRef[SttMessage]
    actor: Deepgram
    probe: Probe

    def open(self) -> Reply[StreamClosed | ModelFault]:
        request = OpenStream("s-1", RATE, self.probe.ref, "en", ("Ada",))
        return self.stt.ask(request, timeout=math.inf)

    async def speak(self, pcm: bytes) -> None:
        """As it comes from a leg: 20 ms every 20 ms."""
        for at in range(0, len(pcm), 640):
            self.stt.tell(Audio("s-1", pcm[at : at + 640]))
            await trio.sleep(0.02)

    @property
    def finals(self) -> list[tuple[str, int]]:
        return [(t.text, t.flush) for t in self.probe.received if t.final]


@asynccontextmanager
async def rig(
    system: SystemUnderTest, *talks: Talk | int | None, **config: Any
) -> AsyncIterator[Rig]:
    server = memory_server(*talks)
    async with trio.open_nursery() as nursery:
        settings = DeepgramConfig(KEY, server.url, **config)
        actors: list[Deepgram] = []

        def make() -> Deepgram:
            actors.append(Deepgram(settings, "stt", partial(server.dial, nursery)))
            return actors[-1]

        stt = await system.spawn(make, path="/stt")
        yield Rig(system, server, stt, actors[0], await system.probe(Transcript))
        await system.stop("/stt")
        nursery.cancel_scope.cancel()


async def test_the_options_are_in_the_address_and_the_key_is_not(system: SystemUnderTest) -> None:
    async with rig(system, recognises([]), phrases=("Troupe",)) as r:
        over = r.open()
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
        await system.settle()
        assert dict(parse_qsl(urlsplit(r.server.targets[0]).query)) == {
            "model": "nova-2",
            "language": "en",
            "encoding": "linear16",
            "sample_rate": "16000",
            "channels": "1",
            "punctuate": "true",
            "smart_format": "true",
            "interim_results": "true",
            "endpointing": "300",
            "keywords": "Ada",
        }
        assert "keywords=Troupe&keywords=Ada" in r.server.targets[0]
        assert r.server.headers[0]["authorization"] == "Token dg-1"


async def test_silence_is_bridged_by_keep_alives(system: SystemUnderTest) -> None:
    connections: list[FakeDeepgram] = []
    async with rig(system, recognises(connections)) as r:
        over = r.open()
        await trio.sleep(16)
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
        await system.settle()
        assert connections[0].got == ["KeepAlive"] * 3 + ["CloseStream"]


@pytest.mark.parametrize("cut_at", [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.2, 1.4])
async def test_a_cut_loses_no_word_and_doubles_none(system: SystemUnderTest, cut_at: float) -> None:
    async with rig(system, recognises([], cut_at=cut_at), recognises([])) as r:
        over = r.open()
        for phrase in PHRASES:
            await r.speak(say(phrase))
        r.stt.tell(Flush("s-1", 1))
        await trio.sleep(1)
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
        await system.settle()
        assert " ".join(text for text, _ in r.finals).split() == " ".join(PHRASES).split()
        assert [number for _, number in r.finals if number] == [1]
        assert r.actor.statistics().retries == 1


async def test_words_that_were_final_before_a_cut_are_not_told_again(
    system: SystemUnderTest,
) -> None:
    connections: list[FakeDeepgram] = []
    async with rig(system, recognises(connections, cut_at=0.8), recognises(connections)) as r:
        over = r.open()
        await r.speak(say("yes please"))
        r.stt.tell(Flush("s-1", 1))
        await trio.sleep(0.1)
        await r.speak(say("two pizzas"))
        r.stt.tell(Flush("s-1", 2))
        await trio.sleep(0.5)
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
        await system.settle()
        assert r.finals == [("yes please", 1), ("two pizzas", 2)]
        second = next(t for t in r.probe.received if t.flush == 2)
        assert second.words[0].start == pytest.approx(0.5, abs=0.01)
        assert connections[1].words[0][0] == "yes", "it was played again what it had heard"


async def test_a_server_that_hears_and_says_nothing_is_given_up_soon(
    system: SystemUnderTest,
) -> None:
    async with rig(system, says_nothing) as r:
        over, began = r.open(), system.now
        with trio.move_on_after(20):
            await r.speak(say("yes please") * 40)
        fault = await over
        assert isinstance(fault, ModelFault)
        assert fault.kind is FaultKind.TIMEOUT
        assert len(r.server.targets) == 2
        assert system.now - began >= 6


async def test_an_unanswered_flush_is_answered_with_what_was_understood(
    system: SystemUnderTest,
) -> None:
    async with rig(system, recognises([], finalizes=False)) as r:
        over = r.open()
        await r.speak(say("yes please"))
        at = system.now
        r.stt.tell(Flush("s-1", 1))
        await trio.sleep(2)
        assert r.finals == [("yes please", 1)]
        await r.speak(say("two pizzas"))
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
        await system.settle()
        assert r.finals == [("yes please", 1), ("two pizzas", 0)]
        assert system.now > at


@pytest.mark.parametrize(
    ("talk", "kind", "connections"),
    [
        (401, FaultKind.UNAUTHORIZED, 1),
        (400, FaultKind.REJECTED, 1),
        (429, FaultKind.RATE_LIMITED, 1),
        (500, FaultKind.UNAVAILABLE, 4),
        (None, FaultKind.UNAVAILABLE, 4),
        (closes(1011), FaultKind.UNAVAILABLE, 4),
        (closes(1008), FaultKind.REJECTED, 1),
        (says("nonsense"), FaultKind.GARBLED, 1),
        (says('{"type": "Results"}'), FaultKind.GARBLED, 1),
        (says('{"type": "Results", "start": [], "duration": 1}'), FaultKind.GARBLED, 1),
        (says('{"type": "Error", "err_code": "X-1"}'), FaultKind.UNAVAILABLE, 4),
        (says("[" * 100_000), FaultKind.GARBLED, 1),
        (says("x" * (1 << 21)), FaultKind.GARBLED, 1),
    ],
)
async def test_a_stream_that_cannot_go_on_says_why(
    system: SystemUnderTest, talk: Talk | int | None, kind: FaultKind, connections: int
) -> None:
    async with rig(system, talk, tries=3) as r:
        over = r.open()
        r.stt.tell(Audio("s-1", say("yes please")))
        fault = await over
        assert isinstance(fault, ModelFault)
        assert (fault.kind, len(r.server.targets)) == (kind, connections)
        if kind is FaultKind.RATE_LIMITED:
            assert fault.retry_after == 7


async def test_reconnecting_has_a_cap_and_ends_with_its_listener(system: SystemUnderTest) -> None:
    async with rig(system, 500, breaker=BreakerConfig(failures=100)) as r:
        over, began = r.open(), system.now
        assert isinstance(await over, ModelFault)
        assert len(r.server.targets) == 7
        assert system.now - began == pytest.approx(0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2, abs=0.01)
        over = r.open()
        await trio.sleep(0.15)
        await system.stop(r.probe.ref.path)
        fault = await over
        assert isinstance(fault, ModelFault)
        assert fault.kind is FaultKind.CANCELLED
        tried = len(r.server.targets)
        await trio.sleep(60)
        assert len(r.server.targets) == tried
        assert r.server.open == 0


async def test_failed_connections_open_the_breaker_for_other_streams(
    system: SystemUnderTest,
) -> None:
    async with rig(system, 500, breaker=BreakerConfig(failures=3)) as r:
        for _ in range(2):
            fault = await r.open()
            assert isinstance(fault, ModelFault)
            assert fault.kind is FaultKind.BREAKER_OPEN
        assert len(r.server.targets) == 3


async def test_audio_that_nobody_takes_is_dropped_oldest_first(system: SystemUnderTest) -> None:
    async with rig(system, 500, recognises([]), replay=1.0) as r:
        over = r.open()
        for phrase in ("yes please", "two pizzas", "no thanks"):
            r.stt.tell(Audio("s-1", say(phrase)))
        await trio.sleep(1)
        r.stt.tell(CloseStream("s-1"))
        assert await over == StreamClosed("s-1")
        await system.settle()
        assert " ".join(text for text, _ in r.finals) == "two pizzas no thanks"
        final = next(t for t in r.probe.received if t.final)
        assert final.words[0].start == pytest.approx(0.5, abs=0.01)
        assert r.actor.statistics().dropped == 1
