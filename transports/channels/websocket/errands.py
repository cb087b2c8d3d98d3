"""What a wire asks of the channel and the desk. What becomes of it comes back as a message."""

from __future__ import annotations

from typing import Any, assert_never

from models.rooms.channel import CatchUp, MarkReadBy, Receive
from supervision import Actor, ActorRef, MailboxFull
from transports.channels.websocket.config import RoomWireConfig
from transports.channels.websocket.decisions import Fetch, Join, MarkRead, Part, Pass, Submit
from transports.channels.websocket.outcomes import (
    Answered,
    Joined,
    Marked,
    NotAgain,
    NotAnswered,
    NotMarked,
    Page,
    RoomFailed,
)
from transports.channels.websocket.protocol import (
    Enter,
    Entered,
    FromWire,
    JoinRoom,
    Leave,
    PartRoom,
    Tell,
)

Errand = Join | Part | Fetch | Submit | Pass | MarkRead


class Errands:
    """For one wire that a channel has let in."""

    def __init__(
        self,
        wire: Actor[Any],
        channel: ActorRef[FromWire],
        entered: Entered,
        config: RoomWireConfig,
    ) -> None:
        self._wire = wire
        self._channel = channel
        self._channel_id = entered.channel_id
        self._desk = entered.desk
        self._config = config

    def run(self, errand: Errand) -> None:
        """Do what the machine wants done."""
        match errand:
            case Join():
                self._join(errand)
            case Part(room_id=room_id):
                self._tell(PartRoom(self._wire.ref, room_id))
            case Fetch():
                self._fetch(errand)
            case Submit():
                self._submit(errand)
            case Pass(room_id=room_id, type=kind, data=data):
                self._tell(Tell(self._wire.ref, room_id, kind, data))
            case MarkRead():
                self._mark(errand)
            case _:
                assert_never(errand)

    def enter_again(self, enter: Enter) -> None:
        """The channel has forgotten the wire. An `Entered`, or a `NotAgain`, comes back."""
        self._wire.pipe(
            self._channel.ask(enter, timeout=self._config.enter_timeout),
            to=lambda entered: entered,
            failed=lambda _error: NotAgain(),
        )

    def leave(self) -> None:
        """Have the channel forget the wire."""
        self._tell(Leave(self._wire.ref))

    def _tell(self, message: FromWire) -> None:
        if not self._channel.alive:
            return
        try:
            self._channel.tell(message)
        except MailboxFull:
            # What passes may be lost; and of a room or a connection that it should have
            # forgotten, it hears at the latest when the connection ends.
            pass

    def _join(self, errand: Join) -> None:
        room_id, epoch = errand.room_id, errand.epoch
        join = JoinRoom(self._wire.ref, room_id)
        self._wire.pipe(
            self._channel.ask(join, timeout=self._config.enter_timeout),
            to=lambda _none: Joined(room_id, epoch),
            failed=lambda error: RoomFailed(room_id, epoch, error),
        )

    def _fetch(self, errand: Fetch) -> None:
        room_id, epoch = errand.room_id, errand.epoch
        missed = CatchUp(
            room_id, self._channel_id, errand.after_index, self._config.page, errand.create
        )
        self._wire.pipe(
            self._desk.ask(missed, timeout=self._config.desk_timeout),
            to=lambda events: Page(room_id, epoch, events),
            failed=lambda error: RoomFailed(room_id, epoch, error),
        )

    def _submit(self, errand: Submit) -> None:
        key = errand.message.idempotency_key or ""
        receive = Receive(errand.message, errand.room_id)
        self._wire.pipe(
            self._desk.ask(receive, timeout=self._config.receive_timeout),
            to=lambda result: Answered(key, result),
            failed=lambda error: NotAnswered(key, error),
        )

    def _mark(self, errand: MarkRead) -> None:
        room_id, event_id = errand.room_id, errand.event_id
        mark = MarkReadBy(room_id, self._channel_id, event_id)
        self._wire.pipe(
            self._desk.ask(mark, timeout=self._config.desk_timeout),
            to=lambda _index: Marked(room_id, event_id),
            failed=lambda error: NotMarked(room_id, error),
        )
