"""What an agent says and does during its turn, as passages of the room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.steps import LOCK, Steps, Turned
from actors.machines.room.turns import Turn
from models.rooms.content import Text, ToolCall
from models.rooms.errors import RoomsError
from models.rooms.event import SEGMENTED, DeliveryError, DeliveryResult, RoomEvent
from models.rooms.kinds import DeliveryOutcome, EventType, ToolStatus
from models.rooms.room import DETACHED
from models.rooms.turns import Answer, Reaction


def used_tool(
    pipeline: Pipeline, turn_id: str, call: ToolCall
) -> Sequence[tuple[Turn, Steps[None]]]:
    """A turn uses a tool: the passages that follow from it, in order."""
    turn = pipeline.turns.by_id.get(turn_id)
    if turn is None or turn.over:
        pipeline.turns.stale += 1
        return ()
    turn.segments += 1
    text = turn.take()
    used = tool(pipeline, turn, call)
    return [(turn, segment(pipeline, turn, text)), (turn, used)] if text else [(turn, used)]


def segment(pipeline: Pipeline, turn: Turn, text: str) -> Steps[None]:
    """Text that a tool call has cut off from what follows: a message of its own."""
    yield LOCK
    yield from _said(pipeline, turn, Answer(Text(text)))


def tool(pipeline: Pipeline, turn: Turn, call: ToolCall) -> Steps[None]:
    """A tool call, where it starts or ends."""
    yield LOCK
    pending = call.status is ToolStatus.PENDING
    kind = EventType.TOOL_CALL_START if pending else EventType.TOOL_CALL_END
    yield from _said(pipeline, turn, Answer(call, kind))


def _said(pipeline: Pipeline, turn: Turn, answer: Answer) -> Steps[RoomEvent | None]:
    """One answer. If it is turned down (an edit of what is not there) the others still count."""
    try:
        return (yield from pipeline.answer(turn, answer))
    except Turned as refused:
        _tell_error(pipeline, turn, refused.reason)
        return None


def heard(pipeline: Pipeline, turn: Turn, reaction: Reaction) -> Steps[None]:
    """An agent has reacted: its event is with it. Returns the passage of what it answers."""
    turn.over = True
    turn.cascade.hold()
    result = None
    if reaction.error is not None:
        fault = DeliveryError("agent_failed", reaction.error, retryable=False)
        result = DeliveryResult(turn.channel_id, DeliveryOutcome.FAILED, error=fault)
        _tell_error(pipeline, turn, reaction.error)
    pipeline.core.heard(turn.trigger, turn.channel_id, result)
    return reacted(pipeline, turn, reaction)


def reacted(pipeline: Pipeline, turn: Turn, reaction: Reaction) -> Steps[None]:
    """The turn is over: what it said last, what it answers, what it noticed."""
    fault = None
    try:
        yield LOCK
        yield from _settled(pipeline, turn, reaction)
    except RoomsError as error:
        fault = str(error)  # nothing more of it can be kept; the turn is over all the same
    _close(pipeline, turn, reaction.error or fault)
    _end(pipeline, turn, fault)


def _settled(pipeline: Pipeline, turn: Turn, reaction: Reaction) -> Steps[None]:
    core = pipeline.core
    text = turn.take()
    if text:
        marks = _marks(reaction)
        event = yield from _said(pipeline, turn, Answer(Text(text), metadata=marks))
        if event is not None and event.blocked:
            _close(pipeline, turn, event.blocked_by)
    for answer in reaction.answers:
        yield from _said(pipeline, turn, answer)
    if reaction.tasks or reaction.observations or reaction.metadata_updates:
        room = core.room
        if reaction.metadata_updates:
            metadata = {**room.metadata, **reaction.metadata_updates}
            # Which channels count as detached is for no agent to say.
            if DETACHED in metadata:
                metadata[DETACHED] = list(core.tombstones)
            room = attrs.evolve(room, metadata=metadata)
        change = core.change(
            room=room, tasks=tuple(reaction.tasks), observations=tuple(reaction.observations)
        )
        yield from pipeline.commit(change)
        pipeline.tasks_created(reaction.tasks)


def _marks(reaction: Reaction) -> Mapping[str, Any]:
    """What the last segment carries: how the turn ended, if not by itself."""
    marks = dict(reaction.response_metadata)
    if reaction.cancelled:
        marks["cancelled"] = True
    if reaction.error is not None:
        marks["failed"] = True
    return marks


def _close(pipeline: Pipeline, turn: Turn, error: str | None) -> None:
    """Streams that no event has ended."""
    if not turn.streams:
        return
    segmented = None
    if error is None and turn.segments:
        segmented = attrs.evolve(pipeline.turns.draft(turn), metadata={SEGMENTED: True})
    pipeline.turns.close_streams(turn, segmented, error)


def _end(pipeline: Pipeline, turn: Turn, fault: str | None) -> None:
    if fault is not None:
        _tell_error(pipeline, turn, fault)
    pipeline.core.answered(turn.trigger, turn.channel_id)
    pipeline.turns.end(turn)


def _tell_error(pipeline: Pipeline, turn: Turn, error: str) -> None:
    turn.cascade.error = turn.cascade.error or error
    category = "streaming" if turn.opened else "generation"
    data = {"error": error, "error_type": "unknown", "error_category": category}
    told = attrs.evolve(pipeline.turns.draft(turn), metadata=data)
    pipeline.core.fire(HookTrigger.ON_ERROR, told, turn.cascade)
