"""Rooms in a program of one's own, without a node: everything they need, on one system."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from actors.room.conversations import Conversations
from actors.room.plan import RoomsPlan
from actors.room.services import room_services
from supervision import ChildSpec, Supervisor, open_system
from transports.stores.actor import memory_spec, store_spec
from transports.stores.config import StoreConfig, make_backend

IN_MEMORY = StoreConfig(engine="memory")


@asynccontextmanager
async def open_rooms(
    store: StoreConfig = IN_MEMORY, plan: RoomsPlan | None = None, **services: Any
) -> AsyncIterator[Conversations]:
    """The rooms that `store` keeps; leaving the block stops them in order.

    Args:
        store: in memory if not told else: gone when the block ends.
        plan: other numbers than the usual ones.
        services: a `resolver`, and configurations; see `room_services`.
    Raises:
        DriverMissing: the store needs a package that is not installed.
    """
    made = plan or RoomsPlan()
    kept: ChildSpec[Any] = (
        memory_spec()
        if store.engine == "memory"
        else store_spec(make_backend(store), store.members)
    )
    children = room_services(made, kept, **services)
    async with open_system(root=partial(Supervisor, children)) as system:
        yield Conversations(system, made)
