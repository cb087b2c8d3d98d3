"""What is configured of every channel, and what every channel tells of itself."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from attrs.validators import ge, gt

from supervision.resilience import BulkheadStatistics


@attrs.frozen
class ChannelConfig:
    """How patiently a channel does its work, and how much of it at a time."""

    timeout: float = attrs.field(default=10.0, validator=gt(0))
    """Seconds one delivery may take; after the end of a stream, its rest."""
    concurrent: int = attrs.field(default=16, validator=ge(1))
    """Deliveries under way at the same time. A room has one at a time."""
    queue: int = attrs.field(default=1000, validator=ge(0))
    """Deliveries that may wait for their turn; more are refused, to be tried again."""
    queue_wait: float = attrs.field(default=10.0, validator=gt(0))
    """Seconds one may wait; then it is refused, to be tried again."""
    streams: int = attrs.field(default=64, validator=ge(1))
    """Answers shown while they are made, at the same time. Others are shown when they are done."""
    stream_idle: float = attrs.field(default=120.0, validator=gt(0))
    """Seconds an answer may not grow; then nobody waits for the rest of it."""
    receive_timeout: float = attrs.field(default=300.0, validator=gt(0))
    """Seconds what came in is waited for, with all that it causes."""
    rooms: int = attrs.field(default=10_000, validator=ge(1))
    """Bindings that are remembered, those heard of last."""
    drain: float = attrs.field(default=2.0, validator=ge(0))
    """Seconds that deliveries under way are waited for when the channel stops."""


@attrs.frozen
class ChannelStatistics:
    """What a channel is doing, and what it has done since it started."""

    slots: BulkheadStatistics
    streams: int
    """Answers being shown while they are made."""
    sent: int
    failed: Mapping[str, int]
    """Failed deliveries, by code."""
    repeated: int
    """Deliveries that were asked for while the same one was under way; each was made once."""
    unstreamed: int
    """Answers that could not be shown while they were made, or not all of it."""
