"""The application's own channel: it speaks into rooms, and nothing is delivered to it."""

from __future__ import annotations

from models.rooms.capabilities import CAPABILITIES
from models.rooms.channel import BindingChanged, RoomAttached, RoomDetached, TransportSpec
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelDirection, ChannelType
from supervision import Actor, handles

HOST = "host"


class HostChannel(Actor[RoomAttached | RoomDetached | BindingChanged]):
    """Has no wire, so there is nothing it could mind."""

    @handles
    def on_room(self, message: RoomAttached | RoomDetached) -> None:
        """Every room may have it."""

    @handles
    def on_binding(self, message: BindingChanged) -> None:
        """The room sees to it."""


def host_spec(channel_id: str = HOST) -> TransportSpec:
    """To be registered; rooms bind it with the first post."""
    info = ChannelInfo(
        channel_id,
        ChannelType.HOST,
        direction=ChannelDirection.INBOUND,
        capabilities=CAPABILITIES[ChannelType.HOST],
        sender_is_participant=True,
    )
    return TransportSpec(info, HostChannel)
