"""People's sound and words: whose turn it is, when it ends, and who interrupts the agent."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import attrs

from actors.machines import decisions as do
from actors.machines.barge_in import Verdict, Why, words_of
from actors.machines.decisions import Decision
from actors.machines.endpointing import TurnStep
from actors.machines.person import Person
from actors.machines.preemption import Basis, normalised
from actors.machines.session.answering import Answering, Wish
from actors.machines.turn_clock import Stage, TurnClock
from actors.machines.user_floor import UserEvent, UserState
from actors.machines.utterance import Utterance
from models.vad.levels import Level

PRE_ROLL = 0.3
"""Seconds before the onset that the recogniser hears: the beginning of the first syllable."""


@attrs.define(eq=False)
class Hearing(Answering):
    """The upper layer of a session."""

    # -- sound ------------------------------------------------------------------------------

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
                self._clicked(person, at)
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
                    self._clicked(person, at)
                else:
                    self._paused(person, at)
        return self._done(at)

    def _sound(self, person: Person, event: UserEvent, start_at: float, at: float) -> None:
        floor = person.floor
        person.by_words = 0
        if event is UserEvent.ONSET:
            self._open_ears(person, floor.onset_at)
        if event in (UserEvent.CONFIRMED, UserEvent.RESUMED):
            self._turn_begins(person, start_at, at)
        # Ducking is for the first window, before it is known whether anybody is speaking.
        if self._overlapping():
            if not person.turn.open:
                person.overlapped = self.utterance is not None and self.utterance.audible
            self._climb(person, self.barge.speech(floor.voiced, floor.run, at), at)

    def _open_ears(self, person: Person, since: float) -> None:
        if not person.ears_open:
            person.ears_open = True
            self._out.append(do.OpenEars(person.leg, since - PRE_ROLL))

    def reopen(self, leg: str, at: float) -> Sequence[Decision]:
        """What takes the leg's sound has restarted, with closed ears."""
        person = self.people.get(leg)
        if person is not None and person.ears_open:
            self._out.append(do.OpenEars(leg, at - PRE_ROLL))
        return self._done(at)

    def _ears_may_close(self, person: Person) -> None:
        if person.ears_open and not person.turn.open:
            person.ears_open = False
            self._out.append(do.CloseEars(person.leg))

    def _turn_begins(self, person: Person, start_at: float, at: float) -> None:
        if not person.turn.open:
            person.overlapped = self.utterance is not None and self.utterance.audible
        self._open_ears(person, min(start_at, person.floor.onset_at))
        person.turn.speech(start_at)
        number = self.preemption.withdraw()
        if number is not None:
            self._out.append(do.Unthink(number))
        self._warn_if_long(person, at)

    def _paused(self, person: Person, at: float) -> None:
        person.turn.pause(person.floor.last_speech_at)
        self._climb_down(person, at)

    def _climb_down(self, person: Person, at: float) -> None:
        """This person does not speak now; but somebody else may."""
        if not self._overlapping():
            return
        others = [p for p in self.people.values() if p is not person and not p.away]
        speaking = [p for p in others if p.floor.state is UserState.SPEAKING]
        if not speaking:
            floor = person.floor
            self._climb(person, self.barge.quiet(at, floor.last_speech_at, floor.voiced), at)
            return
        loudest = max(speaking, key=lambda p: p.floor.voiced)
        verdict = self.barge.speech(loudest.floor.voiced, loudest.floor.run, at)
        self._climb(loudest, verdict, at)

    def _clicked(self, person: Person, at: float) -> None:
        others = [p for p in self.people.values() if p is not person and p.floor.speaking]
        if not others:
            self._climb(person, self.barge.click(), at)
        self._ears_may_close(person)

    def _overlapping(self) -> bool:
        """Speech is weighed against the agent's."""
        return self.utterance is not None and not self.utterance.protected

    def _warn_if_long(self, person: Person, at: float) -> None:
        limits = self.config.turn
        if person.warned_long or not person.turn.open:
            return
        seconds, words = at - person.turn.started_at, len(words_of(person.turn.text))
        if seconds > limits.max_seconds or words > limits.max_words:
            person.warned_long = True
            self._out.append(do.LongTurn(person.leg, seconds, words))

    # -- words ------------------------------------------------------------------------------

    def understood(
        self, leg: str, text: str, final: bool, start_at: float, end_at: float, at: float
    ) -> Sequence[Decision]:
        """The recogniser tells what it understood (times: when the sound was made)."""
        person = self.people.get(leg)
        if person is None or self.ended:
            self.stale["transcript"] += 1
            return self._done(at)
        text = person.news(text, final, start_at, end_at)
        if words_of(text):
            self._worded(person, len(words_of(text)), start_at, end_at, at)
        elif not person.turn.open:
            return self._done(at)
        person.turn.transcript(text, final, at)
        if person.turn.text:
            self._out.append(do.Understanding(leg, self.turn + 1, person.turn.text, final))
            if self._overlapping():
                self._climb(person, self.barge.words(person.turn.text, at), at)
        if final and person.floor.state is UserState.TRAILING:
            self._think_ahead(person, at)
        self._warn_if_long(person, at)
        return self._done(at)

    def _worded(
        self, person: Person, count: int, start_at: float, end_at: float, at: float
    ) -> None:
        event = person.floor.word(start_at, end_at)
        if event is UserEvent.CONFIRMED:
            self._turn_begins(person, person.floor.onset_at, at)
        elif event is UserEvent.PAUSED:
            self._turn_begins(person, start_at, at)
            person.turn.pause(end_at)
            person.by_words = count
        elif person.by_words and count > person.by_words:
            # The detector does not hear this speech, but it goes on.
            person.by_words = count
            person.floor.last_speech_at = end_at
            person.turn.speech(end_at)
            person.turn.pause(end_at)

    def typed(self, leg: str, text: str, at: float) -> Sequence[Decision]:
        """The person wrote something: a turn, complete as it stands, with what was just spoken."""
        person = self.people.get(leg)
        text = text.strip()
        if person is None or not text or self.ended:
            return self._done(at)
        if person.turn.text:
            text = f"{person.turn.text} {text}"
        self._out.append(do.Understanding(leg, self.turn + 1, text, True))
        if self.utterance is not None and not self.utterance.protected:
            self._interrupt(person, at)
        self._begin_turn(person, text, at, at)
        return self._done(at)

    def opinion(self, leg: str, token: int, probability: float, at: float) -> Sequence[Decision]:
        """The end-of-turn model has answered."""
        person = self.people.get(leg)
        if person is not None:
            person.turn.opinion(token, probability)
        return self._done(at)

    # -- the ladder -------------------------------------------------------------------------

    def _climb(self, person: Person, verdict: Verdict | None, at: float) -> None:
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
                    _silenced(person, utterance, at)
            case Verdict.RESUME:
                why = self.barge.why or Why.NOISE
                self._out.append(do.Overlap(person.leg, why, person.turn.text))
                self._drop_turn(person, at)
                self._resume(utterance)
            case Verdict.CUT:
                self._interrupt(person, at)

    def _interrupt(self, person: Person, at: float) -> None:
        """CUT: what the agent was saying, and meant to do after it, is over."""
        utterance = self.utterance
        if utterance is None:
            return
        if not utterance.held:
            _silenced(person, utterance, at)
        person.cut_agent = utterance.audible
        self._goodbye, self._goodbye_by = None, inf
        self._cut(utterance, at)

    def _interrupter(self) -> Person:
        """Whose speech is on the ladder: who speaks now, or spoke last."""
        return max(
            self.people.values(),
            key=lambda p: (p.floor.speaking, p.turn.open, p.floor.onset_at),
        )

    # -- turns ------------------------------------------------------------------------------

    def _step(self, person: Person, at: float) -> None:
        match person.turn.time_passed(at):
            case TurnStep.CANDIDATE:
                self._ask_words(person)
                if self.has_turn_model:
                    token, since = person.turn.token, person.floor.onset_at
                    opinion = do.AskOpinion(person.leg, token, person.turn.text, since)
                    self._out.append(opinion)
            case TurnStep.COMMIT:
                self._turn_over(person, at)
            case TurnStep.EMPTY:
                self._empty_turn(person, at)
            case None:
                pass

    def _ask_words(self, person: Person) -> None:
        person.flush += 1
        self._out.append(do.AskWords(person.leg, person.flush))

    def _turn_over(self, person: Person, at: float) -> None:
        utterance = self.utterance
        text, spoke_until = person.turn.text, person.turn.last_speech_at
        if utterance is not None and not utterance.protected:
            if utterance.audible and self._is_overlap_only(text, person):
                self._out.append(do.Overlap(person.leg, self._overlap_why(text), text))
                self._drop_turn(person, at)
                if utterance.held:
                    self.barge.begin()
                    self._resume(utterance)
                return
            self._interrupt(person, at)
        self._begin_turn(person, text, spoke_until, at)

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
        """A turn has ended: it is answered as soon as the floor is free and history settled."""
        self.turn += 1
        clock = TurnClock(self.turn, spoke_until)
        clock.reached(Stage.END_OF_TURN, at)
        if person.cut_agent and person.silence_at < inf:
            clock.barge_in = max(0.0, person.silence_at - person.talked_over_since)
        self._clock = clock
        basis = Basis(normalised(text), len(self.history), self.epoch)
        thought = self.preemption.settle(basis)
        self._thought = None if self._ended_turns or self.utterance is not None else thought
        clock.preemptive = self._thought is not None
        self._forget_turn(person, spoke_until, at)
        self._end_turn(person, text, at)

    def _drop_turn(self, person: Person, at: float) -> None:
        """It was no turn.

        What was understood of it, and what the recogniser has yet to tell of it, enters none.
        """
        if not person.turn.final:
            self._ask_words(person)
        self._forget_turn(person, at, at)

    def _forget_turn(self, person: Person, spoke_until: float, at: float) -> None:
        unsettled = "" if person.turn.final else person.turn.text
        person.turn.drop()
        person.finished(unsettled, spoke_until)
        if person.floor.state is UserState.SPEAKING:
            person.turn.speech(at)  # speech goes on, and that is another turn
        else:
            person.floor.reset()
            self._ears_may_close(person)

    def _empty_turn(self, person: Person, at: float) -> None:
        """Somebody spoke, and nothing of it was understood."""
        cut = person.cut_agent
        self._drop_turn(person, at)
        utterance = self.utterance
        if utterance is not None and utterance.held:
            self.barge.begin()
            self._resume(utterance)
        if cut and self.config.did_not_catch:
            self._wishes.append(Wish("did_not_catch", self.config.did_not_catch))

    def _think_ahead(self, person: Person, at: float) -> None:
        if not self.config.preemptive or self.utterance is not None or self._closing is not None:
            return
        if self._ended_turns or not person.turn.final:
            return
        text = person.turn.text
        basis = Basis(normalised(text), len(self.history), self.epoch)
        number = self.preemption.begin(basis, at - person.turn.started_at)
        if number is not None:
            self._out.append(do.Think(number, text, person.leg, self.history, self.agent))


def _silenced(person: Person, utterance: Utterance, at: float) -> None:
    """Note for the turn's account how long the two spoke at the same time."""
    person.silence_at = at
    if utterance.audible:
        person.talked_over_since = max(person.floor.onset_at, utterance.audible_since)
    else:
        person.talked_over_since = at
