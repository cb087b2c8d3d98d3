"""What a model may do beside talking: the tools that the agent's actor carries out itself.

Names, arguments, and the note by which the result of delegated work comes back. Pure: the tools as
a model is offered them are in `control_tools.py`.
"""

from __future__ import annotations

import json
import re
from typing import Final

import attrs

from models.conversation import Instruction

HANDOFF_TOOL: Final = "handoff"
"""Pass the conversation on. Arguments: `{"agent": its name, "reason": why}`."""

DELEGATE_TOOL: Final = "delegate"
"""Have work done in the background. Arguments: `{"worker": who, "task": what, in words}`.

Answered with `{"status": "started", "task": id}` at once, and the result follows as a
`task_report`; or, by whoever prefers to wait, with the result itself."""

HANGUP_TOOL: Final = "hang_up"
"""End the call when what was said before it has been heard. Arguments: `{"reason": why}`."""

CONTROL_TOOLS: Final = frozenset({HANDOFF_TOOL, DELEGATE_TOOL, HANGUP_TOOL})

_REPORT = re.compile(r"The delegated task (\S+) (is done|has failed)\.[^\n]*\n(.*)", re.DOTALL)


@attrs.frozen
class TaskReport:
    """What came of a delegated task."""

    task: str
    """Its id: what the `delegate` call was answered with."""
    output: str
    """JSON or plain text; of a failed task, why."""
    failed: bool = False


def task_report(report: TaskReport) -> Instruction:
    """The note that tells a model what came of a delegated task. Appended to the context, and then
    the model is asked to answer.

    Raises:
        ValueError: the id is empty or has white space in it.
    """
    if not re.fullmatch(r"\S+", report.task):
        raise ValueError(f"a task's id is one word without white space, not {report.task!r}")
    outcome = "has failed" if report.failed else "is done"
    return Instruction(
        f"The delegated task {report.task} {outcome}. Tell the user now, in a sentence or two:\n"
        f"{report.output}"
    )


def read_task_report(note: Instruction) -> TaskReport | None:
    """The report that `note` is, or None: it is some other instruction."""
    found = _REPORT.fullmatch(note.text)
    if found is None:
        return None
    return TaskReport(found[1], found[3], failed=found[2] == "has failed")


def task_started(task: str) -> str:
    """The answer to a `delegate` call whose result comes later."""
    return json.dumps({"status": "started", "task": task})
