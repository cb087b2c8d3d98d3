"""Voice activity: the conversation with the node's detector.

One actor serves all legs of the node. A track tells it `Window`s; what comes back are *changes*,
told to the leg's `to`: a leg in steady speech or steady silence costs no message. A window carries
its leg's whole description, so a detector that was restarted knows all it needs at the next one.
"""

from __future__ import annotations

import attrs

from models.vad.levels import Level
from supervision import ActorRef


@attrs.frozen
class Voice:
    """`run` windows in a row have had this level; told at the run lengths the leg asked for."""

    leg: str
    level: Level
    run: int
    start: int
    """The first sample of the run, counted in the leg's own samples from its first one."""
    end: int
    """One past the last sample of the window that made it so."""
    probability: float
    """Of that window."""


@attrs.frozen(eq=False)
class VadLeg:
    """Who is listened to, and when they want to be told."""

    id: str
    rate: int
    """8000 or 16000."""
    to: ActorRef[Voice]
    high_runs: frozenset[int] = frozenset({1, 2})
    """Tell when so many windows in a row were HIGH."""
    low_runs: frozenset[int] = frozenset({1, 2, 7})
    """Tell when so many windows in a row were LOW (32 ms each)."""

    @property
    def window(self) -> int:
        """Samples of one window: 32 ms."""
        return self.rate * 4 // 125


@attrs.frozen
class Window:
    """32 ms of a leg: exactly `leg.window` samples of mono s16le, in order, without gaps."""

    leg: VadLeg
    pcm: bytes
    end: int
    """One past its last sample, counted from the leg's first one."""


@attrs.frozen
class LeaveVad:
    """Forget the leg: its state starts anew if another window comes."""

    leg: str


VadMessage = Window | LeaveVad
