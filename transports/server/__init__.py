"""One port for everything: pages, API, and media WebSockets.

`listener.py` accepts and reads the head of a request; WebSocket upgrades of media paths become
wires (`../pcm/wire.py` and its kin), and all else goes to `web.py`, where hypercorn serves a
Starlette application. `gate.py` says who may come in; `tree.py` puts the actors together.
"""

from transports.server.config import ServerConfig as ServerConfig
from transports.server.listener import Where as Where
from transports.server.tree import server as server
