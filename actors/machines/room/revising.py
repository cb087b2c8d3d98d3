"""What the host may do to what was said: change it, delete it for good, have it answered again.

Nobody's rules of authorship hold here (`editing.py` has those); a closed room's past may be changed
too, because what has to be erased may lie in any room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from actors.machines.room.broadcast import asked, broadcast
from actors.machines.room.cascade import Cascade
from actors.machines.room.hooking import HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.states import entered, refuse_if_closed
from actors.machines.room.steps import EraseEvent, FindEvent, Steps
from models.rooms.content import Content
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelCategory, EventType

REGENERATES = "regenerates"
"""The key of an event's metadata that names the event which is answered again."""


def update_event(
    pipeline: Pipeline,
    event_id: str,
    *,
    content: Content | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Steps[RoomEvent | None]:
    """Put something else in the place of an event's content or metadata, wholesale.

    Returns:
        The event as it is now; None if the room has no such event.
    """
    core = yield from entered(pipeline)
    before: RoomEvent | None = yield FindEvent(event_id)
    if before is None:
        return None
    after = attrs.evolve(
        before,
        content=before.content if content is None else content,
        metadata=before.metadata if metadata is None else metadata,
    )
    if after == before:
        return before
    yield from pipeline.commit(core.change(changed=(after,)))
    core.fire(HookTrigger.ON_EVENT_UPDATED, after)
    return after


def delete_event(
    pipeline: Pipeline, event_id: str, *, cascade_replies: bool = True
) -> Steps[Sequence[str]]:
    """Delete an event for good, and with it the replies to it. Their indices stay unused.

    Hooks are given the event as it was, and in its metadata all `deleted_event_ids`.

    Returns:
        The ids that went, the named one first; () if the room has no such event.
    """
    core = yield from entered(pipeline)
    event: RoomEvent | None = yield FindEvent(event_id)
    if event is None:
        return ()
    gone: Sequence[str] = yield EraseEvent(event_id, cascade_replies)
    core.forget(gone)
    pipeline.turns.revise(dict.fromkeys(gone))
    told = attrs.evolve(event, metadata={**event.metadata, "deleted_event_ids": list(gone)})
    core.fire(HookTrigger.ON_EVENT_DELETED, told)
    return gone


def regenerate(pipeline: Pipeline, cascade: Cascade) -> Steps[RoomEvent | None]:
    """Have the agents answer once more what somebody said last.

    They are asked as they were the first time: with what was said before it, and only those that
    may see it. People get nothing but the new answers.

    Args:
        cascade: is over when those are with everybody.
    Returns:
        What is answered again; None if nobody said anything that an agent is asked to act on.
    Raises:
        RoomClosed: it takes no answers.
    """
    core = yield from entered(pipeline)
    refuse_if_closed(core, EventType.MESSAGE)
    event = _last_asked(pipeline)
    if event is None:
        return None
    cascade.event = event
    # It may still be on its way for the first time, so this time it goes by another id.
    again = attrs.evolve(
        event, id=core.new_id(), metadata={**event.metadata, REGENERATES: event.id}
    )
    earlier = tuple(known for known in core.recent if known.index < event.index)
    before = attrs.evolve(core.context, recent_events=earlier)
    broadcast(core, pipeline.turns, again, cascade, before, again=True)
    return event


def _last_asked(pipeline: Pipeline) -> RoomEvent | None:
    """The newest message from people that an agent would be asked to act on."""
    core = pipeline.core
    for event in reversed(core.recent):
        source = core.bindings.get(event.source.channel_id)
        if source is None or source.category is not ChannelCategory.TRANSPORT:
            continue
        if not event.metadata.get("deleted") and asked(core, event):
            return event
    return None
