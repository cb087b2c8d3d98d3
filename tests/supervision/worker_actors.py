"""What runs in the worker processes of test_worker.py, which import it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import attrs
import trio

from supervision import ActorRef, Escalate, Refuse, Request, WorkerActor, handles


@attrs.frozen
class Note:
    text: str


@attrs.frozen
class Add(Request[int]):
    number: int


@attrs.frozen
class Tell:
    """Tell somebody a message, and tell them the worker itself."""

    to: ActorRef[Any]
    message: Any


@attrs.frozen
class NeedTheNode(Request[list[str]]):
    """Try what a worker cannot do; answered with what it was told."""

    ref: ActorRef[Any]


@attrs.frozen
class Echo(Request[Any]):
    value: Any


@attrs.frozen
class Pid(Request[int]): ...


@attrs.frozen
class Die(Request[None]):
    signal: int = 0
    code: int = 0


@attrs.frozen
class Fail(Request[None]):
    how: str = "value"


@attrs.frozen
class Hang(Request[None]):
    """Sleep for an hour, noting in a file that it began; with a child process of its own."""

    begun: str = ""


@attrs.frozen
class Call(Request[Any]):
    """Call a method of the actor's."""

    method: str
    args: tuple[Any, ...] = ()


@attrs.frozen
class Lock(Request[Any]):
    """Answered with what cannot be pickled."""


class Odd(Exception):
    """Cannot be pickled and read again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


class Worker(
    WorkerActor[Note | Add | Tell | NeedTheNode | Echo | Pid | Die | Fail | Hang | Call | Lock]
):
    """Does what tests want; writes its hooks to a file, if given one."""

    largest_message = 1_000_000

    def __init__(self, log: str = "", *, owner: ActorRef[Note] | None = None) -> None:
        super().__init__()
        self.log = log
        self.owner = owner
        self.total = 0
        self.note("made")

    def note(self, text: str) -> None:
        if self.log:
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(f"{text} {os.getpid()}\n")

    def on_start(self) -> None:
        self.note("start")
        if self.owner is not None:
            self.owner.tell(Note("started"))

    def on_stop(self) -> None:
        self.note("stop")

    def on_failure(self, *_: Any) -> None:
        self.note("failure")

    @handles
    def add(self, message: Add) -> int:
        if message.number < 0:
            raise Refuse("negative")
        self.total += message.number
        return self.total

    @handles
    def tell(self, message: Tell) -> None:
        message.to.tell(message.message)
        message.to.tell((self.ref, message.to))

    @handles
    def need(self, message: NeedTheNode) -> list[str]:
        complaints: list[str] = []
        for attempt in (
            lambda: self.start_task(trio.sleep, 1),
            lambda: self.send_after(1, Note("")),
            self.stash,
            self.defer,
            lambda: self.watch(message.ref),
            lambda: message.ref.ask(Add(1)),
        ):
            try:
                attempt()
            except RuntimeError as error:
                complaints.append(str(error))
        return complaints

    @handles
    def echo(self, message: Echo) -> Any:
        return message.value

    @handles
    def pid(self, _message: Pid) -> int:
        return os.getpid()

    @handles
    def lock(self, _message: Lock) -> Any:
        return threading.Lock()

    @handles
    def die(self, message: Die) -> None:
        sys.stderr.write("first words\n")
        sys.stdout.write("x" * 20_000 + " on stdout")
        sys.stdout.flush()
        if message.signal:
            os.kill(os.getpid(), message.signal)
        os._exit(message.code)

    @handles
    def fail(self, message: Fail) -> None:
        match message.how:
            case "value":
                raise ValueError("as told")
            case "odd":
                raise Odd("one", "two")
            case "exit":
                raise SystemExit(3)
            case "escalate":
                raise Escalate

    @handles
    def hang(self, message: Hang) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        with open(message.begun + ".new", "w", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {child.pid}")
        os.rename(message.begun + ".new", message.begun)
        time.sleep(3600)

    @handles
    def call(self, message: Call) -> Any:
        return getattr(self, message.method)(*message.args)

    @handles
    def on_note(self, message: Note) -> None:
        self.note(message.text)


class Unready(Worker):
    def on_start(self) -> None:
        raise OSError("no model")


class Unmakeable(Worker):
    def __init__(self) -> None:
        super().__init__()
        raise LookupError("no such model")


class StopsSlowly(Worker):
    def on_stop(self) -> None:
        time.sleep(3600)
