"""What can be configured about rooms: the `[rooms]` section."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, le, min_len, optional

from actors.machines.room.core import RoomSettings
from actors.room.agent import RoomAgentConfig
from actors.room.bus import BusConfig
from actors.room.identity import IdentityConfig
from actors.room.plan import RoomsPlan
from actors.room.proactive_messages import ProactiveConfig
from actors.room.sources import SourcesConfig
from transports.channels.webhook import WebhookConfig
from transports.channels.webhook_in import InboundWebhook
from transports.channels.websocket.config import RoomWireConfig


@attrs.frozen
class WebhookSection:
    """A webhook channel: what is sent to it, and what may come in from it."""

    send: WebhookConfig
    receive: InboundWebhook | None = None
    """None: nothing comes in from it."""


def _assistant() -> dict[str, RoomAgentConfig]:
    return {"assistant": RoomAgentConfig()}


@attrs.frozen
class RoomsConfig:
    """The rooms of a node."""

    newcomers: tuple[str, ...] = ("assistant",)
    """Channels that every room has which a first message makes."""
    max_chain_depth: int = attrs.field(default=5, validator=[ge(1), le(50)])
    """Answers to answers to answers: deeper ones are blocked."""
    process_timeout: float = attrs.field(default=30.0, validator=[gt(0), le(600)])
    """Seconds a message may take until it is committed."""
    window: int = attrs.field(default=50, validator=[ge(1), le(2000)])
    """Messages that hooks and agents are shown, at least."""
    admission: int = attrs.field(default=1000, validator=[ge(1), le(100_000)])
    """Messages under way in one room; one more is refused."""
    rest_after: float = attrs.field(default=600.0, validator=[ge(1), le(1e6)])
    """Seconds without anything to do after which a room is put away until somebody needs it."""
    inbound_rate: float | None = attrs.field(default=None, validator=optional(gt(0)))
    """Messages a second from one channel, over all rooms; more are refused."""
    turn_timeout: float = attrs.field(default=300.0, validator=[gt(0), le(3600)])
    """Seconds an agent has for one turn."""
    websockets: tuple[str, ...] = attrs.field(default=("websocket",), validator=min_len(0))
    """Channels of people who come by the room WebSocket."""
    agents: dict[str, RoomAgentConfig] = attrs.field(factory=_assistant)
    """AI channels, by id."""
    webhooks: dict[str, WebhookSection] = attrs.field(factory=dict)
    """Webhook channels, by id."""
    wire: RoomWireConfig = attrs.field(factory=RoomWireConfig)
    identity: IdentityConfig = attrs.field(factory=IdentityConfig)
    bus: BusConfig = attrs.field(factory=BusConfig)
    sources: SourcesConfig = attrs.field(factory=SourcesConfig)
    proactive: ProactiveConfig = attrs.field(factory=ProactiveConfig)

    def __attrs_post_init__(self) -> None:
        names = [*self.websockets, *self.agents, *self.webhooks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are called {twice[0]!r}; every id is one channel's")
        unknown = sorted(set(self.newcomers) - set(names))
        if unknown:
            raise ValueError(f"'newcomers' names {unknown[0]!r}, which is no channel of this node")

    def plan(self) -> RoomsPlan:
        """As the actors of rooms are told."""
        settings = RoomSettings(
            max_chain_depth=self.max_chain_depth,
            process_timeout=self.process_timeout,
            window=self.window,
        )
        return RoomsPlan(
            settings=settings,
            admission=self.admission,
            turn_timeout=self.turn_timeout,
            rest_after=self.rest_after,
            inbound_rate=self.inbound_rate,
            newcomers=self.newcomers,
        )
