"""Providers that fail, stall, or are half open: the next one goes on, and somebody is heard."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

from actors.machines.profiles import FloorConfig
from actors.testing import CallRig, heard_words, holes, say
from models.conversation import ToolAnswered
from models.llm.protocol import Generate
from models.llm.scripted import CallTool, Fail, Reply, Say, Stall
from models.scripted import (
    ScriptedTtsConfig,
    SttFault,
    SttPlan,
    SttTrouble,
    TtsFault,
    TtsPlan,
    TtsTrouble,
)
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    check_history_is_what_was_heard,
    texts,
    user_said,
    words_heard,
)
from tests.actors.call.teams import slow_team
from transports.leg import ShowNotice


@pytest.mark.parametrize("trouble", [TtsTrouble.STALL, TtsTrouble.FAIL, TtsTrouble.CRASH])
@pytest.mark.parametrize("words", [0, 1, 4, 9, 10])
async def test_another_voice_goes_on_with_the_first_unspoken_word(
    system: SystemUnderTest, trouble: TtsTrouble, words: int
) -> None:
    """Row 29: heard again in less than 2.5 s, and no word twice."""
    system.expect_crash("/models/tts")
    plan = TtsPlan([TtsFault(trouble, after_words=words)])
    just = ScriptedTtsConfig(real_time_factor=0.9)
    rig = await CallRig.open(system, [COUNT], tts=just, tts_plan=plan, second_voice=True)
    person = await rig.call()
    await trio.sleep(8.0)
    assert heard_words(person) == COUNT
    assert all(hole < 2.5 for hole in holes(person))
    assert min(piece.start for piece in person.heard()) < 2.5
    assert texts(await rig.history(person)) == [("agent", COUNT)]
    assert person.of_type(ShowNotice)


@pytest.mark.parametrize("trouble", [TtsTrouble.STALL, TtsTrouble.FAIL])
async def test_the_only_voice_has_a_second_try(
    system: SystemUnderTest, trouble: TtsTrouble
) -> None:
    plan = TtsPlan([TtsFault(trouble, after_words=3)])
    rig = await CallRig.open(system, [COUNT], tts_plan=plan)
    person = await rig.call()
    await trio.sleep(8.0)
    assert heard_words(person) == COUNT
    await check_history_is_what_was_heard(rig, person)


async def test_without_any_voice_people_are_told_and_the_call_goes_on(
    system: SystemUnderTest,
) -> None:
    plan = TtsPlan([TtsFault(TtsTrouble.FAIL, piece=n) for n in (1, 2)])
    rig = await CallRig.open(system, ["Hi.", "I can speak again."], tts_plan=plan)
    person = await rig.call()
    await trio.sleep(3.0)
    assert [n.level for n in person.of_type(ShowNotice)] == ["warning", "error"]
    person.speak(say("hello"))
    await trio.sleep(4.0)
    assert heard_words(person) == "I can speak again."
    assert texts(await rig.history(person)) == [("user", "hello"), ("agent", "I can speak again.")]


@pytest.mark.parametrize(
    "first",
    [
        Reply(Stall()),
        Reply(Fail()),
        Reply(Say("one two "), Fail()),
        Reply(Say("one two "), Stall()),
    ],
)
async def test_another_model_goes_on_where_one_stopped(
    system: SystemUnderTest, first: Reply
) -> None:
    """Rows 29 and 30: being connected is nothing; useful text is."""
    rest = "three four five" if len(first.moves) > 1 else "one two three four five"
    rig = await CallRig.open(system, [first], second_model=[rest])
    person = await rig.call()
    await trio.sleep(12.0)
    words = [w for w in words_heard(person) if w in COUNT]
    assert " ".join(words) == "one two three four five"
    sounds = [piece.start for piece in person.heard()]
    assert sounds[0] <= 3.0
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("reply", [Reply(Stall()), Reply(Fail())])
async def test_when_no_model_answers_the_user_is_told(
    system: SystemUnderTest, reply: Reply
) -> None:
    """V7: something within three seconds, at least every five, and a reason in the end."""
    rig = await CallRig.open(system, lambda _request: reply)
    person = await rig.call()
    await trio.sleep(25.0)
    assert heard_words(person).endswith(FloorConfig().apology)
    sounds = [0.0, *(piece.start for piece in person.heard() if piece.start < 10.0)]
    assert sounds[1] <= 3.0
    assert max(b - a for a, b in pairwise(sounds)) <= 5.0
    await check_history_is_what_was_heard(rig, person)


async def test_a_turn_of_nothing_but_tool_calls_is_no_failure_of_any_voice(
    system: SystemUnderTest,
) -> None:
    """Row 30."""

    def reply(request: Generate) -> Reply | str:
        done = sum(isinstance(item, ToolAnswered) for item in request.context)
        return "Done." if done == 2 else Reply(CallTool("look"))

    rig = await CallRig.open(system, reply, team=slow_team(0.4))
    person = await rig.call()
    await trio.sleep(4.0)
    assert heard_words(person) == "Done."
    assert not person.of_type(ShowNotice)
    assert rig.tts.asked == 1


@pytest.mark.parametrize("trouble", [SttTrouble.FAIL, SttTrouble.CRASH])
@pytest.mark.parametrize("after", [0.0, 0.2, 0.5, 0.9, 1.1])
async def test_what_a_failed_recogniser_had_heard_is_heard_by_the_next(
    system: SystemUnderTest, trouble: SttTrouble, after: float
) -> None:
    system.expect_crash("/models/stt")
    plan = SttPlan([SttFault(trouble, after=after)])
    rig = await CallRig.open(system, ["Hi.", "Good."], stt_plan=plan)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("two pizzas please"))
    await trio.sleep(5.0)
    assert user_said(await rig.history(person)) == "two pizzas please"


async def test_reconnecting_has_a_cap_and_ends_with_the_call(system: SystemUnderTest) -> None:
    """Row 31."""
    plan = SttPlan([SttFault(SttTrouble.FAIL, stream=n) for n in range(1, 200)])
    rig = await CallRig.open(system, ["Hi."], stt_plan=plan)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("can you hear me"))
    await trio.sleep(120.0)
    tries = plan.opened
    assert tries <= 14  # six after the first, and once more when the turn's words are asked for
    await trio.sleep(120.0)
    assert plan.opened == tries
    person.hang_up()
    await trio.sleep(60.0)
    assert plan.opened == tries


async def test_a_silent_recogniser_holds_nobody_up(system: SystemUnderTest) -> None:
    """Row 29: half open. The user hears that they were not understood, if they interrupted."""
    plan = SttPlan([SttFault(SttTrouble.SILENT)])
    rig = await CallRig.open(system, [COUNT], stt_plan=plan)
    person = await rig.call()
    await trio.sleep(0.8)
    person.speak(say("stop that at once please"))
    await trio.sleep(6.0)
    assert heard_words(person).endswith("Sorry, I did not catch that.")
    await check_history_is_what_was_heard(rig, person)
