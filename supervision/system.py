"""`open_system()` and `System`: a running tree of actors inside a trio program.

Leaving the block stops every actor in order, within the root's shutdown time, also when the block
is left by a cancellation or Ctrl-C: the runtime runs under a shield of its own, the block does not.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
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
from supervision.life import Life
from supervision.messages import SHUTDOWN, ExitReason
from supervision.node import Node
from supervision.ref import ActorRef
from supervision.spec import ChildSpec, Exhausted, Restart
from supervision.supervisor import DynamicSupervisor, RestartChild, StartChild, TerminateChild

M = TypeVar("M")


class System:
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

    def foreign(self, actor: pykka.ActorRef[Any]) -> ActorRef[Any]:
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

    def crashes(self) -> Sequence[CrashReport]:
        """The newest crash reports, oldest first."""
        return tuple(self._node.crashes)

    def dead_letters(self) -> Sequence[DeadLetter]:
        """The newest dead letters, oldest first."""
        return tuple(self._node.dead_letters)


class _Root:
    """Starts the root supervisor, and stops it once."""

    def __init__(self, node: Node, fail: Callable[[], None]) -> None:
        self._node = node
        self._fail = fail
        spec: ChildSpec[Any] = ChildSpec(
            "root", partial(DynamicSupervisor, exhausted=Exhausted.ESCALATE), shutdown="infinity"
        )
        self.cell = Cell(node, "/", spec, None)
        self.started = trio.Event()
        self.ended = trio.Event()
        self.failure: ExitReason | None = None
        self._stopping = False
        node.remember(self.cell)
        node.root_reported = self._reported

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

    @enable_ki_protection
    async def stop(self) -> None:
        """Stop the tree in order; what is left when the shutdown time is over is cut off."""
        self._stopping = True
        node = self._node
        self.cell.signal(self._stop_life)
        timer = node.timers.call_at(
            node.time() + node.config.shutdown, lambda: self.cell.signal(self._kill_life)
        )
        await self.ended.wait()
        timer.cancel()

    @enable_ki_protection
    async def stop_whatever_comes(self) -> KeyboardInterrupt | None:
        """Stop the tree; a cancellation changes nothing, a Ctrl-C meanwhile cuts it off at once."""
        interrupt = None
        with trio.CancelScope(shield=True):
            while not self.ended.is_set():
                try:
                    await self.stop()
                except KeyboardInterrupt as error:
                    interrupt = error
                    self.cut_off()
        return interrupt

    def cut_off(self) -> None:
        """Do not wait for the shutdown time."""
        self.cell.signal(self._kill_life)

    def _stop_life(self) -> None:
        if self.cell.life is not None:
            self.cell.life.stop(SHUTDOWN)
        elif self.cell.phase is not Phase.GONE:
            self.ended.set()

    def _kill_life(self) -> None:
        if self.cell.life is not None:
            self.cell.life.kill()


@asynccontextmanager
@enable_ki_protection
async def open_system(
    config: SupervisionConfig | None = None,
    *,
    name: str = "node",
    seed: int | None = None,
    dispatcher: Callable[[Node], Dispatcher] = Dispatcher,
    inline: bool = False,
) -> AsyncIterator[System]:
    """A running actor system; leaving the block stops every actor in it, in order.

    Args:
        config: bounds and defaults; see `SupervisionConfig`.
        name: what the node is called in logs and reports.
        seed: for the jitter of back-offs, where a run must be repeatable.
        dispatcher: who runs the handlers; simulations bring their own.
        inline: run BlockingActors on the loop, for simulations.

    Raises:
        NodeFailed: the root supervisor gave up; the block was cancelled.
        StuckTask: something would not end within its time; named.
    """
    node = Node(config or SupervisionConfig(), name, random.Random(seed))
    node.inline = inline
    failed: BaseException | None = None
    async with trio.open_nursery() as nursery:
        root: _Root = await nursery.start(_run, node, dispatcher(node), nursery.cancel_scope.cancel)
        try:
            yield System(node)
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001  raised again below, free of the nursery's group
            failed = error
        finally:
            interrupt = await root.stop_whatever_comes()
            node.close()
            failed = failed or interrupt
    if root.failure is not None:
        reason = NodeFailed(f"the root supervisor gave up ({root.failure})")
        raise reason from (failed or root.failure.error)
    if failed is not None:
        raise failed
    if node.stuck:
        raise StuckTask(tuple(node.stuck))


@enable_ki_protection
async def _run(
    node: Node,
    dispatcher: Dispatcher,
    fail: Callable[[], None],
    *,
    task_status: trio.TaskStatus[_Root],
) -> None:
    """The runtime's own task: its nursery outlives any cancellation of the block."""
    root = _Root(node, fail)
    try:
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as nursery:
                node.nursery = nursery
                node.closing = scope.cancel
                nursery.start_soon(node.timers.run)
                nursery.start_soon(dispatcher.run)
                root.start()
                await root.started.wait()
                task_status.started(root)
    finally:
        # Whatever ended the dispatcher, nobody must wait for it to stop the tree.
        root.ended.set()
