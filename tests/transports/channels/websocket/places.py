"""What stands for the rooms behind a WebSocket channel, and a client in the raw."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs
import orjson
import trio

from models.rooms.channel import CatchUp, Deliver, MarkReadBy, Receive
from models.rooms.content import Content, Text
from models.rooms.ephemeral import Listen, Publish, StopListening
from models.rooms.errors import RoomNotFound
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType, EventType
from models.rooms.refusals import RefuseFor
from models.rooms.room import ChannelBinding
from models.rooms.traffic import EphemeralEvent, InboundMessage, InboundResult, ProviderResult
from supervision import Actor, ActorRef, Promise, handles
from supervision.testing import SystemUnderTest
from transports.channels.websocket import RoomWireConfig, WebSocketChannel, room_wires
from transports.client_link import connect_link
from transports.sansio_link import SansIoLink
from transports.server import ServerConfig, Where, server

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def event_of(room_id: str, index: int, body: str = "", **fields: Any) -> RoomEvent:
    source = fields.pop("source", EventSource("sms", ChannelType.SMS))
    content: Content = fields.pop("content", Text(body or f"event {index}"))
    return RoomEvent(f"e-{index}", room_id, source, content, NOW, index=index, **fields)


def binding_of(room_id: str, **fields: Any) -> ChannelBinding:
    return ChannelBinding("web", room_id, ChannelType.WEBSOCKET, NOW, **fields)


def deliver(event: RoomEvent) -> Deliver:
    return Deliver(event, binding_of(event.room_id), "", f"web/{event.id}")


@attrs.frozen
class _Delivered:
    promise: Promise[InboundResult]
    result: InboundResult


class Rooms(Actor[Receive | CatchUp | MarkReadBy | _Delivered]):
    """A desk whose rooms commit what comes in, and deliver it back to the channel."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    @handles
    def on_receive(self, message: Receive) -> InboundResult | None:
        room_id = message.room_id or ""
        inbound = message.message
        world = self._world
        world.received.append(inbound)
        if world.no is not None:
            raise RefuseFor(world.no)
        if world.blocks is not None:
            event = world.commit(room_id, message=inbound)
            return InboundResult(event, blocked=True, reason=world.blocks)
        for known in world.rooms[room_id]:
            if known.idempotency_key == inbound.idempotency_key:
                return InboundResult(known)
        event = world.commit(room_id, message=inbound)
        promise: Promise[InboundResult] = self.defer()
        world.promises.append(partial(promise.resolve, InboundResult(event)))
        if world.echoes:
            done = _Delivered(promise, InboundResult(event))
            self.pipe(world.channel.ask(deliver(event)), to=lambda _: done)
        return None

    @handles
    def on_delivered(self, message: _Delivered) -> None:
        if self._world.answers:
            message.promise.resolve(message.result)

    @handles
    def on_catch_up(self, message: CatchUp) -> list[RoomEvent]:
        self._world.asked.append(message)
        events = self._world.rooms.get(message.room_id)
        if events is None:
            raise RefuseFor(RoomNotFound("room", message.room_id))
        after = [event for event in events if event.index > message.after_index]
        return after[: message.limit]

    @handles
    def on_mark(self, message: MarkReadBy) -> int:
        for event in self._world.rooms[message.room_id]:
            if event.id == message.event_id:
                return event.index
        raise RefuseFor(RoomNotFound("event", message.event_id))


class Bus(Actor[Publish | Listen | StopListening]):
    """A bus that tells everything to everybody."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    @handles
    def on_publish(self, message: Publish) -> None:
        self._world.published.append(message.event)
        for room_id, subscriber in self._world.listeners.values():
            if room_id == message.event.room_id:
                subscriber.tell(message.event)

    @handles
    def on_listen(self, message: Listen) -> str:
        name = f"s-{len(self._world.listeners) + 1}"
        self._world.listeners[name] = (message.room_id, message.subscriber)
        return name

    @handles
    def on_stop_listening(self, message: StopListening) -> bool:
        return self._world.listeners.pop(message.subscription, None) is not None


@attrs.define(eq=False)
class World:
    """A running server with a WebSocket channel, and the rooms behind it."""

    system: SystemUnderTest
    rooms: dict[str, list[RoomEvent]] = attrs.field(factory=dict)
    received: list[InboundMessage] = attrs.field(factory=list)
    asked: list[CatchUp] = attrs.field(factory=list)
    published: list[EphemeralEvent] = attrs.field(factory=list)
    listeners: dict[str, tuple[str, ActorRef[EphemeralEvent]]] = attrs.field(factory=dict)
    promises: list[Any] = attrs.field(factory=list)
    echoes: bool = True
    answers: bool = True
    """What was received is answered once it is delivered."""
    blocks: str | None = None
    no: Any = None
    channel: ActorRef[Any] = attrs.field(init=False)
    address: str = attrs.field(default="", init=False)

    @property
    def url(self) -> str:
        return self.address.replace("http", "ws") + "/ws"

    def commit(
        self, room_id: str, body: str = "", *, message: InboundMessage | None = None, **more: Any
    ) -> RoomEvent:
        events = self.rooms.setdefault(room_id, [])
        if message is not None:
            more["source"] = EventSource(
                "web", ChannelType.WEBSOCKET, participant_id=message.sender_id
            )
            more["content"] = message.content
            more["idempotency_key"] = message.idempotency_key
            more["type"] = EventType(message.event_type)
        event = event_of(room_id, len(events), body, **more)
        events.append(event)
        return event

    async def happen(self, room_id: str, body: str = "", **more: Any) -> ProviderResult:
        """Something happens in a room, and is delivered."""
        result: ProviderResult = await self.channel.ask(deliver(self.commit(room_id, body, **more)))
        return result

    def statistics(self, path: str) -> Any:
        return self.system.state(path).statistics


async def open_world(
    system: SystemUnderTest,
    config: RoomWireConfig | None = None,
    server_config: ServerConfig | None = None,
    **options: Any,
) -> World:
    world = World(system, {"r": []})
    desk = await system.spawn(Rooms, world, path="/desk")
    bus = await system.spawn(Bus, world, path="/bus")
    world.channel = await system.spawn(
        WebSocketChannel, "web", desk, bus, config, path="/web-channel"
    )
    found = {None: world.channel, "web": world.channel}
    wires = room_wires(found.get, config, **options)
    await system.start_child(server(server_config or ServerConfig(port=0), {"/ws": wires}))
    world.address = await system.ref("/server/listener").ask(Where())
    return world


async def until(true: Callable[[], object]) -> None:
    """Wait for something that is nobody's message."""
    with trio.fail_after(10):
        while True:
            if true():
                return
            await trio.sleep(0.01)


@attrs.define(eq=False)
class RawClient:
    """A client that says what it is told to."""

    link: SansIoLink
    told: list[dict[str, Any]] = attrs.field(factory=list)
    """What has come and was not asked for yet."""

    async def say(self, kind: str, **fields: Any) -> None:
        await self.link.send([orjson.dumps({"type": kind, **fields}).decode()])

    async def next(self) -> Mapping[str, Any]:
        """The next frame."""
        with trio.fail_after(30):
            while not self.told:
                self.told += map(orjson.loads, await self.link.receive())
        return self.told.pop(0)

    async def expect(self, kind: str, **fields: Any) -> Mapping[str, Any]:
        """The next frame, which must be of that type and have these fields."""
        frame = await self.next()
        assert frame["type"] == kind, frame
        assert {name: frame.get(name) for name in fields} == fields, frame
        return frame

    async def events(self, count: int) -> list[tuple[int, str]]:
        """Index and words of so many events, which must come next."""
        found = []
        for _ in range(count):
            event = (await self.expect("event"))["event"]
            found.append((event["index"], event["content"]["body"]))
        return found

    async def hello(self, participant_id: str = "ada", **fields: Any) -> Mapping[str, Any]:
        await self.say("hello", participant_id=participant_id, **fields)
        return await self.expect("ready")

    async def subscribe(self, room_id: str = "r", **fields: Any) -> int:
        """Subscribe to a room without history; returns its latest index."""
        await self.say("subscribe", room_id=room_id, **fields)
        latest: int = (await self.expect("subscribed", room_id=room_id))["latest_index"]
        return latest

    async def enter(self, participant_id: str = "ada", **fields: Any) -> None:
        """Come in, and into the room "r", which is empty."""
        await self.hello(participant_id, **fields)
        await self.subscribe()
        await self.expect("caught_up")

    async def quiet(self) -> None:
        """Nothing has come: the next frame is the answer to a ping."""
        await self.say("ping", id="quiet")
        await self.expect("pong", id="quiet")


@asynccontextmanager
async def client_of(place: World | str, **options: Any) -> AsyncIterator[RawClient]:
    url = place if isinstance(place, str) else place.url
    async with connect_link(url, **options) as link:
        yield RawClient(link)
