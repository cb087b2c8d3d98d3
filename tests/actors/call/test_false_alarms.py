"""Somebody coughs, hums or says "mm-hm": the agent pauses and goes on, and nothing is lost."""

from __future__ import annotations

import pytest
import trio

from actors.testing import CallRig, heard_words, holes, noise, say
from models.conversation import AgentSaid
from models.scripted import ScriptedSttConfig
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    SEEDS,
    check_history_is_what_was_heard,
    run,
    texts,
    user_said,
    words_heard,
)

# The scripted recogniser's partials spell: "oka" is no backchannel. So finals only.
WHOLE_WORDS = ScriptedSttConfig(partial_every=5.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_at_any_point_of_an_utterance_costs_no_word(seed: int) -> None:
    """Row 1, and V4."""
    at, length = 0.02 + (seed * 0.073) % 3.0, 0.1 + 0.1 * (seed % 4)

    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, [COUNT])
        person = await rig.call()
        await trio.sleep(0.1 + at)
        person.speak(noise(length))
        await trio.sleep(8.0)
        assert words_heard(person) == COUNT.split()
        again = [w for w in heard_words(person).split() if w not in COUNT.split()]
        assert len(again) <= 1  # the word that was broken off
        assert all(hole <= 0.9 + length for hole in holes(person))
        history = await rig.history(person)
        assert texts(history) == [("agent", COUNT)]
        assert isinstance(history[0], AgentSaid)
        assert not history[0].interrupted

    run(scenario, seed)


@pytest.mark.parametrize("at", [0.5, 1.1, 1.7, 2.3])
async def test_the_hole_that_a_cough_leaves_is_short(system: SystemUnderTest, at: float) -> None:
    """V4: 0.9 s from the last sound to the next."""
    rig = await CallRig.open(system, [COUNT])
    person = await rig.call()
    await trio.sleep(at)
    person.speak(noise(0.15))
    await trio.sleep(6.0)
    (hole,) = holes(person)
    assert hole <= 0.9


async def test_three_backchannels_and_then_a_turn(system: SystemUnderTest) -> None:
    """Row 10: short words do not pile up."""
    rig = await CallRig.open(system, [f"{COUNT} {COUNT} {COUNT}", "Sure."], stt=WHOLE_WORDS)
    person = await rig.call()
    await trio.sleep(1.0)
    for _ in range(3):
        person.speak(say("okay"))
        await trio.sleep(2.5)
    assert user_said(await rig.history(person)) == ""
    person.speak(say("now something else please"))
    await trio.sleep(3.0)
    history = await rig.history(person)
    assert user_said(history) == "now something else please"
    assert texts(history)[-1] == ("agent", "Sure.")
    await check_history_is_what_was_heard(rig, person)


async def test_yes_to_a_statement_is_listening(system: SystemUnderTest) -> None:
    """Row 11."""
    statement = "You live here. Then we go on with all the other things"
    rig = await CallRig.open(system, [statement, "Fine."], stt=WHOLE_WORDS)
    person = await rig.call()
    await trio.sleep(1.5)
    person.speak(say("yes"))
    await trio.sleep(5.0)
    assert texts(await rig.history(person)) == [("agent", statement)]
    await check_history_is_what_was_heard(rig, person)


async def test_yes_to_a_question_is_an_answer(system: SystemUnderTest) -> None:
    """Row 11."""
    question = "Do you live here? Then we go on with all the other things"
    rig = await CallRig.open(system, [question, "Fine."], stt=WHOLE_WORDS)
    person = await rig.call()
    await trio.sleep(2.2)
    person.speak(say("yes"))
    await trio.sleep(5.0)
    history = await rig.history(person)
    assert user_said(history) == "yes"
    assert texts(history)[-1] == ("agent", "Fine.")
    await check_history_is_what_was_heard(rig, person)


async def test_a_hum_that_goes_on_is_an_interruption_that_was_not_understood(
    system: SystemUnderTest,
) -> None:
    rig = await CallRig.open(system, [COUNT])
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(noise(1.5))
    await trio.sleep(6.0)
    history = await rig.history(person)
    assert texts(history)[-1] == ("agent", "Sorry, I did not catch that.")
    await check_history_is_what_was_heard(rig, person)
