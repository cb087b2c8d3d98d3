"""What the agents of a script are offered beside their own tools: each other, workers, the end."""

from __future__ import annotations

from models.llm.control_tools import HANG_UP, delegate_tool, handoff_tool
from models.llm.dialogue.script import Script
from models.llm.protocol import Tool


def control_tools(script: Script, agent: str) -> tuple[Tool, ...]:
    """The control tools for `agent`: handing over to its colleagues, delegating, hanging up.

    Raises:
        KeyError: the script knows no such agent.
    """
    me = script.agents[agent]
    colleagues = {other.name: other.purpose for other in script.agents.values() if other is not me}
    handoff = (handoff_tool(colleagues),) if colleagues else ()
    delegate = (delegate_tool(script.workers),) if script.workers else ()
    return (*handoff, *delegate, HANG_UP)
