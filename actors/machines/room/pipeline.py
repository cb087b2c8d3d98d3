"""The one way into a timeline, in the thirteen steps that the field publishes.

     1  inbound routing       desk.py finds the room of a message,
     2  auto-create           and makes one if there is none
     3  channel conversion    `converted`
     4  identity resolution   identifying.py, before the lock: it may take long
     5  room lock             `yield LOCK`
     6  idempotency check     `_seen_before`
     7  sync hooks            `judging.py`
     8  event storage         `_stored`: event, index, counters, activity in one commit
     9  broadcast             broadcast.py plans, delivery actors carry out
    10  reentry drain         `answer`: every answer is a passage of its own
    11  side effects          tasks, observations, injected events: in the same commit
    12  async hooks           `RoomCore.finish`, when the deliveries of the event are done
    13  activity update       in the same commit

Nothing is delivered that is not on disk, and whatever is refused before step 8 leaves no trace.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

import attrs

from actors.machines.room import editing
from actors.machines.room.broadcast import broadcast, deliver_injected
from actors.machines.room.cascade import Cascade
from actors.machines.room.converting import converted
from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTrigger, InjectedEvent, Verdict
from actors.machines.room.identifying import Challenged, IdentitySettings, sender_of
from actors.machines.room.judging import ask_hooks, ask_hooks_early, scoped
from actors.machines.room.lifecycle import OPEN
from actors.machines.room.steps import (
    LOCK,
    FindEvent,
    FindKey,
    Keep,
    Steps,
    TellAttached,
    TellDetached,
    Turned,
)
from actors.machines.room.turns import Turn, Turns
from models.rooms.errors import Conflict, RoomsError, StoreUnavailable
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import (
    EventStatus,
    EventType,
    RoomStatus,
)
from models.rooms.room import DETACHED, ChannelBinding
from models.rooms.scope import check_scope, effective_visibility, narrowed, why_not_writable
from models.rooms.traffic import InboundMessage, Observation, Task
from models.rooms.turns import Answer
from transports.stores.backend import Change, DuplicateKey

logger = logging.getLogger("troupe.rooms")

NEWCOMERS = "troupe:newcomers"
"""The key of room metadata that lists channels which are still to be attached."""


@attrs.define(eq=False)
class Pipeline:
    """The passages of one room."""

    core: RoomCore
    turns: Turns
    identity: IdentitySettings = attrs.field(factory=IdentitySettings)

    # -- from a channel ---------------------------------------------------------------------

    def inbound(self, message: InboundMessage, cascade: Cascade) -> Steps[None]:
        """A message from a channel, from step 3 on."""
        core = self.core
        check_scope(message.response_visibility)
        info = core.channels[message.channel_id]
        event = converted(core, message, info)
        challenge: InjectedEvent | None = None
        early: Verdict | None = None
        try:
            sender = yield from sender_of(core, self.identity, message, event, info)
            if sender.participant_id != event.source.participant_id or cascade.depth:
                told = attrs.evolve(event.source, participant_id=sender.participant_id)
                event = attrs.evolve(event, source=told, chain_depth=cascade.depth)
            early = yield from ask_hooks_early(self.core, event)
        except Challenged as challenged:
            challenge = challenged.inject
        yield LOCK
        yield from self.catch_up()
        self.gate(event)
        yield from self.let_newcomers_in()
        source = yield from self.bound(info, message)
        if challenge is not None:
            yield from self._challenge(challenge, cascade)
            raise Turned("identity_challenge_sent")
        if (
            sender.joining is not None
            and core.participants.get(sender.joining.id) != sender.joining
        ):
            body = "joined"
            record = core.record(
                EventType.PARTICIPANT_JOINED,
                sender.code,
                body,
                {"participant_id": sender.joining.id},
            )
            yield from self.commit(core.change((record,), participants=(sender.joining,)))
        yield from self._through(event, source, cascade, early)

    def _through(
        self,
        event: RoomEvent,
        source: ChannelBinding | None,
        cascade: Cascade,
        early: Verdict | None,
    ) -> Steps[None]:
        """What came from outside, once it is inside."""
        why = self._loops(cascade)
        self.conclude(
            cascade,
            (yield from self.passage(event, source, cascade, root=True, why=why, early=early)),
        )

    def _loops(self, cascade: Cascade) -> str | None:
        """The rule by which a hook has said enough: one that answers itself would never end."""
        if cascade.above is not None:
            return None if cascade.may_answer() else "reentry_loop_cap"
        deep = cascade.depth >= self.core.settings.max_chain_depth
        return "event_chain_depth_limit" if deep else None

    def _challenge(self, inject: InjectedEvent, cascade: Cascade) -> Steps[None]:
        """The question that an unknown sender is asked: stored, and brought to them."""
        core = self.core
        event = _placed(core, inject, core.next_index)
        yield from self.commit(core.change((event,), activity=True))
        deliver_injected(core, event, inject.target_channel_ids, cascade)

    def sent(self, event: RoomEvent, cascade: Cascade) -> Steps[None]:
        """An event from the application, on a channel that is bound: the same way in."""
        check_scope(event.response_visibility)
        if cascade.depth > event.chain_depth:
            event = attrs.evolve(event, chain_depth=cascade.depth)
        early = yield from ask_hooks_early(self.core, event)
        yield LOCK
        yield from self.catch_up()
        self.gate(event)
        source = self.core.bindings.get(event.source.channel_id)
        yield from self._through(event, source, cascade, early)

    def conclude(self, cascade: Cascade, event: RoomEvent) -> None:
        """What its sender will be told: of a replay, what became of the first."""
        cascade.event = event
        # In the words of the hook that blocked it, if it gave any.
        cascade.reason = (cascade.reason or event.blocked_by) if event.blocked else None

    # -- gates ------------------------------------------------------------------------------

    def catch_up(self) -> Steps[None]:
        """What the timers should have done by now, they do first."""
        core = self.core
        while (due := core.due()) is not None:
            change, room, record, trigger = due
            yield from self.commit(core.change((record,), room=room))
            kind = "room_closed" if change.status is RoomStatus.CLOSED else "room_paused"
            core.fire(trigger, record)
            core.announce(kind, {"reason": "timer"})

    def gate(self, event: RoomEvent, *, reentry: bool = False) -> None:
        """A closed room takes nothing."""
        status = self.core.room.status
        if status in OPEN:
            return
        data = {"status": status.value, "event_type": event.type.value}
        self.core.announce("room_refused_event", data | ({"reentry": True} if reentry else {}))
        raise Turned("room_closed")

    def let_newcomers_in(self) -> Steps[None]:
        """Attach what a room that a message made has from the start. The room is locked.

        Their names are on record with the room until all are in: neither a second message of the
        same moment nor the end of the node leaves one of them outside.
        """
        core = self.core
        names = core.room.metadata.get(NEWCOMERS)
        if not isinstance(names, list):
            return
        for name in names:
            info = core.channels.get(name)
            if info is None:
                logger.warning(f"room {core.room.id}: there is no channel {name} to attach")
            elif name not in core.bindings and name not in core.tombstones:
                try:
                    yield from self.attach(_binding(core, info))
                except (StoreUnavailable, Conflict):
                    raise
                except RoomsError as error:
                    logger.warning(f"room {core.room.id}: {name} does not come in: {error}")
        rest = {key: value for key, value in core.room.metadata.items() if key != NEWCOMERS}
        yield from self.commit(core.change(room=attrs.evolve(core.room, metadata=rest)))

    def bound(self, info: ChannelInfo, message: InboundMessage) -> Steps[ChannelBinding | None]:
        """The binding of the source; a channel nobody detached is attached by its first message.

        None if it was detached on purpose: that is not undone by a message.
        """
        core = self.core
        binding = core.bindings.get(info.id)
        if binding is not None or info.id in core.tombstones:
            return binding
        metadata = {info.recipient_key: message.sender_id} if info.recipient_key else {}
        binding = attrs.evolve(
            _binding(core, info),
            participant_id=None if info.sender_is_participant else message.sender_id,
            metadata=metadata,
        )
        yield from self.attach(binding)
        return binding

    def attach(self, binding: ChannelBinding) -> Steps[None]:
        """A new binding, or one that replaces another. The room is locked."""
        core = self.core
        before = core.bindings.get(binding.channel_id)
        room = core.room
        if binding.channel_id in core.tombstones:
            left = [name for name in core.tombstones if name != binding.channel_id]
            room = attrs.evolve(room, metadata={**room.metadata, DETACHED: left})
        yield TellAttached(binding)  # it may refuse: nothing is written yet
        data = {
            "channel_id": binding.channel_id,
            "channel_type": binding.channel_type.value,
            "access": binding.access.value,
            "visibility": binding.visibility,
        }
        body = f"{binding.channel_id} attached"
        record = core.record(EventType.CHANNEL_ATTACHED, "channel_attached", body, data)
        cursors = {} if before is not None else {binding.channel_id: record.index}
        change = core.change((record,), room=room, bound=(binding,), cursors=cursors)
        try:
            yield from self.commit(change)
        except RoomsError:
            if before is None:
                with suppress(RoomsError):
                    yield TellDetached(binding.channel_id)
            raise
        core.fire(HookTrigger.ON_CHANNEL_ATTACHED, record)
        core.announce(
            "room_channel_attached",
            {"access": binding.access.value, "visibility": binding.visibility},
            channel_id=binding.channel_id,
        )

    # -- the passage ------------------------------------------------------------------------

    def passage(
        self,
        event: RoomEvent,
        source: ChannelBinding | None,
        cascade: Cascade,
        *,
        root: bool = False,
        why: str | None = None,
        early: Verdict | None = None,
        turn: Turn | None = None,
        observations: Sequence[Observation] = (),
    ) -> Steps[RoomEvent]:
        """One event, from the lock to its broadcast. Returns it as it is on record.

        Args:
            source: the binding it came by.
            root: it is what somebody sent, and not an answer.
            why: the code of the rule that blocks it, if one is known before the hooks run.
            early: what hooks have said that need no lock.
            turn: whose answer it is.
        Raises:
            Turned: it is refused, and not on record.
        """
        core = self.core
        original = yield from self._seen_before(event)
        if original is not None:
            return original
        event = yield from self._threaded(event)
        target = yield from self._target(event)
        verdict = early
        if why is None and core.hooks.has(HookTrigger.BEFORE_BROADCAST):
            verdict = yield from ask_hooks(core, event, early)
        judged = event if verdict is None or verdict.blocked else scoped(core, verdict.event, event)
        if verdict is not None and verdict.blocked:
            why = verdict.blocked_by or "hook"
            if root:
                cascade.reason = verdict.reason
        elif why is None:
            why = "source_unbound" if source is None else why_not_writable(source)
        if why is None and (judged.type, judged.content) != (event.type, event.content):
            target = yield from self._target(judged)  # a hook may have made it another change
        try:
            return (
                yield from self._stored(
                    event if why else judged,
                    why,
                    verdict,
                    cascade,
                    root=root,
                    target=None if why else target,
                    turn=turn,
                    observations=observations,
                )
            )
        except DuplicateKey as known:
            return known.original

    def _seen_before(self, event: RoomEvent) -> Steps[RoomEvent | None]:
        """Step 6. Where nothing is decided before it, the commit itself tells: a question saved."""
        decides = self.core.hooks.has(HookTrigger.BEFORE_BROADCAST) or editing.is_change(event)
        if event.idempotency_key is None or not decides:
            return None
        original: RoomEvent | None = yield FindKey(event.idempotency_key)
        return original

    def find(self, event_id: str) -> Steps[RoomEvent | None]:
        """An event of this room; blocked ones too. The newest are at hand."""
        for event in reversed(self.core.recent):
            if event.id == event_id and not event.metadata.get("deleted"):
                return event
        found: RoomEvent | None = yield FindEvent(event_id)
        return found

    def _threaded(self, event: RoomEvent) -> Steps[RoomEvent]:
        """A thread has one root: the answer to an answer belongs to the same."""
        if event.parent_event_id is None:
            return event
        parent = yield from self.find(event.parent_event_id)
        if parent is None:
            logger.warning(f"room {event.room_id}: {event.id} answers to an event that is not here")
            return attrs.evolve(event, parent_event_id=None)
        root = parent.parent_event_id or parent.id
        return event if root == event.parent_event_id else attrs.evolve(event, parent_event_id=root)

    def _target(self, event: RoomEvent) -> Steps[RoomEvent | None]:
        """What an edit or a delete changes; None if the event is neither."""
        if not editing.is_change(event):
            return None
        name = editing.target_of(event)
        target = (yield from self.find(name)) if name is not None else None
        who = self.core.participants.get(event.source.participant_id or "")
        reason = editing.why_not(event, target, who, self.core.channels)
        if reason is not None:
            raise Turned(reason)
        return target

    def _stored(
        self,
        event: RoomEvent,
        why: str | None,
        verdict: Verdict | None,
        cascade: Cascade,
        *,
        root: bool,
        target: RoomEvent | None,
        turn: Turn | None,
        observations: Sequence[Observation],
    ) -> Steps[RoomEvent]:
        """Steps 8 to 11 and 13."""
        core = self.core
        instruction = event.type is EventType.INSTRUCTION
        kept = core.keeps(event) or (why is not None and not instruction)
        first = core.next_index
        event = attrs.evolve(
            event,
            index=first if kept else core.room.latest_index,
            status=EventStatus.BLOCKED if why else EventStatus.DELIVERED,
            blocked_by=why,
            # Who may see it is settled here: a binding that is opened later does not show what was
            # whispered by it.
            visibility=effective_visibility(event, core.bindings.get(event.source.channel_id)),
        )
        injected = verdict.injected if verdict is not None else ()
        extra = [_placed(core, one, first + kept + k) for k, one in enumerate(injected)]
        updated = editing.changed(event, target) if target is not None else None
        tasks = tuple(verdict.tasks) if verdict is not None else ()
        seen = (*observations, *(verdict.observations if verdict is not None else ()))
        before = core.context
        if kept or extra or tasks or seen:
            change = core.change(
                (event, *extra) if kept else tuple(extra),
                activity=why is None or bool(extra),
                changed=(updated,) if updated is not None else (),
                tasks=tasks,
                observations=seen,
                cursors=self._taken(turn),
            )
            yield from self.commit(change)
        if why:
            reason = verdict.reason if verdict is not None else None
            core.announce(
                "event_blocked", {"reason": reason or why, "blocked_by": why}, event_id=event.id
            )
        else:
            broadcast(core, self.turns, event, cascade, before, root, updated, turn)
        for one, told in zip(injected, extra, strict=True):
            deliver_injected(core, told, one.target_channel_ids, cascade)
        self.tasks_created(tasks)
        return event

    def _taken(self, turn: Turn | None) -> dict[str, int]:
        """With its first word on record an agent's turn counts as taken: it is not begun again."""
        if turn is None or turn.committed or not self.core.keeps(turn.trigger):
            return {}
        if turn.channel_id not in self.core.bindings:
            return {}  # a cursor belongs to a binding, and that is gone
        turn.committed += 1
        return {turn.channel_id: turn.trigger.index}

    def tasks_created(self, tasks: Sequence[Task]) -> None:
        """Tell of new tasks."""
        for task in tasks:
            told = attrs.evolve(
                self.core.record(EventType.TASK_CREATED, "task_created", task.title),
                metadata={"task_id": task.id, "task_title": task.title},
            )
            self.core.fire(HookTrigger.ON_TASK_CREATED, told)

    def commit(self, change: Change) -> Steps[None]:
        """Steps 8 and 13: on disk, then in mind."""
        yield Keep(change)
        self.core.accept(change)
        if change.changed:
            self.turns.revise({event.id: editing.readable(event) for event in change.changed})

    # -- answers ----------------------------------------------------------------------------

    def answer(self, turn: Turn, answer: Answer) -> Steps[RoomEvent | None]:
        """Step 10: something an agent says, as a passage of its own. The room is locked.

        None if the room takes nothing more.
        """
        core = self.core
        if answer.type is EventType.INSTRUCTION:
            logger.warning(f"room {core.room.id}: {turn.channel_id} would instruct agents; dropped")
            return None
        draft = self.turns.draft(turn)
        event = attrs.evolve(
            draft,
            content=answer.content,
            type=answer.type,
            visibility=narrowed(
                turn.trigger.response_visibility, answer.visibility, core.bindings.values()
            )
            or "all",
            addressed_to=answer.addressed_to,
            metadata=answer.metadata,
        )
        try:
            yield from self.catch_up()
            self.gate(event, reentry=True)
        except Turned:
            return None
        source = core.bindings.get(turn.channel_id)
        why, observed = self._too_deep(turn, event)
        if why is None and source is not None:
            why = why_not_writable(source)
        return (
            yield from self.passage(
                event, source, turn.cascade, why=why, turn=turn, observations=observed
            )
        )

    def _too_deep(self, turn: Turn, event: RoomEvent) -> tuple[str | None, Sequence[Observation]]:
        """Answers to answers come to an end, by depth and by number."""
        core = self.core
        most = core.settings.max_chain_depth
        if event.chain_depth >= most:
            core.announce("chain_depth_exceeded", {"chain_depth": event.chain_depth})
            data = {
                "chain_depth": event.chain_depth,
                "max_chain_depth": most,
                "source_channel": turn.channel_id,
            }
            seen = Observation(
                core.new_id(),
                core.room.id,
                turn.channel_id,
                f"agents answered each other {most} times",
                core.now,
                "event_chain_depth_exceeded",
                metadata=data,
            )
            return "event_chain_depth_limit", (seen,)
        if event.type is EventType.MESSAGE and not turn.cascade.may_answer():
            return "reentry_loop_cap", ()
        return None, ()


def _binding(core: RoomCore, info: ChannelInfo) -> ChannelBinding:
    """As a channel is bound if nobody says otherwise."""
    return ChannelBinding(
        info.id,
        core.room.id,
        info.type,
        core.now,
        category=info.category,
        direction=info.direction,
        capabilities=info.capabilities,
    )


def _placed(core: RoomCore, one: InjectedEvent, index: int) -> RoomEvent:
    """An injected event as it is committed. A key would make a replay of what it comes with."""
    return attrs.evolve(
        one.event,
        room_id=core.room.id,
        index=index,
        status=EventStatus.DELIVERED,
        blocked_by=None,
        idempotency_key=None,
    )
