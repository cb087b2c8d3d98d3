"""The delivery actor of one binding: in order, at its own pace, delaying nobody else."""

from __future__ import annotations

import random
from collections import OrderedDict, deque

import attrs

from actors.machines.room.attempts import Attempts, Hold, Over, Send
from actors.machines.room.steps import Carry, EndStream, OpenStream, StreamMore
from models.rooms.channel import (
    Deliver,
    StreamClosed,
    StreamOpened,
    StreamText,
    TransportMessage,
)
from models.rooms.event import DeliveryError, DeliveryResult
from models.rooms.kinds import DeliveryOutcome
from models.rooms.traffic import ProviderResult
from supervision import (
    Actor,
    ActorRef,
    Mailbox,
    MailboxFull,
    Overflow,
    SupervisionError,
    Wake,
    handles,
)
from supervision.resilience import BreakerStatistics, Circuit

REMEMBERED = 1000
"""Deliveries whose outcome is known again, should the room ask for them twice."""
DELIVER_WITHIN = 60.0
"""Seconds a channel has for one attempt."""
MOST_CRASHES = 3
"""Of the actor, over one event; then the event is given up, and the others have their turn."""
IDLE = 30.0
"""Seconds without work until a delivery actor offers to go."""


@attrs.frozen
class Delivered:
    """An event has been brought, or cannot be. To the room."""

    channel_id: str
    event_id: str
    result: DeliveryResult


@attrs.frozen
class CircuitChanged:
    """The breaker of a binding has opened, or closed again. To the room."""

    channel_id: str
    state: Circuit


@attrs.frozen
class Resting:
    """Nothing was delivered for a while: the actor may go. To the room."""

    channel_id: str


@attrs.frozen
class CutStreams:
    """The room has begun anew: what it was streaming has no end any more."""


@attrs.frozen
class _Answered:
    result: ProviderResult


@attrs.frozen
class _Unreached:
    why: str


@attrs.frozen
class _StreamOver:
    """The channel knows that a stream has ended, or is away."""


@attrs.frozen
class _Idle:
    since: float


@attrs.frozen
class _GoOn:
    """An earlier life of the actor has left work behind."""


@attrs.frozen
class DeliveryStatistics:
    """What a delivery actor has done since it was started."""

    waiting: int
    delivered: int
    failed: int
    retried: int
    joined: int
    """Pieces of streams that were joined because the channel was busy."""
    breaker: BreakerStatistics


Work = Carry | OpenStream | StreamMore | EndStream
DeliveryMessage = Work | CutStreams | _Answered | _Unreached | _StreamOver | _Idle | _GoOn | Wake


@attrs.define(eq=False)
class Ledger:
    """What there is to do for one binding, and what was done: it outlives a crash of the actor.

    The room does not ask again for what it has asked for, so nobody else knows.
    """

    attempts: Attempts
    queue: deque[Work] = attrs.field(factory=deque)
    known: OrderedDict[str, DeliveryResult | None] = attrs.field(factory=OrderedDict)
    """What was carried, by event; None while it is under way."""
    streams: set[tuple[str, str]] = attrs.field(factory=set)
    """Rooms and streams that the channel shows."""
    busy: bool = False
    """The first of the queue is being delivered."""
    crashes: int = 0
    """While that was the first."""
    circuit: Circuit = Circuit.CLOSED
    """As the room knows it."""

    @classmethod
    def of(cls, channel_id: str, seed: int = 0) -> Ledger:
        """An empty one."""
        return cls(Attempts(channel_id, rng=random.Random(seed)))


class Delivery(Actor[DeliveryMessage]):
    """Brings a room's events to one transport, one at a time."""

    # The room admits a bounded number of messages; each of them adds a bounded number of these.
    mailbox = Mailbox(100_000, Overflow.REFUSE)

    def __init__(
        self,
        room: ActorRef[Delivered | Resting | CircuitChanged],
        channels: str,
        channel_id: str,
        ledger: Ledger,
    ) -> None:
        super().__init__()
        self._room = room
        self._path = f"{channels}/{channel_id}"
        """Of the channel's actor, looked up each time: channels come and go."""
        self._id = channel_id
        self._ledger = ledger
        self._last_work = 0.0
        self._delivered = self._failed = self._retried = self._joined = 0

    def on_start(self) -> None:
        self._rest(self.now)
        if self._ledger.queue or self._ledger.streams:
            self.ref.tell(_GoOn())

    @handles
    def on_go_on(self, message: _GoOn) -> None:
        """The key is the same as before, and by that the channel knows what it has in hand."""
        ledger = self._ledger
        self._cut_streams()
        if not ledger.busy:
            self._go()
            return
        ledger.crashes += 1
        ledger.attempts.interrupted(self.now)
        if ledger.crashes >= MOST_CRASHES:
            fault = DeliveryError("delivery_crashed", "its delivery fails again and again")
            self._over(DeliveryResult(self._id, DeliveryOutcome.FAILED, error=fault))
            return
        ledger.attempts.begin()
        self._attempt()

    def statistics(self) -> DeliveryStatistics:
        return DeliveryStatistics(
            len(self._ledger.queue),
            self._delivered,
            self._failed,
            self._retried,
            self._joined,
            self._ledger.attempts.breaker.statistics(),
        )

    @property
    def _channel(self) -> ActorRef[TransportMessage] | None:
        return self.system.find(self._path)

    # -- work -----------------------------------------------------------------------------

    @handles
    def on_carry(self, work: Carry) -> None:
        known = work.event.id in self._ledger.known
        if known:
            # The room has begun anew and does not know what it had asked for.
            result = self._ledger.known[work.event.id]
            if result is not None:
                self._room.tell(Delivered(self._id, work.event.id, result))
            return
        self._ledger.known[work.event.id] = None
        if len(self._ledger.known) > REMEMBERED + len(self._ledger.queue):
            self._ledger.known.popitem(last=False)
        self._ledger.queue.append(work)
        self._go()

    @handles
    def on_stream(self, work: OpenStream | EndStream) -> None:
        self._ledger.queue.append(work)
        self._go()

    @handles
    def on_more(self, work: StreamMore) -> None:
        queue = self._ledger.queue
        last = queue[-1] if queue else None
        if isinstance(last, StreamMore) and last.stream == work.stream:
            queue[-1] = attrs.evolve(last, delta=last.delta + work.delta)
            self._joined += 1
            return
        queue.append(work)
        self._go()

    @handles
    def on_cut(self, message: CutStreams) -> None:
        self._cut_streams()

    def _cut_streams(self) -> None:
        ledger = self._ledger
        ledger.queue = deque(
            work
            for k, work in enumerate(ledger.queue)
            if (k == 0 and ledger.busy) or _is_event(work)
        )
        for room_id, stream in sorted(ledger.streams):
            self._end(StreamClosed(room_id, stream, None, "interrupted"))
        ledger.streams.clear()

    def _go(self) -> None:
        """Do what can be done."""
        while self._ledger.queue and not self._ledger.busy:
            work = self._ledger.queue[0]
            match work:
                case OpenStream():
                    self._ledger.streams.add((work.event.room_id, work.stream))
                    self._tell(StreamOpened(work.event.room_id, work.stream, work.event))
                    self._ledger.queue.popleft()
                case StreamMore():
                    room_id = self._room_of(work.stream)
                    if room_id is not None:
                        self._tell(StreamText(room_id, work.stream, work.delta))
                    self._ledger.queue.popleft()
                case EndStream():
                    room_id = self._room_of(work.stream)
                    self._ledger.queue.popleft()
                    if room_id is not None:
                        self._ledger.streams.discard((room_id, work.stream))
                        self._end(StreamClosed(room_id, work.stream, work.event, work.error))
                case Carry():
                    self._ledger.busy = True
                    self._ledger.attempts.configure(
                        work.binding.rate_limit, work.binding.retry_policy
                    )
                    self._ledger.attempts.begin()
                    self._attempt()

    def _end(self, closed: StreamClosed) -> None:
        """No event is delivered by this, so nothing depends on whether it arrives."""
        channel = self._channel
        if channel is not None:
            reply = channel.ask(closed, timeout=DELIVER_WITHIN)
            self.pipe(reply, to=lambda _: _StreamOver(), failed=lambda _: _StreamOver())

    @handles
    def on_stream_over(self, message: _StreamOver) -> None:
        self._last_work = self.now

    def _room_of(self, stream: str) -> str | None:
        return next((room_id for room_id, name in self._ledger.streams if name == stream), None)

    def _tell(self, message: StreamOpened | StreamText) -> None:
        channel = self._channel
        if channel is None:
            return
        try:
            channel.tell(message)
        except MailboxFull:
            pass  # counted there; the whole text comes with the event

    # -- one event ------------------------------------------------------------------------

    def _attempt(self) -> None:
        decision = self._ledger.attempts.next(self.now)
        match decision:
            case Send():
                self._send()
            case Hold(until=until):
                self.wake_at(until)
            case Over(result=result):
                self._over(result)

    def _send(self) -> None:
        work = self._ledger.queue[0]
        assert isinstance(work, Carry)
        channel = self._channel
        if channel is None:
            self.ref.tell(_Unreached("NoSuchActor"))
            return
        event = work.event
        room_id = self._room_of(work.stream) if work.stream else None
        if room_id is not None:
            self._ledger.streams.discard((room_id, work.stream))
            reply = channel.ask(StreamClosed(room_id, work.stream, event), timeout=DELIVER_WITHIN)
        else:
            deliver = Deliver(event, work.binding, work.to, f"{event.id}:{self._id}")
            reply = channel.ask(deliver, timeout=DELIVER_WITHIN)
        self.pipe(reply, to=_Answered, failed=_unreached)

    @handles
    def on_answered(self, message: _Answered) -> None:
        self._decided(self._ledger.attempts.answered(message.result, self.now))

    @handles
    def on_unreached(self, message: _Unreached) -> None:
        self._decided(self._ledger.attempts.unreached(message.why, self.now))

    def _decided(self, decision: Send | Hold | Over) -> None:
        match decision:
            case Over(result=result):
                self._over(result)
            case Hold(until=until):
                self._retried += 1
                self.wake_at(until)
            case Send():
                self._send()

    @handles
    def on_wake(self, message: Wake) -> None:
        if self._ledger.busy:
            self._attempt()

    def _over(self, result: DeliveryResult) -> None:
        work = self._ledger.queue.popleft()
        assert isinstance(work, Carry)
        self._ledger.busy = False
        self._ledger.crashes = 0
        self._last_work = self.now
        if result.error is None:
            self._delivered += 1
        else:
            self._failed += 1
        self._ledger.known[work.event.id] = result
        self._tell_circuit()
        self._room.tell(Delivered(self._id, work.event.id, result))
        self._go()

    def _tell_circuit(self) -> None:
        state = self._ledger.attempts.breaker.state
        if state is not self._ledger.circuit and state is not Circuit.HALF_OPEN:
            self._ledger.circuit = state
            self._room.tell(CircuitChanged(self._id, state))

    # -- rest -----------------------------------------------------------------------------

    def _rest(self, since: float) -> None:
        self.send_after(IDLE, _Idle(since))

    @handles
    def on_idle(self, message: _Idle) -> None:
        quiet = (
            not self._ledger.queue and not self._ledger.streams and self._last_work <= message.since
        )
        if quiet and self._ledger.attempts.idle:
            self._room.tell(Resting(self._id))
        self._rest(self.now)


def _is_event(work: Work) -> bool:
    return isinstance(work, Carry)


def _unreached(error: Exception) -> _Unreached:
    if not isinstance(error, SupervisionError):
        raise error
    return _Unreached(type(error).__name__)
