"""Teams for tests."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from actors.call.team import AgentProfile, Team, TeamTool, Worker
from models.llm.protocol import Tool

ANY = '{"type": "object"}'


def tool(name: str, seconds: float, log: list[str] | None = None, **options: bool) -> TeamTool:
    """A tool that takes so long and then says "done"; `log` has when it began and ended."""
    log = log if log is not None else []

    async def work(arguments: Mapping[str, object]) -> str:
        log.append(f"{name} begins")
        await trio.sleep(seconds)
        log.append(f"{name} ends")
        return f"{name} done"

    return TeamTool(Tool(name, name, ANY), work, **options)


def slow_team(seconds: float, log: list[str] | None = None, **options: bool) -> Team:
    """An agent with one slow tool, "look"."""
    return Team(
        "agent",
        {"agent": AgentProfile("agent", tools=("look",))},
        {"look": tool("look", seconds, log, **options)},
    )


def two_agents(*tools: TeamTool, workers: Mapping[str, Worker] | None = None) -> Team:
    """A front desk that hands off to billing, and back; both have the tools."""
    names = tuple(t.tool.name for t in tools)
    workers = workers or {}
    return Team(
        "front",
        {
            "front": AgentProfile(
                "front", tools=names, handoffs=("billing", "third"), delegates=tuple(workers)
            ),
            "billing": AgentProfile("billing", tools=names, handoffs=("front",)),
            "third": AgentProfile("third"),
        },
        {t.tool.name: t for t in tools},
        workers,
    )
