"""Who may change what was said: the rules of edits and deletes."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from models.rooms.content import Content, Delete, Edit, Text
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    ChannelType,
    DeleteType,
    EventType,
    ParticipantRole,
    ParticipantStatus,
)
from models.rooms.room import Participant

NO_CHANNELS: Mapping[str, ChannelInfo] = {}
MAY_ADMINISTER = (ParticipantRole.OWNER, ParticipantRole.AGENT)


def is_change(event: RoomEvent) -> bool:
    """Whether it claims to change another event, in type or in content."""
    return event.type in (EventType.EDIT, EventType.DELETE) or isinstance(
        event.content, Edit | Delete
    )


def target_of(event: RoomEvent) -> str | None:
    """The event it changes; None if its type and its content contradict each other."""
    match event.type, event.content:
        case EventType.EDIT, Edit(target_event_id=target):
            return target
        case EventType.DELETE, Delete(target_event_id=target):
            return target
        case _:
            return None


def why_not(
    event: RoomEvent,
    target: RoomEvent | None,
    sender: Participant | None,
    channels: Mapping[str, ChannelInfo] = NO_CHANNELS,
) -> str | None:
    """The code of the rule that forbids a change; None if it may be.

    Args:
        target: what it changes, if the room has it.
        sender: who wants it, if they take part.
        channels: of the node; the same id on two of them is one person only if both know people
            by name, or the room knows that they come by both.
    """
    if (
        target is None
        or target.blocked
        or target.metadata.get("deleted")
        or target.type in (EventType.EDIT, EventType.DELETE)
    ):
        return "target_event_not_found"
    from_system = event.source.channel_type is ChannelType.SYSTEM
    match event.content:
        case Delete(delete_type=DeleteType.SYSTEM) | Edit(edit_source="system"):
            return None if from_system else "not_authorized"
        case Delete(delete_type=DeleteType.ADMIN):
            if sender is None or sender.status is not ParticipantStatus.ACTIVE:
                return "not_authorized"
            return None if sender.role in MAY_ADMINISTER else "not_authorized"
    who, author = event.source.participant_id, target.source.participant_id
    if not who or not author:
        return "identity_required_for_edit"
    if who != author or not _one_person(event, target, sender, channels):
        return "not_original_author"
    return None


def _one_person(
    event: RoomEvent,
    target: RoomEvent,
    sender: Participant | None,
    channels: Mapping[str, ChannelInfo],
) -> bool:
    here, there = event.source.channel_id, target.source.channel_id
    if here == there or (sender is not None and {here, there} <= set(sender.connected_via)):
        return True
    infos = [channels[name] for name in (here, there) if name in channels]
    return all(info.sender_is_participant for info in infos)


def changed(event: RoomEvent, target: RoomEvent) -> RoomEvent:
    """The target as it is once the change is made."""
    match event.content:
        case Edit(new_content=new):
            return attrs.evolve(target, content=new, metadata={**target.metadata, "edited": True})
        case _:
            return attrs.evolve(target, metadata={**target.metadata, "deleted": True})


WITHHELD: Content = Text("")


def readable(event: RoomEvent) -> RoomEvent:
    """The event as histories show it: what was deleted is not read again."""
    return attrs.evolve(event, content=WITHHELD) if event.metadata.get("deleted") else event
