"""Who somebody is, across rooms and channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from models.rooms.event import NOTHING
from models.rooms.kinds import ChannelType, IdentificationStatus


@attrs.frozen
class Identity:
    """A person that the address book knows."""

    id: str
    organization_id: str | None = None
    display_name: str | None = None
    email: str | None = None
    phone: str | None = None
    channel_addresses: Mapping[str, Sequence[str]] = NOTHING
    """Addresses by channel type."""
    external_id: str | None = None
    external_ids: Mapping[str, str] = NOTHING
    metadata: Mapping[str, Any] = NOTHING


@attrs.frozen
class IdentityResult:
    """What a resolver found out about a sender."""

    status: IdentificationStatus
    identity: Identity | None = None
    candidates: Sequence[Identity] = ()
    address: str | None = None
    channel_type: ChannelType | None = None
    challenge_type: str | None = None
    message: str | None = None
