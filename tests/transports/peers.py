"""What stands for the far end of a PCM wire: a server on a free port, and a peer in the raw."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import trio

from supervision.testing import SystemUnderTest
from tests.transports.hosts import FakeHost, fake_host
from transports.client_link import connect_link
from transports.frame_link import OpenLink
from transports.pcm.config import PcmConfig
from transports.sansio_link import SansIoLink, open_sansio_link
from transports.server import ServerConfig, Where, server
from transports.server.tree import pcm_wires


@attrs.frozen
class Place:
    """A running server, and the call behind it."""

    address: str
    host: FakeHost
    system: SystemUnderTest

    @property
    def media(self) -> str:
        return self.address.replace("http", "ws") + "/media"

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def statistics(self, path: str) -> Any:
        return self.system.state(path).statistics


async def serve(
    system: SystemUnderTest,
    config: ServerConfig | None = None,
    pcm: PcmConfig | None = None,
    open_link: OpenLink = open_sansio_link,
    routes: Any = (),
) -> Place:
    host = await fake_host(system)
    config = config or ServerConfig(port=0)
    media = {"/media": pcm_wires(host.host.ref, pcm, open_link)}
    await system.start_child(server(config, media, routes))
    address = await system.ref("/server/listener").ask(Where())
    return Place(address, host, system)


@attrs.define(eq=False)
class Peer:
    """A far end that says what it is told to."""

    link: SansIoLink
    sounds: bytearray = attrs.field(factory=bytearray)
    _texts: list[dict[str, Any]] = attrs.field(factory=list)

    async def say(self, **fields: Any) -> None:
        await self.link.send([orjson.dumps(fields).decode()])

    async def send(self, *payloads: bytes | str) -> None:
        await self.link.send(payloads)

    async def told(self, kind: str, within: float = 30.0) -> Mapping[str, Any]:
        """The next text of that type; sound that comes before it is kept."""
        with trio.fail_after(within):
            while True:
                for text in self._texts:
                    if text["type"] == kind:
                        self._texts.remove(text)
                        return text
                await self.hear()

    async def hear(self) -> None:
        for payload in await self.link.receive():
            if isinstance(payload, bytes):
                self.sounds += payload
            else:
                self._texts.append(orjson.loads(payload))

    async def start(self, **fields: Any) -> Mapping[str, Any]:
        await self.say(type="start", stream="s1", **{"rate": 16000, **fields})
        return await self.told("ready")


@asynccontextmanager
async def peer_of(place: Place, **options: Any) -> AsyncIterator[Peer]:
    async with connect_link(place.media, **options) as link:
        yield Peer(link)
