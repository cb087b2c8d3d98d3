"""How the verbs of `Conversations` reach those who answer them."""

from __future__ import annotations

import itertools
from typing import Any, Self, TypeVar
from uuid import uuid4

from actors.room.desk import OpenRoom
from actors.room.hook_scope import inside_hook, waited_for_by
from actors.room.plan import RoomsPlan
from actors.room.requests import (
    Look,
    Post,
    Regenerate,
    RoomOperation,
)
from models.rooms.channel import DeskMessage
from models.rooms.errors import ReentrantCall, RoomAway, RoomNotFound
from models.rooms.refusals import RefusedFor
from models.rooms.room import Room, RoomContext
from supervision import ActorRef, Request, System
from transports.stores.backend import Page
from transports.stores.requests import (
    GetRoom,
    StoreRequest,
    store_fault,
)

T = TypeVar("T")

FIRST_PAGE = Page()


class Asking:
    """The rooms of one node."""

    def __init__(self, system: System, plan: RoomsPlan | None = None) -> None:
        """`plan`: of the node, if it is not the usual one."""
        self._system = system
        self._plan = plan or RoomsPlan()
        self._organization: str | None = None
        self._name = uuid4().hex
        self._numbers = itertools.count(1)

    def of(self, organization_id: str) -> Self:
        """The same, for one organization: rooms and identities of others are not there.

        What a tenant's request is answered with should come from here. Channels and hooks of the
        node are everybody's; `process_inbound` without a room goes where its channel's sender is.
        """
        scoped = type(self)(self._system, self._plan)
        scoped._organization = organization_id
        return scoped

    def _whose(self, organization_id: str | None) -> str | None:
        """The organization that is meant."""
        return organization_id if self._organization is None else self._organization

    @property
    def system(self) -> System:
        """The actors behind it all, to look at or to talk to."""
        return self._system

    @property
    def desk(self) -> ActorRef[DeskMessage]:
        """Where channels bring what comes in."""
        return self._system.ref(self._plan.desk)

    # -- asking ---------------------------------------------------------------------------

    async def _ask(self, path: str, request: Request[T], within: float | None = None) -> T:
        try:
            return await self._system.ref(path).ask(request, timeout=within)
        except RefusedFor as refused:
            raise refused.error from None

    async def _store(self, request: StoreRequest[T]) -> T:
        store = self._system.ref(self._plan.store)
        try:
            return await store.ask(request, timeout=self._plan.store_timeout)
        except Exception as error:
            raise store_fault(error) from error

    async def _read(self, room_id: str, request: StoreRequest[T]) -> T:
        """Of a room that is there. Raises RoomNotFound."""
        await self._must_be_ours(room_id)
        found = await self._store(request)
        if not found and await self._store(GetRoom(room_id)) is None:
            raise RoomNotFound("room", room_id)
        return found

    async def _must_be_ours(self, room_id: str) -> None:
        if self._organization is None:
            return
        room = await self._store(GetRoom(room_id))
        if room is None or room.organization_id != self._organization:
            raise RoomNotFound("room", room_id)

    async def room(self, room_id: str) -> ActorRef[Any]:
        """The actor of a room, to talk to it directly. Raises RoomNotFound."""
        await self._must_be_ours(room_id)
        return await self._ask(self._plan.desk, OpenRoom(room_id), 60.0)

    async def _in_room(self, room_id: str, request: Request[T], within: float = 60.0) -> T:
        scope = waited_for_by(room_id)
        if scope is not None and isinstance(request, RoomOperation | Post | Regenerate):
            raise ReentrantCall(scope.hook)
        while True:
            ref = await self.room(room_id)
            try:
                return await ref.ask(request, timeout=within)
            except RefusedFor as refused:
                if not isinstance(refused.error, RoomAway):
                    raise refused.error from None
                # It is being put away, and took nothing: the desk opens it again.

    async def perform(self, room_id: str, operation: RoomOperation[T]) -> T:
        """Do something to a room; `verbs.py` has all there is."""
        return await self._in_room(room_id, operation)

    # -- looking --------------------------------------------------------------------------

    async def get_room(self, room_id: str, organization_id: str | None = None) -> Room:
        """The room, with what its timers have done. Raises RoomNotFound, to other tenants too."""
        return (await self.look(room_id, organization_id)).room

    async def look(self, room_id: str, organization_id: str | None = None) -> RoomContext:
        """A snapshot: room, bindings, participants, newest messages. Raises RoomNotFound."""
        context = await self._in_room(room_id, Look(self._from(room_id)[0]))
        if organization_id is not None and context.room.organization_id != organization_id:
            raise RoomNotFound("room", room_id)
        return context

    def _from(self, room_id: str) -> tuple[str, int]:
        """The hook that a call comes from: its run, if that room waits for it, and how deep."""
        scope, waited = inside_hook(), waited_for_by(room_id)
        return (waited.run if waited is not None else "", scope.depth if scope is not None else 0)
