"""Several people use one room at the same time: what was brought is what the timeline says.

The entries of a timeline tell in which order everything happened, changes of rights included. So
who must have been brought what can be told from them alone, by the rules in `model.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.room.scripted_agent import ScriptedAgent, Turn
from actors.room.testing import RoomRig
from models.rooms.content import System, Text, text_of
from models.rooms.errors import RoomsError
from models.rooms.event import RoomEvent
from models.rooms.kinds import Access, AgentResponsePolicy, ChannelType, EventStatus, EventType
from models.rooms.traffic import InboundMessage
from supervision.testing import SystemUnderTest, simulate
from tests.actors.room.model import (
    ACCESS,
    AGENTS,
    CHANNELS,
    SAID,
    TRANSPORTS,
    VISIBILITY,
    Attach,
    Detach,
    Entry,
    Model,
    Rights,
    Say,
    SetAccess,
    SetMuted,
    SetVisibility,
)
from transports.channels.scripted import ScriptedChannel
from transports.stores.backend import EventFilter, Page

STEPS = st.one_of(
    SAID,
    SAID,
    SAID,
    st.builds(Attach, CHANNELS, ACCESS, VISIBILITY, st.just(False)),
    st.builds(Detach, CHANNELS),
    st.builds(SetMuted, CHANNELS, st.booleans()),
    st.builds(SetAccess, CHANNELS, ACCESS),
    st.builds(SetVisibility, CHANNELS, VISIBILITY),
)
DELAYS = {"web": 0.0, "sms": 0.07, "live": 0.013}
"""Seconds a delivery takes."""
PEOPLE = st.lists(st.lists(st.tuples(st.floats(0, 0.05), STEPS), max_size=8), max_size=4)


@attrs.define(eq=False)
class Account:
    """What the timeline says: read entry by entry."""

    model: Model
    due: dict[str, list[str]] = attrs.field(factory=lambda: {n: [] for n in TRANSPORTS + AGENTS})
    """By channel: events that it had to be brought, or asked about."""
    left: set[str] = attrs.field(factory=set)
    """Channels that were detached: what was on its way to them may not have arrived."""

    def read(self, event: RoomEvent) -> None:
        if isinstance(event.content, System):
            self._changed(event.content.code or "", event.content.data)
            return
        entry = Entry(
            event.type,
            event.source.channel_id,
            event.source.participant_id or "",
            text_of(event.content),
            event.visibility,
            event.response_visibility,
            event.addressed_to,
            blocked=event.blocked_by,
            id=event.id,
        )
        source = self.model.bound.get(entry.source)
        assert entry.blocked == ("source_unbound" if source is None else source.forbids)
        for name in self.model.receivers(entry):
            if name in TRANSPORTS:
                self.due[name].append(entry.id)
        for name in self.model.asked(entry):
            self.due[name].append(entry.id)

    def _changed(self, code: str, data: Any) -> None:
        name, bound = data["channel_id"], self.model.bound
        match code:
            case "channel_attached":
                bound[name] = Rights(Access(data["access"]), data["visibility"])
            case "channel_detached":
                del bound[name]
                self.left.add(name)
            case "channel_muted" | "channel_unmuted":
                bound[name].muted = code == "channel_muted"
            case "channel_access_changed":
                bound[name].access = Access(data["access"])
            case "channel_visibility_changed":
                bound[name].visibility = data["visibility"]


@attrs.define(eq=False)
class Crowd:
    """One room, and those who use it."""

    rig: RoomRig
    transports: dict[str, ScriptedChannel]
    agents: dict[str, ScriptedAgent]

    async def one(self, person: str, steps: Sequence[tuple[float, Any]]) -> None:
        for number, (pause, step) in enumerate(steps):
            await trio.sleep(pause)
            try:
                await self.do(f"{person}-{number}", step)
            except RoomsError:
                pass  # the channel is not there just now

    async def do(self, text: str, step: Any) -> None:
        rooms = self.rig.rooms
        match step:
            case Say():
                parts: dict[str, Any] = {
                    "visibility": step.visibility,
                    "addressed_to": step.addressed,
                    "response_visibility": step.scope,
                }
                message = InboundMessage(step.channel, step.sender, Text(text), **parts)
                result = await rooms.process_inbound(message, "r")
                assert result.event is not None
                assert (result.event.status is EventStatus.BLOCKED) is result.blocked
            case Attach(channel=name, access=access, visibility=visibility):
                await rooms.attach_channel("r", name, access=access, visibility=visibility)
            case Detach(channel=name):
                await rooms.detach_channel("r", name)
            case SetMuted(channel=name, muted=muted):
                await (rooms.mute("r", name) if muted else rooms.unmute("r", name))
            case SetAccess(channel=name, access=access):
                await rooms.set_access("r", name, access)
            case SetVisibility(channel=name, visibility=visibility):
                await rooms.set_visibility("r", name, visibility)


async def used_at_once(system: SystemUnderTest, people: Sequence[Any]) -> None:
    # A detached agent is stopped; that its turn is cancelled may reach it too late.
    system.expect_dead_letters("/rooms/r/agent.*")
    rig = await RoomRig.start(system)
    transports = {
        name: await rig.channel(name, ChannelType.WEBSOCKET, delay=DELAYS[name])
        for name in TRANSPORTS
    }
    agents = {
        name: await rig.agent(
            name,
            [lambda r: Turn() if r.event.chain_depth else Turn(("re",), after=0.02)],
        )
        for name in AGENTS
    }
    crowd = Crowd(rig, transports, agents)
    await rig.room("r", "web", "sms", "ai", agent_response_policy=AgentResponsePolicy.AGENT_CHAIN)
    async with trio.open_nursery() as nursery:
        for number, steps in enumerate(people):
            nursery.start_soon(crowd.one, str(number), steps)
    await trio.sleep(1.0)
    everything = EventFilter(include_blocked=True)
    events = await rig.rooms.get_timeline("r", everything, Page(limit=1000))
    assert [event.index for event in events] == list(range(len(events)))
    (room,) = await rig.rooms.find_rooms()
    assert room.event_count == len(events)
    assert room.delivered_index == room.latest_index
    account = Account(Model())
    for event in events:
        account.read(event)
    compare(crowd, account, events)


def compare(crowd: Crowd, account: Account, events: Sequence[RoomEvent]) -> None:
    """What was brought against what the timeline says was due."""
    index = {event.id: event.index for event in events}
    for name in (*TRANSPORTS, *AGENTS):
        if name in TRANSPORTS:
            ids = [call.event.id for call in crowd.transports[name].calls]
        else:
            ids = [react.event.id for react in crowd.agents[name].seen]
        due = account.due[name]
        order = [index[one] for one in ids]
        assert order == sorted(set(order)), f"{name} was brought something twice, or out of order"
        if name in account.left:
            assert set(ids) <= set(due)
        else:
            assert ids == due
    for name, agent in crowd.agents.items():
        answers = [e for e in events if e.source.channel_id == name and e.chain_depth == 1]
        asked = [react for react in agent.seen if react.event.chain_depth == 0]
        assert len(answers) == len(asked) or name in account.left
        for react in agent.seen:
            for read in react.context.recent_events:
                assert read.index < react.event.index
                assert read.type is EventType.MESSAGE
                assert not read.blocked
                own = read.source.channel_id == name
                assert own or account.model.admits(read.visibility, name)


@settings(max_examples=50, deadline=None)
@given(PEOPLE, st.integers(0, 2**16))
def test_what_was_brought_is_what_the_timeline_says(people: list[Any], seed: int) -> None:
    simulate(lambda system: used_at_once(system, people), seed)


@pytest.mark.parametrize("seed", range(5))
def test_a_chat_of_four_is_the_same_for_everybody(seed: int) -> None:
    hello = Say("web", "ann", "all", None, None, by_application=False)
    people = [
        [(0.01 * person, attrs.evolve(hello, sender=str(person), channel=channel))] * 5
        for person, channel in enumerate(["web", "sms", "web", "sms"])
    ]
    simulate(lambda system: used_at_once(system, people), seed)
