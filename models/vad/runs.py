"""Runs: how many windows in a row have had the same level. A machine without a clock."""

from __future__ import annotations

import attrs

from models.vad.levels import THRESHOLD_DOWN, THRESHOLD_UP, Level


def level_of(probability: float) -> Level:
    """A window's level. The upper threshold is HIGH itself, the lower one is not LOW."""
    if probability >= THRESHOLD_UP:
        return Level.HIGH
    return Level.LOW if probability < THRESHOLD_DOWN else Level.BETWEEN


@attrs.define
class Run:
    """The run that a leg is in."""

    level: Level = Level.BETWEEN
    length: int = 0
    """Windows, the newest included; 0 while there is no run."""
    start: int = 0
    """Its first sample."""

    def heard(self, probability: float, start: int) -> None:
        """The next window, whose first sample is `start`, has this probability of speech."""
        level = level_of(probability)
        if level is Level.BETWEEN:
            self.break_off()
        elif level is self.level:
            self.length += 1
        else:
            self.level, self.length, self.start = level, 1, start

    def break_off(self) -> None:
        """What comes next begins a new run, whatever it is."""
        self.level, self.length = Level.BETWEEN, 0
