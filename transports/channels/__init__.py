"""Message channels: wires by which people take part in rooms.

`kit.py` is what a channel is made with in forty lines; `webhook.py` (HTTP both ways, signed) and
`cli.py` (a terminal) are made with it, and so is `scripted.py`, for tests. `websocket/` is a
channel of many connections, each an actor of its own on the server's port.
"""
