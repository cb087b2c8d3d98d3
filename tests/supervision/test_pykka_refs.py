"""`ref.pykka`: our actors, spoken to by pykka actors and by threads as pykka's own are."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import Any

import attrs
import pykka
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    BlockingActor,
    BlockingOnLoop,
    Mailbox,
    MailboxFull,
    NotAccepted,
    Refuse,
    Refused,
    Request,
    Restart,
    handles,
    open_system,
)
from supervision.pykka_view import BadArguments, NoAttribute

on_thread = trio.to_thread.run_sync


@attrs.frozen
class Add:
    n: int


@attrs.frozen
class Total(Request[int]):
    pass


@attrs.frozen
class Slow(Request[int]):
    """Answered after a wait, by an async handler."""


@attrs.frozen
class Boom(Request[None]):
    pass


@attrs.frozen
class Deny(Request[None]):
    pass


class Counter(Actor[Add | Total | Slow | Boom | Deny]):
    unit = "apples"

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.n = start
        self.history = pykka.traversable(History())

    @property
    def doubled(self) -> int:
        return self.n * 2

    @handles
    def add(self, message: Add) -> None:
        self.n += message.n

    @handles
    def total(self, _message: Total) -> int:
        return self.n

    @handles
    async def slow(self, _message: Slow) -> int:
        await trio.sleep(0.01)
        return self.n

    @handles
    def boom(self, _message: Boom) -> None:
        raise ValueError("boom")

    @handles
    def deny(self, _message: Deny) -> None:
        raise Refuse("not today")

    def plus(self, n: int) -> int:
        self.n += n
        return self.n

    async def plus_slowly(self, n: int) -> int:
        await trio.sleep(0.01)
        return self.plus(n)

    def stumble(self) -> None:
        raise KeyError("nothing here")

    def err_on_types(self) -> None:
        len(5)  # type: ignore[arg-type]


class History:
    def __init__(self) -> None:
        self.first = "created"

    def last(self) -> str:
        return "used"


class Greeter(pykka.ThreadingActor):
    """A user's own pykka actor, which knows nothing of us."""

    use_daemon_thread = True

    def __init__(self, counter: pykka.ActorRef[Any]) -> None:
        super().__init__()
        self.counter = counter

    def on_receive(self, message: Any) -> Any:
        self.counter.tell(Add(message))
        return self.counter.ask(Total())


# -- tell and ask -------------------------------------------------------------------------


async def test_a_pykka_actor_tells_and_asks_ours_through_the_view() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3)
        greeter = Greeter.start(counter.pykka)
        assert await on_thread(greeter.ask, 4) == 7
        assert await on_thread(greeter.ask, 1) == 8
        await on_thread(greeter.stop)


async def test_a_pykka_actor_finds_ours_in_the_registry() -> None:
    async with open_system() as system:
        await system.spawn(Counter, start=3, path="/counter")
        (found,) = pykka.ActorRegistry.get_by_class(Counter)  # type: ignore[type-var]
        greeter = Greeter.start(found)
        assert await on_thread(greeter.ask, 4) == 7
        await on_thread(greeter.stop)


async def test_an_async_handler_answers_a_thread_too() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3)
        assert await on_thread(counter.pykka.ask, Slow()) == 3


async def test_an_ask_that_does_not_block_gives_a_future_for_threads_and_for_trio() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3)
        reply: Any = counter.pykka.ask(Total(), block=False)
        assert isinstance(reply, pykka.Future)
        assert await reply == 3
        assert await on_thread(lambda: reply.get(timeout=1)) == 3


async def test_a_thread_that_asks_gives_up_after_its_timeout() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        with pytest.raises(pykka.Timeout):
            await on_thread(lambda: counter.pykka.ask(Slow(), timeout=0))


async def test_an_ask_by_a_thread_has_no_timeout_unless_it_names_one() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        reply: Any = counter.pykka.ask(Slow(), block=False)
        assert reply.deadline == float("inf")
        await reply


async def test_a_refusal_and_a_crash_reach_the_thread_that_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3, path="/counter")
        with pytest.raises(Refused, match="not today"):
            await on_thread(counter.pykka.ask, Deny())
        with pytest.raises(ActorCrashed) as crash:
            await on_thread(counter.pykka.ask, Boom())
        assert isinstance(crash.value.__cause__, ValueError)
        assert [report.id for report in system.crashes()] == [crash.value.report]
        assert await on_thread(counter.pykka.ask, Total()) == 3  # restarted; the ref lives on
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert record.exc_info is not None
        assert record.exc_info[0] is ValueError


async def test_what_it_does_not_accept_is_refused_to_the_sender() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        with pytest.raises(NotAccepted):
            await on_thread(counter.pykka.tell, {"command": "add"})
        with pytest.raises(NotAccepted):
            await on_thread(counter.pykka.ask, {"command": "add"})


async def test_a_full_mailbox_is_told_to_the_sender_but_does_not_keep_a_stop_out() -> None:
    class Small(Counter):
        mailbox = Mailbox(2)

    async with open_system() as system:
        small = await system.spawn(Small, restart=Restart.TEMPORARY, path="/small")
        system.suspend("/small")
        small.tell(Add(1))
        small.tell(Add(2))
        with pytest.raises(MailboxFull):
            await on_thread(small.pykka.tell, Add(3))
        stopped: Any = small.pykka.stop(block=False)
        system.resume("/small")
        assert await stopped is True
        assert not small.alive


async def test_an_envelope_put_into_the_inbox_is_handled_and_answered() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3)
        inbox: Any = counter.pykka.actor_inbox
        future = pykka.ThreadingFuture[int]()
        inbox.put(Envelope(Add(1)))
        inbox.put(Envelope(Total(), future))
        assert await on_thread(lambda: future.get(timeout=5)) == 4
        crash = pykka.ThreadingFuture[None]()
        inbox.put(Envelope(Boom(), crash))
        with pytest.raises(ActorCrashed):
            await on_thread(lambda: crash.get(timeout=5))
        assert inbox.empty()


async def test_a_future_that_is_answered_already_does_not_disturb_the_actor() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3)
        future = pykka.ThreadingFuture[int]()
        future.set(99)
        inbox: Any = counter.pykka.actor_inbox
        inbox.put(Envelope(Total(), future))
        assert await counter.ask(Total()) == 3
        assert system.crashes() == ()


class Envelope:
    """As pykka's, which is private to it."""

    def __init__(self, message: Any, reply_to: Any = None) -> None:
        self.message = message
        self.reply_to = reply_to


# -- on the loop's own thread -------------------------------------------------------------


async def test_blocking_on_the_loop_is_an_error_before_anything_is_sent() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3)
        view = counter.pykka
        with pytest.raises(BlockingOnLoop):
            view.ask(Total())
        with pytest.raises(BlockingOnLoop):
            view.stop()
        with pytest.raises(BlockingOnLoop):
            view.proxy().n = 5
        with pytest.raises(BlockingOnLoop):
            view.proxy().n.get()
        assert await counter.ask(Total()) == 3


async def test_after_its_node_is_closed_nothing_blocks_and_everything_is_answered() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
    with pytest.raises(ActorStopped):
        counter.pykka.ask(Total())
    with pytest.raises(pykka.ActorDeadError):
        counter.pykka.tell(Add(1))
    assert counter.pykka.stop() is False
    assert counter.pykka.actor_stopped.is_set()


# -- life ---------------------------------------------------------------------------------


async def test_stop_handles_what_came_before_it_and_answers_true_once() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, restart=Restart.TEMPORARY)
        view = counter.pykka
        counter.tell(Add(1))
        before: Any = counter.ask(Total())
        assert view.is_alive()
        assert await on_thread(view.stop) is True
        assert await before == 1
        assert not view.is_alive()
        assert view.actor_stopped.is_set()
        assert await on_thread(view.stop) is False
        again: Any = view.stop(block=False)
        assert await again is False


async def test_two_stops_at_once_are_both_answered() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, restart=Restart.TEMPORARY)
        one: Any = counter.pykka.stop(block=False)
        two: Any = counter.pykka.stop(block=False)
        assert (await one, await two) == (True, True)


async def test_what_comes_after_the_stop_is_answered_that_it_stopped() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, restart=Restart.TEMPORARY)
        stopped: Any = counter.pykka.stop(block=False)
        late: Any = counter.pykka.ask(Total(), block=False)
        with pytest.raises(pykka.ActorDeadError):
            await late
        await stopped


async def test_the_dead_say_so_by_name() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, restart=Restart.TEMPORARY)
        view = counter.pykka
        await view.stop(block=False)
        with pytest.raises(pykka.ActorDeadError) as told:
            view.tell(Add(1))
        assert str(told.value) == f"{view} not found"
        with pytest.raises(pykka.ActorDeadError) as asked:
            await on_thread(view.ask, Total())
        assert str(asked.value) == f"{view} not found"
        with pytest.raises(pykka.ActorDeadError):
            view.proxy()


async def test_an_actor_that_is_restarted_was_never_dead() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, start=3, path="/counter")
        view = counter.pykka
        urn = view.actor_urn
        assert await on_thread(view.stop) is True  # and its supervisor starts it again
        assert view.is_alive()
        assert not view.actor_stopped.is_set()
        assert counter.pykka is view
        assert view.actor_urn == urn
        assert await on_thread(view.ask, Total()) == 3


async def test_a_temporary_actor_is_not_alive_any_more_when_its_last_hook_runs() -> None:
    seen: list[bool] = []

    class Mortal(Counter):
        def on_stop(self) -> None:
            seen.append(self.actor_ref.is_alive())

        def on_failure(self, *_error: Any) -> None:
            seen.append(self.actor_ref.is_alive())

    async with open_system() as system:
        for message in (None, Boom()):
            mortal = await system.spawn(Mortal, path="/mortal", restart=Restart.TEMPORARY)
            if message is None:
                await mortal.pykka.stop(block=False)
            else:
                mortal.tell(message)
                await mortal.wait_gone()
    assert seen == [False, False]


async def test_an_actor_that_was_started_again_by_hand_is_alive_again() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, path="/counter", restart=Restart.TEMPORARY)
        view = counter.pykka
        await system.restart("/counter")
        assert view.is_alive()
        assert pykka.ActorRegistry.get_by_urn(view.actor_urn) is view
        assert await on_thread(view.ask, Total()) == 0


async def test_all_threads_get_the_same_view() -> None:
    async with open_system() as system:
        for _ in range(20):
            counter = await system.spawn(Counter)
            views: list[object] = []
            start = threading.Barrier(4)

            def look(ref: ActorRef[Any], start: threading.Barrier, views: list[object]) -> None:
                start.wait()
                views.append(ref.pykka)

            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(on_thread, look, counter, start, views)
            assert len(set(map(id, views))) == 1


async def test_what_a_ref_tells_about_its_actor() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        view = counter.pykka
        assert isinstance(view, pykka.ActorRef)
        assert uuid.UUID(view.actor_urn).version == 4
        assert view.actor_class is Counter
        assert str(view) == f"Counter ({view.actor_urn})"
        assert repr(view) == f"<ActorRef for Counter ({view.actor_urn})>"
    assert view.actor_class is Counter


async def test_what_an_actor_tells_about_itself() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        proxy: Any = counter.pykka.proxy()
        assert await proxy.actor_urn == counter.pykka.actor_urn
        assert await proxy.actor_stopped is counter.pykka.actor_stopped
    unstarted = Counter()
    assert unstarted.actor_urn in str(unstarted)
    assert unstarted.actor_urn == unstarted.actor_urn
    with pytest.raises(RuntimeError, match="not running in a system"):
        _ = unstarted.actor_ref
    with pytest.raises(RuntimeError, match=r"system\.spawn"):
        Counter.start()


async def test_an_actor_may_speak_to_itself_from_its_constructor_on() -> None:
    class Eager(Counter):
        def __init__(self) -> None:
            super().__init__()
            self._me = self.actor_ref.proxy()
            self.ref.tell(Add(1))
            self.actor_ref.tell(Add(2))

        def on_start(self) -> None:
            self._me.plus.defer(4)

    async with open_system() as system:
        eager = await system.spawn(Eager)
        assert await eager.ask(Total()) == 7


# -- proxies ------------------------------------------------------------------------------


async def test_a_proxy_calls_reads_and_sets_from_a_thread() -> None:
    def use(view: pykka.ActorRef[Any]) -> list[object]:
        proxy: Any = view.proxy()
        proxy.plus.defer(1)
        results = [proxy.plus(2).get(), proxy.n.get(), proxy.unit.get(), proxy.doubled.get()]
        proxy.unit = "pears"
        return [*results, proxy.unit.get(), proxy.history.first.get(), proxy.history.last().get()]

    async with open_system() as system:
        counter = await system.spawn(Counter)
        expected = [3, 3, "apples", 6, "pears", "created", "used"]
        assert await on_thread(use, counter.pykka) == expected


async def test_a_proxy_is_awaited_on_the_loop() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        proxy: Any = counter.pykka.proxy()
        assert await proxy.plus(2) == 2
        assert await proxy.plus_slowly(3) == 5
        assert await proxy.n == 5


async def test_a_method_that_raises_crashes_the_actor_though_it_was_asked_by_proxy() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        proxy: Any = counter.pykka.proxy()
        for method, error in ((proxy.stumble, KeyError), (proxy.err_on_types, TypeError)):
            with pytest.raises(ActorCrashed) as crash:
                await method()
            assert isinstance(crash.value.__cause__, error)
        assert len(system.crashes()) == 2
        assert await proxy.plus(1) == 1  # a proxy outlives a restart as the ref does


async def test_an_attribute_that_is_not_there_is_the_problem_of_the_asker() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        view = counter.pykka
        proxy: Any = view.proxy()
        with pytest.raises(AttributeError, match="has no attribute 'missing'"):
            proxy.missing()
        with pytest.raises(AttributeError, match="has no attribute '_cell'"):
            _ = proxy._cell
        with pytest.raises(NoAttribute, match="missing") as asked:
            await view.ask(pykka.messages.ProxyGetAttr(attr_path=("missing",)), block=False)
        assert isinstance(asked.value, AttributeError)
        with pytest.raises(AttributeError):
            await on_thread(setattr, proxy, "doubled", 4)
        assert system.crashes() == ()


async def test_arguments_that_a_method_does_not_take_are_the_problem_of_the_asker() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        proxy: Any = counter.pykka.proxy()
        with pytest.raises(TypeError, match="plus") as asked:
            await proxy.plus(1, 2, 3)
        assert isinstance(asked.value, BadArguments)
        assert system.crashes() == ()


async def test_a_proxy_stops_the_actor() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, restart=Restart.TEMPORARY)
        proxy: Any = counter.pykka.proxy()
        assert await proxy.stop() is None
        await counter.wait_gone()
        with pytest.raises(pykka.ActorDeadError):
            await proxy.plus(1)


async def test_while_an_actor_has_no_instance_a_new_proxy_says_so() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter)
        view: Any = counter.pykka
        actor, counter._cell.actor = counter._cell.actor, None  # as between two lives
        with pytest.raises(pykka.ActorDeadError, match="being restarted"):
            view.proxy()
        counter._cell.actor = actor


async def test_a_blocking_actor_has_proxies_and_a_view_too() -> None:
    class Store(BlockingActor[Total]):
        def __init__(self) -> None:
            super().__init__()
            self.rows = 0

        def on_receive(self, message: Total) -> int:
            return self.rows

        def insert(self) -> int:
            self.rows += 1
            return self.rows

    def use(view: pykka.ActorRef[Any]) -> list[object]:
        proxy: Any = view.proxy()
        return [proxy.insert().get(), view.ask(Total()), proxy.rows.get(), view.stop()]

    async with open_system() as system:
        store = await system.spawn(Store, restart=Restart.TEMPORARY)
        with pytest.raises(NoAttribute):
            await store.pykka.ask(pykka.messages.ProxyGetAttr(attr_path=("missing",)), block=False)
        assert await on_thread(use, store.pykka) == [1, 1, 1, True]
        assert not store.pykka.is_alive()
