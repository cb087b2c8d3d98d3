"""The dialogue engine speaks at the pace of a model, stops when told, and keeps nothing."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import pytest
import trio

from models.conversation import AgentSaid, Item, ToolAnswered, ToolCalled, UserSaid
from models.faults import FaultKind, ModelFault
from models.llm.control_tools import HANG_UP, delegate_tool, handoff_tool
from models.llm.dialogue import DialogueConfig, DialogueLlm, ScriptError, read_script
from models.llm.protocol import (
    CancelGeneration,
    Finish,
    Generate,
    Generated,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from supervision import ActorRef, StartFailed
from supervision.testing import Probe, SystemUnderTest, simulate

SCRIPT = read_script(
    """
    name = "test"
    entry = "ada"
    [agents.ada]
    greeting = "Good day."
    unavailable = "I cannot do that."
    [[agents.ada.rules]]
    id = "count"
    patterns = ["count"]
    say = "one two three four five six"
    [[agents.ada.rules]]
    id = "time"
    patterns = ["what time is it"]
    say = "Let me see."
    call = { tool = "clock", arguments = { zone = "here", exact = true } }
    answers = "It is {clock.time}."
    failed = "The clock says: {error}."
    """
)
AT_ONCE = DialogueConfig(first_token=0, tokens_per_second=0)
PACED = DialogueConfig(first_token=0.5, tokens_per_second=10)
CLOCK = Tool("clock", "The time.", "{}")

Llm = ActorRef[Generate | CancelGeneration]


async def start(system: SystemUnderTest, config: DialogueConfig = AT_ONCE) -> tuple[Llm, Probe]:
    llm = await system.spawn(partial(DialogueLlm, config, script=SCRIPT), path="/llm")
    return llm, await system.probe(TextDelta, ToolCallDelta)


def generate(
    out: Probe, *context: Item, name: str = "g", tools: tuple[Tool, ...] = (), agent: str = ""
) -> Generate:
    return Generate(name, context, out.ref, tools, agent)


def texts(out: Probe, name: str = "g") -> list[str]:
    return [d.text for d in out.received if isinstance(d, TextDelta) and d.generation == name]


async def test_a_conversation_begins_with_the_greeting(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    answer = await llm.ask(generate(out))
    assert isinstance(answer, Generated)
    assert answer.finish is Finish.STOP
    assert texts(out) == ["Good day."]


async def test_tokens_come_at_their_pace_and_the_end_with_the_last(system: SystemUnderTest) -> None:
    llm, out = await start(system, PACED)
    began = system.now
    answer = llm.ask(generate(out, UserSaid("count", 1)))
    times = []
    for _ in range(6):
        await out.expect(TextDelta)
        times.append(system.now - began)
    generated = await answer
    assert times == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert system.now - began == pytest.approx(1.0)
    assert texts(out) == ["one", " two", " three", " four", " five", " six"]
    assert isinstance(generated, Generated)
    assert generated.usage.completion == 6


async def test_without_a_pace_the_text_is_one_delta_at_once(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    began = system.now
    await llm.ask(generate(out, UserSaid("count", 1)))
    assert texts(out) == ["one two three four five six"]
    assert system.now == began


async def test_after_a_cancellation_no_delta_follows(system: SystemUnderTest) -> None:
    llm, out = await start(system, PACED)
    answer = llm.ask(generate(out, UserSaid("count", 1)))
    await trio.sleep(0.65)
    llm.tell(CancelGeneration("g"))
    assert await answer == ModelFault("dialogue", FaultKind.CANCELLED)
    assert texts(out) == ["one", " two"]
    await trio.sleep(5)
    assert texts(out) == ["one", " two"]


async def test_cancelling_what_is_not_under_way_does_nothing(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    llm.tell(CancelGeneration("g"))
    assert isinstance(await llm.ask(generate(out)), Generated)


async def test_a_name_can_be_used_again_after_a_cancellation(system: SystemUnderTest) -> None:
    llm, out = await start(system, PACED)
    first = llm.ask(generate(out, UserSaid("count", 1)))
    await trio.sleep(0.55)
    llm.tell(CancelGeneration("g"))
    second = llm.ask(generate(out, UserSaid("count", 1)))
    assert isinstance(await first, ModelFault)
    assert isinstance(await second, Generated)
    assert texts(out) == ["one", "one", " two", " three", " four", " five", " six"]


async def test_generations_run_side_by_side(system: SystemUnderTest) -> None:
    llm, out = await start(system, PACED)
    began = system.now
    answers = [llm.ask(generate(out, UserSaid("count", 1), name=n)) for n in "abc"]
    assert all([isinstance(await answer, Generated) for answer in answers])
    assert system.now - began == pytest.approx(1.0)
    assert all(len(texts(out, name)) == 6 for name in "abc")


async def test_one_generation_too_many_is_refused_for_now(system: SystemUnderTest) -> None:
    llm, out = await start(system, DialogueConfig(generations=1))
    first = llm.ask(generate(out, name="a"))
    fault = await llm.ask(generate(out, name="b"))
    assert isinstance(fault, ModelFault)
    assert (fault.kind, fault.retry_after) == (FaultKind.RATE_LIMITED, 1.0)
    assert isinstance(await first, Generated)


async def test_two_generations_of_one_name_are_refused(system: SystemUnderTest) -> None:
    llm, out = await start(system, PACED)
    first = llm.ask(generate(out))
    fault = await llm.ask(generate(out))
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.REJECTED
    assert isinstance(await first, Generated)


async def test_an_agent_that_the_script_does_not_know_is_refused(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    fault = await llm.ask(generate(out, agent="bob"))
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.REJECTED
    assert "it has ada" in fault.detail


async def test_max_tokens_cut_the_text_short(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    asked = Generate("g", (UserSaid("count", 1),), out.ref, max_tokens=2)
    answer = await llm.ask(asked)
    assert isinstance(answer, Generated)
    assert answer.finish is Finish.LENGTH
    assert texts(out) == ["one two"]


async def test_a_tool_round_trip(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    user = UserSaid("What time is it?", 1)
    first = await llm.ask(generate(out, user, tools=(CLOCK,)))
    assert isinstance(first, Generated)
    assert first.finish is Finish.TOOLS
    call = out.received[-1]
    assert isinstance(call, ToolCallDelta)
    assert (call.name, json.loads(call.arguments)) == ("clock", {"zone": "here", "exact": True})
    called = ToolCalled(call.id, call.name, call.arguments, 1)
    done = ToolAnswered(call.id, '{"time": "noon"}', turn=1)
    await llm.ask(generate(out, user, called, done, tools=(CLOCK,)))
    assert texts(out) == ["Let me see.", "It is noon."]
    broken = ToolAnswered(call.id, "out of order", failed=True, turn=1)
    await llm.ask(generate(out, user, called, broken, tools=(CLOCK,)))
    assert texts(out)[-1] == "The clock says: out of order."


async def test_a_tool_that_is_not_offered_is_not_called(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    answer = await llm.ask(generate(out, UserSaid("what time is it", 1)))
    assert isinstance(answer, Generated)
    assert answer.finish is Finish.STOP
    assert texts(out) == ["The clock says: not available."]


async def test_it_stops_when_nobody_listens_any_more(system: SystemUnderTest) -> None:
    llm = await system.spawn(partial(DialogueLlm, PACED, script=SCRIPT))
    out = await system.probe(TextDelta, ToolCallDelta)
    answer = llm.ask(generate(out, UserSaid("count", 1)), timeout=math.inf)
    await trio.sleep(0.55)
    await system.stop(out.ref.path)
    assert await answer == ModelFault("dialogue", FaultKind.CANCELLED)


async def test_a_restart_loses_nothing(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    user = UserSaid("what time is it", 1)
    called = ToolCalled("c", "clock", "{}", 1)
    await system.restart("/llm")
    await llm.ask(generate(out, user, called, ToolAnswered("c", '{"time": "one"}')))
    assert texts(out) == ["It is one."]


async def test_a_conversation_that_it_never_saw_is_answered(system: SystemUnderTest) -> None:
    llm, out = await start(system)
    strange = (
        AgentSaid("Something else.", 0, "somebody", interrupted=True),
        ToolAnswered("nobody asked", "[]"),
        ToolCalled("c", "unknown", "no json"),
        ToolAnswered("c", "no json", failed=True),
        UserSaid("", 7),
    )
    assert isinstance(await llm.ask(generate(out, *strange)), Generated)


async def test_a_script_that_cannot_be_used_fails_the_start(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    file = tmp_path / "script.toml"
    file.write_text('name = "x"\nentry = "bob"\n[agents.ada]\n')
    system.expect_crash("*", ScriptError)
    with pytest.raises(StartFailed) as failed:
        await system.spawn(partial(DialogueLlm, DialogueConfig(script=str(file))))
    assert isinstance(failed.value.__cause__, ScriptError)
    assert f"{file}: entry: there is no agent 'bob'" in str(failed.value.__cause__)


@pytest.mark.parametrize(
    "wrong",
    [{"first_token": -1}, {"first_token": math.inf}, {"tokens_per_second": -1}, {"generations": 0}],
)
def test_numbers_out_of_bounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DialogueConfig(**wrong)  # type: ignore[arg-type]


async def cancel_now_and_then(system: SystemUnderTest) -> None:
    """Generations that are cancelled at any moment end once, and then say no more."""
    llm, out = await start(system, PACED)
    ended: dict[str, int] = {}

    async def one(number: int) -> None:
        name = f"g{number}"
        answer = llm.ask(generate(out, UserSaid("count", 1), name=name), timeout=math.inf)
        await trio.sleep(0.1 * number)
        llm.tell(CancelGeneration(name))
        result = await answer
        await system.settle()
        ended[name] = len(texts(out, name))
        assert isinstance(result, Generated if ended[name] == 6 else ModelFault)

    async with trio.open_nursery() as nursery:
        for number in range(14):
            nursery.start_soon(one, number)
    await trio.sleep(5)
    assert ended == {name: len(texts(out, name)) for name in ended}
    assert len(ended) == 14


@pytest.mark.parametrize("seed", range(10))
def test_a_cancellation_may_come_at_any_moment(seed: int) -> None:
    simulate(cancel_now_and_then, seed)


def test_control_tools_name_whom_they_can_reach() -> None:
    handoff = handoff_tool({"ben": "rooms", "clara": "dinner"})
    assert json.loads(handoff.parameters)["properties"]["agent"]["enum"] == ["ben", "clara"]
    assert "ben: rooms" in handoff.description
    delegate = delegate_tool({"housekeeping": "looks for things"})
    assert json.loads(delegate.parameters)["required"] == ["worker", "task"]
    assert json.loads(HANG_UP.parameters)["required"] == ["reason"]
    with pytest.raises(ValueError, match="leave the tool out"):
        handoff_tool({})
