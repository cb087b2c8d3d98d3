"""The turns of a room's agents: one at a time for each agent, streamed while they are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import attrs

from actors.machines.room.cascade import Cascade
from actors.machines.room.core import RoomCore
from actors.machines.room.steps import BeginTurn, EndStream, OpenStream, StopTurn, StreamMore
from models.rooms.content import Text
from models.rooms.event import DeliveryError, DeliveryResult, EventSource, RoomEvent
from models.rooms.kinds import (
    Access,
    ChannelCategory,
    ChannelDirection,
    ChannelType,
    DeliveryOutcome,
)
from models.rooms.room import ChannelBinding, RoomContext
from models.rooms.scope import admits, history_of


@attrs.define(eq=False)
class Turn:
    """One agent's answer to one event."""

    id: str
    channel_id: str
    trigger: RoomEvent
    cascade: Cascade
    context: RoomContext
    """As it was when the event was committed."""
    text: list[str] = attrs.field(factory=list)
    """Of the segment that is being made."""
    streams: Sequence[str] = ()
    """Channels that show it while it is made."""
    opened: bool = False
    """It has begun to say something."""
    segments: int = 0
    """Parts of the answer that were handed on to be committed."""
    committed: int = 0
    pending: int = 0
    """Parts of the answer that are not on record yet."""
    held: list[str] = attrs.field(factory=list)
    """Text that came while they were not: who watches sees all in order."""
    over: bool = False

    @property
    def correlation(self) -> str:
        """What joins the events of the answer; its streams are called so, too."""
        return self.id

    def take(self) -> str:
        """The segment that ends here."""
        text = "".join(self.text)
        self.text.clear()
        return text


@attrs.define(eq=False)
class Turns:
    """All of one room."""

    core: RoomCore
    by_id: dict[str, Turn] = attrs.field(factory=dict)
    """Those that run."""
    lines: dict[str, deque[Turn]] = attrs.field(factory=dict)
    """By agent: the turn that runs, and those that wait behind it."""
    stale: int = 0
    """Progress of turns that were over already."""

    def add(
        self, channel_id: str, trigger: RoomEvent, cascade: Cascade, before: RoomContext
    ) -> None:
        """An agent is asked to act on an event; `before` is the room just before it."""
        turn = Turn(self.core.new_id(), channel_id, trigger, cascade, before)
        line = self.lines.setdefault(channel_id, deque())
        line.append(turn)
        if len(line) == 1:
            self._begin(line)

    def _begin(self, line: deque[Turn]) -> None:
        """Begin the first of those that wait for which there still is a reason."""
        while line:
            turn = line[0]
            binding = self.core.bindings.get(turn.channel_id)
            known = turn.channel_id in self.core.channels
            if known and binding is not None and not turn.cascade.cancelled:
                self.by_id[turn.id] = turn
                context = self._context_for(turn, binding)
                begin = BeginTurn(turn.channel_id, turn.id, turn.trigger, context, binding)
                self.core.out.append(begin)
                return
            turn.over = True
            line.popleft()
            result = None if known or binding is None else unregistered(turn.channel_id)
            self.core.delivered(turn.trigger.id, turn.channel_id, result)
            if not line:
                del self.lines[turn.channel_id]

    def _context_for(self, turn: Turn, binding: ChannelBinding) -> RoomContext:
        """What this agent may read. Shared with everybody when nothing is kept from anybody."""
        context = turn.context
        window = self.core.channels[turn.channel_id].recent_events_window
        events = context.recent_events
        # Nobody reads a whole window that it did not ask for; one that asks for none gets the
        # room's own.
        if window and len(events) > window:
            events = events[-window:]
        bindings = {b.channel_id: b for b in context.bindings}
        private = any(event.visibility != "all" for event in events)
        if private or any(b.visibility != "all" for b in context.bindings):
            events = tuple(history_of(binding.channel_id, events, bindings))
        return (
            context
            if events is context.recent_events
            else attrs.evolve(context, recent_events=events)
        )

    # -- progress ---------------------------------------------------------------------------

    def said(self, turn_id: str, delta: str) -> None:
        """More text of an answer."""
        turn = self.by_id.get(turn_id)
        if turn is None or turn.over:
            self.stale += 1
            return
        if not delta:
            return
        turn.text.append(delta)
        if not turn.opened:
            self._open(turn)
        if turn.pending:
            turn.held.append(delta)
        else:
            self._show(turn, delta)

    def part_begun(self, turn: Turn) -> None:
        """A part of the answer is on its way to the record."""
        turn.pending += 1
        turn.cascade.hold()

    def part_over(self, turn: Turn) -> None:
        """It is on record, or will not be: what was said after it may be seen."""
        turn.pending -= 1
        if not turn.pending and turn.held:
            self._show(turn, "".join(turn.held))
            turn.held.clear()
        self.core.let_go(turn.cascade)

    def _show(self, turn: Turn, delta: str) -> None:
        for name in turn.streams:
            self.core.out.append(StreamMore(name, turn.id, delta))

    def _open(self, turn: Turn) -> None:
        turn.opened = True
        binding = self.core.bindings.get(turn.channel_id)
        too_deep = turn.trigger.chain_depth + 1 >= self.core.settings.max_chain_depth
        if binding is None or not binding.can_write or too_deep:
            return  # these words are kept, and shown to nobody
        turn.streams = tuple(streaming(self.core, turn.trigger, binding))
        event = self.draft(turn)
        for name in turn.streams:
            self.core.out.append(OpenStream(name, turn.id, event))

    def draft(self, turn: Turn, body: str = "") -> RoomEvent:
        """The event of a segment, as far as it is known without a commit."""
        trigger = turn.trigger
        return RoomEvent(
            id=self.core.new_id(),
            room_id=self.core.room.id,
            source=EventSource(
                turn.channel_id,
                self._type_of(turn.channel_id),
                ChannelDirection.OUTBOUND,
                participant_id=turn.channel_id,
            ),
            content=Text(body),
            created_at=self.core.now,
            visibility=trigger.response_visibility or "all",
            response_visibility=trigger.response_visibility,
            chain_depth=trigger.chain_depth + 1,
            parent_event_id=trigger.parent_event_id,
            correlation_id=turn.correlation,
        )

    def revise(self, now: Mapping[str, RoomEvent | None]) -> None:
        """What was said has been changed, or is gone (None): turns that wait read it so."""
        for line in self.lines.values():
            for turn in line:
                events = turn.context.recent_events
                if turn.id in self.by_id or not any(event.id in now for event in events):
                    continue
                kept = (now.get(event.id, event) for event in events)
                recent = tuple(event for event in kept if event is not None)
                turn.context = attrs.evolve(turn.context, recent_events=recent)

    def _type_of(self, channel_id: str) -> ChannelType:
        """It may have been unregistered, or have left the room, in the middle of its turn."""
        binding, info = self.core.bindings.get(channel_id), self.core.channels.get(channel_id)
        if binding is not None:
            return binding.channel_type
        return info.type if info is not None else ChannelType.AI

    def review(self) -> None:
        """Bindings have changed: who may not watch an answer any more sees no more of it."""
        for turn in self.by_id.values():
            agent = self.core.bindings.get(turn.channel_id)
            speaks = agent is not None and agent.can_write
            watching = streaming(self.core, turn.trigger, agent) if agent and speaks else ()
            for name in turn.streams:
                if name not in watching:
                    self.core.out.append(EndStream(name, turn.id, None, "withdrawn"))
            turn.streams = tuple(name for name in turn.streams if name in watching)

    # -- ends -------------------------------------------------------------------------------

    def close_streams(self, turn: Turn, event: RoomEvent | None, error: str | None) -> None:
        """Tell those who watch that there is no more."""
        for name in turn.streams:
            self.core.out.append(EndStream(name, turn.id, event, error))
        turn.streams = ()

    def end(self, turn: Turn) -> None:
        """A turn is over: the next of its agent begins."""
        turn.over = True
        self.by_id.pop(turn.id, None)
        line = self.lines.get(turn.channel_id)
        if not line or line[0] is not turn:
            return
        line.popleft()
        if line:
            self._begin(line)
        else:
            del self.lines[turn.channel_id]

    def cancel(self, wanted: Callable[[Turn], bool]) -> int:
        """Cut turns short; those that wait never begin. Returns how many run."""
        running = [turn for turn in self.by_id.values() if wanted(turn)]
        for turn in running:
            self.core.out.append(StopTurn(turn.channel_id, turn.id))
        return len(running)


def unregistered(channel_id: str) -> DeliveryResult:
    """The delivery to a channel that the room has and the node does not."""
    fault = DeliveryError(
        "channel_not_registered", "no such channel is registered on this node", retryable=False
    )
    return DeliveryResult(channel_id, DeliveryOutcome.FAILED, error=fault)


def streaming(core: RoomCore, trigger: RoomEvent, agent: ChannelBinding) -> list[str]:
    """The transports that show an answer to `trigger` while it is being made."""
    scope = trigger.response_visibility or "all"
    if scope == "all":
        scope = agent.visibility
    return [
        binding.channel_id
        for binding in core.bindings.values()
        if binding.category is ChannelCategory.TRANSPORT
        and binding.channel_id != agent.channel_id
        and binding.access in (Access.READ_WRITE, Access.READ_ONLY)
        and binding.direction is not ChannelDirection.OUTBOUND
        and admits(scope, binding.channel_id, binding.category)
        and (info := core.channels.get(binding.channel_id)) is not None
        and info.streams
    ]
