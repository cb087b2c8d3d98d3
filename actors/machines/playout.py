"""Playing an utterance out, and knowing how far it has been heard.

`FarEnd` keeps the account of one wire: what it was sent and what it has played. `Playout` paces one
utterance at a time into it on absolute deadlines, ducks, holds and resumes it.

Positions are seconds on the utterance's own time line.

Source: the specification's voice quality, 5.
"""

from __future__ import annotations

import enum
from collections import deque
from math import inf

import attrs

from models.audio.gain import GainRamp

LATE = 0.1
"""Seconds a frame may be late and still be made up for; beyond, the clock skips forward."""

KEPT = 2.0
"""Seconds of sound kept behind what was sent, to go back to."""

REPORTS_STOPPED = 1.0
"""Seconds after the expected end at which a far end that says nothing is taken to have played."""

_SOON = 1e-4
"""Seconds before it is due that a frame may be sent: clocks and floats are not that exact."""

DUCK_RAMP_MS = 10.0
RESUME_RAMP_MS = 20.0


@attrs.define
class FarEnd:
    """One wire's far end: how many samples were sent, and how many of them it has played.

    It is taken to play in real time, from the last moment of which it is known how far it was: its
    last report, its last clear, or when it was sent something while it had nothing.
    """

    rate: int
    reports: bool = False
    """It tells what it has played, now and then; the silence of one that does means a stop."""
    sent: int = attrs.field(default=0, init=False)
    """Samples since the wire attached; those that were dropped by a clear are taken off again."""
    _known: int = attrs.field(default=0, init=False)
    """What it had played at `_known_at`."""
    _known_at: float = attrs.field(default=-inf, init=False)

    def send(self, samples: int, at: float) -> None:
        """So many samples were handed to the wire."""
        if self._known_at == -inf or self.played(at) >= self.sent:
            self._known, self._known_at = self.sent, at  # it had nothing: it plays this from now
        self.sent += samples

    def report(self, samples: int, at: float) -> None:
        """It says it has played so many in all."""
        self._known = min(max(samples, 0), self.sent)
        self._known_at = at

    def played(self, at: float) -> int:
        """How many it has played, as far as can be known: never more than it was sent."""
        run = at - self._known_at
        if run <= 0:
            return self._known
        if self.reports and run > REPORTS_STOPPED:
            run = REPORTS_STOPPED
        if run * self.rate >= self.sent - self._known:
            return self.sent
        return self._known + round(run * self.rate)

    def cleared(self, samples: int | None, sent_since: int, at: float) -> int:
        """It has dropped what it had not played; returns what it has played in all.

        Args:
            samples: played in all, as it says itself; None if it cannot count.
            sent_since: samples sent after the clear was; they are not dropped.
        """
        before = self.sent - sent_since
        played = min(self.played(at) if samples is None else max(samples, 0), before)
        self.sent = played + sent_since
        self._known, self._known_at = played, at
        return played

    @property
    def empty_at(self) -> float:
        """When all it was sent will have been played, if it plays in real time."""
        return self._known_at + (self.sent - self._known) / self.rate


class PlayState(enum.Enum):
    """Where an output track stands."""

    IDLE = "idle"
    PLAYING = "playing"
    HELD = "held"


@attrs.define
class _Stretch:
    """Samples of the utterance that were sent without a gap: where on the wire, where in it."""

    wire: int
    start: int
    length: int


@attrs.define
class PlayoutStatistics:
    """Counted over the track's life."""

    frames: int = 0
    skipped: int = 0
    """Times the clock was so late that it skipped forward."""
    starved: int = 0
    """Times the sound ran out in mid-utterance, so that it was heard."""
    stale_dropped: int = 0
    """Pieces of sound that belonged to an utterance that is over."""


@attrs.define
class Playout:
    """One output track: mono s16le at the far end's rate, one utterance at a time."""

    far: FarEnd
    frame: float = 0.02
    """Seconds sent at a time."""
    send_ahead: float = 0.06
    """Seconds that may be under way to the far end."""
    state: PlayState = attrs.field(default=PlayState.IDLE, init=False)
    epoch: int = attrs.field(default=0, init=False)
    ended: bool = attrs.field(default=False, init=False)
    """No more sound of this utterance comes."""
    statistics: PlayoutStatistics = attrs.field(factory=PlayoutStatistics, init=False)
    _sound: bytearray = attrs.field(factory=bytearray, init=False)
    _base: int = attrs.field(default=0, init=False)
    """The utterance's sample that `_sound` begins with."""
    _cursor: int = attrs.field(default=0, init=False)
    """The next sample to send."""
    _due: float = attrs.field(default=-inf, init=False)
    """When the next frame is to be sent."""
    _fresh: bool = attrs.field(default=True, init=False)
    """The clock has just started: the far end has yet to get its `send_ahead`."""
    _stretches: deque[_Stretch] = attrs.field(factory=deque, init=False)
    _settled: int = attrs.field(default=0, init=False)
    """Samples of the utterance played in stretches that are forgotten."""
    _ramp: GainRamp = attrs.field(factory=GainRamp, init=False)
    _dry: bool = attrs.field(default=True, init=False)
    """Nothing is there to send."""

    @property
    def total(self) -> int:
        """Samples of the utterance that have come."""
        return self._base + len(self._sound) // 2

    @property
    def waiting(self) -> float:
        """Seconds of sound that are not sent yet."""
        return (self.total - self._cursor) / self.far.rate

    @property
    def sounded(self) -> bool:
        """Some of the utterance was sent."""
        return self._cursor > 0 or bool(self._stretches)

    @property
    def flowing(self) -> bool:
        """It has something to send."""
        return self.state is PlayState.PLAYING and not self._dry

    def move_to(self, far: FarEnd, at: float) -> None:
        """Another wire takes over, of the same rate: it knows nothing of what the last one had."""
        self._settled = self._at(self.far.played(at))
        self._stretches.clear()
        self.far = far
        self._due = -inf
        if not self._dry:
            self._start(at)

    # -- the utterance --------------------------------------------------------------------

    def begin(self, epoch: int) -> None:
        """Another utterance; nothing is left of the one before."""
        self.epoch = epoch
        self.state = PlayState.PLAYING
        self.ended = False
        self._sound.clear()
        self._base = self._cursor = self._settled = 0
        self._stretches.clear()
        self._dry = True
        self._due = -inf
        self._ramp = GainRamp()

    def add(self, epoch: int, pcm: bytes, at: float) -> bool:
        """Sound of an utterance; False if that utterance is over."""
        if epoch != self.epoch or self.state is PlayState.IDLE:
            self.statistics.stale_dropped += 1
            return False
        self._sound += pcm
        if self._dry and pcm:
            if self.sounded and at > self.far.empty_at and self.state is PlayState.PLAYING:
                self.statistics.starved += 1
            self._start(at)
        return True

    def end(self, epoch: int) -> None:
        """No more sound of this utterance comes."""
        if epoch == self.epoch and self.state is not PlayState.IDLE:
            self.ended = True
            if self._cursor < self.total:
                self._dry = False  # less than a frame may be left: now it is sent

    def _start(self, at: float) -> None:
        """Something is there to send (again).

        Sound that comes in drops does not start a new clock with each of them: the far end would
        get all of it at once.
        """
        earliest = at - self._lead
        if earliest > self._due:
            self._due = earliest
            self._fresh = True
        self._dry = False

    @property
    def _lead(self) -> float:
        """What the first frame of a clock is ahead of time: with it, all of `send_ahead` is out."""
        return max(0.0, self.send_ahead - self.frame)

    # -- pacing ---------------------------------------------------------------------------

    def frames(self, at: float) -> list[bytes]:
        """What is to be sent now, in order."""
        if self._dry or self.state is not PlayState.PLAYING:
            return []
        due, limit = self._due, at + _SOON
        if due > limit:
            return []
        rate = self.far.rate
        size = round(self.frame * rate) or 1
        left = self.total - self._cursor
        late = at - due > LATE + (self._lead if self._fresh else 0.0)
        if late and at - self._lead > due:  # never back: the far end has what was sent before
            due = at - self._lead
            # Less than a frame waited for its end to be told, not for the clock.
            self.statistics.skipped += left >= size
        out = []
        while due <= limit:
            if left < size and not (self.ended and left):
                self._dry = True
                break
            samples = size if left >= size else left
            out.append(self._take(samples, at))
            left -= samples
            due += samples / rate
        self._due = due
        self._fresh = False
        return out

    def _take(self, samples: int, at: float) -> bytes:
        far, cursor = self.far, self._cursor
        first = 2 * (cursor - self._base)
        pcm = bytes(memoryview(self._sound)[first : first + 2 * samples])
        stretches = self._stretches
        last = stretches[-1] if stretches else None
        if last and last.wire + last.length == far.sent and last.start + last.length == cursor:
            last.length += samples
        else:
            self._new_stretch(_Stretch(far.sent, cursor, samples))
        self._cursor = cursor + samples
        far.send(samples, at)
        self.statistics.frames += 1
        behind = self._cursor - self._base - int(KEPT * far.rate)
        if behind > int(KEPT * far.rate):
            del self._sound[: 2 * behind]
            self._base += behind
        ramp = self._ramp
        return pcm if ramp.target == 1.0 and not ramp.moving else ramp.apply(pcm, far.rate)

    def _new_stretch(self, stretch: _Stretch) -> None:
        self._stretches.append(stretch)
        while len(self._stretches) > 64:  # each is a gap; none is asked about so many gaps later
            gone = self._stretches.popleft()
            self._settled = gone.start + gone.length

    @property
    def deadline(self) -> float:
        """When `frames` is next worth calling; inf while there is nothing to send."""
        if self.state is not PlayState.PLAYING or self._dry:
            return inf
        return self._due

    # -- where it stands ------------------------------------------------------------------

    def position(self, at: float) -> float:
        """Seconds of the utterance that have been heard."""
        return self._at(self.far.played(at)) / self.far.rate

    def _at(self, played: int) -> int:
        for stretch in reversed(self._stretches):
            if played > stretch.wire:
                return stretch.start + min(stretch.length, played - stretch.wire)
        return self._settled

    def cleared(self, samples: int | None, sent_since: int, at: float) -> None:
        """The far end has dropped what it had not played (arguments as `FarEnd.cleared`).

        What was sent after the clear moves up on the wire, by as much as was dropped.
        """
        before = self.far.sent - sent_since
        kept = self.far.cleared(samples, sent_since, at)
        stretches: deque[_Stretch] = deque()
        for stretch in self._stretches:
            wire, start, end = stretch.wire, stretch.start, stretch.wire + stretch.length
            if wire < kept:
                stretches.append(_Stretch(wire, start, min(end, kept) - wire))
            if end > before:
                first = max(wire, before)
                stretches.append(_Stretch(first - before + kept, start + first - wire, end - first))
        self._stretches = stretches

    def drained(self, at: float) -> bool:
        """All of it has been heard, as far as can be known."""
        if not self.ended or self.state is not PlayState.PLAYING or self._cursor < self.total:
            return False
        if not self._stretches:
            return True
        last = self._stretches[-1]
        heard = self.far.played(at) >= last.wire + last.length
        return heard or at >= self.far.empty_at + REPORTS_STOPPED

    @property
    def sent_all(self) -> bool:
        """All that has come was sent."""
        return self._cursor >= self.total

    # -- duck, hold, resume, cut ----------------------------------------------------------

    def duck(self, gain: float) -> None:
        """Play quieter; 1.0 is as loud as before."""
        self._ramp.to(gain, DUCK_RAMP_MS)

    def hold(self) -> None:
        """Send no more for now. The caller has the far end drop what it has."""
        if self.state is PlayState.PLAYING:
            self.state = PlayState.HELD

    def resume(self, position: float, at: float) -> None:
        """Go on from there: from silence, in 20 ms."""
        if self.state is not PlayState.HELD:
            return
        self.state = PlayState.PLAYING
        sample = round(position * self.far.rate)
        self._cursor = min(max(sample, self._base), self.total)
        self._ramp = GainRamp(0.0)
        self._ramp.to(1.0, RESUME_RAMP_MS)
        self._due = -inf
        self._dry = True
        if self._cursor < self.total:
            self._start(at)

    def cut(self) -> None:
        """The utterance is over, wherever it stands."""
        self.state = PlayState.IDLE
        self._sound.clear()
        self._dry = True
