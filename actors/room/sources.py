"""Event sources under supervision: attached to a channel, restarted when they fail, watched over.

/sources            one_for_one
├─ running          dynamic; a runner for each channel that has a source
│  └─ <channel>     runs it; it fails with its source, and waits longer each time
└─ desk             attaches, detaches, and knows how they all are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import Any
from uuid import uuid4

import attrs
from attrs.validators import ge, gt, lt, optional

from actors.room.source_runner import SourceReport, SourceRunner, Trials
from actors.room.source_table import Attached, SourceTable
from actors.room.source_table import SourceState as SourceState
from models.rooms.channel import Receive
from models.rooms.errors import AlreadyThere, SourceNotFound
from models.rooms.event import NOTHING
from models.rooms.kinds import SourceStatus
from models.rooms.refusals import RefuseFor
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


@attrs.frozen
class SourcesConfig:
    """What holds for all sources."""

    receive_timeout: float = attrs.field(default=300.0, validator=[gt(0), lt(inf)])
    """Seconds a message of a source is waited for, with all that it causes."""


def _channel(_instance: object, _field: object, value: str) -> None:
    check_id("a channel id", value)


@attrs.frozen
class AttachSource(Request[None]):
    """Have a source listen for a channel. Answered when it runs, connected or not.

    Refused (`RefusedFor`) with AlreadyThere if the channel has a source that runs.
    """

    channel_id: str = attrs.field(validator=_channel)
    source: Source
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
class SourceHealth(Request[SourceState]):
    """How is it? Refused (`RefusedFor`) with SourceNotFound."""

    channel_id: str


@attrs.frozen
class ListSources(Request[Sequence[SourceState]]):
    """How are they all? In the order they were attached, those that are over included."""


SourcesMessage = AttachSource | DetachSource | SourceHealth | ListSources


# -- the desk ----------------------------------------------------------------------------------


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


DeskInside = SourcesMessage | SourceReport | Terminated | _Started | _NotStarted | _Stopped


class SourcesDesk(Actor[DeskInside]):
    """Attaches and detaches sources, and tells how they are."""

    def __init__(
        self,
        desk: ActorRef[Receive] | str,
        table: SourceTable | None = None,
        config: SourcesConfig | None = None,
    ) -> None:
        """Nothing runs before it is attached.

        Args:
            desk: whom the sources' messages are handed to; a path is looked up at the start.
            table: of an earlier life.
        """
        super().__init__()
        self._handed_to = desk
        self._config = config or SourcesConfig()
        self._table = table if table is not None else SourceTable()

    def on_start(self) -> None:
        desk = self._handed_to
        self._desk = self.system.ref(desk) if isinstance(desk, str) else desk
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
        attached = Attached(channel_id, message.source, state)
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
                receive_timeout=self._config.receive_timeout,
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
        return self.system.ref(f"{self.path.rpartition('/')[0]}/running")

    @handles
    def on_started(self, message: _Started) -> None:
        attached = message.attached
        attached.starting, attached.runner = False, message.runner
        self.watch(message.runner)
        self._tell_attached(attached)
        message.promise.resolve(None)
        self.unstash()

    @handles
    def on_not_started(self, message: _NotStarted) -> None:
        self._table.remove(message.attached)
        message.promise.refuse(f"the source cannot be started: {message.error}")
        self.unstash()

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
        if self._table.get(attached.channel_id) is attached:
            self._table.remove(attached)
            self._announce("source_detached", attached)
            self._announce("source_disconnected", attached)
        promise.resolve(None)

    # -- how they are ---------------------------------------------------------------------

    @handles
    def on_report(self, message: SourceReport) -> None:
        attached = self._table.get(message.channel_id)
        if attached is None or attached.source is not message.source:
            return  # of one that was detached meanwhile
        attached.reported(message)
        if message.events:
            self._tell_attached(attached)  # it may be connected before we hear that it runs
        for kind, data in message.events.items():
            self._announce(kind, attached, data)

    @handles
    def on_terminated(self, message: Terminated) -> None:
        for attached in self._table:
            if attached.runner == message.ref:
                attached.runner = None

    @handles
    def on_health(self, message: SourceHealth) -> SourceState:
        return self._found(message.channel_id).shown()

    @handles
    def on_list(self, _message: ListSources) -> Sequence[SourceState]:
        return tuple(attached.shown() for attached in self._table)

    def _found(self, channel_id: str) -> Attached:
        attached = self._table.get(channel_id)
        if attached is None:
            raise RefuseFor(SourceNotFound("source of channel", channel_id))
        return attached

    # -- telling --------------------------------------------------------------------------

    def _tell_attached(self, attached: Attached) -> None:
        if not attached.announced:
            attached.announced = True
            self._announce("source_attached", attached)

    def _announce(self, kind: str, attached: Attached, data: Mapping[str, Any] = NOTHING) -> None:
        self.system.events.publish(
            FrameworkEvent(
                uuid4().hex,
                kind,
                datetime.now(UTC),
                channel_id=attached.channel_id,
                data=data or {"source_name": attached.state.name},
            )
        )

    def statistics(self) -> SourcesStatistics:
        states = [attached.state for attached in self._table]
        return SourcesStatistics(
            attached=len(states),
            connected=sum(state.status is SourceStatus.CONNECTED for state in states),
            messages_received=sum(state.messages_received for state in states),
            refused=sum(state.refused for state in states),
        )

    def __repr__(self) -> str:
        return f"<SourcesDesk {len(self._table)} sources>"


def sources_spec(
    desk: ActorRef[Receive] | str, config: SourcesConfig | None = None, name: str = "sources"
) -> ChildSpec[Any]:
    """How the sources of a node start: a supervisor, with the `SourcesDesk` at its `desk`."""
    running: ChildSpec[Any] = ChildSpec("running", DynamicSupervisor)
    office: ChildSpec[Any] = ChildSpec("desk", partial(SourcesDesk, desk, SourceTable(), config))
    return ChildSpec(name, partial(Supervisor, [running, office]))
