"""Supervisors: thin actors around the machines of `restart.py` and `dynamic.py`.

The machine decides, the actor carries out: it starts and stops cells, arms the shutdown timers and
answers those who asked. A supervisor is an actor like any other, so trees nest; what is special is
that its start is complete when its children have started, and its stop when they have stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import attrs

from supervision.actor import Actor
from supervision.behaviour import handles
from supervision.cell import Cell
from supervision.contract import Done
from supervision.dynamic import DynamicSupervision
from supervision.errors import StartFailed
from supervision.life import Life
from supervision.messages import SHUTDOWN, ExitReason, Request
from supervision.promise import Promise
from supervision.ref import ActorRef
from supervision.restart import (
    Action,
    Exit,
    Gone,
    Settled,
    Start,
    Stop,
    Supervision,
    no_auto_shutdown,
)
from supervision.spec import (
    ACTOR_SHUTDOWN,
    AutoShutdown,
    ChildSpec,
    Exhausted,
    Restart,
    Shutdown,
    Strategy,
)
from supervision.timers import Timer


@attrs.frozen
class StartChild(Request[ActorRef[Any]]):
    """Start one more child; answered with its ref once it runs, refused if it does not."""

    spec: ChildSpec[Any]


@attrs.frozen
class TerminateChild(Request[None]):
    """Stop a child and leave it stopped. A temporary or dynamic child is forgotten."""

    id: str


@attrs.frozen
class RestartChild(Request[None]):
    """Stop a child if it runs, and start it. Counts towards no intensity."""

    id: str


@attrs.frozen
class DeleteChild(Request[None]):
    """Forget the spec of a child that does not run."""

    id: str


@attrs.frozen
class ChildInfo:
    """One child as its supervisor sees it."""

    id: str
    ref: ActorRef[Any]
    restart: Restart
    running: bool
    restarts: int


@attrs.frozen
class WhichChildren(Request[Sequence[ChildInfo]]):
    """All children, in start order."""


SupervisorMessage = StartChild | TerminateChild | RestartChild | DeleteChild | WhichChildren


class SupervisorBase(Actor[SupervisorMessage]):
    """Carries out what a machine decides."""

    _machine: Supervision | DynamicSupervision

    def __init__(self, children: Sequence[ChildSpec[Any]]) -> None:
        super().__init__()
        ids = [spec.id for spec in children]
        twice = sorted({child_id for child_id in ids if ids.count(child_id) > 1})
        if twice:
            raise ValueError(f"two children have the id {twice[0]!r}; ids must be unique")
        self._children = tuple(children)
        self._cells: dict[str, Cell] = {}
        self._stop_timers: dict[str, Timer] = {}
        self._wake_timer: Timer | None = None
        self._wake_at_time = inf
        self._boot_done: Done | None = None
        self._stop_done: Done | None = None

    # -- lifecycle, for the runtime -------------------------------------------------------

    def _rt_start(self, life: Life, done: Done) -> None:
        def hook_done(error: BaseException | None) -> None:
            if error is not None or life.ending is not None:
                done(error)  # told to stop before it had a child
                return
            self._boot_done = done
            # Cells of an earlier life, whose refs are out in the world, are taken over by id.
            self._cells.update(life.cell.children or {})
            self._boot()

        life.call(self.on_start, hook_done)

    def _boot(self) -> None:
        raise NotImplementedError

    def _booted(self) -> None:
        """All children run: the supervisor itself has started."""
        for child_id, cell in list(self._cells.items()):
            if child_id not in self._machine.children:
                del self._cells[child_id]
                cell.gone(cell.reason or SHUTDOWN)
        done, self._boot_done = self._boot_done, None
        if done is not None:
            done(None)

    def _rt_interrupt_start(self) -> None:
        if self._boot_done is not None:
            self._do(self._machine.shut_down(self.now))

    def _rt_stop_in_order(self, life: Life, done: Done) -> None:
        self._stop_done = done
        if self._machine.exited is None:
            self._do(self._machine.shut_down(self.now))
        else:
            life.call(self.on_stop, done)

    def _rt_release(self, life: Life) -> None:
        if self._wake_timer is not None:
            self._wake_timer.cancel()
        if self._machine.exited is None:
            self._do(self._machine.kill(self.now))

    def _rt_released(self) -> bool:
        return self._machine.exited is not None

    # -- what children report -------------------------------------------------------------

    def _child_reported(self, cell: Cell, what: str, reason: ExitReason | None) -> None:
        child_id = cell.spec.id
        if self._cells.get(child_id) is not cell:
            return
        if what == "started":
            self._do(self._machine.started(child_id, self.now))
            return
        timer = self._stop_timers.pop(child_id, None)
        if timer is not None:
            timer.cancel()
        assert reason is not None
        if what == "ended":
            self._do(self._machine.ended(child_id, reason, self.now))
        else:
            self._do(self._machine.start_failed(child_id, reason, self.now))

    # -- carrying out ---------------------------------------------------------------------

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Start(child_id):
                    self._start_child(child_id)
                case Stop(child_id, brutal):
                    self._stop_child(child_id, brutal)
                case Gone(child_id, reason):
                    self._forget_child(child_id, reason)
                case Settled(ticket, problem, error):
                    self._settled(ticket, problem, error)
                case Exit(reason):
                    self._exit(reason)
        deadline = self._machine.deadline
        if deadline != self._wake_at_time:
            self._arm(deadline)

    def _start_child(self, child_id: str) -> None:
        mine = self._rt_bound()
        spec = self._machine.children[child_id].spec
        cell = self._cells.get(child_id)
        if cell is None:
            prefix = mine.path if mine.path != "/" else ""
            cell = Cell(mine.node, f"{prefix}/{child_id}", spec, mine)
            self._cells[child_id] = cell
            mine.node.remember(cell)
        else:
            cell.spec = spec
            cell.revive()
        cell.signal(Life(cell).begin)

    def _stop_child(self, child_id: str, brutal: bool) -> None:
        cell = self._cells[child_id]
        cell.signal(self._end_child, cell, brutal)

    def _end_child(self, cell: Cell, brutal: bool) -> None:
        """A step of the child, so that it has been constructed: what it is decides its time."""
        life = cell.life
        if life is None:
            return  # it has ended meanwhile, and said so
        shutdown = "brutal" if brutal else _shutdown_of(cell)
        if shutdown == "brutal":
            life.kill()
            return
        life.stop(SHUTDOWN)
        if shutdown != "infinity" and not life.over:
            node = cell.node
            self._stop_timers[cell.spec.id] = node.timers.call_at(
                node.time() + float(shutdown), lambda: cell.signal(life.kill)
            )

    def _forget_child(self, child_id: str, reason: ExitReason) -> None:
        cell = self._cells.get(child_id)
        if cell is None:
            return
        if child_id not in self._machine.children:
            del self._cells[child_id]
        cell.gone(reason)

    def _settled(self, ticket: Any, problem: str, error: BaseException | None) -> None:
        if ticket == "boot":
            self._booted()
            return
        promise, answer, path = ticket
        if problem and error is not None:
            failure = StartFailed(path, problem)
            failure.__cause__ = error
            promise.fail(failure)
        elif problem:
            promise.refuse(problem)
        else:
            promise.resolve(answer() if answer is not None else None)

    def _exit(self, reason: ExitReason) -> None:
        life = self._rt_life()
        if self._boot_done is not None and not life.winding:
            done, self._boot_done = self._boot_done, None
            done(None if life.ending is not None else _boot_failure(self.path, reason))
        elif self._stop_done is not None and not life.winding:
            done, self._stop_done = self._stop_done, None
            life.call(self.on_stop, done)
        elif life.winding:
            life.perhaps_over()
        else:
            life.cell.signal(life.end_by_itself, reason)

    def _arm(self, deadline: float) -> None:
        if self._wake_timer is not None:
            self._wake_timer.cancel()
            self._wake_timer = None
        self._wake_at_time = deadline
        if deadline < inf and self._machine.exited is None:
            cell = self._rt_bound()
            self._wake_timer = cell.node.timers.call_at(
                deadline, lambda: cell.signal(self._time_passed)
            )

    def _time_passed(self) -> None:
        self._wake_at_time = inf
        if self._machine.exited is None and self._rt_bound().actor is self:
            self._do(self._machine.time_passed(self.now))

    # -- requests -------------------------------------------------------------------------

    @handles
    def _on_start_child(self, message: StartChild) -> None:
        child_id = message.spec.id
        path = f"{self.path.rstrip('/')}/{child_id}"

        def answer() -> ActorRef[Any]:
            return self._cells[child_id].ref

        ticket = (self.defer_or_none(), answer, path)
        self._do(self._machine.add(message.spec, ticket, self.now))

    @handles
    def _on_terminate_child(self, message: TerminateChild) -> None:
        self._request(self._machine.terminate, message.id)

    @handles
    def _on_restart_child(self, message: RestartChild) -> None:
        self._request(self._machine.restart, message.id)

    @handles
    def _on_delete_child(self, message: DeleteChild) -> None:
        self._request(self._machine.delete, message.id)

    def _request(
        self, decide: Callable[[str, Any, float], Sequence[Action]], child_id: str
    ) -> None:
        ticket = (self.defer_or_none(), None, f"{self.path}/{child_id}")
        self._do(decide(child_id, ticket, self.now))

    @handles
    def _on_which_children(self, _message: WhichChildren) -> Sequence[ChildInfo]:
        return tuple(
            ChildInfo(
                child_id,
                self._cells[child_id].ref,
                child.spec.restart,
                child.running,
                child.restarts,
            )
            for child_id, child in self._machine.children.items()
            if child_id in self._cells
        )

    def defer_or_none(self) -> Promise[Any]:
        """A promise for the request in hand; one that nobody reads if it was told, not asked."""
        if self._rt_bound().node.current[3] is not None:
            return self.defer()
        return Promise.unread(self._rt_life())


class Supervisor(SupervisorBase):
    """Starts children in order, restarts them by a strategy, stops them in reverse.

    Args:
        children: their specs, in start order.
        strategy: who is restarted with a child.
        intensity: restarts forgiven within `period` seconds; one more, and this supervisor stops
            all its children and fails in its turn. The node's configured intensity if not given.
        auto_shutdown: end when significant children have ended.
    """

    def __init__(
        self,
        children: Sequence[ChildSpec[Any]] = (),
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        *,
        intensity: int | None = None,
        period: float | None = None,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        super().__init__(children)
        for spec in children:
            if spec.significant and auto_shutdown is AutoShutdown.NEVER:
                raise ValueError(no_auto_shutdown(spec.id))
        node = self._rt_bound().node
        self._machine: Supervision = Supervision(
            strategy,
            node.config.intensity if intensity is None else intensity,
            node.config.period if period is None else period,
            auto_shutdown,
            node.rng,
        )

    def _boot(self) -> None:
        self._do(self._machine.boot(self._children, self.now))


class DynamicSupervisor(SupervisorBase):
    """Many alike children, started and ended at any time, each with its own restart intensity.

    Args:
        intensity, period: as for `Supervisor`, but counted for each child.
        exhausted: what to do about a child that used its restarts up.
        max_children: more are refused.
    """

    def __init__(
        self,
        *,
        intensity: int | None = None,
        period: float | None = None,
        exhausted: Exhausted = Exhausted.END_CHILD,
        max_children: float = inf,
    ) -> None:
        super().__init__(())
        node = self._rt_bound().node
        self._machine: DynamicSupervision = DynamicSupervision(
            node.config.intensity if intensity is None else intensity,
            node.config.period if period is None else period,
            exhausted,
            max_children,
            node.rng,
        )

    def _boot(self) -> None:
        # Its children were started by request, so a new life of it begins without any.
        self._booted()


def _shutdown_of(cell: Cell) -> Shutdown:
    if cell.spec.shutdown is not None:
        return cell.spec.shutdown
    return "infinity" if isinstance(cell.actor, SupervisorBase) else ACTOR_SHUTDOWN


def _boot_failure(path: str, reason: ExitReason) -> BaseException:
    if reason.error is not None:
        return reason.error
    return StartFailed(path, f"it was stopped before its children had started ({reason})")
