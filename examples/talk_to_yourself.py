"""A whole call in one program: scripted models, virtual time, and a caller who interrupts."""

from __future__ import annotations

import trio

from actors.testing import CallRig, heard_words, say
from models.conversation import AgentSaid, UserSaid
from models.llm.protocol import Generate
from supervision.testing import SystemUnderTest, simulate
from transports.leg import ShowTurn


def answer(request: Generate) -> str:
    """What the agent says: the language model as a function of the conversation."""
    said = [item.text for item in request.context if isinstance(item, UserSaid)]
    if not said:
        return "Hello. What can I tell you?"
    if "numbers" in said[-1]:
        return "One two three four five six seven eight nine ten eleven twelve."
    return "Gladly."


async def call(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, answer)
    caller = await rig.call()
    await caller.wait_quiet(1.0)
    caller.speak(say("all the numbers please"))
    await trio.sleep(4.5)  # the question, the pause behind it, and some of the answer
    caller.speak(say("thank you that will do"))
    await trio.sleep(4.0)
    for item in await rig.history(caller):
        match item:
            case UserSaid(text):
                print(f"  you: {text}")
            case AgentSaid(text, interrupted=interrupted):
                print(f"agent: {text}{' --' if interrupted else ''}")
    print(f"heard: {heard_words(caller)}")
    for turn in caller.of_type(ShowTurn):
        if turn.barge_in_ms is not None:
            print(f"turn {turn.turn}: silence came {turn.barge_in_ms:.0f} ms after its first sound")
    caller.hang_up()
    await caller.wait_gone()


simulate(call, seed=1)
