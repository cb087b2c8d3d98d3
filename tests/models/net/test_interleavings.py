"""Taken back at any moment, in any order of things: every ask is answered once, nothing is left."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, TypeVar

import httpx
import pytest
import trio

from models.conversation import UserSaid
from models.faults import ModelFault
from models.llm.openai import OpenAiLlm, OpenAiLlmConfig
from models.llm.protocol import CancelGeneration, Generate, Generated, TextDelta
from models.net import Provider
from models.stt.deepgram import Deepgram, DeepgramConfig
from models.stt.protocol import Audio, CloseStream, Flush, OpenStream, StreamClosed, Transcript
from models.tts.elevenlabs import ElevenLabs, ElevenLabsConfig
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize, Synthesized
from supervision import ActorRef, Reply
from supervision.secret import Secret
from supervision.testing import SystemUnderTest, simulate
from tests.models.net.fake_deepgram import RATE, recognises, say, says_nothing
from tests.models.net.servers import Talk, memory_server, sse
from tests.models.net.test_elevenlabs import speaks
from tests.models.net.test_llm_openai import Slow, chunk

SEEDS = range(1000 if os.environ.get("TROUPE_SOAK") == "1" else 10)

P = TypeVar("P", bound=Provider[Any])


async def spawned(system: SystemUnderTest, make: Callable[[], P]) -> tuple[ActorRef[Any], P]:
    made: list[P] = []

    def start() -> P:
        made.append(make())
        return made[-1]

    return await system.spawn(start, path="/provider"), made[0]


async def all_over(system: SystemUnderTest, provider: Provider[Any], asked: int) -> None:
    """Everything was answered, and nothing is under way any more."""
    await trio.sleep(40)
    statistics = provider.statistics()
    assert statistics.guard.under_way == 0
    assert statistics.answered + sum(statistics.faults.values()) == asked
    assert not provider._calls


async def settled(replies: list[Reply[Any]], *kinds: type) -> None:
    with trio.fail_after(60):
        for reply in replies:
            assert isinstance(await reply, (*kinds, ModelFault))


@pytest.mark.parametrize("seed", SEEDS)
def test_generations(seed: int) -> None:
    random = Random(seed)

    async def answer(_: httpx.Request) -> httpx.Response:
        events = sse(*[chunk(content=f"{n} ") for n in range(9)], chunk("stop"), "[DONE]")
        said = [(random.choice((0.0, 0.1, 0.7)), event) for event in events]
        if random.random() < 0.2:
            return httpx.Response(random.choice((401, 429, 500)))
        return httpx.Response(200, stream=Slow(*said[: random.randint(0, len(said))]))

    async def scenario(system: SystemUnderTest) -> None:
        config = OpenAiLlmConfig(base_url="http://llm.test/v1")
        make = partial(OpenAiLlm, config, "p", httpx.MockTransport(answer))
        llm, provider = await spawned(system, make)
        probe = await system.probe(TextDelta)
        replies = []
        for n in range(6):
            request = Generate(f"g-{n}", (UserSaid("hi", 1),), probe.ref)
            replies.append(llm.ask(request, timeout=math.inf))
            await trio.sleep(random.random())
            if random.random() < 0.5:
                llm.tell(CancelGeneration(f"g-{random.randint(0, n)}"))
        await settled(replies, Generated)
        await all_over(system, provider, 6)

    simulate(scenario, seed)


def mixed(random: Random, *talks: Talk | int | None) -> list[Talk | int | None]:
    return [random.choice(talks) for _ in range(12)]


@pytest.mark.parametrize("seed", SEEDS)
def test_utterances(seed: int) -> None:
    random = Random(seed)
    good = speaks([], every=random.choice((0.0, 0.2)))
    server = memory_server(
        *mixed(random, good, good, speaks([], chunks=2), speaks([], chunks=0), None, 500)
    )

    async def scenario(system: SystemUnderTest) -> None:
        async with trio.open_nursery() as nursery:
            config = ElevenLabsConfig(Secret("k"), url=server.url)
            make = partial(ElevenLabs, config, "p", partial(server.dial, nursery))
            tts, provider = await spawned(system, make)
            probe = await system.probe(SpeechAudio)
            replies = []
            for n in range(8):
                name = f"u-{n // 3}"
                last = random.random() < 0.5
                request = Synthesize(
                    name, n, random.choice(("Hello there.", "")), probe.ref, last=last
                )
                replies.append(tts.ask(request, timeout=math.inf))
                await trio.sleep(random.choice((0.0, 0.1, 1.0)))
                if random.random() < 0.2:
                    tts.tell(CancelSpeech(name))
            await settled(replies, Synthesized)
            await trio.sleep(40)
            assert provider.statistics().guard.under_way == 0
            assert not provider._calls
            assert not provider._sockets
            assert not provider._utterances
            assert server.open == 0
            await system.stop("/provider")
            nursery.cancel_scope.cancel()

    simulate(scenario, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_streams(seed: int) -> None:
    random = Random(seed)
    good = recognises([])
    server = memory_server(
        *mixed(random, good, good, recognises([], cut_at=0.6), says_nothing, None, 500)
    )

    async def scenario(system: SystemUnderTest) -> None:
        async with trio.open_nursery() as nursery:
            config = DeepgramConfig(Secret("k"), server.url)
            make = partial(Deepgram, config, "p", partial(server.dial, nursery))
            stt, provider = await spawned(system, make)
            probe = await system.probe(Transcript)
            replies = []
            for n in range(4):
                name = f"s-{n}"
                replies.append(stt.ask(OpenStream(name, RATE, probe.ref), timeout=math.inf))
                for number, phrase in enumerate(("yes please", "two pizzas"), start=1):
                    stt.tell(Audio(name, say(phrase)))
                    await trio.sleep(random.choice((0.0, 0.5)))
                    stt.tell(Flush(name, number))
                    await trio.sleep(random.choice((0.0, 0.5)))
                stt.tell(CloseStream(name))
            await settled(replies, StreamClosed)
            await all_over(system, provider, 4)
            assert not provider._streams
            assert server.open == 0
            flushes = [(t.stream, t.flush) for t in probe.received if t.flush]
            assert len(flushes) == len(set(flushes)), "a flush was answered twice"
            await system.stop("/provider")
            nursery.cancel_scope.cancel()

    simulate(scenario, seed)
