"""StartChild and its kin; and that every ask is answered, whatever its actor goes through."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import pytest

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    ChildSpec,
    Refused,
    Reply,
    Request,
    Restart,
    StartFailed,
    Strategy,
    SupervisionError,
    Supervisor,
    Terminated,
    handles,
)
from supervision.messages import How
from supervision.resilience import Backoff
from supervision.supervisor import (
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from supervision.testing import SystemUnderTest
from tests.supervision.supervisor_kit import (
    Boom,
    Child,
    Crashes,
    Diary,
    End,
    Hang,
    Life,
    Way,
    child,
    pause,
    slow_to_start,
    slow_to_stop,
    supervise,
)

# -- StartChild --------------------------------------------------------------------------


async def test_a_started_child_is_the_last_and_is_supervised(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/a", Boom)
    diary = Diary()
    supervisor, _ = await supervise(system, [child("a", diary)], Strategy.ONE_FOR_ALL)
    added = await supervisor.ask(StartChild(child("b", diary)))
    assert added.path == "/sup/b"
    assert await added.ask(Life()) == 1
    system.ref("/sup/a").tell(End(Way.HANDLER))
    await system.settle()
    assert diary.take() == ["+a", "+b", "!a", "-b", "+a", "+b"]
    assert await added.ask(Life()) == 2


@pytest.mark.parametrize("where", ["__init__", "on_start"])
@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
async def test_a_child_that_cannot_start_is_refused_and_forgotten(
    restart: Restart, where: str, system: SystemUnderTest
) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    supervisor, ends = await supervise(system, [child("a", diary)], intensity=0)
    diary.failing[f"b {where}"] = 1
    with pytest.raises(StartFailed, match="/sup/b could not be started") as refused:
        await supervisor.ask(StartChild(child("b", diary, restart)))
    assert isinstance(refused.value.__cause__, Boom)
    assert system.find("/sup/b") is None
    assert [info.id for info in await supervisor.ask(WhichChildren())] == ["a"]
    added = await supervisor.ask(StartChild(child("b", diary, restart)))
    assert await added.ask(Life()) == 2
    assert not ends


async def test_an_id_is_taken_once(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await supervise(system, [child("a", diary)])
    with pytest.raises(Refused, match="there already is a child 'a'"):
        await supervisor.ask(StartChild(child("a", diary)))
    both = [supervisor.ask(StartChild(child("b", diary))) for _ in range(2)]
    assert (await both[0]).path == "/sup/b"
    with pytest.raises(Refused, match="there already is a child 'b'"):
        await both[1]


async def test_a_told_request_is_carried_out_too(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await supervise(system, [])
    supervisor.tell(StartChild(child("a", diary)))
    supervisor.tell(StartChild(child("a", diary)))
    supervisor.tell(RestartChild("a"))
    await system.settle()
    assert diary.take() == ["+a", "-a", "+a"]
    supervisor.tell(TerminateChild("a"))
    supervisor.tell(DeleteChild("a"))
    await system.settle()
    assert await supervisor.ask(WhichChildren()) == ()


async def test_a_supervisor_whose_child_cannot_start_does_not_start_either(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup*", Boom)
    diary = Diary()
    diary.failing["c on_start"] = 1
    specs = [child(name, diary) for name in "abcd"]
    with pytest.raises(StartFailed) as refused:
        await supervise(system, specs)
    assert isinstance(refused.value.__cause__, Boom)
    assert diary.take() == ["+a", "+b", "-b", "-a"]
    assert "d" not in diary.lives
    assert [path for path in system._node.cells if path != "/"] == []


# -- terminate, restart, delete ----------------------------------------------------------


async def test_a_terminated_child_keeps_its_spec(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, ends = await supervise(system, [child("a", diary), child("b", diary)])
    ref = system.ref("/sup/b")
    await supervisor.ask(TerminateChild("b"))
    assert not ref.alive
    infos = await supervisor.ask(WhichChildren())
    assert [(info.id, info.running) for info in infos] == [("a", True), ("b", False)]
    await pause(10.0)
    assert diary.lives["b"] == 1
    await supervisor.ask(RestartChild("b"))
    assert await ref.ask(Life()) == 2  # the ref its friends had kept
    assert system.ref("/sup/b") == ref or system.ref("/sup/b").path == ref.path
    assert not ends


async def test_a_terminated_temporary_child_is_forgotten(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await supervise(system, [child("b", diary, Restart.TEMPORARY)])
    await supervisor.ask(TerminateChild("b"))
    assert await supervisor.ask(WhichChildren()) == ()
    with pytest.raises(Refused, match="there is no child 'b'; there are: none"):
        await supervisor.ask(RestartChild("b"))


@pytest.mark.parametrize("restart", Restart, ids=lambda restart: restart.value)
async def test_an_operators_restart_counts_towards_nothing(
    restart: Restart, system: SystemUnderTest
) -> None:
    diary = Diary()
    specs = [child("a", diary), child("b", diary, restart), child("c", diary)]
    supervisor, ends = await supervise(system, specs, Strategy.ONE_FOR_ALL, intensity=0)
    for _ in range(10):
        await supervisor.ask(RestartChild("b"))
    assert diary.lives == {"a": 1, "b": 11, "c": 1}
    assert not ends


async def test_an_operators_restart_that_fails_says_so_and_is_tried_again(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    supervisor, ends = await supervise(system, [child("b", diary)])
    diary.failing["b on_start"] = 1
    with pytest.raises(StartFailed):
        await supervisor.ask(RestartChild("b"))
    await system.settle()
    assert await system.ref("/sup/b").ask(Life()) == 3
    assert not ends


async def test_only_a_child_that_does_not_run_can_be_deleted(system: SystemUnderTest) -> None:
    diary = Diary()
    supervisor, _ = await supervise(system, [child("b", diary)])
    with pytest.raises(Refused, match="terminate it first"):
        await supervisor.ask(DeleteChild("b"))
    await supervisor.ask(TerminateChild("b"))
    await supervisor.ask(DeleteChild("b"))
    assert await supervisor.ask(WhichChildren()) == ()
    again = await supervisor.ask(StartChild(child("b", diary)))
    assert await again.ask(Life()) == 2


async def test_requests_wait_for_what_is_under_way(system: SystemUnderTest) -> None:
    """One thing at a time, as in OTP: a restart with a slow stop first, then the requests."""
    system.expect_crash("/sup/a", Boom)
    diary = Diary()
    slow = slow_to_stop("b", diary, 2.0)
    supervisor, _ = await supervise(system, [child("a", diary), slow], Strategy.ONE_FOR_ALL)
    system.ref("/sup/a").tell(End(Way.HANDLER))
    await system.settle()
    added, ended = (
        supervisor.ask(StartChild(child("c", diary))),
        supervisor.ask(TerminateChild("a")),
    )
    await pause(1.9)
    assert not added.done
    assert [info.id for info in await supervisor.ask(WhichChildren())] == ["a", "b"]
    assert (await added).path == "/sup/c"
    await ended
    assert diary.take() == ["+a", "+b", "!a", "-b", "+a", "+b", "+c", "-a"]


async def test_requests_of_a_supervisor_that_ends_meanwhile_are_refused(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/a", Boom)
    diary = Diary()
    slow = slow_to_stop("b", diary, 2.0)
    supervisor, ends = await supervise(
        system, [child("a", diary), slow], Strategy.ONE_FOR_ALL, intensity=0
    )
    system.ref("/sup/a").tell(End(Way.HANDLER))
    await system.settle()
    asked: list[Reply[Any]] = [
        supervisor.ask(StartChild(child("c", diary))),
        supervisor.ask(TerminateChild("a")),
        supervisor.ask(RestartChild("b")),
        supervisor.ask(DeleteChild("b")),
    ]
    await pause(2.0)
    assert ends
    for reply in asked:
        assert isinstance(reply.error, Refused | ActorStopped)


# -- watching ----------------------------------------------------------------------------


@attrs.frozen
class Seen(Request[list[tuple[str, How]]]):
    """What has the watcher seen?"""


class Watcher(Actor[Any]):
    """Writes down who is gone."""

    def __init__(self, *paths: str) -> None:
        super().__init__()
        self.paths = paths
        self.seen: list[tuple[str, How]] = []

    def on_start(self) -> None:
        for path in self.paths:
            self.watch(self.system.ref(path))

    @handles
    def on_terminated(self, message: Terminated) -> None:
        self.seen.append((message.ref.path, message.reason.how))

    @handles
    def on_seen(self, message: Seen) -> list[tuple[str, How]]:
        return list(self.seen)


async def test_a_watcher_is_told_once_and_of_no_restart(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child("a", diary), child("b", diary, Restart.TRANSIENT)]
    supervisor, _ = await supervise(system, specs, Strategy.ONE_FOR_ALL)
    watcher = await system.spawn(Watcher, "/sup/a", "/sup/b", path="/watcher")
    system.ref("/sup/a").tell(End(Way.HANDLER))
    await system.settle()
    assert await watcher.ask(Seen()) == []
    b = system.ref("/sup/b")
    b.tell(End(Way.RETURNS))
    await system.settle()
    assert await watcher.ask(Seen()) == [("/sup/b", How.NORMAL)]
    system.ref("/sup/a").tell(End(Way.HANDLER))  # which brings b back
    await system.settle()
    assert await b.ask(Life()) == 3
    await system.stop("/sup")
    assert await watcher.ask(Seen()) == [
        ("/sup/b", How.NORMAL),
        ("/sup/a", How.SHUTDOWN),
    ]
    assert not supervisor.alive


async def test_watching_what_is_gone_tells_at_once(system: SystemUnderTest) -> None:
    diary = Diary()
    await supervise(system, [child("b", diary, Restart.TEMPORARY)])
    b = system.ref("/sup/b")
    b.tell(End(Way.RETURNS))
    await system.settle()
    assert (await b.wait_gone()).how is How.NORMAL


# -- asks at every moment ----------------------------------------------------------------


@attrs.frozen
class Later(Request[None]):
    """Deferred, and never answered."""


@attrs.frozen
class Aside(Request[None]):
    """Stashed, and never taken up again by this life."""


class Keeper(Child):
    """Has asks of all kinds open."""

    @handles
    def on_later(self, message: Later) -> None:
        self.defer()

    @handles
    def on_aside(self, message: Aside) -> None:
        if self.life == 1:
            self.stash()


def keeper(diary: Diary, restart: Restart = Restart.PERMANENT, **more: Any) -> ChildSpec[Any]:
    return ChildSpec("b", partial(Keeper, "b", diary), restart, **more)


class Asked:
    """One ask of each kind, of an actor that a hanging handler keeps busy, or not."""

    def __init__(self, ref: ActorRef[Any], *, hang: bool) -> None:
        self.before = ref.ask(Life(), timeout=1e6)
        self.later = ref.ask(Later(), timeout=1e6)
        self.aside = ref.ask(Aside(), timeout=1e6)
        self.in_hand = ref.ask(Hang(), timeout=1e6) if hang else ref.ask(Crashes(), timeout=1e6)
        self.behind = ref.ask(Life(), timeout=1e6)
        self.impatient = ref.ask(Life(), timeout=0.0)

    async def outcomes(self) -> list[Any]:
        """In this order: answers, or the types of what the asks ended in."""
        replies: list[Reply[Any]] = [self.before, self.later, self.aside, self.in_hand, self.behind]
        return [await outcome(reply) for reply in replies]


async def outcome(reply: Reply[Any]) -> Any:
    try:
        return await reply
    except SupervisionError as error:
        return type(error)


async def test_a_crash_fails_what_the_actor_had_taken_on_and_spares_the_rest(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/b", Boom)
    await supervise(system, [keeper(Diary())])
    asked = Asked(system.ref("/sup/b"), hang=False)
    await system.settle()
    assert await asked.outcomes() == [1, ActorCrashed, None, ActorCrashed, 2]
    assert await outcome(asked.impatient) in (2, AskTimeout)


async def test_the_error_names_the_fault_and_its_report(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/b", Boom)
    await supervise(system, [keeper(Diary())])
    with pytest.raises(ActorCrashed) as crashed:
        await system.ref("/sup/b").ask(Crashes())
    assert isinstance(crashed.value.__cause__, Boom)
    assert crashed.value.report == system.crashes()[-1].id


async def test_a_crash_for_good_fails_all_that_waits(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/b", Boom)
    await supervise(system, [keeper(Diary(), Restart.TEMPORARY)])
    asked = Asked(system.ref("/sup/b"), hang=False)
    await system.settle()
    stopped = ActorStopped
    assert await asked.outcomes() == [1, ActorCrashed, stopped, ActorCrashed, stopped]


@pytest.mark.parametrize("shutdown", [1.0, "brutal"])
async def test_stopping_fails_all_that_waits(shutdown: Any, system: SystemUnderTest) -> None:
    await supervise(system, [keeper(Diary(), shutdown=shutdown)])
    asked = Asked(system.ref("/sup/b"), hang=True)
    await system.settle()
    await system.stop("/sup")
    assert await asked.outcomes() == [1, *[ActorStopped] * 4]


async def test_a_restart_by_hand_fails_what_was_taken_on_and_spares_the_rest(
    system: SystemUnderTest,
) -> None:
    await supervise(system, [keeper(Diary(), shutdown=1.0)])
    asked = Asked(system.ref("/sup/b"), hang=True)
    await system.settle()
    await system.restart("/sup/b")
    assert await asked.outcomes() == [1, ActorStopped, None, ActorStopped, 2]


async def test_a_supervisor_that_gives_up_fails_what_waits_for_its_children(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child("a", diary), keeper(diary, shutdown=1.0)]
    _, ends = await supervise(system, specs, intensity=0)
    asked = Asked(system.ref("/sup/b"), hang=True)
    await system.settle()
    system.ref("/sup/a").tell(End(Way.HANDLER))
    assert await asked.outcomes() == [1, *[ActorStopped] * 4]
    assert ends


async def test_a_supervisor_that_is_restarted_spares_what_waits_for_its_children(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/*", Boom)
    diary = Diary()
    specs = [child("a", diary), keeper(diary, shutdown=1.0)]
    inner = ChildSpec("inner", partial(Supervisor, specs, intensity=0))
    await supervise(system, [inner])
    asked = Asked(system.ref("/sup/inner/b"), hang=True)
    await system.settle()
    system.ref("/sup/inner/a").tell(End(Way.HANDLER))
    assert await asked.outcomes() == [1, ActorStopped, None, ActorStopped, 2]


async def test_a_restart_that_fails_for_good_fails_what_waits(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    _, ends = await supervise(system, [keeper(diary)])
    diary.failing["b on_start"] = 100
    asked = Asked(system.ref("/sup/b"), hang=False)
    stopped = ActorStopped
    assert await asked.outcomes() == [1, ActorCrashed, stopped, ActorCrashed, stopped]
    assert ends


async def test_an_ask_of_an_actor_that_waits_for_its_restart_is_failed_by_its_end(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/b", Boom)
    backoff = Backoff(base=1e5, maximum=1e6)
    await supervise(system, [keeper(Diary(), backoff=backoff)])
    b = system.ref("/sup/b")
    b.tell(End(Way.HANDLER))
    await system.settle()
    waiting = b.ask(Life(), timeout=1e6)
    await system.stop("/sup")
    assert await outcome(waiting) is ActorStopped
    assert await outcome(b.ask(Life())) is ActorStopped


async def test_an_ask_made_while_an_actor_starts_is_answered_once_it_has(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    await supervise(system, [slow_to_start("b", diary, 1.0)])
    b = system.ref("/sup/b")
    b.tell(End(Way.HANDLER))
    await pause(0.5)
    asked = b.ask(Life())
    assert not asked.done
    assert await asked == 2


async def test_a_told_message_is_never_lost_by_a_restart(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/b", Boom)
    diary = Diary()
    await supervise(system, [child("b", diary)], intensity=10)
    b = system.ref("/sup/b")
    answers = []
    for _ in range(4):
        answers += [b.ask(Life()), b.ask(Life())]
        b.tell(End(Way.HANDLER))
    assert [await answer for answer in answers] == [1, 1, 2, 2, 3, 3, 4, 4]
