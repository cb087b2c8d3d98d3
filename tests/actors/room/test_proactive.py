"""What the application has agents told of its own accord."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger
from actors.machines.room.proactive import Item, ItemStatus, Queued, Strategy, WaitForIdle
from actors.room.proactive_messages import ListDead, ProactiveConfig, QueueDepth
from actors.room.requests import DeliverItem
from actors.room.scripted_agent import Turn
from actors.room.testing import RoomRig
from models.rooms.content import Content, Media, Text, text_of
from models.rooms.errors import BadValue, ChannelNotFound, Overloaded, RoomClosed, RoomNotFound
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelType, EventStatus, EventType, TaskStatus
from models.rooms.traffic import InboundMessage, Task
from supervision.testing import SystemUnderTest

WS = ChannelType.WEBSOCKET
BEFORE, AFTER = HookTrigger.BEFORE_DELIVER, HookTrigger.AFTER_DELIVER


async def a_room(system: SystemUnderTest, *plans: Any, **options: Any) -> tuple[RoomRig, Any, Any]:
    """A room with one transport, "ws", and one agent, "ai"."""
    rig = await RoomRig.start(system, **options)
    ws = await rig.channel("ws", WS)
    agent = await rig.agent("ai", plans or ["I see"])
    await rig.room("r", "ws", "ai")
    return rig, ws, agent


def queueing(**parts: Any) -> dict[str, Any]:
    return {"identity": {"proactive": ProactiveConfig(backend="memory", **parts)}}


def figures(system: SystemUnderTest) -> Any:
    return SimpleNamespace(**system.state("/proactive").statistics)


def texts(agent: Any) -> list[str]:
    return [text_of(react.event.content) for react in agent.seen]


def watch(told: list[RoomEvent]) -> Hook:
    """A hook after deliveries that notes what it is told."""

    def note(event: RoomEvent, context: object) -> None:
        told.append(event)

    return Hook(AFTER, note, HookExecution.ASYNC)


# -- at once -----------------------------------------------------------------------------------


async def test_agents_are_told_and_people_see_the_answer_alone(system: SystemUnderTest) -> None:
    rig, ws, agent = await a_room(system)
    other = await rig.channel("sms")
    await rig.rooms.attach_channel("r", "sms")
    item = await rig.rooms.deliver("r", "the parcel is late", metadata={"order": 7})
    assert (item.status, item.error) == (ItemStatus.DELIVERED, None)
    (react,) = agent.seen
    assert text_of(react.event.content) == "the parcel is late"
    source = react.event.source
    assert (source.channel_id, source.participant_id) == ("ws", "system")
    assert react.event.metadata["order"] == 7
    assert (ws.texts, other.texts) == (["I see"], ["I see"])
    for name in ("ws", "sms"):
        seen = await rig.rooms.catch_up("r", name)
        assert [text_of(e.content) for e in seen if e.type is EventType.MESSAGE] == ["I see"]
    assert not (await rig.rooms.look("r")).participants


async def test_a_channel_that_echoes_does_not_show_it_either(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    ws = await rig.channel("plain", WS)
    loud = attrs.evolve(ws.spec(rig.rooms.desk), info=attrs.evolve(ws.info, id="ws", echoes=True))
    await rig.rooms.register_channel(loud)
    await rig.agent("ai", ["I see"])
    await rig.room("r", "ws", "ai")
    await rig.rooms.process_inbound(InboundMessage("ws", "ann", Text("hi")), "r")
    await rig.rooms.deliver("r", "the parcel is late")
    assert ws.texts == ["hi", "I see", "I see"]


async def test_a_voice_is_preferred_and_an_agent_is_reached_by_a_transport(
    system: SystemUnderTest,
) -> None:
    rig, _, agent = await a_room(system)
    await rig.channel("phone", ChannelType.VOICE)
    await rig.rooms.attach_channel("r", "phone")
    for name in (None, "ai", "ws"):
        await rig.rooms.deliver("r", "x", name)
    assert [react.event.source.channel_id for react in agent.seen] == ["phone", "phone", "ws"]


async def test_what_cannot_be_delivered_is_said_to_be_so(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system)
    await rig.room("empty", "ai")
    with pytest.raises(BadValue, match="later"):
        await rig.rooms.deliver("r", "x", strategy="later")
    with pytest.raises(ChannelNotFound):
        await rig.rooms.deliver("r", "x", "nowhere")
    with pytest.raises(ChannelNotFound):
        await rig.rooms.deliver("empty", "x")
    with pytest.raises(RoomNotFound):
        await rig.rooms.deliver("gone", "x")
    await rig.rooms.close_room("r")
    with pytest.raises(RoomClosed):
        await rig.rooms.deliver("r", "x")
    assert figures(system).failed == 4


async def test_an_agent_that_fails_is_told_of(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system, Turn(error="no idea"))
    item = await rig.rooms.deliver("r", "x")
    assert (item.status, item.error) == (ItemStatus.FAILED, "no idea")


async def test_from_a_muted_transport_nothing_comes_in(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)
    await rig.rooms.mute("r", "ws")
    item = await rig.rooms.deliver("r", "x")
    assert (item.status, item.error) == (ItemStatus.FAILED, "source_muted")
    assert agent.seen == []


# -- hooks -------------------------------------------------------------------------------------


async def test_a_hook_before_changes_the_words(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)
    told: list[RoomEvent] = []

    def politely(event: RoomEvent, context: object) -> HookResult:
        assert event.visibility == "internal"
        polite = attrs.evolve(event, content=Text(f"please: {text_of(event.content)}"))
        return HookResult.modify(polite, tasks=(Task("t", "r", "look", event.created_at),))

    await rig.rooms.add_hook(Hook(BEFORE, politely))
    await rig.rooms.add_hook(watch(told))
    await rig.rooms.deliver("r", "call them")
    await rig.settled()
    assert texts(agent) == ["please: call them"]
    assert [task.status for task in await rig.rooms.list_tasks("r")] == [TaskStatus.PENDING]
    (after,) = told
    assert (after.status, text_of(after.content)) == (EventStatus.DELIVERED, "please: call them")
    assert "error" not in after.metadata


async def test_a_hook_before_drops_it(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)
    told: list[RoomEvent] = []
    await rig.rooms.add_hook(Hook(BEFORE, lambda event, context: HookResult.block("not at night")))
    await rig.rooms.add_hook(watch(told))
    item = await rig.rooms.deliver("r", "x")
    assert (item.status, item.error) == (ItemStatus.DROPPED, "not at night")
    assert (agent.seen, told) == ([], [])


async def test_hooks_that_cannot_be_asked_stop_nothing(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)

    async def hang(event: RoomEvent, context: object) -> HookResult:
        await trio.sleep_forever()
        raise AssertionError

    def fail(event: RoomEvent, context: object) -> HookResult:
        raise ValueError("broken")

    await rig.rooms.add_hook(Hook(BEFORE, fail, name="broken"))
    await rig.rooms.add_hook(Hook(BEFORE, hang, timeout=40.0, priority=1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.rooms.deliver, "r", "x")
        await trio.sleep(1.0)
        began = system.now
        await rig.rooms.process_inbound(InboundMessage("ws", "ann", Text("hi")), "r")
        assert system.now - began < 0.1  # the room goes on meanwhile
    assert texts(agent) == ["hi", "x"]
    assert system.now == pytest.approx(30.0, abs=0.1)


async def test_the_hooks_after_are_told_of_a_failure(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system)
    told: list[RoomEvent] = []
    await rig.rooms.add_hook(watch(told))
    await rig.rooms.mute("r", "ws")
    await rig.rooms.deliver("r", "x")
    await rig.settled()
    (after,) = told
    assert (after.status, after.metadata["error"]) == (EventStatus.FAILED, "source_muted")


async def test_a_hook_that_delivers_into_its_own_room_is_not_held_up(
    system: SystemUnderTest,
) -> None:
    rig, _, agent = await a_room(system)
    became: list[ItemStatus] = []

    async def tell(event: RoomEvent, context: object) -> HookResult:
        if text_of(event.content) == "hi":
            became.append((await rig.rooms.deliver("r", "somebody said hi")).status)
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, tell))
    await rig.rooms.process_inbound(InboundMessage("ws", "ann", Text("hi")), "r")
    await rig.settled()
    assert became == [ItemStatus.PENDING]
    assert sorted(texts(agent)) == ["hi", "somebody said hi"]
    assert system.now == 0.0


async def test_a_hook_after_deliveries_that_delivers_comes_to_an_end(
    system: SystemUnderTest,
) -> None:
    rig, _, agent = await a_room(system)

    async def again(event: RoomEvent, context: object) -> None:
        await rig.rooms.deliver("r", "again")

    await rig.rooms.add_hook(Hook(AFTER, again, HookExecution.ASYNC))
    await rig.rooms.deliver("r", "once")
    await trio.sleep(60.0)
    assert texts(agent)[:2] == ["once", "again"]
    assert len(agent.seen) <= 6


# -- when it is quiet --------------------------------------------------------------------------


async def test_it_waits_until_no_agent_has_a_turn(system: SystemUnderTest) -> None:
    slow = Turn(streams=("a", "b", "c"), every=1.0)
    rig, _, agent = await a_room(system, slow, "I see")
    came: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.rooms.process_inbound, InboundMessage("ws", "ann", Text("hi")), "r")
        await trio.sleep(0.5)
        assert figures(system).waiting == 0
        await rig.rooms.deliver("r", "x", strategy="wait_for_idle")
        came.append(system.now)
    assert came == pytest.approx([4.0], abs=0.1)  # the turn takes 3 s, and 1 s is quiet
    assert texts(agent) == ["hi", "x"]


async def test_it_does_not_wait_for_ever(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system, Turn(streams=("a",) * 60, every=1.0), "I see")
    patient = WaitForIdle(buffer=1.0, timeout=5.0)
    told: list[float] = []

    def note(event: RoomEvent, context: object) -> HookResult:
        told.append(system.now)
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(BEFORE, note))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.rooms.process_inbound, InboundMessage("ws", "ann", Text("hi")), "r")
        await trio.sleep(0.5)
        await rig.rooms.deliver("r", "x", strategy=patient)
    assert told == pytest.approx([5.5], abs=0.1)


async def test_what_comes_while_one_waits_goes_with_it(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)
    became: list[Item] = []

    async def tell(text: str, after: float, **parts: Any) -> None:
        await trio.sleep(after)
        became.append(await rig.rooms.deliver("r", text, strategy="queued", **parts))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell, "one", 0.0)
        nursery.start_soon(tell, "two", 0.3)
        nursery.start_soon(tell, "three", 0.6)
        nursery.start_soon(tell, "later", 3.0)
    assert texts(agent) == ["one\n\ntwo\n\nthree", "later"]
    assert [item.status for item in became] == [ItemStatus.DELIVERED] * 4
    assert figures(system).joined == 2


async def test_only_texts_for_the_same_channel_are_joined(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system)
    cat = Media("https://example.org/cat.jpg", "image/jpeg", filename="cat.jpg")
    pieces: list[tuple[Content, Strategy]] = [
        (Text("a"), Queued()),
        (cat, Queued()),
        (Text("b"), Queued(separator=" ")),
        (Text("c"), Queued(separator=" ")),
        (Text("d"), WaitForIdle()),
    ]
    async with trio.open_nursery() as nursery:
        for content, strategy in pieces:
            nursery.start_soon(rig.rooms.deliver, "r", content, None, strategy)
            await rig.settled()
    told = [react.event.content for react in agent.seen]
    assert len(told) == 4
    assert all(content in told for content in (Text("a"), cat, Text("b c"), Text("d")))


# -- bounds ------------------------------------------------------------------------------------


async def test_one_too_many_is_refused(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system, identity={"proactive": ProactiveConfig(capacity=2)})
    await rig.channel("ws", WS)
    await rig.agent("ai", ["I see"])
    await rig.room("r", "ws", "ai")
    async with trio.open_nursery() as nursery:
        for strategy in ("wait_for_idle", "queued"):
            nursery.start_soon(rig.rooms.deliver, "r", "x", None, strategy)
        await rig.settled()
        with pytest.raises(Overloaded):
            await rig.rooms.deliver("r", "x")
    stands = figures(system)
    assert (stands.accepted, stands.delivered, stands.refused) == (2, 2, 1)
    assert (stands.waiting, stands.delivering) == (0, 0)


# -- queued by a backend -----------------------------------------------------------------------


async def test_a_queue_takes_it_and_returns_at_once(system: SystemUnderTest) -> None:
    rig, ws, _ = await a_room(system, **queueing())
    item = await rig.rooms.deliver("r", "x")
    assert item.status is ItemStatus.PENDING
    await rig.settled()
    assert ws.texts == ["I see"]
    assert figures(system).delivered == 1
    assert await system.ref("/proactive").ask(QueueDepth()) == 0


async def busy_room(system: SystemUnderTest, seconds: int, **config: Any) -> tuple[RoomRig, Any]:
    """A room that has its hands full for some seconds, and a queue."""
    slow = Turn(streams=("a",) * seconds, every=1.0)
    rig, _, agent = await a_room(system, slow, "I see", admission=1, **queueing(**config))
    hi = InboundMessage("ws", "ann", Text("hi"))
    await rig.rooms.process_inbound(hi, "r", defer_delivery=True)
    return rig, agent


async def test_what_fails_is_tried_again(system: SystemUnderTest) -> None:
    rig, agent = await busy_room(system, 3, retry_delay=2.0)
    await rig.rooms.deliver("r", "x")
    await trio.sleep(5.9)  # 2 s after the first failure, 4 s after the second
    assert texts(agent) == ["hi"]
    await trio.sleep(0.2)
    assert texts(agent) == ["hi", "x"]
    stands = figures(system)
    assert (stands.retried, stands.dead, stands.delivered) == (2, 0, 1)


async def test_what_fails_too_often_is_a_dead_letter(system: SystemUnderTest) -> None:
    rig, agent = await busy_room(system, 30, retry_delay=2.0)
    await rig.rooms.deliver("r", "x")
    await trio.sleep(7.0)
    (dead,) = await rig.rooms.list_dead_deliveries()
    assert (dead.retry_count, dead.error) == (3, "overloaded")
    assert figures(system).retried == 2
    await trio.sleep(60.0)
    assert texts(agent) == ["hi"]


async def test_the_queue_outlives_a_crash_of_the_actor(system: SystemUnderTest) -> None:
    rig, _, agent = await a_room(system, **queueing())
    await rig.rooms.deliver("r", "x", strategy="wait_for_idle")
    await rig.settled()
    assert figures(system).waiting == 1
    await system.restart("/proactive")
    await trio.sleep(5.0)
    assert texts(agent) == ["x"]


async def test_workers_go_into_few_rooms_at_a_time(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system, **queueing(workers=2))
    await rig.channel("ws", WS)
    agent = await rig.agent("ai", [Turn(("I see",), after=1.0)])
    for number in range(5):
        await rig.room(f"r{number}", "ws", "ai")
        await rig.rooms.deliver(f"r{number}", "x")
    begun = []
    for _ in range(4):
        await rig.settled()
        begun.append(len(agent.seen))
        await trio.sleep(1.0)
    assert begun == [2, 4, 5, 5]


async def test_what_nobody_can_deliver_is_a_dead_letter(system: SystemUnderTest) -> None:
    rig, _, _ = await a_room(system, **queueing())
    await rig.rooms.close_room("r")
    await rig.rooms.deliver("r", "x")
    await rig.settled()
    (dead,) = await rig.rooms.list_dead_deliveries()
    assert (dead.status, text_of(dead.content)) == (ItemStatus.DEAD_LETTER, "x")
    assert dead.error is not None
    assert "closed" in dead.error
    assert list(await system.ref("/proactive").ask(ListDead())) == [dead]
    assert figures(system).dead == 1


# -- rooms that rest ---------------------------------------------------------------------------


async def test_a_room_that_was_put_away_is_opened_for_it(system: SystemUnderTest) -> None:
    rig, ws, _ = await a_room(system, rest_after=60.0)
    await trio.sleep(200.0)
    assert system.find("/rooms/r/room") is None
    item = await rig.rooms.deliver("r", "x", strategy="wait_for_idle")
    assert item.status is ItemStatus.DELIVERED
    assert ws.texts == ["I see"]


async def test_a_room_that_somebody_waits_for_is_not_put_away(system: SystemUnderTest) -> None:
    rig, ws, _ = await a_room(system, rest_after=5.0)
    item = await rig.rooms.deliver("r", "x", strategy=WaitForIdle(buffer=30.0, timeout=60.0))
    assert item.status is ItemStatus.DELIVERED
    assert system.now == pytest.approx(30.0)
    assert ws.texts == ["I see"]


async def test_it_may_come_at_the_very_moment_a_room_is_put_away(system: SystemUnderTest) -> None:
    rig, ws, _ = await a_room(system, rest_after=5.0)
    for _ in range(40):
        await trio.sleep(0.25)
        item = await rig.rooms.deliver("r", "x")
        assert item.status is ItemStatus.DELIVERED
        if len(ws.texts) % 4 == 0:
            await trio.sleep(4.8 + len(ws.texts) / 100)
    assert len(ws.texts) == 40


async def test_an_item_that_comes_twice_is_one_message(system: SystemUnderTest) -> None:
    rig, ws, agent = await a_room(system)
    room = await rig.rooms.room("r")
    item = Item("once", "r", Text("x"))
    first = await room.ask(DeliverItem(item))
    again = await room.ask(DeliverItem(item))
    assert first.event == again.event
    assert (len(agent.seen), ws.texts) == (1, ["I see"])
