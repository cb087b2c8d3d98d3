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

from collections.abc import Callable, Sequence
from math import inf
from typing import TypeVar

import attrs
import trio

from supervision import ActorRef, Restart, System
from supervision.secret import Secret
from transports.far_end import FarEnd, Heard
from transports.leg import (
    Attach,
    Attached,
    Dtmf,
    HungUp,
    Muted,
    Typed,
    WireCapabilities,
    WireMessage,
)
from transports.loopback_wire import (
    Begin,
    Device,
    Drop,
    Happened,
    Leave,
    Listen,
    LoopbackMessage,
    LoopbackWire,
    Read,
    Send,
)
from transports.loopback_wire import Lost as Lost
from transports.microphones import Microphones as Microphones
from transports.microphones import MicrophonesMessage, Mouth, Spoken

E = TypeVar("E", bound=Happened)


@attrs.frozen
class Recorded:
    """Something that happened, and when: the node's seconds."""

    at: float
    message: Happened


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
        microphones: ActorRef[MicrophonesMessage] | None = None,
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
            microphones: a `Microphones` shared by many loopbacks, which costs each of them less.
            record: keep the sound that was heard, not only its counts and times.
        """
        self._system = system
        self._host = host
        self.rate, self.rate_out = rate, rate_out
        self._buffer, self._record = buffer, record
        self._device = Device(
            Mouth(rate, frame, silence=microphone),
            capabilities or full_capabilities(),
            latency,
            self._note,
            microphones,
        )
        self.attached: Attached | None = None
        """The newest answer of the host."""
        self.events: list[Recorded] = []
        """Everything but sound, both ways, in order."""
        self._ears: list[FarEnd] = []
        """One for each wire so far."""
        self._seen = 0
        self._happened = trio.Event()

    def __repr__(self) -> str:
        where = self.wire.path if self.wire is not None else "nowhere"
        return f"<Loopback {where}: {len(self.events)} events>"

    # -- coming and going -----------------------------------------------------------------

    async def attach(
        self, *, call: str = "", agent: str = "", resume: Secret | None = None
    ) -> Attached:
        """Call, or come into a call, or back with a leg's resume token.

        Raises:
            Refused: the host does not want it. Or what else an ask can end in.
        """
        ears = FarEnd(self.rate_out, self._buffer, self._record)
        wire = await self._system.spawn(LoopbackWire, self._device, ears, restart=Restart.TEMPORARY)
        request = Attach(
            wire,
            self.rate,
            self.rate_out,
            self._device.capabilities,
            call=call,
            agent=agent,
            resume=resume,
        )
        try:
            self.attached = await self._host.ask(request)
        except BaseException:
            wire.tell(Leave())
            raise
        self._device.wire = wire
        self._ears.append(ears)
        wire.tell(Begin(self.attached))
        return self.attached

    async def reattach(self, resume: Secret | None = None) -> Attached:
        """Come back after `drop()`, to the same leg."""
        if resume is None and self.attached is not None:
            resume = self.attached.resume
        return await self.attach(resume=resume)

    def drop(self) -> None:
        """The connection breaks: the wire is gone without a word."""
        self._tell(Drop("dropped"))

    def hang_up(self, reason: str = "") -> None:
        """Leave on purpose."""
        self._tell(Send(HungUp(reason)))

    @property
    def wire(self) -> ActorRef[WireMessage] | None:
        """The newest wire."""
        return self._device.wire

    @property
    def frames_in(self) -> int:
        """Frames of sound received, over all wires."""
        return self._device.frames_in

    async def wait_gone(self) -> None:
        """Wait until the wire has ended, however it ended."""
        if self.wire is not None:
            await self.wire.wait_gone()

    # -- talking --------------------------------------------------------------------------

    def speak(self, pcm: bytes, *, frame_samples: int = 0) -> Spoken:
        """Say this next, after what is being said; returns when that will be.

        Args:
            pcm: mono s16le at `rate`.
            frame_samples: send so many at a time, instead of the microphone's frames.
        """
        spoken = self._device.mouth.say(pcm, frame_samples, self._system.now)
        self._tell(Listen())
        return spoken

    @property
    def speaking(self) -> bool:
        """Whether something is still to be said."""
        return self._device.mouth.speaking

    def shut_up(self) -> None:
        """Break off in the middle of the word."""
        self._device.mouth.stop()

    def write(self, text: str) -> None:
        """Write instead of speaking."""
        self._tell(Send(Typed(text)))

    def press(self, digit: str) -> None:
        """Press a key."""
        self._tell(Send(Dtmf(digit)))

    def mute(self, muted: bool = True) -> None:
        """Turn the microphone off (it then sends nothing), or on again."""
        self._device.mouth.muted = muted
        self._tell(Send(Muted(muted)))

    def stop_reading(self) -> None:
        """Read nothing more. What is sent piles up, and after two seconds the wire is lost."""
        self._tell(Read(False))

    def resume_reading(self) -> None:
        """Read again, what has piled up too."""
        self._tell(Read(True))

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

    def _note(self, message: Happened) -> None:
        self.events.append(Recorded(self._system.now, message))
        self._happened.set()

    def _tell(self, message: LoopbackMessage) -> None:
        wire = self._device.wire
        if wire is not None and wire.alive:
            wire.tell(message)

    def _heard_at(self) -> float:
        return self._system.now
