"""The team that a dialogue script describes, as agents with tools.

The script that comes with Troupe is the front desk of a small hotel; its tools and its background
worker are made up, and always say the same.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path

import trio

from actors.call.team import AgentProfile, Team, TeamTool, Worker
from models.llm.demo.tools import LOOKING, TOOLS, find, run_tool
from models.llm.dialogue import Script, demo_script, load_script


def script_of(path: str) -> Script:
    """The script at that path; "" is the one that comes with Troupe.

    Raises:
        ScriptError: it is no script; says where and why.
    """
    return load_script(Path(path)) if path else demo_script()


def team_of(script: Script) -> Team:
    """The script's agents. Each may hand off to all others, and delegate to all workers."""
    tools = {tool.name: TeamTool(tool, _tool(tool.name)) for tool in TOOLS}
    workers = {name: Worker(_look, purpose) for name, purpose in script.workers.items()}
    agents = {
        agent.name: AgentProfile(
            agent.name,
            agent.instructions,
            agent.purpose,
            tools=tuple(tools),
            handoffs=tuple(name for name in script.agents if name != agent.name),
            delegates=tuple(workers),
        )
        for agent in script.agents.values()
    }
    return Team(script.entry, agents, tools, workers)


def _tool(name: str) -> Callable[[Mapping[str, object]], Awaitable[str]]:
    async def run(arguments: Mapping[str, object]) -> str:
        await trio.sleep(0.3)  # as long as a fast service takes
        return run_tool(name, json.dumps(dict(arguments)), spoken_time(datetime.now()))

    return run


async def _look(task: str) -> str:
    await trio.sleep(LOOKING)
    return find(task)


_HOURS = (
    "twelve one two three four five six seven eight nine ten eleven".split()  # noqa: SIM905
)
_MINUTES = {5: "five", 10: "ten", 15: "a quarter", 20: "twenty", 25: "twenty-five"}


def spoken_time(now: datetime) -> str:
    """The time of day as people say it, to five minutes.

    >>> spoken_time(datetime(2026, 1, 1, 16, 9))
    'ten past four'
    """
    hour, minute = divmod((now.hour * 60 + now.minute + 2) // 5 * 5, 60)
    this, following = _HOURS[hour % 12], _HOURS[(hour + 1) % 12]
    if minute == 0:
        return f"{this} o'clock"
    if minute == 30:
        return f"half past {this}"
    if minute < 30:
        return f"{_MINUTES[minute]} past {this}"
    return f"{_MINUTES[60 - minute]} to {following}"
