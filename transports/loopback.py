"""A far end inside the program: somebody to call without a socket, for tests and benchmarks.

A `Loopback` is one person at one device. It plays what it is sent in real time on the node's clock
(virtual in tests), counts what was played to the sample, answers clears and marks, speaks with a
microphone that sends 20 ms at a time, and can be dropped, come back, or stop reading. It keeps what
was heard and what happened, with times::

    person = Loopback(system, host)
    await person.attach()
    person.speak(pcm)
    said = await person.expect(ShowSaid, within=5.0)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import TypeVar

import attrs
import trio

from models.audio import Frame
from supervision import Actor, ActorRef, Restart, System, Wake, handles
from supervision.secret import Secret
from transports.far_end import FarEnd, Heard
from transports.leg import (
    Attach,
    Attached,
    Clear,
    Cleared,
    CloseWire,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    SendMark,
    Show,
    Typed,
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

E = TypeVar("E", bound="Show | CloseWire | Clear | SendMark | WireEvent | Lost")


@attrs.frozen
class Lost:
    """The wire has ended without anybody hanging up: it was dropped, or did not read."""

    reason: str


@attrs.frozen
class Recorded:
    """Something that happened, and when: the node's seconds."""

    at: float
    message: Show | CloseWire | Clear | SendMark | WireEvent | Lost


@attrs.frozen
class Spoken:
    """When the first and the last sample of a piece of speech are said: the node's seconds."""

    start: float
    end: float


def full_capabilities() -> WireCapabilities:
    """A far end that can do everything, as the web page."""
    return WireCapabilities(reports_played=True, counts_cleared=True, marks=True, shows=True)


class Loopback:
    """A person at a device, in the same program."""

    def __init__(
        self,
        system: System,
        host: ActorRef[Attach],
        *,
        rate: int = 16000,
        rate_out: int = 16000,
        capabilities: WireCapabilities | None = None,
        buffer: float = 0.03,
        latency: float = 0.0,
        frame: float = 0.02,
        microphone: bool = True,
        beat: float = 0.0,
        record: bool = True,
    ) -> None:
        """Nobody has called yet: `await attach()`.

        Args:
            host: who is asked to `Attach`.
            rate: Hz, of what is spoken. `rate_out`: Hz, of what is heard.
            buffer: seconds the player waits before it plays again after it had nothing.
            latency: seconds that anything needs from one end to the other, each way.
            frame: seconds the microphone sends at a time.
            microphone: send silence while nothing is spoken, as a real one does.
            beat: seconds; the microphone begins at a multiple of it, so that those of many
                loopbacks share their wake-ups. At 0.005 two hundred cost half as much.
            record: keep the sound that was heard, not only its counts and times.
        """
        self._system = system
        self._host = host
        self.rate, self.rate_out = rate, rate_out
        self.capabilities = capabilities or full_capabilities()
        self.buffer, self.latency, self.frame = buffer, latency, frame
        self.microphone, self.record = microphone, record
        self.attached: Attached | None = None
        """The newest answer of the host."""
        self.events: list[Recorded] = []
        """Everything but sound, both ways, in order."""
        self.frames_in = 0
        """Frames of sound received, over all wires."""
        self._wire: ActorRef[LoopbackMessage] | None = None
        self._ears: list[FarEnd] = []
        """One for each wire so far."""
        self._mouth = Mouth(rate, frame, beat, silence=microphone)
        self._seen = 0
        self._happened = trio.Event()

    def __repr__(self) -> str:
        where = self._wire.path if self._wire is not None else "nowhere"
        return f"<Loopback {where}: {len(self.events)} events>"

    # -- coming and going -----------------------------------------------------------------

    async def attach(
        self, *, call: str = "", agent: str = "", resume: Secret | None = None
    ) -> Attached:
        """Call, or come into a call, or back with a leg's resume token.

        Raises:
            Refused: the host does not want it. Or what else an ask can end in.
        """
        ears = FarEnd(self.rate_out, self.buffer, self.record)
        wire = await self._system.spawn(LoopbackWire, self, ears, restart=Restart.TEMPORARY)
        request = Attach(
            wire, self.rate, self.rate_out, self.capabilities, call=call, agent=agent, resume=resume
        )
        try:
            self.attached = await self._host.ask(request)
        except BaseException:
            wire.tell(_Leave())
            raise
        self._wire = wire
        self._ears.append(ears)
        wire.tell(_Begin(self.attached))
        return self.attached

    async def reattach(self, resume: Secret | None = None) -> Attached:
        """Come back after `drop()`, to the same leg."""
        if resume is None and self.attached is not None:
            resume = self.attached.resume
        return await self.attach(resume=resume)

    def drop(self) -> None:
        """The connection breaks: the wire is gone without a word."""
        self._tell(_Drop("dropped"))

    def hang_up(self, reason: str = "") -> None:
        """Leave on purpose."""
        self._tell(_Send(HungUp(reason)))

    @property
    def wire(self) -> ActorRef[WireMessage] | None:
        """The newest wire."""
        return self._wire

    async def wait_gone(self) -> None:
        """Wait until the wire has ended, however it ended."""
        if self._wire is not None:
            await self._wire.wait_gone()

    # -- talking --------------------------------------------------------------------------

    def speak(self, pcm: bytes, *, frame_samples: int = 0) -> Spoken:
        """Say this next, after what is being said; returns when that will be.

        Args:
            pcm: mono s16le at `rate`.
            frame_samples: send so many at a time, instead of the microphone's frames.
        """
        spoken = self._mouth.say(pcm, frame_samples, self._system.now)
        self._tell(_Listen())
        return spoken

    @property
    def speaking(self) -> bool:
        """Whether something is still to be said."""
        return self._mouth.speaking

    def shut_up(self) -> None:
        """Break off in the middle of the word."""
        self._mouth.stop()

    def write(self, text: str) -> None:
        """Write instead of speaking."""
        self._tell(_Send(Typed(text)))

    def press(self, digit: str) -> None:
        """Press a key."""
        self._tell(_Send(Dtmf(digit)))

    def mute(self, muted: bool = True) -> None:
        """Turn the microphone off (it then sends nothing), or on again."""
        self._mouth.muted = muted
        self._tell(_Send(Muted(muted)))

    def stop_reading(self) -> None:
        """Read nothing more. What is sent piles up, and after two seconds the wire is lost."""
        self._tell(_Read(False))

    def resume_reading(self) -> None:
        """Read again, what has piled up too."""
        self._tell(_Read(True))

    # -- what was heard -------------------------------------------------------------------

    def played(self) -> int:
        """Samples played since the newest wire attached."""
        return self._ears[-1].played(self._heard_at()) if self._ears else 0

    def heard(self) -> Sequence[Heard]:
        """All that was played so far, over all wires, in order."""
        at = self._heard_at()
        return [heard for ears in self._ears for heard in ears.heard(at)]

    def heard_pcm(self) -> bytes:
        """All sound that was played, without the pauses in between. Mono s16le at `rate_out`."""
        return b"".join(heard.pcm for heard in self.heard())

    def audible_until(self) -> float:
        """When the last sound other than digital silence was over; `-inf` if there was none."""
        at = self._heard_at()
        for ears in self._ears:
            ears.played(at)
        return max((ears.audible_until for ears in self._ears), default=-inf)

    def playing(self) -> bool:
        """Whether it still has something to play."""
        return bool(self._ears) and self._ears[-1].playing(self._heard_at())

    async def wait_heard(self, seconds: float, *, within: float = 5.0) -> None:
        """Wait until so much sound was played since the wire attached."""
        with trio.move_on_after(within):
            while True:
                missing = seconds - self.played() / self.rate_out
                if missing <= 0:
                    return
                await trio.sleep(max(missing, 0.001))
        heard = self.played() / self.rate_out
        raise AssertionError(f"heard {heard:g} s of sound within {within:g} s, not {seconds:g}")

    async def wait_quiet(self, seconds: float = 0.5, *, within: float = 30.0) -> None:
        """Wait until nothing has been played for so long."""
        with trio.move_on_after(within):
            quiet_since = self._system.now
            while self._system.now < quiet_since + seconds:
                await trio.sleep(min(0.02, seconds / 4))
                if self.playing():
                    quiet_since = self._system.now
            return
        raise AssertionError(f"it was never quiet for {seconds:g} s within {within:g} s")

    # -- what happened --------------------------------------------------------------------

    async def expect(
        self, kind: type[E], *, within: float = 1.0, where: Callable[[E], bool] | None = None
    ) -> E:
        """The next event of that type (that fits); those before it are passed over for good.

        Raises:
            AssertionError: none came in time; the message lists what did.
        """
        began = self._seen
        with trio.move_on_after(within):
            while True:
                while self._seen < len(self.events):
                    message = self.events[self._seen].message
                    self._seen += 1
                    if isinstance(message, kind) and (where is None or where(message)):
                        return message
                self._happened = trio.Event()
                await self._happened.wait()
        came = ", ".join(type(event.message).__name__ for event in self.events[began:]) or "nothing"
        raise AssertionError(f"no {kind.__name__} within {within:g} s; what came: {came}")

    def of_type(self, kind: type[E]) -> Sequence[E]:
        """All events of that type so far."""
        return [event.message for event in self.events if isinstance(event.message, kind)]

    # -- for the wire ---------------------------------------------------------------------

    def _note(self, message: Show | CloseWire | Clear | SendMark | WireEvent | Lost) -> None:
        self.events.append(Recorded(self._system.now, message))
        self._happened.set()

    def _tell(self, message: LoopbackMessage) -> None:
        if self._wire is not None and self._wire.alive:
            self._wire.tell(message)

    def _heard_at(self) -> float:
        return self._system.now


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


# -- the wire ---------------------------------------------------------------------------------


@attrs.frozen
class _Begin:
    attached: Attached


@attrs.frozen
class _Send:
    event: WireEvent


@attrs.frozen
class _Listen:
    """There is something to say."""


@attrs.frozen
class _Read:
    reads: bool


@attrs.frozen
class _Drop:
    reason: str


@attrs.frozen
class _Leave:
    """Nobody was let in."""


LoopbackMessage = WireMessage | Wake | _Begin | _Send | _Listen | _Read | _Drop | _Leave


class LoopbackWire(Actor[LoopbackMessage]):
    """The wire of a `Loopback`; it does what the actor of a real connection does."""

    realtime = True

    def __init__(self, person: Loopback, ears: FarEnd) -> None:
        super().__init__()
        self._person = person
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
        person = self._person
        person.frames_in += 1
        self._ears.receive(message.pcm, self.now + person.latency)
        if self._report_at == inf and person.capabilities.reports_played:
            self._report_at = self.now + person.latency + REPORT_SECONDS
            self._wake()

    @handles
    def on_instruction(self, message: Clear | SendMark | CloseWire | Show) -> None:
        if self._over or not self._reads:
            self._pile_up(message)
            return
        arrives = self.now + self._person.latency
        match message:
            case Clear(number):
                self._person._note(message)
                played, dropped = self._ears.clear(arrives)
                if self._person.capabilities.counts_cleared:
                    self._answer(arrives, Cleared(number, played, dropped))
            case SendMark(name):
                self._person._note(message)
                if self._person.capabilities.marks:
                    self._ears.mark(name, arrives)
            case CloseWire():
                self._person._note(message)
                self._end()
            case _:
                if self._person.capabilities.shows:
                    self._person._note(message)
        self._wake()

    # -- from the person ------------------------------------------------------------------

    @handles
    def on_begin(self, message: _Begin) -> None:
        self._attached = message.attached
        self._person._mouth.turn_on(self.now)
        self._wake()

    @handles
    def on_listen(self, message: _Listen) -> None:
        self._wake()

    @handles
    def on_send(self, message: _Send) -> None:
        self._answer(self.now, message.event)
        self._wake()

    @handles
    def on_read(self, message: _Read) -> None:
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
    def on_drop(self, message: _Drop) -> None:
        self._lose(message.reason)

    @handles
    def on_leave(self, message: _Leave) -> None:
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
            mouth = self._person._mouth
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
        self._answers.append((at + self._person.latency, event))
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
                self._person._note(event)
            attached.events.tell(event)
            if isinstance(event, HungUp):
                self._end()

    def _lose(self, reason: str) -> None:
        if not self._over:
            self._person._note(Lost(reason))
            self._end()

    def _end(self) -> None:
        """Nothing comes or goes any more, whatever waits in the mailbox."""
        self._over = True
        if self._person.wire is self.ref:
            self._person._mouth.turn_off()
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
        mouth = self._person._mouth.due if self._attached is not None else inf
        answer = self._answers[0][0] if self._answers else inf
        self.wake_at(min(mouth, self._ears.next_mark, self._report_at, self._stuck_at, answer))
