"""Legs and their windows: who waits, what goes into the next batch, what its result means.

No waiting and no clock. A leg's windows are scored strictly in order, one in a batch at most; the
legs that have one waiting take their turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from models.vad.config import VadConfig
from models.vad.engine import RATES, NoSlot, Slots
from models.vad.levels import Level
from models.vad.protocol import VadLeg, Voice, Window
from models.vad.runs import Run
from models.vad.thread import Rows, Scores

WINDOW_SECONDS = 0.032

FORGETFUL = frozenset({"silero"})
"""Engines that do better when they begin anew. The energy engine's memory is its noise floor."""

_NEVER = -1
"""Where no window starts."""


@attrs.define(eq=False)
class Ear:
    """One leg, as the detector knows it."""

    leg: VadLeg
    slot: int
    heard_at: float
    """When its newest window came."""
    next: int = _NEVER
    """The sample that its next window starts with, if nothing is missing."""
    engine: str = ""
    """Which engine's memory has what was before."""
    waiting: deque[Window] = attrs.field(factory=deque)
    run: Run = attrs.field(factory=Run)
    spoke: bool = False
    """There was speech since the engine last began anew for it."""
    settled: bool = False
    """It has been silent for so long that the engine is to begin anew."""
    gone: bool = False
    """It left; what is still under way for it concerns nobody."""


@attrs.frozen(eq=False)
class Taken:
    """A batch under way."""

    rows: tuple[Rows, ...]
    ears: tuple[tuple[Ear, ...], ...]
    ends: tuple[tuple[int, ...], ...]
    """Of each row's window: one past its last sample."""

    @property
    def windows(self) -> int:
        return sum(map(len, self.ears))


@attrs.define
class Counts:
    """What became of the windows so far."""

    heard: int = 0
    """Windows that came."""
    scored: int = 0
    batches: int = 0
    told: int = 0
    """Changes that legs were told."""
    dropped: int = 0
    """Windows that gave way to newer ones: the engine was too slow."""
    lost: int = 0
    """Windows in batches that failed."""
    gaps: int = 0
    """Times that a leg's window did not follow the one before it. A drop makes one, too."""
    refused: int = 0
    """Windows of legs there is no slot for, of another length or at another rate."""
    reaped: int = 0
    """Legs that were forgotten because nothing came from them."""


class Batching:
    """All legs of the detector."""

    def __init__(self, config: VadConfig) -> None:
        self.counts = Counts()
        self._max_batch = config.max_batch
        self._backlog = config.backlog
        self._settles = round(config.forget_after / WINDOW_SECONDS) if config.forget_after else 0
        """Windows of silence after speech; 0: never."""
        self._slots = {rate: Slots(config.max_legs) for rate in RATES}
        self._ears: dict[str, Ear] = {}
        self._turns: deque[Ear] = deque()
        """Those that have a window waiting, each once."""

    def __len__(self) -> int:
        return len(self._ears)

    @property
    def waiting(self) -> int:
        """Legs that have a window waiting."""
        return len(self._turns)

    @property
    def full(self) -> bool:
        """Whether there is no point in waiting for more to gather."""
        return len(self._turns) >= self._max_batch

    # -- windows and legs come and go -------------------------------------------------------

    def heard(self, window: Window, at: float) -> bool:
        """A window came. False if its leg cannot be listened to."""
        self.counts.heard += 1
        leg = window.leg
        ear = self._ears.get(leg.id)
        if len(window.pcm) != 2 * leg.window:
            ear = None
        elif ear is None or ear.leg is not leg:
            ear = self._meet(leg, ear, at)
        if ear is None:
            self.counts.refused += 1
            return False
        ear.heard_at = at
        if not ear.waiting:
            self._turns.append(ear)
        elif len(ear.waiting) >= self._backlog:
            ear.waiting.popleft()
            self.counts.dropped += 1
        ear.waiting.append(window)
        return True

    def _meet(self, leg: VadLeg, known: Ear | None, at: float) -> Ear | None:
        """The ear of a leg that is new, or that describes itself anew."""
        if known is not None:
            if known.leg.rate == leg.rate:
                known.leg = leg
                return known
            self.forget(leg.id)
        if leg.rate not in self._slots:
            return None
        try:
            ear = Ear(leg, self._slots[leg.rate].allocate(), at)
        except NoSlot:
            return None
        self._ears[leg.id] = ear
        return ear

    def forget(self, leg: str) -> None:
        """The leg left. Its slot is free at once: whoever gets it starts with a fresh one."""
        ear = self._ears.pop(leg, None)
        if ear is None:
            return
        ear.gone = True
        if ear.waiting:
            self._turns.remove(ear)
        self._slots[ear.leg.rate].release(ear.slot)

    def reap(self, before: float) -> Sequence[str]:
        """Forget the legs of which nothing came since `before`, and name them."""
        silent = [leg for leg, ear in self._ears.items() if ear.heard_at < before]
        for leg in silent:
            self.forget(leg)
        self.counts.reaped += len(silent)
        return silent

    # -- batches ----------------------------------------------------------------------------

    def take(self, engine: str) -> Taken:
        """The next batch, for this engine: a window each of the legs that have waited longest."""
        groups: dict[int, list[tuple[Ear, Window]]] = {}
        again: list[Ear] = []
        for _ in range(min(len(self._turns), self._max_batch)):
            ear = self._turns.popleft()
            groups.setdefault(ear.leg.rate, []).append((ear, ear.waiting.popleft()))
            if ear.waiting:
                again.append(ear)
        self._turns.extend(again)
        self.counts.batches += 1
        return Taken(
            tuple(self._rows(rate, group, engine) for rate, group in groups.items()),
            tuple(tuple(ear for ear, _ in group) for group in groups.values()),
            tuple(tuple(window.end for _, window in group) for group in groups.values()),
        )

    def _rows(self, rate: int, group: list[tuple[Ear, Window]], engine: str) -> Rows:
        fresh = []
        for ear, window in group:
            start = window.end - ear.leg.window
            if start != ear.next or ear.engine != engine:
                # Something is missing, or this engine has not heard it: what it remembers of the
                # slot, and the run, are of other sound.
                self.counts.gaps += ear.next != _NEVER and start != ear.next
                fresh.append(ear.slot)
                ear.run.break_off()
                ear.engine = engine
            elif ear.settled and engine in FORGETFUL:
                fresh.append(ear.slot)
            ear.settled = False
            ear.next = window.end
        slots = tuple(ear.slot for ear, _ in group)
        return Rows(rate, slots, tuple(fresh), tuple(window.pcm for _, window in group))

    def scored(self, taken: Taken, scores: Scores) -> Sequence[tuple[VadLeg, Voice]]:
        """The batch came back: whom to tell what."""
        self.counts.scored += taken.windows
        news: list[tuple[VadLeg, Voice]] = []
        for ears, ends, probabilities in zip(taken.ears, taken.ends, scores, strict=True):
            for ear, end, probability in zip(ears, ends, probabilities, strict=True):
                leg, run = ear.leg, ear.run
                run.heard(probability, end - leg.window)
                self._settle(ear)
                told = leg.high_runs if run.level is Level.HIGH else leg.low_runs
                if run.length in told and run.length and not ear.gone:
                    voice = Voice(leg.id, run.level, run.length, run.start, end, probability)
                    news.append((leg, voice))
        self.counts.told += len(news)
        return news

    def _settle(self, ear: Ear) -> None:
        """After speech and a long enough silence the engine is to begin anew, once.

        What silero remembers of minutes of speech and silence makes it miss soft onsets: a "hello"
        is noticed after 90 ms by a fresh one, and after 245 by one that has heard a lot (medians).
        """
        run = ear.run
        if run.level is Level.HIGH:
            ear.spoke = True
        elif ear.spoke and self._settles and run.length >= self._settles:
            ear.spoke, ear.settled = False, True

    def lost(self, taken: Taken) -> None:
        """The batch did not come back. Its legs go on with their next windows, from zero."""
        self.counts.lost += taken.windows
        for ears in taken.ears:
            for ear in ears:
                ear.engine = ""
                ear.run.break_off()
