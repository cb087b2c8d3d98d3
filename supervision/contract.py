"""What the runtime asks of every actor, and what pykka's contract adds.

`Actor` (actor.py) is the public face; this is how the runtime starts, feeds and stops an instance.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pykka
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr

from supervision.behaviour import Handler, Table, table_of
from supervision.binding import binding
from supervision.poison import POISON
from supervision.pykka_view import StopRequest, call_by_proxy, get_by_proxy, set_by_proxy
from supervision.reply import Reply
from supervision.resilience import BreakerConfig
from supervision.spec import Mailbox

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.life import Life

Hook = Callable[[], object]
Done = Callable[[BaseException | None], None]


if TYPE_CHECKING:

    class _PykkaActor:
        """What a type checker takes for the base, which at run time is `pykka.Actor`.

        pykka types its hooks as `-> None`, so with the real base every `async def on_start` would
        be refused. The price is that `ActorRegistry.get_by_class` wants a cast.
        """

        on_start: Callable[..., Any]
        on_stop: Callable[..., Any]
        on_failure: Callable[..., Any]

else:
    _PykkaActor = pykka.Actor


class ActorContract(_PykkaActor):
    """What the runtime asks of every actor; `Actor` and its kin are the public face of it."""

    realtime: ClassVar[bool] = False
    """Go before ordinary actors: for what people hear (tracks, sessions, voice detection)."""

    mailbox: ClassVar[Mailbox | None] = None
    """How many messages may wait, and what happens to one more. None: the node's default."""

    poison: ClassVar[BreakerConfig | None] = POISON
    """When messages of a type that keeps crashing it are refused, and for how long. None: never."""

    _rt_base: ClassVar[type[Any]]
    """The class whose `on_receive` routes by the table: `Actor`, which sets it."""

    _rt_handlers: ClassVar[Table | None] = None

    # pykka's constructor is not called: it allocates an inbox, an event and a UUID that most actors
    # never need. They are properties below, made when somebody asks.
    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        cell = binding.cell
        binding.cell = None
        self._rt_cell: Cell | None = cell
        if cell is not None:
            # From here on `__init__` may hand out refs and proxies, and be written to.
            cell.actor = self
            table = self._rt_table()
            cell.table = table if cell.faults is None else cell.faults.wrapped(table)
            cell.adopt(self.mailbox, realtime=self.realtime)

    # -- for the runtime ------------------------------------------------------------------

    @classmethod
    def _rt_table(cls) -> Table:
        table = cls.__dict__.get("_rt_handlers")
        if table is None:
            table = cls._rt_build_table()
            cls._rt_handlers = table
        return table

    @classmethod
    def _rt_build_table(cls) -> Table:
        table = table_of(cls, cls._rt_base)
        for message_type, handler in list(table.items()):
            table.add(message_type, cls._rt_adapt(handler))
        if table.fallback is not None:
            table.fallback = cls._rt_adapt(table.fallback)
        table.add_runtime(StopRequest, ActorContract._rt_stop_requested)
        table.add_runtime(ProxyCall, call_by_proxy)
        table.add_runtime(ProxyGetAttr, get_by_proxy)
        table.add_runtime(ProxySetAttr, set_by_proxy)
        return table

    @classmethod
    def _rt_adapt(cls, handler: Handler) -> Handler:
        """Have an async handler go on in the actor's own task."""
        if not iscoroutinefunction(handler):
            return handler

        def handle_in_task(actor: ActorContract, message: Any) -> None:
            actor._rt_life().handle_in_task(handler(actor, message))

        handle_in_task.__wrapped__ = handler  # type: ignore[attr-defined]
        return handle_in_task

    def _rt_born(self, life: Life) -> None:
        """The instance exists; set up what it runs on."""

    def _rt_start(self, life: Life, done: Done) -> None:
        if life.executor is None and type(self).on_start is self._rt_base.on_start:
            done(None)
        else:
            life.call(self.on_start, done)

    def _rt_interrupt_start(self) -> None:
        """Told to stop before the start is complete (a supervisor: stop starting children)."""

    def _rt_stop_in_order(self, life: Life, done: Done) -> None:
        if life.executor is None and type(self).on_stop is self._rt_base.on_stop:
            done(None)
        else:
            life.call(self.on_stop, done)

    def _rt_release(self, life: Life) -> None:
        """Give up what else belongs to the instance (a supervisor: its children)."""

    def _rt_released(self) -> bool:
        return True

    def _rt_stop_requested(self, message: StopRequest) -> None:
        life = self._rt_life()
        node = life.cell.node
        reply = node.current[3]
        if reply is not None:
            node.current = (*node.current[:3], None)
            life.cell.wait_for_stop(reply)
        life.cell.signal(life.stop, message.reason)

    def _rt_bound(self) -> Cell:
        if self._rt_cell is None:
            raise RuntimeError(
                f"{type(self).__qualname__} is not running in a system, so it has no address. "
                "Start it with `await system.spawn(...)` or as a supervisor's child; and if its "
                "`__init__` needs this, call `super().__init__()` first."
            )
        return self._rt_cell

    def _rt_life(self) -> Life:
        life = self._rt_bound().life
        if life is not None and life.actor is None:
            raise RuntimeError(
                f"{self._rt_bound().path} is being constructed, so it can own nothing yet: tasks, "
                "timers and watches begin in `on_start`."
            )
        if life is None or life.actor is not self:
            raise RuntimeError(
                f"{self._rt_bound().path} runs no more; what is left of it can own nothing"
            )
        return life

    # -- pykka's attributes, made when asked for ------------------------------------------

    @property
    def actor_urn(self) -> str:
        """A URN for pykka's registry."""
        if self._rt_cell is not None:
            return self._rt_cell.ref._view().actor_urn
        urn: str = self.__dict__.setdefault("_rt_urn", uuid.uuid4().urn)
        return urn

    @property
    def actor_ref(self) -> pykka.ActorRef[Any]:
        """This actor as pykka knows it; `self.ref` is ours."""
        return self._rt_bound().ref.pykka

    @property
    def actor_inbox(self) -> Any:
        """The inbox as pykka knows it: `put` works, `get` belongs to the dispatcher."""
        return self._rt_bound().ref._view().actor_inbox

    @property
    def actor_stopped(self) -> Any:
        """An event that is set once the actor is gone for good."""
        return self._rt_bound().ref._view().actor_stopped

    @staticmethod
    def _create_actor_inbox() -> Any:
        raise NotImplementedError("Troupe's actors share one kind of inbox, made by their cell")

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return Reply()

    def _start_actor_loop(self) -> None:
        raise NotImplementedError("Troupe's actors are run by a dispatcher")

    @classmethod
    def start(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Not for these actors: a running actor always has a supervisor."""
        raise RuntimeError(
            f"{cls.__qualname__}.start() would make an actor that nobody supervises. Use "
            f"`await system.spawn({cls.__qualname__}, ...)`, or a supervisor's child spec."
        )
