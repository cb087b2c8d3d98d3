"""What can be configured about the WebSockets of rooms."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, le

from transports.frame_link import MOST_MESSAGE


@attrs.frozen
class RoomWireConfig:
    """How much a client may send, how long it may take, and how much may wait for it."""

    hello_timeout: float = attrs.field(default=5.0, validator=[gt(0), le(60)])
    """Seconds a client has to send its `hello`."""

    enter_timeout: float = attrs.field(default=5.0, validator=[gt(0), le(60)])
    """Seconds the channel has to let it in, or to subscribe it to a room."""

    send_timeout: float = attrs.field(default=5.0, validator=[gt(0), le(60)])
    """Seconds one connection may take to accept what it is sent."""

    most_failures: int = attrs.field(default=3, validator=[ge(1), le(100)])
    """A connection that fails so often in a row is dropped."""

    desk_timeout: float = attrs.field(default=10.0, validator=[gt(0), le(300)])
    """Seconds a room has to answer with what a client has missed."""

    receive_timeout: float = attrs.field(default=300.0, validator=[gt(0), le(3600)])
    """Seconds until a message must be dealt with, all that it causes included."""

    ping_interval: float = attrs.field(default=10.0, validator=[gt(0), le(300)])
    """Seconds between pings to a client from which nothing comes."""

    silence_timeout: float = attrs.field(default=25.0, validator=[gt(0), le(3600)])
    """Seconds without a single byte, the answers to pings included, after which it is lost."""

    most_text: int = attrs.field(default=64 * 1024, validator=[ge(1024), le(MOST_MESSAGE)])
    """Characters of one frame. What is longer is refused; over a mebibyte the connection ends."""

    frames_per_second: float = attrs.field(default=50.0, validator=[gt(0), le(1e6)])
    """Frames of a client in the long run, twice as many at once. What comes beyond is refused."""

    faults_per_second: float = attrs.field(default=5.0, validator=[gt(0), le(1e6)])
    """Frames that are refused, in the long run. Beyond these it is a flood, and the end."""

    faults_burst: float = attrs.field(default=100.0, validator=[ge(1), le(1e6)])
    """Frames that may be refused at once."""

    rooms: int = attrs.field(default=100, validator=[ge(1), le(10_000)])
    """Rooms one connection may be subscribed to."""

    in_flight: int = attrs.field(default=64, validator=[ge(1), le(10_000)])
    """Messages of one connection that wait for their room's answer."""

    queue: int = attrs.field(default=1000, validator=[ge(10), le(1_000_000)])
    """Frames that wait for a client that does not read; beyond it, it has to come back."""

    queue_bytes: int = attrs.field(default=8 * 1024 * 1024, validator=[ge(64 * 1024)])
    """Characters of these frames, all together."""

    ephemerals: int = attrs.field(default=256, validator=[ge(1), le(100_000)])
    """Passing things (typing, presence) that wait for it; then the oldest are dropped."""

    live: int = attrs.field(default=256, validator=[ge(0), le(100_000)])
    """New events of a room that are kept while its older ones are fetched for a connection."""

    page: int = attrs.field(default=100, validator=[ge(1), le(500)])
    """Events that are fetched at once."""

    streams: int = attrs.field(default=1000, validator=[ge(1), le(100_000)])
    """Answers in the making, in all rooms of a channel; then the oldest are given up."""

    stream_text: int = attrs.field(default=200_000, validator=[ge(1000), le(MOST_MESSAGE // 4)])
    """Characters of an answer that are shown while it is made; the whole comes at its end."""

    def __attrs_post_init__(self) -> None:
        if self.silence_timeout <= self.ping_interval:
            raise ValueError(
                f"a client is lost after {self.silence_timeout:g} s of silence (silence_timeout), "
                f"before it is pinged, after {self.ping_interval:g} s (ping_interval): a quiet one "
                "would always be lost"
            )
        if self.page > self.queue // 2:
            raise ValueError(
                f"a page of {self.page} events (page) would fill more than half of a queue of "
                f"{self.queue} (queue): a client that reads slowly could never catch up"
            )
