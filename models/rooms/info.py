"""What a channel says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from models.rooms.event import NOTHING
from models.rooms.kinds import ChannelCategory, ChannelDirection, ChannelType
from models.rooms.room import TEXT_ONLY, ChannelCapabilities, check_id

RESERVED = frozenset({"all", "none", "internal", "transport", "intelligence"})


def _id(_instance: object, _field: object, value: str) -> None:
    check_id("a channel id", value)
    if "," in value or value in RESERVED:
        raise ValueError(
            f"a channel id holds no comma and is none of {', '.join(sorted(RESERVED))}, which mean "
            f"something else where visibility is told: {value!r} will not do"
        )


@attrs.frozen
class ChannelInfo:
    """What a channel says about itself when it is registered. Its id names it everywhere."""

    id: str = attrs.field(validator=_id)
    type: ChannelType
    category: ChannelCategory = ChannelCategory.TRANSPORT
    direction: ChannelDirection = ChannelDirection.BIDIRECTIONAL
    capabilities: ChannelCapabilities = TEXT_ONLY
    provider: str | None = None
    """The name of the service behind it."""
    sender_is_participant: bool = False
    """Who sends on it is named by participant, not by address: nobody has to be identified."""
    recipient_key: str = ""
    """The key of binding metadata that holds the address to deliver to; "" if it needs none."""
    echoes: bool = False
    """It is delivered what came from itself, too: other people on it have to see it."""
    streams: bool = False
    """It shows answers while they are being made."""
    recent_events_window: int = 0
    """How many messages of history it reads for a turn."""
    metadata: Mapping[str, Any] = NOTHING
