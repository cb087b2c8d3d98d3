"""What the application says to agents behind the people's backs.

Instructions reach the agents they name, are never stored and never shown; only the application
gives them. What is delivered proactively (`proactive.py`) is stored, and shown to agents alone.
What the agents answer is a message like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.rooms.errors import BadValue, ChannelNotFound
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelCategory, EventType
from models.rooms.room import ChannelBinding

PROACTIVE = "_proactive"
"""The key of metadata that marks what was delivered proactively."""


def may_show(event: RoomEvent) -> bool:
    """Whether the people on the channel that an event came by may see it.

    What is delivered proactively comes by a transport, but nobody there has said it.
    """
    return not event.metadata.get(PROACTIVE)


def check_sent(
    kind: EventType, addressed_to: Sequence[str] | None, bindings: Mapping[str, ChannelBinding]
) -> None:
    """What the application sends, if it is an instruction, names agents of the room.

    Raises:
        BadValue: it names nobody, or who is no agent. ChannelNotFound: who is not there.
    """
    if kind is not EventType.INSTRUCTION:
        return
    if not addressed_to:
        raise BadValue(["addressed_to: an instruction names the agents that it is for"])
    for name in addressed_to:
        binding = bindings.get(name)
        if binding is None:
            raise ChannelNotFound("channel in the room", name)
        if binding.category is not ChannelCategory.INTELLIGENCE:
            raise BadValue([f"addressed_to: {name!r} is no agent; only agents are instructed"])


def same_kind(before: EventType, after: EventType) -> EventType:
    """The type of an event that a hook has changed: an instruction stays one, and nothing else
    becomes one.
    """
    return before if EventType.INSTRUCTION in (before, after) else after
