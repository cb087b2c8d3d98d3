"""One room as a specification: a supervisor, and the room's actor as its first child.

Deliveries, agents and the hook runner join it when they are first needed; each is restarted alone,
because refs outlive restarts and the room knows what was delivered.
"""

from __future__ import annotations

from functools import partial

from actors.room.opening import KeptHooks
from actors.room.plan import RoomsPlan
from actors.room.room import RoomActor
from supervision import ChildSpec, Restart, Strategy, Supervisor
from supervision.resilience import Backoff
from supervision.supervisor import SupervisorMessage

PATIENT = Backoff(base=0.1, factor=2.0, maximum=5.0, quiet=30.0)
"""A store that is away comes back; restarts that waited do not count."""


def room_spec(room_id: str, plan: RoomsPlan) -> ChildSpec[SupervisorMessage]:
    """The room of that id, whose record is in the store."""
    room = ChildSpec("room", partial(RoomActor, room_id, plan, KeptHooks()), backoff=PATIENT)
    return ChildSpec(
        room_id,
        partial(Supervisor, [room], Strategy.ONE_FOR_ONE),
        restart=Restart.PERMANENT,
        backoff=PATIENT,
    )
