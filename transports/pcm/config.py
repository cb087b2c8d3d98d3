"""What can be configured about media WebSockets."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, le


@attrs.frozen
class PcmConfig:
    """How much a peer may send, and how long it may take."""

    start_timeout: float = attrs.field(default=5.0, validator=[gt(0), le(60)])
    """Seconds a peer has to send its `start`."""

    attach_timeout: float = attrs.field(default=5.0, validator=[gt(0), le(60)])
    """Seconds the call has to let it in."""

    write_timeout: float = attrs.field(default=2.0, validator=[gt(0), le(60)])
    """Seconds one write may take; a peer that takes longer to read is lost."""

    ping_interval: float = attrs.field(default=5.0, validator=[gt(0), le(300)])
    """Seconds between pings to a peer from which nothing comes."""

    silence_timeout: float = attrs.field(default=12.0, validator=[gt(0), le(3600)])
    """Seconds without a single byte, the answers to pings included, after which it is lost."""

    audio_factor: float = attrs.field(default=3.0, validator=[ge(1), le(100)])
    """How many times faster than real time sound may come in the long run."""

    audio_burst: float = attrs.field(default=10.0, validator=[gt(0), le(600)])
    """Seconds of sound that may come at once, as after a stall of the network."""

    messages_per_second: float = attrs.field(default=1000.0, validator=[gt(0), le(1e6)])
    """Frames of any kind in the long run. What comes beyond is dropped and counted."""

    queue: int = attrs.field(default=64, validator=[ge(1), le(10_000)])
    """Frames of sound that wait for a peer that does not read; then the oldest are dropped."""

    send_ahead: float = attrs.field(default=0.06, validator=[ge(0), le(5)])
    """Seconds of sound that may be on the way to a peer: its buffer against jitter."""

    def __attrs_post_init__(self) -> None:
        if self.silence_timeout <= self.ping_interval:
            raise ValueError(
                f"a peer is lost after {self.silence_timeout:g} s of silence (silence_timeout), "
                f"before it is pinged, after {self.ping_interval:g} s (ping_interval): a quiet one "
                "would always be lost"
            )
