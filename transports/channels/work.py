"""What a channel has in hand: deliveries, and answers that are shown while they are made."""

from __future__ import annotations

from collections import OrderedDict

import attrs
import trio

from models.rooms.event import RoomEvent
from models.rooms.room import ChannelBinding
from models.rooms.traffic import ProviderResult
from supervision import Promise
from transports.channels.streams import StreamedAnswer


@attrs.define(eq=False)
class Job:
    """One delivery, from its first asking to its answer."""

    event: RoomEvent
    to: str
    key: str
    promises: list[Promise[ProviderResult]]
    """Of all who asked for it."""
    admitted: trio.Event = attrs.field(factory=trio.Event)

    def answer(self, result: ProviderResult) -> None:
        promises, self.promises = self.promises, []
        for promise in promises:
            promise.resolve(result)


@attrs.define(eq=False)
class Show:
    """An answer that is shown while it is made."""

    answer: StreamedAnswer
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    promise: Promise[ProviderResult] | None = None
    """Once it is closed."""


@attrs.define(eq=False)
class Bindings:
    """The bindings that were heard of lately. Rooms are never done with, so only so many."""

    most: int
    _by_room: OrderedDict[str, ChannelBinding] = attrs.field(factory=OrderedDict, init=False)

    def keep(self, binding: ChannelBinding) -> None:
        """The newest of its room; the one that was heard of longest ago may have to go."""
        self._by_room[binding.room_id] = binding
        self._by_room.move_to_end(binding.room_id)
        if len(self._by_room) > self.most:
            self._by_room.popitem(last=False)

    def forget(self, room_id: str) -> None:
        self._by_room.pop(room_id, None)

    def get(self, room_id: str) -> ChannelBinding | None:
        return self._by_room.get(room_id)

    def __len__(self) -> int:
        return len(self._by_room)
