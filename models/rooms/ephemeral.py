"""The bus for what is not kept, as messages: typing, presence, reactions, thoughts."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from models.rooms.kinds import EphemeralType
from models.rooms.traffic import EphemeralEvent
from supervision import ActorRef, Request


@attrs.frozen
class Publish:
    """Tell all who listen to the event's room."""

    event: EphemeralEvent


@attrs.frozen
class Listen(Request[str]):
    """Tell that actor what passes through a room; answered with the subscription's id.

    A subscriber that is gone is forgotten. One that is slow loses the oldest of what waits for it,
    and nobody else notices.
    """

    room_id: str
    subscriber: ActorRef[EphemeralEvent]
    types: Sequence[EphemeralType] = ()
    """Only these; () is all."""


@attrs.frozen
class StopListening(Request[bool]):
    """End a subscription; whether there was one."""

    subscription: str


EphemeralMessage = Publish | Listen | StopListening
