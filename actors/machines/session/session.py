"""The session's top: people come and go, and time passes."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import attrs

from actors.machines import decisions as do
from actors.machines.barge_in import Rung
from actors.machines.decisions import Decision
from actors.machines.endpointing import EndOfTurn
from actors.machines.person import Person
from actors.machines.session.floor import POSITION_WITHIN
from actors.machines.session.hearing import Hearing
from actors.machines.user_floor import UserFloor, UserState
from actors.machines.utterance import GoesOn, Utterance


@attrs.define(eq=False)
class Session(Hearing):
    """The machine. Every method takes the time `at` and returns what is to be done, in order."""

    _told_floors: dict[str, tuple[str, str]] = attrs.field(factory=dict, init=False)

    # -- legs -----------------------------------------------------------------------------

    def join(self, leg: str, at: float) -> Sequence[Decision]:
        """A person comes into the call."""
        floor = UserFloor(self.profile.confirm_windows)
        turn = EndOfTurn(self.config.turn, self.has_turn_model, self.hears)
        self.people[leg] = Person(leg, floor, turn)
        return self._done(at)

    def leave(self, leg: str, at: float) -> Sequence[Decision]:
        """A person is gone for good. The last one ends the conversation."""
        person = self.people.get(leg)
        if person is None:
            return self._done(at)
        if person.turn.text:
            self._begin_turn(person, person.turn.text, at, at)
        if len(self.people) == 1:
            # Where they stopped hearing is still asked of their track: they stay until it is known.
            self._finish("everybody left", at)
            return self._done(at)
        self._stop_listening(person, at)
        del self.people[leg]
        self._told_floors.pop(leg, None)
        if self.utterance is not None:
            self.utterance.positions.pop(leg, None)
        self._no_longer_awaited(leg, at)
        self._suspend_if_alone(at)
        return self._done(at)

    def away(self, leg: str, at: float) -> Sequence[Decision]:
        """A leg's line is lost; it may come back."""
        person = self.people.get(leg)
        if person is None or person.away:
            return self._done(at)
        self._stop_listening(person, at)
        person.away_since = at
        self._no_longer_awaited(leg, at)
        self._suspend_if_alone(at)
        return self._done(at)

    def _stop_listening(self, person: Person, at: float) -> None:
        if person.floor.state is UserState.ONSET:
            person.floor.reset()
            self._clicked(person, at)
        elif person.floor.speaking:
            person.floor.pause(at)
            self._paused(person, at)

    def _suspend_if_alone(self, at: float) -> None:
        """Nobody is there: nothing is played and nothing committed until somebody is."""
        if not self._present() and self._suspended_at == inf:
            self._suspended_at = at
            if self._goodbye is not None:
                self._finish(self._goodbye, at)  # it was over anyway
            elif self.utterance is not None and not self.utterance.held:
                self._hold(self.utterance)

    def back(self, leg: str, at: float) -> Sequence[Decision]:
        """The line is there again."""
        person = self.people.get(leg)
        if person is None:
            return self._done(at)
        utterance = self.utterance
        if not person.away:
            # The new wire came before the old one was known to be lost.
            if utterance is not None and not utterance.held:
                self._hold(utterance)
                utterance.rejoin_by = at + POSITION_WITHIN
            return self._done(at)
        gone = at - person.away_since
        others = self._present()
        person.away_since = inf
        alone, self._suspended_at = self._suspended_at < inf, inf
        if utterance is None:
            return self._done(at)
        if alone:
            self._go_on_after(utterance, gone, at)
        elif not utterance.held:  # it has gone on for the others: join in where they are
            utterance.positions[leg] = utterance.position(others)
            utterance.drained.discard(leg)
            self._out.append(do.Resume(utterance.epoch, utterance.positions[leg]))
        return self._done(at)

    def _go_on_after(self, utterance: Utterance, gone: float, at: float) -> None:
        """The utterance that the lost line interrupted."""
        late = gone > self.config.line_is_back_after
        if late and utterance.audible and not utterance.generating and self.config.line_is_back:
            self._cut(utterance, at, GoesOn.BACK)
        elif self.barge.rung is not Rung.HELD:
            self._resume(utterance)

    # -- the end ----------------------------------------------------------------------------

    def end(self, reason: str, at: float) -> Sequence[Decision]:
        """Somebody ends the conversation from outside, now."""
        self._finish(reason, at)
        return self._done(at)

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
        if self.utterance is None and self._closing is None:
            times.append(self._answer_by)
        elif self.utterance is not None:
            if not self.utterance.protected:
                times.append(self.barge.deadline)
            times.append(self._filler_at(self.utterance))
            times.append(self._give_up_at(self.utterance))
            times.append(self.utterance.rejoin_by)
            if not self.utterance.held:
                times.append(self._goodbye_by)
        return min(times)

    def time_passed(self, at: float) -> Sequence[Decision]:
        """A deadline may have come."""
        closing = self._closing
        if closing is not None and at >= closing.deadline:
            self._close_cut(closing, at)
        if self._suspended_at < inf or self.ended:
            return self._done(at)
        utterance = self.utterance
        if utterance is not None and not utterance.protected and at >= self.barge.deadline:
            self._climb(self._interrupter(), self.barge.time_passed(at), at)
        for person in list(self.people.values()):
            if not person.away and at >= person.turn.deadline:
                self._step(person, at)
        if self.utterance is not None:
            self._look_at(self.utterance, at)
        return self._done(at)

    def _look_at(self, utterance: Utterance, at: float) -> None:
        """Is the agent too slow?"""
        if at >= utterance.rejoin_by:
            self._rejoin(utterance)
        elif at >= self._goodbye_by and self._goodbye is not None and not utterance.held:
            if self._ended_turns:  # somebody has said something meanwhile
                self._cut(utterance, at)
            else:
                self._finish(self._goodbye, at)
        elif at >= self._give_up_at(utterance):
            self._give_up(utterance, at)
        elif at >= self._filler_at(utterance):
            self._fill(utterance, at)

    # -- telling ----------------------------------------------------------------------------

    def _settle(self, at: float) -> None:
        super()._settle(at)
        agent = self.agent_state()
        for leg, person in self.people.items():
            floors = (person.floor.state.value, agent)
            if self._told_floors.get(leg) != floors:
                self._told_floors[leg] = floors
                self._out.append(do.Floors(leg, *floors))
