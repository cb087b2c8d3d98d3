"""The actor that runs one event source, and fails with it: its supervisor does the rest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import trio

from models.rooms.channel import Receive
from models.rooms.event import NOTHING
from models.rooms.kinds import SourceStatus
from models.rooms.refusals import RefusedFor
from models.rooms.traffic import InboundMessage, InboundResult
from supervision import Actor, ActorRef, Reply, SupervisionError, handles
from transports.sources import Source, SourceFailed

logger = logging.getLogger("troupe.rooms")


@attrs.frozen
class SourceReport:
    """What has become of a source, to the desk. None is: no other than before."""

    channel_id: str
    source: Source
    at: datetime
    status: SourceStatus | None = None
    messages: int = 0
    refused: int = 0
    error: str | None = None
    attempt: int | None = None
    events: Mapping[str, Mapping[str, Any]] = NOTHING
    """What the node is told, by type of the framework event."""


@attrs.define(eq=False)
class Trials:
    """How often a source has failed in a row. Outlives the restarts of its runner."""

    most_restarts: int | None
    """None is no limit."""
    quiet: float
    """Seconds; one that has heard for so long is forgiven all its failures."""
    failures: int = 0

    def failed(self, heard_for: float) -> int:
        """Once more; how often now."""
        if heard_for >= self.quiet:
            self.failures = 0
        self.failures += 1
        return self.failures

    @property
    def exhausted(self) -> bool:
        """It is not worth another restart."""
        return self.most_restarts is not None and self.failures > self.most_restarts


@attrs.frozen
class _Returned:
    """There is nothing more to hear."""


@attrs.frozen
class _Failed:
    error: Exception


class SourceRunner(Actor[_Returned | _Failed]):
    """Runs a source, counts what it brings, and crashes when it fails."""

    poison = (
        None  # it crashes by `_Failed` as often as its source fails, and that is as it should be
    )

    def __init__(
        self,
        source: Source,
        channel_id: str,
        desk: ActorRef[Receive],
        owner: ActorRef[SourceReport],
        trials: Trials,
        *,
        auto_restart: bool,
        concurrent: int,
        receive_timeout: float,
    ) -> None:
        super().__init__()
        self._source = source
        self._channel_id = channel_id
        self._desk = desk
        self._owner = owner
        self._trials = trials
        self._auto_restart = auto_restart
        self._concurrent = concurrent
        self._receive_timeout = receive_timeout
        self._heard_since: float | None = None

    def on_start(self) -> None:
        if self._trials.failures:
            self.report(status=SourceStatus.CONNECTING)
        self.start_task(self._run, name="source", to=lambda _: _Returned(), failed=_Failed)

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            feed = _RunnersFeed(
                self, self._desk, self._channel_id, self._receive_timeout, nursery, self._concurrent
            )
            await self._source.run(feed)

    @handles
    def on_returned(self, _message: _Returned) -> None:
        self.report(status=SourceStatus.STOPPED)
        self.stop()

    @handles
    def on_failed(self, message: _Failed) -> None:
        heard_for = 0.0 if self._heard_since is None else self.now - self._heard_since
        attempt = self._trials.failed(heard_for)
        error = in_short(message.error)
        told: dict[str, Any] = {
            "source_error": {"source_name": self._source.name, "error": error, "attempt": attempt}
        }
        again = self._auto_restart and not self._trials.exhausted
        if self._auto_restart and not again:
            told["source_exhausted"] = {"attempts": attempt - 1, "last_error": error}
        status = SourceStatus.RECONNECTING if again else SourceStatus.ERROR
        self.report(status=status, error=error, attempt=attempt, events=told)
        if again:
            raise message.error
        logger.error("source %s of %s is given up: %s", self._source.name, self._channel_id, error)
        self.stop()

    # -- for the feed ---------------------------------------------------------------------

    def report(self, **fields: Any) -> None:
        """Tell the desk of sources."""
        report = SourceReport(self._channel_id, self._source, datetime.now(UTC), **fields)
        self._owner.tell(report)

    def is_connected(self) -> None:
        """It hears."""
        if self._heard_since is None:
            self._heard_since = self.now
            told = {"source_connected": {"source_name": self._source.name}}
            self.report(status=SourceStatus.CONNECTED, events=told)

    def is_lost(self, detail: str) -> None:
        """It does not hear, and tries again by itself."""
        self._heard_since = None
        attempt = self._trials.failures
        told = {"source_name": self._source.name, "error": detail, "attempt": attempt}
        self.report(status=SourceStatus.RECONNECTING, error=detail, events={"source_error": told})

    def __repr__(self) -> str:
        return f"<SourceRunner {self._source.name} for {self._channel_id}>"


class _RunnersFeed:
    """See `Feed`."""

    def __init__(
        self,
        runner: SourceRunner,
        desk: ActorRef[Receive],
        channel_id: str,
        timeout: float,
        nursery: trio.Nursery,
        concurrent: int,
    ) -> None:
        self._runner = runner
        self._desk = desk
        self._channel_id = channel_id
        self._timeout = timeout
        self._nursery = nursery
        self._slots = trio.Semaphore(concurrent, max_value=concurrent)

    @property
    def channel_id(self) -> str:
        return self._channel_id

    async def __call__(self, message: InboundMessage) -> InboundResult:
        async with self._slots:
            return await self._asked(message)

    async def post(self, message: InboundMessage) -> None:
        await self._slots.acquire()
        try:
            # Asked here and not in the task below: tasks begin in any order.
            reply = self._asked(message)
        except BaseException:
            self._slots.release()
            raise
        self._nursery.start_soon(self._settle, reply)

    def connected(self) -> None:
        self._runner.is_connected()

    def lost(self, detail: str) -> None:
        self._runner.is_lost(detail)

    def _asked(self, message: InboundMessage) -> Reply[InboundResult]:
        if message.channel_id != self._channel_id:
            raise ValueError(f"a source of {self._channel_id!r} speaks for no other channel")
        self._runner.is_connected()
        self._runner.report(messages=1)
        return self._desk.ask(Receive(message), timeout=self._timeout)

    async def _settle(self, reply: Reply[InboundResult]) -> None:
        try:
            await reply
        except SupervisionError as error:
            why = error.error if isinstance(error, RefusedFor) else error
            name = type(why).__name__
            logger.warning("a message of a source of %s is lost: %s", self._channel_id, name)
            self._runner.report(refused=1)
        finally:
            self._slots.release()


def in_short(error: Exception) -> str:
    """What went wrong; the words of errors that are not a source's own may hold anything."""
    return error.detail if isinstance(error, SourceFailed) else type(error).__name__
