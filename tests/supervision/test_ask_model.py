"""Whatever is done to an actor while it is asked: every ask ends, once, as it may end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    ChildSpec,
    DynamicSupervisor,
    Mailbox,
    MailboxFull,
    Overflow,
    Promise,
    Refuse,
    Refused,
    Reply,
    Request,
    Restart,
    SupervisionError,
    handles,
)
from supervision.resilience import Backoff
from supervision.testing import SystemUnderTest, simulate


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Plain(Request[int]):
    number: int
    how: str


@attrs.frozen
class Slow(Request[int]):
    number: int
    how: str


class Tidy:
    """Answer what is owed, unstash what is stashed."""


@attrs.define
class Diary:
    """What outlives the actor's lives."""

    begun: Counter[int] = attrs.field(factory=Counter)
    order: list[int] = attrs.field(factory=list)
    lives: int = 0


class Server(Actor[Any]):
    poison = None

    def __init__(self, diary: Diary, shaky: bool) -> None:
        super().__init__()
        self.diary = diary
        self.owed: list[tuple[Promise[int], int]] = []
        self.tidy_now = False
        diary.lives += 1
        if shaky and diary.lives % 4 == 3:
            raise Boom

    def begin(self, number: int) -> None:
        self.diary.begun[number] += 1
        self.diary.order.append(number)

    @handles
    def plain(self, message: Plain) -> int:
        if message.how == "stash" and not self.tidy_now:
            self.stash()
            return -1
        self.begin(message.number)
        match message.how:
            case "crash":
                raise Boom
            case "refuse":
                raise Refuse("no")
            case "defer":
                self.owed.append((self.defer(), message.number))
            case "defer and crash":
                self.owed.append((self.defer(), message.number))
                raise Boom
            case "task":
                promise = self.defer()
                self.start_task(self.task, promise, message.number)
            case "stop":
                self.stop()
        return message.number

    async def task(self, promise: Promise[int], number: int) -> None:
        await trio.sleep(0.02)
        if number % 3 == 0:
            raise Boom
        promise.resolve(number)

    @handles
    async def slow(self, message: Slow) -> int:
        self.begin(message.number)
        match message.how:
            case "crash":
                await trio.sleep(0.01)
                raise Boom
            case "refuse":
                await trio.lowlevel.checkpoint()
                raise Refuse("no")
            case "never":
                await trio.sleep_forever()
            case "shielded":
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.05)
            case _:
                await trio.sleep(0.01)
        return message.number

    @handles
    def tidy(self, _message: Tidy) -> None:
        self.tidy_now = True
        for promise, number in self.owed:
            promise.resolve(number)
        self.unstash()


PLAIN = ["value", "crash", "refuse", "defer", "defer and crash", "task", "stash", "stop"]
SLOW = ["value", "crash", "refuse", "never", "shielded"]

steps = st.one_of(
    st.tuples(st.just("plain"), st.sampled_from(PLAIN)),
    st.tuples(st.just("plain"), st.just("value")),
    st.tuples(st.just("slow"), st.sampled_from(SLOW)),
    st.tuples(
        st.sampled_from(["suspend", "resume", "restart", "stop", "kill", "tidy", "sleep", "pykka"]),
        st.just(""),
    ),
)


@attrs.frozen
class Setting:
    restart: Restart
    mailbox: Mailbox
    backoff: bool
    shutdown: Any
    timeout: float
    shaky: bool


settings = st.builds(
    Setting,
    st.sampled_from(Restart),
    st.builds(Mailbox, st.sampled_from([2, 1000]), st.sampled_from(Overflow)),
    st.booleans(),
    st.sampled_from([0.02, 5.0, "brutal"]),
    st.sampled_from([0.03, math.inf]),
    st.booleans(),
)


class Story:
    """One actor, what is done to it, and how its asks end."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.diary = Diary()
        self.replies: list[Reply[int]] = []
        self.settled: Counter[int] = Counter()
        self.system: SystemUnderTest
        self.ref: ActorRef[Any]

    def spec(self) -> ChildSpec[Any]:
        setting = self.setting
        return ChildSpec(
            "server",
            lambda: Server(self.diary, setting.shaky),
            setting.restart,
            shutdown=setting.shutdown,
            mailbox=setting.mailbox,
            backoff=Backoff(base=0.01) if setting.backoff else None,
        )

    def ask(self, request: type[Plain | Slow], how: str) -> None:
        number = len(self.replies)
        reply = self.ref.ask(request(number, how), timeout=self.setting.timeout)
        self.replies.append(reply)
        reply.on_settled(lambda _reply: self.settled.update([number]))

    def kill(self) -> None:
        cell = self.ref._cell
        if cell.life is not None:
            cell.signal(cell.life.kill)

    async def carry_out(self, step: str, how: str) -> None:
        path = "/pool/server"
        match step:
            case "plain" | "slow":
                self.ask(Plain if step == "plain" else Slow, how)
            case "suspend" | "resume":
                getattr(self.system, step)(path)
            case "restart" | "stop":
                await getattr(self.system, step)(path)
            case "kill":
                self.kill()
            case "tidy":
                self.ref.tell(Tidy())
            case "pykka":
                _ = self.ref.pykka.stop(block=False)
            case _:
                await trio.sleep(0.015)

    async def play(self, system: SystemUnderTest, script: Sequence[tuple[str, str]]) -> None:
        self.system = system
        await system.spawn(DynamicSupervisor, path="/pool")
        self.ref = await system.start_child(self.spec(), parent="/pool")
        for step, how in script:
            try:
                with trio.move_on_after(1):
                    await self.carry_out(step, how)
            except SupervisionError:
                pass  # it is gone, say, or full
        if self.ref.alive:
            system.resume("/pool/server")
            await trio.sleep(1)
        await system.stop("/pool")
        await system.settle()

    def check(self, number: int, reply: Reply[int]) -> None:
        assert reply.done
        assert self.settled[number] == 1
        error = reply.error
        if error is None:
            assert reply.result() == number
            return
        assert isinstance(error, Refused | ActorCrashed | ActorStopped | AskTimeout)
        if isinstance(error, AskTimeout):
            assert self.setting.timeout < math.inf
        if isinstance(error, MailboxFull):
            assert self.setting.mailbox.capacity == 2


@given(settings, st.lists(steps, max_size=25), st.integers(0, 50))
def test_every_ask_ends_once_and_as_it_may_end(
    setting: Setting, script: list[tuple[str, str]], seed: int
) -> None:
    story = Story(setting)
    simulate(lambda system: story.play(system, script), seed, strict=False)
    for number, reply in enumerate(story.replies):
        story.check(number, reply)
    assert set(story.diary.begun.values()) <= {1}
    if not any(how == "stash" for _, how in script):
        assert story.diary.order == sorted(story.diary.order)
