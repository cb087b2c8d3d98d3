"""Who is connected to a channel, and to which rooms each is subscribed: pure book-keeping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from models.rooms.kinds import EphemeralType
from supervision import ActorRef
from transports.channels.websocket.protocol import FromChannel

_PRESENT = (EphemeralType.PRESENCE_ONLINE, EphemeralType.PRESENCE_AWAY, EphemeralType.CUSTOM)


@attrs.define(eq=False)
class Subscribed:
    """What one connection has said of itself in one room."""

    typing: bool = False
    present: bool = False


@attrs.define(eq=False)
class Connected:
    """One connection."""

    wire: ActorRef[FromChannel]
    name: str
    participant_id: str
    streams: bool
    rooms: dict[str, Subscribed] = attrs.field(factory=dict)
    failures: int = 0
    """In a row."""


@attrs.frozen
class Farewell:
    """What others in a room have to be told of somebody who left without saying it."""

    room_id: str
    user_id: str
    type: EphemeralType


class Connections:
    """All of a channel, by their wire and by room."""

    def __init__(self) -> None:
        self._all: dict[str, Connected] = {}
        self._rooms: dict[str, dict[str, Connected]] = {}

    def __len__(self) -> int:
        return len(self._all)

    @property
    def rooms(self) -> Sequence[str]:
        """Those that somebody is subscribed to."""
        return list(self._rooms)

    @property
    def subscriptions(self) -> int:
        return sum(map(len, self._rooms.values()))

    def all(self) -> Iterable[Connected]:
        return self._all.values()

    def enter(self, wire: ActorRef[FromChannel], participant_id: str, streams: bool) -> Connected:
        """A connection is there. One that is known stays as it is."""
        known = self._all.get(wire.path)
        if known is not None:
            return known
        name = wire.path.rpartition("/")[2]
        connected = self._all[wire.path] = Connected(wire, name, participant_id, streams)
        return connected

    def get(self, wire: ActorRef[FromChannel]) -> Connected | None:
        return self._all.get(wire.path)

    def in_room(self, room_id: str) -> Sequence[Connected]:
        """All that are subscribed to a room."""
        return list(self._rooms.get(room_id, {}).values())

    def join(self, connected: Connected, room_id: str) -> bool:
        """Subscribe it. Whether it is the first of the room."""
        connected.rooms.setdefault(room_id, Subscribed())
        room = self._rooms.setdefault(room_id, {})
        first = not room
        room[connected.wire.path] = connected
        return first

    def part(self, connected: Connected, room_id: str) -> Sequence[Farewell]:
        """Unsubscribe it."""
        said = connected.rooms.pop(room_id, None)
        room = self._rooms.get(room_id, {})
        room.pop(connected.wire.path, None)
        if not room:
            self._rooms.pop(room_id, None)
        return [] if said is None else self._farewells(connected, room_id, said)

    def leave(self, wire: ActorRef[FromChannel]) -> tuple[Connected | None, Sequence[Farewell]]:
        """Forget a connection. What others are to be told of it."""
        connected = self._all.pop(wire.path, None)
        if connected is None:
            return None, []
        farewells = [bye for room in list(connected.rooms) for bye in self.part(connected, room)]
        return connected, farewells

    def drop_room(self, room_id: str) -> Sequence[Connected]:
        """Forget a room. Returns who was subscribed."""
        subscribed = self.in_room(room_id)
        for connected in subscribed:
            self.part(connected, room_id)
        return subscribed

    def note(self, connected: Connected, room_id: str, kind: EphemeralType) -> None:
        """It says something of itself that others must not go on believing when it is gone."""
        said = connected.rooms.get(room_id)
        if said is None:
            return
        if kind in (EphemeralType.TYPING_START, EphemeralType.TYPING_STOP):
            said.typing = kind is EphemeralType.TYPING_START
        elif kind in _PRESENT:
            said.present = True
        elif kind is EphemeralType.PRESENCE_OFFLINE:
            said.present = False

    def _farewells(
        self, connected: Connected, room_id: str, said: Subscribed
    ) -> Sequence[Farewell]:
        user = connected.participant_id
        others = [other for other in self.in_room(room_id) if other.participant_id == user]
        byes = []
        if said.typing and not any(other.rooms[room_id].typing for other in others):
            byes.append(Farewell(room_id, user, EphemeralType.TYPING_STOP))
        if said.present and not any(other.rooms[room_id].present for other in others):
            byes.append(Farewell(room_id, user, EphemeralType.PRESENCE_OFFLINE))
        return byes


class Ears:
    """The rooms whose passing things are listened to, by the bus's name for the subscription."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, str | None] = {}
        """None while the bus is being asked."""

    def begin(self, room_id: str) -> bool:
        """Somebody is in a room. Whether the bus is to be asked."""
        if room_id in self._subscriptions:
            return False
        self._subscriptions[room_id] = None
        return True

    def begun(self, room_id: str, subscription: str | None) -> None:
        """The bus has answered, or has not."""
        if subscription is None:
            # Rooms can do without what passes; whoever subscribes next has it tried again.
            del self._subscriptions[room_id]
        else:
            self._subscriptions[room_id] = subscription

    def end(self, room_id: str) -> str | None:
        """Nobody is there. The subscription to end, if there is one already."""
        subscription = self._subscriptions.get(room_id)
        if subscription is not None:
            del self._subscriptions[room_id]
        return subscription

    def subscriptions(self) -> Sequence[str]:
        """All there are."""
        return [name for name in self._subscriptions.values() if name is not None]
