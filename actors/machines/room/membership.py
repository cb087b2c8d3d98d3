"""Who is in a room: people come, go, are renamed and recognised. One record for each, whatever
channels they come by.

What is recorded in the timeline is refused in a closed room (`states.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTrigger
from actors.machines.room.identifying import connected
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.states import entered, refuse_if_closed
from actors.machines.room.steps import FindIdentity, Steps
from models.rooms.errors import BadValue, IdentityNotFound, ParticipantNotFound
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import (
    EventType,
    IdentificationStatus,
    ParticipantRole,
    ParticipantStatus,
)
from models.rooms.room import ChannelBinding, Participant

logger = logging.getLogger("troupe.rooms")

GONE = (ParticipantStatus.LEFT, ParticipantStatus.BANNED)
"""What `remove_member` makes of somebody."""


def ensure_participant(
    pipeline: Pipeline, channel_id: str, participant_id: str, display_name: str | None = None
) -> Steps[Participant]:
    """The record of somebody who comes by a channel, made if there is none.

    That is bookkeeping: nobody is told, and a record that is there keeps its name and status.

    Raises:
        BadValue: the id is empty.
    """
    core = yield from entered(pipeline)
    before = core.participants.get(participant_id)
    if before is None:
        new = _new(core, channel_id, participant_id)
        return (yield from _keep(pipeline, attrs.evolve(new, display_name=display_name)))
    if before.channel_id != channel_id:
        logger.warning(
            f"room {core.room.id}: {participant_id} came by {before.channel_id} and now comes by "
            f"{channel_id} too"
        )
    return (yield from _keep(pipeline, connected(before, channel_id)))


def add_member(
    pipeline: Pipeline,
    channel_id: str,
    participant_id: str,
    *,
    display_name: str | None = None,
    identity_id: str | None = None,
    role: ParticipantRole | None = None,
    external_id: str | None = None,
    metadata: Mapping[str, Any] = NOTHING,
) -> Steps[Participant]:
    """Somebody joins on purpose. Whoever is here already stays as they are, and comes by this
    channel too; whoever had left, or was banned, is back.

    Args:
        identity_id: who that is, which makes them identified.
        role: None is a member, or what they were before.
    Raises:
        BadValue: the id is empty.
        RoomClosed: see the module.
    """
    core = yield from entered(pipeline)
    before = core.participants.get(participant_id)
    if before is not None and before.status is ParticipantStatus.ACTIVE:
        return (yield from _keep(pipeline, connected(before, channel_id)))
    person = before or _new(core, channel_id, participant_id)
    others = [name for name in person.connected_via if name != channel_id]
    known = identity_id or person.identity_id
    person = attrs.evolve(
        person,
        channel_id=channel_id,
        connected_via=(channel_id, *others),
        status=ParticipantStatus.ACTIVE,
        display_name=display_name or person.display_name,
        role=role or person.role,
        identity_id=known,
        identification=IdentificationStatus.IDENTIFIED if known else person.identification,
        external_id=external_id or person.external_id,
        metadata={**person.metadata, **metadata},
    )
    data = {"participant_id": participant_id, "identity_id": known}
    return (
        yield from _recorded(
            pipeline,
            person,
            EventType.PARTICIPANT_JOINED,
            HookTrigger.ON_PARTICIPANT_JOINED,
            "joined",
            data,
        )
    )


def remove_member(
    pipeline: Pipeline, participant_id: str, status: ParticipantStatus = ParticipantStatus.LEFT
) -> Steps[Participant]:
    """Somebody leaves, or is banned. Their record stays.

    Raises:
        ParticipantNotFound: there is none.
        BadValue: the status is neither.
        RoomClosed: see the module.
    """
    if status not in GONE:
        raise BadValue([f"status: left or banned, not {status.value}"])
    core = yield from entered(pipeline)
    person = attrs.evolve(participant(core, participant_id), status=status)
    data = {"participant_id": participant_id, "status": status.value}
    return (
        yield from _recorded(
            pipeline,
            person,
            EventType.PARTICIPANT_LEFT,
            HookTrigger.ON_PARTICIPANT_LEFT,
            "left" if status is ParticipantStatus.LEFT else "banned",
            data,
        )
    )


def rename_member(
    pipeline: Pipeline, participant_id: str, display_name: str | None
) -> Steps[Participant]:
    """Call somebody something else; None is no name. The entry does not hold it.

    Raises:
        ParticipantNotFound: nobody has that id.
        RoomClosed: see the module.
    """
    core = yield from entered(pipeline)
    person = attrs.evolve(participant(core, participant_id), display_name=display_name)
    data = {"participant_id": participant_id}
    return (
        yield from _recorded(
            pipeline,
            person,
            EventType.PARTICIPANT_UPDATED,
            HookTrigger.ON_PARTICIPANT_UPDATED,
            "renamed",
            data,
        )
    )


def resolve_participant(
    pipeline: Pipeline, participant_id: str, identity_id: str, resolved_by: str = "manual"
) -> Steps[Participant]:
    """Somebody turns out to be a person of the address book.

    Raises:
        ParticipantNotFound: nobody has that id.
        IdentityNotFound: the address book of the room's organization has no such identity.
        RoomClosed: see the module.
    """
    who: Identity | None = yield FindIdentity(identity_id)
    core = yield from entered(pipeline)
    before = participant(core, participant_id)
    if who is None or who.organization_id != core.room.organization_id:
        raise IdentityNotFound("identity", identity_id)
    known = before.identification is IdentificationStatus.IDENTIFIED
    if known and before.identity_id == who.id:
        return before
    person = attrs.evolve(
        before,
        identification=IdentificationStatus.IDENTIFIED,
        identity_id=who.id,
        display_name=before.display_name or who.display_name,
        candidates=None,
        resolved_at=core.now,
        resolved_by=resolved_by,
    )
    data = {
        "participant_id": participant_id,
        "identity_id": who.id,
        "resolved_by": resolved_by,
    }
    return (
        yield from _recorded(
            pipeline,
            person,
            EventType.PARTICIPANT_IDENTIFIED,
            HookTrigger.ON_PARTICIPANT_IDENTIFIED,
            "identified",
            data,
            _theirs(core, person),
        )
    )


def _theirs(core: RoomCore, person: Participant) -> Sequence[ChannelBinding]:
    """The binding they came by first, if it is nobody's yet or only knows their address."""
    binding = core.bindings.get(person.channel_id)
    if binding is None or binding.participant_id not in (None, person.external_id):
        return ()
    return (attrs.evolve(binding, participant_id=person.id),)


# -- who is there ----------------------------------------------------------------------------------


def list_members(
    participants: Sequence[Participant], include_left: bool = False
) -> Sequence[Participant]:
    """Those of a room who are in it; with `include_left`, all who ever were."""
    return [
        person
        for person in participants
        if include_left or person.status is ParticipantStatus.ACTIVE
    ]


def is_member(participants: Sequence[Participant], identity_id: str) -> bool:
    """Whether that person is in it, under whatever id."""
    return any(person.identity_id == identity_id for person in list_members(participants))


def participant(core: RoomCore, participant_id: str) -> Participant:
    """The record of somebody.

    Raises:
        ParticipantNotFound: there is none.
    """
    person = core.participants.get(participant_id)
    if person is None:
        raise ParticipantNotFound("participant in the room", participant_id)
    return person


# -- common to them --------------------------------------------------------------------------------


def _new(core: RoomCore, channel_id: str, participant_id: str) -> Participant:
    if not participant_id:
        raise BadValue(["participant_id: not empty"])
    return Participant(
        participant_id, core.room.id, channel_id, core.now, connected_via=(channel_id,)
    )


def _keep(pipeline: Pipeline, person: Participant) -> Steps[Participant]:
    """Write the record if it has changed. No entry says so."""
    core = pipeline.core
    if core.participants.get(person.id) != person:
        yield from pipeline.commit(core.change(participants=(person,)))
    return person


def _recorded(
    pipeline: Pipeline,
    person: Participant,
    kind: EventType,
    trigger: HookTrigger,
    body: str,
    data: Mapping[str, Any],
    bound: Sequence[ChannelBinding] = (),
) -> Steps[Participant]:
    """Write the record if it has changed, and the entry that says so; tell the hooks."""
    core = pipeline.core
    if core.participants.get(person.id) == person:
        return person
    refuse_if_closed(core, kind)
    record: RoomEvent = core.record(kind, kind.value, body, data)
    yield from pipeline.commit(core.change((record,), participants=(person,), bound=bound))
    core.fire(trigger, record)
    return person
