"""A node of rooms as a process of its own, which ends by SIGTERM, or dead by its fuse."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import attrs
import trio

from actors.channels import registrations
from actors.machines.room.hooking import HookTable
from actors.room.config import RoomsConfig, WebhookSection
from actors.room.conversations import Conversations
from actors.room.plan import RoomsPlan
from actors.room.registrations import Registrations
from models.rooms.channel import TransportSpec
from models.rooms.errors import RoomNotFound
from supervision import System, open_system
from supervision.secret import Secret
from tests.live.rooms.fuse import Fuse, FusedBackend, FusedWebhook, echoing, fused_hooks
from tests.live.rooms.house import SECRET, house
from transports.channels.webhook import WebhookConfig, webhook_channel
from transports.channels.webhook_in import InboundWebhook
from transports.server.listener import Where
from transports.stores.actor import store_spec
from transports.stores.config import StoreConfig, make_backend
from transports.stores.sql import SqlBackend

ROOM = "r"


@attrs.frozen
class Orders:
    """What the test wants of the node."""

    engine: str
    path: str
    dsn: str
    """In clear: a secret does not travel between processes."""
    schema: str
    receiver: str
    """Where events are POSTed."""
    fuse: str = ""
    """As `Fuse.of` reads it."""
    newcomers: bool = False
    """There is no room before the first message makes it, with all channels."""
    armed_at_once: bool = False
    """The fuse counts from the start; otherwise once the node is up."""

    @classmethod
    def of(cls, store: StoreConfig, receiver: str) -> Orders:
        """A node over that store."""
        dsn = store.dsn.reveal() if store.dsn is not None else ""
        return cls(store.engine, store.path, dsn, store.schema, receiver)

    @property
    def store(self) -> StoreConfig:
        if self.engine == "postgres":
            return StoreConfig(
                engine="postgres", dsn=Secret(self.dsn), schema=self.schema, connections=2
            )
        return StoreConfig(path=self.path)


def backend(make: Callable[[], object], fuse: Fuse) -> FusedBackend:
    """The configured store, with a fuse in it."""
    plain = make()
    assert isinstance(plain, SqlBackend)
    return FusedBackend(plain._database, fuse)


def registered(config: RoomsConfig, plan: RoomsPlan, fuse: Fuse, system: System) -> Registrations:
    """What the configuration names, with fuses, and the agent."""
    usual = registrations(config, plan, [], system)
    webhook = config.webhooks["hook"].send
    desk = system.ref(plan.desk)
    info = webhook_channel("hook", webhook, desk).info
    fused = TransportSpec(info, partial(FusedWebhook, info, desk, webhook, fuse))
    channels = {**usual.channels, "hook": fused, "ai": echoing(fuse)}
    return Registrations(channels, HookTable(fused_hooks(fuse)))


async def set_up(rooms: Conversations) -> None:
    """The room, unless an earlier life of the node has made it."""
    try:
        await rooms.get_room(ROOM)
    except RoomNotFound:
        await rooms.create_room(ROOM)
        await rooms.attach_channel(ROOM, "websocket")
        await rooms.attach_channel(ROOM, "hook", metadata={"recipient_id": "the receiver"})
        await rooms.attach_channel(ROOM, "ai")


def run(orders: Orders, log: Path, up: Connection) -> None:
    """The whole life of the process; its address goes into `up`."""
    with log.open("ab") as errors:
        os.dup2(errors.fileno(), 2)
    trio.run(main, orders, up)


async def main(orders: Orders, up: Connection) -> None:
    """Run it until SIGTERM."""
    fuse = Fuse.of(orders.fuse)
    fuse.armed = orders.armed_at_once
    hook = WebhookSection(
        WebhookConfig(orders.receiver, SECRET, allow_private=True),
        InboundWebhook((SECRET,), room_id=ROOM),
    )
    config = RoomsConfig(newcomers=(), agents={}, webhooks={"hook": hook})
    plan = config.plan()
    if orders.newcomers:
        plan = attrs.evolve(plan, newcomers=("websocket", "ai"))
    store = store_spec(partial(backend, make_backend(orders.store), fuse), orders.store.members)
    children = house(config, plan, store, partial(registered, config, plan, fuse))
    with trio.open_signal_receiver(signal.SIGTERM) as stops:
        async with open_system() as system:
            for child in children:
                await system.start_child(child)
            if not orders.newcomers:
                await set_up(Conversations(system, plan))
            fuse.armed = True
            address = await system.ref("/server/listener").ask(Where())
            up.send(address)
            async for _ in stops:
                return
