"""What an agent answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from models.rooms.content import Content
from models.rooms.event import NOTHING
from models.rooms.kinds import EventType
from models.rooms.traffic import Observation, Task


@attrs.frozen
class Answer:
    """Something an agent says in answer to an event."""

    content: Content = attrs.field(repr=False)
    type: EventType = EventType.MESSAGE
    visibility: str = "all"
    addressed_to: Sequence[str] | None = None
    metadata: Mapping[str, Any] = NOTHING


@attrs.frozen
class Reaction:
    """What came of a turn. What was streamed during it need not be said again."""

    answers: Sequence[Answer] = ()
    tasks: Sequence[Task] = ()
    observations: Sequence[Observation] = ()
    metadata_updates: Mapping[str, Any] = NOTHING
    """Merged into the room's metadata."""
    response_metadata: Mapping[str, Any] = NOTHING
    """Goes with every message that was streamed."""
    error: str | None = None
    """The turn failed; what was streamed until then stands."""
    cancelled: bool = False
