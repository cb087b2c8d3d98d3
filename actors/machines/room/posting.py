"""What the application itself says to the people of a room, by its host channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actors.machines.room.cascade import Cascade
from actors.machines.room.core import RoomCore
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.states import entered, refuse_if_closed
from actors.machines.room.steps import Steps
from models.rooms.content import Content
from models.rooms.errors import (
    BadValue,
    ChannelNotFound,
    ChannelNotRegistered,
    ParticipantNotFound,
)
from models.rooms.event import NOTHING, EventSource, RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType, EventType
from models.rooms.room import ChannelBinding


def post(
    pipeline: Pipeline,
    cascade: Cascade,
    channel_id: str,
    content: Content,
    *,
    addressed_to: Sequence[str] = (),
    participant_id: str | None = None,
    metadata: Mapping[str, Any] = NOTHING,
    idempotency_key: str | None = None,
    chain_depth: int = 0,
) -> Steps[RoomEvent]:
    """The same way in as every message, by a host channel that is bound by its first post.

    Args:
        cascade: is over when everybody has it.
        addressed_to: agents that are asked to act on it; nobody else is.
        participant_id: in whose name; they have to come by the host channel.
    Returns:
        The event as it is on record, blocked perhaps; of a key that was used, the first.
    Raises:
        ChannelNotRegistered: the node does not have the channel. BadValue: it is no host channel.
        ChannelNotFound: it was detached from this room.
        ParticipantNotFound: see above; nothing has been written.
        RoomClosed: the room takes nothing more.
        Turned: it is refused for another reason, and not on record.
    """
    core = yield from entered(pipeline)
    refuse_if_closed(core, EventType.MESSAGE)
    info = _host(core, channel_id)
    if participant_id is not None:
        person = core.participants.get(participant_id)
        if person is None or channel_id not in person.connected_via:
            raise ParticipantNotFound("participant on the host channel", participant_id)
    binding = yield from _bound(pipeline, info)
    event = RoomEvent(
        id=core.new_id(),
        room_id=core.room.id,
        source=EventSource(channel_id, info.type, participant_id=participant_id),
        content=content,
        created_at=core.now,
        addressed_to=tuple(addressed_to),
        idempotency_key=idempotency_key,
        chain_depth=chain_depth,
        metadata=metadata,
    )
    stored = yield from pipeline.passage(event, binding, cascade, root=True)
    pipeline.conclude(cascade, stored)
    return stored


def _host(core: RoomCore, channel_id: str) -> ChannelInfo:
    info = core.channels.get(channel_id)
    if info is None:
        raise ChannelNotRegistered("registered channel", channel_id)
    if info.type is not ChannelType.HOST:
        raise BadValue([f"channel_id: {channel_id!r} is a {info.type.value}, and no host"])
    return info


def _bound(pipeline: Pipeline, info: ChannelInfo) -> Steps[ChannelBinding]:
    core = pipeline.core
    binding = core.bindings.get(info.id)
    if binding is not None:
        return binding
    if info.id in core.tombstones:
        raise ChannelNotFound("channel in the room", info.id)
    binding = ChannelBinding(
        info.id,
        core.room.id,
        info.type,
        core.now,
        category=info.category,
        direction=info.direction,
        capabilities=info.capabilities,
    )
    yield from pipeline.attach(binding)
    return binding
