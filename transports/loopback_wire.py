"""The wire of a `Loopback`: the actor that the call talks to, and the microphone it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil, inf

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


@attrs.frozen
class Spoken:
    """When the first and the last sample of a piece of speech are said: the node's seconds."""

    start: float
    end: float


Happened = Show | CloseWire | Clear | SendMark | WireEvent | Lost
"""Everything but sound that goes over a wire, either way."""


class Mouth:
    """A microphone: what is to be said, as frames and the times they are due."""

    def __init__(self, rate: int, frame: float, beat: float, *, silence: bool) -> None:
        self._rate = rate
        self._beat = beat
        self._samples = round(rate * frame)
        self._silence = Frame(bytes(2 * self._samples), rate) if silence else None
        self._frames: deque[Frame] = deque()
        self._queued = 0.0
        """Seconds of sound in `_frames`."""
        self._clock = inf
        """When the sample before the next frame was said; `inf` before the microphone is on."""
        self.muted = False

    @property
    def speaking(self) -> bool:
        return bool(self._frames)

    @property
    def due(self) -> float:
        """When the next frame is complete and goes out; `inf` without one."""
        following = self._frames[0] if self._frames else self._silence
        return self._clock + following.seconds if following is not None else inf

    def turn_on(self, at: float) -> None:
        self._clock = ceil(at / self._beat) * self._beat if self._beat else at

    def turn_off(self) -> None:
        self._clock = inf

    def say(self, pcm: bytes, frame_samples: int, at: float) -> Spoken:
        if not self._frames and (self._silence is None or self._clock == inf):
            self._clock = at  # nothing ran on: it begins now, or once the microphone is on
        size = 2 * (frame_samples or self._samples)
        start = self._clock + self._queued
        for begin in range(0, len(pcm), size):
            frame = Frame(pcm[begin : begin + size], self._rate)
            self._frames.append(frame)
            self._queued += frame.seconds
        return Spoken(start, start + len(pcm) / (2 * self._rate))

    def stop(self) -> None:
        self._frames.clear()
        self._queued = 0.0

    def take_due(self, at: float) -> Frame | None:
        """The next frame if it is complete by then; call again until there is none."""
        if self.due > at + 1e-9:
            return None
        if not self._frames:
            frame = self._silence
            assert frame is not None
        else:
            frame = self._frames.popleft()
            self._queued = self._queued - frame.seconds if self._frames else 0.0
        self._clock += frame.seconds
        return frame


@attrs.define(eq=False)
class Device:
    """What the wires of one person have in common: it stays when a wire is lost."""

    mouth: Mouth
    capabilities: WireCapabilities
    latency: float
    """Seconds that anything needs from one end to the other, each way."""
    note: Callable[[Happened], None]
    """Told everything but sound."""
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
        self._device.mouth.turn_on(self.now)
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
        if attached is not None:
            mouth = self._device.mouth
            while (frame := mouth.take_due(now)) is not None:
                if not mouth.muted:
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
        if self._device.wire is self.ref:
            self._device.mouth.turn_off()
        self.wake_at(inf)
        self.stop()

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
        mouth = self._device.mouth.due if self._attached is not None else inf
        answer = self._answers[0][0] if self._answers else inf
        self.wake_at(min(mouth, self._ears.next_mark, self._report_at, self._stuck_at, answer))
