"""The rooms of a node: which channels its configuration names, where they are kept, who answers.

With `app.py` and `providers.py` the only module that names concrete transports.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from actors.room.agent import agent_spec
from actors.room.config import RoomsConfig
from actors.room.identity import AddressBook
from actors.room.plan import RoomsPlan
from actors.room.registrations import Registrations
from actors.room.services import room_services
from models.rooms.channel import ChannelSpec, TransportSpec
from supervision import ActorRef, ChildSpec, System
from transports.channels.webhook import webhook_channel
from transports.channels.webhook_in import InboundWebhook
from transports.channels.websocket import WebSocketChannel, websocket_info
from transports.stores.actor import memory_spec, store_spec
from transports.stores.config import StoreConfig, make_backend


def rooms(
    config: RoomsConfig, store: StoreConfig, models: Sequence[str]
) -> Sequence[ChildSpec[Any]]:
    """The children of the root that rooms need.

    Args:
        models: paths of the language models that agents ask.
    Raises:
        DriverMissing: the store needs a package that is not installed.
    """
    plan = config.plan()
    return room_services(
        plan,
        kept(store),
        partial(registrations, config, plan, models),
        resolver=AddressBook(plan.store),
        identity=config.identity,
        bus=config.bus,
        sources=config.sources,
        proactive=config.proactive,
    )


def kept(config: StoreConfig) -> ChildSpec[Any]:
    """Where rooms are kept, as the child `store`."""
    if config.engine == "memory":
        return memory_spec()
    return store_spec(make_backend(config), config.members)


def registrations(
    config: RoomsConfig, plan: RoomsPlan, models: Sequence[str], system: System
) -> Registrations:
    """The channels that the configuration names."""
    desk, bus = system.ref(plan.desk), system.ref(plan.bus)
    specs: list[ChannelSpec] = []
    for name in config.websockets:
        start = partial(WebSocketChannel, name, desk, bus, config.wire)
        specs.append(TransportSpec(websocket_info(name), start))
    specs += [agent_spec(name, models, agent) for name, agent in config.agents.items()]
    specs += [
        webhook_channel(name, webhook.send, desk) for name, webhook in config.webhooks.items()
    ]
    return Registrations({spec.info.id: spec for spec in specs})


def inbound_webhooks(config: RoomsConfig) -> dict[str, InboundWebhook]:
    """Who may POST to which channel."""
    return {
        name: webhook.receive
        for name, webhook in config.webhooks.items()
        if webhook.receive is not None
    }


def find_websocket(
    config: RoomsConfig, plan: RoomsPlan, system: System, name: str | None
) -> ActorRef[Any] | None:
    """The channel a client asks for; without a name, the first there is."""
    if name is None and config.websockets:
        name = config.websockets[0]
    return system.find(f"{plan.channels}/{name}") if name in config.websockets else None
