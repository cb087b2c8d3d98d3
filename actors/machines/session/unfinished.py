"""What history says was begun, and not that it came to an end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from models.conversation import Instruction, Item, ToolAnswered, ToolCalled
from models.llm.control import DELEGATE_TOOL, read_task_report


def open_calls(history: Iterable[Item]) -> Mapping[str, ToolCalled]:
    """Tool calls without an answer, by their id."""
    calls: dict[str, ToolCalled] = {}
    for item in history:
        if isinstance(item, ToolCalled):
            calls[item.id] = item
        elif isinstance(item, ToolAnswered):
            calls.pop(item.id, None)
    return calls


def open_tasks(history: Sequence[Item]) -> Sequence[str]:
    """Tasks that were delegated and of which nothing was reported yet."""
    delegated = {i.id for i in history if isinstance(i, ToolCalled) and i.name == DELEGATE_TOOL}
    tasks: dict[str, None] = {}
    for item in history:
        if isinstance(item, ToolAnswered) and item.id in delegated and not item.failed:
            task = _started(item.output)
            if task:
                tasks[task] = None
        elif isinstance(item, Instruction):
            report = read_task_report(item)
            if report is not None:
                tasks.pop(report.task, None)
    return tuple(tasks)


def _started(output: str) -> str:
    try:
        answer = json.loads(output)
    except ValueError:
        return ""
    started = isinstance(answer, dict) and answer.get("status") == "started"
    return str(answer.get("task", "")) if started else ""
