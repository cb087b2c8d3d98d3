"""A room as pure machines: what is decided about a message, without a store, a clock or an actor.

`hooking.py` says what hooks are and what they can say. `hook_triggers.py` has the moments,
`hook_pipeline.py` asks those that decide, `hook_queue.py` tells those that watch. The actors around
these machines are in `actors/room`.
"""
