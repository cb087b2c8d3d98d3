"""The session: a thin actor around `machines/session.py`.

It tells the machine what the others tell it, and the others what the machine decides. All else,
also what is shown to the people in the call, follows from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import attrs

from actors.call.agent import AgentMessage
from actors.call.bridge import BridgeHere, BridgeMessage, Conference, Member
from actors.call.inbound import (
    Confer,
    FromInbound,
    InboundHere,
    Opinion,
    Retell,
    Silence,
    VoiceHeard,
)
from actors.call.line import FromLine, LegAway, LegBack, LegPressed, LegTyped, SessionHere
from actors.call.listener import EarsFailed, FromListener, Understood
from actors.call.outbound import (
    Drained,
    FromOutbound,
    Held,
    Progress,
    Started,
    Starved,
    TrackLost,
)
from actors.call.recovery import Leg, Recovered, WhatStands, recover
from actors.call.showing import Screens
from actors.call.speaker import SpeakerMessage, SpeakTo
from actors.call.told_by_agent import (
    AdmitTool,
    AgentHere,
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
from actors.call.told_by_speaker import (
    FromSpeaker,
    PieceBegins,
    PieceEnds,
    PieceGoesOn,
    PieceSounds,
    SpeakerHere,
    SpeechEnds,
    VoiceFailed,
)
from actors.machines import decisions as do
from actors.machines.decisions import Decision
from actors.machines.profiles import FloorConfig
from actors.machines.session import Session as Machine
from supervision import Actor, ActorRef, Promise, Wake, handles
from transports.leg import ShowAgent, ShowTool


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
class Began:
    """The call is to remember that an utterance began."""

    epoch: int
    turn: int
    agent: str


@attrs.frozen
class Over:
    """And that it is over: history has what was heard of it."""

    epoch: int


ToCall = WhatStands | Began | Over | do.Spoken | do.Commit | do.EndCall

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
    | BridgeHere
    | Wake
)


class Session(Actor[SessionMessage]):
    """The serial point of one conversation."""

    realtime = True

    _call: ActorRef[ToCall]

    def __init__(self, call: str, config: FloorConfig, *, has_turn_model: bool = False) -> None:
        """`call` is the path of the call."""
        super().__init__()
        self._path_of_call = call
        self._config = config
        self._has_turn_model = has_turn_model
        self._machine: Machine | None = None
        self._legs: dict[str, Leg] = {}
        self._speaker: ActorRef[SpeakerMessage] | None = None
        self._agent: ActorRef[AgentMessage] | None = None
        self._seen: set[type] = set()
        self._greeted = False
        self._conferring = False
        self._admissions: list[tuple[int, Promise[bool]]] = []
        """Tools that wait until it is known whether their utterance goes on."""

    def on_start(self) -> None:
        self._call = self.system.ref(f"{self._path_of_call}/call")
        self._screens = Screens(self._path_of_call, self.now)
        self.start_task(
            recover,
            self.system,
            self._path_of_call,
            name="recover",
            to=lambda recovered: recovered,
        )

    def __repr__(self) -> str:
        machine = self._machine
        state = machine.agent_state() if machine is not None else "starting"
        return f"<Session {self._path_of_call}: {len(self._legs)} legs, agent {state}>"

    # -- beginning, and beginning again -----------------------------------------------------

    @handles
    def on_recovered(self, message: Recovered) -> None:
        standing, last = message.standing, message.last
        machine = Machine(
            self._config,
            standing.agent,
            standing.history,
            standing.epoch,
            standing.turn,
            self._has_turn_model,
        )
        self._machine = machine
        self._greeted = not standing.first
        for leg in standing.legs:
            self._perform(self._join(machine, leg, self.now))
        if not standing.first:
            self._seen |= {SpeakerHere, AgentHere}  # whoever says so now has crashed too
            before = standing.epoch
            for track in self._legs.values():
                track.outbound.tell(do.Drop(before))
                track.inbound.tell(Retell())
                track.line.tell(SessionHere())
            self._tell_agent(do.CutTurn(before))
            self._tell_speaker(do.CutSpeech(before))
            if last is not None:
                decided = machine.takes_over(last.heard, last.rest, last.complete, self.now)
                self._perform(decided)
        self.wake_at(machine.deadline)
        self.unstash()

    def _join(self, machine: Machine, leg: Leg, at: float) -> Sequence[Decision]:
        self._legs[leg.name] = leg
        self._tell_who_is_there()
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
        Opinion,
        InboundHere,
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
        BridgeHere,
        Wake,
    )
    def on_event(self, message: Any) -> None:
        machine = self._machine
        if machine is None:
            self.stash()
            return
        self._perform(self._decide(machine, message, self.now))
        if self._admissions:
            self._admit(machine)
        self.wake_at(machine.deadline)

    @handles
    def on_admit(self, message: AdmitTool) -> None:
        if self._machine is None:
            self.stash()
            return
        self._admissions.append((message.epoch, self.defer()))
        self._admit(self._machine)

    def _admit(self, machine: Machine) -> None:
        waiting, self._admissions = self._admissions, []
        for epoch, promise in waiting:
            admitted = machine.may_start_tool(epoch, self.now)
            if admitted is None:
                self._admissions.append((epoch, promise))
            else:
                promise.resolve(admitted)

    def _decide(self, machine: Machine, message: Any, at: float) -> Sequence[Decision]:
        match message:
            case Wake():
                return machine.time_passed(at)
            case Say(text, protected):
                return machine.say(text, at, protected=protected)
            case HangUp(reason):
                return machine.end(reason, at)
            case BridgeHere():
                self._tell_bridge()
                return ()
        if isinstance(
            message, VoiceHeard | Silence | Opinion | InboundHere | Understood | LegTyped
        ):
            return self._from_person(machine, message, at)
        if isinstance(message, Started | Progress | Held | Starved | Drained | TrackLost):
            return self._from_outbound(machine, message, at)
        if isinstance(message, FromSpeaker):
            return self._from_speaker(machine, message, at)
        if isinstance(message, LegJoins | LegLeaves | LegAway | LegBack):
            return self._from_legs(machine, message, at)
        return self._from_agent(machine, message, at)

    def _from_person(
        self,
        machine: Machine,
        message: VoiceHeard | Silence | Opinion | InboundHere | Understood | LegTyped,
        at: float,
    ) -> Sequence[Decision]:
        match message:
            case VoiceHeard(leg, level, run, start_at, end_at):
                return machine.voice(leg, level, run, start_at, end_at, at)
            case Silence(leg):
                return machine.silence(leg, at)
            case Understood(leg, text, final, start_at, end_at):
                return machine.understood(leg, text, final, start_at, end_at, at)
            case Opinion(leg, token, probability):
                return machine.opinion(leg, token, probability, at)
            case LegTyped(leg, text):
                return machine.typed(leg, text, at)
            case InboundHere(leg):
                self._tell_whether_conferring(leg)
                return machine.reopen(leg, at)
        assert_never(message)

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
                self._screens.notice(f"voice: {fault}", "error" if given_up else "warning")
                return ()
            case SpeakerHere():
                self._tell_speaker(self._speak_to())
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
                decided = machine.leave(leg_name, at)
                if leg_name not in machine.people:  # else it is the last one, still being asked
                    self._legs.pop(leg_name, None)
                    self._tell_who_is_there()
                return decided
            case LegAway(leg_name):
                return machine.away(leg_name, at)
            case LegBack(leg_name):
                self._screens.notice("the line is back", "info")
                return machine.back(leg_name, at)
        assert_never(message)

    def _from_agent(self, machine: Machine, message: Any, at: float) -> Sequence[Decision]:
        match message:
            case Token(epoch):
                return machine.token(epoch, at)
            case AnswerEnds(epoch, text):
                return machine.answer_ended(epoch, at, text)
            case Record(epoch, item):
                return machine.committed(item, epoch, at)
            case ChangeAgent(epoch, name, reason):
                self._screens.show(ShowAgent(name, reason))
                return machine.changed_agent(epoch, name, at)
            case WantFloor(reason, note):
                return machine.wish(reason, at, note=note)
            case WantEnd(epoch, reason):
                return machine.hang_up(epoch, reason, at)
            case ToolNews(call, name, state, detail):
                self._screens.show(ShowTool(call, name, state, detail))
            case ModelFailed(_, fault, given_up):
                self._screens.notice(f"model: {fault}", "error" if given_up else "warning")
            case EarsFailed(_, fault):
                self._screens.notice(f"recogniser: {fault}", "warning")
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
        self._screens.notice(f"the {who} was restarted", "warning")
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
                    elif isinstance(decision, do.Drop):
                        self._call.tell(Over(decision.epoch))
                case do.CutTurn() | do.TakeTurn() | do.Think() | do.Unthink():
                    self._tell_agent(decision)
                case do.CutSpeech() | do.Utter() | do.Heard():
                    self._tell_speaker(decision)
                case do.OpenEars() | do.CloseEars() | do.AskWords() | do.AskOpinion():
                    self._tell_ears(decision)
                case do.Commit() | do.EndCall():
                    self._call.tell(decision)
                case do.Spoken():
                    self._call.tell(decision)
                    self._screens.decided(decision, self.now)
                case _:
                    self._screens.decided(decision, self.now)

    def _tell_ears(self, message: do.OpenEars | do.CloseEars | do.AskWords | do.AskOpinion) -> None:
        leg = self._legs.get(message.leg)
        if leg is None:
            return  # decided about a person as they left
        if isinstance(message, do.AskWords):
            leg.listener.tell(message)
        else:
            leg.inbound.tell(message)

    def _remember(self, epoch: int) -> None:
        assert self._machine is not None
        self._call.tell(Began(epoch, self._machine.turn, self._machine.agent))

    def _tell_agent(self, message: do.CutTurn | do.TakeTurn | do.Think | do.Unthink) -> None:
        if self._agent is None:
            self._agent = self.system.ref(f"{self._path_of_call}/agent")
        self._agent.tell(message)

    def _tell_speaker(self, message: do.CutSpeech | do.Utter | do.Heard | SpeakTo) -> None:
        if self._speaker is None:
            self._speaker = self.system.ref(f"{self._path_of_call}/speaker")
        self._speaker.tell(message)

    # -- who is there -------------------------------------------------------------------------

    def _tell_who_is_there(self) -> None:
        self._screens.lines = {leg.name: leg.line for leg in self._legs.values()}
        self._tell_speaker(self._speak_to())
        self._tell_bridge()
        self._conferring = len(self._legs) > 1
        for leg in self._legs:
            self._tell_whether_conferring(leg)

    def _speak_to(self) -> SpeakTo:
        return SpeakTo(tuple(leg.outbound for leg in self._legs.values()))

    def _tell_bridge(self) -> None:
        """Somebody alone has nothing to do with it."""
        if len(self._legs) < 2 and not self._conferring:
            return
        bridge: ActorRef[BridgeMessage] = self.system.ref(f"{self._path_of_call}/bridge")
        members = tuple(Member(leg.name, leg.outbound) for leg in self._legs.values())
        bridge.tell(Conference(members))

    def _tell_whether_conferring(self, leg_name: str) -> None:
        leg = self._legs.get(leg_name)
        if leg is not None:
            leg.inbound.tell(Confer(self._conferring))
