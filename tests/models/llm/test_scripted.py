"""The scripted model says and fails what its plan says, when it says so."""

from __future__ import annotations

import math
from functools import partial

import pytest

from models.conversation import UserSaid
from models.faults import FaultKind, ModelFault
from models.llm.protocol import (
    CancelGeneration,
    Finish,
    Generate,
    Generated,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from models.llm.scripted import (
    CallTool,
    Crash,
    End,
    Fail,
    LlmPlan,
    Move,
    Reply,
    Say,
    ScriptedLlm,
    Stall,
    speak,
)
from supervision import ActorCrashed, ActorRef
from supervision.testing import Probe, SystemUnderTest


def request(to: Probe, name: str = "g1", said: str = "hello") -> Generate:
    return Generate(name, (UserSaid(said, 1),), to.ref)


async def start(
    system: SystemUnderTest, plan: LlmPlan
) -> tuple[ActorRef[Generate | CancelGeneration], Probe]:
    llm = await system.spawn(partial(ScriptedLlm, plan), path="/llm")
    return llm, await system.probe(TextDelta, ToolCallDelta)


async def test_texts_are_said_in_order_one_for_each_generation(system: SystemUnderTest) -> None:
    plan = LlmPlan(["one", "two"])
    llm, out = await start(system, plan)
    assert await llm.ask(request(out, "a")) == Generated("a")
    assert await llm.ask(request(out, "b")) == Generated("b")
    assert out.received == [TextDelta("a", "one"), TextDelta("b", "two")]
    assert [asked.generation for asked in plan.asked] == ["a", "b"]


async def test_a_function_sees_the_request(system: SystemUnderTest) -> None:
    def echo(asked: Generate) -> str:
        item = asked.context[-1]
        assert isinstance(item, UserSaid)
        return item.text.upper()

    llm, out = await start(system, LlmPlan(echo))
    await llm.ask(request(out, said="hello"))
    assert out.received == [TextDelta("g1", "HELLO")]


async def test_every_move_comes_at_its_time(system: SystemUnderTest) -> None:
    reply = Reply(Say("a", after=0.5), CallTool("clock", after=0.25), End(Finish.LENGTH, after=1))
    llm, out = await start(system, LlmPlan([reply]))
    began = system.now
    answer = llm.ask(request(out), timeout=math.inf)
    assert await out.expect(TextDelta) == TextDelta("g1", "a")
    assert system.now == pytest.approx(began + 0.5)
    assert await out.expect(ToolCallDelta) == ToolCallDelta("g1", "g1-2", "clock", "{}")
    assert system.now == pytest.approx(began + 0.75)
    assert await answer == Generated("g1", Finish.LENGTH, Usage())
    assert system.now == pytest.approx(began + 1.75)


async def test_after_a_tool_call_it_waits_for_the_answer(system: SystemUnderTest) -> None:
    llm, out = await start(system, LlmPlan([Reply(CallTool("clock", "{not json"))]))
    assert await llm.ask(request(out)) == Generated("g1", Finish.TOOLS)
    assert out.received == [ToolCallDelta("g1", "g1-1", "clock", "{not json")]


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_it_fails_after_so_many_deltas(system: SystemUnderTest, before: int) -> None:
    says = [Say("word")] * before
    llm, out = await start(system, LlmPlan([Reply(*says, Fail(FaultKind.RATE_LIMITED, 2.0))]))
    fault = await llm.ask(request(out))
    assert fault == ModelFault("scripted", FaultKind.RATE_LIMITED, "planned", 2.0)
    assert len(out.received) == before


@pytest.mark.parametrize("wait", [Stall(), Say("late", after=60)])
async def test_what_stalls_or_is_late_can_be_cancelled(system: SystemUnderTest, wait: Move) -> None:
    plan = LlmPlan([Reply(Say("a"), wait)])
    llm, out = await start(system, plan)
    answer = llm.ask(request(out), timeout=math.inf)
    await out.expect(TextDelta)
    llm.tell(CancelGeneration("g1"))
    assert await answer == ModelFault("scripted", FaultKind.CANCELLED)
    await out.expect_nothing(within=100)
    assert plan.cancelled == ["g1"]


async def test_the_plan_goes_on_after_a_crash(system: SystemUnderTest) -> None:
    llm, out = await start(system, LlmPlan([Reply(Say("a"), Crash()), "back"]))
    system.expect_crash("/llm", "ScriptedCrash")
    with pytest.raises(ActorCrashed):
        await llm.ask(request(out, "a"))
    assert await llm.ask(request(out, "b")) == Generated("b")
    assert out.received == [TextDelta("a", "a"), TextDelta("b", "back")]


async def test_a_generation_too_many_is_rejected(system: SystemUnderTest) -> None:
    llm, out = await start(system, LlmPlan())
    fault = await llm.ask(request(out))
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.REJECTED


async def test_speak_says_a_text_word_by_word(system: SystemUnderTest) -> None:
    llm, out = await start(system, LlmPlan([speak("so it is", first=0.5, every=0.1)]))
    began = system.now
    await llm.ask(request(out))
    assert system.now == pytest.approx(began + 0.7)
    assert [d.text for d in out.received if isinstance(d, TextDelta)] == ["so", " it", " is"]
