"""What becomes of what a wire asks of the channel and the desk, as messages to itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from models.rooms.event import RoomEvent
from models.rooms.refusals import RefusedFor
from models.rooms.traffic import InboundResult
from supervision import Refused


@attrs.frozen
class Joined:
    """The channel sends what happens in a room from now on."""

    room_id: str
    epoch: int


@attrs.frozen
class Page:
    """What was fetched."""

    room_id: str
    epoch: int
    events: Sequence[RoomEvent]


@attrs.frozen
class RoomFailed:
    """A room cannot be joined, or its events not be fetched."""

    room_id: str
    epoch: int
    error: Exception


@attrs.frozen
class Answered:
    """A room has dealt with a message."""

    key: str
    result: InboundResult


@attrs.frozen
class NotAnswered:
    """It has not."""

    key: str
    error: Exception


@attrs.frozen
class Marked:
    """A read marker has moved."""

    room_id: str
    event_id: str


@attrs.frozen
class NotMarked:
    """It has not."""

    room_id: str
    error: Exception


@attrs.frozen
class NotAgain:
    """The channel that had failed does not take it back."""


Outcome = Joined | Page | RoomFailed | Answered | NotAnswered | Marked | NotMarked | NotAgain

_WORDS = re.compile(r"(?<!^)(?=[A-Z])")


def why(error: Exception) -> tuple[str, str]:
    """A code and a reason for the client, of what an ask ended in."""
    match error:
        case RefusedFor(error=refusal):
            return _WORDS.sub("_", type(refusal).__name__).lower(), str(refusal)
        case Refused(reason=reason):
            return "refused", str(reason)
        case _:
            # What is wrong inside is nobody's business outside. The same id may be sent again.
            return "unavailable", "no answer came; try again"
