"""Rooms under test: everything a node has for them, on virtual time, in memory unless told else.

async def test_an_echo(system):
rig = await RoomRig.start(system)
sms = await rig.channel("sms", ChannelType.SMS)
helper = await rig.agent("helper", ["Hello!"])
await rig.room("r1", "sms", "helper")
await sms.says("+15550100", "hi", room_id="r1")
assert sms.texts == ["Hello!"]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import trio

from actors.room.conversations import Conversations
from actors.room.plan import RoomsPlan
from actors.room.scripted_agent import Plan, ScriptedAgent
from actors.room.services import room_services
from models.rooms.kinds import ChannelType
from models.rooms.room import ChannelBinding
from supervision import ChildSpec, System
from transports.channels.scripted import ScriptedChannel
from transports.stores.actor import memory_spec

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)


def virtual_wall(began: datetime = BEGAN) -> Callable[[], datetime]:
    """The time of day under trio's clock, which a test may make jump."""
    start = trio.current_time()
    return lambda: began + timedelta(seconds=trio.current_time() - start)


def counted_ids() -> Callable[[], str]:
    """Ids that are the same in every run."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"


@attrs.define(eq=False)
class RoomRig:
    """A node's rooms, and what tests say to them."""

    system: System
    plan: RoomsPlan
    rooms: Conversations

    @classmethod
    async def start(
        cls,
        system: System,
        *,
        store: ChildSpec[Any] | None = None,
        identity: dict[str, Any] | None = None,
        **plan: Any,
    ) -> RoomRig:
        """Start all that rooms need.

        Args:
            store: another than memory.
            identity: a `resolver`, and configurations; see `room_services`.
            plan: fields of `RoomsPlan` that differ from its defaults.
        """
        plan.setdefault("wall", virtual_wall())
        plan.setdefault("new_id", counted_ids())
        made = RoomsPlan(**plan)
        services = room_services(made, store or memory_spec(), **(identity or {}))
        for spec in services:
            await system.start_child(spec)
        return cls(system, made, Conversations(system, made))

    async def channel(
        self, channel_id: str, kind: ChannelType = ChannelType.SMS, **options: Any
    ) -> ScriptedChannel:
        """A transport without a wire; `options` are those of `ScriptedChannel`."""
        channel = ScriptedChannel(channel_id, kind, **options)
        await self.rooms.register_channel(channel.spec(self.rooms.desk))
        return channel

    async def agent(self, channel_id: str, plans: Sequence[Plan], **options: Any) -> ScriptedAgent:
        """An agent whose turns are planned."""
        agent = ScriptedAgent(channel_id, plans, **options)
        await self.rooms.register_channel(agent.spec)
        return agent

    async def room(self, room_id: str, *channels: str, **parts: Any) -> Sequence[ChannelBinding]:
        """A room with these channels; `parts` are those of `create_room`."""
        await self.rooms.create_room(room_id, **parts)
        return [await self.rooms.attach_channel(room_id, name) for name in channels]

    async def settled(self) -> None:
        """Wait until nothing is left to do at this moment of virtual time."""
        await trio.testing.wait_all_tasks_blocked()
