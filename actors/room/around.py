"""What the parts of one room's actor share: its surroundings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from actors.machines.room.hooking import HookTable
from actors.room.household import Household
from actors.room.plan import RoomsPlan
from actors.room.registrations import Registrations
from models.rooms.room import RoomContext
from supervision import Actor, ActorRef, ChildSpec


@attrs.define(eq=False)
class Around:
    """Of one room."""

    actor: Actor[Any]
    plan: RoomsPlan
    room_id: str
    store: ActorRef[Any]
    household: Household
    hook_runner: Callable[[], ChildSpec[Any]]
    registrations: Callable[[], Registrations]
    hooks: Callable[[], HookTable]
    """Of the node and of this room."""
    context: Callable[[], RoomContext]
