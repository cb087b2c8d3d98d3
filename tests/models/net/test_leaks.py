"""After many short calls there is as much open as before."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest
import trio

from models.conversation import UserSaid
from models.llm.openai import OpenAiLlmConfig, openai_llm_spec
from models.llm.protocol import CancelGeneration, Generate, TextDelta
from models.stt.deepgram import DeepgramConfig, deepgram_spec
from models.stt.protocol import Audio, CloseStream, OpenStream, Transcript
from models.tts.elevenlabs import ElevenLabsConfig, elevenlabs_spec
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize
from supervision import ChildSpec, Reply
from supervision.secret import Secret
from supervision.testing import SystemUnderTest, system_under_test
from tests.models.net.fake_deepgram import RATE, recognises, say
from tests.models.net.servers import hang, http_server, ws_server
from tests.models.net.test_elevenlabs import speaks
from tests.models.net.test_llm_openai import HELLO

FILES = "/proc/self/fd"
CALLS = 40


async def calls(system: SystemUnderTest, first: int, count: int) -> None:
    """Each listens, thinks and speaks for a moment and is cut off."""
    probe = await system.probe(Transcript, TextDelta, SpeechAudio)
    stt, llm, tts = (system.ref(path) for path in ("/stt", "/llm", "/tts"))
    replies: list[Reply[Any]] = []
    for n in map(str, range(first, first + count)):
        replies += [
            stt.ask(OpenStream(n, RATE, probe.ref), timeout=math.inf),
            llm.ask(Generate(n, (UserSaid("hi", 1),), probe.ref), timeout=math.inf),
            tts.ask(Synthesize(n, 0, "Hello there.", probe.ref, last=False), timeout=math.inf),
        ]
        stt.tell(Audio(n, say("yes please")))
        await trio.sleep(0.002)
        for message in (CloseStream(n), CancelGeneration(n), CancelSpeech(n)):
            next(ref for ref in (stt, llm, tts) if type(message) in ref.accepts).tell(message)
    with trio.fail_after(20):
        for reply in replies:
            await reply
    await system.stop(probe.ref.path)


async def quiet() -> tuple[int, int]:
    """Tasks and files, once what was cut off has ended."""
    await trio.sleep(0.7)
    return trio.lowlevel.current_statistics().tasks_living, len(os.listdir(FILES))


@pytest.mark.skipif(not os.path.isdir(FILES), reason="counts open files as Linux shows them")
async def test_many_short_calls_leave_nothing_open() -> None:
    async with (
        http_server(hang(HELLO[:1])) as thinks,
        ws_server(recognises([])) as hears,
        ws_server(speaks([], every=0.01)) as speaker,
        system_under_test() as system,
    ):
        specs: list[ChildSpec[Any]] = [
            openai_llm_spec(OpenAiLlmConfig(base_url=thinks.url), "llm"),
            deepgram_spec(DeepgramConfig(Secret("k"), hears.url), "stt"),
            elevenlabs_spec(ElevenLabsConfig(Secret("k"), url=speaker.url), "tts"),
        ]
        for spec in specs:
            await system.start_child(spec)
        await calls(system, 0, 5)
        before = await quiet()
        await calls(system, 5, CALLS)
        assert await quiet() == before
        assert hears.open == speaker.open == 0
