"""Watching: `Terminated`, exactly once, when an actor is gone for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    ExitReason,
    How,
    Mailbox,
    NotAccepted,
    Overflow,
    Request,
    Restart,
    Supervisor,
    Terminated,
    handles,
)
from supervision.events import DeadLetterReason
from supervision.supervisor import RestartChild, TerminateChild
from supervision.testing import SystemUnderTest


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Do:
    step: Callable[[Any], object]


class Seen(Request[tuple[tuple[str, How], ...]]):
    """Who has ended, and how."""


class Pause:
    """Be busy for a second, the mailbox paused."""


class Watcher(Actor[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, How]] = []

    @handles
    def do(self, message: Do) -> None:
        message.step(self)

    @handles
    def terminated(self, message: Terminated) -> None:
        self.seen.append((message.ref.path, message.reason.how))

    @handles
    async def pause(self, _message: Pause) -> None:
        await trio.sleep(1)

    @handles
    def what_was_seen(self, _message: Seen) -> tuple[tuple[str, How], ...]:
        return tuple(self.seen)


class Mortal(Actor[Any]):
    @handles
    def do(self, message: Do) -> None:
        message.step(self)

    @handles
    async def pause(self, _message: Pause) -> None:
        await trio.sleep_forever()


def watching(*refs: ActorRef[Any]) -> Do:
    return Do(lambda actor: [actor.watch(ref) for ref in refs])


def unwatching(*refs: ActorRef[Any]) -> Do:
    return Do(lambda actor: [actor.unwatch(ref) for ref in refs])


def crash(_actor: Any) -> None:
    raise Boom


@pytest.fixture
async def watcher(system: SystemUnderTest) -> ActorRef[Any]:
    return await system.spawn(Watcher, path="/watcher")


async def mortal(
    system: SystemUnderTest, name: str = "mortal", restart: Restart = Restart.TEMPORARY
) -> ActorRef[Any]:
    return await system.start_child(ChildSpec(name, Mortal, restart, shutdown=1.0))


async def seen(system: SystemUnderTest, watcher: ActorRef[Any]) -> list[tuple[str, How]]:
    await system.settle()
    return list(await watcher.ask(Seen()))


async def test_the_end_of_a_watched_actor_comes_once_however_often_it_is_watched(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    ref = await mortal(system)
    watcher.tell(watching(ref, ref))
    watcher.tell(watching(ref))
    await system.settle()
    await system.stop("/mortal")
    assert await seen(system, watcher) == [("/mortal", How.SHUTDOWN)]
    await trio.sleep(10)
    assert len(await seen(system, watcher)) == 1


@pytest.mark.parametrize(
    ("step", "how"),
    [
        (lambda actor: actor.stop(), How.NORMAL),
        (lambda actor: actor.stop(ExitReason(How.SHUTDOWN)), How.SHUTDOWN),
        (crash, How.CRASHED),
        ("kill", How.KILLED),
    ],
)
async def test_it_says_how_the_actor_ended(
    system: SystemUnderTest, watcher: ActorRef[Any], step: Any, how: How
) -> None:
    system.expect_crash("/mortal", Boom)
    ref = await mortal(system)
    watcher.tell(watching(ref))
    await system.settle()
    if step == "kill":
        ref.tell(Pause())
        await system.stop("/mortal")
    else:
        ref.tell(Do(step))
    assert await seen(system, watcher) == [("/mortal", how)]


async def test_a_restart_is_no_end(system: SystemUnderTest, watcher: ActorRef[Any]) -> None:
    system.expect_crash("/mortal", Boom)
    ref = await mortal(system, restart=Restart.PERMANENT)
    watcher.tell(watching(ref))
    ref.tell(Do(crash))
    await system.settle()
    await system.restart("/mortal")
    ref.tell(Do(lambda actor: actor.stop()))
    assert await seen(system, watcher) == []
    assert ref._cell.lives == 4
    await system.stop("/mortal")
    assert await seen(system, watcher) == [("/mortal", How.SHUTDOWN)]


async def test_a_transient_actor_is_gone_once_its_work_is_done(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    system.expect_crash("/mortal", Boom)
    ref = await mortal(system, restart=Restart.TRANSIENT)
    watcher.tell(watching(ref))
    ref.tell(Do(crash))
    assert await seen(system, watcher) == []
    ref.tell(Do(lambda actor: actor.stop()))
    assert await seen(system, watcher) == [("/mortal", How.NORMAL)]


async def test_whoever_watches_no_more_is_told_nothing(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    ref, other = await mortal(system), await mortal(system, "other")
    watcher.tell(watching(ref, other))
    watcher.tell(unwatching(ref))
    watcher.tell(unwatching(ref))
    await system.settle()
    await system.stop("/mortal")
    await system.stop("/other")
    assert await seen(system, watcher) == [("/other", How.SHUTDOWN)]


async def test_one_that_was_unwatched_can_be_watched_again(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    ref = await mortal(system)
    for message in (watching(ref), unwatching(ref), watching(ref)):
        watcher.tell(message)
    await system.settle()
    await system.stop("/mortal")
    assert await seen(system, watcher) == [("/mortal", How.SHUTDOWN)]


async def test_to_watch_one_that_is_gone_tells_so_at_once_each_time(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    system.expect_crash("/mortal", Boom)
    ref = await mortal(system)
    ref.tell(Do(crash))
    await ref.wait_gone()
    watcher.tell(watching(ref))
    assert await seen(system, watcher) == [("/mortal", How.CRASHED)]
    watcher.tell(watching(ref))
    assert await seen(system, watcher) == [("/mortal", How.CRASHED)] * 2
    watcher.tell(unwatching(ref))
    await system.settle()


async def test_one_that_is_started_again_after_its_end_can_end_again(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    children: list[ChildSpec[Any]] = [ChildSpec("child", Mortal, Restart.TRANSIENT)]
    top = await system.spawn(Supervisor, children, path="/top")
    ref = system.ref("/top/child")
    for count in (1, 2):
        watcher.tell(watching(ref))
        await system.settle()
        await top.ask(TerminateChild("child"))
        assert await seen(system, watcher) == [("/top/child", How.SHUTDOWN)] * count
        await top.ask(RestartChild("child"))


async def test_terminated_comes_before_nothing_that_the_dying_actor_had_sent(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    order: list[int] = []
    ref = await mortal(system)
    watcher.tell(watching(ref))

    def noting(number: int) -> Do:
        return Do(lambda _watcher: order.append(number))

    def last_words(actor: Any) -> None:
        for number in range(5):
            watcher.tell(noting(number))
        actor.stop()

    watcher.tell(Do(lambda actor: order.append(-1)))
    ref.tell(Do(last_words))
    assert await seen(system, watcher) == [("/mortal", How.NORMAL)]
    assert order == [-1, 0, 1, 2, 3, 4]


async def test_watches_end_with_the_life_that_made_them(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    system.expect_crash("/watcher", Boom)
    ref = await mortal(system)
    watcher.tell(watching(ref))
    watcher.tell(Do(crash))
    await system.settle()
    await system.stop("/mortal")
    assert await seen(system, watcher) == []
    assert ref._cell.watchers is None


async def test_a_terminated_that_waits_when_its_watcher_crashes_is_not_for_the_next_life(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    system.expect_crash("/watcher", Boom)
    ref = await mortal(system)
    watcher.tell(watching(ref))
    watcher.tell(Pause())
    watcher.tell(Do(crash))
    await system.settle()
    await system.stop("/mortal")
    await trio.sleep(2)
    assert await seen(system, watcher) == []
    assert [letter.reason for letter in system.dead_letters()] == [DeadLetterReason.STALE]


async def test_terminated_goes_into_a_full_mailbox_and_no_drop_policy_takes_it(
    system: SystemUnderTest,
) -> None:
    spec: ChildSpec[Any] = ChildSpec("lossy", Watcher, mailbox=Mailbox(2, Overflow.DROP_OLDEST))
    watcher = await system.start_child(spec)
    ref = await mortal(system)
    watcher.tell(watching(ref))
    await system.settle()
    watcher.tell(Pause())
    await system.settle()
    await system.stop("/mortal")
    for _ in range(10):
        watcher.tell(Do(lambda actor: None))
    await trio.sleep(2)
    assert await seen(system, watcher) == [("/mortal", How.SHUTDOWN)]


async def test_an_actor_that_handles_no_terminated_cannot_watch(system: SystemUnderTest) -> None:
    refused: list[NotAccepted] = []
    other = await mortal(system, "other")

    def watch(actor: Mortal) -> None:
        with pytest.raises(NotAccepted) as error:
            actor.watch(other)
        refused.append(error.value)

    ref = await mortal(system)
    ref.tell(Do(watch))
    await system.settle()
    assert refused[0].message_type is Terminated


async def test_an_actor_that_watches_many_short_lives_does_not_remember_them(
    system: SystemUnderTest, watcher: ActorRef[Any]
) -> None:
    await system.spawn(DynamicSupervisor, path="/calls")
    for number in range(100):
        spec: ChildSpec[Any] = ChildSpec(f"c{number}", Mortal, Restart.TEMPORARY)
        ref = await system.start_child(spec, parent="/calls")
        watcher.tell(watching(ref))
        ref.tell(Do(lambda actor: actor.stop()))
    await system.settle()
    assert len(await seen(system, watcher)) == 100
    life = watcher._cell.life
    assert life is not None
    assert life.watching == {}


async def test_actors_may_watch_each_other_and_themselves_end_together(
    system: SystemUnderTest,
) -> None:
    one, other = await system.spawn(Watcher, path="/one"), await system.spawn(Watcher, path="/two")
    one.tell(watching(other, one))
    other.tell(watching(one))
    await system.settle()
    await system.stop("/one")
    assert await seen(system, other) == [("/one", How.SHUTDOWN)]
    await system.stop("/two")
    assert system.dead_letters() == ()


# -- from outside actors ------------------------------------------------------------------


async def test_a_task_waits_for_an_actor_to_be_gone(system: SystemUnderTest) -> None:
    ref = await mortal(system)
    reasons: list[ExitReason] = []

    async def wait() -> None:
        reasons.append(await ref.wait_gone())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.sleep(1)
        await system.stop("/mortal")
    assert [reason.how for reason in reasons] == [How.SHUTDOWN] * 2
    assert (await ref.wait_gone()).how is How.SHUTDOWN


async def test_a_cancelled_wait_leaves_nothing_behind(system: SystemUnderTest) -> None:
    ref = await mortal(system)
    with trio.move_on_after(1):
        await ref.wait_gone()
    assert not ref._cell.watchers
    await system.stop("/mortal")


async def test_a_callback_that_fails_keeps_its_end_from_nobody_else(
    system: SystemUnderTest, watcher: ActorRef[Any], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_reason: ExitReason) -> None:
        raise Boom

    ref = await mortal(system)
    ref.on_gone(fail)
    watcher.tell(watching(ref))
    await system.settle()
    await system.stop("/mortal")
    assert await seen(system, watcher) == [("/mortal", How.SHUTDOWN)]
    assert "callback that waited for the end of /mortal failed" in caplog.text
    assert system.ref("/").alive
