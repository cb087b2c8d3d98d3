"""Who can take the conversation, and what they can do: a team of agents, and its tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs
from attrs.validators import ge, gt

from models.llm.control_tools import HANG_UP, delegate_tool, handoff_tool
from models.llm.protocol import Tool

ToolFunction = Callable[[Mapping[str, object]], Awaitable[str]]
"""Takes the arguments; returns what the model is told, JSON or plain text. Raises if it cannot."""


@attrs.frozen
class TeamTool:
    """A tool that agents of a team may call."""

    tool: Tool
    run: ToolFunction
    timeout: float = attrs.field(default=30.0, validator=gt(0))
    """Seconds; then the model is told that it took too long."""
    cancellable: bool = True
    """An interruption ends it. Otherwise it runs on, and its answer is recorded when it comes."""


@attrs.frozen
class Worker:
    """Somebody who works in the background: a function of the task, in words."""

    run: Callable[[str], Awaitable[str]]
    purpose: str = ""
    timeout: float = attrs.field(default=300.0, validator=gt(0))
    """Seconds; then the task has failed."""


@attrs.frozen
class AgentProfile:
    """One agent: how it is told to behave, and whom it may pass the conversation to."""

    name: str
    instructions: str = ""
    purpose: str = ""
    """What it is for, told to the colleagues who may hand off to it."""
    tools: tuple[str, ...] = ()
    handoffs: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()
    may_hang_up: bool = True


@attrs.frozen
class Team:
    """Agents by their name; the first one answers the call."""

    first: str
    agents: Mapping[str, AgentProfile]
    tools: Mapping[str, TeamTool] = attrs.field(factory=dict)
    workers: Mapping[str, Worker] = attrs.field(factory=dict)
    """Who may be delegated to beside the agents."""
    most_calls: int = attrs.field(default=10, validator=ge(1))
    """Tool calls in one turn; then the model has to answer without."""

    def __attrs_post_init__(self) -> None:
        known = set(self.agents)
        if self.first not in known:
            raise ValueError(
                f"the team's first agent, {self.first!r}, is not one of {sorted(known)}"
            )
        for agent in self.agents.values():
            strangers = {
                *(set(agent.handoffs) - known),
                *(set(agent.delegates) - known - set(self.workers)),
                *(set(agent.tools) - set(self.tools)),
            }
            if strangers:
                raise ValueError(
                    f"agent {agent.name!r} refers to {sorted(strangers)}, which the team has not"
                )

    def profile(self, name: str) -> AgentProfile:
        """The agent of that name; one nobody knows has no tools and no instructions."""
        return self.agents.get(name) or AgentProfile(name)

    def offered(self, name: str) -> tuple[Tool, ...]:
        """What a model that speaks for this agent may call."""
        agent = self.profile(name)
        tools = [self.tools[tool].tool for tool in agent.tools]
        if agent.handoffs:
            tools.append(handoff_tool({n: self.agents[n].purpose for n in agent.handoffs}))
        if agent.delegates:
            workers = {n: (self.workers.get(n) or self.agents[n]).purpose for n in agent.delegates}
            tools.append(delegate_tool(workers))
        if agent.may_hang_up:
            tools.append(HANG_UP)
        return tuple(tools)
