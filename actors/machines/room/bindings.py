"""Channels come into a room, go, and are given other rights in it.

What changes nothing writes nothing and tells nobody. A channel that is not bound is
`ChannelNotFound`; what the timeline would record is refused in a closed room (`states.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTrigger
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.states import entered, patched, refuse_if_closed
from actors.machines.room.steps import Forget, PushBinding, Steps, TellDetached
from models.rooms.errors import (
    AlreadyThere,
    BadValue,
    ChannelNotFound,
    ChannelNotRegistered,
    RoomsError,
)
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import Access, ChannelCategory, ChannelDirection, ChannelType, EventType
from models.rooms.room import DETACHED, ChannelBinding, RateLimit, RetryPolicy


def attach_channel(
    pipeline: Pipeline,
    channel_id: str,
    *,
    category: ChannelCategory | None = None,
    direction: ChannelDirection | None = None,
    access: Access = Access.READ_WRITE,
    visibility: str = "all",
    muted: bool = False,
    output_muted: bool = False,
    participant_id: str | None = None,
    rate_limit: RateLimit | None = None,
    retry_policy: RetryPolicy | None = None,
    metadata: Mapping[str, Any] = NOTHING,
) -> Steps[ChannelBinding]:
    """Bind a channel, or bind it anew with other rights; that it was detached is forgotten.

    Args:
        category: None is the channel's own; `direction` likewise.
    Raises:
        ChannelNotRegistered: the node does not have it.
        AlreadyThere: the room has another conference.
        BadValue: the visibility names nobody.
        RoomClosed: see the module.
    """
    core = yield from entered(pipeline)
    info = core.channels.get(channel_id)
    if info is None:
        raise ChannelNotRegistered("registered channel", channel_id)
    binding = ChannelBinding(
        channel_id,
        core.room.id,
        info.type,
        core.now,
        category=category or info.category,
        direction=direction or info.direction,
        access=access,
        muted=muted,
        output_muted=output_muted,
        visibility=_checked(visibility),
        # By the address it is found that a message from there belongs to this room.
        participant_id=participant_id or _address(info, metadata),
        capabilities=info.capabilities,
        rate_limit=rate_limit,
        retry_policy=retry_policy,
        metadata=metadata,
    )
    before = core.bindings.get(channel_id)
    if before is not None and attrs.evolve(binding, attached_at=before.attached_at) == before:
        return before
    refuse_if_closed(core, EventType.CHANNEL_ATTACHED)
    _refuse_second_conference(core, binding)
    yield from pipeline.attach(binding)
    pipeline.turns.review()
    return binding


def _address(info: ChannelInfo, metadata: Mapping[str, Any]) -> str | None:
    address = metadata.get(info.recipient_key) if info.recipient_key else None
    return str(address) if address else None


def _refuse_second_conference(core: RoomCore, binding: ChannelBinding) -> None:
    if binding.channel_type is not ChannelType.CONFERENCE:
        return
    for other in core.bindings.values():
        if other.channel_type is ChannelType.CONFERENCE and other.channel_id != binding.channel_id:
            raise AlreadyThere("conference in the room", other.channel_id)


def _checked(visibility: str) -> str:
    if any(name.strip() for name in visibility.split(",")):
        return visibility
    raise BadValue(["visibility: a word or ids of channels; `none` is for nobody"])


def detach_channel(pipeline: Pipeline, channel_id: str) -> Steps[bool]:
    """Let go of a channel; whether it was bound. What is on its way to it does not arrive.

    It stays away: its messages are blocked until it is attached again.

    Raises:
        RoomClosed: see the module. An error of the channel itself, after it was detached.
    """
    core = yield from entered(pipeline)
    if channel_id not in core.bindings:
        return False
    refuse_if_closed(core, EventType.CHANNEL_DETACHED)
    metadata = {**core.room.metadata, DETACHED: [*core.tombstones, channel_id]}
    room = attrs.evolve(core.room, metadata=metadata)
    body, data = "detached", {"channel_id": channel_id}
    record = core.record(EventType.CHANNEL_DETACHED, "channel_detached", body, data)
    yield from pipeline.commit(core.change((record,), room=room, unbound=(channel_id,)))
    fault: RoomsError | None = None
    try:
        yield TellDetached(channel_id)
    except RoomsError as error:
        fault = error  # it is gone all the same, and others are told so first
    core.fire(HookTrigger.ON_CHANNEL_DETACHED, record)
    core.announce("room_channel_detached", channel_id=channel_id)
    pipeline.turns.review()
    pipeline.turns.cancel(lambda turn: turn.channel_id == channel_id)
    core.abandon(channel_id)
    core.out.append(Forget(channel_id))
    if fault is not None:
        raise fault
    return True


# -- rights ----------------------------------------------------------------------------------------


def mute(pipeline: Pipeline, channel_id: str) -> Steps[ChannelBinding]:
    """Nothing that comes from it is passed on; it still receives, and an agent still thinks."""
    return (
        yield from _set_muted(
            pipeline, channel_id, True, EventType.CHANNEL_MUTED, HookTrigger.ON_CHANNEL_MUTED
        )
    )


def unmute(pipeline: Pipeline, channel_id: str) -> Steps[ChannelBinding]:
    """What comes from it is passed on again."""
    return (
        yield from _set_muted(
            pipeline, channel_id, False, EventType.CHANNEL_UNMUTED, HookTrigger.ON_CHANNEL_UNMUTED
        )
    )


def _set_muted(
    pipeline: Pipeline, channel_id: str, muted: bool, kind: EventType, trigger: HookTrigger
) -> Steps[ChannelBinding]:
    core = yield from entered(pipeline)
    after = attrs.evolve(bound(core, channel_id), muted=muted)
    body = "muted" if muted else "unmuted"
    record = core.record(kind, kind.value, body, {"channel_id": channel_id})
    return (yield from _rebound(pipeline, after, record, trigger))


def mute_output(pipeline: Pipeline, channel_id: str) -> Steps[ChannelBinding]:
    """Its people hear nothing: for channels of sound. No entry says so."""
    core = yield from entered(pipeline)
    return (yield from _rebound(pipeline, attrs.evolve(bound(core, channel_id), output_muted=True)))


def unmute_output(pipeline: Pipeline, channel_id: str) -> Steps[ChannelBinding]:
    """Its people hear again."""
    core = yield from entered(pipeline)
    return (
        yield from _rebound(pipeline, attrs.evolve(bound(core, channel_id), output_muted=False))
    )


def set_access(pipeline: Pipeline, channel_id: str, access: Access) -> Steps[ChannelBinding]:
    """Whether it reads, and whether it writes."""
    core = yield from entered(pipeline)
    before = bound(core, channel_id)
    data = {"old_access": before.access.value, "access": access.value}
    record = _updated(core, channel_id, "channel_access_changed", data)
    return (yield from _rebound(pipeline, attrs.evolve(before, access=access), record))


def set_visibility(pipeline: Pipeline, channel_id: str, visibility: str) -> Steps[ChannelBinding]:
    """Who sees what comes from it.

    Raises:
        BadValue: it names nobody.
    """
    core = yield from entered(pipeline)
    before = bound(core, channel_id)
    after = attrs.evolve(before, visibility=_checked(visibility))
    data = {"old_visibility": before.visibility, "visibility": visibility}
    record = _updated(core, channel_id, "channel_visibility_changed", data)
    return (yield from _rebound(pipeline, after, record))


def update_binding_metadata(
    pipeline: Pipeline,
    channel_id: str,
    changes: Mapping[str, Any] = NOTHING,
    unset: Sequence[str] = (),
) -> Steps[ChannelBinding]:
    """Merge into its metadata, at the first level; `unset` are keys that are to go.

    The entry holds the keys and not the values: those may be people's addresses.
    """
    core = yield from entered(pipeline)
    before = bound(core, channel_id)
    after = attrs.evolve(before, metadata=patched(before.metadata, changes, unset))
    keys = sorted({*before.metadata, *after.metadata})
    other = [key for key in keys if _differs(before.metadata, after.metadata, key)]
    record = _updated(core, channel_id, "channel_metadata_updated", {"keys": other})
    return (yield from _rebound(pipeline, after, record))


def _differs(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> bool:
    return (key in before, before.get(key)) != (key in after, after.get(key))


# -- common to them --------------------------------------------------------------------------------


def bound(core: RoomCore, channel_id: str) -> ChannelBinding:
    """The binding of a channel.

    Raises:
        ChannelNotFound: it has none.
    """
    binding = core.bindings.get(channel_id)
    if binding is None:
        raise ChannelNotFound("channel in the room", channel_id)
    return binding


def _updated(core: RoomCore, channel_id: str, code: str, data: Mapping[str, Any]) -> RoomEvent:
    told = {"channel_id": channel_id, **data}
    return core.record(EventType.CHANNEL_UPDATED, code, "changed", told)


def _rebound(
    pipeline: Pipeline,
    binding: ChannelBinding,
    record: RoomEvent | None = None,
    trigger: HookTrigger | None = None,
) -> Steps[ChannelBinding]:
    """Another binding for a channel that has one, and the entry that says so."""
    core = pipeline.core
    before = core.bindings[binding.channel_id]
    if binding == before:
        return before
    if record is not None:
        refuse_if_closed(core, record.type)
    records = () if record is None else (record,)
    yield from pipeline.commit(core.change(records, bound=(binding,)))
    if trigger is not None:
        core.fire(trigger, record)
    pipeline.turns.review()
    core.out.append(PushBinding(binding))
    return binding
