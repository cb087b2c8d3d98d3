"""Voice activity detection: `protocol.py` is the conversation, `hub.py` what goes into the tree.

Read `levels.py`, `runs.py` and `health.py` (machines), `batching.py` (whose window goes next, and
what its result means), `detector.py` (the node's one actor around them). `engine.py` is what an
engine is: `silero.py` on a thread of its own (`thread.py`), `energy.py` where there is no
onnxruntime, `scripted.py` for tests.
"""
