"""The inbound track: one person's sound, cut into windows for the detector and passed to the ears.

The recogniser hears only while somebody may be speaking, and then from 300 ms before it was
noticed. Sample numbers become times here, on the assumption that sound is made evenly and comes at
best without delay.
"""

from __future__ import annotations

from math import inf

import attrs

from actors.call.listener import Hear
from actors.machines.decisions import CloseEars, OpenEars
from models.audio import Frame
from models.audio.resample import Resampler
from models.audio.ring import SampleRing
from models.vad.levels import Level
from models.vad.protocol import LeaveVad, VadLeg, VadMessage, Voice, Window
from supervision import Actor, ActorRef, Mailbox, Overflow, handles
from supervision.timers import Timer
from transports.leg import Muted

RING_SECONDS = 1.0
"""Sound kept for the recogniser to begin with: the pre-roll, and what comes until it is asked."""

GAP = 0.3
"""Seconds without a frame, in mid-speech, after which the speech counts as paused."""

REANCHOR = 0.5
"""Seconds by which sound may come late before it is taken for a gap in the stream."""

RATES = (8000, 16000)
"""What detector and recogniser work at; other rates are converted to the last of them."""


@attrs.frozen
class CheckGap:
    """Has sound stopped coming?"""


InboundMessage = Frame | OpenEars | CloseEars | Voice | Muted | CheckGap


@attrs.frozen
class VoiceHeard:
    """The detector told of a run of windows; times are when the sound was made."""

    leg: str
    level: Level
    run: int
    start_at: float
    end_at: float


@attrs.frozen
class Silence:
    """No sound comes from the leg."""

    leg: str


FromInbound = VoiceHeard | Silence


class InboundTrack(Actor[InboundMessage]):
    """Takes one leg's frames."""

    realtime = True
    # Two seconds of frames: whoever is that late will not catch up by hearing all of it.
    mailbox = Mailbox(capacity=100, overflow=Overflow.DROP_OLDEST)

    _session: ActorRef[FromInbound]
    _vad: ActorRef[VadMessage]
    _listener: ActorRef[Hear]

    def __init__(self, leg: str, call: str, vad: str, high_runs: frozenset[int]) -> None:
        """`call` and `vad` are the paths of the leg's call and of the detector."""
        super().__init__()
        self._leg = leg
        self._call = call
        self._vad_path = vad
        self._high_runs = high_runs
        self._rate_in = 0
        self._rate = 0
        self._resampler: Resampler | None = None
        self._vad_leg: VadLeg | None = None
        self._ring: SampleRing | None = None
        self._partial = bytearray()
        self._window_bytes = 0
        self._anchor = inf
        """When sample 0 would have been made."""
        self._heard_to: int | None = None
        """The next sample the listener is to hear; None while the ears are closed."""
        self._last_frame_at = 0.0
        self._muted = False
        self._gaps: Timer | None = None

    def on_start(self) -> None:
        self._session = self.system.ref(f"{self._call}/session")
        self._vad = self.system.ref(self._vad_path)
        self._listener = self.system.ref(f"{self._call}/legs/{self._leg}/listener")

    def on_stop(self) -> None:
        if self._vad_leg is not None:
            self._vad.tell(LeaveVad(self._vad_leg.id))

    def __repr__(self) -> str:
        ears = "open" if self._heard_to is not None else "closed"
        return f"<InboundTrack {self._leg}: ears {ears}>"

    # -- sound ----------------------------------------------------------------------------

    @handles
    def on_frame(self, frame: Frame) -> None:
        pcm = frame.pcm
        if not pcm or self._muted:
            return
        if frame.rate != self._rate_in:
            self._new_rate(frame.rate)
        if self._resampler is not None:
            pcm = self._resampler.process(pcm)
        ring = self._ring
        assert ring is not None
        start = ring.end
        ring.append(pcm)
        self._keep_time(ring.end)
        if self._heard_to is not None:
            self._listener.tell(Hear(pcm, self._rate, self._time(start)))
            self._heard_to = ring.end
        self._window(pcm)

    def _new_rate(self, rate: int) -> None:
        """The first frame, or a wire of another rate: the leg's stream begins anew."""
        self._rate_in = rate
        self._rate = rate if rate in RATES else RATES[-1]
        self._resampler = Resampler(rate, self._rate) if rate != self._rate else None
        self._ring = SampleRing(RING_SECONDS, self._rate)
        if self._vad_leg is not None:
            self._vad.tell(LeaveVad(self._vad_leg.id))
        self._vad_leg = VadLeg(f"{self._call}/{self._leg}", self._rate, self.ref, self._high_runs)
        self._window_bytes = 2 * self._vad_leg.window
        self._partial.clear()
        self._anchor = inf
        if self._heard_to is not None:
            self._heard_to = 0

    def _window(self, pcm: bytes) -> None:
        partial, size, leg, ring = self._partial, self._window_bytes, self._vad_leg, self._ring
        assert leg is not None
        assert ring is not None
        partial += pcm
        while len(partial) >= size:
            window = bytes(memoryview(partial)[:size])
            del partial[:size]
            self._vad.tell(Window(leg, window, ring.end - len(partial) // 2))

    # -- time -----------------------------------------------------------------------------

    def _keep_time(self, end: int) -> None:
        now = self.now
        self._last_frame_at = now
        anchor = now - end / self._rate
        # The frame with the least delay tells best; one that is far too late ends a gap.
        if anchor < self._anchor or anchor > self._anchor + REANCHOR:
            self._anchor = anchor

    def _time(self, sample: int) -> float:
        return self._anchor + sample / self._rate

    @handles
    def on_check_gap(self, message: CheckGap) -> None:
        if self._heard_to is not None and self.now - self._last_frame_at >= GAP:
            self._session.tell(Silence(self._leg))

    # -- ears -----------------------------------------------------------------------------

    @handles
    def on_open(self, message: OpenEars) -> None:
        ring = self._ring
        if ring is None or self._heard_to is not None:
            return
        since = max(0, round((message.since - self._anchor) * self._rate))
        start, pcm = ring.since(since)
        self._heard_to = ring.end
        if pcm:
            self._listener.tell(Hear(pcm, self._rate, self._time(start)))
        if self._gaps is None:
            self._gaps = self.send_every(GAP, CheckGap())

    @handles
    def on_close(self, message: CloseEars) -> None:
        self._heard_to = None
        if self._gaps is not None:
            self._gaps.cancel()
            self._gaps = None

    @handles
    def on_muted(self, message: Muted) -> None:
        self._muted = message.muted
        if message.muted:
            self._session.tell(Silence(self._leg))

    # -- the detector -----------------------------------------------------------------------

    @handles
    def on_voice(self, voice: Voice) -> None:
        start_at, end_at = self._time(voice.start), self._time(voice.end)
        self._session.tell(VoiceHeard(self._leg, voice.level, voice.run, start_at, end_at))
