"""Language models: the protocol (`protocol.py`), and one file per engine behind it."""
