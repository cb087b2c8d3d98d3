"""A cell: the part of an actor that outlives its instances.

It is the mailbox, the address and the place in the tree; the instance and all that belongs to one
life of it is a `Life` (life.py), of which a cell has one at a time. A ref points to a cell, so it
outlives restarts.

Scheduling keeps one invariant: a cell with `ready` False is in no run queue and has an empty inbox;
whoever puts mail into it sets `ready` and queues it. `halt` ends the current turn after the message
in hand and keeps user messages waiting; a halted cell keeps `ready` True so that `tell` leaves it
alone, and `parked` says that it is in no queue all the same.
"""

from __future__ import annotations

import enum
import logging
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

from supervision.behaviour import Table
from supervision.errors import ActorStopped, MailboxFull, NotAccepted
from supervision.events import DeadLetterReason
from supervision.messages import NORMAL, Envelope, ExitReason, OwnMail, StopRequest, Terminated
from supervision.spec import ChildSpec, Mailbox, Overflow, Restart

if TYPE_CHECKING:
    from supervision.faults import Faults
    from supervision.life import Life
    from supervision.node import Node
    from supervision.poison import Poison
    from supervision.pykka_view import PykkaRef
    from supervision.ref import ActorRef
    from supervision.reply import Reply


logger = logging.getLogger("troupe.supervision")


class Phase(enum.Enum):
    """Where a cell is in its life."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"
    """The instance has ended; its supervisor decides whether another follows. Mail waits."""
    GONE = "gone"
    """For good. Mail becomes dead letters."""


def _droppable(envelope: Envelope) -> bool:
    return type(envelope) is tuple and type(envelope[2]) is not StopRequest


_NO_TABLE = Table()

SIGNALS = 64
"""Signals carried out in a row: ten thousand children that end at once all report to one
supervisor, and must not hold the loop together."""


class Cell:
    """The mailbox and address of one actor. Loop thread only, except where a method says so."""

    __slots__ = (
        "__weakref__",
        "_ref",
        "actor",
        "backlog_since",
        "busy",
        "capacity",
        "children",
        "dropped",
        "faults",
        "halt",
        "handled",
        "inbox",
        "lane",
        "life",
        "lives",
        "node",
        "overflow",
        "parent",
        "parked",
        "path",
        "phase",
        "poison",
        "ready",
        "reason",
        "remote",
        "ring",
        "room",
        "signalled",
        "signals",
        "spec",
        "stop_waiters",
        "suspended",
        "table",
        "view",
        "watchers",
    )

    def __init__(self, node: Node, path: str, spec: ChildSpec[Any], parent: Cell | None) -> None:
        self.node = node
        self.path = path
        self.spec = spec
        self.parent = parent
        self._ref: ActorRef[Any] | None = None
        self.phase = Phase.NEW
        self.life: Life | None = None
        self.actor: Any = None
        self.lives = 0
        """Instances started so far; one less is the number of restarts."""
        self.reason: ExitReason | None = None
        """Why the last life ended."""
        self.children: dict[str, Cell] | None = None
        self.table = _NO_TABLE
        self.lane = node.ordinary
        self.remote = False
        """Turns are run elsewhere: on a BlockingActor's thread or in a worker process."""

        self.inbox: deque[Envelope] = deque()
        self.capacity = 0
        """Messages that may wait. 0 sends every `tell` to the slow path."""
        self.overflow = Overflow.REFUSE
        self.ready = True
        self.parked = True
        self.halt = True
        self.suspended = False
        self.signals: deque[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        self.signalled = False

        self.handled = 0
        self.dropped = 0
        self.busy = 0.0
        self.backlog_since = 0.0
        """When the inbox was last seen non-empty after having been empty; 0 when it is empty."""
        self.watchers: list[Callable[[ExitReason], None]] | None = None
        self.room: deque[Callable[[], None]] | None = None
        """Senders that wait for room."""
        self.stop_waiters: list[Reply[Any]] | tuple[()] = ()
        """Who waits for a stop to be done: for what the supervisor makes of it."""
        self.view: PykkaRef | None = None
        self.ring: deque[Any] | None = None
        self.poison: Poison | None = None
        self.faults: Faults | None = None

    def __repr__(self) -> str:
        return f"<Cell {self.path}: {self.phase.value}, {len(self.inbox)} waiting>"

    @property
    def ref(self) -> ActorRef[Any]:
        """Its address, for others."""
        ref = self._ref
        if ref is None:
            from supervision.ref import ActorRef

            ref = ActorRef(self)
            # A ref holds its cell. That of an actor that is gone must not hold the ref in turn:
            # rings are left to the garbage collector, which a node in mid-call runs seldom.
            if self.phase is not Phase.GONE:
                self._ref = ref
        return ref

    @property
    def looked_at(self) -> bool:
        """Whether its messages take the dispatcher's slower loop, because somebody observes."""
        tap = self.node.tap
        observed = tap is not None and bool(tap.at(self.path))
        return observed or self.ring is not None or self.poison is not None

    # -- mail: the slow paths of `ref.tell`, which does the common case itself ------------

    def adopt(self, mailbox: Mailbox | None, *, realtime: bool) -> None:
        """Take over what the spec, or else the actor class, says of mailbox and lane."""
        mailbox = self.spec.mailbox or mailbox or self.node.default_mailbox
        self.capacity = mailbox.capacity
        self.overflow = mailbox.overflow
        self.lane = self.node.realtime if realtime else self.node.ordinary

    def post(self, envelope: Envelope) -> Exception | None:
        """Put mail in, whatever the state; returns why not, if it was refused. Any thread.

        Refused mail is not a dead letter yet: the caller knows whether its sender can be told.
        """
        message_type = type(envelope[2])
        if self.phase is Phase.GONE:
            return ActorStopped(self.path)
        if self.table is _NO_TABLE:
            # Found by its path before its first instance exists, which is only a moment: what it
            # accepts will show then.
            room = self.node.default_mailbox.capacity
            if len(self.inbox) >= room:
                return MailboxFull(self.path, "it has not started yet", room, envelope[2])
            self.inbox.append(envelope)
            return None
        if message_type not in self.table and not self.table.admits(message_type):
            return NotAccepted(
                self.path, "it has no handler for that type", message_type, self.table.names()
            )
        if len(self.inbox) >= self.capacity:
            match self.overflow:
                case Overflow.REFUSE:
                    return self.full(envelope[2])
                case Overflow.DROP_NEWEST:
                    self.drop(envelope)
                    return None
                case Overflow.DROP_OLDEST:
                    self.inbox.append(envelope)
                    # Only the loop takes mail out: it may be about to take the one we would drop.
                    if get_ident() == self.node.ident:
                        self._drop_oldest()
                    return None
        self.inbox.append(envelope)
        return None

    def full(self, message: object) -> MailboxFull:
        """The refusal of a message that finds no room."""
        return MailboxFull(self.path, "its mailbox is full", self.capacity, message)

    def _drop_oldest(self) -> None:
        """Make the inbox fit its capacity again, but for what is never dropped."""
        inbox = self.inbox
        while len(inbox) > self.capacity and _droppable(inbox[0]):
            self.drop(inbox.popleft())
        for envelope in tuple(inbox) if len(inbox) > self.capacity else ():
            if len(inbox) > self.capacity and _droppable(envelope):
                inbox.remove(envelope)
                self.drop(envelope)

    def drop(self, envelope: Envelope) -> None:
        """Count a message lost to the drop policy; whoever asked is told."""
        self.dropped += 1
        reply = envelope[3]
        if reply is not None:
            error = MailboxFull(self.path, "dropped by policy", self.capacity, envelope[2])
            reply.settle(None, error)

    def deliver(self, message: Any, cause: int = 0) -> Envelope | None:
        """Put in what is never refused: outcomes, timers, `Terminated`. Loop thread only."""
        if self.phase is Phase.GONE:
            self.node.dead_letter(self.path, message, DeadLetterReason.STOPPED)
            return None
        envelope = OwnMail((next(self.node.ids), cause, message, None))
        self.inbox.append(envelope)
        self.schedule()
        return envelope

    def forget_own_mail(self) -> None:
        """A life is over: what it has arranged for and not handled is no business of the next."""
        stale = [envelope for envelope in tuple(self.inbox) if type(envelope) is OwnMail]
        for envelope in stale:
            if type(envelope[2]) is not StopRequest:  # whoever follows is to stop as well
                self.inbox.remove(envelope)
                self.node.dead_letter(self.path, envelope[2], DeadLetterReason.STALE)

    def schedule(self) -> None:
        """See to it that the dispatcher looks at the inbox."""
        if not self.ready:
            self.ready = True
            self.lane.append(self)
            if self.node.asleep:
                self.node.wake()

    def collect(self) -> None:
        """After mail from another thread: the thread could not look at our state, so look now."""
        if self.phase is Phase.GONE:
            self.drain()
        elif self.inbox:
            if self.overflow is Overflow.DROP_OLDEST and len(self.inbox) > self.capacity:
                self._drop_oldest()
            self.schedule()

    def drain(self) -> None:
        """Answer or bury what waits for an actor that is gone."""
        while self.inbox:
            _id, _cause, message, reply = self.inbox.popleft()
            self.bury(message, reply)

    def bury(self, message: Any, reply: Reply[Any] | None) -> None:
        """A message nobody will handle: its asker is told, or it becomes a dead letter."""
        if reply is not None:
            reply.settle(None, ActorStopped(self.path))
        else:
            self.node.dead_letter(self.path, message, DeadLetterReason.STOPPED)

    def withdraw(self, reply: Reply[Any]) -> None:
        """Take a request back that still waits."""
        for envelope in tuple(self.inbox):  # a copy: threads put mail in meanwhile
            if envelope[3] is reply:
                self.inbox.remove(envelope)
                return

    def made_room(self) -> None:
        """Wake as many senders as there is room for."""
        waiting = self.room
        free = self.capacity - len(self.inbox)
        while waiting and free > 0:
            waiting.popleft()()
            free -= 1
        if not waiting:
            self.room = None

    # -- signals: what goes before user messages ------------------------------------------

    def signal(self, step: Callable[..., None], *args: Any) -> None:
        """Have the dispatcher call `step` before any further message of this actor."""
        if self.signals is None:
            self.signals = deque()
        self.signals.append((step, args))
        self.halt = True
        if not self.signalled:
            self.signalled = True
            self.node.urgent.append(self)
            if self.node.asleep:
                self.node.wake()

    def take_signals(self) -> None:
        """Carry out what was signalled. Only the dispatcher calls this, between turns."""
        signals = self.signals
        for _ in range(SIGNALS):
            if not signals:
                break
            step, args = signals.popleft()
            try:
                step(*args)
            except Exception as error:  # noqa: BLE001  a fault of one actor must stay one
                if self.life is None:
                    self.node.crashed(self, error, "runtime", None)
                else:
                    self.life.crash(error, None, "runtime")
        if signals:
            self.node.urgent.append(self)
            return
        self.signalled = False
        self.signals = None
        self.reconsider()

    def reconsider(self) -> None:
        """Take user messages, or leave them waiting, as the state now is."""
        life = self.life
        runs = self.phase is Phase.RUNNING and not self.suspended
        if runs and life is not None and not life.paused and not self.signals:
            self.halt = False
            if self.parked:
                self.parked = False
                self.ready = False
                if self.inbox:
                    self.schedule()
        else:
            self.halt = True
            if not self.ready:
                self.ready = self.parked = True

    # -- the end --------------------------------------------------------------------------

    def watch(self, on_gone: Callable[[ExitReason], None]) -> None:
        """Call back once the actor is gone; at once if it is."""
        if self.phase is Phase.GONE:
            on_gone(self.reason or NORMAL)
            return
        if self.watchers is None:
            self.watchers = []
        self.watchers.append(on_gone)

    def unwatch(self, on_gone: Callable[[ExitReason], None]) -> None:
        """Take a `watch` back. Harmless if it has fired."""
        if self.watchers is not None and on_gone in self.watchers:
            self.watchers.remove(on_gone)

    def leaves(self) -> None:
        """Its life is ending. If none can follow, pykka hears of it before the last hook runs."""
        if self.view is not None and self.spec.restart is Restart.TEMPORARY:
            self.view.left()

    def gone(self, reason: ExitReason) -> None:
        """No instance follows: empty the mailbox, tell the watchers, leave the registries."""
        if self.phase is Phase.GONE:
            return
        for child in list((self.children or {}).values()):
            child.gone(child.reason or reason)
        self.children = None
        self.phase = Phase.GONE
        self.reason = reason
        self.capacity = 0
        self.halt = True
        self.ready = self.parked = True
        self.node.forget(self)
        if self.view is not None:
            self.view.left()
        self.drain()
        self.stop_is_done()
        room, self.room = self.room, None
        for wake in room or ():
            wake()
        watchers, self.watchers = self.watchers, None
        for on_gone in watchers or ():
            try:
                on_gone(reason)
            except Exception:  # a fault of one watcher must not keep it from the others
                logger.exception("A callback that waited for the end of %s failed", self.path)
        self._ref = None

    def wait_for_stop(self, reply: Reply[Any]) -> None:
        """Answer once the actor is gone, or runs again."""
        self.stop_waiters = [*self.stop_waiters, reply]

    def stop_is_done(self) -> None:
        """Answer those who wait for a stop."""
        waiters, self.stop_waiters = self.stop_waiters, ()
        for reply in waiters:
            reply.settle(None, None)

    def revive(self) -> None:
        """A child that ended for good is started after all (with its siblings, or by hand)."""
        if self.phase is Phase.GONE:
            self.phase = Phase.ENDED
            self.node.remember(self)

    def terminated(self, watcher: Cell, life: Life) -> Callable[[ExitReason], None]:
        """A watch that becomes a `Terminated` message to `watcher`, if it still lives that life."""

        def on_gone(reason: ExitReason) -> None:
            if watcher.life is life:
                watcher.deliver(Terminated(self.ref, reason), self.node.current[0])

        return on_gone
