"""The actor of a WebSocket channel: it knows who is connected, and brings rooms to them.

The wires of the connections are actors of their own, on the server's port. The channel writes each
event once and gives it to all who are subscribed to its room; every wire has a queue of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any
from uuid import uuid4

import attrs

from models.rooms.channel import (
    BindingChanged,
    Deliver,
    RoomAttached,
    RoomDetached,
    StreamClosed,
    StreamOpened,
    StreamText,
)
from models.rooms.ephemeral import Listen, Publish, StopListening
from models.rooms.kinds import EphemeralType
from models.rooms.traffic import (
    SENT,
    EphemeralEvent,
    FrameworkEvent,
    ProviderResult,
)
from supervision import (
    Actor,
    ActorRef,
    Promise,
    Refuse,
    SupervisionError,
    Terminated,
    handles,
)
from transports.channels.results import failed
from transports.channels.websocket import messages
from transports.channels.websocket.config import RoomWireConfig
from transports.channels.websocket.connections import Connected, Connections, Ears, Farewell
from transports.channels.websocket.protocol import (
    BusMessage,
    ChannelFailed,
    DeskRequest,
    EndStream,
    Enter,
    Entered,
    FromChannel,
    Give,
    JoinRoom,
    Leave,
    LookAgain,
    Notice,
    PartRoom,
    Passing,
    RoomGone,
    Stream,
    Tell,
)
from transports.channels.websocket.statistics import WebSocketStatistics
from transports.channels.websocket.streams import Streams

NOBODY = failed("websocket_send_failed", True)
"""There are connections, and none of them took it."""


@attrs.frozen
class _Given:
    """A connection has accepted something, or has not."""

    fan: int
    wire: ActorRef[FromChannel]
    room_id: str
    ok: bool


@attrs.frozen
class _Listening:
    room_id: str
    subscription: str | None
    """None if the bus did not answer."""


@attrs.define(eq=False)
class _Fan:
    """One event on its way to all connections of a room."""

    promise: Promise[ProviderResult]
    pending: int
    taken: int = 0


class WebSocketChannel(
    Actor[
        Deliver
        | StreamOpened
        | StreamText
        | StreamClosed
        | RoomAttached
        | RoomDetached
        | BindingChanged
        | Enter
        | JoinRoom
        | PartRoom
        | Leave
        | Tell
        | EphemeralEvent
        | Terminated
        | _Given
        | _Listening
    ]
):
    """All connections of one channel id."""

    def __init__(
        self,
        channel_id: str,
        desk: ActorRef[DeskRequest],
        bus: ActorRef[BusMessage],
        config: RoomWireConfig | None = None,
    ) -> None:
        """Nothing is opened: connections come by the wires of `room_wires`.

        Args:
            desk: whom the wires hand what comes in.
            bus: where typing, presence and the like pass through.
        """
        super().__init__()
        self._id = channel_id
        self._desk = desk
        self._bus = bus
        self._config = config or RoomWireConfig()
        self._connections = Connections()
        self._streams = Streams(self._config.streams, self._config.stream_text)
        self._fans: dict[int, _Fan] = {}
        self._numbers = itertools.count(1)
        self._ears = Ears()
        self._deliveries = self._failures = self._dropped = 0

    def __repr__(self) -> str:
        there = self._connections
        return f"<WebSocketChannel {self._id}: {len(there)} connections, {len(there.rooms)} rooms>"

    def on_stop(self) -> None:
        self._send_away()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._send_away()

    def _send_away(self) -> None:
        """The next instance knows nobody: all have to enter again, and be listened for."""
        for subscription in self._ears.subscriptions():
            self._bus.tell(StopListening(subscription))
        for connected in self._connections.all():
            _tell(connected, ChannelFailed())

    def statistics(self) -> WebSocketStatistics:
        return WebSocketStatistics(
            len(self._connections),
            len(self._connections.rooms),
            self._connections.subscriptions,
            len(self._streams),
            self._streams.given_up,
            self._deliveries,
            self._failures,
            self._dropped,
        )

    # -- from rooms -----------------------------------------------------------------------

    @handles
    def on_deliver(self, message: Deliver) -> ProviderResult | None:
        self._deliveries += 1
        give = Give(messages.item_of(message.event))
        return self._give(message.event.room_id, give)

    @handles
    def on_attached(self, message: RoomAttached) -> None:
        """Its connections come when they want to."""

    @handles
    def on_detached(self, message: RoomDetached) -> None:
        room_id = message.room_id
        self._show(*self._streams.room_gone(room_id))
        for connected in self._connections.drop_room(room_id):
            _tell(connected, RoomGone(room_id))
        self._stop_listening(room_id)

    @handles
    def on_binding_changed(self, message: BindingChanged) -> None:
        room_id = message.binding.room_id
        subscribed = self._connections.in_room(room_id)
        if subscribed:
            notice = Notice(room_id, messages.binding(message.binding))
            for connected in subscribed:
                _tell(connected, notice)

    # -- answers in the making --------------------------------------------------------------

    @handles
    def on_stream_opened(self, message: StreamOpened) -> None:
        self._show(*self._streams.opened(message))

    @handles
    def on_stream_text(self, message: StreamText) -> None:
        more = self._streams.said(message)
        if more is not None:
            self._show(more)

    @handles
    def on_stream_closed(self, message: StreamClosed) -> ProviderResult | None:
        self._deliveries += 1
        return self._give(message.room_id, self._streams.closed(message))

    def _show(self, *shown: Stream | EndStream) -> None:
        for show in shown:
            for connected in self._connections.in_room(show.room_id):
                if connected.streams:
                    _tell(connected, show)

    # -- giving to all ------------------------------------------------------------------------

    def _give(self, room_id: str, what: Give | EndStream) -> ProviderResult | None:
        """Give something to all connections of a room; the answer waits for each of them."""
        subscribed = self._connections.in_room(room_id)
        if not subscribed:
            return SENT  # who comes back asks for what was missed
        number = next(self._numbers)
        self._fans[number] = _Fan(self.defer(), len(subscribed))
        for connected in subscribed:
            given = partial(_Given, number, connected.wire, room_id)
            self.pipe(
                connected.wire.ask(what, timeout=self._config.send_timeout),
                to=lambda _none, given=given: given(True),  # type: ignore[misc]
                failed=lambda _error, given=given: given(False),  # type: ignore[misc]
            )
        return None

    @handles
    def on_given(self, message: _Given) -> None:
        connected = self._connections.get(message.wire)
        if connected is not None and message.wire.alive:
            self._judge(connected, message.room_id, message.ok)
        fan = self._fans[message.fan]
        fan.pending -= 1
        # Of those who are gone, nobody is left who should have it.
        gone = self._connections.get(message.wire) is None or not message.wire.alive
        fan.taken += message.ok or gone
        if fan.pending == 0:
            del self._fans[message.fan]
            fan.promise.resolve(SENT if fan.taken else NOBODY)

    def _judge(self, connected: Connected, room_id: str, ok: bool) -> None:
        if ok:
            connected.failures = 0
            return
        self._failures += 1
        connected.failures += 1
        if connected.failures < self._config.most_failures:
            _tell(connected, LookAgain(room_id))
            return
        self._dropped += 1
        self._forget(connected.wire)
        self.start_task(self._stop, connected.wire.path)

    async def _stop(self, path: str) -> None:
        try:
            await self.system.stop(path)
        except SupervisionError:
            pass  # it has gone by itself

    # -- connections ----------------------------------------------------------------------------

    @handles
    def on_enter(self, message: Enter) -> Entered:
        connected = self._connections.enter(message.wire, message.participant_id, message.streams)
        self.watch(message.wire)
        return Entered(self._id, connected.name, self._desk)

    @handles
    def on_join(self, message: JoinRoom) -> None:
        connected = self._connections.get(message.wire)
        if connected is None:
            raise Refuse("enter first")
        known = message.room_id in connected.rooms
        self._connections.join(connected, message.room_id)
        self._listen(message.room_id)
        if not known:
            self._announce("channel_connected", connected, message.room_id)

    @handles
    def on_part(self, message: PartRoom) -> None:
        connected = self._connections.get(message.wire)
        if connected is None or message.room_id not in connected.rooms:
            return
        self._farewell(self._connections.part(connected, message.room_id))
        self._announce("channel_disconnected", connected, message.room_id)
        self._stop_listening(message.room_id)

    @handles
    def on_leave(self, message: Leave) -> None:
        self._forget(message.wire)

    @handles
    def on_terminated(self, message: Terminated) -> None:
        self._forget(message.ref)

    def _forget(self, wire: ActorRef[FromChannel]) -> None:
        known = self._connections.get(wire)
        rooms = [] if known is None else list(known.rooms)
        connected, farewells = self._connections.leave(wire)
        if connected is None:
            return
        self._farewell(farewells)
        for room_id in rooms:
            self._announce("channel_disconnected", connected, room_id)
            self._stop_listening(room_id)

    def _announce(self, kind: str, connected: Connected, room_id: str) -> None:
        """Tell whoever listens to the node."""
        self.system.events.publish(
            FrameworkEvent(
                uuid4().hex,
                kind,
                datetime.now(UTC),
                room_id,
                self._id,
                data={"connection_id": connected.name},
            )
        )

    # -- what passes ------------------------------------------------------------------------------

    @handles
    def on_tell(self, message: Tell) -> None:
        connected = self._connections.get(message.wire)
        if connected is None or message.room_id not in connected.rooms:
            return
        self._connections.note(connected, message.room_id, message.type)
        self._publish(message.room_id, connected.participant_id, message.type, message.data)

    @handles
    def on_ephemeral(self, message: EphemeralEvent) -> None:
        subscribed = self._connections.in_room(message.room_id)
        others = [it for it in subscribed if it.participant_id != message.user_id]
        if others:
            passing = Passing(message.room_id, messages.passing(message))
            for connected in others:
                _tell(connected, passing)

    def _farewell(self, farewells: Sequence[Farewell]) -> None:
        for bye in farewells:
            self._publish(bye.room_id, bye.user_id, bye.type, {})

    def _publish(
        self, room_id: str, user_id: str, kind: EphemeralType, data: Mapping[str, Any]
    ) -> None:
        event = EphemeralEvent(
            uuid4().hex, room_id, kind, user_id, datetime.now(UTC), self._id, data
        )
        self._bus.tell(Publish(event))

    def _listen(self, room_id: str) -> None:
        """Hear what passes through a room that somebody is subscribed to."""
        if self._ears.begin(room_id):
            self.pipe(
                self._bus.ask(Listen(room_id, self.ref)),
                to=lambda subscription: _Listening(room_id, subscription),
                failed=lambda _error: _Listening(room_id, None),
            )

    @handles
    def on_listening(self, message: _Listening) -> None:
        self._ears.begun(message.room_id, message.subscription)
        self._stop_listening(message.room_id)

    def _stop_listening(self, room_id: str) -> None:
        """If nobody is subscribed any more."""
        if not self._connections.in_room(room_id):
            subscription = self._ears.end(room_id)
            if subscription is not None:
                self._bus.tell(StopListening(subscription))


def _tell(connected: Connected, message: FromChannel) -> None:
    """Unless it is gone; that is heard of in a moment."""
    if connected.wire.alive:
        connected.wire.tell(message)
