"""The wire of a `Loopback`: the actor that the call talks to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

import attrs

from models.audio import Frame
from supervision import Actor, ActorRef, Wake, handles
from transports.far_end import FarEnd
from transports.leg import (
    Attached,
    Clear,
    Cleared,
    CloseWire,
    HungUp,
    MarkPlayed,
    Played,
    SendMark,
    Show,
    WireCapabilities,
    WireEvent,
    WireMessage,
)
from transports.microphones import MicrophonesMessage, Mouth, TurnOff, TurnOn

REPORT_SECONDS = 0.1
"""Between two `Played`, while something is played: what the web page does."""
WRITE_TIMEOUT = 2.0
"""Seconds a far end that does not read is borne; as for every wire."""
MOST_UNREAD = 1000
"""Messages that pile up for a far end that does not read, before it is lost."""


@attrs.frozen
class Lost:
    """The wire has ended without anybody hanging up: it was dropped, or did not read."""

    reason: str


Happened = Show | CloseWire | Clear | SendMark | WireEvent | Lost
"""Everything but sound that goes over a wire, either way."""


@attrs.define(eq=False)
class Device:
    """What the wires of one person have in common: it stays when a wire is lost."""

    mouth: Mouth
    capabilities: WireCapabilities
    latency: float
    """Seconds that anything needs from one end to the other, each way."""
    note: Callable[[Happened], None]
    """Told everything but sound."""
    microphones: ActorRef[MicrophonesMessage] | None
    """Who sends what the mouth says; None: the wire itself."""
    wire: ActorRef[LoopbackMessage] | None = None
    """The newest one."""
    frames_in: int = 0


# -- the wire ---------------------------------------------------------------------------------


@attrs.frozen
class Begin:
    """The call lets it in."""

    attached: Attached


@attrs.frozen
class Send:
    """The person does this."""

    event: WireEvent


@attrs.frozen
class Listen:
    """There is something to say."""


@attrs.frozen
class Read:
    """The far end reads, or no longer does."""

    reads: bool


@attrs.frozen
class Drop:
    """The connection breaks."""

    reason: str


@attrs.frozen
class Leave:
    """Nobody was let in."""


LoopbackMessage = WireMessage | Wake | Begin | Send | Listen | Read | Drop | Leave


class LoopbackWire(Actor[LoopbackMessage]):
    """The wire of a `Loopback`; it does what the actor of a real connection does."""

    realtime = True

    def __init__(self, device: Device, ears: FarEnd) -> None:
        super().__init__()
        self._device = device
        self._ears = ears
        self._attached: Attached | None = None
        self._over = False
        self._reads = True
        self._unread: deque[WireMessage] = deque()
        self._stuck_at = inf
        """When it is lost because nothing is read."""
        self._report_at = inf
        self._answers: deque[tuple[float, WireEvent]] = deque()
        """What the far end has said and has not arrived yet, by time."""

    # -- from the call --------------------------------------------------------------------

    @handles
    def on_frame(self, message: Frame) -> None:
        if self._over or not self._reads:
            self._pile_up(message)
            return
        device = self._device
        device.frames_in += 1
        self._ears.receive(message.pcm, self.now + device.latency)
        if self._report_at == inf and device.capabilities.reports_played:
            self._report_at = self.now + device.latency + REPORT_SECONDS
            self._wake()

    @handles
    def on_instruction(self, message: Clear | SendMark | CloseWire | Show) -> None:
        if self._over or not self._reads:
            self._pile_up(message)
            return
        arrives = self.now + self._device.latency
        match message:
            case Clear(number):
                self._device.note(message)
                played, dropped = self._ears.clear(arrives)
                if self._device.capabilities.counts_cleared:
                    self._answer(arrives, Cleared(number, played, dropped))
            case SendMark(name):
                self._device.note(message)
                if self._device.capabilities.marks:
                    self._ears.mark(name, arrives)
            case CloseWire():
                self._device.note(message)
                self._end()
            case _:
                if self._device.capabilities.shows:
                    self._device.note(message)
        self._wake()

    # -- from the person ------------------------------------------------------------------

    @handles
    def on_begin(self, message: Begin) -> None:
        self._attached = message.attached
        device = self._device
        if device.microphones is None:
            device.mouth.turn_on(self.now)
        else:
            device.microphones.tell(TurnOn(device.mouth, message.attached.audio))
        self._wake()

    @handles
    def on_listen(self, message: Listen) -> None:
        self._wake()

    @handles
    def on_send(self, message: Send) -> None:
        self._answer(self.now, message.event)
        self._wake()

    @handles
    def on_read(self, message: Read) -> None:
        self._reads = message.reads
        if not self._reads:
            return
        self._stuck_at = inf
        while self._unread:
            piled = self._unread.popleft()
            if isinstance(piled, Frame):
                self.on_frame(piled)
            else:
                self.on_instruction(piled)
        self._wake()

    @handles
    def on_drop(self, message: Drop) -> None:
        self._lose(message.reason)

    @handles
    def on_leave(self, message: Leave) -> None:
        self.stop()

    # -- time -----------------------------------------------------------------------------

    @handles
    def on_wake(self, message: Wake) -> None:
        now = self.now
        if self._stuck_at <= now:
            self._lose("the far end does not read")
        if self._over:
            return
        attached = self._attached
        if attached is not None and self._device.microphones is None:
            mouth = self._device.mouth
            while (frame := mouth.take_due(now)) is not None:
                attached.audio.tell(frame)
        for name in self._ears.marks_played(now):
            self._answer(now, MarkPlayed(name))
        if self._report_at <= now:
            self._report(now)
        self._deliver(now)
        self._wake()

    def _report(self, now: float) -> None:
        self._answer(now, Played(self._ears.played(now)))
        self._report_at = now + REPORT_SECONDS if self._ears.playing(now) else inf

    def _answer(self, at: float, event: WireEvent) -> None:
        """The far end says this; it arrives after the latency."""
        self._answers.append((at + self._device.latency, event))
        self._deliver(self.now)

    def _deliver(self, now: float) -> None:
        attached = self._attached
        while (
            attached is not None
            and not self._over
            and self._answers
            and self._answers[0][0] <= now + 1e-9
        ):
            event = self._answers.popleft()[1]
            if not isinstance(event, Played):  # ten a second: they would bury all else
                self._device.note(event)
            attached.events.tell(event)
            if isinstance(event, HungUp):
                self._end()

    def _lose(self, reason: str) -> None:
        if not self._over:
            self._device.note(Lost(reason))
            self._end()

    def _end(self) -> None:
        """Nothing comes or goes any more, whatever waits in the mailbox."""
        self._over = True
        self._turn_off()
        self.wake_at(inf)
        self.stop()

    def on_failure(self, *_: object) -> None:
        self._turn_off()

    def _turn_off(self) -> None:
        device = self._device
        if device.wire is not self.ref:  # another one is in use already
            return
        device.mouth.turn_off()
        if device.microphones is not None:
            device.microphones.tell(TurnOff(device.mouth))

    def _pile_up(self, message: WireMessage) -> None:
        if self._over:
            return
        if len(self._unread) == MOST_UNREAD:
            self._lose("the far end does not read")
            return
        if not self._unread:
            self._stuck_at = self.now + WRITE_TIMEOUT
            self._wake()
        self._unread.append(message)

    def _wake(self) -> None:
        if self._over:
            return
        device = self._device
        own = self._attached is not None and device.microphones is None
        mouth = device.mouth.due if own else inf
        answer = self._answers[0][0] if self._answers else inf
        self.wake_at(min(mouth, self._ears.next_mark, self._report_at, self._stuck_at, answer))
