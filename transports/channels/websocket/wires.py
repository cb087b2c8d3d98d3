"""How the server comes to wires of rooms."""

from __future__ import annotations

from functools import partial

from supervision.secret import Secret
from transports.channels.websocket.config import RoomWireConfig
from transports.channels.websocket.wire import FindChannel, MayBe, RoomWire
from transports.connection import Connection
from transports.frame_link import OpenLink
from transports.sansio_link import open_sansio_link
from transports.server.head import Head
from transports.server.listener import Admits, MakeWire


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
