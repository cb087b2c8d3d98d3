"""Who sees what: a room that is used at random, against the model of its rules (`model.py`).

After every operation the model says who must have been brought what, which agents were asked and
what they could read; `simulate` runs the room's actors in an order drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.room.scripted_agent import ScriptedAgent, Turn
from actors.room.testing import RoomRig
from models.rooms.channel import React
from models.rooms.content import Delete, Edit, Text, text_of
from models.rooms.errors import ChannelNotFound
from models.rooms.event import RoomEvent
from models.rooms.kinds import Access, ChannelType, EventType
from models.rooms.room import ChannelBinding
from models.rooms.traffic import InboundMessage, InboundResult
from supervision.testing import SystemUnderTest, simulate
from tests.actors.room.model import (
    AGENTS,
    OPERATIONS,
    TALK,
    TRANSPORTS,
    Again,
    Attach,
    Change,
    Detach,
    Entry,
    Model,
    Rights,
    Say,
    SetAccess,
    SetMuted,
    SetPolicy,
    SetVisibility,
)
from transports.channels.scripted import ScriptedChannel
from transports.stores.backend import EventFilter, Page

SAID = Say("web", "bo", "all", None, None, by_application=False)


@attrs.define(eq=False)
class Run:
    """One room, and its model."""

    rig: RoomRig
    transports: dict[str, ScriptedChannel]
    agents: dict[str, ScriptedAgent]
    model: Model = attrs.field(factory=Model)
    sent: list[tuple[InboundMessage, InboundResult]] = attrs.field(factory=list)
    events: list[RoomEvent] = attrs.field(factory=list)
    brought: dict[str, int] = attrs.field(factory=dict)
    """Deliveries, turns and streams that were looked at."""

    @classmethod
    async def start(cls, system: SystemUnderTest) -> Run:
        rig = await RoomRig.start(system)
        transports = {
            name: await rig.channel(name, ChannelType.WEBSOCKET, streams=name == "live")
            for name in TRANSPORTS
        }
        agents = {name: await rig.agent(name, [answers_people(name)]) for name in AGENTS}
        run = cls(rig, transports, agents)
        await rig.room("r")
        for name in ("web", "live", "ai"):
            await run.do(Attach(name, Access.READ_WRITE, "all", False))
        return run

    async def do(self, operation: Any) -> None:
        """One operation, here and in the model; then both are compared."""
        expected = await self.perform(operation)
        await self.compare(expected)

    async def perform(self, operation: Any) -> list[Entry]:
        """Returns what has to be in the timeline now."""
        match operation:
            case Say():
                return await self.say(operation)
            case Change():
                return await self.change(operation)
            case Again():
                await self.again(operation)
            case SetPolicy(policy=policy):
                self.model.policy = policy
                await self.rig.rooms.set_agent_response_policy("r", policy)
            case _:
                await self.rebind(operation)
        return []

    # -- talk -----------------------------------------------------------------------------

    async def say(self, say: Say) -> list[Entry]:
        text = f"m{len(self.sent)}-{len(self.events)}"
        parts: dict[str, Any] = {
            "visibility": say.visibility,
            "addressed_to": say.addressed,
            "response_visibility": say.scope,
        }
        entry = Entry(EventType.MESSAGE, say.channel, say.sender, text, **renamed(parts))
        if say.by_application:
            rooms, parts["participant_id"] = self.rig.rooms, say.sender
            if say.channel not in self.model.bound:
                await refused(lambda: rooms.send_event("r", say.channel, text, **parts))
                return []
            await rooms.send_event("r", say.channel, text, **parts)
        else:
            message = InboundMessage(say.channel, say.sender, Text(text), **parts)
            await self.send(message)
            self.model.come_in(say.channel)
        return self.model.said(entry)

    async def send(self, message: InboundMessage) -> InboundResult:
        message = attrs.evolve(message, idempotency_key=f"k{len(self.sent)}")
        result = await self.rig.rooms.process_inbound(message, "r")
        self.sent.append((message, result))
        return result

    async def change(self, change: Change) -> list[Entry]:
        model = self.model
        target = model.entries[change.target % len(model.entries)] if model.entries else None
        name = target.id if target is not None else "nobody"
        new = f"edited {len(self.sent)}"
        content = Delete(name) if change.delete else Edit(name, Text(new))
        kind = EventType.DELETE if change.delete else EventType.EDIT
        result = await self.send(
            InboundMessage(change.channel, change.sender, content, event_type=kind)
        )
        model.come_in(change.channel)
        reason = model.may_change(change.sender, target)
        if reason is not None:
            assert (result.reason, result.event) == (reason, None)
            return []
        assert target is not None
        entry = Entry(kind, change.channel, change.sender, "")
        expected = model.said(entry)
        if not entry.blocked:
            target.deleted = change.delete
            target.text = target.text if change.delete else new
        return expected

    async def again(self, again: Again) -> None:
        if not self.sent:
            return
        message, first = self.sent[again.number % len(self.sent)]
        if first.event is None:
            return  # what was refused has used up no key
        result = await self.rig.rooms.process_inbound(message, "r")
        self.model.come_in(message.channel_id)
        assert result.event is not None
        assert result.event.id == first.event.id
        assert (result.blocked, result.reason) == (first.blocked, first.reason)

    # -- rights ---------------------------------------------------------------------------

    async def rebind(self, operation: Any) -> None:
        rooms, bound, name = self.rig.rooms, self.model.bound, operation.channel
        if isinstance(operation, Attach):
            rights = Rights(operation.access, operation.visibility, operation.muted)
            await rooms.attach_channel("r", name, **attrs.asdict(rights))
            bound[name] = rights
            self.model.revoked.discard(name)
            return
        if isinstance(operation, Detach):
            assert await rooms.detach_channel("r", name) is (name in bound)
            if bound.pop(name, None) is not None:
                self.model.revoked.add(name)
            return
        verb: Callable[[], Any]
        value: object
        match operation:
            case SetMuted(muted=muted):
                field, value = "muted", muted
                verb = (lambda: rooms.mute("r", name)) if muted else lambda: rooms.unmute("r", name)
            case SetAccess(access=access):
                field, value = "access", access
                verb = lambda: rooms.set_access("r", name, access)  # noqa: E731
            case SetVisibility(visibility=visibility):
                field, value = "visibility", visibility
                verb = lambda: rooms.set_visibility("r", name, visibility)  # noqa: E731
        if name not in bound:
            await refused(verb)
            return
        binding: ChannelBinding = await verb()
        setattr(bound[name], field, value)
        assert getattr(binding, field) == value

    # -- comparing ------------------------------------------------------------------------

    async def compare(self, expected: list[Entry]) -> None:
        """What was written, who was brought it, who was asked, and what they could read."""
        new = await self.written()
        talk = [event for event in new if event.type in TALK]
        assert sorted(map(outline_of, talk)) == sorted(e.outline for e in expected)
        by_outline = {entry.outline: entry for entry in expected}
        entries = []
        for event in talk:
            entry = by_outline[outline_of(event)]
            entry.id = event.id
            entries.append(entry)
        self.model.entries += entries
        for name, channel in self.transports.items():
            calls = channel.calls[self.brought.get(name, 0) :]
            self.brought[name] = len(channel.calls)
            due = [entry for entry in entries if name in self.model.receivers(entry)]
            assert [call.event.id for call in calls] == [entry.id for entry in due]
            stamps = [call.event.visibility for call in calls]
            assert stamps == [self.model.effective(entry) for entry in due]
        for name, agent in self.agents.items():
            turns = agent.seen[self.brought.get(name, 0) :]
            self.brought[name] = len(agent.seen)
            asked = [entry for entry in entries if name in self.model.asked(entry)]
            assert [react.event.id for react in turns] == [entry.id for entry in asked]
            for react, entry in zip(turns, asked, strict=True):
                read = [text_of(event.content) for event in react.context.recent_events]
                assert read == self.model.history(name, entry)
        self.compare_streams(entries)

    def compare_streams(self, entries: list[Entry]) -> None:
        """An answer is shown while it is made to those only who may have it when it is."""
        live = self.transports["live"]
        streams = live.streams[self.brought.get("streams", 0) :]
        self.brought["streams"] = len(live.streams)
        shown = [
            entry.text
            for entry in entries
            if entry.source == "poet" and "live" in self.model.receivers(entry)
        ]
        texts = ["".join(text for _, text in stream.pieces) for stream in streams]
        assert texts == shown
        assert all(stream.closed for stream in streams)

    async def written(self) -> Sequence[RoomEvent]:
        """What is new in the timeline."""
        page = Page(limit=1000, after_index=len(self.events) - 1)
        blocked = EventFilter(include_blocked=True)
        new = await self.rig.rooms.get_timeline("r", blocked, page)
        self.events += new
        return new

    async def finish(self) -> None:
        """Everything has its place, everything is accounted for, and history keeps the rules."""
        await self.rig.settled()
        assert [event.index for event in self.events] == list(range(len(self.events)))
        (room,) = await self.rig.rooms.find_rooms()
        assert room.event_count == len(self.events)
        assert room.delivered_index == room.latest_index == len(self.events) - 1
        for name in self.model.bound:
            seen = await self.rig.rooms.catch_up("r", name)
            due = [entry for entry in self.model.entries if self.model.remembers(name, entry)]
            assert [event.id for event in seen] == [entry.id for entry in due]
            said = [text_of(e.content) for e in seen if e.type is EventType.MESSAGE]
            assert said == ["" if e.deleted else e.text for e in due if e.kind is TALK[0]]
            unread = [entry for entry in due if entry.source != name]
            assert await self.rig.rooms.get_unread_count("r", name) == len(unread)


def answers_people(name: str) -> Callable[[React], Turn]:
    """An agent that answers people, and not other agents."""

    def plan(react: React) -> Turn:
        if react.event.chain_depth:
            return Turn()
        words = f"{name} re {text_of(react.event.content)}"
        return Turn(streams=(words[:4], words[4:])) if name == "poet" else Turn((words,))

    return plan


def renamed(parts: dict[str, Any]) -> dict[str, Any]:
    """The model's own words."""
    names = {"addressed_to": "addressed", "response_visibility": "scope"}
    return {names.get(key, key): value for key, value in parts.items()}


def outline_of(event: RoomEvent) -> tuple[object, ...]:
    words = text_of(event.content) if event.type is EventType.MESSAGE else ""
    source, visibility = event.source.channel_id, event.visibility
    return (event.type.value, source, words, visibility, event.blocked_by or "")


async def refused(verb: Callable[[], Any]) -> None:
    """A channel that is not bound is named."""
    try:
        await verb()
    except ChannelNotFound:
        return
    raise AssertionError("nothing was refused")


def used_at_random(operations: Sequence[Any], seed: int) -> None:
    async def scenario(system: SystemUnderTest) -> None:
        run = await Run.start(system)
        for operation in operations:
            await run.do(operation)
        await run.finish()

    simulate(scenario, seed)


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATIONS, max_size=25), st.integers(0, 2**16))
# What was deleted cannot be deleted again, but to send the same delete again is no error.
@example([SAID, Change("web", "bo", 0, delete=True), Again(1)], 0)
# An answer for all is for those only who may hear the agent, also while it is being made.
@example(
    [
        Attach("poet", Access.READ_WRITE, "intelligence", muted=False),
        attrs.evolve(SAID, scope="all"),
    ],
    0,
)
def test_everybody_sees_what_the_rules_let_them_see(operations: list[Any], seed: int) -> None:
    used_at_random(operations, seed)
