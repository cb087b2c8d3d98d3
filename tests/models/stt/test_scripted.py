from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio

from models.faults import FaultKind, ModelFault, ScriptedCrash
from models.spoken import speech_pcm
from models.stt.protocol import CloseStream, Flush, OpenStream, StreamClosed
from models.stt.scripted import (
    ScriptedStt,
    ScriptedSttConfig,
    SttFault,
    SttPlan,
    SttTrouble,
)
from models.words import Word
from supervision import ActorCrashed, ActorRef
from supervision.testing import SystemUnderTest
from tests.models.stt.conformance import Ears, Paper, SttConformance, open_line


async def scripted(
    system: SystemUnderTest,
    *faults: SttFault,
    config: ScriptedSttConfig | None = None,
    rate: int = 16000,
) -> Ears:
    plan = SttPlan(faults)
    ref = await system.spawn(partial(ScriptedStt, config, plan), path="/stt")

    asked = []

    def crash() -> None:
        system.expect_crash("/stt", ScriptedCrash)
        plan._faults = (SttFault(SttTrouble.CRASH, stream=plan.opened + 1),)
        nobody: ActorRef[Any] = ref
        asked.append(ref.ask(OpenStream("crash", rate, nobody)))

    return Ears(system, ref, say=partial(speech_pcm, rate=rate), crash=crash, rate=rate, slack=0)


class TestScripted(SttConformance):
    @pytest.fixture(params=[8000, 16000, 48000])
    async def ears(self, request: pytest.FixtureRequest, system: SystemUnderTest) -> Ears:
        return await scripted(system, rate=request.param)


async def test_words_have_the_times_of_their_samples(system: SystemUnderTest) -> None:
    line = await open_line(await scripted(system), "s-1")
    line.silence(0.25)
    line.say("two pizzas")
    final = await line.flush(1)
    await line.close()
    assert final.words == (Word("two", 0.25, 0.55), Word("pizzas", 0.55, 0.85))
    assert (final.start, final.end) == (0.25, 1.05)


async def test_letters_that_were_cut_off_are_missing(system: SystemUnderTest) -> None:
    line = await open_line(await scripted(system), "s-1")
    line.hear(speech_pcm("two pizzas")[2 * 16000 * 36 // 100 :])  # a letter is 50 ms here
    assert (await line.flush(1)).text == "zzas"
    await line.close()


async def test_partials_grow_word_by_word_and_come_in_time(system: SystemUnderTest) -> None:
    line = await open_line(await scripted(system), "s-1")
    pcm = speech_pcm("yes two pizzas")
    for at in range(0, len(pcm), 640):  # as it comes
        line.hear(pcm[at : at + 640])
        await trio.sleep(0.02)
        if line.seconds == pytest.approx(0.5):  # told 50 ms after 0.4 s were heard
            assert line.told[-1].text == "yes t"
    texts = [t.text for t in line.told]
    assert texts == sorted(texts, key=len)
    assert all(after.startswith(before) for before, after in pairwise(texts))
    assert (await line.flush(1)).text == "yes two pizzas"
    await line.close()


async def test_a_final_comes_after_its_latency(system: SystemUnderTest) -> None:
    config = ScriptedSttConfig(final_latency=0.7)
    line = await open_line(await scripted(system, config=config), "s-1")
    line.say("yes")
    began = system.now
    await line.flush(1)
    assert system.now - began == pytest.approx(0.7, abs=0.011)
    await line.close()


async def test_the_nth_stream_fails_after_its_audio(system: SystemUnderTest) -> None:
    fault = SttFault(SttTrouble.FAIL, stream=2, after=0.5, kind=FaultKind.RATE_LIMITED)
    ears = await scripted(system, fault)
    first, second = await open_line(ears, "s-1"), await open_line(ears, "s-2")
    for line in (first, second):
        line.say("yes two")
    assert await second.over == ModelFault("scripted", FaultKind.RATE_LIMITED, "as planned")
    assert (await first.flush(1)).text == "yes two"
    assert await first.close() == StreamClosed("s-1")


async def test_a_crash_is_planned_once_over_all_lives(system: SystemUnderTest) -> None:
    system.expect_crash("/stt", ScriptedCrash)
    ears = await scripted(system, SttFault(SttTrouble.CRASH, stream=1, after=0.4))
    line = await open_line(ears, "s-1")
    line.say("yes two")
    with pytest.raises(ActorCrashed):
        await line.over
    again = await open_line(ears, "s-1")
    again.say("yes two")
    assert (await again.flush(1)).text == "yes two"
    await again.close()


async def test_a_silent_stream_never_answers(system: SystemUnderTest) -> None:
    ears = await scripted(system, SttFault(SttTrouble.SILENT, stream=1))
    line = await open_line(ears, "s-1")
    line.say("yes")
    ears.ref.tell(Flush("s-1", 1))
    await trio.sleep(60)
    line.ears.ref.tell(CloseStream("s-1"))
    with pytest.raises(trio.TooSlowError), trio.fail_after(60):
        await line.over
    assert line.told == []


async def test_a_final_can_be_late_and_garbled(system: SystemUnderTest) -> None:
    late = SttFault(SttTrouble.LATE, seconds=2.0)
    ears = await scripted(system, late, SttFault(SttTrouble.GARBAGE))
    line = await open_line(ears, "s-1")
    line.say("yes two")
    began = system.now
    final = await line.flush(1)
    assert system.now - began == pytest.approx(2.1, abs=0.011)
    assert (final.text, final.confidence) == ("sey? owt?", 0.2)
    await line.close()


async def test_its_numbers_can_be_looked_at(system: SystemUnderTest) -> None:
    ears = await scripted(system)
    line = await open_line(ears, "s-1")
    ears.ref.tell(Flush("nobody", 1))
    await system.settle()
    assert system.state("/stt").statistics == {"open": 1, "opened": 1, "dropped": 1}
    await line.close()


async def test_a_stream_ends_with_the_actor_that_is_told(system: SystemUnderTest) -> None:
    ears = await scripted(system)
    to = await system.spawn(Paper, [], path="/paper")
    over = ears.ref.ask(OpenStream("s-1", 16000, to), timeout=math.inf)
    await system.settle()
    await system.stop("/paper")
    assert await over == StreamClosed("s-1")
    assert system.state("/stt").statistics["open"] == 0


async def test_two_hundred_are_understood_at_once(system: SystemUnderTest) -> None:
    ears = await scripted(system)
    lines = [await open_line(ears, f"s-{n}") for n in range(200)]
    for n, line in enumerate(lines):
        line.say(f"caller {n} speaking")
        await system.settle()
    for n, line in enumerate(lines):
        assert (await line.flush(1)).text == f"caller {n} speaking"
        await line.close()


async def test_a_rate_that_can_carry_no_letters_is_refused(system: SystemUnderTest) -> None:
    line = await open_line(await scripted(system, rate=4000), "s-1")
    fault = await line.over
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.REJECTED
