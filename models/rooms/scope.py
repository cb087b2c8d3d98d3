"""Who may see an event, who may speak, and who is asked to act. Pure rules, one place.

Visibility is a word of the wire: `all`, `none` or `internal` (nobody), `transport` and
`intelligence` (by category), or channel ids separated by commas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models.rooms.errors import BadValue
from models.rooms.event import RoomEvent
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ChannelCategory,
    ChannelDirection,
    ChannelType,
)
from models.rooms.room import ChannelBinding


def admits(visibility: str, channel_id: str, category: ChannelCategory) -> bool:
    """Whether a visibility lets that channel see what it is on."""
    match visibility:
        case "all":
            return True
        case "none" | "internal" | "":
            return False
        case "transport" | "intelligence":
            return category.value == visibility
        case _:
            return any(channel_id == named.strip() for named in visibility.split(","))


def effective_visibility(event: RoomEvent, source: ChannelBinding | None) -> str:
    """An event's own visibility, or what its source's binding says of all that comes from it."""
    if event.visibility != "all" or source is None:
        return event.visibility
    return source.visibility


def check_scope(scope: str | None) -> None:
    """What may be said of who reads the answers to an event.

    Raises:
        BadValue: it says that nobody may, by a word that is for the room's own records.
    """
    if scope in ("", "internal"):
        raise BadValue(
            [f"response_visibility: {scope!r} is nobody's; answers that are for nobody are `none`"]
        )


def receives(event: RoomEvent, binding: ChannelBinding, source: ChannelBinding | None) -> bool:
    """Whether an event is delivered to a binding. Muted channels still receive; the application's
    own never does.
    """
    return (
        binding.channel_id != event.source.channel_id
        and binding.channel_type is not ChannelType.HOST
        and binding.access in (Access.READ_WRITE, Access.READ_ONLY)
        and binding.direction is not ChannelDirection.OUTBOUND
        and admits(effective_visibility(event, source), binding.channel_id, binding.category)
    )


def may_remember(
    event: RoomEvent, binding: ChannelBinding | None, channel_id: str, source: ChannelBinding | None
) -> bool:
    """Whether a stored event may come back to a channel as history: its own, or one it may see."""
    if event.source.channel_id == channel_id:
        return True
    if binding is None:
        return False
    return admits(effective_visibility(event, source), channel_id, binding.category)


def history_of(
    channel_id: str, events: Iterable[RoomEvent], bindings: Mapping[str, ChannelBinding]
) -> list[RoomEvent]:
    """Those of `events` that a channel may read again."""
    own = bindings.get(channel_id)
    return [
        event
        for event in events
        if may_remember(event, own, channel_id, bindings.get(event.source.channel_id))
    ]


def solicited(
    event: RoomEvent,
    binding: ChannelBinding,
    source: ChannelBinding | None,
    policy: AgentResponsePolicy,
) -> bool:
    """Whether an agent that may see an event is asked to act on it."""
    metadata = event.metadata
    if metadata.get("_orchestration_internal"):
        return False
    name = binding.channel_id
    always = name in metadata.get("_always_process", ())
    if event.addressed_to is not None:
        return always or name in event.addressed_to
    from_agent = source is not None and source.category is ChannelCategory.INTELLIGENCE
    if from_agent and policy is AgentResponsePolicy.ADDRESSED_ONLY:
        return always
    routed = metadata.get("_routed_to")
    if routed is not None:
        return always or name == routed
    return True


def why_not_writable(binding: ChannelBinding) -> str | None:
    """The code of the rule by which nothing from this binding is broadcast; None if it may be."""
    if binding.muted:
        return "source_muted"
    return None if binding.can_write else "source_read_only"


def narrowed(scope: str | None, by: str | None, bindings: Iterable[ChannelBinding]) -> str | None:
    """The visibility that only those have whom both admit; None is no scope.

    Args:
        bindings: all of the room, for where a category meets a list.
    """
    if scope is None or scope == "all":
        return by
    if by is None or by in ("all", scope):
        return scope
    both = [
        binding.channel_id
        for binding in bindings
        if admits(scope, binding.channel_id, binding.category)
        and admits(by, binding.channel_id, binding.category)
    ]
    return ",".join(sorted(both)) or "none"
