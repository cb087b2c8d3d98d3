"""The default router: which room a message belongs to that does not say. A pure passage.

`route` is a generator, as all passages of a room are: it yields what it has to know of the store,
is sent that, and returns a `Route`. Whoever drives it turns the questions into requests:

    LatestOf  FindLatestRoom(sender, channel_type, statuses)
    BoundTo   FindRoomsOfChannel(channel_id, statuses, limit)
    Look      LoadRoom(room_id, window=1), of which it wants the `context`

A message in a room too many can be put right; one that somebody else reads cannot. Where there is
doubt, there is a new room.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import attrs

from models.rooms.capabilities import DEFAULT_REGION, address_of
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType, ParticipantStatus, RoomStatus
from models.rooms.room import ChannelBinding, Room, RoomContext

GROUP = "group"
"""The key of binding metadata that says: whoever writes on the channel, it is for this room."""

SCAN = 20
"""Rooms of a channel, newest first, that are looked at where the store has no index to ask."""

OPEN = (RoomStatus.ACTIVE, RoomStatus.PAUSED)


# -- what it has to know ---------------------------------------------------------------------------


@attrs.frozen
class LatestOf:
    """The newest room in which somebody takes part. Answered with the `Room`, or None."""

    sender: str
    channel_type: ChannelType
    statuses: Sequence[RoomStatus] = OPEN


@attrs.frozen
class BoundTo:
    """The newest rooms in which the channel is bound. Answered with `Room`s, newest first."""

    channel_id: str
    statuses: Sequence[RoomStatus]
    limit: int


@attrs.frozen
class Look:
    """Who is in a room, and by what. Answered with its `RoomContext`; None if it is gone."""

    room_id: str


Question = LatestOf | BoundTo | Look


@attrs.frozen
class Route:
    """Where a message belongs."""

    room_id: str | None = None
    """None: in a room of its own."""
    warning: str = ""
    """Why there will be a new room although there are some it might have gone to; for the log."""


NEW_ROOM = Route()

Routing = Generator[Question, Any, Route]


def route(info: ChannelInfo, sender_id: str, default_region: str = DEFAULT_REGION) -> Routing:
    """Which room a message from `sender_id` on a channel belongs to.

    First the newest open room that knows the sender on this channel; else the only active room of
    the channel, if it admits them; else a new one.
    """
    sender = Sender.on(info, sender_id, default_region)
    known = yield from _room_of(sender)
    if known is not None:
        return Route(known)
    active: Sequence[Room] = yield BoundTo(info.id, (RoomStatus.ACTIVE,), 2)
    admitting: list[str] = []
    for room in active:
        context: RoomContext | None = yield Look(room.id)
        if context is not None and sender.admitted_to(context):
            admitting.append(room.id)
    if len(active) == 1:
        return Route(admitting[0]) if admitting else NEW_ROOM
    if admitting:
        return Route(None, f"channel {info.id!r} is bound to more than one active room")
    if active:
        return NEW_ROOM
    return (yield from _group_that_rests(info))


def _room_of(sender: Sender) -> Generator[Question, Any, str | None]:
    """The newest open room that knows the sender on this channel."""
    info = sender.info
    found: list[Room] = []
    for address in sender.addresses:
        room: Room | None = yield LatestOf(address, info.type)
        if room is not None and room not in found:
            found.append(room)
    found.sort(key=lambda room: room.updated_at, reverse=True)
    for room in found:
        context: RoomContext | None = yield Look(room.id)
        if context is not None and sender.known_in(context):
            return room.id
    # The index finds people by the type of the channel, and it does not know addresses that are in
    # a binding's metadata alone. Where that may hide a room, the newest ones are looked at.
    if not found and not info.recipient_key:
        return None
    bound: Sequence[Room] = yield BoundTo(info.id, OPEN, SCAN)
    for room in bound:
        context = yield Look(room.id)
        if context is not None and sender.known_in(context):
            return room.id
    return None


def _group_that_rests(info: ChannelInfo) -> Routing:
    paused: Sequence[Room] = yield BoundTo(info.id, (RoomStatus.PAUSED,), 2)
    if len(paused) == 1:
        context: RoomContext | None = yield Look(paused[0].id)
        binding = None if context is None else context.get_binding(info.id)
        if binding is not None and is_group(binding):
            return Route(paused[0].id)
    return NEW_ROOM


def is_group(binding: ChannelBinding) -> bool:
    """Whether a binding admits everybody, whomever it names."""
    return binding.metadata.get(GROUP) is True


@attrs.frozen
class Sender:
    """Somebody who writes on a channel."""

    info: ChannelInfo
    addresses: Sequence[str]
    """As it was written, and as rooms compare it if that is another one; () if there is none."""
    default_region: str = DEFAULT_REGION

    @classmethod
    def on(cls, info: ChannelInfo, sender_id: str, default_region: str = DEFAULT_REGION) -> Sender:
        """Who sends from that address on that channel."""
        compared = sender_id
        if not info.sender_is_participant:
            compared = address_of(info.type, sender_id, default_region)
        addresses = tuple(dict.fromkeys(each for each in (sender_id, compared) if each))
        return cls(info, addresses, default_region)

    def known_in(self, context: RoomContext) -> bool:
        """Whether the room has the channel, and the channel's binding or a participant who comes
        by it is this sender.
        """
        binding = context.get_binding(self.info.id)
        if binding is None:
            return False
        return any(map(self.is_at, self._correspondents(binding, context))) or any(
            person.status is ParticipantStatus.ACTIVE
            and self.info.id in (person.connected_via or (person.channel_id,))
            and (self.is_at(person.id) or self.is_at(person.external_id))
            for person in context.participants
        )

    def admitted_to(self, context: RoomContext) -> bool:
        """Whether the sender may be brought to a room that does not know them.

        A binding that holds another correspondent admits nobody else, unless it is a group's.
        """
        binding = context.get_binding(self.info.id)
        if binding is None:
            return False
        held = any(self._correspondents(binding, context))
        return not held or is_group(binding) or self.known_in(context)

    def is_at(self, address: str | None) -> bool:
        """Whether an address is the sender's, however it is written."""
        if not address or not self.addresses:
            return False
        if address in self.addresses:
            return True
        if self.info.sender_is_participant:
            return False
        return address_of(self.info.type, address, self.default_region) in self.addresses

    def _correspondents(self, binding: ChannelBinding, context: RoomContext) -> Iterator[str]:
        """Whom the binding names: a participant, their address, or the address it delivers to."""
        if binding.participant_id:
            yield binding.participant_id
            for person in context.participants:
                if person.id == binding.participant_id and person.external_id:
                    yield person.external_id
        recipient = binding.metadata.get(self.info.recipient_key)
        if isinstance(recipient, str) and recipient:
            yield recipient
