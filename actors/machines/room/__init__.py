"""A room as pure machines: what is decided about a message, without a store, a clock or an actor.

`hooking.py` says what hooks are, in which order they are asked and what follows from what they say
(`hook_triggers.py` has the moments, `hook_queue.py` who is told what next). The actors around these
machines are in `actors/room`.
"""
