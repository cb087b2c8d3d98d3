"""What the application has agents told of its own accord: how, when, and its way into the room.

Nobody in the room has asked. The content comes in as if "system" had said it on a transport, for
agents alone; what people see is the answer. Where the people are on a phone, the transport of their
voice is preferred.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import attrs
from attrs.validators import ge, gt, lt

from actors.machines.room.broadcast import deliver_injected
from actors.machines.room.cascade import Cascade
from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTrigger, Verdict
from actors.machines.room.instructing import PROACTIVE
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.states import entered, refuse_if_closed
from actors.machines.room.steps import RunHooks, Steps, Turned
from models.rooms.content import Content, Text
from models.rooms.errors import BadValue, ChannelNotFound, RoomsError
from models.rooms.event import NOTHING, EventSource, RoomEvent
from models.rooms.kinds import ChannelCategory, ChannelType, EventStatus, EventType
from models.rooms.room import ChannelBinding

SENDER = "system"

# -- how -------------------------------------------------------------------------------------------


def _seconds(default: float) -> Any:
    return attrs.field(default=default, validator=[ge(0), lt(inf)])


@attrs.frozen
class Immediate:
    """At once, whatever goes on."""


@attrs.frozen
class WaitForIdle:
    """Once no agent has a turn and nothing is being said; in the end, anyway."""

    buffer: float = _seconds(1.0)
    """Seconds of quiet before it."""
    timeout: float = attrs.field(default=15.0, validator=[gt(0), lt(inf)])
    """Seconds it waits at most."""


@attrs.frozen
class Queued(WaitForIdle):
    """The same; texts for one channel that come while one of them waits are joined into one."""

    separator: str = "\n\n"


Strategy = Immediate | WaitForIdle | Queued

STRATEGIES: Mapping[str, Strategy] = {
    "immediate": Immediate(),
    "wait_for_idle": WaitForIdle(),
    "queued": Queued(),
}


def strategy_of(strategy: str | Strategy) -> Strategy:
    """A strategy, by its name or as it is.

    Raises:
        BadValue: there is none of that name.
    """
    if not isinstance(strategy, str):
        return strategy
    known = STRATEGIES.get(strategy)
    if known is None:
        raise BadValue([f"strategy: {strategy!r} is none of {', '.join(STRATEGIES)}"])
    return known


# -- what ------------------------------------------------------------------------------------------


class ItemStatus(enum.StrEnum):
    """What became of an item."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    """By a hook: that is no failure."""
    FAILED = "failed"
    DEAD_LETTER = "dead_letter"


@attrs.frozen
class Item:
    """Something for the agents of a room."""

    id: str
    room_id: str
    content: Content = attrs.field(repr=False)
    channel_id: str | None = None
    """The transport; None chooses one."""
    strategy: Strategy = Immediate()
    metadata: Mapping[str, Any] = NOTHING
    depth: int = 0
    """Of the hooks it comes from."""
    retry_count: int = 0
    max_retries: int = attrs.field(default=3, validator=ge(0))
    status: ItemStatus = ItemStatus.PENDING
    error: str | None = None
    """Why it failed, the last time."""

    def joins(self, other: Item) -> bool:
        """Whether this one, which waits, takes the other one along."""
        return (
            isinstance(self.strategy, Queued)
            and isinstance(other.strategy, Queued)
            and self.strategy.separator == other.strategy.separator
            and isinstance(self.content, Text)
            and isinstance(other.content, Text)
            and (self.room_id, self.channel_id) == (other.room_id, other.channel_id)
        )


def joined(items: Sequence[Item]) -> Item:
    """Items that go together, as one: the first, with the words and the metadata of all."""
    first = items[0]
    if len(items) == 1:
        return first
    assert isinstance(first.strategy, Queued)
    texts = [item.content.body for item in items if isinstance(item.content, Text)]
    metadata = {key: value for item in items for key, value in item.metadata.items()}
    content = Text(first.strategy.separator.join(texts))
    depth = max(item.depth for item in items)
    return attrs.evolve(first, content=content, metadata=metadata, depth=depth)


# -- whither ---------------------------------------------------------------------------------------

VOICES = frozenset(
    {
        ChannelType.VOICE,
        ChannelType.REALTIME_VOICE,
        ChannelType.REALTIME_AUDIO_VIDEO,
        ChannelType.AUDIO_VIDEO,
    }
)


def target(bindings: Sequence[ChannelBinding], channel_id: str | None) -> ChannelBinding:
    """The transport by which content comes in.

    Args:
        channel_id: a transport of the room. For an agent, one is chosen as for None.
    Raises:
        ChannelNotFound: the room has no such channel, or none at all that would do.
    """
    if channel_id is not None:
        named = next((b for b in bindings if b.channel_id == channel_id), None)
        if named is None:
            raise ChannelNotFound("channel in the room", channel_id)
        if named.channel_type is ChannelType.HOST:
            raise BadValue([f"channel_id: {channel_id!r} is the application's own: use post"])
        if named.category is ChannelCategory.TRANSPORT:
            return named
    fit = [
        binding
        for binding in bindings
        if binding.category is ChannelCategory.TRANSPORT
        and binding.channel_type is not ChannelType.HOST
    ]
    if not fit:
        raise ChannelNotFound("transport in the room", channel_id or "(any)")
    return min(fit, key=lambda b: (b.channel_type not in VOICES, not b.can_write))


# -- the way in ------------------------------------------------------------------------------------


@attrs.frozen
class Gated:
    """What the hooks before have left of an item."""

    content: Content = attrs.field(repr=False)
    dropped: bool = False
    reason: str | None = None
    """Why, if they have dropped it."""


def gate(pipeline: Pipeline, item: Item) -> Steps[Gated]:
    """Ask the hooks before. The room goes on meanwhile; that they cannot be asked stops nothing.

    Raises:
        ChannelNotFound, BadValue: see `target`.
    """
    core = pipeline.core
    source = target(tuple(core.bindings.values()), item.channel_id)
    if not core.hooks.has(HookTrigger.BEFORE_DELIVER):
        return Gated(item.content)
    shown = attrs.evolve(_event(core, source, item), visibility="internal")
    try:
        verdict: Verdict = yield RunHooks(HookTrigger.BEFORE_DELIVER, shown)
    except RoomsError as error:
        core.announce("hook_error", {"trigger": "before_deliver", "error": type(error).__name__})
        return Gated(item.content)
    for failed in verdict.errors:
        data = {"hook": failed.hook, "trigger": str(failed.trigger)}
        core.announce("hook_error", data, channel_id=source.channel_id)
    if verdict.injected or verdict.tasks or verdict.observations:
        yield from _added(pipeline, verdict)
    if verdict.blocked:
        why = {"reason": verdict.reason, "blocked_by": verdict.blocked_by}
        core.announce("delivery_dropped", why, channel_id=source.channel_id)
        return Gated(item.content, True, verdict.reason or verdict.blocked_by)
    return Gated(verdict.event.content)


def _added(pipeline: Pipeline, verdict: Verdict) -> Steps[None]:
    """What the hooks want kept beside it, on its own."""
    core = yield from entered(pipeline)
    cascade = core.new_cascade()
    first = core.next_index
    events = [
        attrs.evolve(
            one.event,
            room_id=core.room.id,
            index=first + number,
            status=EventStatus.DELIVERED,
            blocked_by=None,
        )
        for number, one in enumerate(verdict.injected)
    ]
    change = core.change(
        tuple(events),
        activity=bool(events),
        tasks=tuple(verdict.tasks),
        observations=tuple(verdict.observations),
    )
    yield from pipeline.commit(change)
    for one, told in zip(verdict.injected, events, strict=True):
        deliver_injected(core, told, one.target_channel_ids, cascade)
    pipeline.tasks_created(tuple(verdict.tasks))


def deliver(pipeline: Pipeline, item: Item, cascade: Cascade) -> Steps[None]:
    """Into the timeline, and to the agents; then the hooks after are told.

    Raises:
        ChannelNotFound, BadValue: see `target`. RoomClosed: the room takes nothing more.
        Turned: it is refused for another reason, and not on record.
    """
    core = pipeline.core
    # A hook after deliveries that delivers comes to an end where agents that answer each other do.
    deep = item.depth >= core.settings.max_chain_depth
    why = "event_chain_depth_limit" if deep else None
    try:
        yield from entered(pipeline)
        refuse_if_closed(core, EventType.MESSAGE)
        source = target(tuple(core.bindings.values()), item.channel_id)
        event = _event(core, source, item)
        stored = yield from pipeline.passage(event, source, cascade, root=True, why=why)
    except (Turned, RoomsError) as fault:
        if not deep:
            _tell_after(core, item, str(fault))
        raise
    pipeline.conclude(cascade, stored)
    if not deep:
        _tell_after(core, item, cascade.reason)


def _tell_after(core: RoomCore, item: Item, error: str | None) -> None:
    """The hooks after: it was delivered, or failed with an error."""
    if not core.hooks.has(HookTrigger.AFTER_DELIVER):
        return
    try:
        source = target(tuple(core.bindings.values()), item.channel_id)
        event = _event(core, source, item)
    except RoomsError:
        event = attrs.evolve(core.record(EventType.MESSAGE, "", ""), content=item.content)
    status = EventStatus.DELIVERED if error is None else EventStatus.FAILED
    told = dict(item.metadata) if error is None else {**item.metadata, "error": error}
    event = attrs.evolve(event, visibility="internal", status=status, metadata=told)
    core.fire(HookTrigger.AFTER_DELIVER, event)


def _event(core: RoomCore, source: ChannelBinding, item: Item) -> RoomEvent:
    return RoomEvent(
        id=core.new_id(),
        room_id=core.room.id,
        source=EventSource(source.channel_id, source.channel_type, participant_id=SENDER),
        content=item.content,
        created_at=core.now,
        visibility="intelligence",
        # Tried again, it is the same message.
        idempotency_key=f"proactive:{item.id}",
        chain_depth=item.depth,
        metadata={**item.metadata, PROACTIVE: True},
    )
