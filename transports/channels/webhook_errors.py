"""What a webhook's sender is told when its request is not taken. Pure but for its names."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from models.rooms.errors import (
    BadValue,
    ChannelNotRegistered,
    Conflict,
    NotFound,
    Overloaded,
    RoomClosed,
    RoomNotFound,
    StoreUnavailable,
)
from models.rooms.refusals import RefusedFor
from models.rooms.traffic import InboundResult
from supervision import MailboxFull


@attrs.define(eq=False)
class Problem(Exception):
    """The request is refused. The text is for its sender, and repeats nothing of it."""

    status: int
    code: str
    message: str
    faults: Sequence[str] = ()
    """What is wrong with the data, each with its path."""
    retry_after: int | None = None
    """Seconds; the same request may succeed then."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


def problem_of(error: BaseException) -> Problem:
    """What a refusal of the desk means to a sender."""
    match error:
        case RefusedFor(error=reason):
            return problem_of(reason)
        case BadValue(faults=faults):
            return Problem(400, "malformed", "the data does not fit", faults)
        case ChannelNotRegistered():
            return Problem(404, "unknown_channel", "no webhook channel has that id")
        case RoomNotFound():
            return Problem(404, "room_not_found", "there is no such room")
        case NotFound(what=what):
            return Problem(404, f"{what}_not_found", f"there is no such {what}")
        case RoomClosed():
            return _closed()
        case Overloaded() | MailboxFull():
            return Problem(429, "overloaded", "too much is under way", retry_after=1)
        case StoreUnavailable():
            text = "it is not known to be kept; send it again with the same external_id"
            return Problem(503, "store_unavailable", text, retry_after=5)
        case Conflict():
            return Problem(503, "conflict", "nothing of it was kept", retry_after=1)
        case _:
            # It crashed, stopped or refuses without a reason of ours: what was kept is not known.
            text = "it could not be done; send it again with the same external_id"
            return Problem(503, "unavailable", text, retry_after=5)


def problem_of_result(result: InboundResult) -> Problem | None:
    """The problem of a message that was blocked for a reason its sender can do something about."""
    if not result.blocked:
        return None
    match result.reason:
        case "room_closed":
            return _closed()
        case "rate_limited":
            return Problem(429, "rate_limited", "too many messages in a second", retry_after=1)
        case "process_timeout":
            text = "nothing of it was kept"
            return Problem(503, "process_timeout", text, retry_after=5)
        case _:
            return None


def _closed() -> Problem:
    return Problem(409, "room_closed", "the room is closed and takes nothing more")
