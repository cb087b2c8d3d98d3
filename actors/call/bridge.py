"""The bridge: in a call of several people each hears the others, beside the agent.

It works only while there are two or more: then the inbound tracks tell it what they take in, and
once in 20 ms it tells each outbound track the sum of all others. Sound that comes unevenly is
smoothed by a short buffer for each leg; what does not fit in there is dropped and counted.
"""

from __future__ import annotations

import attrs

from actors.call.outbound import Others, OutboundMessage
from models.audio.mixing import mix_minus
from models.audio.resample import Resampler
from supervision import Actor, ActorRef, handles
from supervision.timers import Timer

RATE = 16000
"""Hz, of the mix."""

TICK = 0.02

JITTER = 0.06
"""Seconds of sound kept for one leg, at most."""

CUSHION = 0.03
"""Seconds of a leg's sound that are there before it is passed on: frames come unevenly."""

_TICK_BYTES = 2 * round(RATE * TICK)
_CUSHION_BYTES = 2 * round(RATE * CUSHION)
_MOST_BYTES = 2 * round(RATE * JITTER)


@attrs.frozen
class Member:
    """Somebody in the call."""

    leg: str
    outbound: ActorRef[OutboundMessage]


@attrs.frozen
class Conference:
    """These are in the call from now on."""

    members: tuple[Member, ...]


@attrs.frozen
class LegSound:
    """What a leg has taken in: mono s16le."""

    leg: str
    pcm: bytes = attrs.field(repr=False)
    rate: int


@attrs.frozen
class Mix:
    """The next 20 ms are due."""


BridgeMessage = Conference | LegSound | Mix


@attrs.frozen
class BridgeHere:
    """The bridge runs (again), and needs to know who is there."""


@attrs.frozen
class BridgeStatistics:
    """What a bridge has done since it was started."""

    members: int
    mixes: int
    dropped: int
    """Samples that came faster than they could be passed on."""
    stale: int
    """Sounds of legs that are not in the call."""


@attrs.define(eq=False)
class _Voice:
    """One leg's sound, waiting."""

    outbound: ActorRef[OutboundMessage]
    sound: bytearray = attrs.field(factory=bytearray)
    resampler: Resampler | None = None
    flows: bool = False

    def take(self) -> bytes:
        """The next 20 ms; silence where nothing has come."""
        self.flows = len(self.sound) >= (_TICK_BYTES if self.flows else _CUSHION_BYTES)
        if not self.flows:
            return bytes(_TICK_BYTES)
        pcm = bytes(self.sound[:_TICK_BYTES])
        del self.sound[:_TICK_BYTES]
        return pcm


class Bridge(Actor[BridgeMessage]):
    """Mixes for one call."""

    realtime = True

    def __init__(self, call: str) -> None:
        """`call` is its path."""
        super().__init__()
        self._call = call
        self._voices: dict[str, _Voice] = {}
        self._ticking: Timer | None = None
        self._mixes = self._dropped = self._stale = 0

    def on_start(self) -> None:
        session: ActorRef[BridgeHere] | None = self.system.find(f"{self._call}/session")
        if session is not None:
            session.tell(BridgeHere())

    def __repr__(self) -> str:
        return f"<Bridge {self._call}: {len(self._voices)} legs>"

    def statistics(self) -> BridgeStatistics:
        return BridgeStatistics(len(self._voices), self._mixes, self._dropped, self._stale)

    @handles
    def on_conference(self, message: Conference) -> None:
        members = message.members if len(message.members) > 1 else ()
        before = self._voices
        self._voices = {m.leg: before.get(m.leg) or _Voice(m.outbound) for m in members}
        if self._voices and self._ticking is None:
            self._ticking = self.send_every(TICK, Mix())
        elif not self._voices and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    @handles
    def on_sound(self, message: LegSound) -> None:
        voice = self._voices.get(message.leg)
        if voice is None:
            self._stale += 1
            return
        pcm = message.pcm
        if message.rate != RATE:
            if voice.resampler is None or voice.resampler.rate_in != message.rate:
                voice.resampler = Resampler(message.rate, RATE)
            pcm = voice.resampler.process(pcm)
        voice.sound += pcm
        if len(voice.sound) > _MOST_BYTES:
            surplus = len(voice.sound) - _MOST_BYTES
            del voice.sound[:surplus]
            self._dropped += surplus // 2

    @handles
    def on_mix(self, message: Mix) -> None:
        voices = list(self._voices.values())
        if not any(len(voice.sound) >= _TICK_BYTES for voice in voices):
            return  # nobody's microphone is on
        self._mixes += 1
        heard = mix_minus([voice.take() for voice in voices])
        for voice, pcm in zip(voices, heard, strict=True):
            voice.outbound.tell(Others(pcm, RATE))
