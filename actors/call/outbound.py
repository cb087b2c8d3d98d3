"""The outbound track: what one person hears, on time, and how far they have heard it.

Thin around `machines/playout.py`. It ticks only while there is something to play, on a grid that
all tracks of the node share, so that one wake-up of the loop serves many of them.
"""

from __future__ import annotations

import math

import attrs

from actors.machines.decisions import Begin, Drop, Duck, Hold, Resume
from actors.machines.playout import FarEnd, Playout, PlayState
from actors.machines.profiles import DUCK_DB
from models.audio import Frame
from models.audio.mixing import mix
from models.audio.resample import Resampler
from supervision import Actor, ActorRef, Request, handles
from supervision.timers import Timer
from transports.leg import Clear, Cleared, Played, WireCapabilities, WireMessage

GRID = 0.005
"""Seconds between the moments at which tracks may tick."""

PROGRESS_EVERY = 0.2
"""Seconds between two reports of the position while playing."""

STARVED_AFTER = 0.3
"""Seconds without sound, with more due, after which the session is told."""

OTHERS_KEPT = 0.06
"""Seconds of other people's sound that wait to be mixed into the agent's."""

DUCK_GAIN = 10 ** (DUCK_DB / 20)


@attrs.frozen
class Sound:
    """Some more of an utterance: mono s16le."""

    epoch: int
    pcm: bytes
    rate: int


@attrs.frozen
class SoundEnds:
    """No more sound of the utterance comes."""

    epoch: int


@attrs.frozen
class NewWire:
    """Play to this wire from now on."""

    wire: ActorRef[WireMessage]
    rate: int
    capabilities: WireCapabilities
    fresh: bool = True
    """Nothing was sent to it yet."""


@attrs.frozen
class WireGone:
    """There is nobody to play to for now."""


@attrs.frozen
class Others:
    """What the other people in the call say, mixed: 20 ms of mono s16le."""

    pcm: bytes = attrs.field(repr=False)
    rate: int


@attrs.frozen
class Tick:
    """Time to send the next frame."""


@attrs.frozen
class Whereabouts:
    """Where a track stands."""

    epoch: int
    position: float


@attrs.frozen
class WhereAreYou(Request[Whereabouts]):
    """Be silent, and say what you were playing and how far it was heard."""


OutboundMessage = (
    Sound
    | SoundEnds
    | Begin
    | Duck
    | Hold
    | Resume
    | Drop
    | NewWire
    | WireGone
    | Played
    | Cleared
    | Others
    | Tick
    | WhereAreYou
)

# -- what it tells the session ------------------------------------------------------------------


@attrs.frozen
class Started:
    """The first sound of the utterance was handed to the wire."""

    leg: str
    epoch: int


@attrs.frozen
class Progress:
    """So many seconds of the utterance have been heard."""

    leg: str
    epoch: int
    position: float


@attrs.frozen
class Held:
    """It is silent since that position."""

    leg: str
    epoch: int
    position: float
    exact: bool


@attrs.frozen
class Starved:
    """There is nothing to play, with more due."""

    leg: str
    epoch: int


@attrs.frozen
class Drained:
    """The utterance has been heard to its end."""

    leg: str
    epoch: int
    position: float


@attrs.frozen
class TrackLost:
    """The track restarted: what it was playing is gone."""

    leg: str


FromOutbound = Started | Progress | Held | Starved | Drained | TrackLost


@attrs.frozen
class TrackHere:
    """The track runs (again), and needs to know its wire."""

    track: ActorRef[OutboundMessage]


class OutboundTrack(Actor[OutboundMessage]):
    """Plays to one leg."""

    realtime = True

    _session: ActorRef[FromOutbound]

    def __init__(self, leg: str, call: str) -> None:
        """`call` is the path of the leg's call, below which its siblings are found."""
        super().__init__()
        self._leg = leg
        self._call = call
        self._wire: ActorRef[WireMessage] | None = None
        self._capabilities = WireCapabilities()
        self._playout = Playout(FarEnd(16000))
        self._resampler: Resampler | None = None
        self._ticking: Timer | None = None
        self._started_epoch = 0
        self._starved_epoch = 0
        self._report_at = 0.0
        self._clear = 0
        """Number of the last clear that was sent; 0 when it has been answered."""
        self._clears = 0
        self._sent_since_clear = 0
        self._counts = True
        """It is known how much of what the wire has played is not this track's: `_before`."""
        self._before = 0
        """Samples that the wire had played when this track's first was sent."""
        self._others = b""
        self._others_resampler: Resampler | None = None
        self._sent_at = 0.0
        """When sound of the utterance was sent last."""

    def on_start(self) -> None:
        self._session = self.system.ref(f"{self._call}/session")
        line: ActorRef[TrackHere] = self.system.ref(f"{self._call}/legs/{self._leg}/line")
        line.tell(TrackHere(self.ref))

    def __repr__(self) -> str:
        playout = self._playout
        return f"<OutboundTrack {self._leg}: {playout.state.value}, {playout.waiting:.1f} s wait>"

    # -- the wire -------------------------------------------------------------------------

    @handles
    def on_wire(self, message: NewWire) -> None:
        if not message.fresh and self._wire is None:
            self._session.tell(TrackLost(self._leg))
        self._wire = message.wire
        self._capabilities = message.capabilities
        playout = self._playout
        if playout.far.rate != message.rate:
            held = Playout(FarEnd(message.rate))
            held.statistics = playout.statistics
            if playout.state is not PlayState.IDLE:
                # Positions are samples at the wire's rate: another rate is another time line.
                self._session.tell(TrackLost(self._leg))
            self._playout = playout = held
            self._resampler = None
        # What a track that crashed has sent is in the wire's counts until a clear tells how much.
        self._counts, self._before = message.fresh, 0
        can_tell = message.fresh or message.capabilities.counts_cleared
        far = FarEnd(message.rate, message.capabilities.reports_played and can_tell)
        playout.move_to(far, self.now)
        playout.frame = message.capabilities.frame
        playout.send_ahead = message.capabilities.send_ahead
        if not message.fresh:
            self._send_clear()
        elif playout.state is PlayState.PLAYING and playout.sounded:
            # It came before the old wire was known to be lost. The session says where to go on.
            playout.hold()
            self._stop_ticking()
            self._tell_held(exact=True)

    @handles
    def on_wire_gone(self, message: WireGone) -> None:
        self._wire = None
        self._clear = 0
        self._hold_here()

    @handles
    def on_played(self, message: Played) -> None:
        if self._counts and not self._clear:
            self._playout.far.report(message.samples - self._before, self.now)

    @handles
    def on_cleared(self, message: Cleared) -> None:
        if message.number != self._clear:
            return
        self._clear = 0
        if not self._counts:
            self._counts, self._before = True, message.samples
        counts = self._capabilities.counts_cleared
        exact = message.samples - self._before if counts else None
        self._playout.cleared(exact, self._sent_since_clear, self.now)
        if self._playout.state is PlayState.HELD:
            self._tell_held(exact=True)

    def _send_clear(self) -> None:
        self._clears += 1
        self._clear = self._clears
        self._sent_since_clear = 0
        if self._wire is not None:
            self._wire.tell(Clear(self._clear))

    # -- the utterance --------------------------------------------------------------------

    @handles
    def on_begin(self, message: Begin) -> None:
        self._playout.begin(message.epoch)
        if self._resampler is not None:
            self._resampler.reset()  # else the tail of the last utterance is heard in this one
        if self._wire is None:
            self._playout.hold()  # whoever comes back is told where to go on

    @handles
    def on_sound(self, message: Sound) -> None:
        pcm = message.pcm
        rate = self._playout.far.rate
        if message.rate != rate and message.epoch == self._playout.epoch:
            if self._resampler is None or self._resampler.rate_in != message.rate:
                self._resampler = Resampler(message.rate, rate)
            pcm = self._resampler.process(pcm)
        if self._playout.add(message.epoch, pcm, self.now) and self._wire is not None:
            self._play()

    @handles
    def on_sound_ends(self, message: SoundEnds) -> None:
        playout = self._playout
        if self._resampler is not None and message.epoch == playout.epoch and not playout.ended:
            playout.add(message.epoch, self._resampler.flush(), self.now)
        playout.end(message.epoch)
        self._play()

    @handles
    def on_duck(self, message: Duck) -> None:
        self._playout.duck(DUCK_GAIN if message.on else 1.0)

    @handles
    def on_hold(self, message: Hold) -> None:
        if message.epoch != self._playout.epoch:
            return
        if self._playout.state is PlayState.HELD:
            self._tell_held(exact=not self._clear)
        else:
            self._hold_here()

    def _hold_here(self) -> None:
        playout = self._playout
        if playout.state is not PlayState.PLAYING:
            return
        playout.hold()
        self._stop_ticking()
        if not playout.sounded or self._wire is None:
            self._tell_held(exact=True)
            return
        self._send_clear()
        if self._capabilities.counts_cleared:
            self._tell_held(exact=False)
            return
        self._clear = 0
        playout.cleared(None, 0, self.now)
        self._tell_held(exact=True)

    def _tell_held(self, *, exact: bool) -> None:
        playout = self._playout
        position = playout.position(self.now)
        self._session.tell(Held(self._leg, playout.epoch, position, exact))

    @handles
    def on_resume(self, message: Resume) -> None:
        playout = self._playout
        if message.epoch == playout.epoch and self._wire is not None:
            playout.resume(message.position, self.now)
            self._play()

    @handles
    def on_drop(self, message: Drop) -> None:
        if message.epoch == self._playout.epoch:
            self._playout.cut()
            self._stop_ticking()

    @handles
    def on_where(self, message: WhereAreYou) -> Whereabouts:
        self._hold_here()
        return Whereabouts(self._playout.epoch, self._playout.position(self.now))

    # -- pacing ---------------------------------------------------------------------------

    @handles
    def on_tick(self, message: Tick) -> None:
        self._play()

    def _play(self) -> None:
        playout = self._playout
        wire = self._wire
        if wire is None or playout.state is not PlayState.PLAYING:
            return
        now = self.now
        frames = playout.frames(now)
        if frames:
            rate = playout.far.rate
            self._sent_at = now
            for pcm in frames:
                wire.tell(Frame(self._mixed(pcm), rate))
                self._sent_since_clear += len(pcm) // 2
            if self._started_epoch != playout.epoch:
                self._started_epoch = playout.epoch
                self._report_at = now + PROGRESS_EVERY
                self._session.tell(Started(self._leg, playout.epoch))
        if now >= self._report_at and playout.sounded:
            self._report_at = now + PROGRESS_EVERY
            self._session.tell(Progress(self._leg, playout.epoch, playout.position(now)))
        if playout.drained(now):
            position = playout.total / playout.far.rate
            self._session.tell(Drained(self._leg, playout.epoch, position))
            playout.cut()
            self._stop_ticking()
            return
        self._look_whether_starved(now)
        if self._ticking is None and (playout.sounded or playout.waiting):
            first = (math.floor(now / GRID) + 1) * GRID
            self._ticking = self.send_every(playout.frame, Tick(), first=first)

    def _look_whether_starved(self, now: float) -> None:
        playout = self._playout
        if playout.ended or not playout.sounded or not playout.sent_all:
            self._starved_epoch = 0 if not playout.sent_all else self._starved_epoch
            return
        dry_since = self._sent_at + playout.send_ahead
        if self._starved_epoch != playout.epoch and now >= dry_since + STARVED_AFTER:
            self._starved_epoch = playout.epoch
            self._session.tell(Starved(self._leg, playout.epoch))

    def _stop_ticking(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    # -- other people -----------------------------------------------------------------------

    @handles
    def on_others(self, message: Others) -> None:
        """While the agent speaks they are mixed into its frames, otherwise they go as they are."""
        wire = self._wire
        if wire is None:
            return
        pcm, rate = self._others + self._at_wire_rate(message), self._playout.far.rate
        if self._playout.flowing:
            self._others = pcm[-2 * round(OTHERS_KEPT * rate) :]
            return
        self._others = b""
        self._playout.far.send(len(pcm) // 2, self.now)
        self._sent_since_clear += len(pcm) // 2
        wire.tell(Frame(pcm, rate))

    def _at_wire_rate(self, message: Others) -> bytes:
        rate = self._playout.far.rate
        if message.rate == rate:
            return message.pcm
        resampler = self._others_resampler
        if resampler is None or (resampler.rate_in, resampler.rate_out) != (message.rate, rate):
            resampler = self._others_resampler = Resampler(message.rate, rate)
        return resampler.process(message.pcm)

    def _mixed(self, pcm: bytes) -> bytes:
        if not self._others:
            return pcm
        other, self._others = self._others[: len(pcm)], self._others[len(pcm) :]
        return mix([pcm, other])
