"""Who has the agent's floor next, and what the agent and the speaker tell of their work on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf

import attrs

from actors.machines import decisions as do
from actors.machines.decisions import Decision
from actors.machines.ledger import Span, join
from actors.machines.person import Person
from actors.machines.preemption import Preemption
from actors.machines.session.floor import AgentFloor
from actors.machines.session.unfinished import open_calls, open_tasks
from actors.machines.turn_clock import Stage, TurnClock
from actors.machines.user_floor import UserState
from actors.machines.utterance import GoesOn, Utterance
from models.conversation import AgentSaid, Item, ToolAnswered, UserSaid
from models.llm.control import TaskReport, task_report
from models.words import Word

GOODBYE_WITHIN = 1.0
"""Seconds that a goodbye may take beyond its own length."""

YIELD_FOR = 2.0
"""Seconds that an answer waits for somebody else in the call who is still speaking."""

FAST_EARS = 0.3
"""A recogniser whose finals come within so many seconds is fast."""


@attrs.frozen
class Wish:
    """The agent wants to speak by itself, at the next free floor."""

    reason: str
    text: str | None
    """What it says; None if it is to be thought of first."""
    protected: bool = False
    goes_on: bool = False
    """It takes up what a fault has ended; a user who speaks meanwhile makes it pointless."""
    note: Item | None = None
    """What it is about: enters history when it has the floor."""


@attrs.define(eq=False)
class Answering(AgentFloor):
    """The middle layer of a session."""

    preemption: Preemption = attrs.field(init=False)
    _wishes: deque[Wish] = attrs.field(factory=deque, init=False)
    _ended_turns: list[tuple[str, str]] = attrs.field(factory=list, init=False)
    """Turns that wait to be answered, (leg, text): until the floor is free, or history settled."""
    _answer_by: float = attrs.field(default=inf, init=False)
    """When they are answered at the latest, even if somebody speaks."""
    _clock: TurnClock | None = attrs.field(default=None, init=False)
    _thought: int | None = attrs.field(default=None, init=False)
    _last_filler: float = attrs.field(default=-inf, init=False)
    _fillers: int = attrs.field(default=0, init=False)
    _goodbye: str | None = attrs.field(default=None, init=False)
    """Why the call is to end, once what the agent is saying is said."""
    _goodbye_by: float = attrs.field(default=inf, init=False)
    _ending: str | None = attrs.field(default=None, init=False)
    """Why the call ends as soon as history is settled."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.preemption = Preemption(self.config.preemptive_max, self.config.preemptive_max_seconds)

    # -- who is next ------------------------------------------------------------------------

    def _settle(self, at: float) -> None:
        """Nobody has the agent's floor: who is next?"""
        if self.utterance is not None or self._closing is not None or self.ended:
            return
        if self._ending is not None:
            self._end_call(self._ending, at)
        elif self._suspended_at < inf:
            return
        elif self._ended_turns:
            if at >= self._answer_by or not self._somebody_speaks():
                self._answer(at)
        elif self._goodbye is not None and not (self._wishes and self._wishes[0].goes_on):
            self._end_call(self._goodbye, at)
        elif self._wishes and not self._somebody_speaks():
            self._speak_up(self._wishes.popleft(), at)

    def _somebody_speaks(self) -> bool:
        return any(
            p.floor.state in (UserState.SPEAKING, UserState.TRAILING) and not p.away
            for p in self.people.values()
        )

    def _answer(self, at: float) -> None:
        """All turns that ended are answered together."""
        self._last_filler = -inf  # whoever has spoken since waits anew
        self._commit_turns(at)
        self._answer_by = inf
        self._goodbye = None
        self._wishes = deque(wish for wish in self._wishes if not wish.goes_on)
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.reached(Stage.HISTORY, at)
        utterance = self._begin(at, clock)
        thought, self._thought = self._thought, None
        self._take(utterance, thought, "user")

    def _commit_turns(self, at: float) -> None:
        several = len(self.people) > 1
        for leg, text in self._ended_turns:
            self._commit(UserSaid(text, self.turn, at, leg if several else ""))
        self._ended_turns.clear()

    def _take(self, utterance: Utterance, thought: int | None, reason: str) -> None:
        turn = do.TakeTurn(utterance.epoch, self.turn, self.history, self.agent, thought, reason)
        self._out.append(turn)

    def _speak_up(self, wish: Wish, at: float) -> None:
        if wish.note is not None:
            self._commit(wish.note)
        utterance = self._begin(at, None, wish.protected)
        if wish.text is None:
            self._take(utterance, None, wish.reason)
        else:
            utterance.generating, utterance.text = False, wish.text
            self._out.append(do.Utter(utterance.epoch, wish.text, last=True))

    def _begin(self, at: float, clock: TurnClock | None, protected: bool = False) -> Utterance:
        self.epoch += 1
        number = self.preemption.withdraw()
        if number is not None:
            self._out.append(do.Unthink(number))
        protected = protected or not self.profile.interruptible
        utterance = Utterance(
            self.epoch, self.turn, self.agent, at, protected, clock, set(self.people)
        )
        self.utterance = utterance
        self._goodbye_by = inf
        self.barge.begin()
        self.barge.hold_max = self._hold_max()
        self._out.append(do.Begin(self.epoch))
        return utterance

    def _hold_max(self) -> float:
        fast = self.people and all(
            p.turn.answer_times.p99 <= FAST_EARS for p in self.people.values()
        )
        return self.config.hold_max_fast if fast else self.config.hold_max

    def _go_on(self, utterance: Utterance, how: GoesOn, rest: str) -> None:
        if how is GoesOn.AGAIN:
            self._wishes.appendleft(Wish("again", None, utterance.protected, goes_on=True))
        elif rest:
            text = join([self.config.line_is_back, rest]) if how is GoesOn.BACK else rest
            self._wishes.appendleft(Wish("rest", text, utterance.protected, goes_on=True))

    # -- what the agent wants ------------------------------------------------------------------

    def say(
        self, text: str, at: float, *, reason: str = "say", protected: bool = False
    ) -> Sequence[Decision]:
        """Have this said, at the next free floor."""
        self._wishes.append(Wish(reason, text, protected))
        return self._done(at)

    def wish(
        self, reason: str, at: float, *, protected: bool = False, note: Item | None = None
    ) -> Sequence[Decision]:
        """The agent wants to say something, which it will think of when it has the floor."""
        if reason == "handoff":  # the colleague goes on, unless the user speaks first
            self._wishes.appendleft(Wish(reason, None, protected, goes_on=True))
        else:
            self._wishes.append(Wish(reason, None, protected, note=note))
        return self._done(at)

    def hang_up(self, epoch: int, reason: str, at: float) -> Sequence[Decision]:
        """The agent ends the call, once what it is saying is said. Not if it is cut meanwhile."""
        utterance = self._live(epoch, "hang_up")
        if utterance is not None:
            self._goodbye = reason
            self._time_goodbye(utterance, at)
        return self._done(at)

    def _time_goodbye(self, utterance: Utterance, at: float) -> None:
        """Once its length is known it has to come to an end."""
        if self._goodbye is not None and not utterance.voicing:
            left = max(0.0, utterance.ledger.seconds - self._position(utterance))
            self._goodbye_by = at + left + GOODBYE_WITHIN

    def may_start_tool(self, epoch: int, at: float) -> bool | None:
        """A tool may start: its turn was committed and nothing has cut it.

        None: it is held, and whether it goes on is not known yet.
        """
        del at
        utterance = self.utterance
        if utterance is None or utterance.epoch != epoch or self.ended:
            self.stale["tool"] += 1
            return False
        return None if utterance.held else True

    def committed(self, item: Item, epoch: int, at: float) -> Sequence[Decision]:
        """The agent did something that belongs to history: a tool call, its answer."""
        del epoch  # what was done was done, whatever became of the utterance
        if isinstance(item, ToolAnswered) and item.id not in open_calls(self.history):
            self.stale["tool_answer"] += 1  # it was answered for, when its agent was lost
            return self._done(at)
        self._commit(item)
        return self._done(at)

    # -- what the agent and the speaker tell ---------------------------------------------------

    def changed_agent(self, epoch: int, name: str, at: float) -> Sequence[Decision]:
        """Another agent goes on with this utterance."""
        utterance = self._live(epoch, "agent")
        self.agent = name
        if utterance is not None and utterance.token_at == inf:
            utterance.agent = name  # the one before has said nothing in it
        return self._done(at)

    def token(self, epoch: int, at: float) -> Sequence[Decision]:
        """The answer's first text is there."""
        utterance = self._live(epoch, "token")
        if utterance is not None:
            utterance.token_at = min(utterance.token_at, at)
            if utterance.clock is not None:
                utterance.clock.reached(Stage.LLM, at)
        return self._done(at)

    def piece(
        self,
        epoch: int,
        number: int,
        source: str,
        spans: tuple[Span, ...],
        at: float,
        *,
        filler: bool = False,
    ) -> Sequence[Decision]:
        """The speaker is about to speak this stretch of the text."""
        utterance = self._live(epoch, "piece")
        if utterance is not None:
            utterance.ledger.add_piece(number, source, spans)
            if not filler:
                utterance.pieces += source
                if utterance.clock is not None:
                    utterance.clock.reached(Stage.TEXT, at)
            self._out.append(do.Piece(epoch, utterance.ledger.text, utterance.agent))
        return self._done(at)

    def sound(
        self, epoch: int, number: int, seconds: float, words: Iterable[Word], at: float
    ) -> Sequence[Decision]:
        """So many more seconds of a piece were handed to the output tracks."""
        utterance = self._live(epoch, "sound")
        if utterance is not None:
            utterance.ledger.sounded(number, seconds, tuple(words))
            if utterance.clock is not None:
                utterance.clock.reached(Stage.TTS, at)
        return self._done(at)

    def piece_done(self, epoch: int, number: int, at: float) -> Sequence[Decision]:
        """No more sound of this piece comes."""
        utterance = self._live(epoch, "piece_done")
        if utterance is not None:
            utterance.ledger.finished(number)
        return self._done(at)

    def piece_goes_on(
        self, epoch: int, number: int, rest: str, spans: tuple[Span, ...], at: float
    ) -> Sequence[Decision]:
        """Another voice speaks the rest of a piece."""
        utterance = self._live(epoch, "piece")
        if utterance is not None:
            utterance.ledger.abandoned(number, rest, spans)
        return self._done(at)

    def answer_ended(self, epoch: int, at: float, text: str = "") -> Sequence[Decision]:
        """No more text of this utterance comes; this was all of it."""
        utterance = self._live(epoch, "answer_ended")
        if utterance is not None:
            utterance.generating = False
            utterance.text = text
            self._may_be_over(utterance, at)
        return self._done(at)

    def speech_ended(self, epoch: int, at: float) -> Sequence[Decision]:
        """No more sound of this utterance comes."""
        utterance = self._live(epoch, "speech_ended")
        if utterance is not None:
            utterance.voicing = utterance.generating = False
            self._time_goodbye(utterance, at)
            self._may_be_over(utterance, at)
        return self._done(at)

    # -- faults -------------------------------------------------------------------------------

    def lost(self, who: str, at: float) -> Sequence[Decision]:
        """An actor that was working on the utterance restarted: what it had in hand is gone.

        What was heard is committed. If the answer's text was complete, the rest of it is said
        anew; otherwise the agent is asked again, and finds in history how far it got.
        """
        if self.ended:
            return self._done(at)
        if who == "agent":
            self._answer_for_lost()
        utterance = self.utterance
        if utterance is None or (who == "agent" and not utterance.generating):
            return self._done(at)
        self._cut(utterance, at, GoesOn.AGAIN if utterance.generating else GoesOn.REST)
        return self._done(at)

    def _answer_for_lost(self) -> None:
        """Nobody else will: no call stays without an answer, and no task without a report."""
        for call in open_calls(self.history).values():
            self._commit(ToolAnswered(call.id, "lost by a fault", True, call.turn))
        waiting = [wish.note for wish in self._wishes if wish.note is not None]
        for task in open_tasks([*self.history, *waiting]):
            note = task_report(TaskReport(task, "It was lost by a fault.", failed=True))
            self._wishes.append(Wish("delegation", None, note=note))

    def takes_over(self, heard: str, rest: str, complete: bool, at: float) -> Sequence[Decision]:
        """This session follows a crashed one, of whose last utterance this was heard, and this not.

        If it was still being thought of, the agent is asked again; otherwise the rest is said anew.
        """
        if heard:
            self._commit(AgentSaid(heard, self.turn, self.agent, bool(rest) or not complete, at))
        if not complete:
            self._wishes.append(Wish("again", None, goes_on=True))
        elif rest:
            self._wishes.append(Wish("rest", rest, goes_on=True))
        return self._done(at)

    # -- waiting ----------------------------------------------------------------------------

    def _waits(self, utterance: Utterance) -> bool:
        """The user hears nothing, and waits for the model."""
        if utterance.held or not utterance.generating:
            return False
        return not utterance.audible or utterance.silent_since < inf

    def _filler_at(self, utterance: Utterance) -> float:
        config = self.config
        if not config.fillers or not self._waits(utterance) or utterance.protected:
            return inf
        if not utterance.audible and utterance.ledger.text:
            return inf  # something is on its way to be heard
        since = utterance.silent_since if utterance.audible else utterance.begun_at
        return max(since + config.filler_after, self._last_filler + config.filler_every)

    def _fill(self, utterance: Utterance, at: float) -> None:
        text = self.config.fillers[self._fillers % len(self.config.fillers)]
        self._fillers += 1
        self._last_filler = at
        self._out.append(do.Utter(utterance.epoch, text, last=False, filler=True))

    def _give_up_at(self, utterance: Utterance) -> float:
        if utterance.token_at < inf or not self._waits(utterance):
            return inf
        return utterance.begun_at + self.config.give_up_after

    def _give_up(self, utterance: Utterance, at: float) -> None:
        self._wishes.appendleft(Wish("apology", self.config.apology))
        self._cut(utterance, at)

    # -- the end ----------------------------------------------------------------------------

    def _finish(self, reason: str, at: float) -> None:
        """The call ends now: as soon as it is known what was heard of the agent."""
        if self._ending is not None or self.ended:
            return
        self._ending = reason
        if self.utterance is not None:
            self._cut(self.utterance, at)

    def _end_call(self, reason: str, at: float) -> None:
        self._commit_turns(at)
        for wish in self._wishes:
            if wish.note is not None:
                self._commit(wish.note)
        self._wishes.clear()
        self.ended = True
        self._out.append(do.EndCall(reason))

    def _end_turn(self, person: Person, text: str, at: float) -> None:
        """This turn is to be answered next."""
        self._ended_turns.append((person.leg, text))
        self._answer_by = min(self._answer_by, at + YIELD_FOR)
