"""Step nine: who gets an event, and in what form. Decided in the same step as the commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from actors.machines.room.cascade import Cascade
from actors.machines.room.core import DeliverySet, RoomCore
from actors.machines.room.instructing import may_show
from actors.machines.room.steps import Carry
from actors.machines.room.turns import Turn, Turns, unregistered
from models.rooms.content import Text
from models.rooms.event import DeliveryError, DeliveryResult, RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    Access,
    ChannelCategory,
    ChannelType,
    DeliveryOutcome,
    EventType,
)
from models.rooms.room import ChannelBinding, RoomContext
from models.rooms.scope import receives, solicited
from models.rooms.transcode import truncated


def broadcast(
    core: RoomCore,
    turns: Turns,
    event: RoomEvent,
    cascade: Cascade,
    before: RoomContext,
    root: bool = False,
    updated: RoomEvent | None = None,
    turn: Turn | None = None,
    done: bool = False,
    again: bool = False,
) -> None:
    """Bring a committed event to all who are to have it.

    Args:
        before: the room just before it: what agents read with it.
        updated: what it has changed, if it is an edit or a delete.
        turn: whose answer it is: those who watch its stream have it by the end of that.
        done: it was committed earlier; only those whose cursor is behind it still get it.
        again: people have it; agents are asked once more. It has an id of its own then.
    """
    source = core.bindings.get(event.source.channel_id)
    targets = [
        binding
        for binding in core.bindings.values()
        if _gets(core, event, binding, source)
        and not (done and core.cursors.get(binding.channel_id, -1) >= event.index)
        and not (again and binding.category is ChannelCategory.TRANSPORT)
    ]
    group = DeliverySet(
        event, cascade, root, {b.channel_id for b in targets}, updated=updated, again=again
    )
    cascade.hold()
    core.sets[event.id] = group
    if not targets:
        core.finish(group)
        return
    # What cannot be brought is known at once; told last, because it may finish the set.
    refused: list[DeliveryResult] = []
    for binding in targets:
        info = core.channels.get(binding.channel_id)
        if info is None:
            refused.append(unregistered(binding.channel_id))
        elif binding.category is ChannelCategory.INTELLIGENCE:
            turns.add(binding.channel_id, event, cascade, before)
        else:
            carried = _carried(core, event, binding, info, turn)
            if isinstance(carried, Carry):
                core.out.append(carried)
            else:
                refused.append(carried)
    for result in refused:
        # Earlier events may still be on their way to the channel: its cursor stays behind them.
        core.delivered(event.id, result.channel_id, result, moves=False)


def _gets(
    core: RoomCore, event: RoomEvent, binding: ChannelBinding, source: ChannelBinding | None
) -> bool:
    """Whether a binding is a target."""
    if binding.channel_type is ChannelType.HOST:
        return False  # the application speaks by it, and is told otherwise
    if binding.channel_id == event.source.channel_id:
        info = core.channels.get(binding.channel_id)
        reads = binding.access in (Access.READ_WRITE, Access.READ_ONLY)
        return info is not None and info.echoes and reads and may_show(event)
    if not receives(event, binding, source):
        return False
    if binding.category is ChannelCategory.TRANSPORT:
        return event.type is not EventType.INSTRUCTION
    if event.type is not EventType.MESSAGE and not event.addressed_to:
        return False  # agents act on what is said, and on what is put to them by name
    return solicited(event, binding, source, core.room.agent_response_policy)


def asked(core: RoomCore, event: RoomEvent) -> bool:
    """Whether an agent that is here now is asked to act on an event."""
    source = core.bindings.get(event.source.channel_id)
    return any(
        binding.category is ChannelCategory.INTELLIGENCE and _gets(core, event, binding, source)
        for binding in core.bindings.values()
    )


def _carried(
    core: RoomCore,
    event: RoomEvent,
    binding: ChannelBinding,
    info: ChannelInfo,
    turn: Turn | None,
) -> Carry | DeliveryResult:
    """How a transport gets an event, or why it cannot."""
    capabilities = binding.capabilities
    content = core.settings.transcode(event.content, capabilities)
    if content is None:
        return failed(binding, "transcoding_failed", "the channel can carry no form of it")
    if isinstance(content, Text) and capabilities.max_length is not None:
        content = truncated(content, capabilities.max_length)
    to = ""
    if info.recipient_key:
        to = str(binding.metadata.get(info.recipient_key) or "")
        if not to:
            return failed(binding, "no_recipient", f"the binding has no {info.recipient_key}")
    if content is not event.content:
        event = attrs.evolve(event, content=content)
    stream = ""
    if turn is not None and not turn.segments and binding.channel_id in turn.streams:
        stream = turn.id
        turn.streams = tuple(name for name in turn.streams if name != binding.channel_id)
    return Carry(binding.channel_id, event, binding, to, stream)


def deliver_injected(
    core: RoomCore, event: RoomEvent, to: Sequence[str] | None, cascade: Cascade
) -> None:
    """Bring what a hook has added to the channels it names, as it is. Agents read it later."""
    names = [
        name
        for name in (to or ())
        if (binding := core.bindings.get(name)) is not None
        and binding.category is ChannelCategory.TRANSPORT
        and binding.channel_type is not ChannelType.HOST
        and name in core.channels
    ]
    group = DeliverySet(event, cascade, False, set(names))
    cascade.hold()
    core.sets[event.id] = group
    if not names:
        core.finish(group)
        return
    for name in names:
        binding, info = core.bindings[name], core.channels[name]
        to_address = str(binding.metadata.get(info.recipient_key) or "")
        core.out.append(Carry(name, event, binding, to_address))


def redrive(core: RoomCore, turns: Turns, events: Iterable[RoomEvent]) -> None:
    """Bring what is on record, and was not brought, to those who lack it.

    Args:
        events: after a restart all after the delivery cursor, ascending; after a commit of which
            nobody knows whether it was made, all that nobody knew of. Other indices that are not
            on their way belong to events that were deleted: there is nothing to bring.
    """
    undone = {event.index: event for event in events}
    under_way = {group.event.index for group in core.sets.values() if not group.again}
    for index in range(core.delivered_index + 1, core.room.latest_index + 1):
        if index in under_way:
            continue
        event = undone.get(index)
        if event is None:
            core.account(index)
            continue
        if event.blocked or event.visibility in ("none", "internal"):
            core.account(event.index)
            continue
        earlier = tuple(known for known in core.recent if known.index < event.index)
        before = attrs.evolve(core.context, recent_events=earlier)
        broadcast(core, turns, event, core.new_cascade(), before, done=True)


def failed(binding: ChannelBinding, code: str, message: str) -> DeliveryResult:
    """A delivery that will not happen, whoever tries again."""
    return DeliveryResult(
        binding.channel_id,
        DeliveryOutcome.FAILED,
        error=DeliveryError(code, message, retryable=False),
    )
