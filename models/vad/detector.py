"""The node's one voice activity detector: gathers the windows of all legs into batches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf

import attrs

from models.vad.batching import Batching, Taken
from models.vad.config import VadConfig
from models.vad.engine import Engine
from models.vad.health import EngineHealth, Health
from models.vad.protocol import LeaveVad, VadMessage, Window
from models.vad.thread import CheckEngine, Infer, Scores, infer_rows
from supervision import Actor, ActorRef, Mailbox, Overflow, Refused, Wake, handles

log = logging.getLogger("troupe.models.vad")

BEAT = 5.0
"""Seconds between two looks for silent legs, and at whether the engine is worth another try."""
REFUSED_LEGS_LOGGED = 1000
"""Each is logged once; of more than so many nothing new would be learnt."""


@attrs.frozen(eq=False)
class Scored:
    """The engine has done a batch."""

    taken: Taken
    scores: Scores = attrs.field(repr=False)


@attrs.frozen(eq=False)
class Lost:
    """The engine has not done a batch."""

    taken: Taken
    error: Exception


@attrs.frozen
class Checked:
    """The engine runs."""

    engine: str


@attrs.frozen
class CheckFailed:
    """The engine does not run."""

    error: Exception


MANY_LEGS = 100
"""From which number of legs on windows gather for as long as they may."""


@attrs.frozen
class Beat:
    """Look after silent legs and the engine's health."""


@attrs.frozen
class VadStatistics:
    """What the detector is doing. The counts are of this instance: a restart begins anew."""

    engine: str
    """The one in use."""
    health: Health
    """Of the configured engine, if it has a thread."""
    reason: str
    """Why the configured engine is not in use, or why its last batch failed."""
    legs: int
    waiting: int
    """Legs that have a window waiting."""
    heard: int
    """Windows that came; the rest of the counts are as in `Counts`."""
    scored: int
    batches: int
    told: int
    dropped: int
    lost: int
    gaps: int
    refused: int
    reaped: int


@attrs.frozen
class Look:
    """All windows that came together are here: is a batch due?"""


OwnMessage = Scored | Lost | Checked | CheckFailed | Beat | Look | Wake


class VoiceDetector(Actor[VadMessage | OwnMessage]):
    """Listens to all legs of the node, and tells each what changed.

    A window goes to the engine at once if it is idle and the last batch went `gather_ms` ago;
    otherwise with the next batch. If the engine fails, the windows in its hand are lost and it is
    used again as its supervisor has it back; if it fails again and again, or cannot run at all, the
    local engine does the work until a check finds the other well.

    Args:
        engine: the sibling that is a `VadEngineActor`; "": the local engine is all there is.
        local: makes the engine that computes right here, on the loop.
    """

    realtime = True
    # 200 legs make 6250 windows a second: as much as comes while the loop stands still for 300 ms.
    mailbox = Mailbox(capacity=2000, overflow=Overflow.DROP_OLDEST)

    def __init__(self, config: VadConfig, engine: str, local: Callable[[], Engine]) -> None:
        super().__init__()
        self._config = config
        self._engine_id = engine
        self._engine: ActorRef[Infer | CheckEngine] | None = None
        self._engine_name = ""
        self._local = local()
        self._health = EngineHealth(config.engine_failures, config.engine_rest)
        self._batching = Batching(config)
        self._gather = config.gather_ms / 1000
        self._under_way: Taken | None = None
        self._submitted_at = -inf
        self._wake_armed = False
        self._looking = False
        self._refused: set[str] = set()

    def on_start(self) -> None:
        self.send_every(BEAT, Beat())
        if self._engine_id:
            self._engine = self.system.ref(f"{self.path.rpartition('/')[0]}/{self._engine_id}")
            self._check(self._engine)

    # -- windows --------------------------------------------------------------------------------

    @handles
    def on_window(self, message: Window) -> None:
        now = self.now
        if not self._batching.heard(message, now):
            self._refuse(message)
        elif self._under_way is None and not self._looking:
            if self._batching.full:
                self._submit_when_due(now)
            elif not self._wake_armed:
                # Not at once: frames come in bursts, and the windows of this one are right behind.
                self._looking = True
                self.ref.tell(Look())

    @handles
    def on_look(self, _message: Look) -> None:
        self._looking = False
        self._submit_when_due(self.now)

    @handles
    def on_leave(self, message: LeaveVad) -> None:
        self._batching.forget(message.leg)
        self._refused.discard(message.leg)

    def _refuse(self, window: Window) -> None:
        leg = window.leg
        if leg.id not in self._refused and len(self._refused) < REFUSED_LEGS_LOGGED:
            self._refused.add(leg.id)
            log.warning(
                "%s: leg %s is not heard: %d bytes a window at %d Hz, %d legs of at most %d a rate",
                self.path,
                leg.id,
                len(window.pcm),
                leg.rate,
                len(self._batching),
                self._config.max_legs,
            )

    # -- batches --------------------------------------------------------------------------------

    def _submit_when_due(self, now: float) -> None:
        """Begin the next batch, if there is anything to begin; now, or when its moment comes."""
        if self._engine is not None and self._health.state is Health.CHECKING:
            return  # the answer is on its way, within `engine_timeout`
        while self._under_way is None and self._batching.waiting:
            # Few legs gather for a shorter time: there is little to save, and they notice sooner.
            share = min(1.0, len(self._batching) / MANY_LEGS)
            due = self._submitted_at + self._gather * share
            if now < due and not self._batching.full:
                if not self._wake_armed:
                    self._wake_armed = True
                    self.wake_at(due)
                return
            self._submit(now)

    def _submit(self, now: float) -> None:
        self._submitted_at = now
        if self._engine is None or self._health.state is not Health.WELL:
            taken = self._batching.take(self._local.name)
            self._tell(taken, infer_rows(self._local, taken.rows))
            return
        taken = self._under_way = self._batching.take(self._engine_name)
        self.pipe(
            self._engine.ask(Infer(taken.rows), timeout=self._config.engine_timeout),
            to=lambda scores: Scored(taken, scores),
            failed=lambda error: Lost(taken, error),
        )

    @handles
    def on_wake(self, _message: Wake) -> None:
        self._wake_armed = False
        self._submit_when_due(self.now)

    @handles
    def on_scored(self, message: Scored) -> None:
        self._under_way = None
        self._health.worked()
        self._tell(message.taken, message.scores)
        self._submit_when_due(self.now)

    @handles
    def on_lost(self, message: Lost) -> None:
        self._under_way = None
        self._batching.lost(message.taken)
        reason = _reason(message.error)
        self._health.failed(reason, self.now)
        log.warning("%s: %d windows are lost: %s", self.path, message.taken.windows, reason)
        if self._health.state is Health.RESTING:
            self._log_fallback()
        self._submit_when_due(self.now)

    def _tell(self, taken: Taken, scores: Scores) -> None:
        for leg, voice in self._batching.scored(taken, scores):
            leg.to.tell(voice)

    # -- the engine's health --------------------------------------------------------------------

    def _check(self, engine: ActorRef[Infer | CheckEngine]) -> None:
        timeout = self._config.engine_timeout
        self.pipe(engine.ask(CheckEngine(), timeout=timeout), to=Checked, failed=CheckFailed)

    @handles
    def on_checked(self, message: Checked) -> None:
        if self._health.reason:
            log.warning("%s: %s is in use again", self.path, message.engine)
        self._engine_name = message.engine
        self._health.runs()
        self._submit_when_due(self.now)

    @handles
    def on_check_failed(self, message: CheckFailed) -> None:
        before = self._health.reason
        self._health.does_not_run(_reason(message.error), self.now)
        if self._health.reason != before:
            self._log_fallback()
        self._submit_when_due(self.now)

    def _log_fallback(self) -> None:
        local, reason = self._local.name, self._health.reason
        log.warning("%s: the %s engine does the work for now: %s", self.path, local, reason)

    @handles
    def on_beat(self, _message: Beat) -> None:
        for leg in self._batching.reap(self.now - self._config.leg_timeout):
            log.info("%s: leg %s is forgotten: nothing comes from it", self.path, leg)
        if self._engine is not None and self._health.time_passed(self.now):
            self._check(self._engine)

    # -- for people -----------------------------------------------------------------------------

    @property
    def _in_use(self) -> str:
        return self._engine_name if self._health.state is Health.WELL else self._local.name

    def statistics(self) -> VadStatistics:
        return VadStatistics(
            engine=self._in_use,
            health=self._health.state,
            reason=self._health.reason,
            legs=len(self._batching),
            waiting=self._batching.waiting,
            **attrs.asdict(self._batching.counts),
        )

    def __repr__(self) -> str:
        batch = f"{self._under_way.windows} windows" if self._under_way else "nothing"
        return f"<VoiceDetector {self._in_use}: {len(self._batching)} legs, {batch} under way>"


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.reason
    cause = error.__cause__
    return f"{error} ({cause!r})" if cause is not None else str(error)
