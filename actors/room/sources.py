"""Event sources under supervision: attached to a channel, restarted when they fail, watched over.

    /sources            one_for_one
    ├─ running          dynamic; a runner for each channel that has a source
    │  └─ <channel>     runs it; it fails with its source, and waits longer each time
    └─ desk             attaches, detaches, and knows how they all are
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import Any
from uuid import uuid4

import attrs
from attrs.validators import ge, gt, instance_of, lt, optional

from actors.room.source_runner import Report, SourceRunner, Trials
from models.rooms.channel import DeskMessage
from models.rooms.errors import AlreadyThere, RoomsError, SourceNotFound
from models.rooms.event import NOTHING
from models.rooms.kinds import SourceStatus
from models.rooms.refusals import RefusedFor, RefuseFor
from models.rooms.room import check_id
from models.rooms.traffic import FrameworkEvent
from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Promise,
    Request,
    Restart,
    Supervisor,
    Terminated,
    handles,
)
from supervision.resilience import Backoff
from supervision.supervisor import StartChild, TerminateChild
from transports.sources import Source

logger = logging.getLogger("troupe.rooms")


def _channel(_instance: object, _field: object, value: str) -> None:
    check_id("a channel id", value)


@attrs.frozen
class AttachSource(Request[None]):
    """Have a source listen for a channel. Answered when it runs, connected or not.

    Refused (`RefusedFor`) with AlreadyThere if the channel has a source that runs.
    """

    channel_id: str = attrs.field(validator=_channel)
    source: Source = attrs.field(validator=instance_of(Source))
    auto_restart: bool = True
    """It is started again when it fails."""
    restart_delay: float = attrs.field(default=5.0, validator=[gt(0), lt(inf)])
    """Seconds it waits at most before the first restart; twice as many each time."""
    max_restart_delay: float = attrs.field(default=300.0, validator=[gt(0), lt(inf)])
    """Seconds it ever waits at most."""
    max_restart_attempts: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """Restarts after failures in a row; at one failure more it is given up. None is no limit."""
    max_concurrent_emits: int = attrs.field(default=10, validator=ge(1))
    """Messages that it may have under way; it waits with the next one."""

    def __attrs_post_init__(self) -> None:
        self.backoff()  # checks that the delays fit each other

    def backoff(self) -> Backoff:
        """How its restarts spread out."""
        return Backoff(base=self.restart_delay, maximum=self.max_restart_delay)


@attrs.frozen
class DetachSource(Request[None]):
    """Stop a source. Refused (`RefusedFor`) with SourceNotFound."""

    channel_id: str


@attrs.frozen
class SourceState:
    """How a source is."""

    channel_id: str
    name: str
    status: SourceStatus
    connected_at: datetime | None = None
    last_message_at: datetime | None = None
    messages_received: int = 0
    error: str | None = None
    """Why it does not hear at the moment, or did not before."""
    attempt: int = 0
    """Failures in a row."""
    refused: int = 0
    """Messages that the rooms would not have."""
    metadata: Mapping[str, Any] = NOTHING
    """What only this kind of source knows."""


@attrs.frozen
class SourceHealth(Request[SourceState]):
    """How is it? Refused (`RefusedFor`) with SourceNotFound."""

    channel_id: str


@attrs.frozen
class ListSources(Request[Sequence[SourceState]]):
    """How are they all? In the order they were attached, those that are over included."""


SourcesMessage = AttachSource | DetachSource | SourceHealth | ListSources


# -- what the desk knows ---------------------------------------------------------------------------


@attrs.define(eq=False)
class Attached:
    """A source and its channel."""

    wanted: AttachSource
    state: SourceState
    runner: ActorRef[Any] | None = None
    """None while it is being started, and when it is over."""
    starting: bool = True

    @property
    def over(self) -> bool:
        """It runs no more, and nobody will start it again."""
        return self.runner is None and not self.starting


class SourceTable:
    """The sources by their channel. They outlive the desk's restarts."""

    def __init__(self) -> None:
        self._sources: dict[str, Attached] = {}

    def get(self, channel_id: str) -> Attached | None:
        """The source of that channel, if it has one."""
        return self._sources.get(channel_id)

    def put(self, attached: Attached) -> None:
        """It is the channel's source now."""
        self._sources.pop(attached.wanted.channel_id, None)
        self._sources[attached.wanted.channel_id] = attached

    def remove(self, attached: Attached) -> None:
        """It is not any more."""
        if self._sources.get(attached.wanted.channel_id) is attached:
            del self._sources[attached.wanted.channel_id]

    def __iter__(self) -> Iterator[Attached]:
        return iter(self._sources.values())

    def __len__(self) -> int:
        return len(self._sources)


@attrs.frozen
class _Started:
    attached: Attached
    promise: Promise[None]
    runner: ActorRef[Any]


@attrs.frozen
class _NotStarted:
    attached: Attached
    promise: Promise[None]
    error: Exception


@attrs.frozen
class _Stopped:
    attached: Attached
    promise: Promise[None]


@attrs.frozen
class SourcesStatistics:
    """What the desk watches over."""

    attached: int
    connected: int
    messages_received: int
    refused: int


DeskInside = SourcesMessage | Report | Terminated | _Started | _NotStarted | _Stopped


class SourcesDesk(Actor[DeskInside]):
    """Attaches and detaches sources, and tells how they are."""

    def __init__(
        self,
        desk: ActorRef[DeskMessage],
        running: str,
        receive_timeout: float,
        table: SourceTable | None = None,
    ) -> None:
        """Nothing runs before it is attached.

        Args:
            desk: whom the sources' messages are handed to.
            running: the path of the supervisor of the runners.
            receive_timeout: seconds that a message is waited for, with all that it causes.
        """
        super().__init__()
        self._desk = desk
        self._running = running
        self._receive_timeout = receive_timeout
        self._table = table if table is not None else SourceTable()

    def on_start(self) -> None:
        for attached in list(self._table):
            if attached.starting:  # whoever wanted it has been told that the desk crashed
                self._table.remove(attached)
            elif attached.runner is not None:
                self.watch(attached.runner)

    # -- attaching ------------------------------------------------------------------------

    @handles
    def on_attach(self, message: AttachSource) -> None:
        channel_id = message.channel_id
        known = self._table.get(channel_id)
        if known is not None and not known.over:
            raise RefuseFor(AlreadyThere("source of channel", channel_id))
        state = SourceState(channel_id, message.source.name, SourceStatus.CONNECTING)
        attached = Attached(message, state)
        self._table.put(attached)
        spec: ChildSpec[Any] = ChildSpec(
            channel_id,
            partial(
                SourceRunner,
                message.source,
                channel_id,
                self._desk,
                self.ref,
                Trials(message.max_restart_attempts, message.backoff().quiet),
                auto_restart=message.auto_restart,
                concurrent=message.max_concurrent_emits,
                receive_timeout=self._receive_timeout,
            ),
            Restart.TRANSIENT,
            backoff=message.backoff(),
        )
        promise: Promise[None] = self.defer()
        self.pipe(
            self._supervisor.ask(StartChild(spec)),
            to=lambda runner: _Started(attached, promise, runner),
            failed=lambda error: _NotStarted(attached, promise, error),
        )

    @property
    def _supervisor(self) -> ActorRef[Any]:
        return self.system.ref(self._running)

    @handles
    def on_started(self, message: _Started) -> None:
        attached = message.attached
        attached.starting, attached.runner = False, message.runner
        self.watch(message.runner)
        self._announce("source_attached", attached)
        message.promise.resolve(None)

    @handles
    def on_not_started(self, message: _NotStarted) -> None:
        self._table.remove(message.attached)
        message.promise.refuse(f"the source cannot be started: {message.error}")

    # -- detaching ------------------------------------------------------------------------

    @handles
    def on_detach(self, message: DetachSource) -> None:
        attached = self._found(message.channel_id)
        if attached.starting:
            self.stash()
            return
        promise: Promise[None] = self.defer()
        if attached.runner is None:
            self._detached(attached, promise)
            return
        self.pipe(
            self._supervisor.ask(TerminateChild(message.channel_id), timeout=inf),
            to=lambda _: _Stopped(attached, promise),
            failed=lambda _: _Stopped(attached, promise),  # it has ended by itself meanwhile
        )

    @handles
    def on_stopped(self, message: _Stopped) -> None:
        self._detached(message.attached, message.promise)

    def _detached(self, attached: Attached, promise: Promise[None]) -> None:
        if self._table.get(attached.wanted.channel_id) is attached:
            self._table.remove(attached)
            self._announce("source_detached", attached)
            self._announce("source_disconnected", attached)
        promise.resolve(None)

    # -- how they are ---------------------------------------------------------------------

    @handles
    def on_report(self, message: Report) -> None:
        attached = self._table.get(message.channel_id)
        if attached is None or attached.wanted.source is not message.source:
            return  # of one that was detached meanwhile
        for kind, data in message.apply(attached):
            self._announce(kind, attached, data)

    @handles
    def on_terminated(self, message: Terminated) -> None:
        for attached in self._table:
            if attached.runner == message.ref:
                attached.runner = None

    @handles
    def on_health(self, message: SourceHealth) -> SourceState:
        return self._shown(self._found(message.channel_id))

    @handles
    def on_list(self, _message: ListSources) -> Sequence[SourceState]:
        return tuple(map(self._shown, self._table))

    def _shown(self, attached: Attached) -> SourceState:
        return attrs.evolve(attached.state, metadata=dict(attached.wanted.source.details()))

    def _found(self, channel_id: str) -> Attached:
        attached = self._table.get(channel_id)
        if attached is None:
            raise RefuseFor(SourceNotFound("source of channel", channel_id))
        return attached
