"""A cascade: all that one message causes in its room, and when that is over."""

from __future__ import annotations

import attrs

from models.rooms.event import DeliveryResult, RoomEvent
from models.rooms.traffic import InboundResult

PASSES = 10
"""Answers that a cascade may commit, for each level of chain depth."""


@attrs.define(eq=False)
class Cascade:
    """What a caller waits for: its passage, deliveries, answers and their deliveries, and hooks.

    It is counted, not traversed: whatever is begun holds it, whatever ends lets go, and who lets go
    last is told so.
    """

    budget: int
    """Answers that may still be committed; beyond it they are blocked: a loop."""
    key: str = ""
    """By which its sender may cancel it."""
    held: int = 0
    event: RoomEvent | None = None
    """The message itself, as committed."""
    reason: str | None = None
    """Why it was blocked."""
    error: str | None = None
    """The first failure of an agent that was asked to answer."""
    failure: Exception | None = None
    """Nothing came of it, for this reason."""
    results: dict[str, DeliveryResult] = attrs.field(factory=dict)
    settled: bool = False
    nothing: bool = False
    """There was nothing to do, and that is no fault."""
    cancelled: bool = False
    above: Cascade | None = None
    """It comes from a hook that this other one waits for, and is drawn from its budget."""
    depth: int = 0
    """Of the hooks that it comes from."""

    def hold(self) -> None:
        """Something of it has begun."""
        self.held += 1

    def let_go(self) -> bool:
        """Something of it has ended; whether that was the last."""
        self.held -= 1
        if self.held == 0 and not self.settled:
            self.settled = True
            return True
        return False

    def may_answer(self) -> bool:
        """Take one answer from the budget."""
        payer = self.above or self
        payer.budget -= 1
        return payer.budget >= 0

    def result(self) -> InboundResult:
        """What its caller is told."""
        return InboundResult(
            self.event, self.reason is not None, self.reason, self.error, self.results
        )
