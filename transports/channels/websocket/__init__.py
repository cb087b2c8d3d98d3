"""People in rooms by WebSocket: JSON both ways, on the server's one port. docs/room-wire.md tells.

`messages.py` reads and writes the JSON, `timeline.py` and `machine.py` are the protocol as pure
machines, `wire.py` is the actor of one connection, `channel.py` the one that rooms know: it brings
each event to all who are subscribed. `client.py` is the other side, for programs.
"""

from transports.channels.websocket.channel import WebSocketChannel as WebSocketChannel
from transports.channels.websocket.config import RoomWireConfig as RoomWireConfig
from transports.channels.websocket.wires import room_wires as room_wires
from transports.channels.websocket.wires import websocket_info as websocket_info
from transports.channels.websocket.wires import websocket_spec as websocket_spec
