"""Several people in one call: each hears the others and the agent, and any may interrupt."""

from __future__ import annotations

import pytest
import trio

from actors.testing import CallRig, heard_words, say
from models.conversation import AgentSaid, UserSaid
from models.llm.protocol import Generate
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import COUNT, LONG, crash, texts, user_said
from transports.leg import CloseWire
from transports.loopback import Loopback


async def three(rig: CallRig, **options: object) -> list[Loopback]:
    """Three people in one call; options are the last one's."""
    first = await rig.call()
    assert first.attached is not None
    people = [first]
    for more in ({}, options):
        person = rig.person(**more)
        await person.attach(call=first.attached.call)
        people.append(person)
    return people


def answer_everybody(request: Generate) -> str:
    return "Thank you all." if user_said(request.context) else "Welcome."


@pytest.mark.parametrize("options", [{}, {"rate_out": 8000}, {"rate_out": 48000}])
async def test_each_hears_the_two_others_and_the_agent(
    system: SystemUnderTest, options: dict[str, object]
) -> None:
    rig = await CallRig.open(system, answer_everybody)
    people = await three(rig, **options)
    await trio.sleep(2.0)
    for n, person in enumerate(people):
        person.speak(say(f"person {n}", rate=person.rate))
        await trio.sleep(0.62)
    await trio.sleep(4.0)
    for n, person in enumerate(people):
        heard = heard_words(person)
        assert heard.endswith("Thank you all.")
        for other in range(3):
            assert (f"person {other}" in heard) == (other != n)
    said = [(i.text, i.leg) for i in await rig.history(people[0]) if isinstance(i, UserSaid)]
    assert said == [("person 0", "a"), ("person 1", "b"), ("person 2", "c")]


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_a_barge_in_by_any_of_them_stops_the_agent_for_all(
    system: SystemUnderTest, who: int
) -> None:
    rig = await CallRig.open(system, ["Welcome.", LONG, "Yes."])
    people = await three(rig)
    await trio.sleep(1.5)
    people[0].speak(say("count please"))
    await trio.sleep(3.0)
    people[who].speak(say("hold on there"))
    await trio.sleep(6.0)
    history = await rig.history(people[0])
    assert texts(history)[-2:] == [("user", "hold on there"), ("agent", "Yes.")]
    cut = [item for item in history if isinstance(item, AgentSaid) and item.interrupted]
    assert len(cut) == 1
    for person in people:
        words = heard_words(person).split()
        assert "twenty" not in words
        assert set(cut[0].text.split()) <= set(words)
        assert words[-1] == "Yes."


@pytest.mark.parametrize("how", ["hang up", "drop"])
async def test_who_leaves_disturbs_nobody(system: SystemUnderTest, how: str) -> None:
    rig = await CallRig.open(system, ["Welcome.", COUNT, "Bye."])
    system.expect_dead_letters("/loopbackwire*")
    system.expect_dead_letters("/calls/c-1/legs/b/*")
    people = await three(rig)
    await trio.sleep(1.5)
    people[0].speak(say("count please"))
    await trio.sleep(2.5)
    if how == "hang up":
        people[1].hang_up()
    else:
        people[1].drop()
    await trio.sleep(4.0)
    assert texts(await rig.history(people[0]))[-1] == ("agent", COUNT)
    for person in (people[0], people[2]):
        assert heard_words(person).endswith(COUNT)
    people[2].speak(say("thanks"))
    await trio.sleep(30.0)
    assert texts(await rig.history(people[0]))[-2:] == [("user", "thanks"), ("agent", "Bye.")]
    assert not people[0].of_type(CloseWire)


@pytest.mark.parametrize("away", [0.5, 2.0, 3.0])
async def test_who_comes_back_joins_where_the_others_are(
    system: SystemUnderTest, away: float
) -> None:
    rig = await CallRig.open(system, ["Welcome.", LONG, "Yes."])
    system.expect_dead_letters("/loopbackwire*")
    people = await three(rig)
    await trio.sleep(1.5)
    people[0].speak(say("count please"))
    await trio.sleep(2.5)
    people[1].drop()
    await trio.sleep(away)
    await people[1].reattach()
    await trio.sleep(8.0)
    assert texts(await rig.history(people[0]))[-1] == ("agent", LONG)
    assert heard_words(people[0]).endswith(LONG)
    assert heard_words(people[1]).endswith("nineteen twenty")
    people[1].speak(say("again"))
    await trio.sleep(4.0)
    assert texts(await rig.history(people[0]))[-1] == ("agent", "Yes.")


async def test_who_comes_in_the_middle_hears_what_follows(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, [COUNT, "Yes."])
    first = await rig.call()
    await trio.sleep(1.5)
    second = rig.person()
    assert first.attached is not None
    await second.attach(call=first.attached.call)
    await trio.sleep(4.0)
    assert texts(await rig.history(first)) == [("agent", COUNT)]
    second.speak(say("hello everybody"))
    await trio.sleep(4.0)
    assert heard_words(second) == "Yes."
    assert heard_words(first) == f"{COUNT} hello everybody Yes."


async def test_a_bridge_that_crashes_is_back_at_once(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, ["Welcome.", "Yes."])
    people = await three(rig)
    await trio.sleep(2.0)
    crash(system, rig, people[0], "bridge")
    await trio.sleep(0.5)
    people[0].speak(say("still there"))
    await trio.sleep(4.0)
    assert heard_words(people[1]).endswith("still there Yes.")


async def test_two_people_who_talk_at_once_are_both_answered(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, lambda request: f"I heard {len(request.context)}.")
    people = await three(rig)
    await trio.sleep(2.0)
    people[0].speak(say("one thing"))
    people[1].speak(say("another thing"))
    await trio.sleep(5.0)
    said = {i.text for i in await rig.history(people[0]) if isinstance(i, UserSaid)}
    assert said == {"one thing", "another thing"}
    assert texts(await rig.history(people[0]))[-1][0] == "agent"


async def test_sound_that_comes_faster_than_it_is_heard_is_dropped_and_counted(
    system: SystemUnderTest,
) -> None:
    rig = await CallRig.open(system, ["Welcome."])
    people = await three(rig)
    await trio.sleep(2.0)
    people[0].speak(say("a burst of words at once"), frame_samples=16000)
    await trio.sleep(3.0)
    statistics = system.state(f"{rig.path(people[0])}/bridge").statistics
    assert statistics["dropped"] > 0
