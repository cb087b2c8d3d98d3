"""Foreign actors: actors of other pykka runtimes, spoken to through refs like ours.

Three things differ between their world and ours, and end here. pykka loses an ask that arrives
while its actor stops (it looks at `is_alive` first and puts the envelope in second, which may be
after the mailbox was emptied for the last time), so a foreign actor that owes answers is watched
for its death. A second answer raises in the foreign actor's loop and ends its thread, so answers
that come after our timeout must be taken all the same. And foreign actors live in real time, so
while a test's clock is held our timeouts for them do too.
"""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable
from math import inf
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import pykka
import trio
from trio.lowlevel import enable_ki_protection

from supervision.acting import acting
from supervision.cell import Phase
from supervision.errors import ActorStopped, AskTimeout, MailboxFull, Refuse, Refused
from supervision.events import DeadLetterReason
from supervision.messages import IDLE, NORMAL, ExitReason, Terminated
from supervision.pykka_view import PykkaRef
from supervision.ref import ActorRef
from supervision.reply import ExcInfo, Reply

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.life import Life
    from supervision.node import Node
    from supervision.timers import Timer

CHECK_EVERY = 0.05
"""Seconds between looks at the foreign actors that owe answers or are watched. pykka has nothing
that could be waited for without a thread: its sign of death is a `threading.Event`."""

RETRY_EVERY = 0.01
"""Seconds between tries of `send` to put a message into a bounded inbox that is full."""


class ForeignRef(ActorRef[Any]):
    """A ref to an actor of another pykka runtime. It takes any message, as pykka's actors do.

    What a foreign handler raises does not end a foreign actor that was asked, so it comes back as
    `Refused`, the exception being its cause. Why a foreign actor ended is not known: a watcher's
    `Terminated` says `NORMAL`, up to a twentieth of a second later.
    """

    def __init__(self, actor: pykka.ActorRef[Any], node: Node) -> None:
        self._foreigner = _Foreigner(self, actor, node)
        super().__init__(self._foreigner)  # type: ignore[arg-type] # it stands in for a cell

    def __repr__(self) -> str:
        return f"<ForeignRef {self.path}>"

    @property
    def pykka(self) -> pykka.ActorRef[Any]:
        """The pykka ref this was made from."""
        return self._foreigner.actor

    @property
    def accepts(self) -> tuple[type, ...]:
        """Nothing is known about that, so `tell` refuses nothing."""
        return ()

    @enable_ki_protection
    def tell(self, message: Any) -> None:
        """Send a message and go on. To an actor that is gone it makes a dead letter.

        Raises:
            MailboxFull: its inbox is bounded, and full.
        """
        if not self._foreigner.actor.is_alive():
            self._bury(message, DeadLetterReason.STOPPED)
            return
        full = self._foreigner.put(message, None)
        if full is None:
            return
        node = self._foreigner.node
        if get_ident() == node.ident and node.current is not IDLE:
            self._bury(message, DeadLetterReason.FULL)
        else:
            raise full

    async def send(self, message: Any, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send a message, waiting for room if its inbox is bounded and full. From a trio task.

        Raises:
            MailboxFull: no room in time.
            ActorStopped: the actor is gone.
        """
        foreigner = self._foreigner
        await trio.lowlevel.checkpoint()
        patience = foreigner.node.config.ask_timeout if timeout is None else timeout
        give_up_at = foreigner.node.time() + patience
        while True:
            if not foreigner.actor.is_alive():
                raise ActorStopped(foreigner.path)
            full = foreigner.put(message, None)
            if full is None:
                return
            if foreigner.node.time() >= give_up_at:
                raise full
            await trio.sleep(RETRY_EVERY)

    @enable_ki_protection
    def ask(self, request: Any, *, timeout: float | None = None) -> Reply[Any]:
        """Send a request; the reply can be awaited in trio, or `.get()` on another thread.

        It ends in the value, `Refused` (with what the handler raised as its cause), `ActorStopped`,
        or `AskTimeout`: in nothing else, and never in nothing.
        """
        foreigner = self._foreigner
        node = foreigner.node
        on_loop = get_ident() == node.ident
        current = node.current if on_loop else IDLE
        if current is IDLE:
            here = acting.get()
            if here is not None:
                current = here.envelope
        reply = self._new_reply(timeout, current)
        if not foreigner.actor.is_alive():
            reply.settle(None, ActorStopped(foreigner.path))
            return reply
        full = foreigner.put(request, _Answer(foreigner.path, reply))
        if full is not None:
            reply.settle(None, full)
        elif on_loop:
            foreigner.owes(reply)
        else:
            node.call_soon(lambda: foreigner.owes(reply))
        return reply


def foreign_ref(actor: pykka.ActorRef[Any], node: Node) -> ForeignRef:
    """The one ref of this node to a foreign actor; to one of ours, its own ref. On the loop."""
    if not isinstance(actor, pykka.ActorRef):
        raise TypeError(
            f"only a pykka.ActorRef can be spoken to, not {actor!r}. A proxy has its ref in "
            "`proxy.actor_ref`; an actor starts, and gives a ref, by its class's `start()`."
        )
    if isinstance(actor, PykkaRef):
        # It takes no more than its own messages, but only the types of foreign refs say so.
        return actor._cell.ref  # type: ignore[return-value]
    if node.foreigners is None:
        node.foreigners = Foreigners(node)
        node.on_close.append(node.foreigners.close)
    known = node.foreigners.refs
    ref = known.get(actor.actor_urn)
    if ref is None:
        ref = known[actor.actor_urn] = ForeignRef(actor, node)
    return ref


class _Letter:
    """What pykka's inboxes hold: to an actor's loop, anything with these two attributes."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: Any, reply_to: pykka.Future[Any] | None) -> None:
        self.message = message
        self.reply_to = reply_to


class _Answer(pykka.Future[Any]):
    """What a foreign actor answers into. Unlike pykka's own it takes an answer that comes late."""

    def __init__(self, path: str, reply: Reply[Any]) -> None:
        super().__init__()
        self._path = path
        self._reply = reply

    def set(self, value: Any = None) -> None:
        self._reply.settle(value, None)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        kind, error, traceback = exc_info or sys.exc_info()
        if error is None:
            error = kind() if kind is not None else RuntimeError("nothing was raised")
        if exc_info is not None and isinstance(error, pykka.ActorDeadError):
            # pykka's loop passes the exception only when it gives up what is left in the inbox.
            self._reply.settle(None, ActorStopped(self._path))
            return
        if isinstance(error, Refuse):
            refused = error.answer(self._path)
        else:
            refused = Refused(self._path, f"its handler raised {type(error).__qualname__}")
            refused.__cause__ = error.with_traceback(traceback)
        self._reply.settle(None, refused)


class _Foreigner:
    """What stands where an actor of ours has its cell: for watchers, wait graphs and replies."""

    def __init__(self, ref: ForeignRef, actor: pykka.ActorRef[Any], node: Node) -> None:
        self.ref = ref
        self.actor = actor
        self.node = node
        self.path = str(actor)
        """Not an address in our tree: its class and its URN, which pykka's registry knows."""
        self.owed: dict[Reply[Any], float] = {}
        """Replies not settled yet, and when each is due, in `time.monotonic()`."""
        self.watchers: list[Callable[[ExitReason], None]] = []
        self._dying = False

    def __repr__(self) -> str:
        return f"<foreign actor {self.path}>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.path} is no actor of this node, so it has no {name!r} here")

    @property
    def phase(self) -> Phase:
        return Phase.RUNNING if self.actor.is_alive() else Phase.GONE

    def put(self, message: Any, answer: _Answer | None) -> MailboxFull | None:
        """Put a message into its inbox, without waiting. Any thread."""
        inbox: Any = self.actor.actor_inbox
        put = getattr(inbox, "put_nowait", inbox.put)  # the latter never waits if it is unbounded
        try:
            put(_Letter(message, answer))
        except queue.Full:
            capacity = getattr(inbox, "maxsize", 0)
            return MailboxFull(self.path, "its inbox is full", capacity, message)
        return None

    # -- answers owed -----------------------------------------------------------------------

    def owes(self, reply: Reply[Any]) -> None:
        """An ask is on its way: see to it that it ends. On the loop."""
        if reply.done:
            return
        node = self.node
        if not node.open:
            reply.settle(None, ActorStopped(self.path, "cannot be asked by a node that is closed"))
            return
        if reply.deadline != inf:
            reply.over = False
            node.timers.arm(reply.deadline, reply)
        self.owed[reply] = time.monotonic() + reply.deadline - node.time()
        if len(self.owed) == 1:
            node.outside(1)
        reply.on_settled(self._paid)
        self._be_looked_at()

    def _paid(self, reply: Reply[Any]) -> None:
        del self.owed[reply]
        if not self.owed:
            self.node.outside(-1)

    def give_up(self, why: str) -> None:
        """No answer will come any more."""
        for reply in list(self.owed):
            reply.settle(None, ActorStopped(self.path, why))

    def look(self) -> bool:
        """See whether it has died; False if nobody needs to know any more."""
        if self.actor.is_alive():
            return bool(self.owed or self.watchers)
        if not self._dying and self.owed:
            # It may be about to answer what it has in hand, or to give up the rest by itself.
            self._dying = True
            return True
        self.give_up("stopped without an answer")
        self._tell_watchers()
        return False

    def give_up_late(self) -> None:
        """Time out what is overdue in real time."""
        now = time.monotonic()
        for reply, due in list(self.owed.items()):
            if now >= due:
                reply.settle(None, AskTimeout(self.path, reply._patience))

    # -- as a cell --------------------------------------------------------------------------

    def watch(self, on_gone: Callable[[ExitReason], None]) -> None:
        """Call back once it is gone; at once if it is."""
        self.watchers.append(on_gone)
        if self.actor.is_alive():
            self._be_looked_at()
        else:
            self._tell_watchers()

    def _tell_watchers(self) -> None:
        watchers, self.watchers = self.watchers, []
        for on_gone in watchers:
            on_gone(NORMAL)

    def unwatch(self, on_gone: Callable[[ExitReason], None]) -> None:
        """Take a `watch` back. Harmless if it has fired."""
        if on_gone in self.watchers:
            self.watchers.remove(on_gone)

    def terminated(self, watcher: Cell, life: Life) -> Callable[[ExitReason], None]:
        """A watch that becomes a `Terminated` message to `watcher`, while it lives that life."""

        def on_gone(reason: ExitReason) -> None:
            if watcher.life is life:
                watcher.deliver(Terminated(self.ref, reason))

        return on_gone

    def _be_looked_at(self) -> None:
        foreigners = self.node.foreigners
        assert foreigners is not None
        foreigners.look_at(self)


class Foreigners:
    """A node's foreign actors, and one timer that looks at those of which something is expected."""

    def __init__(self, node: Node) -> None:
        self.refs: WeakValueDictionary[str, ForeignRef] = WeakValueDictionary()
        """By URN."""
        self._node = node
        self._expected: set[_Foreigner] = set()
        self._timer: Timer | None = None
        self._in_real_time = False

    def look_at(self, foreigner: _Foreigner) -> None:
        """Look at it from time to time, until nobody needs to know how it is."""
        self._expected.add(foreigner)
        node = self._node
        if self._timer is None and node.open:
            self._timer = node.timers.call_at(node.time() + CHECK_EVERY, self._time_to_look)
        if foreigner.owed and node.on_busy_outside is not None and not self._in_real_time:
            # The clock may be held as long as answers are owed: then no timer fires.
            self._in_real_time = True
            node.start_soon(self._look_in_real_time)

    def _time_to_look(self) -> None:
        self._timer = None
        self._look()

    def _look(self) -> None:
        for foreigner in list(self._expected):
            if not foreigner.look():
                self._expected.discard(foreigner)
        for foreigner in self._expected:
            self.look_at(foreigner)

    async def _look_in_real_time(self) -> None:
        while any(foreigner.owed for foreigner in self._expected):
            await trio.to_thread.run_sync(time.sleep, CHECK_EVERY, abandon_on_cancel=True)
            for foreigner in list(self._expected):
                foreigner.give_up_late()
            self._look()
        self._in_real_time = False

    def close(self) -> None:
        """The node closes: nobody will look any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for foreigner in self._expected:
            foreigner.give_up("had not answered when the node that asked was closed")
            foreigner.watchers.clear()
        self._expected.clear()
