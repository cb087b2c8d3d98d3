"""How an actor refuses for one of the reasons in `errors.py`, and how the asker reads it."""

from __future__ import annotations

import attrs

from models.rooms.errors import RoomsError
from supervision import Refuse, Refused


class RefuseFor(Refuse):
    """Raise it in a handler: the asker gets `RefusedFor` with the error, the actor goes on."""

    def __init__(self, error: RoomsError) -> None:
        super().__init__(str(error))
        self.error = error

    def answer(self, actor: str) -> Refused:
        return RefusedFor(actor, self.reason, self.error)


@attrs.define(eq=False, slots=False)
class RefusedFor(Refused):
    """The actor said no, for a reason that has a type."""

    error: RoomsError

    def __str__(self) -> str:
        return self.reason
