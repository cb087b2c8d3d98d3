"""Event sources: what listens somewhere and brings what it hears to a channel.

`protocol.py` says what a source is, and `listening.py` what those have in common that keep a
connection: reading messages, dropping too many, connecting again. `websocket.py` and `sse.py` are
sources of that kind. Who runs, restarts and stops sources is `actors/room/sources.py`.
"""

from transports.sources.protocol import Feed as Feed
from transports.sources.protocol import Source as Source
from transports.sources.protocol import SourceFailed as SourceFailed
from transports.sources.protocol import json_message as json_message
from transports.sources.sse import SseSource as SseSource
from transports.sources.sse import SseSourceConfig as SseSourceConfig
from transports.sources.websocket import WebSocketSource as WebSocketSource
from transports.sources.websocket import WebSocketSourceConfig as WebSocketSourceConfig
