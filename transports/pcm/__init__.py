"""Our own media WebSocket: raw sound both ways, and a little JSON. The table is docs/wire.md.

`messages.py` reads and writes the JSON, `machine.py` is the protocol as a pure machine, `wire.py`
the actor around it.
"""
