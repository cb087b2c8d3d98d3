"""A conversation passes from one agent to another, and nothing falls between them."""

from __future__ import annotations

from itertools import permutations

import pytest
import trio

from actors.call.team import Worker
from actors.testing import CallRig, heard_words, say
from models.conversation import AgentSaid, ToolAnswered
from models.llm.protocol import Generate
from models.llm.scripted import CallTool, Reply, Say
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    SEEDS,
    SOME_SEEDS,
    check_history_is_what_was_heard,
    run,
    texts,
    user_said,
)
from tests.actors.call.teams import tool, two_agents
from tests.actors.call.test_tools import check_every_call_is_answered_once
from transports.leg import ShowAgent

TO_BILLING = CallTool("handoff", '{"agent": "billing", "reason": "money"}')


def answers(request: Generate) -> int:
    return sum(isinstance(item, ToolAnswered) for item in request.context)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_new_agents_tools_run_whatever_happens_in_the_handoff(seed: int) -> None:
    """Rows 19 and 21: speech and results at every moment of it."""

    async def scenario(system: SystemUnderTest) -> None:
        log: list[str] = []

        def reply(request: Generate) -> Reply | str:
            if request.agent == "front":
                if not user_said(request.context):
                    return "Front desk."
                return Reply(Say("I pass you on. "), TO_BILLING)
            if any("look done" in t for _w, t in texts(request.context)):
                return "Billing has it."
            return Reply(CallTool("look"))

        rig = await CallRig.open(system, reply, team=two_agents(tool("look", 0.2, log)))
        person = await rig.call()
        await trio.sleep(1.2)
        person.speak(say("billing please"))
        await trio.sleep(1.05 + 0.03 * (seed % 40))
        person.speak(say("and my number is seven"))
        await trio.sleep(6.0)
        history = await rig.history(person)
        assert person.of_type(ShowAgent)[-1].name == "billing"
        assert "look ends" in log
        assert texts(history)[-1] == ("agent", "Billing has it.")
        last = history[-1]
        assert isinstance(last, AgentSaid)
        assert last.agent == "billing"
        assert user_said(history).replace(" | ", " ") == "billing please and my number is seven"
        check_every_call_is_answered_once(history)
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)


@pytest.mark.parametrize("order", list(permutations([0.1, 0.4, 0.7])))
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_handoff_survives_slower_tools_in_its_batch(
    system: SystemUnderTest, order: tuple[float, ...], place: int
) -> None:
    """Row 20."""
    tools = [tool(f"tool{n}", seconds) for n, seconds in enumerate(order)]
    calls = [CallTool(t.tool.name) for t in tools]
    calls.insert(place, TO_BILLING)

    def reply(request: Generate) -> Reply | str:
        if request.agent == "billing":
            return "Billing here."
        return Reply(*calls)

    rig = await CallRig.open(system, reply, team=two_agents(*tools))
    person = await rig.call()
    await trio.sleep(4.0)
    assert heard_words(person) == "Billing here."
    assert (await rig.status(person)).agent == "front"  # of the utterance that was begun
    check_every_call_is_answered_once(await rig.history(person))
    assert len(rig.llm.asked) == 2
    assert answers(rig.llm.asked[1]) == 4


async def test_the_first_of_two_handoffs_wins(system: SystemUnderTest) -> None:
    """Row 20."""

    def reply(request: Generate) -> Reply | str:
        if request.agent == "front":
            return Reply(TO_BILLING, CallTool("handoff", '{"agent": "third"}'))
        return f"This is {request.agent}."

    rig = await CallRig.open(system, reply, team=two_agents())
    person = await rig.call()
    await trio.sleep(3.0)
    assert heard_words(person) == "This is billing."
    failed = [i for i in await rig.history(person) if isinstance(i, ToolAnswered) and i.failed]
    assert len(failed) == 1


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
async def test_a_handoff_that_was_accepted_holds_even_if_its_batch_is_cut(
    system: SystemUnderTest, at: float
) -> None:
    def reply(request: Generate) -> Reply | str:
        if request.agent == "billing":
            return "Billing here."
        return Reply(TO_BILLING, CallTool("slow"))

    rig = await CallRig.open(system, reply, team=two_agents(tool("slow", 0.6)))
    person = await rig.call()
    await trio.sleep(at)
    person.write("hello")
    await trio.sleep(3.0)
    history = await rig.history(person)
    assert texts(history)[-1] == ("agent", "Billing here.")
    check_every_call_is_answered_once(history)
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("seed", SOME_SEEDS)
def test_delegated_work_outlives_an_interruption_and_is_told_at_the_next_free_floor(
    seed: int,
) -> None:
    async def research(task: str) -> str:
        await trio.sleep(3.0)
        return f"{task}: 42"

    def reply(request: Generate) -> Reply | str:
        said = texts(request.context)
        if said and said[-1][0] == "note" and "42" in said[-1][1]:
            return "It is 42."
        if user_said(request.context):
            return "Tomorrow will be fine as far as I know."
        if answers(request):
            return "That takes a while so please bear with me for now."
        return Reply(CallTool("delegate", '{"worker": "research", "task": "answer"}'))

    async def scenario(system: SystemUnderTest) -> None:
        team = two_agents(workers={"research": Worker(research)})
        rig = await CallRig.open(system, reply, team=team)
        person = await rig.call()
        await trio.sleep(0.4 + 0.2 * seed % 3)
        person.write("and what about tomorrow")
        await trio.sleep(12.0)
        assert heard_words(person).endswith("It is 42.")
        check_every_call_is_answered_once(await rig.history(person))
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)
