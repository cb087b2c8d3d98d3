"""Takes the place of the conftest.py of pykka's suite (see run.py), adding Troupe as a runtime."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from itertools import count
from typing import Any

import pykka
import pytest
import trio

from supervision import Actor, ChildSpec, Reply, Restart, StartFailed, System, open_system

# Not by import statements: these modules are the suite's, and only there when it runs.
theirs: Any = import_module("tests.pykka_conftest")
globals().update({name: value for name, value in vars(theirs).items() if name[:2] != "__"})
Runtime: Any = import_module("tests.types").Runtime


class Background:
    """A node that runs on a thread of its own, as it does beside a program made of threads."""

    def __init__(self) -> None:
        self.system: System
        self._token: trio.lowlevel.TrioToken
        self._stop: trio.Event
        self._ready = threading.Event()
        self._names = count(1)
        self._thread = threading.Thread(target=trio.run, args=[self._main], name="troupe")
        self._thread.start()
        self._ready.wait()

    async def _main(self) -> None:
        async with open_system() as system:
            self.system, self._stop = system, trio.Event()
            self._token = trio.lowlevel.current_trio_token()
            self._ready.set()
            await self._stop.wait()

    def call(self, function: Any, *args: Any) -> Any:
        """Run an async function on the node's loop."""
        return trio.from_thread.run(function, *args, trio_token=self._token)

    def start(self, actor_class: type[Actor[Any]], *args: Any, **kwargs: Any) -> Any:
        """pykka's `start()`: the ref of a new actor, even of one whose `on_start` raised."""
        views: list[pykka.ActorRef[Any]] = []

        def make() -> Actor[Any]:
            actor = actor_class(*args, **kwargs)
            views.append(actor.actor_ref)
            return actor

        spec: ChildSpec[Any] = ChildSpec(
            f"{actor_class.__name__}-{next(self._names)}", make, Restart.TEMPORARY, public=True
        )
        try:
            self.call(partial(self.system.start_child, spec))
        except StartFailed as error:
            if not views:
                raise error.__cause__ or error from None
        return views[0]

    def stop_all(self) -> None:
        """What `ActorRegistry.stop_all()` would do if it were not refused."""
        for view in reversed(pykka.ActorRegistry.get_all()):
            view.stop()

    def close(self) -> None:
        """Stop the node."""
        self._token.run_sync_soon(self._stop.set)
        self._thread.join()


_background: Background | None = None


class TroupeActor(Actor[Any]):
    """Our actor with pykka's way of starting one, on the node in the background."""

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> Any:
        assert _background is not None
        return _background.start(cls, *args, **kwargs)


TROUPE = Runtime(
    name="troupe",
    actor_class=TroupeActor,
    event_class=threading.Event,
    future_class=Reply,
    sleep_func=time.sleep,
)


RUNTIMES = [*theirs.RUNTIMES.values(), pytest.param(TROUPE, id="troupe")]


@pytest.fixture(scope="session", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Iterator[Any]:
    global _background
    if request.param is not TROUPE:
        yield request.param
        return
    _background = Background()
    yield request.param
    _background.close()


@pytest.fixture
def _stop_all() -> Iterator[None]:
    yield
    if _background is not None:
        _background.stop_all()
    pykka.ActorRegistry.stop_all()
