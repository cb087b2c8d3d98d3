"""An AI in a room: a language model behind it, what it reads, and what becomes of its faults."""

from __future__ import annotations

from functools import partial

import trio

from actors.room.agent import RoomAgentConfig, agent_spec
from actors.room.testing import RoomRig
from models.conversation import AgentSaid, Instruction, UserSaid
from models.llm.scripted import Crash, Fail, LlmPlan, Reply, Say, ScriptedLlm
from models.rooms.content import Text, text_of
from models.rooms.kinds import ChannelType, EventType
from models.rooms.traffic import InboundMessage, InboundResult
from supervision.testing import SystemUnderTest

TOLD = RoomAgentConfig(instructions="Be brief.", window=10)


async def rig_with(system: SystemUnderTest, *plans: LlmPlan) -> RoomRig:
    """A room with a WebSocket that streams, and an agent over these models, in this order."""
    rig = await RoomRig.start(system)
    paths = []
    for number, plan in enumerate(plans):
        ref = await system.spawn(partial(ScriptedLlm, plan), path=f"/model-{number}")
        paths.append(ref.path)
    await rig.rooms.register_channel(agent_spec("ai", paths, TOLD))
    await rig.channel("ws", ChannelType.WEBSOCKET, streams=True)
    await rig.room("r", "ws", "ai")
    return rig


async def say(rig: RoomRig, text: str, who: str = "ada") -> InboundResult:
    return await rig.rooms.process_inbound(InboundMessage("ws", who, Text(text)), "r")


async def texts(rig: RoomRig) -> list[str]:
    events = await rig.rooms.get_timeline("r")
    return [text_of(event.content) for event in events if event.type is EventType.MESSAGE]


async def test_it_reads_what_was_said_and_knows_its_own_words(system: SystemUnderTest) -> None:
    plan = LlmPlan(["Hello.", "Five."])
    rig = await rig_with(system, plan)
    await say(rig, "hi")
    await say(rig, "how many?")
    assert plan.asked[1].context == (
        Instruction("Be brief."),
        UserSaid("hi", 0),
        AgentSaid("Hello.", 1, "ai"),
        UserSaid("how many?", 2),
    )


async def test_of_several_people_it_reads_who_said_what(system: SystemUnderTest) -> None:
    plan = LlmPlan(["Hello.", "Both of you."])
    rig = await rig_with(system, plan)
    await rig.rooms.ensure_participant("r", "ws", "ada", "Ada")
    await say(rig, "hi")
    await say(rig, "and me?", who="bo")
    said = [item.text for item in plan.asked[1].context if isinstance(item, UserSaid)]
    assert said == ["Ada: hi", "bo: and me?"]


async def test_when_a_model_fails_the_next_goes_on_where_it_stopped(
    system: SystemUnderTest,
) -> None:
    first, second = LlmPlan([Reply(Say("It is "), Fail())]), LlmPlan(["five."])
    rig = await rig_with(system, first, second)
    result = await say(rig, "what time is it?")
    assert result.error is None
    assert (await texts(rig))[-1] == "It is five."
    *_, said, go_on = second.asked[0].context
    assert said == AgentSaid("It is ", 1, "ai")
    assert isinstance(go_on, Instruction)


async def test_a_model_that_crashes_is_a_model_that_fails(system: SystemUnderTest) -> None:
    system.expect_crash("/model-0")
    rig = await rig_with(system, LlmPlan([Reply(Crash())]), LlmPlan(["Here I am."]))
    assert (await say(rig, "hello?")).error is None
    assert (await texts(rig))[-1] == "Here I am."


async def test_when_all_have_failed_the_caller_knows_and_the_words_stay(
    system: SystemUnderTest,
) -> None:
    rig = await rig_with(system, LlmPlan([Reply(Say("Well, "), Fail())]))
    result = await say(rig, "hello?")
    assert result.error is not None
    assert (await texts(rig))[-1] == "Well, "
    assert result.event is not None


async def test_a_cancelled_turn_keeps_what_was_said_and_stops_the_model(
    system: SystemUnderTest,
) -> None:
    plan = LlmPlan([Reply(Say("One moment. "), Say("Never said.", after=60.0))])
    rig = await rig_with(system, plan)
    message = InboundMessage("ws", "ada", Text("hello"))
    handle = await rig.rooms.process_inbound(message, "r", defer_delivery=True)
    await trio.sleep(1.0)
    await handle.cancel("no longer wanted")
    assert plan.cancelled
    last = (await rig.rooms.get_timeline("r"))[-1]
    assert text_of(last.content) == "One moment. "
    assert last.metadata.get("cancelled")
