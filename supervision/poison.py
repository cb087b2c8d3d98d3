"""Poison: a kind of message that crashes its actor again and again.

A supervisor restarts the actor, the next such message crashes it again, and the loop goes on until
the restart intensity is used up and the fault climbs the tree. So each actor has a circuit breaker
for every type it has crashed on: after five crashes with none handled well between, that type is
refused for a minute, then one is let through as a probe.

An actor that has crashed takes its turns through the dispatcher's slower loop until it has handled
that kind well again, or until it has not met it for ten times as long as a refusal lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision.errors import Refused
from supervision.events import DeadLetterReason
from supervision.messages import Envelope
from supervision.resilience import BreakerConfig, Circuit, CircuitBreaker, Denied, Permit
from supervision.timers import Timer

if TYPE_CHECKING:
    from supervision.cell import Cell

POISON = BreakerConfig(failures=5, rest=60.0)
"""The default of `Actor.poison`. A probe has its actor to itself, so its breaker is never asked
twice at once; `probe_timeout` matters only for async handlers that outlast it."""

FORGOTTEN_AFTER = 10
"""Rests without a crash after which a type is forgotten."""


class Poison:
    """What one actor has crashed on lately."""

    __slots__ = ("_cell", "_config", "_crashed_at", "_permits", "_timer", "breakers")

    def __init__(self, cell: Cell, config: BreakerConfig) -> None:
        self._cell = cell
        self._config = config
        self.breakers: dict[type, CircuitBreaker] = {}
        self._crashed_at: dict[type, float] = {}
        self._permits: dict[int, tuple[type, Permit]] = {}
        """By message id: leave to handle a message of a suspect type."""
        self._timer: Timer | None = None

    def admits(self, envelope: Envelope) -> bool:
        """Whether to handle a message; one that is not is answered, or buried, here."""
        message_id, _cause, message, reply = envelope
        kind = type(message)
        breaker = self.breakers.get(kind)
        if breaker is None:
            return True
        cell = self._cell
        node = cell.node
        if message_id in self._permits:  # it was taken from the inbox before, and put back
            return True
        permit = breaker.allow(node.time())
        if isinstance(permit, Permit):
            self._permits[message_id] = (kind, permit)
            return True
        cell.dropped += 1
        if reply is not None:
            reply.settle(None, Refused(cell.path, self._why(kind, permit)))
        else:
            node.dead_letter(cell.path, message, DeadLetterReason.POISONED)
        node.observed(cell, envelope, 0.0, None, outcome="poisoned")
        return False

    def _why(self, kind: type, denied: Denied) -> str:
        wait = max(0.0, denied.until - self._cell.node.time())
        return (
            f"{self._config.failures} messages of type {kind.__qualname__} in a row have crashed "
            f"it, so it is spared more of them for another {wait:.0f} s; then one is let through"
        )

    def crashed(self, kind: type, message_id: int) -> None:
        """A message of that type has crashed the actor."""
        now = self._cell.node.time()
        breaker = self.breakers.get(kind)
        if breaker is None:
            breaker = self.breakers[kind] = CircuitBreaker(self._config)
        _kind, permit = self._permits.pop(message_id, (kind, None))
        given = permit or breaker.allow(now)
        if isinstance(given, Permit):
            breaker.failed(given, now)
        self._crashed_at[kind] = now
        self._arm(now)

    def handled(self, message_id: int) -> None:
        """A message of a suspect type was handled well, or refused: its type is trusted again."""
        kind, permit = self._permits.pop(message_id, (None, None))
        if kind is None or permit is None or kind not in self.breakers:
            return
        breaker = self.breakers[kind]
        breaker.succeeded(permit, self._cell.node.time())
        if breaker.state is Circuit.CLOSED:
            self._forget(kind)

    def undecided(self, message_id: int) -> None:
        """It was put aside, or the actor ended for another reason: that says nothing."""
        kind, permit = self._permits.pop(message_id, (None, None))
        if kind is not None and permit is not None and kind in self.breakers:
            self.breakers[kind].cancelled(permit, self._cell.node.time())

    def close(self) -> None:
        """The actor is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._cell.poison = None

    # -- forgetting -----------------------------------------------------------------------

    def _forget(self, kind: type) -> None:
        del self.breakers[kind], self._crashed_at[kind]
        if not self.breakers:
            self.close()  # and the dispatcher's fast loop is back

    def _arm(self, now: float) -> None:
        if self._timer is None or self._timer.over:
            due = now + FORGOTTEN_AFTER * self._config.rest
            self._timer = self._cell.node.timers.call_at(due, self._time_passed)

    def _time_passed(self) -> None:
        now = self._cell.node.time()
        oldest = now - FORGOTTEN_AFTER * self._config.rest
        for kind, crashed_at in list(self._crashed_at.items()):
            if crashed_at <= oldest:
                self._forget(kind)
        if self.breakers:
            self._arm(min(self._crashed_at.values()))


def fault_seen(cell: Cell, where: str, envelope: Envelope | None) -> None:
    """An actor has crashed: if a message did it, count it."""
    if envelope is None or where != "handler" or cell.actor is None:
        return
    config: Any = type(cell.actor).poison
    if config is None:
        return
    if cell.poison is None:
        cell.poison = Poison(cell, config)
    cell.poison.crashed(type(envelope[2]), envelope[0])
