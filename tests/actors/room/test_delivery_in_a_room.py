"""Delivery actors come and go with the bindings of a room, and with the work there is for them."""

from __future__ import annotations

import trio

from actors.room.delivery import IDLE
from actors.room.testing import RoomRig
from models.rooms.content import Text
from models.rooms.kinds import ChannelType
from models.rooms.traffic import InboundMessage
from supervision.testing import SystemUnderTest


async def test_a_breaker_is_of_one_binding(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", ChannelType.WEBSOCKET)
    sms = await rig.channel("sms")
    await rig.room("r1", "web", "sms")
    await rig.room("r2", "web", "sms")
    sms.fail(5)
    for _ in range(6):
        hi = InboundMessage("web", "user", Text("hi"))
        result = await rig.rooms.process_inbound(hi, "r1")
    error = result.delivery_results["sms"].error
    assert error is not None
    assert error.message == "circuit_breaker_open"
    result = await rig.rooms.process_inbound(InboundMessage("web", "user", Text("hi")), "r2")
    assert result.delivery_results["sms"].error is None
    assert system.state("/rooms/r1/to.sms").statistics["breaker"]["state"] != "closed"
    assert system.state("/rooms/r2/to.sms").statistics["breaker"]["state"] == "closed"


async def test_a_rested_delivery_is_begun_anew_with_the_next_event(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", ChannelType.WEBSOCKET)
    sms = await rig.channel("sms")
    await rig.room("r", "web", "sms")
    for _ in range(3):
        result = await rig.rooms.process_inbound(InboundMessage("web", "user", Text("hi")), "r")
        assert result.delivery_results["sms"].error is None
        await trio.sleep(5 * IDLE)
        assert system.find("/rooms/r/to.sms") is None
    assert len(sms.texts) == 3


async def test_a_channel_that_comes_back_to_a_room_is_delivered_to(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", ChannelType.WEBSOCKET)
    sms = await rig.channel("sms")
    await rig.agent("ai", ["hello"])
    await rig.room("r", "web", "sms", "ai")
    for _ in range(3):
        await rig.rooms.process_inbound(InboundMessage("web", "user", Text("hi")), "r")
        for name in ("sms", "ai"):
            await rig.rooms.detach_channel("r", name)
            await rig.rooms.attach_channel("r", name)
    assert sms.texts == ["hi", "hello"] * 3


async def test_a_breaker_that_opens_and_closes_is_told_of(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("ws", ChannelType.WEBSOCKET)
    sms = await rig.channel("sms")
    await rig.room("r", "ws", "sms")
    sms.fail(5)
    told: list[tuple[str, str | None]] = []
    async with rig.rooms.events() as events:
        for number in range(5):
            await rig.rooms.process_inbound(InboundMessage("ws", "u", Text(f"{number}")), "r")
        await trio.sleep(60)
        await rig.rooms.process_inbound(InboundMessage("ws", "u", Text("probe")), "r")
        with trio.move_on_after(1):
            async for event in events:
                told.append((event.type, event.channel_id))  # noqa: PERF401  until no more come
    breakers = [what for what in told if what[0].startswith("circuit_breaker")]
    assert breakers == [("circuit_breaker_opened", "sms"), ("circuit_breaker_closed", "sms")]
