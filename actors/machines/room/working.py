"""What comes up in a room besides talk: tasks, observations, and what people think of answers.

None of it is an entry of the timeline, so a closed room takes it as well: feedback mostly comes
when a conversation is over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from actors.machines.room.core import SYSTEM_SOURCE
from actors.machines.room.hooking import HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.states import entered
from actors.machines.room.steps import FindEvent, FindTask, Steps
from models.rooms.errors import BadValue, NotFound
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import EventType, TaskStatus
from models.rooms.traffic import Observation, Task

FEEDBACK = "feedback:"
"""How the category of an observation begins that is somebody's feedback; a dimension follows."""


def submit_feedback(
    pipeline: Pipeline,
    rating: float,
    comment: str = "",
    *,
    dimension: str = "overall",
    event_id: str | None = None,
    channel_id: str | None = None,
    participant_id: str | None = None,
) -> Steps[Observation]:
    """Keep what somebody thinks of an answer, or of the whole conversation.

    Args:
        rating: 0 to 1; what lies beyond counts as the end it is beyond.
        event_id: the answer; without a `channel_id`, it is about the channel that gave it.
    Raises:
        NotFound: the room has no such event.
        BadValue: the rating is no number.
    """
    if math.isnan(rating):
        raise BadValue(["rating: a number from 0 to 1"])
    core = yield from entered(pipeline)
    if event_id is not None:
        event: RoomEvent | None = yield FindEvent(event_id)
        if event is None:
            raise NotFound("event in the room", event_id)
        channel_id = channel_id or event.source.channel_id
    about = {"event_id": event_id, "participant_id": participant_id}
    seen = Observation(
        core.new_id(),
        core.room.id,
        channel_id or SYSTEM_SOURCE.channel_id,
        comment,
        core.now,
        FEEDBACK + dimension,
        min(max(float(rating), 0.0), 1.0),
        {key: value for key, value in about.items() if value is not None},
    )
    yield from pipeline.commit(core.change(observations=(seen,)))
    core.fire(HookTrigger.ON_FEEDBACK, seen)
    data = {"rating": seen.confidence, "dimension": dimension}
    core.announce("feedback", data, channel_id=channel_id, event_id=event_id)
    return seen


def add_observation(
    pipeline: Pipeline,
    channel_id: str,
    content: str,
    *,
    category: str | None = None,
    confidence: float = 1.0,
    metadata: Mapping[str, Any] = NOTHING,
) -> Steps[Observation]:
    """Keep something that was noticed.

    Raises:
        BadValue: the confidence is not from 0 to 1.
    """
    if not 0.0 <= confidence <= 1.0:
        raise BadValue([f"confidence: from 0 to 1, not {confidence}"])
    core = yield from entered(pipeline)
    name, room = core.new_id(), core.room.id
    seen = Observation(name, room, channel_id, content, core.now, category, confidence, metadata)
    yield from pipeline.commit(core.change(observations=(seen,)))
    return seen


def add_task(
    pipeline: Pipeline,
    title: str,
    *,
    description: str | None = None,
    assigned_to: str | None = None,
    metadata: Mapping[str, Any] = NOTHING,
) -> Steps[Task]:
    """Keep something that is to be done."""
    core = yield from entered(pipeline)
    task = Task(
        core.new_id(),
        core.room.id,
        title,
        core.now,
        description,
        assigned_to,
        metadata=metadata,
    )
    yield from pipeline.commit(core.change(tasks=(task,)))
    pipeline.tasks_created((task,))
    return task


def update_task(
    pipeline: Pipeline,
    task_id: str,
    *,
    status: TaskStatus | None = None,
    assigned_to: str | None = None,
    metadata: Mapping[str, Any] = NOTHING,
) -> Steps[Task]:
    """Tell how far a task is, or who has it now; metadata are merged.

    Raises:
        NotFound: the room has no such task.
    """
    core = yield from entered(pipeline)
    before: Task | None = yield FindTask(task_id)
    if before is None or before.room_id != core.room.id:
        raise NotFound("task in the room", task_id)
    after = attrs.evolve(
        before,
        status=status or before.status,
        assigned_to=assigned_to or before.assigned_to,
        metadata={**before.metadata, **metadata},
    )
    if after == before:
        return before
    yield from pipeline.commit(core.change(tasks=(after,)))
    if after.status is TaskStatus.COMPLETED is not before.status:
        told = core.record(EventType.TASK_COMPLETED, "task_completed", after.title)
        told = attrs.evolve(told, metadata={"task_id": after.id, "task_title": after.title})
        core.fire(HookTrigger.ON_TASK_COMPLETED, told)
    return after
