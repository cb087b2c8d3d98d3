"""Where an actor waits: the stacks of its async handler, its tasks, and its thread.

A running handler is the watchdog's to see; these are the ones that stand still at an `await`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING

import attrs
import trio

from supervision.tasks import Runner

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.life import Life

FRAMES = 60
"""Frames of one stack that are told, the innermost."""
NESTED = 100
"""Tasks inside an actor's tasks that are told."""


@attrs.frozen
class TaskStack:
    """One task of an actor, at the place where it waits."""

    path: str
    name: str
    """The name it was started with; "handlers" is the one that runs async handlers; "thread" is
    that of a BlockingActor; a task inside another has both names."""
    message_type: str
    """What it handles, or what the actor handled when it started it; empty for nothing."""
    since: float
    """When its handler began, in the node's time; 0 for other tasks."""
    stack: str
    """The innermost frame last."""

    def __str__(self) -> str:
        what = f", for {self.message_type}" if self.message_type else ""
        since = f", since {self.since:.3f}" if self.since else ""
        return f"{self.path}, task {self.name!r}{what}{since}:\n{self.stack}"


def stacks_of(cell: Cell) -> Sequence[TaskStack]:
    """All tasks of an actor that have begun, in the order of their names."""
    life = cell.life
    if life is None:
        return ()
    found: list[TaskStack] = []
    for task in life.tasks or ():
        if task.trio_task is None or (isinstance(task, Runner) and not life.paused):
            continue
        runs_handler = isinstance(task, Runner)
        envelope = life.in_hand if runs_handler and life.in_hand is not None else task.envelope
        message_type = type(envelope[2]).__qualname__ if envelope[2] is not None else ""
        since = life.since if runs_handler and life.in_hand is not None else 0.0
        for name, waiting in _with_nested(task.name, task.trio_task):
            found.append(TaskStack(cell.path, name, message_type, since, _waits_at(waiting)))
    found += _elsewhere(cell, life)
    return sorted(found, key=lambda stack: stack.name)


def _elsewhere(cell: Cell, life: Life) -> Iterator[TaskStack]:
    """Where the actor's thread or worker process is, if it has one."""
    executor = life.executor
    if executor is None:
        return
    doing = executor.doing
    message_type = type(doing[0][2]).__qualname__ if doing is not None else ""
    since = doing[1] if doing is not None else 0.0
    thread = getattr(executor, "_thread", None)
    if thread is not None:
        stack = stack_of(sys._current_frames().get(thread.ident or 0))
    else:
        stack = f"  in {executor.describe()}\n"  # another process: it has no frames here
    yield TaskStack(cell.path, "thread", message_type, since, stack)


def _with_nested(name: str, task: trio.lowlevel.Task) -> Iterator[tuple[str, trio.lowlevel.Task]]:
    """A task, and those in its nurseries, with their names."""
    todo = [(name, task)]
    for _ in range(NESTED):
        if not todo:
            return
        name, task = todo.pop()
        yield name, task
        todo += [
            (f"{name} / {child.name.rpartition('.')[2]}", child)
            for nursery in task.child_nurseries
            for child in nursery.child_tasks
        ]


def _waits_at(task: trio.lowlevel.Task) -> str:
    frames = [
        traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in task.iter_await_frames()
    ]
    return _formatted(frames)


def stack_of(frame: FrameType | None) -> str:
    """The innermost frames of a running thread as text, without locals. Any thread."""
    if frame is None:
        return ""
    return _formatted(list(traceback.extract_stack(frame)))


def _formatted(frames: list[traceback.FrameSummary]) -> str:
    try:
        return "".join(traceback.format_list(frames[-FRAMES:]))
    except Exception as error:  # noqa: BLE001  source files may be anything by now
        return f"  the stack could not be read: {type(error).__name__}\n"
