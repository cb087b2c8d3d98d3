"""The test kit: actors under test, on virtual time, with every fault accounted for.

With pytest the `system` fixture is all that is needed (pytest_plugin.py). Everything here works
without pytest too: `simulate` runs a scenario under a seed, so that a failing interleaving is a
number one can commit; `Probe` stands in for an actor and records what it is sent.
"""

from __future__ import annotations

import math
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

import attrs
import trio
from trio.testing import MockClock

from supervision.actor import Actor
from supervision.behaviour import handles
from supervision.config import SupervisionConfig
from supervision.crashes import CrashReport
from supervision.determinism import SeededDispatcher, deterministic_trio
from supervision.events import DeadLetter, DeadLetterReason
from supervision.messages import Request
from supervision.node import Node
from supervision.observe import TraceEvent, TraceFilter
from supervision.ref import ActorRef
from supervision.spec import Restart
from supervision.system import System, open_system

T = TypeVar("T")
M = TypeVar("M")


class Unexpected(AssertionError):
    """Something happened that the test did not expect: the message lists all of it."""


class SystemUnderTest(System):
    """A system whose crashes, dead letters and leaks must all be expected."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._crash_rules: list[tuple[str, str]] = []
        self._letter_rules: list[str] = []
        self._leak_rules: list[str] = []
        self._crashes: list[CrashReport] = []
        self._letters: list[DeadLetter] = []
        self._threads = set(threading.enumerate())

    # -- what is expected -----------------------------------------------------------------

    def expect_crash(self, path: str = "*", error: type[BaseException] | str = "*") -> None:
        """Crash reports of actors at `path` (a pattern) with that error are no failure."""
        name = error if isinstance(error, str) else error.__qualname__
        self._crash_rules.append((path, name))

    def expect_dead_letters(self, path: str = "*") -> None:
        """Dead letters to actors at `path` (a pattern) are no failure."""
        self._letter_rules.append(path)

    def expect_leak(self, what: str = "*") -> None:
        """Something that outlives the system is no failure: a pattern for what the check says."""
        self._leak_rules.append(what)

    # -- stand-ins ------------------------------------------------------------------------

    async def probe(self, *accepts: type, path: str | None = None) -> Probe:
        """An actor that records what it is sent, and answers what it is asked as told.

        Args:
            accepts: the message types it takes; all, if none is given.
        """
        probe = Probe(accepts)
        start = _probe_actor(accepts)
        probe.ref = await self.spawn(start, probe, path=path, restart=Restart.TEMPORARY)
        return probe

    async def settle(self) -> None:
        """Wait until nothing is left to do at this moment of virtual time."""
        await trio.testing.wait_all_tasks_blocked()

    # -- the account ----------------------------------------------------------------------

    def _unexpected(self) -> Sequence[str]:
        """What happened that no rule allows, a line each."""
        lines = [
            f"{report.path} crashed ({report.id}, {report.where}): "
            f"{report.error_type}: {report.error}\n{report.traceback}"
            for report in self._crashes
            if not any(
                fnmatchcase(report.path, path) and fnmatchcase(report.error_type, error)
                for path, error in self._crash_rules
            )
        ]
        lines += [
            f"dead letter: {letter.message_type} to {letter.path} ({letter.reason.value})"
            for letter in self._letters
            # What a life that ended had arranged for itself is lost by that, and nobody's fault.
            if letter.reason is not DeadLetterReason.STALE
            and not any(fnmatchcase(letter.path, path) for path in self._letter_rules)
        ]
        return lines

    def _leaks(self) -> Sequence[str]:
        """What outlived the system."""
        node = self._node
        leaks = [f"actor {path}" for path in node.cells]
        if len(node.timers):
            leaks.append(f"{len(node.timers)} timers")
        leaks += [
            f"thread {thread.name}"
            for thread in threading.enumerate()
            if thread not in self._threads
            and thread.is_alive()
            and not thread.name.startswith(("trio", "Trio"))  # trio keeps idle threads for reuse
        ]
        return [leak for leak in leaks if not any(fnmatchcase(leak, r) for r in self._leak_rules)]


@asynccontextmanager
async def system_under_test(
    config: SupervisionConfig | None = None, **options: Any
) -> AsyncIterator[SystemUnderTest]:
    """`open_system`, failing at its end on what the test did not expect.

    On a `MockClock` that jumps, the clock is held while a thread or worker process has work in
    hand: otherwise timeouts would fire during real work.

    Raises:
        Unexpected: crash reports, dead letters or leaks that nobody expected.
    """
    options.setdefault("seed", 0)
    # It watches in real time, so on a busy machine it would see overruns that are none.
    options.setdefault("watchdog", False)
    config = config or SupervisionConfig(fault_injection=True)
    with ExitStack() as account:
        async with open_system(config, **options) as plain:
            system = SystemUnderTest(plain._node)
            _hold_clock(plain._node)
            # Crashes count to the very end; mail that still waits when the test is over does not.
            account.enter_context(plain.events._attached(CrashReport, system._crashes.append))
            with plain.events._attached(DeadLetter, system._letters.append):
                try:
                    yield system
                except Exception as error:
                    for line in system._unexpected():
                        error.add_note(f"unexpected meanwhile: {line}")
                    raise
    unexpected = [*system._unexpected(), *system._leaks()]
    if unexpected:
        listing = "\n".join(f"- {line}" for line in unexpected)
        raise Unexpected(
            f"the test did not expect this (`system.expect_crash(...)` and its kin do):\n{listing}"
        )


def _hold_clock(node: Node) -> None:
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, MockClock) or clock.autojump_threshold == math.inf:
        return
    threshold = clock.autojump_threshold

    def hold(busy: bool) -> None:
        clock.autojump_threshold = math.inf if busy else threshold

    node.on_busy_outside = hold


# -- probes ------------------------------------------------------------------------------


class Probe:
    """What an actor under test talks to, seen from the test."""

    ref: ActorRef[Any]
    """Give this to the actor under test."""

    def __init__(self, accepts: tuple[type, ...] = ()) -> None:
        self.accepts = accepts
        self.received: list[Any] = []
        """Every message so far, in order."""
        self._unseen: deque[Any] = deque()
        self._arrived = trio.Event()
        self._answers: list[tuple[type, Callable[[Any], Any]]] = []

    def answer(self, request: type[Request[T]], with_: T | Callable[[Any], T]) -> None:
        """Answer that kind of request with a value, or with what a function makes of it."""
        make = with_ if callable(with_) else lambda _message: with_
        self._answers.insert(0, (request, make))

    async def expect(self, kind: type[M], *, within: float = 1.0) -> M:
        """The next message that no `expect` has seen; it must be of that type.

        Args:
            within: seconds (virtual, on a mock clock).

        Raises:
            AssertionError: another message came first, or none in time.
        """
        message = await self._next(within)
        if message is _NOTHING:
            raise AssertionError(f"no {kind.__qualname__} within {within:g} s; nothing came")
        if not isinstance(message, kind):
            raise AssertionError(f"expected a {kind.__qualname__}, but {message!r} came")
        return message

    async def expect_nothing(self, *, within: float = 1.0) -> None:
        """No message comes for so many seconds."""
        message = await self._next(within)
        if message is not _NOTHING:
            raise AssertionError(f"expected nothing for {within:g} s, but {message!r} came")

    async def _next(self, within: float) -> Any:
        with trio.move_on_after(within):
            while not self._unseen:
                self._arrived = trio.Event()
                await self._arrived.wait()
        return self._unseen.popleft() if self._unseen else _NOTHING

    def _take(self, message: Any) -> Any:
        self.received.append(message)
        self._unseen.append(message)
        self._arrived.set()
        for kind, make in self._answers:
            if isinstance(message, kind):
                return make(message)
        return None


_NOTHING = object()


class _AnyProbe(Actor[Any]):
    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self._probe = probe

    def on_receive(self, message: Any) -> Any:
        return self._probe._take(message)


def _probe_actor(accepts: tuple[type, ...]) -> type[Actor[Any]]:
    if not accepts:
        return _AnyProbe

    class TypedProbe(Actor[Any]):
        def __init__(self, probe: Probe) -> None:
            super().__init__()
            self._probe = probe

        @handles(*accepts)
        def take(self, message: Any) -> Any:
            return self._probe._take(message)

    return TypedProbe


# -- simulations -------------------------------------------------------------------------


@attrs.frozen
class Handled:
    """One line of a simulation's message log."""

    at: float
    id: int
    cause: int
    path: str
    message_type: str
    outcome: str

    @classmethod
    def of(cls, event: TraceEvent) -> Handled:
        """The repeatable part of a trace event (handler durations are not)."""
        return cls(event.at, event.id, event.cause, event.path, event.message_type, event.outcome)


@attrs.frozen
class Simulation(Generic[T]):
    """What a run under a seed gave."""

    seed: int
    result: T
    log: Sequence[Handled] = attrs.field(repr=False)
    """Every message in the order of handling: equal for equal seeds."""


def simulate(
    scenario: Callable[[SystemUnderTest], Awaitable[T]],
    seed: int,
    *,
    config: SupervisionConfig | None = None,
    strict: bool = True,
) -> Simulation[T]:
    """Run a scenario on virtual time, with every choice of the schedulers drawn from the seed.

    BlockingActors run inline. Two runs with one seed give the identical log; a race shows as a seed
    that fails, and is replayed by it.

    Args:
        scenario: gets a `SystemUnderTest`; what it returns is the result.
        strict: fail on unexpected crashes, dead letters and leaks, as the fixture does.
    """
    log: list[Handled] = []

    def record(event: TraceEvent) -> None:
        log.append(Handled.of(event))

    async def run() -> T:
        async with system_under_test(
            config,
            name=f"simulation-{seed}",
            seed=seed,
            inline=True,
            dispatcher=lambda node: SeededDispatcher(node, random.Random(seed)),
        ) as system:
            system._node.observe(TraceFilter(), record)
            if not strict:
                system.expect_crash()
                system.expect_dead_letters()
                system.expect_leak()
            return await scenario(system)

    with deterministic_trio(seed):
        result = trio.run(run, clock=MockClock(autojump_threshold=0))
    return Simulation(seed, result, tuple(log))
