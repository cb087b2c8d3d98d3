"""After a start: rooms with something left to do are opened, so that it is done.

These are rooms whose events were committed and not delivered, and rooms with timers.
"""

from __future__ import annotations

import logging

import attrs
import trio

from actors.room.desk import OpenRoom
from actors.room.plan import RoomsPlan
from supervision import Actor, SupervisionError, handles
from transports.stores.requests import UnfinishedRooms

logger = logging.getLogger("troupe.rooms")

AT_ONCE = 16
"""Rooms that are being opened at the same time."""
PAGE = 500
AGAIN = 5.0
"""Seconds until it is tried again, if the store is away."""


@attrs.frozen
class _Reopened:
    rooms: int


class Reopener(Actor[_Reopened]):
    """Opens them, once for each life of the node."""

    def __init__(self, plan: RoomsPlan) -> None:
        super().__init__()
        self._plan = plan
        self._opened = 0

    def on_start(self) -> None:
        self.start_task(self._all, name="open rooms", to=_Reopened)

    def __repr__(self) -> str:
        return f"<Reopener: {self._opened} rooms>"

    @handles
    def on_reopened(self, message: _Reopened) -> None:
        if message.rooms:
            logger.info(f"{message.rooms} rooms were opened to go on where they stopped")

    async def _all(self) -> int:
        after = ""
        limit = trio.CapacityLimiter(AT_ONCE)
        while True:
            rooms = await self._page(after)
            if not rooms:
                return self._opened
            async with trio.open_nursery() as nursery:
                for room_id in rooms:
                    await limit.acquire_on_behalf_of(room_id)
                    nursery.start_soon(self._one, room_id, limit)
            after = rooms[-1]

    async def _page(self, after: str) -> list[str]:
        store = self.system.ref(self._plan.store)
        while True:
            try:
                request = UnfinishedRooms(after, PAGE)
                return list(await store.ask(request, timeout=self._plan.store_timeout))
            except SupervisionError as error:
                logger.warning(f"which rooms are unfinished is not known yet: {error}")
                await trio.sleep(AGAIN)

    async def _one(self, room_id: str, limit: trio.CapacityLimiter) -> None:
        try:
            await self.system.ref(self._plan.desk).ask(OpenRoom(room_id), timeout=60.0)
            self._opened += 1
        except SupervisionError as error:
            logger.warning(f"room {room_id} could not be opened: {error}")
        finally:
            limit.release_on_behalf_of(room_id)
