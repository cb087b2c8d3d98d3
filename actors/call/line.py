"""The line: which wire a leg has, and what happens when it is lost.

Everything from the wire but sound comes here and is passed on to whom it concerns; what is shown to
the person goes the other way. A lost wire is waited for; another one takes over with the token.
"""

from __future__ import annotations

import secrets

import attrs

from actors.call.outbound import NewWire, OutboundMessage, TrackHere, TrackLost, WireGone
from actors.machines.line import Line as Machine
from actors.machines.line import LineState
from models.audio import Frame
from supervision import Actor, ActorRef, Refuse, Request, Terminated, Wake, handles
from supervision.secret import Secret
from transports.leg import (
    Attach,
    Attached,
    Cleared,
    CloseWire,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    Show,
    ShowAgent,
    ShowFloors,
    ShowNotice,
    ShowSaid,
    ShowSpeech,
    ShowSpoken,
    ShowTool,
    ShowTranscript,
    ShowTurn,
    Typed,
    WireEvent,
    WireMessage,
)


@attrs.frozen
class TakeOver(Request[Attached]):
    """A wire has come for this leg, the first one or another one."""

    attach: Attach
    token: str = ""
    """What it showed; the first one shows none."""


@attrs.frozen
class CloseLine(Request[None]):
    """The call is over: say so to whoever is there. Answered when that is on its way."""

    reason: str


@attrs.frozen
class SessionHere:
    """The session runs again, and takes everybody for present."""


LineMessage = TakeOver | TrackHere | SessionHere | WireEvent | Show | CloseLine | Terminated | Wake

# -- what it tells the session and the call ---------------------------------------------------


@attrs.frozen
class LegAway:
    """The leg's wire is lost."""

    leg: str


@attrs.frozen
class LegBack:
    """Another wire has taken over."""

    leg: str


@attrs.frozen
class LegTyped:
    """The person wrote something."""

    leg: str
    text: str


@attrs.frozen
class LegPressed:
    """The person pressed a key."""

    leg: str
    digit: str


FromLine = LegAway | LegBack | LegTyped | LegPressed


@attrs.frozen
class LegGone:
    """The leg is over."""

    leg: str
    reason: str


@attrs.define(eq=False)
class LineMemory:
    """What a line knows over all its lives: nobody else could tell it after a crash."""

    token: Secret = attrs.field(factory=lambda: Secret(secrets.token_urlsafe(24)))
    """What a wire shows to take the leg over."""
    attach: Attach | None = None
    """The wire that came last."""
    lost_at: float | None = None
    """When it was lost, if it was."""


class Line(Actor[LineMessage]):
    """Holds one leg's wire."""

    _session: ActorRef[FromLine | TrackLost]
    _owner: ActorRef[LegGone]

    def __init__(self, leg: str, call: str, away_max: float, memory: LineMemory) -> None:
        """`call` is the path of the leg's call."""
        super().__init__()
        self._leg = leg
        self._call = call
        self._machine = Machine(away_max)
        self._memory = memory
        self._wire: ActorRef[WireMessage] | None = None
        self._track: ActorRef[OutboundMessage] | None = None
        self._reason = "the call is over"

    def on_start(self) -> None:
        self._session = self.system.ref(f"{self._call}/session")
        self._owner = self.system.ref(f"{self._call}/call")
        self._machine.began(self.now)
        attach = self._memory.attach
        if attach is not None:  # it crashed; if the wire is no more, that is told now
            self._machine.attached()
            lost_at = self._memory.lost_at
            if lost_at is None:
                self._wire = attach.wire
                self.watch(attach.wire)
            else:
                self._machine.lost(self._machine.wire, lost_at)
            # A track that has just begun, too, says so by itself: it is here in any case.
            track = f"{self._call}/legs/{self._leg}/outbound"
            self._track = self.system.find(track)
        self.wake_at(self._machine.deadline)

    def on_stop(self) -> None:
        if self._wire is not None:
            self._wire.tell(CloseWire(self._reason))

    def __repr__(self) -> str:
        return f"<Line {self._leg}: {self._machine.state.value}>"

    # -- wires ----------------------------------------------------------------------------

    @handles
    def on_take_over(self, message: TakeOver) -> Attached:
        resumed = self._machine.state is not LineState.WAITING
        if self._machine.state is LineState.GONE:
            raise Refuse("the leg is gone: it was waited for too long, or has hung up")
        if resumed and Secret(message.token or "none") != self._memory.token:
            raise Refuse("the token is not the one of this leg")
        old = self._wire
        self._machine.attached()
        if old is not None:
            self.unwatch(old)
            old.tell(CloseWire("another connection has taken over"))
        attach = message.attach
        self._wire, self._memory.attach, self._memory.lost_at = attach.wire, attach, None
        self.watch(attach.wire)
        self.wake_at(self._machine.deadline)
        if self._track is not None:
            self._track.tell(NewWire(attach.wire, attach.rate_out, attach.capabilities))
        if resumed:
            self.on_muted(Muted(False))  # a wire that is muted says so, and this one has not
            self._session.tell(LegBack(self._leg))
        call = self._call.rpartition("/")[2]
        token = Secret(f"{call}.{self._leg}.{self._memory.token.reveal()}")
        audio: ActorRef[Frame] = self.system.ref(f"{self._call}/legs/{self._leg}/inbound")
        return Attached(call, self._leg, audio, self.ref, token, resumed)

    @handles
    def on_track(self, message: TrackHere) -> None:
        self._track = message.track
        attach = self._memory.attach
        if self._wire is not None and attach is not None:
            # The track is new, the wire is not: what was sent before is unknown to the track.
            message.track.tell(
                NewWire(self._wire, attach.rate_out, attach.capabilities, fresh=False)
            )
        elif attach is not None:
            # It comes after one that has crashed, and cannot tell by any wire that it does.
            self._session.tell(TrackLost(self._leg))

    @handles
    def on_session(self, message: SessionHere) -> None:
        if self._machine.state is LineState.AWAY:
            self._session.tell(LegAway(self._leg))

    @handles
    def on_terminated(self, message: Terminated) -> None:
        if message.ref is self._wire and self._machine.lost(self._machine.wire, self.now):
            self._wire, self._memory.lost_at = None, self.now
            if self._track is not None:
                self._track.tell(WireGone())
            self._session.tell(LegAway(self._leg))
            self.wake_at(self._machine.deadline)

    @handles
    def on_wake(self, message: Wake) -> None:
        if self._machine.time_passed(self.now):
            self._owner.tell(LegGone(self._leg, "the line was lost"))

    @handles
    def on_close(self, message: CloseLine) -> None:
        self._reason = message.reason
        self._release(CloseWire(message.reason))

    def _release(self, message: CloseWire | None) -> None:
        """Nothing more is told to the wire, after this."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self.unwatch(wire)
            if message is not None:
                wire.tell(message)
        if self._track is not None:
            self._track.tell(WireGone())

    # -- from the wire --------------------------------------------------------------------

    @handles
    def on_played(self, message: Played | Cleared) -> None:
        if self._track is not None:
            self._track.tell(message)

    @handles
    def on_mark(self, message: MarkPlayed) -> None:
        """No mark is sent yet: positions come from `Played`, `Cleared` and the track's clock."""

    @handles
    def on_dtmf(self, message: Dtmf) -> None:
        self._session.tell(LegPressed(self._leg, message.digit))

    @handles
    def on_typed(self, message: Typed) -> None:
        self._session.tell(LegTyped(self._leg, message.text))

    @handles
    def on_muted(self, message: Muted) -> None:
        inbound: ActorRef[Muted] = self.system.ref(f"{self._call}/legs/{self._leg}/inbound")
        inbound.tell(message)

    @handles
    def on_hung_up(self, message: HungUp) -> None:
        if self._machine.hung_up():
            self._release(None)
            self._owner.tell(LegGone(self._leg, message.reason or "hung up"))

    # -- to the wire ----------------------------------------------------------------------

    @handles(
        ShowTranscript,
        ShowSpeech,
        ShowSpoken,
        ShowSaid,
        ShowFloors,
        ShowTurn,
        ShowAgent,
        ShowTool,
        ShowNotice,
    )
    def on_show(self, message: Show) -> None:
        attach = self._memory.attach
        if self._wire is not None and attach is not None and attach.capabilities.shows:
            self._wire.tell(message)
