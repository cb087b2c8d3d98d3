"""A test of an agent: it takes an order by voice, and the customer interrupts it."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from actors.call.team import AgentProfile, Team, TeamTool
from actors.testing import CallRig, say
from models.conversation import AgentSaid, ToolCalled, UserSaid
from models.llm.protocol import Tool
from models.llm.scripted import CallTool, Reply
from supervision.testing import SystemUnderTest

SCHEMA = '{"type": "object", "properties": {"pizza": {"type": "string"}}, "required": ["pizza"]}'


def pizzeria(orders: list[object]) -> Team:
    """One agent with one tool, which takes a second."""

    async def order(arguments: Mapping[str, object]) -> str:
        await trio.sleep(1.0)
        orders.append(arguments["pizza"])
        return '{"minutes": 20}'

    tool = TeamTool(Tool("order", "Order a pizza.", SCHEMA), order)
    return Team("rosa", {"rosa": AgentProfile("rosa", tools=("order",))}, {"order": tool})


async def test_whoever_interrupts_the_menu_gets_what_they_ask_for(system: SystemUnderTest) -> None:
    orders: list[object] = []
    replies = [
        "We have margherita, funghi, salami, quattro stagioni, and calzone.",
        Reply(CallTool("order", '{"pizza": "funghi"}')),
        "It comes in twenty minutes.",
    ]
    rig = await CallRig.open(system, replies, team=pizzeria(orders))
    customer = await rig.call()
    await customer.wait_heard(1.1)  # a word takes 0.3 s: "We have margherita," and some more
    customer.speak(say("the funghi please"))
    await trio.sleep(6.0)
    assert orders == ["funghi"]
    menu, wish, called, *_, last = await rig.history(customer)
    assert isinstance(menu, AgentSaid)
    assert menu.interrupted
    assert menu.text.startswith("We have margherita,")
    assert "calzone" not in menu.text  # the history has what was heard, and no more
    assert isinstance(wish, UserSaid)
    assert wish.text == "the funghi please"
    assert isinstance(called, ToolCalled)
    assert isinstance(last, AgentSaid)
    assert last.text == "It comes in twenty minutes."
