"""The worker process of a WorkerActor, seen from inside: `python -m supervision.worker_main`.

One thread reads the pipe, so that the end of the node is noticed even while a handler is busy; the
main thread runs the handlers. What they print goes to stderr: stdout is for the answers.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from importlib import import_module
from queue import SimpleQueue
from typing import Any, NoReturn

from supervision.binding import binding
from supervision.errors import Refuse
from supervision.frames import (
    LARGEST,
    Fault,
    Frame,
    Key,
    Kind,
    Unpacker,
    dumps,
    loads,
    pack,
    read_some,
)
from supervision.pykka_view import StopRequest
from supervision.ref import ActorRef

EXIT_PATIENCE = 1.0
"""Seconds a worker has left when the node, or its wish for this worker, is gone."""


class Pipe:
    """The way to the node. Any thread may send."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self.largest = LARGEST

    def send(self, kind: Kind, message_id: int, payload: bytes = b"") -> None:
        """Say something; waits while the node is slow to listen."""
        rest = memoryview(pack(kind, message_id, payload, self.largest))
        with self._lock:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


class _Elsewhere:
    """The part of the runtime that is not here: says so to whoever reaches for it."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(
            "this actor runs in a worker process, where it can refuse, answer, tell and stop, but "
            f"not do what needs the node ({name}). Leave that to an Actor that it tells."
        )


class Place(_Elsewhere):
    """What an actor in a worker has for a cell."""

    def __init__(self, worker: Worker, path: str) -> None:
        self._worker = worker
        self.path = path
        self.node = _Node()
        self.ref = worker.ref_of((0, path))

    def deliver(self, message: Any, _cause: int = 0) -> None:
        """`self.stop()`."""
        assert isinstance(message, StopRequest)
        self._worker.say(Kind.STOP, message.reason)


class _Node(_Elsewhere):
    """What it has for a node: the time."""

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self.inline = False
        self.set_time(0.0)

    def set_time(self, now: float) -> None:
        """The node has told its time."""
        self._ahead = now - time.perf_counter()

    def time(self) -> float:
        """The node's time in seconds, as of the message in hand."""
        return time.perf_counter() + self._ahead


class WorkerRef(ActorRef[Any]):
    """A ref in a worker: the node tells on its behalf."""

    __slots__ = ("__weakref__", "_key", "_worker")

    def __init__(self, worker: Worker, key: Key) -> None:
        self._worker = worker
        self._key = key
        self._cell: Any = _Elsewhere()

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"

    @property
    def path(self) -> str:
        """Its address in the tree."""
        return self._key[1]

    def tell(self, message: Any) -> None:
        """Send a message and go on. What the actor does not take becomes a dead letter."""
        self._worker.say(Kind.TELL, (self, message))

    def ask(self, request: Any, *, timeout: float | None = None) -> NoReturn:
        """Not from here."""
        del timeout
        raise RuntimeError(
            f"a worker process cannot ask, so {type(request).__qualname__} was not sent to "
            f"{self.path}. Put what the handler needs into the message that it handles, or tell, "
            "and have the answer told back."
        )


class Worker:
    """Does what the node says, one thing at a time."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._refs: weakref.WeakValueDictionary[int, WorkerRef] = weakref.WeakValueDictionary()
        self.frames: SimpleQueue[Frame | None] = SimpleQueue()
        self.interrupted = False
        self._failed = False
        self._handling = 0
        self._actor: Any = None
        self._place: Place

    # -- refs -----------------------------------------------------------------------------

    def key_of(self, ref: ActorRef[Any]) -> Key:
        """What the node calls it."""
        if not isinstance(ref, WorkerRef):
            raise TypeError(f"{ref!r} belongs to a system in this worker; the node cannot reach it")
        return ref._key

    def ref_of(self, key: Key) -> WorkerRef:
        """What this worker has for a ref of the node's: always the same while it is held."""
        ref = self._refs.get(key[0])
        if ref is None:
            ref = self._refs[key[0]] = WorkerRef(self, key)
        return ref

    def say(self, kind: Kind, content: Any) -> None:
        """Tell the node something, by reason of the message in hand."""
        self._pipe.send(kind, self._handling, dumps(content, self.key_of))

    # -- work -----------------------------------------------------------------------------

    def serve(self) -> None:
        """Do what comes, until the pipe ends."""
        while (frame := self.frames.get()) is not None:
            match frame.kind:
                case Kind.START:
                    self._hook(lambda payload=frame.payload: self._start(payload))
                case Kind.HOOK:
                    self._hook(getattr(self._actor, frame.payload.decode()))
                case Kind.MESSAGE:
                    self._message(frame)

    def _hook(self, hook: Any) -> None:
        fault = None
        try:
            hook()
        except BaseException as error:  # noqa: BLE001  whatever it is, it is this actor's crash
            fault = Fault.of(error)
        self.say(Kind.HOOK_DONE, fault)

    def _start(self, payload: bytes) -> None:
        sys.path[:], self._pipe.largest, content = pickle.loads(payload)
        path, module, name, args, kwargs = loads(content, self.ref_of)
        cls: Any = import_module(module)
        for part in name.split("."):
            cls = getattr(cls, part)
        self._place = Place(self, path)
        binding.cell = self._place  # type: ignore[assignment]
        self._actor = cls(*args, **kwargs)
        binding.cell = None
        self._actor.on_start()

    def _message(self, frame: Frame) -> None:
        if self._failed:
            return  # the node has put it back
        if self.interrupted:
            self._pipe.send(Kind.RETURNED, frame.id)
            return
        self._handling = frame.id
        try:
            self._handle(frame)
        finally:
            self._handling = 0

    def _handle(self, frame: Frame) -> None:
        try:
            now, asked, message = loads(frame.payload, self.ref_of)
        except Exception as error:  # noqa: BLE001  whatever unpickling raises, the sender is told
            reason = f"the worker process cannot read the message: {error}"
            self.say(Kind.REFUSED, (0.0, "Refused", reason))
            return
        self._place.node.set_time(now)
        table = type(self._actor)._rt_table()
        table.admits(type(message))
        started = time.perf_counter()
        try:
            value = table[type(message)](self._actor, message)
            self._answer(message, value if asked else None, time.perf_counter() - started)
        except Refuse as refusal:
            answer = refusal.answer(self._place.path)
            seconds = time.perf_counter() - started
            self.say(Kind.REFUSED, (seconds, type(answer).__name__, answer.reason))
        except BaseException as error:  # noqa: BLE001  whatever it is, it is this actor's crash
            self._fail(error, time.perf_counter() - started)

    def _answer(self, message: Any, value: Any, seconds: float) -> None:
        try:
            self.say(Kind.DONE, (seconds, value))
        except OSError:
            raise  # the node is gone
        except Exception as error:
            raise TypeError(
                f"the answer to {type(message).__qualname__}, a {type(value).__qualname__}, cannot "
                f"be sent to the node: {error}"
            ) from error

    def _fail(self, error: BaseException, seconds: float) -> None:
        self._failed = True
        failure = None
        try:
            self._actor.on_failure(type(error), error, error.__traceback__)
        except BaseException as raised:  # noqa: BLE001  reported beside the crash
            failure = Fault.of(raised)
        self.say(Kind.FAILED, (seconds, Fault.of(error), failure))


def read(descriptor: int, worker: Worker) -> None:
    """Take frames off the pipe; at its end, see to it that this process ends."""
    unpacker = Unpacker()
    while data := read_some(descriptor):
        for frame in unpacker.feed(data):
            if frame.kind is Kind.INTERRUPT:
                worker.interrupted = True
            else:
                worker.frames.put(frame)
    worker.frames.put(None)
    time.sleep(EXIT_PATIENCE)
    os._exit(1)


def main() -> None:
    """Serve one actor over stdin and stdout."""
    # Ctrl-C is the node's business; it stops its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    commands, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    worker = Worker(Pipe(answers))
    threading.Thread(target=read, args=(commands, worker), name="pipe", daemon=True).start()
    try:
        worker.serve()
    except BrokenPipeError:
        os._exit(1)  # the node is gone


if __name__ == "__main__":
    main()
