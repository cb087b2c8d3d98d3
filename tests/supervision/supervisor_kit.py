"""What tests of supervisors share: a child that ends in any way, a diary of what happened."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import trio

from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    Escalate,
    Request,
    Restart,
    Supervisor,
    handles,
)
from supervision.messages import SHUTDOWN, ExitReason
from supervision.testing import SystemUnderTest


class Boom(Exception):
    """The fault that tests plan."""


class Way(enum.Enum):
    """How a child ends."""

    RETURNS = "returns: its work is done"
    SHUTS_DOWN = "ends with reason shutdown"
    HANDLER = "crashes in a handler"
    ASYNC_HANDLER = "crashes in an async handler"
    TASK = "crashes in a task it owns"
    TIMER = "crashes on its own timer message"
    PIPED = "crashes on the failure of an ask it piped"
    ON_STOP = "crashes in on_stop, its work being done"
    ASYNC_ON_STOP = "crashes in an async on_stop"


NORMAL_WAYS = (Way.RETURNS, Way.SHUTS_DOWN)


@attrs.frozen
class End:
    way: Way


@attrs.frozen
class EndSlowly:
    way: Way


@attrs.frozen
class GiveUp:
    """Raise Escalate."""


@attrs.frozen
class Life(Request[int]):
    """Which life of the actor is this, from 1?"""


@attrs.frozen
class Hang(Request[None]):
    """Be told, or asked, and never return."""


@attrs.frozen
class Crashes(Request[None]):
    """An ask that fails."""


class Diary:
    """What happened, in order, and how often each child has started."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.lives: dict[str, int] = {}
        self.failing: dict[str, int] = {}
        """How many of the next starts of a child fail, and where."""

    def write(self, line: str) -> None:
        self.lines.append(line)

    def take(self) -> list[str]:
        """The lines since the last look."""
        lines, self.lines = self.lines, []
        return lines

    def begin(self, name: str) -> int:
        self.lives[name] = self.lives.get(name, 0) + 1
        return self.lives[name]

    def fails(self, where: str) -> bool:
        left = self.failing.get(where, 0)
        if left:
            self.failing[where] = left - 1
        return bool(left)


class Child(Actor[Any]):
    """Ends as it is told, and writes the diary."""

    def __init__(self, name: str, diary: Diary) -> None:
        super().__init__()
        self.name = name
        self.diary = diary
        self.way: Way | None = None
        self.life = diary.begin(name)
        if diary.fails(f"{name} __init__"):
            raise Boom("__init__")

    def on_start(self) -> Any:
        if self.diary.fails(f"{self.name} on_start"):
            raise Boom("on_start")
        self.diary.write(f"+{self.name}")

    def on_stop(self) -> Any:
        self.diary.write(f"-{self.name}")
        if self.way is Way.ON_STOP:
            raise Boom("on_stop")
        return self._stop_slowly() if self.way is Way.ASYNC_ON_STOP else None

    async def _stop_slowly(self) -> None:
        await trio.sleep(0.1)
        raise Boom("async on_stop")

    def on_failure(self, *_: object) -> None:
        self.diary.write(f"!{self.name}")

    @handles
    def on_end(self, message: End) -> None:
        self.way = message.way
        match message.way:
            case Way.RETURNS | Way.ON_STOP | Way.ASYNC_ON_STOP:
                self.stop()
            case Way.SHUTS_DOWN:
                self.stop(SHUTDOWN)
            case Way.HANDLER:
                raise Boom("handler")
            case Way.ASYNC_HANDLER:
                self.ref.tell(EndSlowly(message.way))
            case Way.TASK:
                self.start_task(self._fail)
            case Way.TIMER:
                self.send_after(0.1, End(Way.HANDLER))
            case Way.PIPED:
                self.pipe(self.ref.ask(Crashes()), to=lambda _: End(Way.RETURNS))

    @handles
    async def on_end_slowly(self, message: EndSlowly) -> None:
        await trio.sleep(0.1)
        raise Boom("async handler")

    @handles
    def on_give_up(self, message: GiveUp) -> None:
        raise Escalate("no restart helps")

    @handles
    def on_life(self, message: Life) -> int:
        return self.life

    @handles
    async def on_hang(self, message: Hang) -> None:
        await trio.sleep_forever()

    @handles
    def on_crashes(self, message: Crashes) -> None:
        raise Boom("asked")

    async def _fail(self) -> None:
        await trio.sleep(0.1)
        raise Boom("task")


class SlowToStop(Child):
    """Takes its time in `on_stop`."""

    def __init__(self, name: str, diary: Diary, seconds: float) -> None:
        super().__init__(name, diary)
        self.seconds = seconds

    async def on_stop(self) -> None:
        await trio.sleep(self.seconds)
        self.diary.write(f"-{self.name}")


class SlowToStart(Child):
    """Takes its time in `on_start`."""

    def __init__(self, name: str, diary: Diary, seconds: float) -> None:
        super().__init__(name, diary)
        self.seconds = seconds

    async def on_start(self) -> None:
        self.diary.write(f"~{self.name}")
        await trio.sleep(self.seconds)
        self.diary.write(f"+{self.name}")


def slow_to_stop(name: str, diary: Diary, seconds: float, **more: Any) -> ChildSpec[Any]:
    """A spec of a `SlowToStop`."""
    return ChildSpec(name, partial(SlowToStop, name, diary, seconds), **more)


def slow_to_start(name: str, diary: Diary, seconds: float, **more: Any) -> ChildSpec[Any]:
    """A spec of a `SlowToStart`."""
    return ChildSpec(name, partial(SlowToStart, name, diary, seconds), **more)


def child(name: str, diary: Diary, restart: Restart = Restart.PERMANENT, **more: Any) -> Any:
    """A spec of a `Child`."""
    return ChildSpec(name, partial(Child, name, diary), restart, **more)


async def supervise(
    system: SystemUnderTest,
    children: Sequence[ChildSpec[Any]],
    *args: Any,
    path: str = "/sup",
    restart: Restart = Restart.TEMPORARY,
    **kwargs: Any,
) -> tuple[ActorRef[Any], list[ExitReason]]:
    """A running supervisor, and the list that its end will be written into."""
    ref = await system.spawn(Supervisor, children, *args, path=path, restart=restart, **kwargs)
    ends: list[ExitReason] = []
    ref.on_gone(ends.append)
    return ref, ends


async def pause(seconds: float = 1.0) -> None:
    """Let virtual time pass, and all that happens in it."""
    await trio.sleep(seconds)
    await trio.testing.wait_all_tasks_blocked()
