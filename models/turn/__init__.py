"""End of turn: an optional model that says whether a pause ends what somebody wanted to say.

`protocol.py` is the conversation, `spec.py` what goes into the tree; without a configured file the
other modules are not loaded.
"""
