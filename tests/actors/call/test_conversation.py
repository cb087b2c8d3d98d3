"""A conversation from end to end on virtual time: greeting, turn, barge-in, history."""

from __future__ import annotations

import trio

from actors.testing import CallRig, heard_words, say
from models.conversation import AgentSaid, UserSaid
from supervision.testing import SystemUnderTest

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


async def test_the_agent_greets_and_answers(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, ["Good morning.", "Two pizzas it is."])
    person = await rig.call()
    await trio.sleep(2.0)
    assert heard_words(person) == "Good morning."
    person.speak(say("two pizzas please"))
    await trio.sleep(4.0)
    assert heard_words(person) == "Good morning. Two pizzas it is."
    history = await rig.history(person)
    assert [(type(item), item.text) for item in history] == [  # type: ignore[union-attr]
        (AgentSaid, "Good morning."),
        (UserSaid, "two pizzas please"),
        (AgentSaid, "Two pizzas it is."),
    ]


async def test_a_barge_in_stops_the_agent_and_history_says_what_was_heard(
    system: SystemUnderTest,
) -> None:
    rig = await CallRig.open(system, ["Hello.", LONG, "Sure."])
    person = await rig.call()
    await trio.sleep(1.5)
    person.speak(say("count please"))
    await trio.sleep(3.5)
    person.speak(say("that is enough thank you"))
    await trio.sleep(5.0)
    history = await rig.history(person)
    texts = [(type(item).__name__, item.text) for item in history]  # type: ignore[union-attr]

    cut = history[2]
    assert isinstance(cut, AgentSaid)
    assert cut.interrupted
    assert LONG.startswith(cut.text)
    assert heard_words(person).startswith(f"Hello. {cut.text}")
    assert texts[3:] == [("UserSaid", "that is enough thank you"), ("AgentSaid", "Sure.")]
