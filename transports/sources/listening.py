"""Sources that keep a connection: what is a message, how many are too many, and trying again."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from random import Random
from typing import Any

import attrs
import trio
from attrs.validators import ge, gt, instance_of

from models.rooms.room import RateLimit
from models.rooms.traffic import InboundMessage
from supervision.resilience import Backoff, BackoffState, TokenBucket
from supervision.secret import Secret
from transports.sources.protocol import Feed, Parser, Source, SourceFailed, identified, json_message

logger = logging.getLogger("troupe.transports.sources")

Headers = Mapping[str, str | Secret]


@attrs.frozen(kw_only=True)
class ListeningConfig:
    """What all sources that keep a connection have in common."""

    headers: Headers = attrs.field(factory=dict, repr=False)
    """Sent when it connects; what nobody may see is a `Secret`."""
    connect_timeout: float = attrs.field(default=10.0, validator=gt(0))
    """Seconds until it is connected."""
    max_size: int = attrs.field(default=1 << 20, validator=ge(1))
    """Bytes of one message; a longer one is a failure."""
    reconnect: bool = attrs.field(default=False, validator=instance_of(bool))
    """It connects again by itself; otherwise its supervisor starts it again."""
    reconnect_delay: float = attrs.field(default=1.0, validator=gt(0))
    """Seconds it waits at most before it does so the first time; twice as many each time."""
    max_reconnect_delay: float = attrs.field(default=30.0, validator=gt(0))
    """Seconds it ever waits at most."""
    rate_limit: RateLimit | None = None
    """More messages than that are dropped, and counted."""

    def __attrs_post_init__(self) -> None:
        self.backoff()  # checks that the delays fit each other

    def backoff(self) -> Backoff:
        """How attempts to connect spread out."""
        return Backoff(base=self.reconnect_delay, maximum=self.max_reconnect_delay)

    def revealed(self) -> dict[str, str]:
        """The headers as they are sent."""
        return {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in self.headers.items()
        }


class ListeningSource(Source):
    """Override `listen`: one connection, from its beginning to its end."""

    def __init__(self, name: str, config: ListeningConfig, parser: Parser | None = None) -> None:
        self.name = name
        self.patience = 0.0
        """Seconds that the other side has asked to wait before connecting again."""
        self._listening = config
        self._parser = parser or json_message
        rate = None if config.rate_limit is None else config.rate_limit.rate
        self._bucket = None if rate is None else TokenBucket(rate)
        self._connected_at: float | None = None
        self._taken = self._ignored = self._unreadable = self._rate_limited = 0

    @abstractmethod
    async def listen(self, emit: Feed) -> None:
        """Connect, call `is_connected`, and `take` what comes, until the other side is done.

        Raises:
            SourceFailed: it could not be reached, or was lost.
        """

    async def run(self, emit: Feed) -> None:
        config = self._listening
        retries = BackoffState(config.backoff())
        jitter = Random()
        while True:
            self._connected_at = None
            try:
                await self.listen(emit)
                return
            except SourceFailed as failure:
                if failure.final or not config.reconnect:
                    raise
                emit.lost(failure.detail)
            delay = retries.failed(trio.current_time(), jitter, up_for=self._connected_for())
            await trio.sleep(max(delay, min(self.patience, config.max_reconnect_delay)))

    def _connected_for(self) -> float:
        """Seconds; 0 if it could not connect."""
        since = self._connected_at
        return 0.0 if since is None else trio.current_time() - since

    def is_connected(self, emit: Feed) -> None:
        """It hears from now on."""
        self._connected_at = trio.current_time()
        emit.connected()

    async def take(self, payload: str | bytes, emit: Feed, external_id: str = "") -> None:
        """Hand on what came, if it is a message and not one too many.

        Args:
            external_id: its id if it names none itself.
        """
        message = self._parsed(payload, emit.channel_id)
        if message is None:
            return
        if self._bucket is not None and not self._bucket.try_take(trio.current_time()):
            self._rate_limited += 1
            return
        if external_id and message.external_id is None:
            message = identified(message, external_id)
        self._taken += 1
        await emit.post(message)

    def _parsed(self, payload: str | bytes, channel_id: str) -> InboundMessage | None:
        try:
            message = self._parser(payload, channel_id)
        except Exception as error:  # noqa: BLE001  a parser of others; what it was given is foreign
            self._unreadable += 1
            logger.warning("source %s cannot read a message: %s", self.name, type(error).__name__)
            return None
        if message is None:
            self._ignored += 1
        return message

    def details(self) -> Mapping[str, Any]:
        return {
            "taken": self._taken,
            "ignored": self._ignored,
            "unreadable": self._unreadable,
            "rate_limited": self._rate_limited,
        }
