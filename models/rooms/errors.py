"""What can be wrong with what somebody wants of a room. Sorted by what the catcher does next."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


class RoomsError(Exception):
    """The base of all of them."""


@attrs.define(eq=False)
class NotFound(RoomsError):
    """What was named is not there, or belongs to another organization."""

    what: str
    """room, channel, participant, identity, event, source …"""
    id: str

    def __str__(self) -> str:
        return f"there is no {self.what} {self.id!r}"


class RoomNotFound(NotFound):
    """There is no such room in the organization that asks."""


class ChannelNotFound(NotFound):
    """The channel is not bound to that room; attach it first."""


class ChannelNotRegistered(NotFound):
    """No channel of that id is registered on this node."""


class ParticipantNotFound(NotFound):
    """Nobody of that id takes part in the room."""


class IdentityNotFound(NotFound):
    """The address book has no such identity in that organization."""


class SourceNotFound(NotFound):
    """The channel has no event source."""


@attrs.define(eq=False)
class AlreadyThere(RoomsError):
    """The id is taken."""

    what: str
    id: str

    def __str__(self) -> str:
        return f"there already is a {self.what} {self.id!r}"


@attrs.define(eq=False)
class RoomClosed(RoomsError):
    """A closed or archived room takes nothing more; reopen it first."""

    room_id: str
    status: str

    def __str__(self) -> str:
        return f"room {self.room_id!r} is {self.status} and takes nothing more; reopen it first"


@attrs.define(eq=False)
class ReentrantCall(RoomsError):
    """A hook that a room waits for asked something that would wait for the room in turn.

    It may look at its room, and speak into it if it names it (`send_event`, `process_inbound`). The
    rest it does later, or from a hook that watches.
    """

    hook: str

    def __str__(self) -> str:
        return f"hook {self.hook!r} would wait for its own room, which waits for it"


@attrs.define(eq=False)
class Overloaded(RoomsError):
    """Too much is under way already; nothing was written. Try again later."""

    what: str
    limit: int

    def __str__(self) -> str:
        return f"{self.what} already has {self.limit} messages under way; try again later"


@attrs.define(eq=False)
class RoomAway(RoomsError):
    """The room is being put away, and took nothing; ask the desk to open it again."""

    room_id: str

    def __str__(self) -> str:
        return f"room {self.room_id!r} is being put away; open it again"


@attrs.define(eq=False)
class StoreUnavailable(RoomsError):
    """The store could not do it, or could not say that it did.

    Nothing is kept by halves; do it again later, with the same idempotency key.
    """

    problem: str

    def __str__(self) -> str:
        return f"the store could not do it, or could not say that it did: {self.problem}"


@attrs.define(eq=False)
class Conflict(RoomsError):
    """Somebody else has written to the room; read it again and decide anew."""

    room_id: str
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"room {self.room_id!r} was expected to hold {self.expected} events and holds "
            f"{self.found}: somebody else wrote to it"
        )


@attrs.define(eq=False)
class NewerSchema(RoomsError):
    """The store was written by a newer Troupe; run that one, or restore an older copy."""

    found: int
    known: int

    def __str__(self) -> str:
        return (
            f"the store has schema {self.found}, this Troupe knows up to {self.known}; run a newer "
            "Troupe, or restore a copy from before"
        )


@attrs.define(eq=False)
class BadValue(RoomsError):
    """The data does not fit; says everything that is wrong with it, and where."""

    faults: Sequence[str]

    def __str__(self) -> str:
        return "; ".join(self.faults)
