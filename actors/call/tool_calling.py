"""What an agent's model asks for: tools that run, work in the background, a handoff, the end.

The lower half of the agent. What is to be done about a call is worked out in `work.py`; here it is
done, and answered.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import attrs
import trio

from actors.call.team import Team, TeamTool, Worker
from actors.call.told_by_agent import AdmitTool, FromAgent, Record, ToolNews, WantEnd, WantFloor
from actors.call.work import Answer, Delegate, EndCall, HandOff, Run, Work, to_do
from models.conversation import Item, ToolAnswered, ToolCalled, UserSaid
from models.llm.control import TaskReport, task_report, task_started
from models.llm.protocol import ToolCallDelta
from supervision import Actor, ActorRef, handles
from supervision.tasks import Task

MOST_DELEGATED = 8
"""Tasks in the background at the same time."""


@attrs.frozen
class ToolAdmitted:
    """The session says whether the tool may start."""

    generation: str
    call: ToolCalled
    admitted: bool


@attrs.frozen
class ToolOver:
    """A tool has ended."""

    call: str
    output: str
    failed: bool


@attrs.frozen
class TaskOver:
    """Work in the background has ended."""

    task: str
    output: str
    failed: bool


class ToolCaller(Actor[Any]):
    """Carries out the tool calls of an agent's works."""

    _session: ActorRef[FromAgent]

    def __init__(self, team: Team, names: Iterator[int]) -> None:
        """`names` numbers generations and tasks, over all lives of the agent."""
        super().__init__()
        self._team = team
        # A model may still be at work for an instance that has crashed: no name is used twice.
        self._names = names
        self._works: dict[str, Work] = {}
        """By the generation that is under way for them, or was last."""
        self._tasks: dict[str, tuple[Work, Task, bool]] = {}
        """Tools that run: whose, the task, whether a cut ends it."""
        self._background = 0
        """Tasks that run."""
        self.stale = 0
        """Messages about what is over."""

    @abstractmethod
    def _generate(self, work: Work) -> None:
        """Ask a model to go on with it."""

    @abstractmethod
    def _round_may_be_over(self, work: Work) -> None:
        """A call was answered; perhaps it was the last one that was waited for."""

    def _call_tool(self, work: Work, delta: ToolCallDelta) -> None:
        call = ToolCalled(delta.id, delta.name, delta.arguments, work.turn)
        work.calls.append(call)
        work.open[call.id] = call
        work.called += 1
        if work.task:
            self._start_tool(work, call)
            return
        generation = delta.generation
        self.pipe(
            self._session.ask(AdmitTool(work.epoch, call.id), timeout=math.inf),
            to=lambda admitted: ToolAdmitted(generation, call, admitted),
            failed=lambda _error: ToolAdmitted(generation, call, False),
        )

    @handles
    def on_admitted(self, message: ToolAdmitted) -> None:
        work = self._works.get(message.generation)
        if work is None or message.call.id not in work.open:
            self.stale += 1
            return
        if not message.admitted:
            return  # the cut is on its way, and answers for it
        self._record(work, message.call)
        self._start_tool(work, message.call)

    def _start_tool(self, work: Work, call: ToolCalled) -> None:
        work.started.add(call.id)
        self._session.tell(ToolNews(call.id, call.name, "started"))
        match to_do(self._team, work, call):
            case Answer(output, failed):
                self._answer(work, call, output, failed=failed)
            case Run(tool, arguments):
                self._run_tool(work, call, tool, arguments)
            case HandOff(to, reason):
                work.handoff = (to, reason)
                self._answer(work, call, json.dumps({"status": "ok", "agent": to}))
            case EndCall(reason):
                self._session.tell(WantEnd(work.epoch, reason))
                self._answer(work, call, '{"status": "ok"}')
            case Delegate(worker, task):
                self._delegate(work, call, worker, task)

    def _run_tool(
        self, work: Work, call: ToolCalled, tool: TeamTool, arguments: Mapping[str, object]
    ) -> None:
        async def run() -> str:
            if work.over:  # the cut came between the session's yes and this first step
                raise _CutBefore
            with trio.fail_after(tool.timeout):
                return await tool.run(arguments)

        task = self.start_task(
            run,
            name=f"tool {call.name}",
            to=lambda output: ToolOver(call.id, output, False),
            failed=lambda error: ToolOver(call.id, _why(error, tool.timeout), True),
        )
        self._tasks[call.id] = (work, task, tool.cancellable)

    @handles
    def on_tool_over(self, message: ToolOver) -> None:
        entry = self._tasks.pop(message.call, None)
        if entry is None:
            self.stale += 1
            return
        work = entry[0]
        call = next(call for call in work.calls if call.id == message.call)
        self._answer(work, call, message.output, failed=message.failed)

    def _answer(self, work: Work, call: ToolCalled, output: str, *, failed: bool = False) -> None:
        answer = ToolAnswered(call.id, output, failed, call.turn)
        self._session.tell(ToolNews(call.id, call.name, "failed" if failed else "done"))
        if work.open.pop(call.id, None) is None:
            self._record(work, answer)  # its turn is over; it is in history all the same
            return
        work.answers[call.id] = answer
        for ready in work.to_record():
            self._record(work, ready)
        self._round_may_be_over(work)

    def _record(self, work: Work, item: Item) -> None:
        if not work.task:
            self._session.tell(Record(work.epoch, item))

    def _delegate(self, work: Work, call: ToolCalled, worker: str, task: str) -> None:
        if self._background >= MOST_DELEGATED:
            self._answer(work, call, "too many tasks run already", failed=True)
            return
        self._background += 1
        name = f"t{next(self._names)}"
        self._answer(work, call, task_started(name))
        known = self._team.workers.get(worker)
        if known is not None:
            self.start_task(
                _within(known, task),
                name=f"task {name}",
                to=lambda output: TaskOver(name, output, False),
                failed=lambda error: TaskOver(name, _why(error, known.timeout), True),
            )
            return
        self._generate(Work([UserSaid(task, work.turn)], worker, turn=work.turn, task=name))

    def _report(self, work: Work, output: str, *, failed: bool) -> None:
        self._works.pop(work.generation, None)
        self.on_task_over(TaskOver(work.task, output, failed))

    @handles
    def on_task_over(self, message: TaskOver) -> None:
        """What came of background work is told at the next free floor."""
        self._background -= 1
        report = TaskReport(message.task, message.output, message.failed)
        self._session.tell(WantFloor("delegation", task_report(report)))


def _within(worker: Worker, task: str) -> Callable[[], Awaitable[str]]:
    async def run() -> str:
        with trio.fail_after(worker.timeout):
            return await worker.run(task)

    return run


class _CutBefore(Exception):
    """The turn was cut before the tool had begun."""


def _why(error: Exception, timeout: float) -> str:
    if isinstance(error, _CutBefore):
        return "cancelled"
    if isinstance(error, trio.TooSlowError):
        return f"it took longer than {timeout:g} s"
    return f"it failed: {error}"
