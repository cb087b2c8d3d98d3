"""The composition root: the whole node as specifications.

Only here and in `providers.py` are concrete providers and transports named; everything else asks
for a small protocol and is handed what fits. The tree of a running node can be read off this page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from starlette.routing import BaseRoute

from actors.call.exchange import Exchange
from actors.call.tree import CallPlan
from actors.channels import find_websocket, inbound_webhooks, kept, rooms
from actors.config import TroupeConfig
from actors.demo import script_of, team_of
from actors.machines.speech_text import SpeechTextConfig
from actors.providers import PATIENT, Providers, providers
from actors.room.config import RoomsConfig
from models.llm.dialogue import ScriptError, phrases
from models.local import EngineMissing
from supervision import Actor, ChildSpec, DynamicSupervisor, System
from supervision.secret import Secret
from transports.channels.webhook_in import webhook_routes
from transports.channels.websocket import room_wires
from transports.connection import Connection
from transports.pcm.config import PcmConfig
from transports.server.config import ServerConfig
from transports.server.head import Head
from transports.server.listener import tls_context
from transports.server.tree import Server, pcm_wires
from transports.stores.postgres import DriverMissing

logger = logging.getLogger("troupe.node")

CALLS = "/calls"
EXCHANGE = "/exchange"
SERVER = "/server"


def compose(config: TroupeConfig) -> Sequence[ChildSpec[Any]]:
    """The children of the root, for the node that `config` describes.

    What is listed later may rely on what is listed before: it starts after it and stops before it.
    Nobody is restarted with anybody, for references outlive restarts.

    Raises:
        EngineMissing: the package of an engine that is named is not installed.
        ScriptError: the dialogue script cannot be used.
    """
    warn_of_open_door(config.server)
    models = providers(config.models)
    plan = call_plan(config, models)
    return [
        models.spec,
        ChildSpec(
            CALLS.strip("/"),
            partial(DynamicSupervisor, max_children=config.calls.max_calls),
            backoff=PATIENT,
        ),
        ChildSpec(EXCHANGE.strip("/"), partial(Exchange, plan, config.calls), backoff=PATIENT),
        *rooms(config.rooms, config.store, models.models),
        ChildSpec(
            SERVER.strip("/"),
            partial(_Server, config.server, config.media, config.rooms),
            shutdown=5.0,
            backoff=PATIENT,
        ),
    ]


class Unusable(Exception):
    """The configuration names something that is not there, or cannot be used."""


def check(config: TroupeConfig) -> None:
    """Look at what the configuration names outside itself: scripts, packages, certificates.

    Raises:
        Unusable: one of them cannot be used; says which, and why.
    """
    try:
        script_of(config.models.llm.dialogue.script)
        providers(config.models)
        kept(config.store)
        tls_context(config.server)
    except (ScriptError, EngineMissing, DriverMissing, OSError) as error:
        raise Unusable(str(error)) from error


def warn_of_open_door(config: ServerConfig) -> None:
    """Say what a server that is reached from elsewhere, but lets nobody in, is missing."""
    if config.host not in ("127.0.0.1", "::1", "localhost") and not config.tokens:
        logger.warning(
            "the server listens on %s but has no tokens, so nobody from another machine can come "
            "in; give it `server.tokens`",
            config.host,
        )


def call_plan(config: TroupeConfig, models: Providers) -> CallPlan:
    """What every call is made of."""
    script = script_of(config.models.llm.dialogue.script)
    return CallPlan(
        team_of(script),
        models.vad,
        models.recognisers,
        models.voices,
        models.models,
        floor=config.floor,
        text=SpeechTextConfig(language=config.speech.language),
        phrases=phrases(script) if config.speech.expect_script else (),
        language=config.speech.language,
        voice=config.speech.voice,
        turn=models.turn,
        calls=CALLS,
    )


class _Server(Server):
    """The one port, with the exchange behind its media path."""

    def __init__(self, config: ServerConfig, media: PcmConfig, rooms: RoomsConfig) -> None:
        self._settings = media
        self._rooms = rooms
        wires = {"/media": self._wire, "/ws": self._room_wire}
        super().__init__(config, wires, public=self._webhooks)

    def _wire(
        self, connection: Connection, head: Head, admits: Callable[[Secret | None], bool]
    ) -> Actor[Any]:
        # The exchange is looked up when somebody comes: while this actor is made, it has no place
        # in the tree yet.
        return pcm_wires(self.system.ref(EXCHANGE), self._settings)(connection, head, admits)

    def _room_wire(
        self, connection: Connection, head: Head, admits: Callable[[Secret | None], bool]
    ) -> Actor[Any]:
        find = partial(find_websocket, self._rooms, self._rooms.plan(), self.system)
        return room_wires(find, self._rooms.wire)(connection, head, admits)

    def _webhooks(self, system: System) -> Sequence[BaseRoute]:
        return webhook_routes(system.ref(self._rooms.plan().desk), inbound_webhooks(self._rooms))
