"""The server as one child specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.routing import BaseRoute

from supervision import Actor, ActorRef, ChildSpec, DynamicSupervisor, Strategy, Supervisor, System
from supervision.secret import Secret
from transports.connection import Connection
from transports.frame_link import OpenLink
from transports.leg import Attach
from transports.pcm.config import PcmConfig
from transports.pcm.wire import PcmWire
from transports.sansio_link import open_sansio_link
from transports.server.config import ServerConfig
from transports.server.head import Head
from transports.server.listener import Listener, MakeWire
from transports.server.web import Web


def pcm_wires(
    host: ActorRef[Attach],
    config: PcmConfig | None = None,
    open_link: OpenLink = open_sansio_link,
) -> MakeWire:
    """Wires of our own PCM WebSocket whose legs attach to `host`."""
    settings = config or PcmConfig()

    def make(
        connection: Connection, _head: Head, admits: Callable[[Secret | None], bool]
    ) -> PcmWire:
        return PcmWire(connection, host, open_link, admits, settings)

    return make


class Server(Supervisor):
    """`wires`, `web` and `listener`, in this order: whoever is handed work is there before."""

    def __init__(
        self,
        config: ServerConfig,
        media: Mapping[str, MakeWire],
        routes: Sequence[BaseRoute] = (),
        ready: Callable[[], bool] = lambda: True,
        public: Callable[[System], Sequence[BaseRoute]] = lambda _: (),
    ) -> None:
        """The listener tells its address: ask `<path>/listener` for `Where()`.

        Args:
            media: what makes the wires of a path, `{"/media": pcm_wires(host)}`.
            routes: of the API, for those who are admitted.
            ready: whether the node can take calls just now.
            public: makes routes for all, which know by themselves whom to trust.
        """
        self._public = public
        wires = partial(DynamicSupervisor, max_children=config.max_connections)
        children: list[ChildSpec[Any]] = [
            ChildSpec("wires", wires),
            ChildSpec("web", partial(self._web, config, routes, ready)),
            ChildSpec("listener", partial(self._listener, config, media)),
        ]
        super().__init__(children, Strategy.REST_FOR_ONE)

    def _web(
        self, config: ServerConfig, routes: Sequence[BaseRoute], ready: Callable[[], bool]
    ) -> Web:
        # Made here rather than above: what routes refer to is in the tree by now.
        return Web(config, routes, ready, self._public(self.system))

    def _listener(self, config: ServerConfig, media: Mapping[str, MakeWire]) -> Actor[Any]:
        below = self.path
        system = self.system
        return Listener(config, media, system.ref(f"{below}/wires"), system.ref(f"{below}/web"))


def server(
    config: ServerConfig,
    media: Mapping[str, MakeWire],
    routes: Sequence[BaseRoute] = (),
    ready: Callable[[], bool] = lambda: True,
) -> ChildSpec[Any]:
    """The server as a child named `server`; see `Server`."""
    return ChildSpec("server", partial(Server, config, media, routes, ready))
