"""All that rooms need of a node, as children of its root, in the order they rely on each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from actors.room.bus import EphemeralBus
from actors.room.desk import Desk
from actors.room.identity import IdentityDesk
from actors.room.plan import RoomsPlan
from actors.room.registrations import Registrations
from actors.room.registry import Registry
from actors.room.reopening import Reopener
from actors.room.tree import PATIENT
from supervision import ChildSpec, DynamicSupervisor, System


def nothing(system: System) -> Registrations:
    """Channels and hooks are registered later."""
    return Registrations()


def _name(path: str) -> str:
    return path.strip("/")


def room_services(
    plan: RoomsPlan,
    store: ChildSpec[Any],
    registrations: Callable[[System], Registrations] = nothing,
    **identity: Any,
) -> Sequence[ChildSpec[Any]]:
    """The children, from the store up. They live at the paths that the plan names.

    Args:
        store: where rooms are kept; see `transports/stores`.
        registrations: makes the channels and hooks that are there from the start.
        identity: how senders are identified; see `IdentityDesk`.
    """
    children: list[tuple[str, Any]] = [
        (plan.bus, EphemeralBus),
        (plan.senders, partial(IdentityDesk, **identity)),
        (plan.rooms, DynamicSupervisor),
        (plan.channels, DynamicSupervisor),
        (plan.desk, partial(Desk, plan)),
        (plan.registry, partial(Registry, plan, registrations)),
        ("/reopener", partial(Reopener, plan)),
    ]
    return [store, *(ChildSpec(_name(path), start, backoff=PATIENT) for path, start in children)]
