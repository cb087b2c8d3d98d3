"""What is known of the sources of a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs

from actors.room.source_runner import SourceReport
from models.rooms.event import NOTHING
from models.rooms.kinds import SourceStatus
from supervision import ActorRef
from transports.sources import Source


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


@attrs.define(eq=False)
class Attached:
    """A source and its channel."""

    channel_id: str
    source: Source
    state: SourceState
    runner: ActorRef[Any] | None = None
    """None while it is being started, and when it is over."""
    starting: bool = True

    announced: bool = False

    @property
    def over(self) -> bool:
        """It runs no more, and nobody will start it again."""
        return self.runner is None and not self.starting

    def reported(self, report: SourceReport) -> None:
        """What its runner tells."""
        state = self.state
        connected = report.status is SourceStatus.CONNECTED
        self.state = attrs.evolve(
            state,
            status=report.status or state.status,
            connected_at=report.at if connected else state.connected_at,
            last_message_at=report.at if report.messages else state.last_message_at,
            messages_received=state.messages_received + report.messages,
            refused=state.refused + report.refused,
            error=None if connected else report.error or state.error,
            attempt=state.attempt if report.attempt is None else report.attempt,
        )

    def shown(self) -> SourceState:
        """How it is now."""
        return attrs.evolve(self.state, metadata=dict(self.source.details()))


class SourceTable:
    """The sources by their channel. They outlive the desk's restarts."""

    def __init__(self) -> None:
        self._sources: dict[str, Attached] = {}

    def get(self, channel_id: str) -> Attached | None:
        """The source of that channel, if it has one."""
        return self._sources.get(channel_id)

    def put(self, attached: Attached) -> None:
        """It is the channel's source now."""
        self._sources.pop(attached.channel_id, None)
        self._sources[attached.channel_id] = attached

    def remove(self, attached: Attached) -> None:
        """It is not any more."""
        if self._sources.get(attached.channel_id) is attached:
            del self._sources[attached.channel_id]

    def __iter__(self) -> Iterator[Attached]:
        return iter(self._sources.values())

    def __len__(self) -> int:
        return len(self._sources)
