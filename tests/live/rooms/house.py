"""Rooms behind a port, composed as `actors/app.py` does, without what only calls need."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio
from starlette.routing import BaseRoute

from actors.channels import find_websocket, inbound_webhooks, kept
from actors.room.config import RoomsConfig
from actors.room.conversations import Conversations
from actors.room.plan import RoomsPlan
from actors.room.registrations import Registrations
from actors.room.scripted_agent import Plan, ScriptedAgent
from actors.room.services import nothing, room_services
from models.rooms.capabilities import CAPABILITIES
from models.rooms.content import text_of
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelType, EventType
from models.rooms.room import ChannelBinding
from supervision import Actor, ChildSpec, System
from supervision.secret import Secret
from supervision.testing import SystemUnderTest, system_under_test
from transports.channels.scripted import ScriptedChannel
from transports.channels.webhook_in import webhook_routes
from transports.channels.websocket import room_wires
from transports.channels.websocket.client import RoomClient, RoomClientConfig, open_room_client
from transports.channels.websocket.news import News
from transports.channels.websocket.wires import websocket_spec
from transports.connection import Connection
from transports.server.config import ServerConfig
from transports.server.head import Head
from transports.server.listener import Where
from transports.server.tree import Server
from transports.stores.backend import EventFilter
from transports.stores.config import StoreConfig

SECRET = Secret("between the sender and the node")


class _Door(Server):
    """The one port."""

    def __init__(self, rooms: RoomsConfig) -> None:
        self._rooms = rooms
        super().__init__(ServerConfig(port=0), {"/ws": self._wire}, public=self._webhooks)

    def _wire(
        self, connection: Connection, head: Head, admits: Callable[[Secret | None], bool]
    ) -> Actor[Any]:
        find = partial(find_websocket, self._rooms, self._rooms.plan(), self.system)
        return room_wires(find, self._rooms.wire)(connection, head, admits)

    def _webhooks(self, system: System) -> Sequence[BaseRoute]:
        return webhook_routes(system.ref(self._rooms.plan().desk), inbound_webhooks(self._rooms))


def house(
    config: RoomsConfig,
    plan: RoomsPlan,
    store: ChildSpec[Any],
    registrations: Callable[[System], Registrations] = nothing,
    **identity: Any,
) -> Sequence[ChildSpec[Any]]:
    """The children of the root: rooms, and the server in front of them."""
    services = room_services(plan, store, registrations, **(identity or {"resolver": None}))
    return [*services, ChildSpec("server", partial(_Door, config), shutdown=5.0)]


async def until(found: Callable[[], object], within: float = 10.0) -> None:
    """Wait until a function, plain or async, says so: stores and providers tell nobody."""
    with trio.move_on_after(within):
        while True:
            answer = found()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await trio.sleep(0.01)
    raise AssertionError(f"not so within {within} s")


@attrs.define(eq=False)
class Person:
    """Somebody on a room WebSocket, and all they have heard."""

    client: RoomClient
    news: list[News] = attrs.field(factory=list)
    _heard: trio.Event = attrs.field(factory=trio.Event)

    @property
    def events(self) -> list[RoomEvent]:
        return [news for news in self.news if isinstance(news, RoomEvent)]

    @property
    def texts(self) -> list[str]:
        """Of the messages, in the order they came."""
        return [text_of(e.content) for e in self.events if e.type is EventType.MESSAGE]

    async def wait(self, found: Callable[[Person], bool], within: float = 10.0) -> None:
        """Until that is so."""
        with trio.move_on_after(within):
            while not found(self):
                self._heard = trio.Event()
                await self._heard.wait()
            return
        raise AssertionError(f"not heard within {within} s; heard {self.news}")

    async def hears(self, text: str) -> RoomEvent:
        """The message with these words, once it has come."""
        await self.wait(lambda me: text in me.texts)
        return next(e for e in self.events if text_of(e.content) == text)

    async def _listen(self) -> None:
        async for news in self.client:
            self.news.append(news)
            self._heard.set()


@attrs.frozen(eq=False)
class LiveRooms:
    """Rooms that run in the test's own process."""

    system: SystemUnderTest
    rooms: Conversations
    address: str
    """http://127.0.0.1:..."""

    @property
    def wire(self) -> str:
        """Where the room WebSocket is."""
        return self.address.replace("http", "ws") + "/ws"

    @asynccontextmanager
    async def person(
        self, name: str, *rooms: str, channel: str = "websocket", **options: Any
    ) -> AsyncIterator[Person]:
        """Somebody on a room WebSocket, who hears all of these rooms."""
        config = RoomClientConfig(answer_timeout=10.0)
        async with (
            open_room_client(
                self.wire, participant_id=name, channel=channel, config=config, **options
            ) as client,
            trio.open_nursery() as nursery,
        ):
            person = Person(client)
            nursery.start_soon(person._listen)
            for room_id in rooms:
                await client.subscribe(room_id)
            yield person
            nursery.cancel_scope.cancel()

    async def websocket(self, channel_id: str) -> None:
        """One more WebSocket channel; the configuration has to name it."""
        bus = self.system.ref("/bus")
        await self.rooms.register_channel(websocket_spec(channel_id, self.rooms.desk, bus))

    async def transport(
        self, channel_id: str, kind: ChannelType = ChannelType.SMS, **options: Any
    ) -> ScriptedChannel:
        """A provider without a wire, which can carry what its kind can."""
        options.setdefault("capabilities", CAPABILITIES[kind])
        channel = ScriptedChannel(channel_id, kind, **options)
        await self.rooms.register_channel(channel.spec(self.rooms.desk))
        return channel

    async def agent(self, channel_id: str, plans: Sequence[Plan]) -> ScriptedAgent:
        """An agent whose turns are planned."""
        agent = ScriptedAgent(channel_id, plans)
        await self.rooms.register_channel(agent.spec)
        return agent

    async def delivered(self, room_id: str) -> bool:
        """Whether all of a room has been brought to everybody, as far as the store knows."""
        (room,) = [each for each in await self.rooms.find_rooms() if each.id == room_id]
        return room.delivered_index == room.latest_index

    async def blocked_by(self, room_id: str) -> list[str | None]:
        """Why events of a room were blocked, in order; indices are without gaps."""
        events = await self.rooms.get_timeline(room_id, EventFilter(include_blocked=True))
        assert [event.index for event in events] == list(range(len(events)))
        return [event.blocked_by for event in events if event.blocked]

    async def room(self, room_id: str, *channels: str, **parts: Any) -> Sequence[ChannelBinding]:
        """A room with these channels; `parts` are those of `create_room`."""
        await self.rooms.create_room(room_id, **parts)
        return [await self.rooms.attach_channel(room_id, name) for name in channels]


@asynccontextmanager
async def live_rooms(
    store: StoreConfig,
    *,
    websockets: Sequence[str] = ("websocket",),
    plan: RoomsPlan | None = None,
    kept_as: ChildSpec[Any] | None = None,
    identity: dict[str, Any] | None = None,
    **config: Any,
) -> AsyncIterator[LiveRooms]:
    """Rooms behind a real port, on the real clock; leaving the block stops them.

    Args:
        kept_as: the store's child, if it is not the usual one.
        identity: how senders are identified; see `IdentityDesk`.
        config: more of `RoomsConfig`.
    """
    settings = RoomsConfig(newcomers=(), agents={}, websockets=tuple(websockets), **config)
    made = plan or settings.plan()
    async with system_under_test() as system:
        for child in house(settings, made, kept_as or kept(store), **(identity or {})):
            await system.start_child(child)
        address = await system.ref("/server/listener").ask(Where())
        live = LiveRooms(system, Conversations(system, made), address)
        for name in websockets:
            await live.websocket(name)
        yield live
        await system.stop("/server")
