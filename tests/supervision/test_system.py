"""`open_system`: what is in the block, what comes out of it, and that nothing stays behind."""

from __future__ import annotations

import math
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from supervision import (
    Actor,
    ActorRef,
    ActorStopped,
    ChildSpec,
    DynamicSupervisor,
    Escalate,
    NodeFailed,
    NoSuchActor,
    Refused,
    Reply,
    Request,
    Restart,
    StuckTask,
    SupervisionConfig,
    Supervisor,
    System,
    handles,
    open_system,
)
from supervision.testing import SystemUnderTest


class Boom(Exception):
    """The fault that tests plan."""


@attrs.frozen
class Do(Request[Any]):
    step: Callable[[Any], Any]


class Value(Request[int]):
    pass


class Never(Request[int]):
    pass


class Server(Actor[Any]):
    def __init__(self, diary: list[str] | None = None) -> None:
        super().__init__()
        self.diary = [] if diary is None else diary

    @handles
    def do(self, message: Do) -> Any:
        return message.step(self)

    @handles
    def value(self, _message: Value) -> int:
        return 7

    @handles
    def never(self, _message: Never) -> int:
        self.defer()
        return 0

    def on_stop(self) -> None:
        self.diary.append(self.path)


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """On virtual time."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


# -- what comes out of the block -----------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [Boom("a"), KeyboardInterrupt("a"), SystemExit(3), Boom("a", "b")]
)
def test_an_error_of_the_block_comes_out_as_it_is(error: BaseException) -> None:
    diary: list[str] = []

    async def main() -> None:
        async with open_system() as system:
            await system.spawn(Server, diary, path="/server")
            raise error

    with pytest.raises(type(error)) as raised:
        run(main)
    assert raised.value is error
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert diary == ["/server"]  # stopped in order all the same


def test_a_group_of_errors_comes_out_without_another_around_it() -> None:
    async def main() -> None:
        async with open_system():
            raise ExceptionGroup("mine", [Boom("a"), ValueError("b")])

    with pytest.raises(ExceptionGroup, match="mine") as raised:
        run(main)
    assert [type(error) for error in raised.value.exceptions] == [Boom, ValueError]


def test_a_return_or_break_out_of_the_block_stops_it() -> None:
    diary: list[str] = []

    async def main() -> str:
        for _ in range(3):
            async with open_system() as system:
                await system.spawn(Server, diary, path="/server")
                break
        async with open_system() as system:
            await system.spawn(Server, diary, path="/another")
            return "returned"

    assert run(main) == "returned"
    assert diary == ["/server", "/another"]


def test_a_cancellation_from_outside_stops_it_in_order_and_goes_on() -> None:
    diary: list[str] = []

    class Slow(Server):
        async def on_stop(self) -> None:  # type: ignore[override]
            await trio.sleep(2)
            self.diary.append(self.path)

    async def main() -> float:
        with trio.move_on_after(1) as scope:
            async with open_system() as system:
                await system.spawn(Slow, diary, path="/slow")
                await trio.sleep(math.inf)
            diary.append("not reached")
        assert scope.cancelled_caught
        return trio.current_time()

    assert run(main) == 3.0
    assert diary == ["/slow"]


def test_a_cancellation_while_it_is_being_left_changes_nothing() -> None:
    diary: list[str] = []

    class Slow(Server):
        async def on_stop(self) -> None:  # type: ignore[override]
            await trio.sleep(2)
            self.diary.append(self.path)

    async def main() -> None:
        with trio.move_on_after(1) as scope:
            async with open_system() as system:
                await system.spawn(Slow, diary, path="/slow")
        assert trio.current_time() == 2.0
        assert not scope.cancelled_caught  # the block was done before

    run(main)
    assert diary == ["/slow"]


def test_a_cancellation_while_it_is_being_opened_leaves_nothing() -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            async with open_system() as system:
                await system.spawn(Server)
        assert scope.cancelled_caught

    threads = threading.active_count()
    run(main)
    assert threading.active_count() == threads


def test_cancelling_inside_the_block_is_the_blocks_own_business() -> None:
    async def main() -> int:
        async with open_system() as system:
            server = await system.spawn(Server)
            with trio.move_on_after(1):
                await server.ask(Never(), timeout=math.inf)
            return await server.ask(Value())

    assert run(main) == 7


def test_a_block_with_a_nursery_of_its_own_has_that_nurserys_errors() -> None:
    async def main() -> None:
        async with open_system(), trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise Boom

    with pytest.raises(ExceptionGroup) as raised:
        run(main)
    assert [type(error) for error in raised.value.exceptions] == [Boom]


def test_a_system_inside_a_nursery_may_be_cancelled_by_it() -> None:
    diary: list[str] = []

    async def serve() -> None:
        async with open_system() as system:
            await system.spawn(Server, diary, path="/server")
            await trio.sleep_forever()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

    run(main)
    assert diary == ["/server"]


# -- when the tree fails ------------------------------------------------------------------------


def test_a_root_that_gives_up_cancels_the_block_and_says_why() -> None:
    diary: list[str] = []

    def escalate(_actor: Server) -> None:
        raise Escalate("the disk is gone")

    async def main() -> None:
        async with open_system() as system:
            server = await system.spawn(Server, path="/server")
            await system.spawn(Server, diary, path="/other")
            server.tell(Do(escalate))
            await trio.sleep_forever()

    with pytest.raises(NodeFailed) as failed:
        run(main)
    assert isinstance(failed.value.__cause__, Escalate)
    assert "the node failed: the root supervisor gave up (crashed: Escalate)" in str(failed.value)
    assert diary == ["/other"]


def test_a_root_that_gives_up_while_the_block_is_failing_tells_both() -> None:
    def escalate(_actor: Server) -> None:
        raise Escalate("the disk is gone")

    async def main() -> None:
        async with open_system() as system:
            server = await system.spawn(Server, path="/server")
            server.tell(Do(escalate))
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                raise Boom from None

    with pytest.raises(NodeFailed) as failed:
        run(main)
    assert isinstance(failed.value.__cause__, Boom)


# -- leaving ------------------------------------------------------------------------------------


def test_leaving_answers_all_that_is_still_asked() -> None:
    replies: list[Reply[int]] = []
    ends: list[str] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:

            async def ask(server: ActorRef[Any]) -> None:
                with pytest.raises(ActorStopped):
                    await server.ask(Never(), timeout=math.inf)
                ends.append("told")

            async with open_system() as system:
                server = await system.spawn(Server, path="/server")
                for _ in range(3):
                    nursery.start_soon(ask, server)
                await trio.sleep(1)
                system.suspend("/server")
                replies.extend(server.ask(Value()) for _ in range(3))

    run(main)
    assert ends == ["told"] * 3
    assert [type(reply.error) for reply in replies] == [ActorStopped] * 3


def test_the_tree_is_stopped_last_started_first() -> None:
    diary: list[str] = []

    async def main() -> None:
        async with open_system() as system:
            children: list[ChildSpec[Any]] = [
                ChildSpec(name, partial(Server, diary)) for name in "abc"
            ]
            await system.spawn(Supervisor, children, path="/top")

    run(main)
    assert diary == ["/top/c", "/top/b", "/top/a"]


def test_what_will_not_end_is_left_behind_and_named() -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    async def main() -> None:
        async with open_system(SupervisionConfig(shutdown=3.0, kill_grace=1.0)) as system:
            server = await system.spawn(Server, path="/server")
            server.tell(Do(lambda actor: actor.start_task(stubborn, name="stubborn") and None))
            await trio.sleep(1)

    with pytest.raises(StuckTask) as stuck:
        run(main)
    assert list(stuck.value.stuck) == ["/server task 'stubborn'"]
    assert str(stuck.value).startswith("1 would not end within the shutdown time: /server task")


def test_an_error_of_the_block_goes_before_what_would_not_end() -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    async def main() -> None:
        async with open_system(SupervisionConfig(shutdown=3.0)) as system:
            server = await system.spawn(Server)
            await server.ask(Do(lambda actor: actor.start_task(stubborn) and None))
            raise Boom

    with pytest.raises(Boom):
        run(main)


def test_a_stop_takes_no_longer_than_the_shutdown_time() -> None:
    class Slow(Server):
        async def on_stop(self) -> None:  # type: ignore[override]
            await trio.sleep_forever()

    async def main() -> float:
        async with open_system(SupervisionConfig(shutdown=3.0)) as system:
            for name in "abc":
                spec: ChildSpec[Any] = ChildSpec(name, Slow, shutdown="infinity")
                await system.start_child(spec)
        return trio.current_time()

    assert run(main) == 3.0


def test_no_shutdown_time_at_all_cuts_off_at_once() -> None:
    class Slow(Server):
        async def on_stop(self) -> None:  # type: ignore[override]
            await trio.sleep_forever()

    async def main() -> float:
        async with open_system(SupervisionConfig(shutdown=0.0)) as system:
            await system.spawn(Slow)
        return trio.current_time()

    assert run(main) == 0.0


# -- more than one ------------------------------------------------------------------------------


def test_systems_may_be_nested() -> None:
    diary: list[str] = []

    async def main() -> None:
        async with open_system(name="outer") as outer:
            await outer.spawn(Server, diary, path="/outer")
            async with open_system(name="inner") as inner:
                server = await inner.spawn(Server, diary, path="/inner")
                assert await server.ask(Value()) == 7
                assert outer.find("/inner") is None
            with pytest.raises(ActorStopped):
                await server.ask(Value())
            assert await outer.ref("/outer").ask(Value()) == 7

    run(main)
    assert diary == ["/inner", "/outer"]


def test_a_system_may_be_opened_by_an_actor_of_another() -> None:
    class Host(Actor[Any]):
        @handles
        async def value(self, _message: Value) -> int:
            async with open_system(name="inner") as inner:
                server = await inner.spawn(Server)
                return await server.ask(Value())

    async def main() -> int:
        async with open_system(name="outer") as outer:
            host = await outer.spawn(Host)
            return await host.ask(Value())

    assert run(main) == 7


def test_the_failure_of_an_inner_system_is_an_error_of_the_outer_block() -> None:
    diary: list[str] = []

    def escalate(_actor: Server) -> None:
        raise Escalate("inner")

    async def main() -> None:
        async with open_system() as outer:
            await outer.spawn(Server, diary, path="/outer")
            async with open_system() as inner:
                (await inner.spawn(Server)).tell(Do(escalate))
                await trio.sleep_forever()

    with pytest.raises(NodeFailed) as failed:
        run(main)
    assert isinstance(failed.value.__cause__, Escalate)
    assert diary == ["/outer"]


def test_systems_may_run_on_several_threads() -> None:
    answers: list[int] = []

    async def main() -> None:
        async with open_system() as system:
            server = await system.spawn(Server)
            answers.extend([await server.ask(Value()) for _ in range(200)])

    threads = [threading.Thread(target=trio.run, args=(main,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [7] * 800


def test_systems_may_follow_each_other_in_one_loop_and_leave_nothing() -> None:
    async def main() -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(20):
            async with open_system() as system:
                server = await system.spawn(Server)
                assert await server.ask(Value()) == 7
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks

    threads = threading.active_count()
    run(main)
    assert threading.active_count() == threads


# -- paths --------------------------------------------------------------------------------------


async def test_an_actor_is_found_by_its_path(system: SystemUnderTest) -> None:
    ref = await system.spawn(Server, path="/server")
    assert system.ref("/server") == ref
    assert system.find("/server") == ref
    assert system.find("/nobody") is None


async def test_a_path_that_is_nearly_right_is_suggested(system: SystemUnderTest) -> None:
    await system.spawn(Server, path="/reception")
    with pytest.raises(NoSuchActor) as missing:
        system.ref("/recepton")
    assert missing.value.nearest == ("/reception",)
    assert "Did you mean /reception?" in str(missing.value)


async def test_actors_without_a_path_are_named_after_their_class(system: SystemUnderTest) -> None:
    refs = [await system.spawn(Server) for _ in range(2)]
    refs.append(await system.spawn(partial(Server, [])))
    kinds = [ref.path.rpartition("-")[0] for ref in refs]
    assert kinds == ["/server"] * 3
    assert len({ref.path for ref in refs}) == 3


async def test_an_actor_is_spawned_under_the_supervisor_at_its_path(
    system: SystemUnderTest,
) -> None:
    await system.spawn(DynamicSupervisor, path="/calls")
    ref = await system.spawn(Server, path="/calls/c-7")
    assert ref.path == "/calls/c-7"
    await system.stop("/calls")
    assert not ref.alive
    with pytest.raises(NoSuchActor):
        await system.spawn(Server, path="/calls/c-8")


@pytest.mark.parametrize("path", ["server", "/server/", "/", ""])
async def test_a_path_must_look_like_one(system: SystemUnderTest, path: str) -> None:
    with pytest.raises(ValueError, match="a path starts with '/' and ends with a name"):
        await system.spawn(Server, path=path)


@pytest.mark.parametrize("name", [" a", "a ", ""])
async def test_a_name_must_be_one(system: SystemUnderTest, name: str) -> None:
    with pytest.raises(ValueError, match=r"one path segment|ends with a name"):
        await system.spawn(Server, path=f"/{name}")


async def test_only_supervisors_have_children(system: SystemUnderTest) -> None:
    await system.spawn(Server, path="/server")
    with pytest.raises(Refused):
        await system.spawn(Server, path="/server/child")


async def test_the_root_is_left_not_stopped(system: SystemUnderTest) -> None:
    for steer in (system.stop, system.restart):
        with pytest.raises(ValueError, match="leave the `open_system` block"):
            await steer("/")


async def test_steering_one_that_is_not_there_says_so(system: SystemUnderTest) -> None:
    for steer in (system.stop, system.restart):
        with pytest.raises(NoSuchActor):
            await steer("/nobody")
    for switch in (system.suspend, system.resume):
        with pytest.raises(NoSuchActor):
            switch("/nobody")


async def test_a_system_says_what_it_is(system: SystemUnderTest) -> None:
    await system.spawn(Server)
    assert repr(system) == "<System node: 2 actors>"
    assert system.name == "node"
    assert isinstance(system, System)


async def test_many_actors_are_spawned_and_stopped_in_linear_time(system: SystemUnderTest) -> None:
    await system.spawn(DynamicSupervisor, path="/many")
    for number in range(2000):
        spec: ChildSpec[Any] = ChildSpec(f"n{number}", Server, Restart.TEMPORARY)
        await system.start_child(spec, parent="/many")
    assert len(system._node.cells) == 2002
    await system.stop("/many")
    assert len(system._node.cells) == 1
