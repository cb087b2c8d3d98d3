"""The agent's floor: the utterance that has it, how far it was heard, what history keeps of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf

import attrs

from actors.machines import decisions as do
from actors.machines.barge_in import BargeIn, Rung, contains_test, phrase_test
from actors.machines.decisions import Decision
from actors.machines.person import Person
from actors.machines.profiles import PROFILES, FloorConfig, Profile
from actors.machines.turn_clock import Stage
from actors.machines.utterance import Closing, GoesOn, Utterance
from models.conversation import AgentSaid, Item

POSITION_WITHIN = 0.05
"""Seconds a cut waits for the exact position; then the last one told counts."""

_EPSILON = 1e-6


@attrs.define(eq=False)
class AgentFloor:
    """The lowest layer of a session.

    Every method takes the time `at`; public ones return what is to be done, in order.
    """

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
    _out: list[Decision] = attrs.field(factory=list, init=False)
    _closing: Closing | None = attrs.field(default=None, init=False)
    _suspended_at: float = attrs.field(default=inf, init=False)
    """Since when nobody is there to hear anything; inf while somebody is."""

    def __attrs_post_init__(self) -> None:
        self.profile = PROFILES[self.config.profile]
        self.barge = BargeIn(
            self.profile,
            phrase_test(self.config.backchannels),
            contains_test(self.config.end_words),
            self.config.hold_max,
        )

    # -- what the layers above add ----------------------------------------------------------

    def _settle(self, at: float) -> None:
        """What follows from a step, whatever it was."""

    def _go_on(self, utterance: Utterance, how: GoesOn, rest: str) -> None:
        """What a fault has ended is to be taken up again."""

    def _done(self, at: float) -> Sequence[Decision]:
        """Everything decided in this step."""
        self._settle(at)
        out, self._out = self._out, []
        return out

    # -- silence and sound ------------------------------------------------------------------

    def _hold(self, utterance: Utterance) -> None:
        utterance.held = True
        utterance.exact.clear()
        self._out.append(do.Hold(utterance.epoch))

    def _resume(self, utterance: Utterance) -> None:
        utterance.held = False
        position = utterance.ledger.resume_at(self._position(utterance))
        # In this order: going on ramps in by itself, slower than a duck ends.
        self._out.append(do.Duck(False))
        self._out.append(do.Resume(utterance.epoch, position))

    def _present(self) -> set[str]:
        return {leg for leg, person in self.people.items() if not person.away}

    def _position(self, utterance: Utterance) -> float:
        return utterance.position(self._present())

    def _cut(self, utterance: Utterance, at: float, then: GoesOn = GoesOn.NOTHING) -> None:
        """Silence first, then everybody is told, then history, once the position is known."""
        if not utterance.held:
            self._hold(utterance)
        self._out.append(do.CutTurn(utterance.epoch))
        self._out.append(do.CutSpeech(utterance.epoch))
        self.utterance = None
        self.barge.begin()
        awaited = (utterance.audience & self._present()) - utterance.exact
        if utterance.audible and awaited:
            self._closing = Closing(utterance, awaited, at + POSITION_WITHIN, then)
        else:
            self._close(utterance, at, interrupted=True, then=then)

    # -- history ----------------------------------------------------------------------------

    def _commit(self, item: Item) -> None:
        self.history = (*self.history, item)
        self._out.append(do.Commit(item))

    def _close(
        self,
        utterance: Utterance,
        at: float,
        *,
        interrupted: bool,
        then: GoesOn = GoesOn.NOTHING,
    ) -> None:
        """The utterance is over: history has what was heard of it."""
        self._closing = None
        if self.utterance is utterance:
            self.utterance = None
            self.barge.begin()
        ledger, position = utterance.ledger, self._position(utterance)
        text = ledger.heard(position) if utterance.audible else ""
        # Interrupted is what was not heard to its end; a cut after the last word cut nothing.
        whole = not utterance.generating and text == ledger.text
        cut = interrupted and not whole
        if text:
            self._commit(AgentSaid(text, utterance.turn, utterance.agent, cut, at))
        self._out.append(do.Drop(utterance.epoch))
        if text or ledger.text:
            self._out.append(do.Said(utterance.epoch, text, cut, utterance.agent))
        if utterance.audible:
            for person in self.people.values():
                person.turn.agent_spoke()
        if then is not GoesOn.NOTHING:
            self._go_on(utterance, then, utterance.rest(position))

    def _close_cut(self, closing: Closing, at: float) -> None:
        self._close(closing.utterance, at, interrupted=True, then=closing.goes_on)

    # -- what the output tracks tell ----------------------------------------------------------

    def _live(self, epoch: int, kind: str) -> Utterance | None:
        utterance = self.utterance
        if utterance is not None and utterance.epoch == epoch:
            return utterance
        self.stale[kind] += 1
        return None

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
            if position > max(utterance.positions.get(leg, 0.0), utterance.silent_at) + _EPSILON:
                utterance.silent_since = inf
            utterance.positions[leg] = position
            heard = self._position(utterance)
            self.barge.question = utterance.ledger.last_sentence_is_question(heard)
            self._out.append(do.Spoken(epoch, utterance.ledger.heard(heard)))
            if utterance.ledger.seconds - heard > self.config.max_utterance / 2:
                self._out.append(do.Heard(epoch, heard))
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
                self._close_cut(closing, at)
            return self._done(at)
        utterance = self._live(epoch, "held")
        if utterance is not None:
            utterance.positions[leg] = position
            if exact and utterance.held:
                utterance.exact.add(leg)
            if exact and utterance.rejoin_by < inf:
                self._rejoin(utterance)
        return self._done(at)

    def _rejoin(self, utterance: Utterance) -> None:
        """A wire has replaced another one, and it is known how far that was heard."""
        utterance.rejoin_by = inf
        if utterance.held and self._suspended_at == inf and self.barge.rung is not Rung.HELD:
            self._resume(utterance)

    def starved(self, leg: str, epoch: int, at: float) -> Sequence[Decision]:
        """The leg has nothing to play, with more due."""
        utterance = self._live(epoch, "starved")
        if utterance is not None and leg in self.people:
            utterance.silent_since = min(utterance.silent_since, at)
            utterance.silent_at = utterance.ledger.seconds
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
                self._close_cut(closing, at)
        elif self.utterance is not None:
            self._may_be_over(self.utterance, at)

    def _may_be_over(self, utterance: Utterance, at: float) -> None:
        """Everything was said, and everybody has heard it."""
        if utterance.voicing or utterance.generating or utterance.held:
            return
        audience = utterance.audience & self.people.keys()
        there = audience & self._present()
        heard = bool(there) and there <= utterance.drained
        if utterance.ledger.seconds > 0 and audience and not heard:
            return
        # If all who were to hear it have left, whoever came later has not heard it.
        self._close(utterance, at, interrupted=not audience)

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
