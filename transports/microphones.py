"""Microphones of loopbacks: what a person says, as frames at the times they are due.

One alone is woken by its own wire, fifty times a second. That is most of what a loopback costs, so
in a load test many of them share a `Microphones`, which serves all that are due at a beat in one
step::

    microphones = await system.spawn(Microphones)
    people = [Loopback(system, host, microphones=microphones) for _ in range(200)]
"""

from __future__ import annotations

from collections import deque
from math import ceil, inf

import attrs

from models.audio import Frame
from supervision import Actor, ActorRef, handles


@attrs.frozen
class Spoken:
    """When the first and the last sample of a piece of speech are said: the node's seconds."""

    start: float
    end: float


class Mouth:
    """A microphone: what is to be said, as frames and the times they are due."""

    def __init__(self, rate: int, frame: float, *, silence: bool) -> None:
        self._rate = rate
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
        self._clock = at

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
        """The next frame if it is complete by then; call again until there is none.

        Muted, what is said is lost, and nothing is sent.
        """
        while self.due <= at + 1e-9:
            frame = self._next()
            if not self.muted:
                return frame
        return None

    def _next(self) -> Frame:
        if not self._frames:
            frame = self._silence
            assert frame is not None
        else:
            frame = self._frames.popleft()
            self._queued = self._queued - frame.seconds if self._frames else 0.0
        self._clock += frame.seconds
        return frame


@attrs.frozen
class TurnOn:
    """Send what this mouth says there, from the next beat on."""

    mouth: Mouth
    audio: ActorRef[Frame]


@attrs.frozen
class TurnOff:
    """This mouth has nobody to talk to any more."""

    mouth: Mouth


@attrs.frozen
class Beat:
    """See who is due."""


MicrophonesMessage = TurnOn | TurnOff


class Microphones(Actor[MicrophonesMessage | Beat]):
    """The microphones of many loopbacks, on one beat."""

    realtime = True

    def __init__(self, beat: float = 0.005) -> None:
        """None is on yet.

        Args:
            beat: seconds. Microphones begin at a multiple of it, so those that are turned on at
                different times are spread over the beats of one frame.
        """
        super().__init__()
        self._beat = beat
        self._on: dict[int, TurnOn] = {}
        """By identity of the mouth."""

    def on_start(self) -> None:
        self._first = self.now
        self.send_every(self._beat, Beat())

    @handles
    def on_turn_on(self, message: TurnOn) -> None:
        beats = ceil((self.now - self._first) / self._beat)
        message.mouth.turn_on(self._first + beats * self._beat)
        self._on[id(message.mouth)] = message

    @handles
    def on_turn_off(self, message: TurnOff) -> None:
        self._on.pop(id(message.mouth), None)

    @handles
    def on_beat(self, message: Beat) -> None:
        now = self.now
        for on in self._on.values():
            while (frame := on.mouth.take_due(now)) is not None:
                on.audio.tell(frame)
