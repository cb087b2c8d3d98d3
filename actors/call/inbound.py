"""The inbound track: one person's sound, cut into windows for the detector and passed to the ears.

The recogniser hears only while somebody may be speaking, and then from 300 ms before it was
noticed. Sample numbers become times here, on the assumption that sound is made evenly and comes at
best without delay.
"""

from __future__ import annotations

import logging
from math import inf

import attrs

from actors.call.bridge import LegSound
from actors.call.listener import Hear, ListenerHere
from actors.machines.decisions import AskOpinion, CloseEars, OpenEars
from models.audio import Frame
from models.audio.resample import Resampler
from models.audio.ring import SampleRing
from models.turn.protocol import LONGEST, RATE, JudgeTurn, TurnJudgement
from models.vad.levels import Level
from models.vad.protocol import LeaveVad, VadLeg, VadMessage, Voice, Window
from supervision import Actor, ActorRef, Mailbox, Overflow, handles
from supervision.timers import Timer
from transports.leg import Muted

logger = logging.getLogger("troupe.inbound")

RING_SECONDS = 5.0
"""Sound kept for the recogniser to begin with: the pre-roll, and what comes until it is asked."""

JUDGED_BEFORE = 0.5
"""Seconds before the onset that an end-of-turn model hears."""

JUDGE_WITHIN = 1.0
"""Seconds in which its answer may still be worth something."""

GAP = 0.3
"""Seconds without a frame, in mid-speech, after which the speech counts as paused."""

REANCHOR = 0.5
"""Seconds by which sound may come late before it is taken for a gap in the stream."""

RATES = (8000, 16000)
"""What detector and recogniser work at; other rates are converted to the last of them."""


@attrs.frozen
class CheckGap:
    """Has sound stopped coming?"""


@attrs.frozen
class Confer:
    """Others are in the call who are to hear this leg, or no longer are."""

    on: bool


@attrs.frozen
class Retell:
    """The session begins again: close the ears, and tell it whether there is speech now."""


@attrs.frozen
class Judged:
    """The end-of-turn model has answered."""

    token: int
    judgement: TurnJudgement


@attrs.frozen
class Unjudged:
    """It has not."""

    error: Exception


InboundMessage = (
    Frame
    | OpenEars
    | CloseEars
    | AskOpinion
    | Judged
    | Unjudged
    | Voice
    | Muted
    | Confer
    | Retell
    | ListenerHere
    | CheckGap
)


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


@attrs.frozen
class Opinion:
    """What the end-of-turn model thinks of the turn it was asked about."""

    leg: str
    token: int
    probability: float


@attrs.frozen
class InboundHere:
    """The track runs (again); its ears are closed."""

    leg: str


FromInbound = VoiceHeard | Silence | Opinion | InboundHere


class InboundTrack(Actor[InboundMessage]):
    """Takes one leg's frames."""

    realtime = True
    # Two seconds of frames: whoever is that late will not catch up by hearing all of it.
    mailbox = Mailbox(capacity=100, overflow=Overflow.DROP_OLDEST)

    _session: ActorRef[FromInbound]
    _vad: ActorRef[VadMessage]
    _listener: ActorRef[Hear]

    def __init__(
        self, leg: str, call: str, vad: str, high_runs: frozenset[int], judge: str = ""
    ) -> None:
        """`call`, `vad` and `judge` are the paths of the leg's call, of the detector and of the
        end-of-turn model; "" is none.
        """
        super().__init__()
        self._leg = leg
        self._call = call
        self._vad_path = vad
        self._high_runs = high_runs
        self._judge_path = judge
        self._bridge: ActorRef[LegSound] | None = None
        """Who passes the sound on to the others in the call, if there are any."""
        self._voice: Voice | None = None
        """What the detector told last."""
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
        self._poured_to = 0
        """The next sample that the listener has not heard."""
        self._after_gap = 0
        """The first sample after the last gap: of those before it the times are not known."""
        self._last_frame_at = 0.0
        self._muted = False
        self._gaps: Timer | None = None

    def on_start(self) -> None:
        self._session = self.system.ref(f"{self._call}/session")
        self._vad = self.system.ref(self._vad_path)
        self._listener = self.system.ref(f"{self._call}/legs/{self._leg}/listener")
        self._session.tell(InboundHere(self._leg))

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
        self._keep_time(start, ring.end)
        if self._heard_to is not None:
            self._listener.tell(Hear(pcm, self._rate, self._time(start)))
            self._heard_to = self._poured_to = ring.end
        if self._bridge is not None:
            self._bridge.tell(LegSound(self._leg, pcm, self._rate))
        self._window(pcm)

    def _new_rate(self, rate: int) -> None:
        """The first frame, or a wire of another rate: the leg's stream begins anew."""
        self._rate_in = rate
        self._rate = rate if rate in RATES else RATES[-1]
        self._resampler = Resampler(rate, self._rate) if rate != self._rate else None
        self._ring = SampleRing(self._ring_seconds, self._rate)
        if self._vad_leg is not None:
            self._vad.tell(LeaveVad(self._vad_leg.id))
        self._vad_leg = VadLeg(f"{self._call}/{self._leg}", self._rate, self.ref, self._high_runs)
        self._window_bytes = 2 * self._vad_leg.window
        self._partial.clear()
        self._anchor = inf
        self._poured_to = self._after_gap = 0
        if self._heard_to is not None:
            self._heard_to = 0

    @property
    def _ring_seconds(self) -> float:
        return max(RING_SECONDS, LONGEST) if self._judge_path else RING_SECONDS

    @handles
    def on_confer(self, message: Confer) -> None:
        self._bridge = self.system.ref(f"{self._call}/bridge") if message.on else None

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

    def _keep_time(self, start: int, end: int) -> None:
        now = self.now
        self._last_frame_at = now
        anchor = now - end / self._rate
        # The frame with the least delay tells best; one that is far too late ends a gap.
        if anchor > self._anchor + REANCHOR:
            self._after_gap = start
        if anchor < self._anchor or anchor > self._anchor + REANCHOR:
            self._anchor = anchor

    def _time(self, sample: int) -> float:
        return self._anchor + sample / self._rate

    def _sample(self, at: float) -> int:
        return max(0, round((at - self._anchor) * self._rate))

    @handles
    def on_check_gap(self, message: CheckGap) -> None:
        if self._heard_to is not None and self.now - self._last_frame_at >= GAP:
            self._session.tell(Silence(self._leg))

    # -- ears -----------------------------------------------------------------------------

    @handles
    def on_open(self, message: OpenEars) -> None:
        if self._heard_to is not None:
            return
        if self._ring is None:
            self._heard_to = 0  # no sound has come yet, and all that does is to be heard
        else:
            # What the listener has heard already it is not to hear again.
            self._pour(max(self._sample(message.since), self._poured_to))
        if self._gaps is None:
            self._gaps = self.send_every(GAP, CheckGap())

    def _pour(self, since: int) -> None:
        """Have the listener hear what is kept from that sample on."""
        ring = self._ring
        if ring is None:
            return
        start, pcm = ring.since(since)
        self._heard_to = self._poured_to = ring.end
        if pcm:
            self._listener.tell(Hear(pcm, self._rate, self._time(start)))

    @handles
    def on_listener(self, message: ListenerHere) -> None:
        """The listener runs (again): it has missed what it was in the middle of."""
        if self._heard_to is not None:
            since = self._sample(max(self.now - RING_SECONDS, message.told_until))
            self._pour(max(since, self._after_gap))

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
        self._voice = voice
        self._tell_voice(voice)

    @handles
    def on_retell(self, message: Retell) -> None:
        self.on_close(CloseEars(self._leg))
        if self._voice is not None:
            self._tell_voice(self._voice)

    def _tell_voice(self, voice: Voice) -> None:
        start_at, end_at = self._time(voice.start), self._time(voice.end)
        self._session.tell(VoiceHeard(self._leg, voice.level, voice.run, start_at, end_at))

    # -- the end-of-turn model ----------------------------------------------------------------

    @handles
    def on_ask_opinion(self, message: AskOpinion) -> None:
        judge: ActorRef[JudgeTurn] | None = self.system.find(self._judge_path)
        ring = self._ring
        if judge is None or ring is None:
            return
        _start, pcm = ring.since(self._sample(message.since - JUDGED_BEFORE))
        if self._rate != RATE:
            whole = Resampler(self._rate, RATE)
            pcm = whole.process(pcm) + whole.flush()
        token = message.token
        self.pipe(
            judge.ask(JudgeTurn(pcm, message.text), timeout=JUDGE_WITHIN),
            to=lambda judgement: Judged(token, judgement),
            failed=Unjudged,
        )

    @handles
    def on_judged(self, message: Judged) -> None:
        self._session.tell(Opinion(self._leg, message.token, message.judgement.probability))

    @handles
    def on_unjudged(self, message: Unjudged) -> None:
        """No answer is no hint, and the delay without one stands."""
        logger.debug("%s: no end of turn was judged: %s", self.path, message.error)
