"""Step four of the pipeline: who sent that? A pure passage; docs/rooms.md has the outcomes."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTrigger, InjectedEvent
from actors.machines.room.steps import Resolve, RunIdentityHooks, Steps, Turned
from models.rooms.event import RoomEvent
from models.rooms.identity import Identity, IdentityResult
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType, IdentificationStatus
from models.rooms.room import Participant
from models.rooms.traffic import InboundMessage


@attrs.frozen
class IdentitySettings:
    """Whether and for whom senders are identified."""

    resolves: bool = False
    """There is a resolver."""
    channel_types: frozenset[ChannelType] | None = None
    """Only on these; None is all."""


@attrs.frozen
class IdentityHookResult:
    """What an identity hook makes of a sender."""

    status: IdentificationStatus
    identity: Identity | None = None
    display_name: str | None = None
    candidates: Sequence[str] | None = None
    inject: InjectedEvent | None = None
    reason: str | None = None

    @classmethod
    def resolved(cls, identity: Identity) -> IdentityHookResult:
        """It is that person."""
        return cls(IdentificationStatus.IDENTIFIED, identity)

    @classmethod
    def pending(
        cls, display_name: str | None = None, candidates: Sequence[str] | None = None
    ) -> IdentityHookResult:
        """Let them in; who it is will be found out later."""
        return cls(IdentificationStatus.PENDING, display_name=display_name, candidates=candidates)

    @classmethod
    def challenge(cls, inject: InjectedEvent, message: str | None = None) -> IdentityHookResult:
        """Ask them first; the message itself is not let in."""
        return cls(IdentificationStatus.CHALLENGE_SENT, inject=inject, reason=message)

    @classmethod
    def reject(cls, reason: str = "unknown_sender") -> IdentityHookResult:
        """Do not let them in."""
        return cls(IdentificationStatus.REJECTED, reason=reason)


@attrs.frozen
class Sender:
    """Who sent it, as far as is known, and what has to be written once the room is locked."""

    participant_id: str
    joining: Participant | None = None
    code: str = ""
    """Of the record that says so."""


@attrs.define(eq=False)
class Challenged(Turned):
    """The sender has to answer a question first."""

    inject: InjectedEvent
    reason: str = "identity_challenge_sent"


def sender_of(
    core: RoomCore,
    settings: IdentitySettings,
    message: InboundMessage,
    event: RoomEvent,
    info: ChannelInfo,
) -> Steps[Sender]:
    """Who sent a message.

    Raises:
        Turned: they are not let in. `Challenged`: not before they have answered.
    """
    known = known_sender(core, message)
    if known is not None and known.identification is IdentificationStatus.IDENTIFIED:
        return Sender(known.id)
    wanted = settings.channel_types
    if (
        not settings.resolves
        or info.sender_is_participant
        or (wanted is not None and info.type not in wanted)
    ):
        return Sender(known.id if known is not None else message.sender_id)
    result: IdentityResult = yield Resolve(message, event)
    if result.status is IdentificationStatus.CHALLENGE_SENT:
        raise Turned(result.message or "identity_challenge_sent")
    if result.status is IdentificationStatus.IDENTIFIED and result.identity is not None:
        return _identified(core, message, result.identity)
    return (yield from _asked(core, message, event, result))


def known_sender(core: RoomCore, message: InboundMessage) -> Participant | None:
    """The participant who sends from that address on that channel, if they are in the room."""
    person = core.participants.get(message.sender_id)
    if person is not None:
        return person
    return next(
        (
            person
            for person in core.participants.values()
            if person.external_id == message.sender_id
            and message.channel_id in person.connected_via
        ),
        None,
    )


def _asked(
    core: RoomCore, message: InboundMessage, event: RoomEvent, result: IdentityResult
) -> Steps[Sender]:
    ambiguous = result.status in (IdentificationStatus.AMBIGUOUS, IdentificationStatus.PENDING)
    trigger = HookTrigger.ON_IDENTITY_AMBIGUOUS if ambiguous else HookTrigger.ON_IDENTITY_UNKNOWN
    answer: IdentityHookResult | None = yield RunIdentityHooks(trigger, event, result)
    core.fire(trigger, event)
    match answer:
        case IdentityHookResult(status=IdentificationStatus.IDENTIFIED, identity=Identity() as who):
            return _identified(core, message, who)
        case IdentityHookResult(
            status=IdentificationStatus.CHALLENGE_SENT, inject=InjectedEvent() as inject
        ):
            raise Challenged(inject)
        case IdentityHookResult(status=IdentificationStatus.REJECTED, reason=reason):
            raise Turned(reason or ("identity_rejected" if ambiguous else "unknown_sender"))
        case IdentityHookResult(status=IdentificationStatus.PENDING) as pending:
            candidates = pending.candidates or [who.id for who in result.candidates]
            return _pending(core, message, candidates, pending.display_name)
    if ambiguous:
        return _pending(core, message, [who.id for who in result.candidates], None)
    return Sender(message.sender_id)


def _identified(core: RoomCore, message: InboundMessage, who: Identity) -> Sender:
    core.announce(
        "identity_resolved",
        {"identity_id": who.id, "display_name": who.display_name, "status": "identified"},
    )
    before = known_sender(core, message) or next(
        (p for p in core.participants.values() if p.identity_id == who.id), None
    )
    joining = _record(core, message, before.id if before else who.id, before)
    joining = attrs.evolve(
        joining,
        identification=IdentificationStatus.IDENTIFIED,
        identity_id=who.id,
        display_name=joining.display_name or who.display_name,
        candidates=None,
        resolved_at=core.now,
        resolved_by="resolver",
    )
    return Sender(joining.id, joining, "participant_joined_identified")


def _pending(
    core: RoomCore, message: InboundMessage, candidates: Sequence[str], name: str | None
) -> Sender:
    before = known_sender(core, message)
    if before is not None:
        return Sender(before.id)
    person = message.sender_id or f"pending-{core.new_id()[:8]}"
    joining = attrs.evolve(
        _record(core, message, person, None), display_name=name, candidates=tuple(candidates)
    )
    return Sender(joining.id, joining, "participant_joined_pending")


def _record(
    core: RoomCore, message: InboundMessage, person: str, before: Participant | None
) -> Participant:
    if before is not None:
        return connected(before, message.channel_id)
    return Participant(
        person,
        core.room.id,
        message.channel_id,
        core.now,
        connected_via=(message.channel_id,),
        external_id=message.sender_id,
    )


def connected(person: Participant, channel_id: str) -> Participant:
    """The participant, who comes by that channel too."""
    if channel_id in person.connected_via:
        return person
    return attrs.evolve(person, connected_via=(*person.connected_via, channel_id))
