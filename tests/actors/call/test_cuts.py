"""Somebody interrupts: silence, nothing stale, and a next answer that is heard."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from actors.testing import CallRig, heard_words, noise, say
from models.conversation import AgentSaid
from models.llm.scripted import CallTool, Reply, Say, speak
from models.scripted import ScriptedTtsConfig
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    LONG,
    SEEDS,
    SOME_SEEDS,
    check_history_is_what_was_heard,
    run,
    texts,
    user_said,
    words_heard,
)
from tests.actors.call.teams import slow_team
from transports.leg import Clear, ShowSaid, WireCapabilities


@pytest.mark.parametrize("seed", SOME_SEEDS)
@pytest.mark.parametrize("where", ["thinking", "first frame", "last frame", "tool gap"])
def test_after_a_cut_the_next_reply_is_audible(seed: int, where: str) -> None:
    """Row 2."""
    replies: dict[str, Sequence[Reply | str]] = {
        "thinking": [speak("Hello.", first=1.0), "Here I am again."],
        "first frame": [COUNT, "Here I am again."],
        "last frame": ["one two three", "Here I am again."],
        "tool gap": [
            Reply(Say("Let me look. "), CallTool("look")),
            "Here I am again.",
        ],
    }
    begin = {"thinking": 0.2, "first frame": 0.05, "last frame": 0.85, "tool gap": 1.4}[where]

    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, replies[where], team=slow_team(5.0))
        person = await rig.call()
        await trio.sleep(begin + (seed % 10) * 0.02)
        person.speak(say("hold on a moment please"))
        await trio.sleep(6.0)
        assert words_heard(person)[-4:] == ["Here", "I", "am", "again."]
        assert user_said(await rig.history(person)) == "hold on a moment please"
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_anywhere_on_the_way_to_a_reply_blocks_nothing(seed: int) -> None:
    """Row 3: somebody goes on speaking at each stage between their turn and its answer."""

    async def scenario(system: SystemUnderTest) -> None:
        replies = ["Hello.", *(f"Answer {n}." for n in range(1, 6))]
        rig = await CallRig.open(system, replies)
        person = await rig.call()
        await trio.sleep(1.5)
        person.speak(say("first thing"))
        await trio.sleep(0.6 + 0.48 + 0.01 * (seed % 20))
        person.speak(say("second thing"))
        await trio.sleep(4.0)
        history = await rig.history(person)
        assert user_said(history).replace(" | ", " ") == "first thing second thing"
        assert texts(history)[-1][0] == "agent"
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)


async def test_no_sound_of_an_old_utterance_comes_after_the_cut(system: SystemUnderTest) -> None:
    """Rows 5 and 6, V5: the model goes on generating, and the voice is slow."""
    slow = ScriptedTtsConfig(real_time_factor=0.8)
    rig = await CallRig.open(system, ["Hi.", speak(LONG, every=0.3), "Bye now."], tts=slow)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("count for me"))
    await trio.sleep(3.5)
    spoken = person.speak(say("enough enough enough"))
    await trio.sleep(6.0)
    said = person.of_type(ShowSaid)
    assert [s.interrupted for s in said] == [False, True, False]
    later = [piece for piece in person.heard() if piece.start > spoken.end]
    assert later
    assert words_heard(person)[-2:] == ["Bye", "now."]
    assert len(rig.llm.cancelled) == 1
    await check_history_is_what_was_heard(rig, person)


async def test_speech_after_the_voice_is_done_still_interrupts_what_the_far_end_plays(
    system: SystemUnderTest,
) -> None:
    """Row 7: the far end takes four seconds ahead."""
    ahead = WireCapabilities(True, True, True, True, send_ahead=4.0)
    rig = await CallRig.open(system, [COUNT, "Yes?"])
    person = await rig.call(capabilities=ahead)
    await trio.sleep(1.5)
    person.speak(say("stop please now"))
    await trio.sleep(4.0)
    assert person.of_type(Clear)
    history = await rig.history(person)
    cut = history[0]
    assert isinstance(cut, AgentSaid)
    assert cut.interrupted
    assert texts(history)[1:] == [("user", "stop please now"), ("agent", "Yes?")]
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("step", range(12))
async def test_what_a_clear_dropped_is_not_taken_as_played(
    system: SystemUnderTest, counts: bool, step: int
) -> None:
    """Row 8: a far end with half a second of buffer, which counts, or does not."""
    far = WireCapabilities(False, counts, True, True, send_ahead=0.5)
    rig = await CallRig.open(system, [COUNT, "Yes?"])
    person = await rig.call(capabilities=far, buffer=0.0)
    await trio.sleep(0.8 + 0.05 * step)
    person.speak(say("stop please now"))
    await trio.sleep(4.0)
    await check_history_is_what_was_heard(rig, person)


async def test_speech_before_the_greeting_sounds_is_answered(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, [speak("Hello.", first=2.0), "Yes, I am here."])
    person = await rig.call()
    await trio.sleep(0.1)
    person.speak(say("anybody there"))
    await trio.sleep(4.0)
    assert heard_words(person) == "Yes, I am here."


async def test_noise_while_the_agent_thinks_delays_nothing(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, ["Hi.", speak("Two of them.", first=1.0)])
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("how many"))
    await trio.sleep(0.6 + 0.7)
    person.speak(noise(0.1))
    await trio.sleep(4.0)
    assert texts(await rig.history(person)) == [
        ("agent", "Hi."),
        ("user", "how many"),
        ("agent", "Two of them."),
    ]
