"""What a detector makes of one window."""

from __future__ import annotations

import enum

THRESHOLD_UP = 0.5
THRESHOLD_DOWN = 0.35


class Level(enum.Enum):
    """A window's probability of speech against the two thresholds (hysteresis)."""

    LOW = "low"
    """p < 0.35."""
    BETWEEN = "between"
    """Neither: whatever it was before goes on. It is part of no run and breaks every run."""
    HIGH = "high"
    """p >= 0.5."""
