"""A channel of one's own: people come by plain TCP, and a line is a message."""

from functools import partial

import trio

from actors.room.conversations import Conversations
from actors.room.plan import RoomsPlan
from actors.room.scripted_agent import ScriptedAgent
from actors.room.services import room_services
from models.rooms.channel import TransportSpec
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType
from models.rooms.traffic import ProviderResult
from supervision import open_system
from transports.channels.bodies import body_of
from transports.channels.kit import Channel
from transports.channels.results import DeliveryFailed, sent
from transports.stores.actor import memory_spec

INFO = ChannelInfo("lines", ChannelType.CLI, recipient_key="address")


class Lines(Channel):
    async def open(self) -> None:
        self.visitors: dict[str, trio.SocketStream] = {}
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        self.start_task(trio.serve_listeners, self.visit, [listener])

    async def visit(self, stream: trio.SocketStream) -> None:
        self.visitors[address := f"guest-{stream.socket.fileno()}"] = stream
        async for data in stream:
            await self.receive(address, data.decode(errors="replace").strip())
        del self.visitors[address]

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        if to not in self.visitors:
            raise DeliveryFailed("not_connected", retryable=True)
        await self.visitors[to].send_all(f"{body_of(event.content)}\n".encode())
        return sent()


async def main() -> None:
    async with open_system() as system:
        plan = RoomsPlan(newcomers=("greeter",))
        for service in room_services(plan, memory_spec(), resolver=None):
            await system.start_child(service)
        rooms = Conversations(system, plan)
        await rooms.register_channel(ScriptedAgent("greeter", ["Good morning!"]).spec)
        await rooms.register_channel(TransportSpec(INFO, partial(Lines, INFO, rooms.desk)))
        port = int(system.state("/channels/lines").attributes["port"])
        async with await trio.open_tcp_stream("127.0.0.1", port) as visitor:
            await visitor.send_all(b"hello\n")
            print((await visitor.receive_some()).decode())


trio.run(main)
