"""Messages whose sender does not stay, and turns that are cut."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from actors.machines.room.hooking import Hook, HookResult, HookTrigger
from actors.room.scripted_agent import Turn
from actors.room.testing import RoomRig
from models.rooms.channel import AgentSpec, BindingChanged, CancelTurn, React, Reaction
from models.rooms.content import Text, text_of
from models.rooms.errors import ChannelNotFound, ChannelNotRegistered, RoomClosed
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelType, EventStatus
from models.rooms.traffic import InboundMessage, InboundResult
from supervision import Actor, handles
from supervision.testing import SystemUnderTest

WS = ChannelType.WEBSOCKET
SLOW = Turn(streams=("one ", "two ", "three"), every=1.0)


def said(text: str, channel_id: str = "ws", **parts: Any) -> InboundMessage:
    return InboundMessage(channel_id, "ann", Text(text), **parts)


async def a_room(system: SystemUnderTest, *plans: Any, **options: Any) -> tuple[RoomRig, Any, Any]:
    """A room with two transports, "ws" and "sms", and one agent, "ai"."""
    rig = await RoomRig.start(system, **options)
    await rig.channel("ws", WS)
    sms = await rig.channel("sms")
    agent = await rig.agent("ai", plans or (SLOW,))
    await rig.room("r", "ws", "sms", "ai")
    return rig, sms, agent


class Deaf(Actor[React | CancelTurn | BindingChanged]):
    """An agent that hears of nothing while it thinks."""

    @handles
    async def on_react(self, react: React) -> Reaction:
        await trio.sleep(20.0)
        return Reaction()

    @handles
    def on_other(self, message: CancelTurn | BindingChanged) -> None:
        pass


# -- handles -----------------------------------------------------------------------------------


async def test_a_deferred_message_is_on_record_and_goes_on(system: SystemUnderTest) -> None:
    rig, sms, _ = await a_room(system)
    handle = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    assert system.now == 0.0
    assert handle.event is not None
    assert (handle.event.status, handle.blocked) == (EventStatus.DELIVERED, False)
    assert await rig.rooms.get_event("r", handle.event.id) == handle.event
    result = await handle.wait()
    assert system.now == pytest.approx(3.0)
    assert isinstance(result, InboundResult)
    assert result.event == handle.event
    assert sms.texts == ["hi", "one two three"]
    assert await handle.wait() == result
    assert await handle.cancel() == 0


async def test_an_event_can_be_deferred_as_well(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system)
    handle = await rig.rooms.send_event("r", "ws", "hi", defer_delivery=True)
    assert system.now == 0.0
    assert await handle.wait() == handle.event
    assert system.now == pytest.approx(3.0)


async def test_a_message_that_names_no_room_finds_one(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system)
    handle = await rig.rooms.process_inbound(said("hi"), defer_delivery=True)
    assert handle.event is not None
    again = await rig.rooms.process_inbound(said("there"), defer_delivery=True)
    assert again.event is not None
    assert again.event.room_id == handle.event.room_id


async def test_what_is_not_let_in_is_told_at_once(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system, inbound_rate=1.0)
    with pytest.raises(ChannelNotRegistered):
        await rig.rooms.process_inbound(said("hi", "fax"), "r", defer_delivery=True)
    with pytest.raises(ChannelNotFound):
        await rig.rooms.send_event("r", "fax", "hi", defer_delivery=True)
    first = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    handle = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    assert (handle.event, handle.blocked, handle.reason) == (None, True, "rate_limited")
    assert (await handle.wait()).reason == "rate_limited"
    await first.wait()
    await rig.rooms.close_room("r")
    with pytest.raises(RoomClosed):
        await rig.rooms.send_event("r", "ws", "hi", defer_delivery=True)
    await trio.sleep(1.0)
    closed = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    assert (closed.event, closed.reason) == (None, "room_closed")


async def test_a_blocked_message_is_told_with_its_reason(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)

    def block(event: RoomEvent, context: object) -> HookResult:
        return HookResult.block("rude")

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, block, name="manners"))
    handle = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    assert (handle.blocked, handle.reason) == (True, "rude")
    assert (await handle.wait()).event == handle.event
    assert agent.seen == []


# -- cancelling --------------------------------------------------------------------------------


async def test_cancelling_cuts_the_turns_and_nothing_else(system: SystemUnderTest) -> None:
    rig, sms, _ = await a_room(system)
    other = await rig.agent("other", [Turn(("mine",), after=2.0)])
    await rig.rooms.attach_channel("r", "other")
    sms.delay = 1.0
    handle = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    await trio.sleep(1.5)
    assert await handle.cancel("enough") == 2
    assert system.now == pytest.approx(1.5)
    result = await handle.wait()
    assert result.error is None
    assert sms.texts == ["hi", "one "]
    assert sms.calls[-1].event.metadata["cancelled"] is True
    assert len(other.seen) == 1


async def test_other_messages_go_on(system: SystemUnderTest) -> None:
    rig, sms, agent = await a_room(system, SLOW, Turn(("yes",), after=1.0))
    first = await rig.rooms.process_inbound(said("one?"), "r", defer_delivery=True)
    second = await rig.rooms.process_inbound(said("two?"), "r", defer_delivery=True)
    await trio.sleep(0.5)
    await first.cancel()
    await second.wait()
    assert [text_of(react.event.content) for react in agent.seen] == ["one?", "two?"]
    assert sms.texts == ["one?", "two?", "yes"]


async def test_a_turn_that_waits_never_starts(system: SystemUnderTest) -> None:
    rig, sms, agent = await a_room(system)
    first = await rig.rooms.process_inbound(said("one?"), "r", defer_delivery=True)
    second = await rig.rooms.process_inbound(said("two?"), "r", defer_delivery=True)
    assert await second.cancel() == 1
    await first.wait()
    await second.wait()
    assert len(agent.seen) == 1
    assert sms.texts == ["one?", "two?", "one two three"]


async def test_messages_with_a_key_are_cancelled_together(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)
    one = await rig.rooms.process_inbound(said("hi"), "r", delivery_key="k", defer_delivery=True)
    two = await rig.rooms.send_event("r", "ws", "you", delivery_key="k", defer_delivery=True)
    three = await rig.rooms.process_inbound(said("there"), "r", defer_delivery=True)
    await trio.sleep(0.5)
    async with rig.rooms.events() as told:
        assert await rig.rooms.cancel_delivery("r", "k", "changed my mind") == 2
        async for event in told:
            if event.type == "delivery_cancelled":
                break
    assert event.data == {"reason": "changed my mind", "turns": 2, "messages": 2}
    assert await rig.rooms.cancel_delivery("r", "nothing has this") == 0
    await one.wait()
    await two.wait()
    await three.wait()
    assert [text_of(react.event.content) for react in agent.seen] == ["hi", "there"]


async def test_what_will_not_end_in_time_is_a_timeout(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)
    info = attrs.evolve(agent.info, id="deaf")
    await rig.rooms.register_channel(AgentSpec(info, lambda room_id: Deaf()))
    await rig.rooms.attach_channel("r", "deaf")
    handle = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    with pytest.raises(TimeoutError, match="within 5 s"):
        await handle.cancel()
    assert system.now == pytest.approx(5.0)
    with pytest.raises(TimeoutError):
        await handle.cancel(within=1.0)
    await handle.wait()
    assert system.now == pytest.approx(20.0)


async def test_a_sender_that_is_cancelled_takes_its_turns_along(system: SystemUnderTest) -> None:
    rig, sms, _ = await a_room(system)
    with trio.move_on_after(1.5):
        await rig.rooms.process_inbound(said("hi"), "r")
    await trio.sleep(0.1)
    assert sms.texts == ["hi", "one "]
    with trio.move_on_after(1.5):
        await rig.rooms.send_event("r", "ws", "you")
    await trio.sleep(5.0)
    assert sms.texts == ["hi", "one ", "you", "one "]


async def test_who_waits_by_a_handle_may_give_up_alone(system: SystemUnderTest) -> None:
    rig, sms, _ = await a_room(system)
    handle = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    with trio.move_on_after(1.5):
        await handle.wait()
    await handle.wait()
    assert sms.texts == ["hi", "one two three"]


async def test_nothing_is_kept_of_what_is_over(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system, "ok")
    room: Any = None
    for number in range(5):
        handle = await rig.rooms.process_inbound(said(f"{number}"), "r", defer_delivery=True)
        await handle.wait()
    room = system.state("/rooms/r/room")
    assert room.statistics["under_way"] == 0
    assert room.attributes["_tickets"] in ({}, "{}")


async def test_the_desk_owes_nothing_to_those_who_have_their_room(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system, "ok")
    for _ in range(3):
        await rig.rooms.process_inbound(said("hi"), "r")
        await rig.rooms.process_inbound(said("hi"))
    assert system.state("/desk").statistics["owed"] == 0


async def test_a_room_that_was_put_away_is_opened_for_a_message(system: SystemUnderTest) -> None:
    rig, sms, _ = await a_room(system, "ok", rest_after=60.0)
    await trio.sleep(200.0)
    assert system.find("/rooms/r/room") is None
    handle = await rig.rooms.process_inbound(said("hi"), "r", defer_delivery=True)
    await handle.wait()
    await trio.sleep(200.0)
    assert await handle.cancel() == 0
    assert sms.texts == ["hi", "ok"]
