"""Nodes for test_run.py, each run in a process of its own: `python nodes_under_test.py NAME`.

What they do is told line by line on stdout, so that a test can wait for it.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import trio

import actors.run
from actors.config import NodeConfig, TroupeConfig
from supervision import Actor, ChildSpec, SupervisionConfig
from supervision.blocking import BlockingActor


@attrs.frozen
class Go:
    """The actor may begin with what it is here for."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Child(Actor[Go]):
    """Says when it starts and stops."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def on_start(self) -> Any:
        say(f"{self.name} starts")
        self.send_after(0, Go())

    def on_receive(self, message: Go) -> Any:
        pass

    def on_stop(self) -> Any:
        say(f"{self.name} stops")


class Slow(Child):
    """Takes its time to stop."""

    async def on_stop(self) -> None:
        say(f"{self.name} begins to stop")
        await trio.sleep(0.3)
        say(f"{self.name} stops")


class Endless(Child):
    """Never stops by itself."""

    async def on_stop(self) -> None:
        say(f"{self.name} begins to stop")
        try:
            await trio.sleep_forever()
        finally:
            say(f"{self.name} is cut off")


class Unready(Child):
    """Never completes its start."""

    async def on_start(self) -> None:
        say(f"{self.name} begins to start")
        await trio.sleep_forever()


class Unstartable(Child):
    def on_start(self) -> None:
        raise ValueError("no such device")


class Spinning(Child):
    """Its handler never returns."""

    def on_receive(self, message: Go) -> None:
        say(f"{self.name} spins")
        while True:
            pass


class Shielding(Child):
    """Its task takes no cancellation."""

    def on_receive(self, message: Go) -> None:
        self.start_task(self.hold_out, name="holding out")
        say(f"{self.name} holds out")

    async def hold_out(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()


class Blocked(BlockingActor[Go]):
    """Its thread never comes back."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def on_start(self) -> None:
        self.ref.tell(Go())

    def on_receive(self, message: Go) -> None:
        say(f"{self.name} blocks")
        time.sleep(3600)


class Crashing(Child):
    """Crashes whenever it has started. Not over a message: those would be kept from it in time."""

    def on_start(self) -> None:
        self.start_task(self.fail)

    async def fail(self) -> None:
        raise ZeroDivisionError("a fault of the test's")


class Interpreter(Child):
    """Says how the interpreter is tuned, once it is."""

    def on_receive(self, message: Go) -> None:
        if gc.get_freeze_count() == 0:
            self.send_after(0.01, Go())
            return
        _young, _middle, full = gc.get_threshold()
        say(f"switching after {sys.getswitchinterval():g} s, full collection after {full}")


class WithThread(Child):
    """Starts a thread that is no daemon, and forgets it."""

    def on_start(self) -> None:
        threading.Thread(target=time.sleep, args=(3600,), name="forgotten").start()
        super().on_start()


NODES: dict[str, Sequence[type[Actor[Any]]]] = {
    "plain": (Child, Slow, Child),
    "endless": (Child, Endless),
    "unready": (Child, Unready),
    "unstartable": (Child, Unstartable),
    "spinning": (Child, Spinning),
    "shielding": (Child, Shielding),
    "blocked": (Child, Blocked),
    "crashing": (Child, Crashing),
    "interpreter": (Child, Interpreter),
    "with-thread": (Child, WithThread),
}
NEVER_ENDING = ("spinning", "shielding", "with-thread")


def troupe(kinds: Sequence[type[Actor[Any]]], shutdown: float) -> Sequence[ChildSpec[Any]]:
    return [
        ChildSpec(name, partial(kind, name), shutdown=shutdown)
        for name, kind in zip(("first", "second", "third"), kinds, strict=False)
    ]


if __name__ == "__main__":
    _, kind, shutdown, child_shutdown = sys.argv
    # A busy machine must not make a node late that would have stopped by itself.
    actors.run.MARGIN = 0.3 if kind in NEVER_ENDING else 5.0
    config = TroupeConfig(
        node=NodeConfig(name=kind),
        supervision=SupervisionConfig(shutdown=float(shutdown), kill_grace=0.2),
    )
    # An unknown kind is a composition that fails.
    sys.exit(actors.run.run(config, lambda _config: troupe(NODES[kind], float(child_shutdown))))
