"""The product from end to end on a real clock: real sockets, real models, a real browser.

`nodes.py` starts nodes, `caller.py` is somebody who calls one over its WebSocket, `voice.py` makes
what people say. Tests with a program or package that is not on this machine are skipped.
"""
