"""What every engine behind a network has in common.

`faults.py` sorts what can go wrong, `guard.py` (pure) is breaker, bulkhead and pause in one,
`sse.py` (pure) reads event streams, `patience.py` is a deadline that progress moves, `http.py` and
`websocket.py` are the wires, and `provider.py` is the actor that engines subclass.
"""

from models.net.faults import ProviderFault as ProviderFault
from models.net.guard import Guard as Guard
from models.net.guard import GuardStatistics as GuardStatistics
from models.net.http import HttpConfig as HttpConfig
from models.net.patience import Patience as Patience
from models.net.provider import Call as Call
from models.net.provider import CallEnded as CallEnded
from models.net.provider import Provider as Provider
from models.net.provider import ProviderStatistics as ProviderStatistics
from models.net.sse import SseReader as SseReader
from models.net.websocket import WebSocket as WebSocket
from models.net.websocket import open_websocket as open_websocket
