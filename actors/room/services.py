"""All that rooms need of a node, as children of its root, in the order they rely on each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from actors.room.bus import BusConfig, bus_spec
from actors.room.desk import Desk
from actors.room.identity import IdentityConfig, Resolver, identity_spec
from actors.room.plan import RoomsPlan
from actors.room.proactive import proactive_spec
from actors.room.proactive_messages import ProactiveConfig
from actors.room.registrations import Registrations
from actors.room.registry import Kept, Registry
from actors.room.reopening import Reopener
from actors.room.sources import SourcesConfig, sources_spec
from actors.room.tree import PATIENT
from models.rooms.kinds import ChannelType
from supervision import ChildSpec, DynamicSupervisor, System
from transports.channels.host import HOST, host_spec


def nothing(system: System) -> Registrations:
    """Channels and hooks are registered later."""
    return Registrations()


def _with_host(make: Callable[[System], Registrations], system: System) -> Registrations:
    """The application's own channel is always there."""
    registrations = make(system)
    held = registrations.infos.get(HOST)
    if held is None:
        channels = {**registrations.channels, HOST: host_spec()}
        return attrs.evolve(registrations, channels=channels)
    if held.type is not ChannelType.HOST:
        raise ValueError(f"the channel {HOST!r} is the application's own, and no {held.type.value}")
    return registrations


def _name(path: str) -> str:
    return path.strip("/")


def room_services(
    plan: RoomsPlan,
    store: ChildSpec[Any],
    registrations: Callable[[System], Registrations] = nothing,
    *,
    resolver: Resolver | None = None,
    identity: IdentityConfig | None = None,
    bus: BusConfig | None = None,
    sources: SourcesConfig | None = None,
    proactive: ProactiveConfig | None = None,
) -> Sequence[ChildSpec[Any]]:
    """The children, from the store up. They live at the paths that the plan names.

    Args:
        store: where rooms are kept; see `transports/stores`.
        registrations: makes the channels and hooks that are there from the start.
        resolver: who finds out who a sender is; without one nobody is asked.
    """
    if resolver is not None:
        plan = attrs.evolve(plan, identity=attrs.evolve(plan.identity, resolves=True))
    children: list[tuple[str, Any]] = [
        (plan.rooms, DynamicSupervisor),
        (plan.channels, DynamicSupervisor),
        (plan.desk, partial(Desk, plan)),
        (plan.registry, partial(Registry, plan, partial(_with_host, registrations), Kept())),
        ("/reopener", partial(Reopener, plan)),
    ]
    return [
        store,
        bus_spec(bus, _name(plan.bus)),
        identity_spec(resolver, (), identity, _name(plan.senders)),
        *(ChildSpec(_name(path), start, backoff=PATIENT) for path, start in children),
        sources_spec(plan.desk, sources, _name(plan.sources)),
        proactive_spec(plan, proactive),
    ]
