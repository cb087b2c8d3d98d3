"""The verbs by which something is said in a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar, overload

from actors.machines.room.proactive import Item, Strategy, strategy_of
from actors.room.asking import Asking
from actors.room.deferred import (
    CLEANUP_WITHIN,
    Deferred,
    cut,
    over,
    say,
)
from actors.room.desk import CASCADE_WITHIN, Locate
from actors.room.hook_scope import inside_hook, waited_for_by
from actors.room.proactive_messages import DeliverProactively, ListDead
from actors.room.requests import (
    Cancel,
    Inbound,
    Post,
    Regenerate,
    SendEvent,
)
from actors.room.verbs import (
    DeleteEvent,
    UpdateEvent,
)
from models.rooms.channel import Report
from models.rooms.content import Content, Text
from models.rooms.errors import ReentrantCall, RoomAway
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.traffic import (
    DeliveryStatus,
    InboundMessage,
    InboundResult,
)
from transports.stores.backend import Page

T = TypeVar("T")

FIRST_PAGE = Page()


class Speaking(Asking):
    """Part of `Conversations`."""

    # -- messages -----------------------------------------------------------------------------

    @overload
    async def process_inbound(
        self,
        message: InboundMessage,
        room_id: str | None = None,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[False] = False,
    ) -> InboundResult: ...

    @overload
    async def process_inbound(
        self,
        message: InboundMessage,
        room_id: str | None = None,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[True],
    ) -> Deferred[InboundResult]: ...

    async def process_inbound(
        self,
        message: InboundMessage,
        room_id: str | None = None,
        *,
        delivery_key: str = "",
        defer_delivery: bool = False,
    ) -> InboundResult | Deferred[InboundResult]:
        """A message from a channel; returns once all that it caused is done.

        Cancelling the task that waits cuts the agents' turns that the message has caused.

        Args:
            delivery_key: by which `cancel_delivery` finds it.
            defer_delivery: return a handle as soon as it is on record.
        Raises:
            ChannelNotRegistered, StoreUnavailable, BadValue. ReentrantCall: a hook that its room
                waits for has named no room.
        """
        scope = inside_hook()
        if scope is not None and scope.decides and room_id is None:
            raise ReentrantCall(scope.hook)
        if room_id is not None:
            await self._must_be_ours(room_id)
        if scope is not None and room_id is not None:
            run, depth = self._from(room_id)
            find: Callable[[], Awaitable[Any]] = partial(self.room, room_id)
        else:
            run, depth = "", scope.depth if scope is not None else 0
            receive = Locate(message, room_id)
            find = partial(self._ask, self._plan.desk, receive, CASCADE_WITHIN)
        request = Inbound(message, run, depth, delivery_key, self._ticket())
        said: InboundResult | Deferred[InboundResult]
        said = await self._said(find, request, defer_delivery)
        return said

    @overload
    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Content | str,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[False] = False,
        **parts: Any,
    ) -> RoomEvent: ...

    @overload
    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Content | str,
        *,
        delivery_key: str = "",
        defer_delivery: Literal[True],
        **parts: Any,
    ) -> Deferred[RoomEvent]: ...

    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Content | str,
        *,
        delivery_key: str = "",
        defer_delivery: bool = False,
        **parts: Any,
    ) -> RoomEvent | Deferred[RoomEvent]:
        """Say something on a channel that is bound; `parts` are those of `SendEvent`.

        Returns, and is cancelled, like `process_inbound`. With the type `instruction` it directs
        the agents of `addressed_to`, and nobody else sees it.

        Raises:
            ChannelNotFound, RoomClosed, Overloaded, BadValue.
        """
        said = Text(content) if isinstance(content, str) else content
        run, depth = self._from(room_id)
        request = SendEvent(
            channel_id,
            said,
            run=run,
            depth=depth,
            key=delivery_key,
            ticket=self._ticket(),
            **parts,
        )
        find = partial(self.room, room_id)
        sent: RoomEvent | Deferred[RoomEvent]
        sent = await self._said(find, request, defer_delivery)
        return sent

    def _ticket(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    async def _said(
        self, find: Callable[[], Awaitable[Any]], request: Inbound | SendEvent, defer: bool
    ) -> Any:
        """Hand it to its room: `find` gives that, or the result of what is not let in."""
        while True:
            room = await find()
            if isinstance(room, InboundResult):
                return over(room) if defer else room
            try:
                return await say(room, request, defer)
            except RoomAway:
                continue  # it took nothing: the desk opens it again

    async def deliver(
        self,
        room_id: str,
        content: Content | str,
        channel_id: str | None = None,
        strategy: str | Strategy = "immediate",
        *,
        metadata: Mapping[str, Any] = NOTHING,
    ) -> Item:
        """Tell the agents of a room something of your own accord, so that they act on it.

        People do not see it, but what the agents answer. It comes in by a transport, as if
        "system" had said it there. Returns what became of it: delivered, dropped by a hook, or
        failed; pending where deliveries are queued, and inside a hook of that room.

        Args:
            channel_id: the transport; None chooses one, as an agent's id does: of voice, if any.
            strategy: "immediate", "wait_for_idle", "queued", or one with other numbers.
        Raises:
            BadValue: there is no such strategy. ChannelNotFound: the room has no transport.
            RoomNotFound, RoomClosed, Overloaded, StoreUnavailable.
        """
        said = Text(content) if isinstance(content, str) else content
        how = strategy_of(strategy)
        scope, waited = inside_hook(), waited_for_by(room_id)
        depth = scope.depth if scope is not None else 0
        item = Item(self._plan.new_id(), room_id, said, channel_id, how, metadata, depth=depth)
        request = DeliverProactively(item, wait=waited is None)
        await self._must_be_ours(room_id)
        return await self._ask(self._plan.proactive, request, CASCADE_WITHIN)

    async def list_dead_deliveries(self, limit: int = 50) -> Sequence[Item]:
        """What was given up of that which `deliver` has queued; the newest last."""
        return await self._ask(self._plan.proactive, ListDead(limit))

    async def post(self, room_id: str, content: Content | str, **parts: Any) -> RoomEvent:
        """The application's own words to the people of a room; `parts` are those of `Post`.

        No agent acts on them unless `addressed_to` names it.
        """
        said = Text(content) if isinstance(content, str) else content
        return await self._in_room(room_id, Post(said, **parts), CASCADE_WITHIN)

    async def regenerate_response(self, room_id: str) -> RoomEvent | None:
        """Have the agents answer the last message again; None if there is nothing to answer."""
        return await self._in_room(room_id, Regenerate(), CASCADE_WITHIN)

    async def cancel_delivery(
        self, room_id: str, key: str, reason: str = "", *, within: float = CLEANUP_WITHIN
    ) -> int:
        """Cut the agents' turns of messages with that key; how many ran or waited.

        Nothing else of them ends: people still get them. Raises TimeoutError if the turns have not
        ended after `within` seconds.
        """
        return await cut(await self.room(room_id), Cancel(key, reason), within)

    async def process_delivery_status(self, status: DeliveryStatus) -> None:
        """What a provider reports. Raises RoomNotFound."""
        await self._ask(self._plan.desk, Report(status))

    async def update_event(self, room_id: str, event_id: str, **parts: Any) -> RoomEvent | None:
        """Change an event, as its host; `parts` are those of `UpdateEvent`."""
        return await self.perform(room_id, UpdateEvent(event_id, **parts))

    async def delete_event(
        self, room_id: str, event_id: str, *, cascade_replies: bool = True
    ) -> Sequence[str]:
        return await self.perform(room_id, DeleteEvent(event_id, cascade_replies))
