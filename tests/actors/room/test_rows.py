"""The rows of the specification's §43 that are about text: where others are weak.

B17 and B18 are benchmarks (`bench/run.py room`); those about agents are in test_rows_agents.py,
B22 is in test_crashes.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger
from actors.room.scripted_agent import Turn
from actors.room.testing import RoomRig
from models.rooms.content import Text, text_of
from models.rooms.errors import Overloaded, RoomClosed
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelType, EventType, RoomStatus
from models.rooms.room import RateLimit, RetryPolicy, RoomTimers
from models.rooms.traffic import InboundMessage, InboundResult
from supervision.testing import Simulation, SystemUnderTest, simulate
from transports.stores.backend import EventFilter

WS = ChannelType.WEBSOCKET
AFTER = HookTrigger.AFTER_BROADCAST
WITH_BLOCKED = EventFilter(include_blocked=True)


def said(channel_id: str, text: str, **parts: Any) -> InboundMessage:
    return InboundMessage(channel_id, "user", Text(text), **parts)


def figures(system: SystemUnderTest, path: str) -> Any:
    """What an actor tells of itself."""
    return system.state(path).statistics


def moments(*expected: float, within: float = 0.02) -> Any:
    """Times, give or take 20 ms."""
    return pytest.approx(list(expected), abs=within)


async def five_messages(
    rig: RoomRig, every: float = 0.02, room_id: str = "r"
) -> list[tuple[str, float]]:
    """Five messages, `every` seconds one, none waiting for another: who returned when, in order."""
    returned: list[tuple[str, float]] = []
    began = trio.current_time()

    async def send(text: str) -> None:
        await rig.rooms.process_inbound(said("web", text), room_id)
        returned.append((text, trio.current_time() - began))

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(send, str(number))
            await trio.sleep(every)
    return returned


# -- delivery --------------------------------------------------------------------------------------


async def test_b1_a_slow_channel_delays_only_itself(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    sms = await rig.channel("sms", delay=0.5)
    await rig.room("r", "web", "ws", "sms")
    began = system.now
    await five_messages(rig)
    assert [call.at - began for call in ws.calls] == moments(0.0, 0.02, 0.04, 0.06, 0.08)
    assert [call.at - began for call in sms.calls] == moments(0.0, 0.5, 1.0, 1.5, 2.0)
    assert list(ws.texts) == list(sms.texts) == ["0", "1", "2", "3", "4"]


async def test_b2_a_caller_waits_for_its_own_message_and_for_no_other(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    await rig.channel("ws", WS)
    await rig.channel("sms", delay=0.5)
    await rig.room("r", "web", "ws", "sms")
    returned = await five_messages(rig)
    assert [text for text, _ in returned] == ["0", "1", "2", "3", "4"]
    assert [at for _, at in returned] == moments(0.5, 1.0, 1.5, 2.0, 2.5)
    assert returned[0][1] <= 0.55


async def test_b3_a_slow_hook_after_the_broadcast_delays_no_delivery(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    told: list[tuple[str, float]] = []

    async def slow(event: RoomEvent, context: object) -> None:
        await trio.sleep(0.5)
        told.append((text_of(event.content), system.now))

    await rig.rooms.add_hook(Hook(AFTER, slow, HookExecution.ASYNC))
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    began = system.now
    await five_messages(rig)
    assert [call.at - began for call in ws.calls] == moments(0.0, 0.02, 0.04, 0.06, 0.08)
    assert [text for text, _ in told] == ["0", "1", "2", "3", "4"]
    assert [at - began for _, at in told] == moments(0.5, 1.0, 1.5, 2.0, 2.5)


async def test_b3_the_hooks_that_wait_are_bounded_in_number(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    begun: list[str] = []

    async def stuck(event: RoomEvent, context: object) -> None:
        begun.append(text_of(event.content))
        await trio.sleep(1000.0)

    await rig.rooms.add_hook(Hook(AFTER, stuck, HookExecution.ASYNC, name="stuck", timeout=10.0))
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(rig.rooms.process_inbound, said("web", str(number)), "r")
    runner = figures(system, "/rooms/r/hooks")
    assert len(ws.texts) == 100
    assert runner["waiting"] == 0
    assert runner["hooks"][f"{AFTER.value}/stuck"]["missed"] == 100 - 64 - 1
    assert len(begun) == 65


async def test_b3_a_hook_may_say_several_things_at_once(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)

    async def chatty(event: RoomEvent, context: object) -> HookResult:
        if text_of(event.content) == "hi":
            async with trio.open_nursery() as nursery:
                for word in ("one", "two", "three"):
                    nursery.start_soon(rig.rooms.send_event, "r", "web", word)
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, chatty))
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    began = system.now
    await rig.rooms.process_inbound(said("web", "hi"), "r")
    assert system.now - began < 1.0
    assert sorted(ws.texts[:3]) == ["one", "three", "two"]
    assert ws.texts[3:] == ["hi"]


# -- admission -------------------------------------------------------------------------------------


async def test_b4_a_room_takes_so_many_messages_and_refuses_more(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system, admission=10)
    await rig.channel("web", WS)
    sms = await rig.channel("sms", delay=1.0)
    await rig.room("r", "web", "sms")
    await rig.room("other", "web", "sms")
    results: list[InboundResult] = []

    async def send(room_id: str, text: str) -> None:
        results.append(await rig.rooms.process_inbound(said("web", text), room_id))

    async with trio.open_nursery() as nursery:
        for number in range(15):
            nursery.start_soon(send, "r", str(number))
        await system.settle()
        refused = [result for result in results if result.blocked]
        assert [result.reason for result in refused] == ["overloaded"] * 5
        assert all(result.event is None for result in refused)
        room = figures(system, "/rooms/r/room")
        assert (room["refused"], room["under_way"]) == (5, 10)
        with pytest.raises(Overloaded):
            await rig.rooms.send_event("r", "web", "one more")
        before = system.now
        result = await rig.rooms.process_inbound(said("web", "elsewhere"), "other")
        assert not result.blocked
        assert system.now - before == pytest.approx(1.0, abs=0.02)
    assert len(sms.texts) == 11
    result = await rig.rooms.process_inbound(said("web", "later"), "r")
    assert not result.blocked
    stored = await rig.rooms.get_timeline("r")
    assert len([event for event in stored if event.type is EventType.MESSAGE]) == 11


# -- rates and retries -----------------------------------------------------------------------------


async def test_b8_a_rate_below_one_a_second_grants_at_once_and_then_in_its_steps(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    sms = await rig.channel("sms")
    await rig.room("r", "web")
    await rig.rooms.attach_channel("r", "sms", rate_limit=RateLimit(max_per_minute=30))
    began = system.now
    await five_messages(rig, every=0.0)
    assert [call.at - began for call in sms.calls] == moments(0.0, 2.0, 4.0, 6.0, 8.0)


async def test_b8_what_comes_in_is_limited_below_one_a_second_too(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system, inbound_rate=0.5)
    await rig.channel("web", WS)
    await rig.room("r", "web")
    assert not (await rig.rooms.process_inbound(said("web", "now"), "r")).blocked
    refused = await rig.rooms.process_inbound(said("web", "too soon"), "r")
    assert (refused.blocked, refused.reason) == (True, "rate_limited")
    await trio.sleep(2.0)
    assert not (await rig.rooms.process_inbound(said("web", "in time"), "r")).blocked


async def test_b9_an_error_that_no_retry_mends_is_tried_once(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    sms = await rig.channel("sms")
    await rig.room("r", "web")
    await rig.rooms.attach_channel("r", "sms", retry_policy=RetryPolicy(max_retries=3))
    sms.fail(10, code="http_401", retryable=False)
    result = await rig.rooms.process_inbound(said("web", "hi"), "r")
    error = result.delivery_results["sms"].error
    assert error is not None
    assert (error.code, error.retryable) == ("http_401", False)
    assert len(sms.calls) == 1


# -- rooms -----------------------------------------------------------------------------------------


async def test_b11_a_message_for_a_paused_room_resumes_it(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    sms = await rig.channel("sms")
    first = await sms.says("+15550100", "hi")
    assert first.event is not None
    room_id = first.event.room_id
    await rig.rooms.pause_room(room_id)
    second = await sms.says("+15550100", "me again")
    assert second.event is not None
    assert second.event.room_id == room_id
    assert (await rig.rooms.get_room(room_id)).status is RoomStatus.ACTIVE
    assert len(await rig.rooms.find_rooms()) == 1


async def test_b23_nobody_has_to_poll_for_a_rooms_timers(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    changes: list[tuple[str, float]] = []

    def note(event: RoomEvent, context: object) -> None:
        changes.append((text_of(event.content), system.now))

    for trigger in (HookTrigger.ON_ROOM_PAUSED, HookTrigger.ON_ROOM_CLOSED):
        await rig.rooms.add_hook(Hook(trigger, note, HookExecution.ASYNC))
    began = system.now
    timers = RoomTimers(inactive_after_seconds=60, closed_after_seconds=300)
    await rig.room("r", timers=timers)
    await trio.sleep(400)
    assert [at - began for _, at in changes] == moments(60.0, 300.0, within=0.01)
    (room,) = await rig.rooms.find_rooms()
    assert room.status is RoomStatus.CLOSED


async def test_b25_a_room_is_paused_resumed_closed_and_reopened(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    await rig.room("r", "web")
    assert (await rig.rooms.pause_room("r")).status is RoomStatus.PAUSED
    assert (await rig.rooms.resume_room("r")).status is RoomStatus.ACTIVE
    assert (await rig.rooms.close_room("r")).status is RoomStatus.CLOSED
    refused = await rig.rooms.process_inbound(said("web", "anybody?"), "r")
    assert (refused.reason, refused.event) == ("room_closed", None)
    with pytest.raises(RoomClosed):
        await rig.rooms.send_event("r", "web", "anybody?")
    with pytest.raises(RoomClosed):
        await rig.rooms.resume_room("r")
    assert (await rig.rooms.reopen_room("r")).status is RoomStatus.ACTIVE
    assert not (await rig.rooms.process_inbound(said("web", "hello"), "r")).blocked
    await rig.rooms.archive_room("r")
    with pytest.raises(RoomClosed):
        await rig.rooms.reopen_room("r")


# -- figures and determinism -----------------------------------------------------------------------


async def test_b24_what_waits_is_bounded_and_counted(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    sms = await rig.channel("sms", delay=1.0)
    await rig.agent("ai", [Turn(after=5.0)])
    await rig.room("r", "web", "sms", "ai")
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(rig.rooms.process_inbound, said("web", str(number)), "r")
        await trio.sleep(0.5)
        room = figures(system, "/rooms/r/room")
        assert (room["under_way"], room["turns"], room["waiting"]) == (3, 1, 0)
        delivery = figures(system, "/rooms/r/to.sms")
        assert (delivery["waiting"], delivery["delivered"]) == (3, 0)
        assert figures(system, "/channels/sms")["slots"]["inside"] == 1
    delivery = figures(system, "/rooms/r/to.sms")
    assert (delivery["waiting"], delivery["delivered"]) == (0, 3)
    room = figures(system, "/rooms/r/room")
    assert (room["under_way"], room["turns"], room["refused"], room["stale"]) == (0, 0, 0, 0)
    assert room["delivered_index"] == room["events"] - 1
    for path in ("/rooms/r/room", "/rooms/r/to.sms", "/rooms/r/agent.ai", "/channels/sms"):
        assert system.state(path).actor.capacity < float("inf")
    assert len(sms.texts) == 3


async def a_busy_room(system: SystemUnderTest) -> list[str]:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    sms = await rig.channel("sms", delay=0.05)
    ws = await rig.channel("ws", WS, streams=True)
    await rig.agent("a", [Turn(streams=("one", "two"), every=0.01)])
    await rig.agent("b", ["yes"])
    await rig.room("r", "web", "sms", "ws", "a", "b")
    await five_messages(rig)
    events = await rig.rooms.get_timeline("r", WITH_BLOCKED)
    assert [event.index for event in events] == list(range(len(events)))
    order = [call.event.index for call in sms.calls]
    assert order == sorted(order)
    assert {call.event.index for call in ws.calls} == set(order)
    return [f"{event.id} {text_of(event.content)}" for event in events]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_b28_a_seed_gives_one_trace(seed: int) -> None:
    first: Simulation[list[str]] = simulate(a_busy_room, seed)
    second = simulate(a_busy_room, seed)
    assert first.result == second.result
    assert first.log == second.log
