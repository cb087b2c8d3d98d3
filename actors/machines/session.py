"""The session: both floors of a conversation, and the one table that joins them.

Who listens, thinks and speaks are actors; what they are to do next is decided here, as a pure
function of what they told and when. Every utterance has a number, its *epoch*; whatever carries the
number of another one is dropped and counted. History is committed in words that were heard.

Every waiting state has a deadline: `deadline` is the earliest, and `time_passed` acts on it.

Source: the specification's voice quality, 1 to 6.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from math import inf

import attrs

from actors.machines import decisions as do
from actors.machines.barge_in import (
    BargeIn,
    Rung,
    Verdict,
    Why,
    contains_test,
    phrase_test,
    words_of,
)
from actors.machines.decisions import Decision
from actors.machines.endpointing import EndOfTurn, TurnStep
from actors.machines.ledger import Span, join
from actors.machines.person import Person
from actors.machines.preemption import Basis, Preemption, normalised
from actors.machines.profiles import PROFILES, FloorConfig, Profile
from actors.machines.turn_clock import Stage, TurnClock
from actors.machines.user_floor import UserEvent, UserFloor, UserState
from actors.machines.utterance import Closing, Utterance
from models.conversation import AgentSaid, Item, UserSaid
from models.vad.levels import Level
from models.words import Word

POSITION_WITHIN = 0.05
"""Seconds a cut waits for the exact position; then the last one told counts."""

PRE_ROLL = 0.3
"""Seconds before the onset that the recogniser hears: the beginning of the first syllable."""

GOODBYE_WITHIN = 1.0
"""Seconds that a goodbye may take beyond its own length."""

FAST_EARS = 0.3
"""A recogniser whose finals come within so many seconds is fast."""

EPSILON = 1e-9


@attrs.frozen
class _Wish:
    """The agent wants to speak by itself, at the next free floor."""

    reason: str
    text: str | None
    """What it says; None if it is to be thought of first."""
    protected: bool = False


@attrs.define(eq=False)
class Session:
    """The machine. Every method takes the time `at` and returns what is to be done, in order."""

    config: FloorConfig = attrs.field(factory=FloorConfig)
    agent: str = "agent"
    history: tuple[Item, ...] = ()
    epoch: int = 0
    """Of the last utterance begun. A session that follows a crashed one starts beyond its."""
    turn: int = 0
    has_turn_model: bool = False
    hears: bool = True
    """There is a recogniser."""
    people: dict[str, Person] = attrs.field(factory=dict, init=False)
    stale: Counter[str] = attrs.field(factory=Counter, init=False)
    """Messages about utterances that are over, by kind: dropped."""
    utterance: Utterance | None = attrs.field(default=None, init=False)
    ended: bool = attrs.field(default=False, init=False)
    profile: Profile = attrs.field(init=False)
    barge: BargeIn = attrs.field(init=False)
    preemption: Preemption = attrs.field(init=False)
    _out: list[Decision] = attrs.field(factory=list, init=False)
    _closing: Closing | None = attrs.field(default=None, init=False)
    _wishes: deque[_Wish] = attrs.field(factory=deque, init=False)
    _answer_due: bool = attrs.field(default=False, init=False)
    """A committed turn waits for its answer to begin."""
    _held_turns: list[tuple[Person, str]] = attrs.field(factory=list, init=False)
    """Turns that ended while the agent may not be interrupted."""
    _clock: TurnClock | None = attrs.field(default=None, init=False)
    _thought: int | None = attrs.field(default=None, init=False)
    _last_filler: float = attrs.field(default=-inf, init=False)
    _fillers: int = attrs.field(default=0, init=False)
    _goodbye: str | None = attrs.field(default=None, init=False)
    _goodbye_by: float = attrs.field(default=inf, init=False)
    _told_floors: dict[str, tuple[str, str]] = attrs.field(factory=dict, init=False)
    _suspended_at: float = attrs.field(default=inf, init=False)

    def __attrs_post_init__(self) -> None:
        self.profile = PROFILES[self.config.profile]
        self.barge = BargeIn(
            self.profile,
            phrase_test(self.config.backchannels),
            contains_test(self.config.end_words),
            self.config.hold_max,
        )
        self.preemption = Preemption(self.config.preemptive_max, self.config.preemptive_max_seconds)

    # -- legs -----------------------------------------------------------------------------

    def join(self, leg: str, at: float) -> Sequence[Decision]:
        """A person comes into the call."""
        floor = UserFloor(self.profile.confirm_windows)
        turn = EndOfTurn(self.config.turn, self.has_turn_model, self.hears)
        self.people[leg] = Person(leg, floor, turn)
        return self._done(at)

    def leave(self, leg: str, at: float) -> Sequence[Decision]:
        """A person is gone for good. The last one ends the conversation."""
        self.people.pop(leg, None)
        self._no_longer_awaited(leg, at)
        if not self.people and not self.ended:
            self._finish_call("everybody left", at)
        return self._done(at)

    def away(self, leg: str, at: float) -> Sequence[Decision]:
        """A leg's line is lost; it may come back."""
        person = self.people.get(leg)
        if person is None or person.away:
            return self._done(at)
        person.away_since = at
        if person.floor.speaking:
            person.floor.pause(at)
            person.turn.pause(at)
            self.barge.quiet(at)
        self._no_longer_awaited(leg, at)
        if all(p.away for p in self.people.values()):
            self._suspended_at = at
            if self.utterance is not None and not self.utterance.held:
                self._hold(self.utterance)
        return self._done(at)

    def back(self, leg: str, at: float) -> Sequence[Decision]:
        """The line is there again."""
        person = self.people.get(leg)
        if person is None or not person.away:
            return self._done(at)
        gone = at - person.away_since
        person.away_since = inf
        if self._suspended_at < inf:
            self._suspended_at = inf
            if self.utterance is not None:
                self._go_on_after(self.utterance, gone, at)
        return self._done(at)

    def _go_on_after(self, utterance: Utterance, gone: float, at: float) -> None:
        """The utterance that the lost line interrupted."""
        late = gone > self.config.line_is_back_after
        if late and utterance.audible and not utterance.generating and self.config.line_is_back:
            rest = utterance.ledger.rest(utterance.position)
            self._close(utterance, at, interrupted=bool(rest))
            if rest:
                text = join([self.config.line_is_back, rest])
                self._wishes.appendleft(_Wish("line_is_back", text, utterance.protected))
        elif self.barge.rung is not Rung.HELD:
            self._resume(utterance)

    # -- the user's sound and words ---------------------------------------------------------

    def voice(
        self, leg: str, level: Level, run: int, start_at: float, end_at: float, at: float
    ) -> Sequence[Decision]:
        """The detector tells of a run of windows (times: when the sound was made)."""
        person = self.people.get(leg)
        if person is None or person.away or self.ended:
            self.stale["voice"] += 1
            return self._done(at)
        event = person.floor.voice(level, run, start_at, end_at)
        match event:
            case UserEvent.ONSET | UserEvent.CONFIRMED | UserEvent.VOICED | UserEvent.RESUMED:
                self._sound(person, event, start_at, at)
            case UserEvent.CLICK:
                self._rung(person, self.barge.click(), at)
                self._ears_may_close(person)
            case UserEvent.PAUSED:
                self._paused(person, at)
            case None:
                pass
        return self._done(at)

    def silence(self, leg: str, at: float) -> Sequence[Decision]:
        """No sound comes from the leg at all: that, too, is a pause."""
        person = self.people.get(leg)
        if person is not None:
            was_onset = person.floor.state is UserState.ONSET
            if person.floor.pause(at) is not None:
                if was_onset:
                    person.floor.reset()
                    self._rung(person, self.barge.click(), at)
                    self._ears_may_close(person)
                else:
                    self._paused(person, at)
        return self._done(at)

    def understood(
        self, leg: str, text: str, final: bool, start_at: float, end_at: float, at: float
    ) -> Sequence[Decision]:
        """The recogniser tells what it understood (times: when the sound was made)."""
        person = self.people.get(leg)
        if person is None or self.ended:
            self.stale["transcript"] += 1
            return self._done(at)
        if final and not person.turn.open and person.floor.state is UserState.QUIET:
            text = person.news(text, end_at)
        if words_of(text):
            self._worded(person, start_at, end_at, at)
        elif not person.turn.open:
            return self._done(at)
        person.turn.transcript(text, final, at)
        if person.turn.text:
            self._out.append(do.Understanding(leg, self.turn + 1, person.turn.text, final))
            if self._overlapping(person):
                self._rung(person, self.barge.words(person.turn.text, at), at)
        if final and person.floor.state is UserState.TRAILING:
            self._think_ahead(person, at)
        self._warn_if_long(person, at)
        return self._done(at)

    def _worded(self, person: Person, start_at: float, end_at: float, at: float) -> None:
        match person.floor.word(start_at, end_at):
            case UserEvent.CONFIRMED:
                self._turn_begins(person, person.floor.onset_at, at)
            case UserEvent.PAUSED:
                self._turn_begins(person, start_at, at)
                person.turn.pause(end_at)
            case _:
                pass

    def typed(self, leg: str, text: str, at: float) -> Sequence[Decision]:
        """The person wrote something: a turn, complete as it stands."""
        person = self.people.get(leg)
        if person is None or not text.strip() or self.ended:
            return self._done(at)
        self._interrupt(person, at)
        person.turn.drop()
        self._begin_turn(person, text.strip(), at, at)
        return self._done(at)

    def opinion(self, leg: str, token: int, probability: float, at: float) -> Sequence[Decision]:
        """The end-of-turn model has answered."""
        person = self.people.get(leg)
        if person is not None:
            person.turn.opinion(token, probability)
        return self._done(at)

    def _sound(self, person: Person, event: UserEvent, start_at: float, at: float) -> None:
        floor = person.floor
        if event is UserEvent.ONSET or (event is UserEvent.CONFIRMED and not person.ears_open):
            person.ears_open = True
            self._out.append(do.OpenEars(person.leg, floor.onset_at - PRE_ROLL))
        if event in (UserEvent.CONFIRMED, UserEvent.RESUMED):
            self._turn_begins(person, start_at, at)
        # Ducking is for the first window, before it is known whether anybody is speaking.
        if self.utterance is not None and not self.utterance.protected:
            if not person.turn.open:
                person.overlapped = self.utterance.audible
            self._rung(person, self.barge.speech(floor.voiced, floor.run, at), at)

    def _turn_begins(self, person: Person, start_at: float, at: float) -> None:
        if not person.turn.open:
            person.overlapped = self.utterance is not None and self.utterance.audible
        if not person.ears_open:
            person.ears_open = True
            self._out.append(do.OpenEars(person.leg, start_at - PRE_ROLL))
        person.turn.speech(start_at)
        number = self.preemption.withdraw()
        if number is not None:
            self._out.append(do.Unthink(number))
        self._warn_if_long(person, at)

    def _paused(self, person: Person, at: float) -> None:
        person.turn.pause(person.floor.last_speech_at)
        if self._overlapping(person):
            self._rung(person, self.barge.quiet(at), at)

    def _overlapping(self, person: Person) -> bool:
        """This person's speech is weighed against the agent's."""
        del person
        return self.utterance is not None and not self.utterance.protected

    def _ears_may_close(self, person: Person) -> None:
        if person.ears_open and not person.turn.open:
            person.ears_open = False
            self._out.append(do.CloseEars(person.leg))

    def _warn_if_long(self, person: Person, at: float) -> None:
        limits = self.config.turn
        if person.warned_long or not person.turn.open:
            return
        seconds, words = at - person.turn.started_at, len(words_of(person.turn.text))
        if seconds > limits.max_seconds or words > limits.max_words:
            person.warned_long = True
            self._out.append(do.LongTurn(person.leg, seconds, words))

    # -- the ladder -------------------------------------------------------------------------

    def _rung(self, person: Person, verdict: Verdict | None, at: float) -> None:
        """Carry out what the ladder says about this person's speech."""
        utterance = self.utterance
        if verdict is None or utterance is None:
            return
        match verdict:
            case Verdict.DUCK:
                self._out.append(do.Duck(True))
            case Verdict.UNDUCK:
                self._out.append(do.Duck(False))
            case Verdict.HOLD:
                if not utterance.held:
                    self._hold(utterance)
                    person.silence_at = at
            case Verdict.RESUME:
                self._false_alarm(person)
                self._resume(utterance)
            case Verdict.CUT:
                self._interrupt(person, at)

    def _hold(self, utterance: Utterance) -> None:
        utterance.held = True
        utterance.exact.clear()
        self._out.append(do.Hold(utterance.epoch))

    def _resume(self, utterance: Utterance) -> None:
        utterance.held = False
        position = utterance.ledger.resume_at(utterance.position)
        self._out.append(do.Resume(utterance.epoch, position))
        self._out.append(do.Duck(False))

    def _false_alarm(self, person: Person) -> None:
        """It was no interruption: what was understood of it enters no turn."""
        why = self.barge.why or Why.NOISE
        self._out.append(do.Overlap(person.leg, why, person.turn.text))
        self._drop_turn(person)

    def _drop_turn(self, person: Person) -> None:
        person.turn.drop()
        person.forget_turn()
        if not person.floor.speaking:
            person.floor.reset()
            self._ears_may_close(person)

    def _interrupt(self, person: Person, at: float) -> None:
        """CUT: silence first, then everybody is told, then history."""
        utterance = self.utterance
        if utterance is None:
            return
        if not utterance.held:
            self._hold(utterance)
            person.silence_at = at
        person.cut_agent = utterance.audible
        self._cut(utterance, at)

    def _cut(self, utterance: Utterance, at: float) -> None:
        self._out.append(do.CutTurn(utterance.epoch))
        self._out.append(do.CutSpeech(utterance.epoch))
        self.utterance = None
        self._goodbye_by = inf if self._goodbye is None else self._goodbye_by
        self.barge.begin()
        present = {p.leg for p in self.people.values() if not p.away}
        awaited = present - utterance.exact if utterance.audible else set()
        if awaited:
            self._closing = Closing(utterance, awaited, at + POSITION_WITHIN)
        else:
            self._close(utterance, at, interrupted=True)

    # -- history ----------------------------------------------------------------------------

    def _commit(self, item: Item) -> None:
        self.history = (*self.history, item)
        self._out.append(do.Commit(item))

    def _close(self, utterance: Utterance, at: float, *, interrupted: bool) -> None:
        """The utterance is over: history has what was heard of it."""
        self._closing = None
        if self.utterance is utterance:
            self.utterance = None
            self.barge.begin()
        text = utterance.heard() if utterance.audible else ""
        # Interrupted is what was not heard to its end; a cut after the last word cut nothing.
        whole = not utterance.generating and text == utterance.ledger.text
        cut = interrupted and not whole
        if text:
            self._commit(AgentSaid(text, utterance.turn, utterance.agent, cut, at))
        self._out.append(do.Drop(utterance.epoch))
        if text or utterance.ledger.text:
            self._out.append(do.Said(utterance.epoch, text, cut, utterance.agent))
        if utterance.audible:
            for person in self.people.values():
                person.turn.agent_spoke()

    def committed(self, item: Item, epoch: int, at: float) -> Sequence[Decision]:
        """The agent did something that belongs to history: a tool call, its answer."""
        del epoch  # what was done was done, whatever became of the utterance
        self._commit(item)
        return self._done(at)

    # -- turns ------------------------------------------------------------------------------

    def _step(self, person: Person, at: float) -> None:
        step = person.turn.time_passed(at)
        match step:
            case TurnStep.CANDIDATE:
                person.flush += 1
                self._out.append(do.AskWords(person.leg, person.flush))
                if self.has_turn_model:
                    self._out.append(do.AskOpinion(person.leg, person.turn.token, person.turn.text))
            case TurnStep.COMMIT:
                self._turn_over(person, at)
            case TurnStep.EMPTY:
                self._empty_turn(person)
            case None:
                pass

    def _turn_over(self, person: Person, at: float) -> None:
        utterance = self.utterance
        text, spoke_until = person.turn.text, person.turn.last_speech_at
        if utterance is not None and utterance.audible:
            if utterance.protected:
                self._held_turns.append((person, person.turn.take()))
                self._after_turn(person, text, spoke_until)
                return
            if self._is_overlap_only(text, person):
                self._out.append(do.Overlap(person.leg, self._overlap_why(text), text))
                self._drop_turn(person)
                if utterance.held:
                    self.barge.begin()
                    self._resume(utterance)
                return
        if utterance is not None:
            self._interrupt(person, at)
        self._begin_turn(person, person.turn.take(), spoke_until, at)

    def _is_overlap_only(self, text: str, person: Person) -> bool:
        if not person.overlapped or self.barge.is_end_word(text):
            return False
        if len(words_of(text)) < self.profile.words_to_cut:
            return True
        listening = self.profile.heeds_backchannels and not self.barge.question
        return listening and self.barge.is_backchannel(text)

    def _overlap_why(self, text: str) -> Why:
        return Why.BACKCHANNEL if self.barge.is_backchannel(text) else Why.TOO_SHORT

    def _begin_turn(self, person: Person, text: str, spoke_until: float, at: float) -> None:
        self.turn += 1
        clock = TurnClock(self.turn, spoke_until)
        clock.reached(Stage.END_OF_TURN, at)
        if person.cut_agent and person.silence_at < inf:
            clock.barge_in = max(0.0, person.silence_at - person.floor.onset_at)
        self._clock = clock
        basis = Basis(normalised(text), len(self.history), self.epoch)
        self._thought = self.preemption.settle(basis)
        clock.preemptive = self._thought is not None
        self._after_turn(person, text, spoke_until)
        # What was cut comes first in history; its position may still be on its way.
        self._held_turns.append((person, text))

    def _after_turn(self, person: Person, text: str, spoke_until: float) -> None:
        person.turn.drop()
        person.floor.reset()
        person.committed(text, spoke_until)
        self._ears_may_close(person)

    def _empty_turn(self, person: Person) -> None:
        """Somebody spoke, and nothing of it was understood."""
        cut = person.cut_agent
        self._drop_turn(person)
        if cut and self.config.did_not_catch:
            self._wishes.append(_Wish("did_not_catch", self.config.did_not_catch))

    def _think_ahead(self, person: Person, at: float) -> None:
        if not self.config.preemptive or self.utterance is not None or self._closing is not None:
            return
        if self._held_turns or not person.turn.final:
            return
        text = person.turn.text
        basis = Basis(normalised(text), len(self.history), self.epoch)
        number = self.preemption.begin(basis, at - person.turn.started_at)
        if number is not None:
            self._out.append(do.Think(number, text, person.leg, self.history, self.agent))

    # -- the agent's floor --------------------------------------------------------------------

    def say(
        self, text: str, at: float, *, reason: str = "say", protected: bool = False
    ) -> Sequence[Decision]:
        """Have this said, at the next free floor."""
        self._wishes.append(_Wish(reason, text, protected))
        return self._done(at)

    def wish(self, reason: str, at: float, *, protected: bool = False) -> Sequence[Decision]:
        """The agent wants to say something, which it will think of when it has the floor."""
        self._wishes.append(_Wish(reason, None, protected))
        return self._done(at)

    def hang_up(self, epoch: int, reason: str, at: float) -> Sequence[Decision]:
        """The agent ends the call, once what it is saying is said. Not if it was cut meanwhile."""
        if self._live(epoch, "hang_up") is not None:
            self._goodbye = reason
        return self._done(at)

    def may_start_tool(self, epoch: int, at: float) -> bool:
        """A tool may start: its turn was committed, and nothing has cut it or holds it."""
        del at
        utterance = self.utterance
        live = utterance is not None and utterance.epoch == epoch
        if not live:
            self.stale["tool"] += 1
        return live

    def _next(self, at: float) -> None:
        """Nobody has the agent's floor: who is next?"""
        if self.utterance is not None or self._closing is not None or self.ended:
            return
        if self._suspended_at < inf:
            return
        if self._held_turns:
            self._answer(at)
        elif self._goodbye is not None:
            self._finish_call(self._goodbye, at)
        elif self._wishes and not self._somebody_speaks():
            self._speak_up(self._wishes.popleft(), at)

    def _somebody_speaks(self) -> bool:
        return any(
            p.floor.state in (UserState.SPEAKING, UserState.TRAILING) and not p.away
            for p in self.people.values()
        )

    def _answer(self, at: float) -> None:
        """All turns that ended are answered together."""
        for person, text in self._held_turns:
            leg = person.leg if len(self.people) > 1 else ""
            self._commit(UserSaid(text, self.turn, at, leg))
        self._held_turns.clear()
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.reached(Stage.HISTORY, at)
        utterance = self._begin(at, clock)
        thought, self._thought = self._thought, None
        self._take(utterance, thought, "user")

    def _take(self, utterance: Utterance, thought: int | None, reason: str) -> None:
        turn = do.TakeTurn(utterance.epoch, self.turn, self.history, self.agent, thought, reason)
        self._out.append(turn)

    def _speak_up(self, wish: _Wish, at: float) -> None:
        utterance = self._begin(at, None, wish.protected)
        if wish.text is None:
            self._take(utterance, None, wish.reason)
        else:
            utterance.generating = False
            self._out.append(do.Utter(utterance.epoch, wish.text, last=True))

    def _begin(self, at: float, clock: TurnClock | None, protected: bool = False) -> Utterance:
        self.epoch += 1
        number = self.preemption.withdraw()
        if number is not None:
            self._out.append(do.Unthink(number))
        utterance = Utterance(self.epoch, self.turn, self.agent, at, protected, clock)
        self.utterance = utterance
        self.barge.begin()
        self.barge.hold_max = self._hold_max()
        self._out.append(do.Begin(self.epoch))
        return utterance

    def _hold_max(self) -> float:
        fast = self.people and all(
            p.turn.answer_times.p99 <= FAST_EARS for p in self.people.values()
        )
        return self.config.hold_max_fast if fast else self.config.hold_max

    def _live(self, epoch: int, kind: str) -> Utterance | None:
        utterance = self.utterance
        if utterance is not None and utterance.epoch == epoch:
            return utterance
        self.stale[kind] += 1
        return None

    # -- what the agent and the speaker tell ---------------------------------------------------

    def changed_agent(self, epoch: int, name: str, at: float) -> Sequence[Decision]:
        """Another agent goes on with this utterance."""
        utterance = self._live(epoch, "agent")
        self.agent = name
        if utterance is not None and not utterance.ledger.text:
            utterance.agent = name
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
            if not filler and utterance.clock is not None:
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

    def answer_ended(self, epoch: int, at: float) -> Sequence[Decision]:
        """No more text of this utterance comes."""
        utterance = self._live(epoch, "answer_ended")
        if utterance is not None:
            utterance.generating = False
            self._may_be_over(utterance, at)
        return self._done(at)

    def speech_ended(self, epoch: int, at: float) -> Sequence[Decision]:
        """No more sound of this utterance comes."""
        utterance = self._live(epoch, "speech_ended")
        if utterance is not None:
            utterance.voicing = utterance.generating = False
            self._may_be_over(utterance, at)
        return self._done(at)

    # -- what the output tracks tell ------------------------------------------------------------

    def started(self, leg: str, epoch: int, at: float) -> Sequence[Decision]:
        """The first sound of the utterance was handed to the leg's wire."""
        utterance = self._live(epoch, "started")
        if utterance is not None:
            utterance.positions.setdefault(leg, 0.0)
            utterance.silent_since = inf
            if not utterance.audible:
                utterance.audible_since = at
                self.barge.sounding(at)
                if utterance.clock is not None:
                    utterance.clock.reached(Stage.PLAYOUT, at)
                    self._out.append(do.TurnTaken(utterance.clock.latency()))
        return self._done(at)

    def progress(self, leg: str, epoch: int, position: float, at: float) -> Sequence[Decision]:
        """The leg has heard so many seconds of the utterance."""
        utterance = self._live(epoch, "progress")
        if utterance is not None and leg in self.people:
            utterance.positions[leg] = position
            heard = utterance.heard()
            self.barge.question = utterance.ledger.last_sentence_is_question(utterance.position)
            self._out.append(do.Spoken(epoch, len(heard)))
        return self._done(at)

    def held(
        self, leg: str, epoch: int, position: float, exact: bool, at: float
    ) -> Sequence[Decision]:
        """The leg is silent since that position."""
        closing = self._closing
        if closing is not None and closing.utterance.epoch == epoch:
            closing.utterance.positions[leg] = position
            if exact:
                closing.awaited.discard(leg)
            if not closing.awaited:
                self._close(closing.utterance, at, interrupted=True)
            return self._done(at)
        utterance = self._live(epoch, "held")
        if utterance is not None and utterance.held:
            utterance.positions[leg] = position
            if exact:
                utterance.exact.add(leg)
        return self._done(at)

    def starved(self, leg: str, epoch: int, at: float) -> Sequence[Decision]:
        """The leg has nothing to play, with more due."""
        utterance = self._live(epoch, "starved")
        if utterance is not None and leg in self.people:
            utterance.silent_since = min(utterance.silent_since, at)
        return self._done(at)

    def drained(self, leg: str, epoch: int, position: float, at: float) -> Sequence[Decision]:
        """The leg has heard the utterance to its end."""
        utterance = self._live(epoch, "drained")
        if utterance is not None:
            utterance.positions[leg] = position
            utterance.drained.add(leg)
            self._may_be_over(utterance, at)
        return self._done(at)

    def _no_longer_awaited(self, leg: str, at: float) -> None:
        """A leg that is not there tells no position."""
        closing = self._closing
        if closing is not None:
            closing.awaited.discard(leg)
            if not closing.awaited:
                self._close(closing.utterance, at, interrupted=True)
        elif self.utterance is not None:
            self._may_be_over(self.utterance, at)

    def _may_be_over(self, utterance: Utterance, at: float) -> None:
        """Everything was said, and everybody has heard it."""
        if utterance.voicing or utterance.generating or utterance.held:
            return
        present = {p.leg for p in self.people.values() if not p.away}
        if utterance.ledger.seconds > 0 and not (present and present <= utterance.drained):
            return
        self._close(utterance, at, interrupted=False)

    # -- faults -------------------------------------------------------------------------------

    def lost(self, who: str, at: float) -> Sequence[Decision]:
        """An actor that was working on the utterance restarted: what it had in hand is gone.

        What was heard is committed. If the answer's text was complete, the rest of it is said
        anew; otherwise the agent is asked again, and finds in history how far it got.
        """
        del who
        utterance = self.utterance
        if utterance is None or self.ended:
            return self._done(at)
        if utterance.held:
            self.barge.begin()
        generating, text = utterance.generating, utterance.ledger.text
        self._hold(utterance)
        self._out.append(do.CutTurn(utterance.epoch))
        self._out.append(do.CutSpeech(utterance.epoch))
        rest = utterance.ledger.rest(utterance.position) if text else ""
        self._close(utterance, at, interrupted=bool(rest) or generating)
        if generating:
            self._wishes.appendleft(_Wish("again", None, utterance.protected))
        elif rest:
            self._wishes.appendleft(_Wish("rest", rest, utterance.protected))
        return self._done(at)

    def takes_over(self, heard: str, rest: str, at: float) -> Sequence[Decision]:
        """This session follows a crashed one, of whose last utterance this was heard, and this not.

        Unless the answer was still being thought of, the rest is said anew.
        """
        answered = bool(self.history) and not isinstance(self.history[-1], UserSaid)
        if heard:
            self._commit(AgentSaid(heard, self.turn, self.agent, bool(rest), at))
        if rest:
            self._wishes.append(_Wish("rest", rest))
        elif not heard and not answered and self.history:
            self._wishes.append(_Wish("again", None))
        return self._done(at)

    # -- the end ----------------------------------------------------------------------------

    def end(self, reason: str, at: float) -> Sequence[Decision]:
        """Somebody ends the conversation from outside, now."""
        if not self.ended:
            self._finish_call(reason, at)
        return self._done(at)

    def _finish_call(self, reason: str, at: float) -> None:
        if self.utterance is not None:
            self._hold(self.utterance)
            self._cut(self.utterance, at)
        if self._closing is not None:
            self._close(self._closing.utterance, at, interrupted=True)
        for person, text in self._held_turns:
            self._commit(UserSaid(text, self.turn, at, person.leg if len(self.people) > 1 else ""))
        self._held_turns.clear()
        self._wishes.clear()
        self.ended = True
        self._out.append(do.EndCall(reason))

    # -- time -------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling; inf if nobody waits for anything."""
        if self.ended:
            return inf
        times = [self._closing.deadline if self._closing is not None else inf]
        if self._suspended_at < inf:
            return min(times)
        times += [p.turn.deadline for p in self.people.values() if not p.away]
        if self.utterance is not None:
            if not self.utterance.protected:
                times.append(self.barge.deadline)
            times.append(self._filler_at(self.utterance))
            times.append(self._give_up_at(self.utterance))
        return min(times)

    def time_passed(self, at: float) -> Sequence[Decision]:
        """A deadline may have come."""
        closing = self._closing
        if closing is not None and at >= closing.deadline:
            self._close(closing.utterance, at, interrupted=True)
        if self._suspended_at < inf or self.ended:
            return self._done(at)
        utterance = self.utterance
        if utterance is not None and not utterance.protected and at >= self.barge.deadline:
            self._rung(self._interrupter(), self.barge.time_passed(at), at)
        for person in list(self.people.values()):
            if not person.away and at >= person.turn.deadline:
                self._step(person, at)
        utterance = self.utterance
        if utterance is not None:
            if at >= self._give_up_at(utterance):
                self._give_up(utterance, at)
            elif at >= self._filler_at(utterance):
                self._fill(utterance, at)
        return self._done(at)

    def _interrupter(self) -> Person:
        """Whose speech is on the ladder: who speaks now, or spoke last."""
        return max(
            self.people.values(),
            key=lambda p: (p.floor.speaking, p.turn.open, p.floor.onset_at),
        )

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
        self._hold(utterance)
        self._cut(utterance, at)
        self._wishes.appendleft(_Wish("apology", self.config.apology))

    # -- telling ----------------------------------------------------------------------------

    def agent_state(self) -> str:
        """Where the agent's floor stands, as the specification calls it."""
        utterance = self.utterance
        if utterance is None:
            return "idle"
        if utterance.held:
            return "held"
        if not utterance.audible:
            return "thinking"
        if utterance.protected:
            return "protected"
        return "ducked" if self.barge.rung is Rung.DUCKED else "speaking"

    def _done(self, at: float) -> Sequence[Decision]:
        """Everything decided in this step."""
        self._next(at)
        agent = self.agent_state()
        for leg, person in self.people.items():
            floors = (person.floor.state.value, agent)
            if self._told_floors.get(leg) != floors:
                self._told_floors[leg] = floors
                self._out.append(do.Floors(leg, *floors))
        out, self._out = self._out, []
        return out
