"""Voice activity detection: the protocol (`protocol.py`), the node's one detector, its engines."""
