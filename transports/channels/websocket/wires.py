"""How rooms come to a WebSocket channel, and the server to its wires."""

from __future__ import annotations

from functools import partial

from models.rooms.capabilities import CAPABILITIES
from models.rooms.channel import TransportSpec
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType
from supervision import ActorRef
from supervision.secret import Secret
from transports.channels.websocket.channel import WebSocketChannel
from transports.channels.websocket.config import RoomWireConfig
from transports.channels.websocket.protocol import BusMessage, DeskRequest
from transports.channels.websocket.wire import FindChannel, MayBe, RoomWire
from transports.connection import Connection
from transports.frame_link import OpenLink
from transports.sansio_link import open_sansio_link
from transports.server.head import Head
from transports.server.listener import Admits, MakeWire


def websocket_info(channel_id: str) -> ChannelInfo:
    """What a WebSocket channel says about itself."""
    return ChannelInfo(
        channel_id,
        ChannelType.WEBSOCKET,
        capabilities=CAPABILITIES[ChannelType.WEBSOCKET],
        sender_is_participant=True,
        streams=True,
        echoes=True,
    )


def websocket_spec(
    channel_id: str,
    desk: ActorRef[DeskRequest],
    bus: ActorRef[BusMessage],
    config: RoomWireConfig | None = None,
) -> TransportSpec:
    """A WebSocket channel, to be registered."""
    start = partial(WebSocketChannel, channel_id, desk, bus, config)
    return TransportSpec(websocket_info(channel_id), start)


def room_wires(
    find: FindChannel,
    config: RoomWireConfig | None = None,
    *,
    may_be: MayBe | None = None,
    open_link: OpenLink | None = None,
) -> MakeWire:
    """Wires of room WebSockets, for a path of the server: `{"/ws": room_wires(find)}`.

    Args:
        find: the actor of a channel by its id; asked when a client comes in.
        may_be: whether a client may speak as the participant it names; asked of those the server
            admits. Without it, every one of them may be anybody.
    """
    settings = config or RoomWireConfig()
    opens = open_link or partial(open_sansio_link, write_timeout=settings.send_timeout)

    def make(connection: Connection, _head: Head, admits: Admits) -> RoomWire:
        def may_come(token: Secret | None, participant_id: str) -> bool:
            return admits(token) and (may_be is None or may_be(token, participant_id))

        return RoomWire(connection, find, opens, may_come, settings)

    return make
