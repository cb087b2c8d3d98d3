"""The conversation itself, as actors: rooms, calls, sessions, tracks, agents.

Protocols are pure machines and each has a thin actor around it. This is also where a node is put
together: `config.py` is the whole configuration tree, and only the composition root and the
command line name concrete providers and transports. May import every other folder.
"""
