"""What becomes of what a wire asks of the channel and the desk, as messages to itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

import attrs

from models.rooms.event import RoomEvent
from models.rooms.kinds import EphemeralType
from models.rooms.refusals import RefusedFor
from models.rooms.traffic import InboundResult
from supervision import Refused
from transports.channels.websocket.decisions import Decisions, Hang, Pass
from transports.channels.websocket.machine import RoomWireMachine
from transports.channels.websocket.messages import item_of


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


def decide(machine: RoomWireMachine, outcome: Outcome, page: int) -> Decisions:
    """What the machine makes of it.

    Args:
        page: how many events were asked for.
    """
    match outcome:
        case Joined(room_id=room_id, epoch=epoch):
            return machine.joined(room_id, epoch)
        case Page(room_id=room_id, epoch=epoch, events=events):
            items = [item_of(event) for event in events]
            return machine.page(room_id, epoch, items, full=len(items) >= page)
        case RoomFailed(room_id=room_id, epoch=epoch, error=error):
            return machine.room_failed(room_id, epoch, *why(error))
        case Answered(key=key, result=result):
            return machine.answered(key, result)
        case NotAnswered(key=key, error=error):
            return machine.refused(key, *why(error))
        case Marked(room_id=room_id, event_id=event_id):
            return [Pass(room_id, EphemeralType.READ_RECEIPT, {"event_id": event_id})]
        case NotMarked(room_id=room_id, error=error):
            return machine.not_done("read", room_id, *why(error))
        case NotAgain():
            return [Hang(1013, "the channel is out of order: come back and resume")]
        case _:
            assert_never(outcome)


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
