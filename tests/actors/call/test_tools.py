"""Tools and interruptions: no call without an answer, nothing done for a turn that is over."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

from actors.testing import CallRig, heard_words, noise, say
from models.conversation import Item, ToolAnswered, ToolCalled
from models.llm.protocol import Generate
from models.llm.scripted import CallTool, Reply, Say
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    SEEDS,
    SOME_SEEDS,
    check_history_is_what_was_heard,
    run,
    texts,
    user_said,
)
from tests.actors.call.teams import slow_team, tool, two_agents
from transports.leg import CloseWire, ShowTool


def check_every_call_is_answered_once(history: tuple[Item, ...]) -> None:
    called = [item.id for item in history if isinstance(item, ToolCalled)]
    answered = [item.id for item in history if isinstance(item, ToolAnswered)]
    assert sorted(called) == sorted(answered)
    assert len(set(called)) == len(called)
    for item in called:
        order = [i.id for i in history if isinstance(i, ToolCalled | ToolAnswered)]
        assert order.index(item) < len(order) - 1


@pytest.mark.parametrize("when", [0.05, 0.3, 0.7, 1.0, 1.4, 2.0, 2.6, 3.2])
@pytest.mark.parametrize("cancellable", [True, False])
async def test_a_cut_before_while_and_after_a_tool_that_speaks(
    system: SystemUnderTest, when: float, cancellable: bool
) -> None:
    """Row 4: the tool waits while its own line is spoken."""
    log: list[str] = []

    def reply(request: Generate) -> Reply | str:
        if user_said(request.context):
            return "Still with you."
        if any(isinstance(item, ToolAnswered) for item in request.context):
            return "It is done."
        return Reply(Say("One moment while I look. "), CallTool("look"))

    team = slow_team(1.5, log, cancellable=cancellable)
    rig = await CallRig.open(system, reply, team=team)
    person = await rig.call()
    await trio.sleep(when)
    person.speak(say("are you still there"))
    await trio.sleep(6.0)
    history = await rig.history(person)
    assert texts(history)[-1] == ("agent", "Still with you.")
    assert ("user", "are you still there") in texts(history)
    check_every_call_is_answered_once(history)
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_tool_call_stays_without_an_answer(seed: int) -> None:
    """Rows 22 and 24: the cut before, at and after the call's announcement, its start, its end."""

    async def scenario(system: SystemUnderTest) -> None:
        def reply(request: Generate) -> Reply | str:
            if user_said(request.context):
                return "Fine."
            if any(isinstance(item, ToolAnswered) for item in request.context):
                return COUNT
            return Reply(Say("Well. "), CallTool("look", after=0.4), CallTool("look"))

        rig = await CallRig.open(system, reply, team=slow_team(0.3))
        person = await rig.call()
        await trio.sleep(0.02 * seed)
        person.write("never mind")
        await trio.sleep(3.0)
        history = await rig.history(person)
        check_every_call_is_answered_once(history)
        assert texts(history)[-1] == ("agent", "Fine.")
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_result_in_the_same_moment_as_the_cut_is_in_history(seed: int) -> None:
    """Row 24: the tool is not done a second time."""

    async def scenario(system: SystemUnderTest) -> None:
        log: list[str] = []

        def reply(request: Generate) -> Reply | str:
            if any(isinstance(item, ToolAnswered) for item in request.context):
                return "Fine."
            return CALL

        CALL = Reply(CallTool("look"))
        team = slow_team(0.5, log, cancellable=False)
        rig = await CallRig.open(system, reply, team=team)
        person = await rig.call()
        await trio.sleep(0.5)
        person.write("go on")
        await trio.sleep(4.0)
        history = await rig.history(person)
        check_every_call_is_answered_once(history)
        assert log == ["look begins", "look ends"]
        assert ("answer", "look done") in texts(history)

    run(scenario, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_discarded_goodbye_hangs_up_on_nobody(seed: int) -> None:
    """Row 23: the agent says goodbye and hangs up; the user has something to add."""

    async def scenario(system: SystemUnderTest) -> None:
        def reply(request: Generate) -> Reply | str:
            if user_said(request.context):
                return "Of course, tell me."
            return Reply(Say("Goodbye then and have a very nice day. "), CallTool("hang_up"))

        rig = await CallRig.open(system, reply)
        person = await rig.call()
        await trio.sleep(0.4 + 0.04 * seed)
        person.speak(say("no no one more thing"))
        await trio.sleep(7.0)
        if seed <= 40:
            assert not person.of_type(CloseWire)
            history = await rig.history(person)
            assert texts(history)[-1] == ("agent", "Of course, tell me.")
            await check_history_is_what_was_heard(rig, person)

    run(scenario, seed % 41)


async def test_a_goodbye_is_heard_and_then_the_call_ends(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, [Reply(Say("Goodbye and thank you."), CallTool("hang_up"))])
    person = await rig.call()
    with trio.fail_after(3.0):
        await person.wait_gone()
    assert heard_words(person) == "Goodbye and thank you."
    (close,) = person.of_type(CloseWire)
    assert close.reason == "the agent hung up"


async def test_a_cough_in_the_goodbye_does_not_keep_the_line(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, [Reply(Say(f"Goodbye and {COUNT}."), CallTool("hang_up"))])
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(noise(0.1))
    with trio.fail_after(7.0):
        await person.wait_gone()


@pytest.mark.parametrize("seed", SOME_SEEDS)
def test_no_tool_starts_while_the_agent_is_held(seed: int) -> None:
    """A cough at the very moment: the tool waits until it is clear that the utterance goes on."""

    async def scenario(system: SystemUnderTest) -> None:
        log: list[str] = []

        def reply(request: Generate) -> Reply | str:
            if any(isinstance(item, ToolAnswered) for item in request.context):
                return "Done."
            return Reply(Say("Let me look that up for you. "), CallTool("look", after=0.9))

        rig = await CallRig.open(system, reply, team=slow_team(0.1, log))
        person = await rig.call()
        await trio.sleep(0.65)
        person.speak(noise(0.15))
        await trio.sleep(0.3)
        assert log == []
        await trio.sleep(5.0)
        assert log == ["look begins", "look ends"]
        assert heard_words(person).endswith("Done.")
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)


async def test_results_are_committed_in_the_order_of_the_calls(system: SystemUnderTest) -> None:
    def reply(request: Generate) -> Reply | str:
        if any(isinstance(item, ToolAnswered) for item in request.context):
            return "All done."
        return Reply(CallTool("slow", id="1"), CallTool("fast", id="2"))

    team = two_agents(tool("slow", 0.5), tool("fast", 0.1))
    rig = await CallRig.open(system, reply, team=team)
    person = await rig.call()
    await trio.sleep(3.0)
    answers = [i.id for i in await rig.history(person) if isinstance(i, ToolAnswered)]
    assert answers == ["1", "2"]


async def test_a_slow_tool_is_covered_by_fillers(system: SystemUnderTest) -> None:
    """V7: the user hears something within 3 s, and then at least every 5 s."""

    def reply(request: Generate) -> Reply | str:
        if any(isinstance(item, ToolAnswered) for item in request.context):
            return "Here it is."
        return Reply(CallTool("look"))

    rig = await CallRig.open(system, reply, team=slow_team(12.0))
    person = await rig.call()
    began = system.now
    await trio.sleep(15.0)
    assert heard_words(person).endswith("Here it is.")
    sounds = [began, *(piece.start for piece in person.heard())]
    gaps = [after - before for before, after in pairwise(sounds)]
    assert gaps[0] <= 3.0
    assert max(gaps) <= 5.0
    await check_history_is_what_was_heard(rig, person)
    assert [tool.state for tool in person.of_type(ShowTool)] == ["started", "done"]
