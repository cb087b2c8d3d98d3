"""The session: a thin actor around `machines/session.py`.

It tells the machine what the others tell it, and the others what the machine decides. All else,
also what is shown to the people in the call, follows from that.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, assert_never

import attrs

from actors.call.agent import (
    AdmitTool,
    AgentHere,
    AgentMessage,
    AnswerEnds,
    ChangeAgent,
    FromAgent,
    ModelFailed,
    Record,
    Token,
    ToolNews,
    WantEnd,
    WantFloor,
)
from actors.call.inbound import FromInbound, InboundMessage, Silence, VoiceHeard
from actors.call.line import FromLine, LegAway, LegBack, LegPressed, LegTyped, LineMessage
from actors.call.listener import EarsFailed, FromListener, ListenerMessage, Understood
from actors.call.outbound import (
    Drained,
    FromOutbound,
    Held,
    OutboundMessage,
    Progress,
    Started,
    Starved,
    TrackLost,
    WhereAreYou,
)
from actors.call.speaker import (
    FromSpeaker,
    PieceBegins,
    PieceEnds,
    PieceGoesOn,
    PieceSounds,
    Recall,
    SpeakerHere,
    SpeakerMessage,
    SpeakTo,
    SpeechEnds,
    VoiceFailed,
)
from actors.machines import decisions as do
from actors.machines.decisions import Decision
from actors.machines.profiles import FloorConfig
from actors.machines.session import Session as Machine
from models.conversation import Item
from supervision import Actor, ActorRef, Request, SupervisionError, Wake, handles
from transports.leg import (
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
)

logger = logging.getLogger("troupe.session")


@attrs.frozen
class Leg:
    """The actors of one leg that the session talks to."""

    name: str
    outbound: ActorRef[OutboundMessage]
    inbound: ActorRef[InboundMessage]
    listener: ActorRef[ListenerMessage]
    line: ActorRef[LineMessage]


@attrs.frozen
class LegJoins:
    """A person comes into the call."""

    leg: Leg


@attrs.frozen
class LegLeaves:
    """A person is gone for good."""

    leg: str


@attrs.frozen
class Say:
    """Have this said, at the next free floor."""

    text: str
    protected: bool = False


@attrs.frozen
class HangUp:
    """End the conversation now."""

    reason: str


@attrs.frozen
class Standing:
    """What the call knows, for a session that begins, or begins again."""

    history: tuple[Item, ...]
    epoch: int
    """Beyond every utterance so far."""
    turn: int
    agent: str
    legs: tuple[Leg, ...]
    first: bool


@attrs.frozen
class WhatStands(Request[Standing]):
    """Asked of the call by a session that starts."""


@attrs.frozen
class Began:
    """The call is to remember that an utterance began."""

    epoch: int
    turn: int
    agent: str


@attrs.frozen
class Recovered:
    """What was found out about the utterance that a crashed session left behind."""

    standing: Standing
    heard: str
    rest: str


ToCall = WhatStands | Began | do.Commit | do.EndCall

SessionMessage = (
    LegJoins
    | LegLeaves
    | Say
    | HangUp
    | Recovered
    | FromInbound
    | FromListener
    | FromSpeaker
    | FromAgent
    | FromOutbound
    | FromLine
    | Wake
)

ASK_WITHIN = 0.5
"""Seconds that a session which begins again gives its siblings to tell where they stand."""


class Session(Actor[SessionMessage]):
    """The serial point of one conversation."""

    realtime = True

    _call: ActorRef[ToCall]

    def __init__(self, call: str, config: FloorConfig) -> None:
        """`call` is the path of the call."""
        super().__init__()
        self._path_of_call = call
        self._config = config
        self._machine: Machine | None = None
        self._legs: dict[str, Leg] = {}
        self._began_at = 0.0
        self._speaker: ActorRef[SpeakerMessage] | None = None
        self._agent: ActorRef[AgentMessage] | None = None
        self._seen: set[type] = set()
        self._greeted = False

    def on_start(self) -> None:
        self._call = self.system.ref(f"{self._path_of_call}/call")
        self._began_at = self.now
        self.start_task(self._recover, name="recover", to=lambda recovered: recovered)

    def __repr__(self) -> str:
        machine = self._machine
        state = machine.agent_state() if machine is not None else "starting"
        return f"<Session {self._path_of_call}: {len(self._legs)} legs, agent {state}>"

    # -- beginning, and beginning again -----------------------------------------------------

    async def _recover(self) -> Recovered:
        standing = await self._call.ask(WhatStands(), timeout=ASK_WITHIN)
        if standing.first:
            return Recovered(standing, "", "")
        epoch, position = 0, 0.0
        replies = [leg.outbound.ask(WhereAreYou(), timeout=ASK_WITHIN) for leg in standing.legs]
        for reply in replies:
            try:
                where = await reply
            except SupervisionError:
                continue
            if where.epoch >= epoch:
                position = min(position, where.position) if where.epoch == epoch else where.position
                epoch = where.epoch
        try:
            speaker: ActorRef[SpeakerMessage] = self.system.ref(f"{self._path_of_call}/speaker")
            recalled = await speaker.ask(Recall(epoch, position), timeout=ASK_WITHIN)
        except SupervisionError:
            return Recovered(standing, "", "")
        return Recovered(standing, recalled.heard, recalled.rest)

    @handles
    def on_recovered(self, message: Recovered) -> None:
        standing = message.standing
        machine = Machine(
            self._config, standing.agent, standing.history, standing.epoch, standing.turn
        )
        self._machine = machine
        self._greeted = not standing.first
        for leg in standing.legs:
            self._perform(self._join(machine, leg, self.now))
        if not standing.first:
            before = standing.epoch
            for track in self._legs.values():
                track.outbound.tell(do.Drop(before))
            self._tell_agent(do.CutTurn(before))
            self._tell_speaker(do.CutSpeech(before))
            self._perform(machine.takes_over(message.heard, message.rest, self.now))
        self.wake_at(machine.deadline)
        self.unstash()

    def _join(self, machine: Machine, leg: Leg, at: float) -> Sequence[Decision]:
        self._legs[leg.name] = leg
        self._tell_tracks()
        decided = machine.join(leg.name, at)
        if self._greeted:
            return decided
        self._greeted = True
        return [*decided, *machine.wish("greeting", at)]

    # -- everything that happens --------------------------------------------------------------

    @handles(
        LegJoins,
        LegLeaves,
        Say,
        HangUp,
        VoiceHeard,
        Silence,
        Understood,
        EarsFailed,
        PieceBegins,
        PieceGoesOn,
        PieceSounds,
        PieceEnds,
        SpeechEnds,
        VoiceFailed,
        SpeakerHere,
        AgentHere,
        Token,
        AnswerEnds,
        Record,
        ChangeAgent,
        WantFloor,
        WantEnd,
        ToolNews,
        ModelFailed,
        Started,
        Progress,
        Held,
        Starved,
        Drained,
        TrackLost,
        LegAway,
        LegBack,
        LegTyped,
        LegPressed,
        Wake,
    )
    def on_event(self, message: Any) -> None:
        machine = self._machine
        if machine is None:
            self.stash()
            return
        self._perform(self._decide(machine, message, self.now))
        self.wake_at(machine.deadline)

    @handles
    def on_admit(self, message: AdmitTool) -> bool:
        machine = self._machine
        if machine is None:
            self.stash()
            return False
        return machine.may_start_tool(message.epoch, self.now)

    def _decide(self, machine: Machine, message: Any, at: float) -> Sequence[Decision]:
        match message:
            case VoiceHeard(leg, level, run, start_at, end_at):
                return machine.voice(leg, level, run, start_at, end_at, at)
            case Silence(leg):
                return machine.silence(leg, at)
            case Understood(leg, text, final, start_at, end_at):
                return machine.understood(leg, text, final, start_at, end_at, at)
            case Wake():
                return machine.time_passed(at)
            case Say(text, protected):
                return machine.say(text, at, protected=protected)
            case HangUp(reason):
                return machine.end(reason, at)
            case LegTyped(leg, text):
                return machine.typed(leg, text, at)
        if isinstance(message, Started | Progress | Held | Starved | Drained | TrackLost):
            return self._from_outbound(machine, message, at)
        if isinstance(message, FromSpeaker):
            return self._from_speaker(machine, message, at)
        if isinstance(message, LegJoins | LegLeaves | LegAway | LegBack):
            return self._from_legs(machine, message, at)
        return self._from_agent(machine, message, at)

    def _from_outbound(
        self, machine: Machine, message: FromOutbound, at: float
    ) -> Sequence[Decision]:
        match message:
            case Started(leg, epoch):
                return machine.started(leg, epoch, at)
            case Progress(leg, epoch, position):
                return machine.progress(leg, epoch, position, at)
            case Held(leg, epoch, position, exact):
                return machine.held(leg, epoch, position, exact, at)
            case Starved(leg, epoch):
                return machine.starved(leg, epoch, at)
            case Drained(leg, epoch, position):
                return machine.drained(leg, epoch, position, at)
            case TrackLost(_):
                return machine.lost("outbound", at)
        assert_never(message)

    def _from_speaker(
        self, machine: Machine, message: FromSpeaker, at: float
    ) -> Sequence[Decision]:
        match message:
            case PieceBegins(epoch, piece, source, spans, filler):
                return machine.piece(epoch, piece, source, spans, at, filler=filler)
            case PieceGoesOn(epoch, piece, rest, spans):
                return machine.piece_goes_on(epoch, piece, rest, spans, at)
            case PieceSounds(epoch, piece, seconds, words):
                return machine.sound(epoch, piece, seconds, words, at)
            case PieceEnds(epoch, piece):
                return machine.piece_done(epoch, piece, at)
            case SpeechEnds(epoch):
                return machine.speech_ended(epoch, at)
            case VoiceFailed(_, fault, given_up):
                self._notice(f"voice: {fault}", "error" if given_up else "warning")
                return ()
            case SpeakerHere():
                self._tell_tracks()
                return self._restarted(machine, SpeakerHere, "speaker", at)
        assert_never(message)

    def _from_legs(
        self, machine: Machine, message: LegJoins | LegLeaves | LegAway | LegBack, at: float
    ) -> Sequence[Decision]:
        match message:
            case LegJoins(leg):
                if leg.name in self._legs:
                    return ()  # the call told of it when this session asked what stands
                return self._join(machine, leg, at)
            case LegLeaves(leg_name):
                self._legs.pop(leg_name, None)
                self._tell_tracks()
                return machine.leave(leg_name, at)
            case LegAway(leg_name):
                return machine.away(leg_name, at)
            case LegBack(leg_name):
                self._notice("the line is back", "info")
                return machine.back(leg_name, at)
        assert_never(message)

    def _from_agent(self, machine: Machine, message: Any, at: float) -> Sequence[Decision]:
        match message:
            case Token(epoch):
                return machine.token(epoch, at)
            case AnswerEnds(epoch):
                return machine.answer_ended(epoch, at)
            case Record(epoch, item):
                return machine.committed(item, epoch, at)
            case ChangeAgent(epoch, name, reason):
                self._show(ShowAgent(name, reason))
                return machine.changed_agent(epoch, name, at)
            case WantFloor(reason):
                return machine.wish(reason, at)
            case WantEnd(epoch, reason):
                return machine.hang_up(epoch, reason, at)
            case ToolNews(call, name, state, detail):
                self._show(ShowTool(call, name, state, detail))
            case ModelFailed(_, fault, given_up):
                self._notice(f"model: {fault}", "error" if given_up else "warning")
            case EarsFailed(_, fault):
                self._notice(f"recogniser: {fault}", "warning")
            case AgentHere():
                return self._restarted(machine, AgentHere, "agent", at)
            case LegPressed():
                pass  # keys are for the agent's tools; the machine has no use for them
        return ()

    def _restarted(self, machine: Machine, kind: type, who: str, at: float) -> Sequence[Decision]:
        """The first time it says so, it has only just begun."""
        if kind not in self._seen:
            self._seen.add(kind)
            return ()
        self._notice(f"the {who} was restarted", "warning")
        return machine.lost(who, at)

    # -- carrying out -----------------------------------------------------------------------

    def _perform(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            match decision:
                case do.Hold() | do.Duck() | do.Begin() | do.Resume() | do.Drop():
                    for leg in self._legs.values():
                        leg.outbound.tell(decision)
                    if isinstance(decision, do.Begin):
                        self._remember(decision.epoch)
                case do.CutTurn() | do.TakeTurn() | do.Think() | do.Unthink():
                    self._tell_agent(decision)
                case do.CutSpeech() | do.Utter():
                    self._tell_speaker(decision)
                case do.OpenEars(leg_name) | do.CloseEars(leg_name):
                    self._legs[leg_name].inbound.tell(decision)
                case do.AskWords(leg_name):
                    self._legs[leg_name].listener.tell(decision)
                case do.AskOpinion():
                    pass
                case do.Commit() | do.EndCall():
                    self._call.tell(decision)
                case _:
                    self._tell_people(decision)

    def _remember(self, epoch: int) -> None:
        assert self._machine is not None
        self._call.tell(Began(epoch, self._machine.turn, self._machine.agent))

    def _tell_agent(self, message: do.CutTurn | do.TakeTurn | do.Think | do.Unthink) -> None:
        if self._agent is None:
            self._agent = self.system.ref(f"{self._path_of_call}/agent")
        self._agent.tell(message)

    def _tell_speaker(self, message: do.CutSpeech | do.Utter | SpeakTo) -> None:
        if self._speaker is None:
            self._speaker = self.system.ref(f"{self._path_of_call}/speaker")
        self._speaker.tell(message)

    def _tell_tracks(self) -> None:
        self._tell_speaker(SpeakTo(tuple(leg.outbound for leg in self._legs.values())))

    # -- what people see ----------------------------------------------------------------------

    def _tell_people(self, decision: Decision) -> None:
        match decision:
            case do.Understanding(leg, turn, text, final):
                self._show(ShowTranscript(turn, text, final, leg))
            case do.Piece(epoch, text, agent):
                self._show(ShowSpeech(epoch, text, agent))
            case do.Spoken(epoch, characters):
                self._show(ShowSpoken(epoch, characters))
            case do.Said(epoch, text, interrupted, agent):
                self._show(ShowSaid(epoch, text, interrupted, agent))
            case do.Floors(leg, user, agent):
                self._show_one(leg, ShowFloors(user, agent, self.now - self._began_at))
            case do.TurnTaken(latency):
                parts = {name: 1000 * seconds for name, seconds in latency.parts.items()}
                barge_in = None if latency.barge_in is None else 1000 * latency.barge_in
                self._show(ShowTurn(latency.turn, parts, 1000 * latency.total, barge_in))
                logger.info(
                    "%s turn %d: %.0f ms (%s)%s",
                    self._path_of_call,
                    latency.turn,
                    1000 * latency.total,
                    ", ".join(f"{name} {ms:.0f}" for name, ms in parts.items()),
                    "" if barge_in is None else f", barge-in {barge_in:.0f} ms",
                )
            case do.LongTurn(leg, seconds, words):
                self._notice(f"{leg} has been speaking for {seconds:.0f} s, {words} words", "info")
            case _:
                pass

    def _show(self, show: Show) -> None:
        for leg in self._legs.values():
            leg.line.tell(show)

    def _show_one(self, leg_name: str, show: Show) -> None:
        leg = self._legs.get(leg_name)
        if leg is not None:
            leg.line.tell(show)

    def _notice(self, text: str, level: str) -> None:
        self._show(ShowNotice(text, level))
