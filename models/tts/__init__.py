"""Text to speech: the protocol (`protocol.py`), and one file per engine behind it."""
