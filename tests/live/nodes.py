"""Nodes for live tests, on a real clock and a port of their own."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

import attrs
import trio

from actors.app import compose
from actors.call.call import CallStatus, DescribeCall
from actors.config import TroupeConfig
from actors.run import address_of
from actors.testing import CallRig
from models.faults import ModelFault
from models.tts.protocol import SpeechAudio, Synthesize, Synthesized
from supervision import Actor, Request, SupervisionConfig, System, handles, open_system
from supervision.testing import SystemUnderTest, system_under_test
from transports.pcm.config import PcmConfig
from transports.server import ServerConfig, Where, server
from transports.server.tree import pcm_wires

T = TypeVar("T")

START = 30.0
"""Seconds a node with real models may take to start on a busy machine."""


def config_for_tests(**sections: Any) -> TroupeConfig:
    """The defaults, on a free port."""
    return attrs.evolve(TroupeConfig(), server=ServerConfig(port=0), **sections)


# -- the whole product, in a thread -----------------------------------------------------------


class Deaf(Actor[SpeechAudio]):
    """Takes sound, and does nothing with it."""

    @handles
    def on_audio(self, message: SpeechAudio) -> None: ...


@attrs.frozen
class RunningNode:
    """A node in a thread of its own, for tests that must not run on its loop."""

    address: str
    _system: System
    _token: trio.lowlevel.TrioToken

    def ask(self, path: str, request: Request[T]) -> T:
        """Ask an actor, from outside."""

        async def asking() -> T:
            answer: T = await self._system.ref(path).ask(request, timeout=10.0)
            return answer

        return trio.from_thread.run(asking, trio_token=self._token)

    @contextmanager
    def beside(self, work: Callable[..., Awaitable[object]], *args: Any) -> Iterator[None]:
        """Work on the node's loop, in its own thread, until the block is left."""
        scopes: list[trio.CancelScope] = []

        async def working() -> None:
            with trio.CancelScope() as scope:
                scopes.append(scope)
                await work(*args)

        thread = threading.Thread(
            target=partial(trio.from_thread.run, working, trio_token=self._token), daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._token.run_sync_soon(lambda: scopes[0].cancel() if scopes else None)
            thread.join(START)

    def call(self, call: str) -> CallStatus:
        """How a call stands."""
        return self.ask(f"/calls/{call}/call", DescribeCall())

    def seconds_of(self, text: str) -> float:
        """How long the node's voice takes to say something."""

        async def saying() -> Synthesized | ModelFault:
            ears = await self._system.spawn(Deaf)
            asked = Synthesize("to measure", 1, text, ears)
            return await self._system.ref("/models/tts/espeak/front").ask(asked, timeout=10.0)

        answer = trio.from_thread.run(saying, trio_token=self._token)
        assert isinstance(answer, Synthesized), answer
        return answer.seconds

    def crashes(self) -> Sequence[object]:
        """Everything that crashed."""
        return tuple(self._system.crashes())


@contextmanager
def running_node(config: TroupeConfig) -> Iterator[RunningNode]:
    """The node that `troupe run` would run, until the block is left."""
    nodes: list[RunningNode] = []
    over: list[trio.Event] = []
    problems: list[BaseException] = []
    up = threading.Event()

    async def run() -> None:
        async with open_system(config.supervision, name=config.node.name) as system:
            for child in compose(config):
                await system.start_child(child)
            over.append(trio.Event())
            token = trio.lowlevel.current_trio_token()
            nodes.append(RunningNode(await address_of(system), system, token))
            up.set()
            await over[0].wait()

    def thread() -> None:
        try:
            trio.run(run)
        except BaseException as problem:  # noqa: BLE001, raised below, in the test's own thread
            problems.append(problem)
        finally:
            up.set()

    running = threading.Thread(target=thread, name="node", daemon=True)
    running.start()
    try:
        assert up.wait(START), "the node did not start"
        if nodes:
            yield nodes[0]
    finally:
        if nodes and running.is_alive():
            nodes[0]._token.run_sync_soon(over[0].set)
        running.join(START)
        assert not running.is_alive(), "the node does not stop"
    if problems:
        raise problems[0]


# -- a call with scripted models, on the test's own loop --------------------------------------


@attrs.frozen
class Rig:
    """`CallRig`, behind a real port."""

    system: SystemUnderTest
    calls: CallRig
    address: str

    @property
    def media(self) -> str:
        return self.address.replace("http", "ws") + "/media"

    async def status(self, call: str) -> CallStatus:
        """How a call stands."""
        return await self.system.ref(f"/calls/{call}/call").ask(DescribeCall(), timeout=5.0)

    def alive(self, path: str) -> bool:
        """Whether there is such an actor."""
        return self.system.find(path) is not None


@asynccontextmanager
async def rig(
    replies: Sequence[Any] | Callable[..., Any],
    *,
    media: PcmConfig | None = None,
    **options: Any,
) -> AsyncIterator[Rig]:
    """Scripted models, real sockets, the real clock; faults may be injected."""
    async with system_under_test(SupervisionConfig(fault_injection=True)) as system:
        calls = await CallRig.open(system, replies, **options)
        wires = {"/media": pcm_wires(calls.exchange, media)}
        await system.start_child(server(ServerConfig(port=0), wires))
        address = await system.ref("/server/listener").ask(Where())
        yield Rig(system, calls, address)
        await system.stop("/server")
