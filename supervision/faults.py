"""Fault injection: crash, delay, lose or double an actor's messages on purpose.

Only where the configuration says `fault_injection = true`. Faults wrap the handlers in a copy of
the actor's table, so an actor without any costs nothing; they stay over restarts until they are
removed or used up.
"""

from __future__ import annotations

import enum
import time
from math import inf
from typing import TYPE_CHECKING, Any

import attrs

from supervision.acting import acting
from supervision.behaviour import Handler, Table
from supervision.errors import AskTimeout, SupervisionError
from supervision.messages import Envelope
from supervision.processes import WorkerProcess

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.life import Life


class FaultKind(enum.Enum):
    """What is done to a message."""

    CRASH = "crash"
    """Its handler raises `InjectedFault` instead of running."""
    DELAY = "delay"
    """It is handled `seconds` later, and what waits behind it waits on: a slow actor."""
    DROP = "drop"
    """It is lost: nothing handles it, and whoever asked hears nothing until the ask times out (of a
    BlockingActor: hears that at once)."""
    DUPLICATE = "duplicate"
    """It is handled twice in a row; the second time it is told, not asked."""


class InjectedFault(Exception):
    """A crash that was ordered by `system.inject(...)`."""


class FaultInjectionOff(SupervisionError):
    """Faults may not be planted on this node."""

    def __str__(self) -> str:
        return (
            "fault injection is switched off on this node. It makes actors fail on purpose, so it "
            "takes `fault_injection = true` under [supervision] in the configuration."
        )


@attrs.frozen
class Fault:
    """What goes wrong, with which messages."""

    kind: FaultKind = attrs.field(converter=FaultKind)
    message: type | str | None = None
    """Only messages of this type (or its subclasses), or with a type of this name. None: all."""
    nth: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """The first such message that is hit, counted from 1."""
    times: float = attrs.field(default=inf, validator=attrs.validators.gt(0))
    """How many in a row are; `inf` for all from then on."""
    seconds: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    """Of a delay."""

    def __attrs_post_init__(self) -> None:
        if (self.kind is FaultKind.DELAY) != (self.seconds > 0):
            raise ValueError(
                "a delay takes `seconds`, how long; the other kinds of fault take none"
            )

    def meant(self, message: object) -> bool:
        """Whether it is about messages like this one."""
        if self.message is None:
            return True
        if isinstance(self.message, str):
            return any(kind.__qualname__ == self.message for kind in type(message).__mro__)
        return isinstance(message, self.message)


class Injection:
    """A planted fault."""

    def __init__(self, faults: Faults, fault: Fault) -> None:
        self._faults = faults
        self.fault = fault
        self.seen = 0
        """Messages it was about so far."""
        self.hits = 0
        """Messages it has done its harm to."""

    def __repr__(self) -> str:
        where = self._faults.cell.path
        return f"<Injection {self.fault.kind.value} at {where}: {self.hits} of {self.seen}>"

    def remove(self) -> None:
        """Let all be well again. Harmless if it is already."""
        self._faults.remove(self)

    def hit(self, message: object) -> bool:
        """Count a message; whether this one is hit."""
        fault = self.fault
        if not fault.meant(message):
            return False
        self.seen += 1
        if not fault.nth <= self.seen < fault.nth + fault.times:
            return False
        self.hits += 1
        return True


class Faults:
    """The faults of one actor."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self._planted: list[Injection] = []
        self._spared: set[int] = set()
        """Ids of messages that have had their fault and now are handled."""

    def add(self, fault: Fault) -> Injection:
        """Plant a fault; of several that mean one message, the first strikes."""
        injection = Injection(self, fault)
        self._planted.append(injection)
        if len(self._planted) == 1:
            self.cell.faults = self
            self.cell.table = self.wrapped(self.cell.table)
        return injection

    def remove(self, injection: Injection) -> None:
        """Take a fault out; with the last one the actor has its class's own table back."""
        if injection not in self._planted:
            return
        self._planted.remove(injection)
        if not self._planted:
            self.cell.faults = None
            if self.cell.actor is not None:
                self.cell.table = self.cell.actor._rt_table()

    def wrapped(self, table: Table) -> Table:
        """A table whose handlers first look whether a fault strikes."""
        copy = table.copy()
        handlers = set(map(id, copy.accepted.values()))
        for message_type, handler in list(copy.items()):
            # The runtime's own types (stop, proxies) stay as they are.
            if id(handler) in handlers or handler is copy.fallback:
                copy[message_type] = self._wrap(handler)
        for message_type, handler in list(copy.accepted.items()):
            copy.add(message_type, self._wrap(handler))
        if copy.fallback is not None:
            copy.fallback = self._wrap(copy.fallback)
        return copy

    def _wrap(self, handler: Handler) -> Handler:
        def faulty(actor: Any, message: Any) -> Any:
            return self._handle(handler, actor, message)

        faulty.__wrapped__ = getattr(handler, "__wrapped__", handler)  # type: ignore[attr-defined]
        faulty.__name__ = getattr(handler, "__name__", "faulty")
        return faulty

    def _handle(self, handler: Handler, actor: Any, message: Any) -> Any:
        envelope = self._in_hand()
        if envelope[0] in self._spared:
            self._spared.discard(envelope[0])
            return handler(actor, message)
        for injection in tuple(self._planted):
            if injection.hit(message):
                return self._strike(injection.fault, handler, actor, message)
        return handler(actor, message)

    def _in_hand(self) -> Envelope:
        here = acting.get() if self.cell.remote else None
        return here.envelope if here is not None else self.cell.node.current

    def _strike(self, fault: Fault, handler: Handler, actor: Any, message: Any) -> Any:
        match fault.kind:
            case FaultKind.CRASH:
                raise InjectedFault(
                    f"{self.cell.path} was made to crash on {type(message).__qualname__} "
                    "by fault injection"
                )
            case FaultKind.DROP:
                self.cell.dropped += 1
                return self._drop_elsewhere() if self.cell.remote else self._drop()
            case FaultKind.DELAY if self.cell.remote:
                if not self.cell.node.inline:  # there the loop would sleep, and no time would pass
                    time.sleep(fault.seconds)
                return handler(actor, message)
            case FaultKind.DELAY:
                return self._delay(fault.seconds)
            case FaultKind.DUPLICATE if self.cell.remote:
                value = handler(actor, message)
                handler(actor, message)
                return value
            case FaultKind.DUPLICATE:
                self._again(message)
                return handler(actor, message)

    def _drop_elsewhere(self) -> None:
        # What a thread leaves unanswered it answers with None, so the time is up at once.
        reply = self._in_hand()[3]
        if reply is not None:
            reply.settle(None, AskTimeout(self.cell.path, 0.0))

    # -- on the loop: the message in hand is `node.current` -------------------------------

    def _delay(self, seconds: float) -> None:
        cell = self.cell
        life, node = cell.life, cell.node
        assert life is not None
        envelope = node.current
        node.current = (*envelope[:3], None)  # the dispatcher must not answer
        life.in_hand = envelope
        life.since = node.time()
        life.paused = cell.halt = True
        due = node.time() + seconds
        node.timers.call_at(due, lambda: cell.signal(self._delayed, life, envelope))

    def _delayed(self, life: Life, envelope: Envelope) -> None:
        """The time of a delayed message has come."""
        if life.over or life.winding:
            return  # its life has answered it
        life.paused = False
        life.in_hand = None
        self._spared.add(envelope[0])
        self.cell.inbox.appendleft(envelope)
        if life.ending is not None:  # told to stop meanwhile: who asked is told by the mailbox
            life._finish()

    def _drop(self) -> None:
        life, node = self.cell.life, self.cell.node
        reply = node.current[3]
        if reply is not None and life is not None:
            node.current = (*node.current[:3], None)
            # An ask without a timeout must still end with the life at the latest.
            life.owe(reply)

    def _again(self, message: Any) -> None:
        node = self.cell.node
        again = next(node.ids)
        self._spared.add(again)
        self.cell.inbox.appendleft((again, node.current[1], message, None))


def inject(cell: Cell, fault: Fault) -> Injection:
    """Plant a fault in an actor.

    Raises:
        FaultInjectionOff: the configuration does not allow it.
        SupervisionError: its handlers run in a worker process.
    """
    if not cell.node.config.fault_injection:
        raise FaultInjectionOff
    if cell.life is not None and isinstance(cell.life.executor, WorkerProcess):
        raise SupervisionError(
            f"the handlers of {cell.path} run in a worker process, where no fault can be planted; "
            "plant it in an actor that talks to it"
        )
    faults = cell.faults or Faults(cell)
    return faults.add(fault)
