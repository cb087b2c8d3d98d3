"""What a far end's player does with the sound it is sent, worked out from times alone.

A pure machine: sound goes in with the time it arrives, and what has been played by any later time
is arithmetic. Nothing ticks, so two hundred of them cost next to nothing. The loopback plays
through one, and so does the client behind `troupe call`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf

import attrs

_ROUNDING = 1e-7
"""Seconds, far below one sample: a deadline that was rounded down must still count as reached."""


@attrs.frozen
class Heard:
    """A piece of sound that was played, or is being played."""

    start: float
    end: float
    pcm: bytes = attrs.field(repr=False)
    """Mono, s16le. Cut where a clear cut it."""

    @property
    def silent(self) -> bool:
        """Not a single sample in it is other than zero."""
        return not self.pcm.strip(b"\0")


@attrs.define(eq=False)
class _Piece:
    start: float
    end: float
    pcm: bytes
    samples: int


@attrs.define(eq=False)
class FarEnd:
    """A player with a buffer against jitter. Times are seconds, and never go back."""

    rate: int
    buffer: float = 0.0
    """Seconds of delay with which it begins to play after it had nothing."""
    record: bool = True
    """Keep what was heard; otherwise only counts and times."""

    received: int = attrs.field(default=0, init=False)
    """Samples so far."""
    dropped: int = attrs.field(default=0, init=False)
    """Samples that were cleared."""
    audible_until: float = attrs.field(default=-inf, init=False)
    """When the last sound that is not digital silence was over, as far as it has been played."""
    _heard: list[Heard] = attrs.field(factory=list, init=False)
    _pieces: deque[_Piece] = attrs.field(factory=deque, init=False)
    """Not played to the end yet."""
    _played: int = attrs.field(default=0, init=False)
    """Samples of pieces that were played to the end, or cut."""
    _now: float = attrs.field(default=-inf, init=False)
    _run_start: float = attrs.field(default=-inf, init=False)
    """When the first sample was played of what is played without a gap."""
    _run_samples: int = attrs.field(default=0, init=False)
    _marks: deque[tuple[float, str]] = attrs.field(factory=deque, init=False)

    # -- what comes -----------------------------------------------------------------------

    def receive(self, pcm: bytes, at: float) -> None:
        """Sound arrives; it is played after all that came before."""
        samples = len(pcm) // 2
        if not samples:
            return
        # `at` may lie a little in the future, where the sound is on its way: nothing is settled.
        if self.ends_at <= at + _ROUNDING:  # it plays nothing by then: begin a new run
            self._run_start = at + self.buffer
            self._run_samples = 0
        start = self.ends_at
        self._run_samples += samples
        self.received += samples
        self._pieces.append(_Piece(start, self.ends_at, pcm, samples))

    def mark(self, name: str, at: float) -> None:
        """Note when all that came before has been played: see `marks_played`."""
        self._marks.append((max(self.ends_at, at), name))

    def clear(self, at: float) -> tuple[int, int]:
        """Drop what has not been played; the marks behind it are dropped with it.

        Returns:
            Samples played so far, and samples dropped now.
        """
        self._settle(at)
        played = self.played(at)
        before, self._played = self._played, played
        if self._pieces and played > before:
            first = self._pieces[0]
            self._keep(first.start, self._now, first.pcm[: 2 * (played - before)])
        dropped = self.received - self.dropped - played
        self.dropped += dropped
        self._pieces.clear()
        self._run_start, self._run_samples = self._now, 0
        while self._marks and self._marks[-1][0] > self._now + _ROUNDING:
            self._marks.pop()
        return played, dropped

    # -- what has been played -------------------------------------------------------------

    @property
    def ends_at(self) -> float:
        """When the last sample received is over; in the past, if it plays nothing."""
        return self._run_start + self._run_samples / self.rate

    def played(self, at: float) -> int:
        """Samples played by then."""
        self._settle(at)
        if not self._pieces or self._now <= self._pieces[0].start:
            return self._played
        first = self._pieces[0]
        return self._played + min(
            int((self._now - first.start + _ROUNDING) * self.rate), first.samples
        )

    def playing(self, at: float) -> bool:
        """Whether something is left to play, or waits in the buffer."""
        self._settle(at)
        return bool(self._pieces)

    @property
    def next_mark(self) -> float:
        """When `marks_played` will have something; `inf` without a mark."""
        return self._marks[0][0] if self._marks else inf

    def marks_played(self, at: float) -> Sequence[str]:
        """Marks that were reached by then, each told once."""
        reached = []
        while self._marks and self._marks[0][0] <= at + _ROUNDING:
            reached.append(self._marks.popleft()[1])
        return reached

    def heard(self, at: float) -> Sequence[Heard]:
        """Everything that was played by then, in order; a piece being played is cut there."""
        played = self.played(at) - self._played
        if not played:
            return tuple(self._heard)
        first = self._pieces[0]
        return (*self._heard, Heard(first.start, self._now, first.pcm[: 2 * played]))

    # -- inside ---------------------------------------------------------------------------

    def _settle(self, at: float) -> None:
        if at > self._now:
            self._now = at
        pieces = self._pieces
        while pieces and pieces[0].end <= self._now + _ROUNDING:
            piece = pieces.popleft()
            self._played += piece.samples
            self._keep(piece.start, piece.end, piece.pcm)

    def _keep(self, start: float, end: float, pcm: bytes) -> None:
        heard = Heard(start, end, pcm)
        if not heard.silent:
            self.audible_until = end
        if self.record:
            self._heard.append(heard)
