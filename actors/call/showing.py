"""What the people in a call see of it, if they have a screen."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from actors.call.line import LineMessage
from actors.machines import decisions as do
from actors.machines.decisions import Decision
from actors.machines.turn_clock import TurnLatency
from supervision import ActorRef
from transports.leg import (
    Show,
    ShowFloors,
    ShowNotice,
    ShowSaid,
    ShowSpeech,
    ShowSpoken,
    ShowTranscript,
    ShowTurn,
)

logger = logging.getLogger("troupe.session")


class Screens:
    """The lines of everybody in the call, by their leg."""

    def __init__(self, call: str, began_at: float) -> None:
        """`call` is its path, for the log."""
        self._call = call
        self._began_at = began_at
        self.lines: Mapping[str, ActorRef[LineMessage]] = {}

    def show(self, show: Show) -> None:
        """Everybody sees this."""
        for line in self.lines.values():
            line.tell(show)

    def notice(self, text: str, level: str) -> None:
        """Everybody should know this."""
        self.show(ShowNotice(text, level))

    def decided(self, decision: Decision, at: float) -> None:
        """The session has decided this; some of it is worth seeing."""
        match decision:
            case do.Understanding(leg, turn, text, final):
                self.show(ShowTranscript(turn, text, final, leg))
            case do.Piece(epoch, text, agent):
                self.show(ShowSpeech(epoch, text, agent))
            case do.Spoken(epoch, text):
                self.show(ShowSpoken(epoch, len(text)))
            case do.Said(epoch, text, interrupted, agent):
                self.show(ShowSaid(epoch, text, interrupted, agent))
            case do.Floors(leg, user, agent):
                line = self.lines.get(leg)
                if line is not None:
                    line.tell(ShowFloors(user, agent, at - self._began_at))
            case do.TurnTaken(latency):
                self._turn(latency)
            case do.LongTurn(leg, seconds, words):
                self.notice(f"{leg} has been speaking for {seconds:.0f} s, {words} words", "info")
            case _:
                pass

    def _turn(self, latency: TurnLatency) -> None:
        parts = {name: 1000 * seconds for name, seconds in latency.parts.items()}
        barge_in = None if latency.barge_in is None else 1000 * latency.barge_in
        self.show(ShowTurn(latency.turn, parts, 1000 * latency.total, barge_in))
        logger.info(
            "%s turn %d: %.0f ms (%s)%s",
            self._call,
            latency.turn,
            1000 * latency.total,
            ", ".join(f"{name} {ms:.0f}" for name, ms in parts.items()),
            "" if barge_in is None else f", barge-in {barge_in:.0f} ms",
        )
