"""The user's floor: is this person speaking?

Fed by what the voice detector tells (`models/vad/protocol.py`: runs of windows over the upper or
under the lower threshold) and by the recogniser's words. Says when speech begins, is confirmed,
pauses and goes on; when a *turn* ends is for `endpointing.py` to say.
"""

from __future__ import annotations

import enum

import attrs

from actors.machines.profiles import WINDOW
from models.vad.levels import Level

TRAILING_WINDOWS = 2
"""Windows of silence in a row that make a pause: 64 ms. One is the closure of a "p" or "t"."""


class UserState(enum.Enum):
    """Where a user's floor stands."""

    QUIET = "quiet"
    ONSET = "onset"
    """One window sounded like speech; it may be a click."""
    SPEAKING = "speaking"
    TRAILING = "trailing"
    """A pause inside a turn."""


class UserEvent(enum.Enum):
    """What has just happened on it."""

    ONSET = "onset"
    CLICK = "click"
    """It was no speech after all."""
    CONFIRMED = "confirmed"
    VOICED = "voiced"
    """Still speech, at another length that matters to somebody."""
    PAUSED = "paused"
    RESUMED = "resumed"


@attrs.define
class UserFloor:
    """One person's floor. All times are the node's seconds, at which the sound was made."""

    confirm_windows: int = 2
    state: UserState = attrs.field(default=UserState.QUIET, init=False)
    onset_at: float = attrs.field(default=0.0, init=False)
    """Where speech began, less one window: soft beginnings are below the threshold."""
    last_speech_at: float = attrs.field(default=0.0, init=False)
    """The end of the last window that was not silence, once there was a pause."""
    voiced: float = attrs.field(default=0.0, init=False)
    """Seconds of speech since the onset, as far as it has been told; pauses do not count."""
    run: int = attrs.field(default=0, init=False)
    """Windows of speech in a row, as last told; 0 in a pause."""
    _segment: float = attrs.field(default=0.0, init=False)
    """Where the present stretch of speech began."""
    _voiced_before: float = attrs.field(default=0.0, init=False)

    @property
    def speaking(self) -> bool:
        """Sound is being made now: ONSET or SPEAKING."""
        return self.state is UserState.ONSET or self.state is UserState.SPEAKING

    def voice(self, level: Level, run: int, start_at: float, end_at: float) -> UserEvent | None:
        """`run` windows in a row, from `start_at` to `end_at`, had this level."""
        if level is Level.HIGH:
            return self._high(run, start_at, end_at)
        if level is Level.LOW:
            return self._low(run, start_at)
        return None

    def _high(self, run: int, start_at: float, end_at: float) -> UserEvent | None:
        before = self.state
        self.run = run
        if before is UserState.QUIET:
            self.onset_at = start_at - WINDOW
            self._segment, self._voiced_before = start_at, 0.0
        elif before is UserState.TRAILING:
            self._segment = start_at
        # The clock by which sound is timed may step back by the jitter of the line.
        self.voiced = self._voiced_before + max(0.0, end_at - self._segment)
        if before is UserState.TRAILING:
            self.state = UserState.SPEAKING
            return UserEvent.RESUMED
        if before is UserState.SPEAKING:
            return UserEvent.VOICED
        if run >= self.confirm_windows:
            self.state = UserState.SPEAKING
            return UserEvent.CONFIRMED
        self.state = UserState.ONSET
        return UserEvent.ONSET if before is UserState.QUIET else UserEvent.VOICED

    def _low(self, run: int, start_at: float) -> UserEvent | None:
        if self.state is UserState.ONSET:
            self.reset()
            return UserEvent.CLICK
        if self.state is UserState.SPEAKING and run >= TRAILING_WINDOWS:
            return self.pause(start_at)
        return None

    def pause(self, at: float) -> UserEvent | None:
        """Speech ended at `at`; also what happens when sound stops coming altogether."""
        if not self.speaking:
            return None
        self.state = UserState.TRAILING
        self.last_speech_at = max(at, self._segment)
        self._voiced_before += self.last_speech_at - self._segment
        self.voiced = self._voiced_before
        self.run = 0
        return UserEvent.PAUSED

    def word(self, start_at: float, end_at: float) -> UserEvent | None:
        """The recogniser understood a word of this speech: that confirms it.

        The recogniser may hear what the detector missed; then this is a pause of a turn already.
        """
        if self.state is UserState.ONSET:
            self.state = UserState.SPEAKING
            return UserEvent.CONFIRMED
        if self.state is UserState.QUIET:
            self.onset_at = start_at - WINDOW
            self._segment, self._voiced_before = start_at, max(0.0, end_at - start_at)
            self.voiced = self._voiced_before
            self.state = UserState.TRAILING
            self.last_speech_at = end_at
            return UserEvent.PAUSED
        return None

    def reset(self) -> None:
        """The turn was committed or dropped."""
        self.state = UserState.QUIET
        self.voiced = self._voiced_before = 0.0
        self.run = 0
