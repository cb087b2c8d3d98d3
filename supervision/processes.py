"""The worker process of a WorkerActor, seen from the node: starts it, feeds it, sees it end.

Messages are pipelined, a few in the pipe ahead of the one in hand, and answered in order; a message
is answered before the next is begun. So when the process dies, the oldest message without an answer
is the one it may have begun, and the rest go back to the inbox.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trio.lowlevel import enable_ki_protection

from supervision.acting import Acting, acting
from supervision.cell import Cell, Phase
from supervision.errors import MailboxFull, NotAccepted, Refused
from supervision.events import DeadLetterReason
from supervision.executor import patience, put_back
from supervision.frames import Frame, Key, Kind, Unpacker, dumps, loads, pack
from supervision.messages import IDLE, KILLED, Envelope
from supervision.observe import KILLED as CUT_OFF
from supervision.observe import OK, REFUSED, report
from supervision.offloop import request_stop
from supervision.pykka_view import BadArguments, NoAttribute, StopRequest
from supervision.subprocesses import Subprocess

if TYPE_CHECKING:
    from supervision.life import Life
    from supervision.ref import ActorRef
    from supervision.timers import Timer
    from supervision.worker import WorkerActor

Done = Callable[[BaseException | None], None]

REFUSALS: dict[str, type[Refused]] = {
    kind.__name__: kind for kind in (Refused, NoAttribute, BadArguments)
}


class Refs:
    """The refs that one worker knows, by number. 0 is its own."""

    def __init__(self, own: ActorRef[Any]) -> None:
        self._own = own
        self._by_key: dict[int, ActorRef[Any]] = {0: own}
        self._keys: dict[ActorRef[Any], int] = {own: 0}
        self._next = 1
        self._sweep_at = 1000

    def key_of(self, ref: ActorRef[Any]) -> Key:
        """What the ref is called in the worker."""
        key = self._keys.get(ref)
        if key is None:
            if len(self._keys) >= self._sweep_at:
                self._sweep()
            key, self._next = self._next, self._next + 1
            self._keys[ref] = key
            self._by_key[key] = ref
        return key, ref.path

    def _sweep(self) -> None:
        """Forget the refs to actors that are gone: a worker meets many in its life."""
        for ref, key in list(self._keys.items()):
            if not ref.alive and key:
                del self._keys[ref], self._by_key[key]
        self._sweep_at = max(1000, 2 * len(self._keys))

    def ref_of(self, key: Key) -> ActorRef[Any]:
        """The ref that the worker calls so."""
        number, path = key
        ref = self._by_key.get(number)
        if ref is None:
            cell = self._own._cell
            gone = Cell(cell.node, path, cell.spec, None)
            gone.phase = Phase.GONE
            ref = gone.ref
        return ref


class WorkerProcess:
    """The `Executor` of one life of a WorkerActor."""

    def __init__(self, life: Life, actor: WorkerActor[Any], construction: Any) -> None:
        self.life = life
        self.cell = life.cell
        self.closed = False
        self._actor = actor
        self._pipeline = type(actor).pipeline
        self._largest = type(actor).largest_message
        self._refs = Refs(life.cell.ref)
        self._acting = Acting(life.cell, IDLE, pausing=False)
        self._in_flight: dict[int, Envelope] = {}
        """Sent and not answered, oldest first; only the first can have been begun."""
        self._since = 0.0
        """When the first became the first."""
        self._returned: list[Envelope] = []
        self._hook: Done | None = None
        """Who waits for the hook that runs."""
        self._interrupted = self._closing = self._abandoned = False
        self._clock_held = False
        self._patience: Timer | None = None
        self._unpacker = Unpacker()
        self._process = Subprocess(life.cell.path, self._take_bytes)
        inner = dumps((life.cell.path, *construction), self._refs.key_of)
        outer = pickle.dumps((list(sys.path), self._largest, inner), protocol=5)
        self._start = pack(Kind.START, 0, outer)
        self.cell.node.start_soon(self._run)

    # -- messages -------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is in hand."""
        return not self._in_flight and self._hook is None

    @property
    def doing(self) -> tuple[Envelope, float] | None:
        """The message in hand, as far as the node knows, and since when."""
        envelope = next(iter(self._in_flight.values()), None)
        return (envelope, self._since) if envelope is not None else None

    def feed(self) -> None:
        """Send what waits, as far as the pipeline has room."""
        cell, inbox, poison = self.cell, self.cell.inbox, self.cell.poison
        while inbox and len(self._in_flight) < self._pipeline and not self._interrupted:
            try:
                envelope = inbox.popleft()
            except IndexError:  # dropped by a sender on another thread
                return
            if type(envelope[2]) is StopRequest:
                if not self._in_flight:
                    request_stop(cell, envelope)
                    return
                inbox.appendleft(envelope)
                break
            if poison is None or poison.admits(envelope):
                self._send_message(envelope)
        if inbox:  # no further turn of this actor until an answer has made room
            self.life.paused = True
            cell.halt = True

    def _send_message(self, envelope: Envelope) -> None:
        message_id, _cause, message, reply = envelope
        kind = type(message)
        try:
            if kind.__module__ == "__main__":
                raise TypeError(
                    f"{kind.__qualname__} is defined in __main__, which a worker process cannot "
                    "import; move it to a module"
                )
            content = (self.cell.node.time(), reply is not None, message)
            payload = dumps(content, self._refs.key_of)
            frame = pack(Kind.MESSAGE, message_id, payload, self._largest)
        except Exception as error:  # noqa: BLE001  pickling calls what it likes; all of it is a no
            self._unsendable(envelope, error)
            return
        if not self._in_flight:
            self._since = self.cell.node.time()
        self._in_flight[message_id] = envelope
        self._hold_clock()
        self._process.send(frame)

    def _unsendable(self, envelope: Envelope, error: Exception) -> None:
        """Bad input is its sender's fault, so the actor lives."""
        _id, _cause, message, reply = envelope
        if self.cell.poison is not None:
            self.cell.poison.undecided(envelope[0])
        if reply is None:
            self.cell.node.dead_letter(self.cell.path, message, DeadLetterReason.NOT_ACCEPTED)
            return
        name = type(message).__qualname__
        refused = Refused(self.cell.path, f"no {name} can be sent to its worker process: {error}")
        refused.__cause__ = error
        reply.settle(None, refused)

    def _hold_clock(self) -> None:
        """While there is work in hand a test's clock must not jump."""
        hold = (not self.idle or self._closing) and not self.closed
        if hold is not self._clock_held:
            self._clock_held = hold
            self.cell.node.outside(1 if hold else -1)

    # -- hooks, and the end ---------------------------------------------------------------

    def call(self, hook: Callable[[], Any], done: Done) -> None:
        """Run a hook in the worker, then `done` as a signal step."""
        self._hook = done
        self._hold_clock()
        if hook == self._actor.on_start:
            self._process.send(self._start)
        else:
            self._process.send(pack(Kind.HOOK, 0, b"on_stop"))

    def failed(self, error: BaseException) -> None:
        """Nothing to do: the worker runs `on_failure` before it tells, or runs no more."""

    def interrupt(self) -> None:
        """Take no further message; report idle after the one in hand."""
        self._interrupted = True
        if self._in_flight:
            self._process.send(pack(Kind.INTERRUPT, 0))

    def close(self) -> None:
        """Have the process end; at once if the actor was killed."""
        self._closing = self._interrupted = True
        self._process.finish()
        if self.life.killed:
            self._process.kill()
        elif self._patience is None:
            node = self.cell.node
            # Before the life would leave it behind: a process need not be.
            due = node.time() + patience(self.cell) - node.config.kill_grace / 2
            self._patience = node.timers.call_at(due, self._process.kill)
        self._hold_clock()

    def abandon(self) -> None:
        """The system did not end it even when it was killed."""
        self._abandoned = True
        for envelope in self._in_flight.values():
            self._fail(envelope)
        self._in_flight.clear()
        self._has_ended()

    def describe(self) -> str:
        """What it is."""
        return f"worker process {self._process.pid}"

    def _fail(self, envelope: Envelope) -> None:
        report(self.cell, envelope, self.cell.node.time() - self._since, CUT_OFF)
        if envelope[3] is not None:
            envelope[3].settle(None, self.life._as_crash(self.life.ending or KILLED))

    def _has_ended(self) -> None:
        self.closed = True
        self._hold_clock()
        if self._patience is not None:
            self._patience.cancel()

    @enable_ki_protection
    async def _run(self) -> None:
        acting.set(self._acting)
        problem = await self._process.run()
        self.cell.signal(self._exited, problem)

    def _exited(self, problem: Exception) -> None:
        """The process is gone."""
        if self._abandoned:
            return
        pending = list(self._in_flight.values())
        self._in_flight.clear()
        hook, self._hook = self._hook, None
        put_back(self.cell, [*self._returned, *pending[1:]])
        self._has_ended()
        if self._closing:
            for envelope in pending[:1]:
                self._fail(envelope)
            self.life.perhaps_over()
        elif hook is not None:
            hook(problem)
        else:
            # What it had in hand may well have killed it: that counts as poison as a crash does.
            failed, where = (pending[0], "handler") if pending else (None, "worker process")
            self.life.crash(problem, failed, where)

    # -- what the worker says -------------------------------------------------------------

    def _take_bytes(self, data: bytes) -> None:
        for frame in self._unpacker.feed(data):
            if self._abandoned:
                return
            try:
                self._take(frame)
            except Exception as error:  # noqa: BLE001  an answer may unpickle into anything
                self._undecodable(frame, error)

    def _undecodable(self, frame: Frame, error: Exception) -> None:
        """What the worker sent cannot be read here."""
        problem = TypeError(
            f"what {self.cell.path} sent from its worker process cannot be read by the node: "
            f"{error}. Its class must be importable here too."
        )
        problem.__cause__ = error
        # It would go on with what is in the pipe, so it goes.
        self._process.kill()
        self.cell.signal(self.life.crash, problem, self._in_flight.pop(frame.id, None))

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.DONE:
                seconds, value = loads(frame.payload, self._refs.ref_of)
                self._answered(frame.id, seconds, value, None)
            case Kind.REFUSED:
                seconds, kind, reason = loads(frame.payload, self._refs.ref_of)
                refused = REFUSALS[kind](self.cell.path, reason)
                self._answered(frame.id, seconds, None, refused)
            case Kind.FAILED:
                self._crashed(frame)
            case Kind.RETURNED:
                self._returned.append(self._in_flight.pop(frame.id))
                self._perhaps_idle()
            case Kind.HOOK_DONE:
                fault = loads(frame.payload, self._refs.ref_of)
                done, self._hook = self._hook, None
                self._hold_clock()
                if done is not None:
                    self.cell.signal(done, fault.error() if fault is not None else None)
            case Kind.TELL:
                self._tell(frame)
            case Kind.STOP:
                reason = loads(frame.payload, self._refs.ref_of)
                self.cell.deliver(StopRequest(reason), frame.id)

    def _answered(self, message_id: int, seconds: float, value: Any, refused: Any) -> None:
        envelope = self._in_flight.pop(message_id)
        if envelope[3] is not None:
            envelope[3].settle(value, refused)
        self._account(envelope, seconds, OK if refused is None else REFUSED)
        self._perhaps_idle()

    def _account(self, envelope: Envelope, seconds: float, outcome: str) -> None:
        cell = self.cell
        self._since = cell.node.time()
        cell.handled += 1
        cell.busy += seconds
        report(cell, envelope, seconds, outcome)

    def _perhaps_idle(self) -> None:
        """There is room in the pipeline."""
        self._hold_clock()
        life = self.life
        if not self._in_flight:
            put_back(self.cell, self._returned)
            self._returned = []
            if life.ending is not None:
                self.cell.signal(life.executor_idle)
        if life.paused and not self._interrupted:
            life.paused = False
            self.cell.reconsider()

    def _crashed(self, frame: Frame) -> None:
        """A handler raised. The worker begins nothing any more."""
        seconds, fault, failure = loads(frame.payload, self._refs.ref_of)
        envelope = self._in_flight.pop(frame.id)
        put_back(self.cell, list(self._in_flight.values()))
        self._in_flight.clear()
        self._hold_clock()
        error = fault.error()
        self._account(envelope, seconds, type(error).__qualname__)
        self.cell.signal(self.life.crash, error, envelope)
        if failure is not None:
            node = self.cell.node
            node.crashed(self.cell, failure.error(), "on_failure", None)

    def _tell(self, frame: Frame) -> None:
        """Send a message on the worker's behalf; it is not there to be told of a refusal."""
        node = self.cell.node
        self._acting.envelope = self._in_flight.get(frame.id, (frame.id, 0, None, None))
        ref, message = loads(frame.payload, self._refs.ref_of)
        try:
            ref.tell(message)
        except NotAccepted:
            node.dead_letter(ref.path, message, DeadLetterReason.NOT_ACCEPTED)
        except MailboxFull:
            node.dead_letter(ref.path, message, DeadLetterReason.FULL)
