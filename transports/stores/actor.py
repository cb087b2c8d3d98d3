"""The actors that keep rooms: on a thread of its own, several of them, or in memory.

All accept what `requests.py` holds and live at the same path, so that nobody else has to know which
one it is. `store_spec` and `memory_spec` make their child specs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, TypeVar
from zlib import crc32

import attrs

from models.rooms.errors import RoomsError, StoreUnavailable
from models.rooms.refusals import RefuseFor
from supervision import (
    Actor,
    ActorRef,
    BlockingActor,
    ChildSpec,
    Promise,
    SupervisionError,
    Supervisor,
    handles,
)
from supervision.resilience import Backoff
from transports.stores.backend import StoreBackend
from transports.stores.memory import MemoryBackend
from transports.stores.requests import StoreMessage, StoreRequest, store_fault
from transports.stores.usage import GetUsage, StoreStatistics, Tally, total

T = TypeVar("T")

# A database that is away comes back within seconds or minutes. Restarts that waited do not count
# towards the intensity, so its absence does not take the node down.
RECONNECT = Backoff(base=0.1, factor=2.0, maximum=5.0, quiet=30.0)


def carry_out(request: StoreRequest[T], backend: StoreBackend, tally: Tally) -> T:
    """Run a request, and count it.

    Raises:
        RefuseFor: the backend said no; nothing was changed.
        StoreUnavailable: it could not.
    """
    tally.requests += 1
    try:
        return request.run(backend)
    except StoreUnavailable:
        raise
    except RoomsError as error:
        tally.refused += 1
        raise RefuseFor(error) from error


class StoreActor(BlockingActor[StoreMessage]):
    """A backend that blocks, with group commit: many requests, one `flush`, then their answers.

    What the backend refuses for is refused, and spoils nothing. If it is unavailable, or anything
    else is raised, the batch is rolled back, all who asked in it get `ActorCrashed`, and the actor
    starts anew, with a new connection.

    Args:
        make: makes the backend; it is opened, used and closed on the actor's thread.
    """

    batch_size = 64
    # Every request of a batch that fails counts as a crash on whatever came first in it. To refuse
    # that type for a minute would keep the rooms waiting for a database that is back.
    poison = None

    def __init__(self, make: Callable[[], StoreBackend], tally: Tally | None = None) -> None:
        super().__init__()
        self._make = make
        self._tally = tally or Tally()
        self._backend: StoreBackend | None = None

    def on_start(self) -> None:
        backend = self._make()
        backend.open()
        self._backend = backend

    @handles
    def on_request(self, request: StoreRequest[Any]) -> Any:
        """Carry it out; the answer goes out once it is durable."""
        return carry_out(request, self._opened(), self._tally)

    def on_batch_end(self) -> None:
        self._opened().flush()
        self._tally.batches += 1

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del exception_type, exception_value, traceback
        self._tally.failures += 1
        backend, self._backend = self._backend, None
        if backend is None:
            return
        try:
            backend.abandon()
            backend.close()
        except StoreUnavailable:
            # The connection is gone, and what was not committed went with it.
            pass

    def on_stop(self) -> None:
        self._opened().close()

    def _opened(self) -> StoreBackend:
        assert self._backend is not None, "between on_start and on_stop there is a backend"
        return self._backend

    @handles
    def on_usage(self, _message: GetUsage) -> StoreStatistics:
        """How much it has done, and how well batches fill."""
        return self._tally.statistics()


class MemoryStore(Actor[StoreMessage]):
    """Rooms in memory: on the loop, because to change threads would cost more than the work.

    Args:
        backend: outlives a restart of the actor. Each of its writes is whole or did not happen, so
            a crash leaves nothing half done in it.
    """

    def __init__(self, backend: MemoryBackend, tally: Tally | None = None) -> None:
        super().__init__()
        self._backend = backend
        self._tally = tally or Tally()

    @handles
    def on_request(self, request: StoreRequest[Any]) -> Any:
        """Carry it out."""
        self._tally.batches += 1  # of one
        return carry_out(request, self._backend, self._tally)

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del exception_type, exception_value, traceback
        self._tally.failures += 1

    @handles
    def on_usage(self, _message: GetUsage) -> StoreStatistics:
        """How much it has done."""
        return self._tally.statistics()

    def statistics(self) -> StoreStatistics:
        """How much it has done."""
        return self._tally.statistics()


@attrs.frozen
class _Answered:
    """A member has answered."""

    promise: Promise[Any]
    value: Any = attrs.field(repr=False)


@attrs.frozen
class _Failed:
    """A member has refused, or failed."""

    promise: Promise[Any]
    error: Exception


@attrs.frozen
class PoolStatistics:
    """What a pool has passed on, and what it waits for."""

    members: int
    requests: int
    waiting: int


class StorePool(Supervisor):
    """Several stores over one database, as one: each member has a connection of its own.

    Requests of one room (of one `lane`) go to the same member, in order; others in turn. The
    members are its children, `0` and on; one that fails is away alone.
    """

    def __init__(self, make: Callable[[], StoreBackend], tallies: Sequence[Tally]) -> None:
        members = [_member(str(number), tally, make) for number, tally in enumerate(tallies)]
        super().__init__(members)
        self._names = [member.id for member in members]
        self._tallies = tallies
        self._turns = count()
        self._requests = 0
        self._waiting = 0

    @handles
    def on_request(self, request: StoreRequest[Any]) -> None:
        """Pass it on; the member's answer is the pool's."""
        self._requests += 1
        self._waiting += 1
        promise = self.defer_or_none()
        lane = request.lane
        turn = next(self._turns) if lane is None else crc32(lane.encode())
        member = self.system.ref(f"{self.path}/{self._names[turn % len(self._names)]}")
        # The asker's own deadline goes with it; the pool sets none.
        reply = member.ask(request, timeout=math.inf)
        self.pipe(reply, to=partial(_Answered, promise), failed=partial(_Failed, promise))

    @handles
    def _on_answered(self, message: _Answered) -> None:
        self._waiting -= 1
        message.promise.resolve(message.value)

    @handles
    def _on_failed(self, message: _Failed) -> None:
        self._waiting -= 1
        message.promise.fail(message.error)

    @handles
    def on_usage(self, _message: GetUsage) -> StoreStatistics:
        """How much its members have done together."""
        return total(self._tallies)

    def statistics(self) -> PoolStatistics:
        """What goes through it; each member has its own figures."""
        return PoolStatistics(len(self._names), self._requests, self._waiting)


def store_spec(make: Callable[[], StoreBackend], members: int = 1) -> ChildSpec[StoreMessage]:
    """A store that blocks, as the child `store`.

    Args:
        make: makes one more backend over the same database, not opened.
        members: backends at work at the same time: 1 for SQLite, which has one writer.
    """
    if members < 1:
        raise ValueError(f"a store has at least one member, not {members}")
    if members == 1:
        return _member("store", Tally(), make)
    tallies = [Tally() for _ in range(members)]
    return ChildSpec[Any]("store", partial(StorePool, make, tallies))


def _member(name: str, tally: Tally, make: Callable[[], StoreBackend]) -> ChildSpec[StoreMessage]:
    return ChildSpec(name, partial(StoreActor, make, tally), backoff=RECONNECT)


def memory_spec() -> ChildSpec[StoreMessage]:
    """A store in memory, as the child `store`; it forgets all when the node ends."""
    return ChildSpec("store", partial(MemoryStore, MemoryBackend(), Tally()))


async def ask_store(
    store: ActorRef[StoreMessage], request: StoreRequest[T], within: float | None = None
) -> T:
    """Ask, and raise what `store_fault` makes of a failure.

    Args:
        within: seconds; None is the node's `ask_timeout`.
    Raises:
        RoomsError: what the backend refused for; `StoreUnavailable` for all else.
    """
    try:
        return await store.ask(request, timeout=within)
    except SupervisionError as error:
        raise store_fault(error) from error
