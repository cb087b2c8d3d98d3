"""`Reply[T]`: the answer to an ask, as a `pykka.Future` that trio can await too.

It is settled exactly once, from any thread: whoever pops the single item of `_claim` has the
right to settle it (`list.pop` is atomic, which a flag that is tested and then set is not, and
it needs no lock that a KeyboardInterrupt could leave held). Waiters are woken on the loop, where
they also register, so the two cannot cross; a waiting thread registers its event first and looks
at `done` second, the settler sets `done` first and looks for events second.
"""

from __future__ import annotations

import functools
import logging
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from functools import partial
from math import inf
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import pykka
import trio
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    current_task,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

from supervision.acting import acting
from supervision.errors import AskCycle, AskTimeout, BlockingOnLoop

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.node import Node

logger = logging.getLogger("troupe.supervision")

T = TypeVar("T")
R = TypeVar("R")

_making_event = threading.Lock()
"""Two threads waiting for one reply must agree on one event. Never taken on the loop."""

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class Reply(pykka.Future[T], Generic[T]):
    """A value that is here now or later. `await` it on the loop, `.get()` it on other threads.

    Settled by the runtime; a foreign pykka actor settles it through `set` and `set_exception`.
    """

    __slots__ = (
        "_callbacks",
        "_claim",
        "_error",
        "_event",
        "_get_hook",
        "_get_hook_result",
        "_hook_lock",
        "_node",
        "_patience",
        "_target",
        "_token",
        "_value",
        "_waiters",
        "deadline",
        "done",
        "over",
    )

    def __init__(
        self, node: Node | None = None, target: Cell | None = None, patience: float = 0.0
    ) -> None:
        # pykka.Future.__init__ is not called: it would allocate what only get hooks need.
        self._get_hook = None
        self._node = node
        self._target = target
        self._patience = patience
        self._claim = [None]
        self._waiters: Task | list[Task] | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._event: threading.Event | None = None
        self._callbacks: list[Callable[[Reply[T]], None]] | None = None
        self.done = False
        """True once it is settled."""
        self.over = True
        """It has no place in the timer heap, or none that is still needed."""
        self.deadline = inf
        """When the ask gives up, in the node's time."""

    def __repr__(self) -> str:
        if not self.done:
            return f"<Reply from {self._target_path()}: pending>"
        state = "failed" if self._error is not None else "answered"
        return f"<Reply from {self._target_path()}: {state}>"

    def _target_path(self) -> str:
        return self._target.path if self._target is not None else "nobody"

    # -- settling -------------------------------------------------------------------------

    @enable_ki_protection
    def settle(self, value: Any, error: BaseException | None) -> bool:
        """Answer it, unless it has been; True if this was the answer. Any thread."""
        try:
            self._claim.pop()
        except IndexError:
            return False
        self._value: Any = value
        self._error = error
        self.done = True
        node = self._node
        if node is not None:
            if get_ident() == node.ident:
                self._notify()
            else:
                node.call_soon(self._notify)
        else:
            self._notify_without_node()
        return True

    def _notify_without_node(self) -> None:
        """Wake threads from here, and tasks on their own loop."""
        with _making_event:
            event, callbacks, self._callbacks = self._event, self._callbacks, None
        if event is not None:
            event.set()
        for callback in callbacks or ():
            self._call_back(callback)
        # Without a token no task sleeps: one that registers now looks at `done` after it set that.
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._notify)
            except trio.RunFinishedError:
                pass

    def _notify(self) -> None:
        """Wake whoever waits. On the loop, so nobody can register while it runs."""
        if not self.over:
            self.over = True
            if self._node is not None:
                self._node.timers.forget_one()
        waiters = self._waiters
        if waiters is not None:
            self._waiters = None
            if isinstance(waiters, list):
                for task in waiters:
                    reschedule(task)
            else:
                reschedule(waiters)
        if self._event is not None:
            self._event.set()
        callbacks = self._callbacks
        if callbacks is not None:
            self._callbacks = None
            for callback in callbacks:
                self._call_back(callback)

    def _call_back(self, callback: Callable[[Reply[T]], None]) -> None:
        """Call back from a handler, say, or from the timers: a fault must not become theirs."""
        try:
            callback(self)
        except Exception:
            logger.exception(
                "A callback that waited for the answer of %s failed", self._target_path()
            )

    def fire(self) -> None:
        """The ask's time is up (called by the timer heap)."""
        self.over = True
        self.settle(None, AskTimeout(self._target_path(), self._patience))

    def set(self, value: T | None = None) -> None:
        """Answer it; `queue.Full` if it was answered before, as in pykka."""
        if self._get_hook is not None or not self.settle(value, None):
            raise queue.Full

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Fail it with the exception in hand or with `exc_info`, as in pykka."""
        kind, error, traceback = exc_info if exc_info is not None else sys.exc_info()
        if error is None:
            if kind is None:
                raise ValueError("set_exception() outside an except block needs an exc_info triple")
            error = kind()
        if traceback is not None:
            error = error.with_traceback(traceback)
        if self._get_hook is not None or not self.settle(None, error):
            raise queue.Full

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Compute the value at `get()`, as in pykka."""
        if self.done:
            raise queue.Full
        self._get_hook = func
        self._hook_lock: threading.RLock = threading.RLock()

    def on_settled(self, callback: Callable[[Reply[T]], None]) -> None:
        """Call back on the loop once it is settled; at once if it is. Loop thread only.

        A reply of no node (`Reply()`, for code that settles it) calls back where it is settled.
        """
        if self._node is None:
            with _making_event:
                done = self.done
                if not done:
                    self._callbacks = [*(self._callbacks or ()), callback]
            if done:
                callback(self)
            return
        if self.done:
            callback(self)
            return
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    def on_settled_at(self, node: Node, callback: Callable[[Reply[T]], None]) -> None:
        """Call back on the loop of `node`, whoever settles it. On that loop."""
        if self._node is node:
            self.on_settled(callback)
            return

        def bring_over(_reply: Reply[T]) -> None:
            node.call_soon(lambda: callback(self))

        if self._node is None:
            self.on_settled(bring_over)
        else:
            self._node.call_soon(lambda: self.on_settled(bring_over))

    # -- waiting --------------------------------------------------------------------------

    def result(self) -> T:
        """The value of a settled reply; raises the error it was settled with."""
        if not self.done:
            raise RuntimeError(f"{self!r} has no result yet; `await` it")
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    @property
    def error(self) -> BaseException | None:
        """What a settled reply failed with."""
        return self._error if self.done else None

    @enable_ki_protection
    def __await__(self) -> Generator[Any, None, T]:
        if not trio.lowlevel.in_trio_run():
            return self._block()
        return self._wait().__await__()

    def _block(self) -> Generator[Any, None, T]:
        """On another kind of event loop an `await` blocks, as it does with pykka's own futures."""
        yield
        return self.get()

    # pykka's futures can be `yield from`-ed, which means the same.
    __iter__ = __await__

    @enable_ki_protection
    async def _wait(self) -> T:
        if self._get_hook is not None:
            # Whatever it waits for, it does so by blocking.
            return await trio.to_thread.run_sync(self.get, abandon_on_cancel=True)
        if self.done:
            await trio.lowlevel.checkpoint()
            return self.result()
        if self._node is not None and get_ident() != self._node.ident:
            await self._wait_on_another_loop(self._node)
            return self.result()
        actor = acting.get(None)
        if actor is None:
            await self._wait_here()
        else:
            try:
                with actor.waiting_for(self._target, self._patience):
                    await self._wait_here()
            except AskCycle as cycle:
                self._withdraw(cycle)
                raise
        return self.result()

    def _withdraw(self, cycle: AskCycle) -> None:
        """The request must not be handled after all: its asker has been told that it will not."""
        target = self._target
        self.settle(None, cycle)
        if target is not None:
            target.node.call_soon(lambda: target.withdraw(self))

    async def _wait_here(self) -> None:
        """Wait on the node's own loop, after lending the dispatcher this task for a slice.

        What is asked for is often done in that slice, which saves two switches between tasks.
        """
        if self._node is not None:
            self._node.lend()
            if self.done:
                await trio.lowlevel.checkpoint()
                return
        await self._wait_settled()

    async def _wait_on_another_loop(self, node: Node) -> None:
        """The node runs on one trio loop, the waiting task on another (two nodes in a process)."""
        token = trio.lowlevel.current_trio_token()
        settled = trio.Event()

        def wake(_reply: Reply[T]) -> None:
            token.run_sync_soon(settled.set)

        node.call_soon(lambda: self.on_settled(wake))
        await settled.wait()

    async def _wait_settled(self) -> None:
        task = current_task()
        if self._waiters is None:
            self._waiters = task
        elif isinstance(self._waiters, list):
            self._waiters.append(task)
        else:
            self._waiters = [self._waiters, task]

        if self._node is None:
            # No node brings the notification to the loop, so registering and settling may cross.
            self._token = trio.lowlevel.current_trio_token()
            if self.done:
                self._stop_waiting(task, _never)
                return
        await wait_task_rescheduled(partial(self._stop_waiting, task))

    def _stop_waiting(self, task: Task, _raise_cancel: RaiseCancelT) -> Abort:
        if isinstance(self._waiters, list):
            self._waiters.remove(task)
        else:
            self._waiters = None
        return Abort.SUCCEEDED

    def get(self, *, timeout: float | None = None) -> T:
        """The value, waiting for it on this thread.

        Raises:
            BlockingOnLoop: on the loop's own thread, always: it would stop the whole node.
            pykka.Timeout: nothing after `timeout` seconds.
        """
        node = self._node
        if node is not None and get_ident() == node.ident and node.open:
            raise BlockingOnLoop(f"reply.get() for {self._target_path()}")
        if self._get_hook is not None:
            return self._hooked(timeout)
        if not self.done:
            self._wait_on_thread(timeout)
        return self.result()

    def _hooked(self, timeout: float | None) -> T:
        assert self._get_hook is not None
        with self._hook_lock:
            if not hasattr(self, "_get_hook_result"):
                self._get_hook_result: Any = self._get_hook(timeout)
            result: T = self._get_hook_result
        return result

    def _wait_on_thread(self, timeout: float | None) -> None:
        with _making_event:
            if self._event is None:
                self._event = threading.Event()
        if self.done:
            return
        actor = acting.get(None)
        if actor is None:
            arrived = self._event.wait(timeout)
        else:
            try:
                with actor.waiting_for(self._target, self._patience):
                    arrived = self._event.wait(timeout)
            except AskCycle as cycle:
                self._withdraw(cycle)
                raise
        if not arrived and not self.done:
            raise AskTimeout(self._target_path(), timeout or 0.0)

    # -- pykka's combinators, awaitable too -----------------------------------------------

    def map(self, func: Callable[[T], R]) -> Reply[R]:
        """A reply with `func` applied to the value."""
        return DerivedReply([self], lambda values: func(values[0]))

    def join(self, *futures: pykka.Future[Any]) -> Reply[Iterable[Any]]:
        """A reply with the list of all values."""
        return DerivedReply([self, *futures], list)

    def filter(self, func: Callable[[Any], bool]) -> Reply[Iterable[Any]]:
        """A reply with only the items for which `func(item)` is true."""
        return DerivedReply([self], lambda values: list(filter(func, values[0])))

    def reduce(self, func: Callable[[Any, Any], Any], *args: Any) -> Reply[Any]:
        """A reply with the items reduced to one value."""
        return DerivedReply([self], lambda values: functools.reduce(func, values[0], *args))


def _never() -> NoReturn:
    raise AssertionError("not cancelled")


class DerivedReply(Reply[R]):
    """What `map`, `join`, `filter` and `reduce` give: computed from other futures, once.

    It is computed where somebody waits for it, and first looks for a result when somebody does.
    """

    __slots__ = ("_compute", "_right", "_sources")

    def __init__(self, sources: list[pykka.Future[Any]], compute: Callable[[list[Any]], R]) -> None:
        nodes = [source._node for source in sources if isinstance(source, Reply)]
        super().__init__(next((node for node in nodes if node is not None), None))
        self._sources = sources
        self._compute = compute
        self._right = [None]
        """Whoever pops it computes; others wait for that."""

    def _sources_settled(self, values: list[Any]) -> None:
        try:
            self._right.pop()
        except IndexError:
            return
        try:
            self.settle(self._compute(values), None)
        except Exception as error:  # noqa: BLE001  it belongs to those who wait
            self.settle(None, error)

    def get(self, *, timeout: float | None = None) -> R:
        if not self.done:
            self._sources_settled([source.get(timeout=timeout) for source in self._sources])
        return super().get(timeout=timeout)

    async def _wait(self) -> R:
        if not self.done:
            self._sources_settled([await _awaited(source) for source in self._sources])
        return await super()._wait()

    def on_settled(self, callback: Callable[[Reply[R]], None]) -> None:
        """As for every reply; its sources must be replies then, since others cannot call back."""
        super().on_settled(callback)
        replies = [source for source in self._sources if isinstance(source, Reply)]
        if len(replies) < len(self._sources):
            raise TypeError(
                "this reply joins futures that can only be waited for; `await` it in a task "
                "(`self.start_task(...)`) instead of piping it."
            )

        def look(_source: Reply[Any]) -> None:
            if self.done or not all(reply.done for reply in replies):
                return
            failed = next((reply.error for reply in replies if reply.error is not None), None)
            if failed is not None:
                self.settle(None, failed)
            else:
                self._sources_settled([reply.result() for reply in replies])

        for reply in replies:
            reply.on_settled(look)

    def set(self, value: R | None = None) -> None:
        raise queue.Full

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        raise queue.Full

    def set_get_hook(self, func: Callable[[float | None], R]) -> None:
        raise queue.Full


async def _awaited(future: pykka.Future[Any]) -> Any:
    """The value of any future. Foreign ones can only be waited for on a thread."""
    if isinstance(future, Reply):
        return await future
    return await trio.to_thread.run_sync(future.get, abandon_on_cancel=True)
