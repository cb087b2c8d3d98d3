"""One answer in the making, and what is to be done about the tool calls in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import attrs

from actors.call.team import Team, TeamTool
from actors.machines.fallback import Progress
from models.conversation import AgentSaid, Item, ToolAnswered, ToolCalled
from models.llm.control import DELEGATE_TOOL, HANDOFF_TOOL, HANGUP_TOOL
from models.llm.protocol import ToolCallDelta

FIRST_WITHIN = 3.0
"""Seconds to the first text or tool call, not to some header."""

NEXT_WITHIN = 5.0
"""Seconds from one to the next."""


@attrs.define(eq=False)
class Work:
    """One answer being made: of a turn, of a thought, or of a task in the background."""

    context: list[Item]
    agent: str
    epoch: int = 0
    """0 while it is a thought, and for background tasks."""
    turn: int = 0
    thought: int = 0
    task: str = ""
    """Of background work: its id."""
    generation: str = ""
    model: int = 0
    tried: frozenset[int] = frozenset()
    """Models that have failed in this round of them."""
    rounds: int = 0
    """In which all models have failed."""
    said: str = ""
    """Text since the last tool calls."""
    all_said: str = ""
    parked: list[ToolCallDelta] = attrs.field(factory=list)
    """Calls of a thought: nothing is done before its turn is over."""
    open: dict[str, ToolCalled] = attrs.field(factory=dict)
    """Calls without an answer."""
    started: set[str] = attrs.field(factory=set)
    """Calls that were admitted, and are in history."""
    answers: dict[str, ToolAnswered] = attrs.field(factory=dict)
    recorded: int = 0
    """Calls, from the first, whose answers are in history."""
    calls: list[ToolCalled] = attrs.field(factory=list)
    """Since the model was last asked, in its order."""
    called: int = 0
    generating: bool = False
    over: bool = False
    """It was cut: nothing of it may begin any more."""
    handoff: tuple[str, str] | None = None
    """To whom, and why: it is applied once all calls are answered."""
    told_token: bool = False
    progress: Progress = attrs.field(factory=lambda: Progress(FIRST_WITHIN, NEXT_WITHIN))

    @property
    def glue(self) -> str:
        """What parts the words so far from others that follow them."""
        return "" if not self.all_said or self.all_said[-1].isspace() else " "

    def to_record(self) -> Sequence[ToolAnswered]:
        """The answers that may enter history now: in the order in which the model asked."""
        ready = []
        for call in self.calls[self.recorded :]:
            answer = self.answers.get(call.id)
            if answer is None:
                break
            ready.append(answer)
        self.recorded += len(ready)
        return ready

    def close_round(self) -> bool:
        """All calls are answered: the context goes on with them. Whether one of them hangs up."""
        if self.said:
            self.context.append(AgentSaid(self.said, self.turn, self.agent))
        self.context += self.calls
        self.context += [self.answers[c.id] for c in self.calls if c.id in self.answers]
        hung_up = any(call.name == HANGUP_TOOL for call in self.calls)
        self.calls, self.answers, self.recorded = [], {}, 0
        self.said = ""
        return hung_up


# -- what is to be done about a call --------------------------------------------------------------


@attrs.frozen
class Answer:
    """Nothing but answering."""

    output: str
    failed: bool = False


@attrs.frozen
class Run:
    """A tool of the team runs."""

    tool: TeamTool
    arguments: Mapping[str, object]


@attrs.frozen
class HandOff:
    """Another agent goes on, when all calls are answered."""

    to: str
    reason: str


@attrs.frozen
class Delegate:
    """Somebody works on it in the background."""

    worker: str
    task: str


@attrs.frozen
class EndCall:
    """The agent wants to hang up."""

    reason: str


ToDo = Answer | Run | HandOff | Delegate | EndCall


def to_do(team: Team, work: Work, call: ToolCalled) -> ToDo:
    """What is to be done about a call that may start."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return Answer("the arguments are not a JSON object", failed=True)
    if work.called > team.most_calls:
        return Answer("too many calls in one turn", failed=True)
    profile = team.profile(work.agent)
    match call.name:
        case name if name == HANDOFF_TOOL:
            to = str(arguments.get("agent", ""))
            if work.task or to not in profile.handoffs:
                return Answer(f"there is no agent {to!r} to hand off to", failed=True)
            if work.handoff is not None:
                return Answer(f"already handed off to {work.handoff[0]!r}", failed=True)
            return HandOff(to, str(arguments.get("reason", "")))
        case name if name == DELEGATE_TOOL:
            worker = str(arguments.get("worker", ""))
            if work.task or worker not in profile.delegates:
                return Answer(f"there is no worker {worker!r}", failed=True)
            return Delegate(worker, str(arguments.get("task", "")))
        case name if name == HANGUP_TOOL:
            if work.task:
                return Answer("this task has no call to end", failed=True)
            return EndCall(str(arguments.get("reason", "the agent hung up")))
    tool = team.tools.get(call.name)
    if tool is None or call.name not in profile.tools:
        return Answer(f"there is no tool {call.name!r}", failed=True)
    return Run(tool, arguments)


def answered(context: Sequence[Item]) -> list[Item]:
    """The context with an answer right after every call: models refuse anything else."""
    answers = {item.id: item for item in context if isinstance(item, ToolAnswered)}
    out: list[Item] = []
    calls: list[ToolCalled] = []
    for item in [*context, None]:
        if isinstance(item, ToolAnswered):
            continue
        if isinstance(item, ToolCalled):
            calls.append(item)
            out.append(item)
            continue
        out += [answers.get(c.id) or ToolAnswered(c.id, "cancelled", True, c.turn) for c in calls]
        calls.clear()
        if item is not None:
            out.append(item)
    return out
