"""Cancellation and Ctrl-C: they stop the tree in order, and tear nothing.

Handlers and the runtime's entry points are out of Ctrl-C's reach; trio hands it to the main task.
So a `KeyboardInterrupt` may only ever be seen by the code that opened the system.
"""

from __future__ import annotations

import dis
import functools
import itertools
import random
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import CodeType, FrameType
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    Request,
    SupervisionConfig,
    Supervisor,
    System,
    handles,
    open_system,
)
from supervision.cell import Cell, Phase

HOME = supervision.__path__[0]


@attrs.frozen
class Add:
    number: int = 1


class Total(Request[int]):
    pass


class Stopping(Actor[Add]):
    """Takes a while to stop; `log` says when it began and when it was done, or cut off."""

    def __init__(self, name: str, seconds: float, log: list[tuple[str, float]]) -> None:
        super().__init__()
        self.name = name
        self.seconds = seconds
        self.log = log

    def on_receive(self, message: Add) -> None:
        pass

    async def on_stop(self) -> None:
        self.log.append((f"{self.name} begins", self.now))
        try:
            await trio.sleep(self.seconds)
        except trio.Cancelled:
            self.log.append((f"{self.name} is cut off", self.now))
            raise
        self.log.append((f"{self.name} is done", self.now))


Log = list[tuple[str, float]]


@asynccontextmanager
async def tree(log: Log, seconds: float = 1.0, **config: float) -> AsyncIterator[System]:
    """Two actors, a and b, that take so many seconds to stop; time in the log begins here."""
    began = trio.current_time()
    try:
        async with open_system(SupervisionConfig(**config)) as system:  # type: ignore[arg-type]
            children = [ChildSpec(name, partial(Stopping, name, seconds, log)) for name in "ab"]
            await system.start_child(ChildSpec("top", partial(Supervisor, children)))
            yield system
    finally:
        log[:] = [(what, round(at - began, 3)) for what, at in log]


def on_virtual_time(main: Callable[[], Any]) -> Any:
    return trio.run(main, clock=MockClock(autojump_threshold=0))


IN_ORDER = [("b begins", 5), ("b is done", 6), ("a begins", 6), ("a is done", 7)]


# -- cancelled from outside -------------------------------------------------------------------


def test_a_timeout_around_the_system_stops_the_tree_in_order() -> None:
    log: Log = []

    async def main() -> None:
        with trio.fail_after(5):
            async with tree(log):
                await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError):
        on_virtual_time(main)
    assert log == IN_ORDER


def test_a_cancellation_while_the_tree_stops_changes_nothing() -> None:
    log: Log = []

    async def main() -> None:
        with trio.move_on_after(5.5) as scope:
            async with tree(log):
                await trio.sleep(5)
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught

    on_virtual_time(main)
    assert log == IN_ORDER


def test_what_would_not_stop_is_cut_off_at_its_deadline_also_when_cancelled() -> None:
    log: Log = []

    async def main() -> None:
        with trio.move_on_after(5):
            async with tree(log, seconds=1000):
                await trio.sleep_forever()

    on_virtual_time(main)
    assert log == [("b begins", 5), ("b is cut off", 10), ("a begins", 10), ("a is cut off", 15)]


def test_the_shutdown_time_of_the_tree_bounds_everything() -> None:
    log: Log = []

    async def main() -> None:
        with trio.move_on_after(5):
            async with tree(log, seconds=1000, shutdown=3):
                await trio.sleep_forever()

    on_virtual_time(main)
    assert log == [("b begins", 5), ("b is cut off", 8)]


def test_a_system_opened_in_a_cancelled_scope_closes_again() -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            async with open_system():
                await trio.sleep_forever()
        assert scope.cancelled_caught

    on_virtual_time(main)


def test_an_error_and_a_cancellation_in_the_block_come_out_as_they_would_without_a_system() -> None:
    errors = [ValueError(), KeyError()]

    async def one() -> None:
        with trio.CancelScope() as scope:
            async with open_system():
                scope.cancel()
                raise errors[0]

    async def several() -> None:
        async with open_system():
            raise BaseExceptionGroup("the block's own", errors)

    with pytest.raises(type(errors[0])) as alone:
        on_virtual_time(one)
    assert alone.value is errors[0]
    with pytest.raises(BaseExceptionGroup, match="the block's own") as group:
        on_virtual_time(several)
    assert list(group.value.exceptions) == errors


def test_cut_off_ends_the_block_and_the_tree_at_once() -> None:
    log: Log = []

    async def main() -> float:
        began = trio.current_time()
        async with tree(log, seconds=1000) as system:
            await trio.sleep(5)
            system.cut_off()
            await trio.sleep(1000)
        return trio.current_time() - began

    assert on_virtual_time(main) == pytest.approx(5)
    assert log == []  # nobody was asked to stop


# -- Ctrl-C in the block ------------------------------------------------------------------------


def test_ctrl_c_in_the_block_stops_the_tree_in_order() -> None:
    log: Log = []

    async def main() -> None:
        async with tree(log):
            await trio.sleep(5)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        on_virtual_time(main)
    assert log == IN_ORDER


def test_a_second_ctrl_c_cuts_off_at_once() -> None:
    log: Log = []

    async def interrupt_later() -> None:
        await trio.sleep(6)
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        trio.lowlevel.spawn_system_task(interrupt_later)
        async with tree(log, seconds=4):
            await trio.sleep(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_virtual_time(main)
    assert log == [("b begins", 5), ("b is cut off", 6)]


def test_a_ctrl_c_while_a_cancelled_system_stops_is_not_lost() -> None:
    log: Log = []

    async def interrupt_later() -> None:
        await trio.sleep(6)
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        trio.lowlevel.spawn_system_task(interrupt_later)
        with trio.move_on_after(5):
            async with tree(log, seconds=4):
                await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        on_virtual_time(main)
    assert log == [("b begins", 5), ("b is cut off", 6)]


def test_a_ctrl_c_that_came_before_the_system_opens_is_raised_and_leaves_nothing_running() -> None:
    async def main() -> None:
        @trio.lowlevel.enable_ki_protection
        def interrupt() -> None:
            signal.raise_signal(signal.SIGINT)

        interrupt()
        async with open_system():
            raise AssertionError("the interrupt comes first")

    with pytest.raises(KeyboardInterrupt):
        on_virtual_time(main)


# -- Ctrl-C in the middle of everything ---------------------------------------------------------


class Account(Actor[Any]):
    """Two fields that are equal whenever nobody is in the middle of changing them."""

    def __init__(self) -> None:
        super().__init__()
        self.total = self.check = 0
        self.torn = 0

    @handles
    def add(self, message: Add) -> None:
        self.torn += self.total != self.check
        self.total += message.number
        self.in_the_middle()
        self.check += message.number

    def in_the_middle(self) -> None:
        for _ in range(20):
            pass

    @handles
    def get(self, _message: Total) -> int:
        self.torn += self.total != self.check
        self.in_the_middle()
        return self.total


class Interrupting(Account):
    """Is interrupted in every message it handles."""

    def in_the_middle(self) -> None:
        signal.raise_signal(signal.SIGINT)


class InterruptingInItsTask(Interrupting):
    """Is interrupted in a handler that waits."""

    @handles
    async def add(self, message: Add) -> None:  # type: ignore[override]
        self.torn += self.total != self.check
        self.total += message.number
        self.in_the_middle()
        await trio.lowlevel.checkpoint()
        self.in_the_middle()
        self.check += message.number


@trio.lowlevel.enable_ki_protection
async def caught(work: Callable[[], Any]) -> int:
    """Do it, unprotected, until it gets through; how often it was interrupted."""
    interrupts = 0
    while True:
        try:
            await in_the_open(work)
            return interrupts
        except KeyboardInterrupt:
            interrupts += 1


@trio.lowlevel.disable_ki_protection
async def in_the_open(work: Callable[[], Any]) -> None:
    await work()


def account_of(ref: ActorRef[Any]) -> Account:
    actor = ref._cell.actor
    assert isinstance(actor, Account)
    return actor


def assert_whole(system: System, ref: ActorRef[Any]) -> None:
    account = account_of(ref)
    assert (account.torn, account.total) == (0, account.check)
    assert [report.error_type for report in system.crashes()] == []


@pytest.mark.parametrize("kind", [Interrupting, InterruptingInItsTask])
def test_thousands_of_interrupts_inside_handlers_tear_no_state_change(
    kind: type[Account],
) -> None:
    messages = 5000

    @trio.lowlevel.enable_ki_protection
    async def main() -> None:
        async with open_system(SupervisionConfig(mailbox=2 * messages)) as system:
            ref = await system.spawn(kind)
            sent = 0

            async def send() -> None:
                nonlocal sent
                while sent < messages:
                    sent += 1
                    ref.tell(Add())
                    if sent % 100 == 0:
                        await ref.ask(Total())

            interrupts = await caught(send)
            while account_of(ref).check < messages:
                interrupts += await caught(trio.lowlevel.checkpoint)
            await caught(trio.lowlevel.checkpoint)
            assert account_of(ref).total == messages
            assert_whole(system, ref)
            assert interrupts > 10

    trio.run(main)


@contextmanager
def interrupts_from_a_thread(*, every: float) -> Iterator[None]:
    """A Ctrl-C for the main thread, again and again."""
    main = threading.get_ident()
    over = threading.Event()

    def interrupt() -> None:
        while not over.wait(every):
            signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_interrupts_from_a_thread_neither_tear_a_state_change_nor_lose_an_answer() -> None:
    @trio.lowlevel.enable_ki_protection
    async def main() -> None:
        async with open_system() as system:
            ref = await system.spawn(Account)
            tells = asks = interrupts = 0

            async def use() -> None:
                nonlocal tells, asks
                while tells < 20_000 or interrupts < 30:
                    tells += 1
                    ref.tell(Add())
                    if tells % 10 == 0:
                        asks += 1
                        assert await ref.ask(Total(), timeout=5) > 0

            with interrupts_from_a_thread(every=0.0005):

                async def use_until_done() -> None:
                    nonlocal interrupts
                    try:
                        await use()
                    except KeyboardInterrupt:
                        interrupts += 1
                        raise

                await caught(use_until_done)
            await caught(trio.lowlevel.checkpoint)
            # An interrupt right before or after a `tell` makes it uncertain, one each at most.
            total = await ref.ask(Total())
            assert tells - interrupts <= total <= tells
            assert_whole(system, ref)

    trio.run(main)


# -- Ctrl-C at every single place -----------------------------------------------------------------


AFTER_AWAIT = 2
"""From this argument on, RESUME goes on after an `await`; CPython looks for no signals there."""


@functools.cache
def interruptible(code: CodeType) -> frozenset[int]:
    """The offsets of the bytecodes before which CPython looks for signals.

    It does so after calls, at backward jumps and at the start of functions. In between it does
    not, and a `with` or an `await` rely on that.
    """
    offsets = set()
    for before, after in itertools.pairwise(dis.get_instructions(code)):
        match before.opname:
            case "RESUME" if before.argval < AFTER_AWAIT:
                offsets.add(after.offset)
            case called if called.startswith("CALL") and after.opname != "GET_AWAITABLE":
                offsets.add(after.offset)
            case jump if "JUMP_BACKWARD" in jump and "NO_INTERRUPT" not in jump:
                offsets.add(before.argval)
    return frozenset(offsets)


class InterruptAt:
    """Raises SIGINT at the nth place in the runtime's code, or a test's `step`, that allows it."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.where = ""

    def __enter__(self) -> InterruptAt:
        sys.settrace(self._call)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, _event: str, _arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(HOME) and frame.f_code.co_name != "step":
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._opcode

    def _opcode(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "opcode" and frame.f_lasti in interruptible(frame.f_code):
            self.left -= 1
            if self.left == 0:
                self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return self._opcode


def assert_scheduled(cell: Cell) -> None:
    """The invariant of cell.py: mail lies in no mailbox that nobody will look at."""
    queued = cell in cell.lane
    assert cell.signalled == (cell in cell.node.urgent)
    assert cell.ready or not cell.inbox
    if cell.phase is Phase.RUNNING and not cell.halt:
        assert cell.ready == queued
    if queued or cell.signalled:
        assert not cell.node.asleep


async def interrupt_everywhere(system: System, step: Callable[[], Any], *, every: int = 1) -> int:
    """Do `step` again and again, each time interrupted a little later, until it gets through."""
    ref = await system.spawn(Account, path="/witness")
    nth = 1
    while True:
        interrupts = 0
        at = InterruptAt(nth)
        try:
            await trio.lowlevel.checkpoint()
            with at:
                await step()
        except KeyboardInterrupt:
            interrupts += 1
        for cell in list(system._node.cells.values()):
            assert_scheduled(cell)
        try:
            await trio.lowlevel.checkpoint()
        except KeyboardInterrupt:
            interrupts += 1
        assert await ref.ask(Total(), timeout=5) == 0, at.where
        if at.left > 0:
            return nth - 1
        assert interrupts == 1, at.where  # neither lost nor doubled
        nth += every


def test_a_tell_and_an_ask_interrupted_anywhere_leave_no_mail_lying() -> None:
    async def main() -> None:
        async with open_system() as system:
            ref = await system.spawn(Account, path="/account")

            async def step() -> None:
                ref.tell(Add())
                before = account_of(ref).total
                assert await ref.ask(Total(), timeout=5) >= before

            assert await interrupt_everywhere(system, step) > 50
            assert await ref.ask(Total()) == account_of(ref).total
            assert_whole(system, ref)
            assert len(system._node.timers) == 0  # of all the asks

    trio.run(main)


def test_a_send_that_waits_for_room_interrupted_anywhere_holds_nobody_up() -> None:
    async def main() -> None:
        async with open_system(SupervisionConfig(mailbox=1)) as system:
            ref = await system.spawn(Account, path="/account")

            async def step() -> None:
                ref.tell(Add())
                await ref.send(Add(), timeout=5)
                await ref.send(Add(), timeout=5)

            assert await interrupt_everywhere(system, step) > 50
            with trio.fail_after(5):
                await ref.send(Add())
            assert ref._cell.room is None or len(ref._cell.room) == 0
            assert_whole(system, ref)

    trio.run(main)


def test_a_spawn_and_a_stop_interrupted_anywhere_leave_a_tree_that_works() -> None:
    async def main() -> None:
        async with open_system() as system:

            async def step() -> None:
                if system.find("/account") is None:
                    await system.spawn(Account, path="/account")
                await system.restart("/account")
                await system.stop("/account")

            assert await interrupt_everywhere(system, step, every=7) > 200
            if system.find("/account") is not None:
                await system.stop("/account")
            assert [report.error_type for report in system.crashes()] == []

    trio.run(main)


def test_ctrl_c_at_random_while_systems_open_and_close_leaves_nothing_running() -> None:
    async def main() -> None:
        while True:
            # Without the watchdog's thread: a signal that meets the birth of a thread has been seen
            # to leave it unborn on a virtual machine, with `Thread.start` waiting for it for ever.
            async with open_system(watchdog=False) as system:
                ref = await system.spawn(Account)
                ref.tell(Add())
                assert await ref.ask(Total()) == 1

    def interrupt(_number: int, frame: FrameType | None) -> None:
        # Python drops what a callback of a weak reference raises, and one of the collector's
        # (Hypothesis has one once it has run); it lets an interrupt in between
        # the end of an `async with` block and `__aexit__`, which hurts trio's nurseries as well;
        # and trio is unprotected while it sets itself up. None of it is ours to mend.
        assert frame is not None
        if (
            frame.f_code is main.__code__
            or frame.f_code.co_name in ("_remove", "remove", "gc_callback")
            or signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.0001)
        else:
            signal.raise_signal(signal.SIGINT)

    rng = random.Random(0)
    threads = threading.active_count()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(300):
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0002, 0.004))
            with pytest.raises(KeyboardInterrupt):
                trio.run(main)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert threading.active_count() <= threads  # idle ones that trio kept may have gone
