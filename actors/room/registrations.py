"""What is registered on a node: its channels and hooks, as one value that all rooms share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import attrs

from actors.machines.room.hooking import HookTable
from models.rooms.channel import AgentSpec, ChannelSpec
from models.rooms.info import ChannelInfo
from supervision import Request


@attrs.frozen(slots=False)
class Registrations:
    """A snapshot; another one is made when something is registered."""

    channels: Mapping[str, ChannelSpec] = attrs.field(factory=dict)
    hooks: HookTable = attrs.field(factory=HookTable)

    @cached_property
    def infos(self) -> Mapping[str, ChannelInfo]:
        """What each channel says about itself."""
        return {name: spec.info for name, spec in self.channels.items()}

    def agent(self, channel_id: str) -> AgentSpec:
        """How that agent's actors are made."""
        spec = self.channels[channel_id]
        assert isinstance(spec, AgentSpec)
        return spec


@attrs.frozen
class CurrentRegistrations(Request[Registrations]):
    """What is registered just now."""


@attrs.frozen
class RegistrationsChanged:
    """Channels or hooks of the node are others now."""

    registrations: Registrations
