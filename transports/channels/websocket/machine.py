"""The room wire as a pure machine: what one connection is told, and what it wants done.

No socket, no clock, no waiting. Whatever happens goes in, decisions come out, to be carried out in
their order. What holds whatever comes when: of a room each event is sent once, in the order of
indices, and none after the one the client asked for is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from models.rooms.event import NOTHING
from models.rooms.traffic import InboundMessage, InboundResult
from supervision.resilience import TokenBucket
from supervision.secret import Secret
from transports.channels.websocket import messages
from transports.channels.websocket.config import RoomWireConfig
from transports.channels.websocket.decisions import (
    Chunk,
    ComeIn,
    Decision,
    Decisions,
    Fetch,
    Hang,
    Join,
    Part,
    Phase,
    RoomCounters,
    Say,
    Submit,
    passing_of,
)
from transports.channels.websocket.messages import Hello, Item, Unfit
from transports.channels.websocket.timeline import Timeline


class RoomWireMachine:
    """One connection. Times are seconds on any one clock."""

    def __init__(self, config: RoomWireConfig, at: float) -> None:
        self.config = config
        self.phase = Phase.STARTING
        self.counters = RoomCounters()
        self.deadline = at + config.hello_timeout
        """When the hello must have come."""
        self.rooms: dict[str, Timeline] = {}
        self._hello: Hello | None = None
        self._channel_id = ""
        self._epochs = 0
        self._waiting: dict[str, tuple[str, str]] = {}
        """Messages that have no answer yet: room and the client's id, by idempotency key."""
        self._answering: set[str] = set()
        """Keys whose room has yet to answer, told to the client or not: what is in flight."""
        rate = config.frames_per_second
        self._frames = TokenBucket(rate, max(1.0, 2 * rate))
        self._faults = TokenBucket(config.faults_per_second, config.faults_burst)

    def __repr__(self) -> str:
        who = self._hello.participant_id if self._hello else "nobody yet"
        return f"<RoomWireMachine {self.phase.value}: {who}, {len(self.rooms)} rooms>"

    @property
    def participant_id(self) -> str:
        """Who is there; "" before the hello."""
        return self._hello.participant_id if self._hello else ""

    @property
    def shows_streams(self) -> bool:
        return self._hello is not None and self._hello.stream

    @property
    def in_flight(self) -> int:
        return len(self._answering)

    # -- coming in --------------------------------------------------------------------------

    def time_passed(self, at: float) -> Decisions:
        """The deadline may have come."""
        if self.phase is not Phase.STARTING or at < self.deadline:
            return ()
        return self.turn_away("no_hello", "no hello came in time", 4408)

    def entered(self, channel_id: str, connection: str) -> Decisions:
        """The channel has let it in, or has let it in again."""
        if self.phase is Phase.OVER:
            return ()
        self._channel_id = channel_id
        if self.phase is Phase.OPEN:
            return [self._join(room_id) for room_id in self.rooms]
        self.phase = Phase.OPEN
        return [Say(messages.ready(channel_id, connection, self.participant_id))]

    def turn_away(self, code: str, problem: str, close_code: int) -> Decisions:
        """It cannot stay: say why and close."""
        if self.phase is Phase.OVER:
            return ()
        self.phase = Phase.OVER
        return [Say(messages.fault(Unfit(code, problem))), Hang(close_code, code)]

    def over(self) -> None:
        """The connection has ended."""
        self.phase = Phase.OVER

    # -- what the client says -----------------------------------------------------------------

    def binary_came(self, at: float) -> Decisions:
        """A frame that is no text."""
        return self._unfit(Unfit("not_text", "frames are texts that hold JSON"), at)

    def text_came(self, text: str, at: float) -> Decisions:
        """A frame of the client."""
        if self.phase is Phase.OVER:
            return ()
        self.counters.frames_in += 1
        if not self._frames.try_take(at):
            self.counters.over_rate += 1
            problem = f"more than {self.config.frames_per_second:g} frames a second"
            return self._unfit(Unfit("rate_limited", problem), at)
        try:
            if len(text) > self.config.most_text:
                problem = f"a frame has at most {self.config.most_text} characters"
                raise Unfit("too_large", problem)
            return self._obey(messages.read(text))
        except Unfit as unfit:
            return self._unfit(unfit, at)

    def _unfit(self, unfit: Unfit, at: float) -> Decisions:
        """One bad frame ends nothing; but before the hello, or in a flood of them, it does."""
        if self.phase is Phase.OVER:
            return ()
        self.counters.refused += 1
        answer = Say(messages.fault(unfit))
        if self.phase is Phase.STARTING:
            self.phase = Phase.OVER
            return [answer, Hang(4400, "the first frame is a hello")]
        if not self._faults.try_take(at):
            self.phase = Phase.OVER
            return [answer, Hang(1008, "too many frames that had to be refused")]
        return [answer]

    def _obey(self, said: Hello | messages.Said) -> Decisions:
        if self.phase is not Phase.OPEN:
            return self._come_in(said)
        match said:
            case messages.Hello():
                raise Unfit("bad_frame", "hello was said already", {"about": "hello"})
            case messages.Ping(id=name):
                return [Say(messages.frame("pong", **({} if name is None else {"id": name})))]
            case messages.Subscribe():
                return self._subscribe(said)
            case messages.Unsubscribe(room_id=room_id):
                self._room(room_id, "unsubscribe")
                return self.left(room_id)
            case messages.Message():
                return self._submit(said)
            case _:
                self._room(said.room_id, messages.NAMES[type(said)])
                return [passing_of(said)]

    def _come_in(self, said: Hello | messages.Said) -> Decisions:
        if self.phase is Phase.ENTERING:
            raise Unfit("not_ready", "wait for the answer to your hello")
        if not isinstance(said, Hello):
            raise Unfit("bad_frame", "the first frame is a hello")
        token = Secret(said.token) if said.token else None
        # The token is in one place, and that one does not show it.
        self._hello = hello = attrs.evolve(said, token=None)
        self.phase = Phase.ENTERING
        return [ComeIn(hello, token)]

    def _room(self, room_id: str, about: str) -> Timeline:
        room = self.rooms.get(room_id)
        if room is None:
            fields = {"about": about, "room_id": room_id}
            raise Unfit("not_subscribed", "subscribe to the room first", fields)
        return room

    def _submit(self, said: messages.Message) -> Decisions:
        def no(code: str, reason: str) -> Decisions:
            return [Say(messages.refused(said.id, said.room_id, code, reason))]

        if said.room_id not in self.rooms:
            return no("not_subscribed", "subscribe to the room first")
        key = messages.key_of(self.participant_id, said.id)
        if key in self._answering:
            return no("in_flight", "a message of that id waits for its room's answer")
        if len(self._answering) >= self.config.in_flight:
            return no("too_many", f"{self.config.in_flight} messages wait for their answers")
        self._answering.add(key)
        self._waiting[key] = (said.room_id, said.id)
        name = self._hello.display_name if self._hello else None
        message = InboundMessage(
            self._channel_id,
            self.participant_id,
            said.content,
            said.event_type,
            parent_event_id=said.parent_event_id,
            idempotency_key=key,
            visibility=said.visibility,
            addressed_to=said.addressed_to,
            metadata={"display_name": name} if name else NOTHING,
        )
        return [Submit(said.room_id, message)]

    # -- rooms ----------------------------------------------------------------------------------

    def _subscribe(self, said: messages.Subscribe) -> Decisions:
        room = self.rooms.get(said.room_id)
        if room is None:
            if len(self.rooms) >= self.config.rooms:
                fields = {"about": "subscribe", "room_id": said.room_id}
                raise Unfit("too_many", f"at most {self.config.rooms} rooms at once", fields)
            room = Timeline(said.room_id, self.config.live)
            self.rooms[said.room_id] = room
        if said.after_index is not None:
            room.sent = max(-1, said.after_index)
        room.announced = False
        room.create = said.create
        return [self._join(said.room_id)]

    def _join(self, room_id: str) -> Join:
        self._epochs += 1
        self.rooms[room_id].begin(self._epochs)
        return Join(room_id, self._epochs)

    def joined(self, room_id: str, epoch: int) -> Decisions:
        """The channel sends the room's events from now on."""
        room = self._current(room_id, epoch)
        return [] if room is None else [Fetch(room_id, epoch, room.sent, room.create)]

    def page(self, room_id: str, epoch: int, items: Sequence[Item], *, full: bool) -> Decisions:
        """What was fetched.

        Args:
            full: there may be more.
        """
        room = self._current(room_id, epoch)
        if room is None:
            return []
        decisions: list[Decision] = []
        fresh, more = room.page(items, full=full)
        if not room.announced:
            room.announced = True
            latest = max([room.sent, *(item.index for item in room.held)])
            decisions.append(
                Say(messages.frame("subscribed", room_id=room_id, latest_index=latest))
            )
        for item in fresh:
            decisions += self._send(item)
        if more:
            decisions.append(Fetch(room_id, epoch, room.sent))
        else:
            index = room.sent
            decisions.append(Say(messages.frame("caught_up", room_id=room_id, index=index)))
        return decisions

    def room_failed(self, room_id: str, epoch: int, code: str, reason: str) -> Decisions:
        """A room cannot be joined, or its events not be fetched."""
        if self._current(room_id, epoch) is None:
            return []
        fields = {"about": "subscribe", "room_id": room_id}
        return [Say(messages.fault(Unfit(code, reason, fields))), *self.left(room_id)]

    def left(self, room_id: str, why: str = "") -> Decisions:
        """The client wants no more of a room, or there is no more."""
        if self.rooms.pop(room_id, None) is None:
            return []
        reason = {"reason": why} if why else {}
        text = messages.frame("unsubscribed", room_id=room_id, **reason)
        return [Part(room_id), Say(text)]

    def fell_behind(self, room_id: str) -> Decisions:
        """Something of the room may have been missed: look."""
        room = self.rooms.get(room_id)
        return [] if room is None or self.phase is not Phase.OPEN else [self._join(room_id)]

    def _current(self, room_id: str, epoch: int) -> Timeline | None:
        """The room, unless the answer is to a question that was asked before the last one."""
        room = self.rooms.get(room_id)
        if room is None or room.epoch != epoch or self.phase is not Phase.OPEN:
            return None
        return room

    # -- what the channel says ----------------------------------------------------------------

    def event_came(self, item: Item) -> Decisions:
        """Something happened in a room."""
        if self.phase is not Phase.OPEN:
            return []
        room = self.rooms.get(item.room_id)
        if room is None:
            return self._known(item)
        if not room.live:
            room.hold(item)
            return self._known(item)
        if item.index <= room.sent:
            self.counters.doubles += 1
            return self._known(item)
        room.sent = item.index
        return self._send(item)

    def _send(self, item: Item) -> list[Decision]:
        self.counters.events_out += 1
        return [*self._known(item), Say(item.text)]

    def _known(self, item: Item) -> list[Decision]:
        """If it is a message of this client, it may know now."""
        waited = self._waiting.pop(item.key, None) if item.key else None
        if waited is None:
            return []
        room_id, name = waited
        return [Say(messages.accepted(name, room_id, item.event_id, item.index))]

    def stream_came(self, start: str, chunk: Chunk) -> Decisions:
        """More of an answer that is being made; an empty delta is its beginning.

        Args:
            start: the frame that begins it, for who comes late.
        """
        room = self.rooms.get(chunk.room_id)
        if room is None or not room.live or not self.shows_streams or self.phase is Phase.OVER:
            return []
        decisions: list[Decision] = []
        if chunk.stream_id not in room.streams:
            room.streams.add(chunk.stream_id)
            decisions.append(Say(start))
        if chunk.delta:
            decisions.append(chunk)
        return decisions

    def stream_ended(
        self, room_id: str, stream_id: str, item: Item | None, *, segmented: bool, error: str | None
    ) -> Decisions:
        """An answer is made, or cut off; its event comes by this word alone."""
        if self.phase is not Phase.OPEN:
            return []
        room = self.rooms.get(room_id)
        begun = room is not None and stream_id in room.streams
        if room is not None:
            room.streams.discard(stream_id)
        decisions: list[Decision] = []
        if begun and (error is not None or item is None):
            text = messages.stream_error(room_id, stream_id, error or "it came to nothing")
            decisions.append(Say(text))
            begun = False
        if item is None or (segmented and not begun):
            return decisions
        if not begun:
            return [*decisions, *self.event_came(item)]
        return [*decisions, *self._end(room, stream_id, item, segmented=segmented)]

    def _end(
        self, room: Timeline | None, stream_id: str, item: Item, *, segmented: bool
    ) -> Decisions:
        """`stream_end` with the event in it, if it is the event's turn."""
        assert room is not None
        if segmented:
            return [Say(messages.stream_end(room.room_id, stream_id, item, known=False))]
        if room.live and item.index > room.sent:
            room.sent = item.index
            self.counters.events_out += 1
            known = self._known(item)
            return [*known, Say(messages.stream_end(room.room_id, stream_id, item, known=False))]
        # It has it already, or gets it among those that are being fetched.
        text = messages.stream_end(room.room_id, stream_id, item, known=True)
        return [*self.event_came(item), Say(text)]

    # -- answers -------------------------------------------------------------------------------

    def answered(self, key: str, result: InboundResult) -> Decisions:
        """A room has dealt with a message, and with all that it caused."""
        self._answering.discard(key)
        waited = self._waiting.pop(key, None)
        if waited is None or self.phase is not Phase.OPEN:
            return []
        room_id, name = waited
        event = result.event
        if result.blocked:
            code = (event.blocked_by if event is not None else None) or result.reason or "blocked"
            reason = result.reason or "the room does not take it"
            return [Say(messages.refused(name, room_id, code, reason))]
        event_id, index = (None, None) if event is None else (event.id, event.index)
        return [Say(messages.accepted(name, room_id, event_id, index))]

    def refused(self, key: str, code: str, reason: str) -> Decisions:
        """A room has said no, or nothing."""
        self._answering.discard(key)
        waited = self._waiting.pop(key, None)
        if waited is None or self.phase is not Phase.OPEN:
            return []
        room_id, name = waited
        return [Say(messages.refused(name, room_id, code, reason))]

    def not_done(self, about: str, room_id: str, code: str, reason: str) -> Decisions:
        """Something other than a message could not be done."""
        if self.phase is not Phase.OPEN:
            return []
        return [Say(messages.fault(Unfit(code, reason, {"about": about, "room_id": room_id})))]
