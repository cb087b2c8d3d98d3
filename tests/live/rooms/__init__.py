"""Rooms from end to end: real sockets, real stores, the real clock; and nodes that are killed.

`house.py` composes rooms and the server as a node does, `node.py` runs that as a process of its own
which stops itself dead at one step of its work (`fuse.py`), `world.py` is everybody around it: who
writes, who receives, what is on disk in the end.
"""
