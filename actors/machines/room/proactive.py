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
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.states import refuse_if_closed
from actors.machines.room.steps import LOCK, RunHooks, Steps, Turned
from models.rooms.content import Content, Text
from models.rooms.errors import BadValue, ChannelNotFound, RoomsError
from models.rooms.event import NOTHING, EventSource, RoomEvent
from models.rooms.kinds import ChannelCategory, ChannelType, EventStatus, EventType
from models.rooms.room import ChannelBinding

SENDER = "system"
MARK = "_proactive"
"""The key of metadata by which such an event is known: nobody is shown it, not even as an echo."""

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
    run: str = ""
    """Of the hook it comes from; see `requests.Inbound`."""
    depth: int = 0
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


def deliver(pipeline: Pipeline, item: Item, cascade: Cascade) -> Steps[None]:
    """Past the hooks before, into the timeline, and to the hooks after.

    The hooks before it are asked while the room goes on. That they cannot be asked stops nothing.

    Raises:
        ChannelNotFound, BadValue: see `target`. RoomClosed: the room takes nothing more.
        Turned: it is refused for another reason, and not on record.
    """
    core = pipeline.core
    fault: Exception
    event = _event(core, target(tuple(core.bindings.values()), item.channel_id), item)
    try:
        content = yield from _gated(pipeline, event, cascade)
        yield LOCK
        yield from pipeline.catch_up()
        refuse_if_closed(core, EventType.MESSAGE)
        source = target(tuple(core.bindings.values()), item.channel_id)
        event = attrs.evolve(_event(core, source, item), id=event.id, content=content)
        stored = yield from pipeline.passage(event, source, cascade, root=True)
        pipeline.conclude(cascade, stored)
        _tell(core, event, cascade, cascade.reason)
    except (Turned, RoomsError) as error:
        fault = error
        _tell(core, event, cascade, str(error))
        raise fault from None


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
        metadata={**item.metadata, MARK: True},
    )


def _gated(pipeline: Pipeline, event: RoomEvent, cascade: Cascade) -> Steps[Content]:
    """What the hooks before leave of it."""
    core = pipeline.core
    if not core.hooks.has(HookTrigger.BEFORE_DELIVER):
        return event.content
    shown = attrs.evolve(event, visibility="internal", index=core.next_index)
    try:
        verdict: Verdict = yield RunHooks(HookTrigger.BEFORE_DELIVER, shown)
    except RoomsError as error:
        core.announce("hook_error", {"trigger": "before_deliver", "error": type(error).__name__})
        return event.content
    if verdict.injected or verdict.tasks or verdict.observations:
        yield from _added(pipeline, verdict, cascade)
    if verdict.blocked:
        raise Turned(verdict.reason or verdict.blocked_by or "hook")
    content: Content = verdict.event.content
    return content


def _added(pipeline: Pipeline, verdict: Verdict, cascade: Cascade) -> Steps[None]:
    """What the hooks want kept beside it, on its own."""
    core = pipeline.core
    yield LOCK
    yield from pipeline.catch_up()
    events = [
        attrs.evolve(
            one.event,
            room_id=core.room.id,
            index=core.next_index + number,
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


def _tell(core: RoomCore, event: RoomEvent, cascade: Cascade, error: str | None) -> None:
    """The hooks after: it was delivered, or failed with an error."""
    status = EventStatus.DELIVERED if error is None else EventStatus.FAILED
    metadata = dict(event.metadata) if error is None else {**event.metadata, "error": error}
    told = attrs.evolve(event, visibility="internal", status=status, metadata=metadata)
    core.fire(HookTrigger.AFTER_DELIVER, told, cascade)
