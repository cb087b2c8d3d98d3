"""B22: what a crash of any actor of a room costs. Nothing that was committed, and nothing twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger
from actors.room.delivery import CutStreams
from actors.room.hook_runner import RunAsync, RunSync
from actors.room.registrations import CurrentRegistrations
from actors.room.requests import Look
from actors.room.scripted_agent import AgentCrash, Turn
from actors.room.testing import RoomRig
from models.rooms.channel import BindingChanged, Receive, TransportSpec
from models.rooms.content import Text, text_of
from models.rooms.errors import RoomsError
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType, EventType
from models.rooms.traffic import InboundMessage, InboundResult
from supervision import Actor, ActorCrashed, handles
from supervision.faults import Fault, FaultKind, InjectedFault
from supervision.testing import SystemUnderTest, simulate
from transports.channels.scripted import ScriptedChannel
from transports.stores.backend import EventFilter

WS = ChannelType.WEBSOCKET
WITH_BLOCKED = EventFilter(include_blocked=True)


def said(channel_id: str, text: str, **parts: Any) -> InboundMessage:
    return InboundMessage(channel_id, "user", Text(text), **parts)


def crash(system: SystemUnderTest, path: str, message: object) -> None:
    """Have an actor crash, by a message that does nothing else to it."""
    system.expect_crash(path, InjectedFault)
    system.inject(path, Fault(FaultKind.CRASH, type(message), times=1))
    system.ref(path).tell(message)


async def crash_room(system: SystemUnderTest, room_id: str = "r") -> None:
    path = f"/rooms/{room_id}/room"
    system.expect_crash(path, InjectedFault)
    system.inject(path, Fault(FaultKind.CRASH, Look, times=1))
    with pytest.raises(ActorCrashed):
        await system.ref(path).ask(Look())


async def settled(rig: RoomRig, room_id: str = "r") -> None:
    """Wait until all of a room is delivered, as far as the store knows."""
    with trio.fail_after(300):
        while True:
            room = next(r for r in await rig.rooms.find_rooms() if r.id == room_id)
            if room.delivered_index == room.latest_index:
                return
            await trio.sleep(0.05)


async def said_in(rig: RoomRig, room_id: str = "r") -> list[str]:
    """The messages on record."""
    events = await rig.rooms.get_timeline(room_id, WITH_BLOCKED)
    assert [event.index for event in events] == list(range(len(events)))
    return [text_of(e.content) for e in events if e.type is EventType.MESSAGE]


def once_each(channel: ScriptedChannel) -> list[str]:
    """What a channel brought: by key never twice, and in order."""
    keys = Counter(call.key for call in channel.delivered)
    assert set(keys.values()) <= {1}, keys
    indices = [call.event.index for call in channel.delivered]
    assert indices == sorted(indices)
    return list(channel.texts)


# -- agents ----------------------------------------------------------------------------------------


async def test_b22_an_agent_that_crashes_while_it_speaks_is_kept_as_far_as_it_came(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    system.expect_crash("/rooms/r/agent.ai", AgentCrash)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS, streams=True)
    crashing = Turn(streams=("It is ", "about"), every=0.1, crash=True)
    await rig.agent("ai", [crashing, "It is 5."])
    await rig.room("r", "web", "ws", "ai")
    result = await rig.rooms.process_inbound(said("web", "what time is it?"), "r")
    assert result.error is not None
    (stream,) = ws.streams
    assert "".join(text for _, text in stream.pieces) == "It is about"
    assert stream.closed
    (kept,) = [e for e in await rig.rooms.get_timeline("r") if e.chain_depth == 1]
    assert (text_of(kept.content), kept.metadata["failed"]) == ("It is about", True)
    again = await rig.rooms.process_inbound(said("web", "and now?"), "r")
    assert again.error is None
    assert once_each(ws)[-1] == "It is 5."
    await settled(rig)


async def test_b22_an_agent_that_crashes_between_turns_has_nothing_to_lose(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.agent("ai", ["one", "two"])
    await rig.room("r", "web", "ws", "ai")
    await rig.rooms.process_inbound(said("web", "first"), "r")
    binding = (await rig.rooms.look("r")).get_binding("ai")
    assert binding is not None
    crash(system, "/rooms/r/agent.ai", BindingChanged(binding))
    await rig.rooms.process_inbound(said("web", "second"), "r")
    assert once_each(ws) == ["first", "one", "second", "two"]


# -- channels and deliveries -----------------------------------------------------------------------


async def test_b22_a_channel_that_crashes_in_mid_delivery_is_asked_once_more(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    sms = await rig.channel("sms", delay=0.5)
    await rig.room("r", "web", "sms")
    binding = (await rig.rooms.look("r")).get_binding("sms")
    assert binding is not None
    results: list[InboundResult] = []

    async def send() -> None:
        results.append(await rig.rooms.process_inbound(said("web", "hi"), "r"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(0.2)
        crash(system, "/channels/sms", BindingChanged(binding))
    assert results[0].delivery_results["sms"].error is None
    assert len(sms.calls) == 2
    assert len({call.key for call in sms.calls}) == 1
    assert once_each(sms) == ["hi"]


async def test_b22_a_delivery_actor_that_crashes_goes_on_where_it_was(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    sms = await rig.channel("sms", delay=0.5)
    await rig.room("r", "web", "sms")
    returned: list[str] = []

    async def send(text: str) -> None:
        result = await rig.rooms.process_inbound(said("web", text), "r")
        assert result.delivery_results["sms"].error is None
        returned.append(text)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(send, str(number))
                await trio.sleep(0.01)
            await trio.sleep(0.6)
            crash(system, "/rooms/r/to.sms", CutStreams())
    assert returned == ["0", "1", "2"]
    assert once_each(sms) == ["0", "1", "2"]
    await settled(rig)


# -- hooks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RunSync, RunAsync])
async def test_b22_a_hook_runner_that_crashes_holds_nobody_up(
    system: SystemUnderTest, kind: type
) -> None:
    rig = await RoomRig.start(system)
    system.expect_crash("/rooms/r/hooks", InjectedFault)
    before, after = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST
    await rig.rooms.add_hook(Hook(before, lambda e, c: HookResult.allow()))
    await rig.rooms.add_hook(Hook(after, lambda e, c: None, HookExecution.ASYNC))
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    await rig.rooms.process_inbound(said("web", "one"), "r")
    system.inject("/rooms/r/hooks", Fault(FaultKind.CRASH, kind, times=1))
    with trio.fail_after(60):
        try:
            await rig.rooms.process_inbound(said("web", "two"), "r")
        except Exception as error:  # noqa: BLE001 - the sender is told one way or another
            assert kind is RunSync, error
    await rig.rooms.process_inbound(said("web", "three"), "r")
    heard = once_each(ws)
    assert heard == (await said_in(rig)) == ["one", *heard[1:-1], "three"]
    await settled(rig)


# -- what rooms share ------------------------------------------------------------------------------


class Stillborn(Actor[BindingChanged]):
    def on_start(self) -> None:
        raise OSError("no such modem")

    @handles
    def on_binding(self, message: BindingChanged) -> None:
        """It never comes to this."""


async def test_b22_a_channel_that_does_not_start_is_told_to_who_registers_it(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    system.expect_crash("/channels/*", OSError)
    with pytest.raises(RoomsError, match="could not be started"):
        await rig.rooms.register_channel(TransportSpec(ChannelInfo("modem", WS), Stillborn))
    await rig.channel("modem", WS)
    await rig.room("r", "modem")


async def test_b22_a_registry_that_crashes_still_knows_what_was_registered(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    before: list[str] = []

    def note(event: RoomEvent, context: object) -> HookResult:
        before.append(text_of(event.content))
        return HookResult.allow()

    await rig.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, note))
    await rig.room("r", "web", "ws")
    system.expect_crash("/registry", InjectedFault)
    system.inject("/registry", Fault(FaultKind.CRASH, CurrentRegistrations, times=1))
    with pytest.raises(ActorCrashed):
        await system.ref("/registry").ask(CurrentRegistrations())
    await trio.sleep(1.0)
    await rig.rooms.process_inbound(said("web", "hi"), "r")
    assert (before, once_each(ws)) == (["hi"], ["hi"])
    await rig.channel("late", WS)
    await rig.rooms.attach_channel("r", "late")


async def test_b22_a_desk_that_crashes_takes_the_next_message(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    system.expect_crash("/desk", InjectedFault)
    system.inject("/desk", Fault(FaultKind.CRASH, Receive, times=1))
    with pytest.raises(ActorCrashed):
        await rig.rooms.process_inbound(said("web", "lost"), "r")
    await trio.sleep(1.0)
    await rig.rooms.process_inbound(said("web", "hi"), "r")
    assert once_each(ws) == await said_in(rig) == ["hi"]


# -- the room --------------------------------------------------------------------------------------


async def test_b22_a_room_that_crashes_brings_what_was_committed_once(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    sms = await rig.channel("sms", delay=0.5)
    await rig.agent("ai", [Turn(("hello",), after=1.0)])
    await rig.room("r", "web", "ws", "sms", "ai")
    told: list[str] = []

    async def send(text: str) -> None:
        try:
            await rig.rooms.process_inbound(said("web", text), "r")
        except ActorCrashed:
            told.append(text)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(send, str(number))
            await trio.sleep(0.01)
        await trio.sleep(0.6)
        await crash_room(system)
    assert sorted(told) == ["0", "1", "2"]
    await settled(rig)
    record = await said_in(rig)
    assert Counter(record) == Counter({"0": 1, "1": 1, "2": 1, "hello": 3})
    assert sorted(once_each(ws)) == sorted(once_each(sms)) == sorted(record)


async def test_b22_a_room_that_crashes_keeps_its_own_hooks(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    guard = Hook(HookTrigger.BEFORE_BROADCAST, lambda e, c: HookResult.block("no"), name="guard")
    await rig.rooms.add_room_hook("r", guard)
    await crash_room(system)
    await trio.sleep(1.0)
    result = await rig.rooms.process_inbound(said("web", "hi"), "r")
    assert (result.blocked, list(ws.texts)) == (True, [])
    assert await rig.rooms.remove_room_hook("r", "guard")


async def _crash_at_random(system: SystemUnderTest, seed: int) -> None:
    """Messages come in while the room, its deliveries and its agent crash at odd moments."""
    rig = await RoomRig.start(system)
    for name in ("room", "to.ws", "to.sms", "agent.ai"):
        system.expect_crash(f"/rooms/r/{name}")
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS, delay=0.013)
    sms = await rig.channel("sms", delay=0.11)
    await rig.agent("ai", [lambda react: Turn((f"re {text_of(react.event.content)}",), after=0.05)])
    await rig.room("r", "web", "ws", "sms", "ai")
    accepted: list[str] = []

    async def send(text: str) -> None:
        for _ in range(20):
            try:
                message = said("web", text, idempotency_key=text)
                await rig.rooms.process_inbound(message, "r")
            except Exception:  # noqa: BLE001 - the sender tries again, with the same key
                await trio.sleep(0.3)
            else:
                accepted.append(text)
                return

    with trio.fail_after(600):
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(send, str(number))
                await trio.sleep(0.04)
                if number % 4 == seed % 4:
                    with trio.move_on_after(1.0):
                        await crash_room(system)
                elif number % 4 == (seed // 4) % 4:
                    crash(system, "/rooms/r/to.sms", CutStreams())
    assert sorted(accepted) == [str(number) for number in range(8)]
    await settled(rig)
    record = await said_in(rig)
    expected = Counter({str(number): 1 for number in range(8)})
    expected.update(f"re {number}" for number in range(8))
    assert Counter(record) == expected
    assert sorted(once_each(ws)) == sorted(record)
    assert sorted(once_each(sms)) == sorted(record)


@pytest.mark.parametrize("seed", range(16))
def test_b22_whatever_crashes_every_event_is_brought_once(seed: int) -> None:
    simulate(lambda system: _crash_at_random(system, seed), seed)
