"""`open_system()` and `System`: a running tree of actors inside a trio program.

Leaving the block stops every actor in order, within the root's shutdown time, also when the block
is left by a cancellation or Ctrl-C: the runtime runs under a shield of its own, the block does not.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import pykka
import trio
from trio.lowlevel import enable_ki_protection

from supervision.actor import Actor
from supervision.cell import Cell, Phase
from supervision.config import SupervisionConfig
from supervision.crashes import CrashReport
from supervision.dispatcher import Dispatcher
from supervision.errors import NodeFailed, NoSuchActor, StuckTask
from supervision.events import DeadLetter, EventStream
from supervision.foreign import ForeignRef
from supervision.inside import LookingInside
from supervision.life import Life
from supervision.messages import SHUTDOWN, ExitReason
from supervision.node import Node
from supervision.ref import ActorRef
from supervision.spec import ChildSpec, Exhausted, Restart
from supervision.supervisor import DynamicSupervisor, RestartChild, StartChild, TerminateChild
from supervision.watchdog import start_watching

M = TypeVar("M")


class System(LookingInside):
    """A running actor system: spawn actors, find them, look inside. Loop thread only."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def __repr__(self) -> str:
        return f"<System {self._node.name}: {len(self._node.cells)} actors>"

    # -- actors ---------------------------------------------------------------------------

    async def spawn(
        self,
        start: Callable[..., Actor[M]],
        /,
        *args: Any,
        path: str | None = None,
        restart: Restart = Restart.PERMANENT,
        **kwargs: Any,
    ) -> ActorRef[M]:
        """Start an actor under the root (or, by its path, under a supervisor there).

        Args:
            start: the actor class; `args` and `kwargs` go to its constructor, at every restart.
            path: its address, `/counter`; without one it is named after its class.
            restart: when it comes back after it ended.

        Raises:
            StartFailed: its constructor or `on_start` raised; the `__cause__` says what.
            Refused: there already is an actor at that path.
        """
        parent, name = self._place(path, start)
        child: ChildSpec[M] = ChildSpec(
            name, partial(start, *args, **kwargs), restart, public=path is not None
        )
        return await self.start_child(child, parent=parent)

    async def start_child(self, spec: ChildSpec[M], *, parent: str = "/") -> ActorRef[M]:
        """Start an actor by a full child spec, under the supervisor at `parent`."""
        return await self.ref(parent).ask(StartChild(spec), timeout=float("inf"))

    def _place(self, path: str | None, start: Callable[..., Any]) -> tuple[str, str]:
        if path is None:
            made_by = start.func if isinstance(start, partial) else start
            kind = getattr(made_by, "__name__", type(made_by).__name__).lower()
            return "/", f"{kind}-{next(self._node.names)}"
        if not path.startswith("/") or path.endswith("/"):
            raise ValueError(
                f"a path starts with '/' and ends with a name, as /counter or /calls/c-7: {path!r}"
            )
        parent, _, name = path.rpartition("/")
        return parent or "/", name

    def ref(self, path: str) -> ActorRef[Any]:
        """The ref of the actor at a path.

        Raises:
            NoSuchActor: there is none (with the nearest paths).
        """
        return self._cell(path).ref

    def find(self, path: str) -> ActorRef[Any] | None:
        """The ref of the actor at a path, None if there is none."""
        cell = self._node.cells.get(path)
        return cell.ref if cell is not None else None

    def _cell(self, path: str) -> Cell:
        cell = self._node.cells.get(path)
        if cell is None:
            nearest = difflib.get_close_matches(path, list(self._node.cells), n=2)
            raise NoSuchActor(path, tuple(nearest))
        return cell

    def foreign(self, actor: pykka.ActorRef[Any]) -> ForeignRef:
        """A ref to an actor of another pykka runtime, to tell, ask and await like ours."""
        return ActorRef.foreign(actor, node=self._node)

    # -- steering -------------------------------------------------------------------------

    async def stop(self, path: str) -> None:
        """Stop an actor in order and leave it stopped."""
        await self._by_supervisor(path, TerminateChild)

    async def restart(self, path: str) -> None:
        """Stop an actor in order and start it again."""
        await self._by_supervisor(path, RestartChild)

    async def _by_supervisor(
        self, path: str, request: type[TerminateChild] | type[RestartChild]
    ) -> None:
        cell = self._cell(path)
        if cell.parent is None:
            raise ValueError("the root has no supervisor; leave the `open_system` block to stop it")
        await cell.parent.ref.ask(request(cell.spec.id), timeout=float("inf"))

    @enable_ki_protection
    def suspend(self, path: str) -> None:
        """Let an actor handle no more messages for now; they wait. Stopping it still works."""
        cell = self._cell(path)
        cell.suspended = True
        cell.signal(cell.reconsider)

    @enable_ki_protection
    def resume(self, path: str) -> None:
        """Let a suspended actor go on."""
        cell = self._cell(path)
        cell.suspended = False
        cell.signal(cell.reconsider)

    @enable_ki_protection
    def cut_off(self) -> None:
        """Stop everything at once; what does not end within `kill_grace` is left behind.

        The `open_system` block is cancelled. An orderly stop that is under way becomes this one.
        """
        assert self._node.cut_off is not None
        self._node.cut_off()

    # -- looking inside -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The node's name."""
        return self._node.name

    @property
    def now(self) -> float:
        """The node's time, seconds: trio's clock."""
        return self._node.time()

    @property
    def events(self) -> EventStream:
        """What the node publishes: crash reports, dead letters, starts and ends."""
        return self._node.events

    def unfinished(self) -> Sequence[str]:
        """What has not ended yet, by name: what a stop that takes long waits for. Any thread."""
        node = self._node
        running = node.running
        lines = [f"{running.path} in a handler that does not return"] if running else []
        lines += node.stuck
        for path, cell in reversed(list(node.cells.items())):
            life = cell.life
            if life is not None:
                lines += [f"{path} task {task.name!r}" for task in list(life.tasks or ())]
                if life.executor is not None and not life.executor.closed:
                    lines.append(f"{path} {life.executor.describe()}")
                lines.append(f"{path} ({cell.phase.value})")
        return tuple(dict.fromkeys(lines))

    def crashes(self) -> Sequence[CrashReport]:
        """The newest crash reports, oldest first."""
        return tuple(self._node.crashes)

    def dead_letters(self) -> Sequence[DeadLetter]:
        """The newest dead letters, oldest first."""
        return tuple(self._node.dead_letters)


class _Root:
    """Starts the root supervisor, and stops it once."""

    def __init__(
        self, node: Node, fail: Callable[[], None], root: Callable[[], Actor[Any]] | None
    ) -> None:
        self._node = node
        self._fail = fail
        start = root or partial(DynamicSupervisor, exhausted=Exhausted.ESCALATE)
        spec: ChildSpec[Any] = ChildSpec("root", start, shutdown="infinity")
        self.cell = Cell(node, "/", spec, None)
        self.started = trio.Event()
        self.ended = trio.Event()
        self.failure: ExitReason | None = None
        self._stopping = False
        node.remember(self.cell)
        node.root_reported = self._reported
        node.cut_off = self.cut_off

    @enable_ki_protection
    def start(self) -> None:
        self.cell.signal(Life(self.cell).begin)

    def _reported(self, what: str, reason: ExitReason | None) -> None:
        self.started.set()
        if what == "started":
            return
        if not self._stopping:
            self.failure = reason
            self._fail()
        self.ended.set()

    async def stop(self) -> KeyboardInterrupt | None:
        """Stop the tree in order; what is left when the shutdown time is over is cut off.

        A cancellation changes nothing. A Ctrl-C meanwhile cuts off at once, and is returned.
        """
        self._stopping = True
        node = self._node
        self.cell.signal(self._stop_life)
        timer = node.timers.call_at(
            node.time() + node.config.shutdown, lambda: self.cell.signal(self._kill_life)
        )
        interrupt = await _wait_whatever_comes(self.ended, self.cut_off)
        timer.cancel()
        return interrupt

    def cut_off(self) -> None:
        """End the tree and the block without waiting for anything."""
        self._stopping = True
        self.cell.signal(self._kill_life)
        self._fail()

    def _stop_life(self) -> None:
        if self.cell.life is not None:
            self.cell.life.stop(SHUTDOWN)
        elif self.cell.phase is not Phase.GONE:
            self.ended.set()

    def _kill_life(self) -> None:
        if self.cell.life is not None:
            self.cell.life.kill()


async def _wait_whatever_comes(
    event: trio.Event, on_interrupt: Callable[[], None]
) -> KeyboardInterrupt | None:
    """Wait for an event that is sure to come; neither cancellation nor Ctrl-C ends the waiting.

    trio hands a Ctrl-C that came in protected code to the main task at its next wait, and no
    shield keeps it out.
    """
    interrupt = None
    with trio.CancelScope(shield=True):
        while not event.is_set():
            try:
                await event.wait()
            except KeyboardInterrupt as error:
                interrupt = error
                on_interrupt()
    return interrupt


class _OutOfReach(AbstractAsyncContextManager[System]):
    """Enters and leaves another context manager with Ctrl-C kept out.

    Protecting the generator is not enough: an interrupt in contextlib's own frames around it would
    leave the system running with nobody to stop it.
    """

    def __init__(self, manager: AbstractAsyncContextManager[System]) -> None:
        self._manager = manager

    @enable_ki_protection
    async def __aenter__(self) -> System:
        return await self._manager.__aenter__()

    @enable_ki_protection
    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._manager.__aexit__(*error)


def open_system(
    config: SupervisionConfig | None = None,
    *,
    name: str = "node",
    seed: int | None = None,
    dispatcher: Callable[[Node], Dispatcher] = Dispatcher,
    inline: bool = False,
    watchdog: bool = True,
    root: Callable[[], Actor[Any]] | None = None,
) -> AbstractAsyncContextManager[System]:
    """A running actor system; leaving the block stops every actor in it, in order.

    Args:
        config: bounds and defaults; see `SupervisionConfig`.
        root: makes the supervisor at the root, `/`, whose children then run when the block begins.
            Without one it is a dynamic supervisor without children, and gives up with the first
            child that does.
        name: what the node is called in logs and reports.
        seed: for the jitter of back-offs, where a run must be repeatable.
        dispatcher: who runs the handlers; simulations bring their own.
        inline: run BlockingActors on the loop, for simulations; these have no watchdog either.
        watchdog: see handlers that hold the loop, by a thread (watchdog.py).

    Raises:
        NodeFailed: the root supervisor gave up; the block was cancelled.
        StuckTask: something would not end within its time; named.
    """

    def make_node() -> Node:
        node = Node(config or SupervisionConfig(), name, random.Random(seed))
        node.inline = inline
        node.watched = watchdog and not inline
        return node

    return _OutOfReach(_open(make_node, dispatcher, root))


@asynccontextmanager
async def _open(
    make_node: Callable[[], Node],
    make_dispatcher: Callable[[Node], Dispatcher],
    make_root: Callable[[], Actor[Any]] | None,
) -> AsyncIterator[System]:
    node = make_node()
    failed: BaseException | None = None
    root: _Root | None = None
    try:
        async with trio.open_nursery(strict_exception_groups=True) as nursery:
            root = _Root(node, nursery.cancel_scope.cancel, make_root)
            # Not `nursery.start`: cancelled meanwhile, it would wait for a task that is shielded.
            nursery.start_soon(_run, node, make_dispatcher(node), root)
            interrupt = await _wait_whatever_comes(root.started, root.cut_off)
            try:
                if interrupt is not None:
                    raise interrupt
                if node.watched:
                    start_watching(node)
                yield System(node)
            finally:
                interrupt = await root.stop()
                node.close()
                if interrupt is not None:
                    raise interrupt
    except BaseExceptionGroup as group:
        # The nursery is no business of the caller's, so its group is not either.
        failed = group.exceptions[0] if len(group.exceptions) == 1 else group
    if root is not None and root.failure is not None:
        reason = NodeFailed(f"the root supervisor gave up ({root.failure})")
        raise reason from (failed or root.failure.error)
    if failed is not None:
        raise failed
    if node.stuck:
        raise StuckTask(tuple(node.stuck))


@enable_ki_protection
async def _run(node: Node, dispatcher: Dispatcher, root: _Root) -> None:
    """The runtime's own task: its nursery outlives any cancellation of the block."""
    try:
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as nursery:
                node.nursery = nursery
                node.closing = scope.cancel
                nursery.start_soon(node.timers.run)
                nursery.start_soon(dispatcher.run)
                root.start()
    finally:
        # Whatever ended the dispatcher, nobody must wait for it to start or stop the tree.
        root.started.set()
        root.ended.set()
