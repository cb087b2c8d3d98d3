"""What the actors of a WebSocket channel tell who looks at them."""

from __future__ import annotations

import attrs

from transports.channels.websocket.decisions import RoomCounters


@attrs.frozen
class WebSocketStatistics:
    """What a WebSocket channel has done so far."""

    connections: int
    rooms: int
    """Somebody is subscribed to."""
    subscriptions: int
    streams: int
    """Answers in the making."""
    streams_given_up: int
    deliveries: int
    failures: int
    """Times a connection did not accept what it was sent."""
    dropped: int
    """Connections that failed too often."""


@attrs.frozen
class RoomWireStatistics:
    """What a wire has done so far."""

    peer: str
    phase: str
    participant_id: str
    rooms: int
    in_flight: int
    """Messages that wait for their room's answer."""
    traffic: RoomCounters
    waiting: int
    """Frames that wait for the client."""
    dropped: int
    """Passing things that waited too long for it."""
    joined: int
    """Chunks that went out as part of another one."""
