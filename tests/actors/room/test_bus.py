"""The ephemeral bus: everybody who listens is told, and who is slow delays nobody."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from actors.room.bus import (
    BusConfig,
    EphemeralBus,
    bus_spec,
    custom,
    ephemeral_events,
    presence,
    reaction,
    read_receipt,
    typing,
)
from models.rooms.ephemeral import EphemeralMessage, Listen, Publish, StopListening
from models.rooms.kinds import EphemeralType
from models.rooms.traffic import EphemeralEvent
from supervision import Actor, ActorRef, Mailbox, Refused, Request, handles
from supervision.faults import Fault, InjectedFault
from supervision.testing import SystemUnderTest, simulate


async def start(system: SystemUnderTest, **config: Any) -> ActorRef[EphemeralMessage]:
    return await system.start_child(bus_spec(BusConfig(**config)))


def statistics(system: SystemUnderTest) -> dict[str, Any]:
    found: dict[str, Any] = system.state("/bus").statistics
    return found


@attrs.frozen
class Told(Request[list[str]]):
    """The names in the events so far."""


class Slow(Actor[EphemeralEvent | Told]):
    """Has room for two."""

    mailbox = Mailbox(2)

    def __init__(self) -> None:
        super().__init__()
        self._told: list[str] = []

    @handles
    def on_event(self, message: EphemeralEvent) -> None:
        self._told.append(message.user_id)

    @handles
    def on_told(self, _message: Told) -> list[str]:
        return self._told


async def test_all_who_listen_to_a_room_are_told_in_order(system: SystemUnderTest) -> None:
    bus = await start(system)
    first, second, elsewhere = [await system.probe(EphemeralEvent) for _ in range(3)]
    await bus.ask(Listen("r-1", first.ref))
    await bus.ask(Listen("r-1", second.ref))
    await bus.ask(Listen("r-2", elsewhere.ref))
    events = [typing("r-1", "ada"), typing("r-1", "ada", False), presence("r-1", "bob", "away")]
    for event in events:
        bus.tell(Publish(event))
    await system.settle()
    assert first.received == second.received == events
    assert elsewhere.received == []


async def test_a_subscriber_may_want_only_some_types(system: SystemUnderTest) -> None:
    bus = await start(system)
    probe = await system.probe(EphemeralEvent)
    await bus.ask(Listen("r-1", probe.ref, (EphemeralType.REACTION,)))
    wanted = reaction("r-1", "ada", "e-1", "👍")
    for event in (typing("r-1", "ada"), wanted):
        bus.tell(Publish(event))
    await system.settle()
    assert probe.received == [wanted]


async def test_a_subscription_ends_once(system: SystemUnderTest) -> None:
    bus = await start(system)
    probe = await system.probe(EphemeralEvent)
    subscription = await bus.ask(Listen("r-1", probe.ref))
    assert await bus.ask(StopListening(subscription)) is True
    assert await bus.ask(StopListening(subscription)) is False
    bus.tell(Publish(typing("r-1", "ada")))
    await probe.expect_nothing()
    assert statistics(system)["subscriptions"] == statistics(system)["rooms"] == 0


async def test_a_subscriber_that_is_gone_is_forgotten(system: SystemUnderTest) -> None:
    bus = await start(system)
    probe = await system.probe(EphemeralEvent, path="/listener")
    for room in ("r-1", "r-2"):
        await bus.ask(Listen(room, probe.ref))
    await system.stop("/listener")
    bus.tell(Publish(typing("r-1", "ada")))
    await system.settle()
    assert statistics(system)["subscriptions"] == 0


async def test_whoever_cannot_be_told_is_refused(system: SystemUnderTest) -> None:
    bus = await start(system)
    deaf = await system.probe(str)
    with pytest.raises(Refused, match="EphemeralEvent"):
        await bus.ask(Listen("r-1", deaf.ref))


async def test_a_slow_subscriber_loses_its_oldest_events_and_delays_nobody(
    system: SystemUnderTest,
) -> None:
    bus = await start(system, queue=3)
    slow = await system.spawn(Slow, path="/slow")
    quick = await system.probe(EphemeralEvent)
    await bus.ask(Listen("r-1", slow))
    await bus.ask(Listen("r-1", quick.ref))
    system.suspend("/slow")
    await system.settle()
    for number in range(10):
        bus.tell(Publish(typing("r-1", str(number))))
        await system.settle()
    assert [event.user_id for event in quick.received] == [str(number) for number in range(10)]
    # Two in its mailbox, one on its way there, three in line; the four between are lost.
    figures = statistics(system)
    assert (figures["waiting"], figures["dropped"]) == (3, 4)
    assert figures["dropped_by"] == {"/slow": 4}

    system.resume("/slow")
    await system.settle()
    assert await slow.ask(Told()) == ["0", "1", "2", "7", "8", "9"]
    bus.tell(Publish(typing("r-1", "10")))
    await system.settle()
    assert (await slow.ask(Told()))[-1] == "10"


async def test_256_events_wait_for_a_subscriber_unless_it_is_configured(
    system: SystemUnderTest,
) -> None:
    bus = await start(system)
    slow = await system.spawn(Slow, path="/slow")
    await bus.ask(Listen("r-1", slow))
    system.suspend("/slow")
    await system.settle()
    for _ in range(300):
        bus.tell(Publish(typing("r-1", "ada")))
        await system.settle()
    assert statistics(system)["waiting"] == 256
    assert statistics(system)["dropped"] == 300 - 256 - 3


async def test_a_slow_subscriber_may_stop_listening_or_go(system: SystemUnderTest) -> None:
    bus = await start(system)
    system.expect_dead_letters("/slow*")
    for how in ("stops listening", "goes"):
        slow = await system.spawn(Slow, path="/slow")
        subscription = await bus.ask(Listen("r-1", slow))
        system.suspend("/slow")
        await system.settle()
        for _ in range(5):
            bus.tell(Publish(typing("r-1", "ada")))
            await system.settle()
        if how == "stops listening":
            assert await bus.ask(StopListening(subscription))
        await system.stop("/slow")
        await system.settle()
        assert statistics(system)["subscriptions"] == statistics(system)["waiting"] == 0
    assert system.state("/bus").tasks  # it still forwards


async def test_subscriptions_outlive_a_crash_of_the_bus(system: SystemUnderTest) -> None:
    bus = await start(system)
    probe = await system.probe(EphemeralEvent, path="/listener")
    await bus.ask(Listen("r-1", probe.ref))
    system.expect_crash("/bus", InjectedFault)
    system.inject("/bus", Fault("crash", StopListening, times=1))
    bus.tell(StopListening("any"))
    bus.tell(Publish(typing("r-1", "ada")))
    assert (await probe.expect(EphemeralEvent)).user_id == "ada"
    await system.stop("/listener")
    await system.settle()
    assert statistics(system)["subscriptions"] == 0


# -- from a program --------------------------------------------------------------------------------


async def test_a_program_iterates_over_what_passes(system: SystemUnderTest) -> None:
    bus = await start(system)
    async with ephemeral_events(system, bus, "r-1") as events:
        bus.tell(Publish(typing("r-1", "ada")))
        bus.tell(Publish(typing("r-2", "bob")))
        bus.tell(Publish(typing("r-1", "cleo")))
        assert [(await anext(events)).user_id for _ in range(2)] == ["ada", "cleo"]
    assert statistics(system)["subscriptions"] == 0


async def test_a_program_that_does_not_look_loses_the_oldest(system: SystemUnderTest) -> None:
    bus = await start(system)
    async with ephemeral_events(system, bus, "r-1", capacity=2) as events:
        for name in ("ada", "bob", "cleo"):
            bus.tell(Publish(typing("r-1", name)))
        await system.settle()
        assert events.dropped == 1
        assert (await anext(events)).user_id == "bob"


async def test_leaving_the_block_with_events_unread_makes_no_dead_letters(
    system: SystemUnderTest,
) -> None:
    bus = await start(system)
    async with ephemeral_events(system, bus, "r-1", [EphemeralType.TYPING_START]):
        for _ in range(20):
            bus.tell(Publish(typing("r-1", "ada")))


async def test_a_block_that_is_cancelled_unsubscribes(system: SystemUnderTest) -> None:
    bus = await start(system)
    with trio.move_on_after(1):
        async with ephemeral_events(system, bus, "r-1") as events:
            await anext(events)
    await system.settle()
    assert statistics(system)["subscriptions"] == 0


async def test_a_block_outlives_the_bus(system: SystemUnderTest) -> None:
    bus = await start(system)
    async with ephemeral_events(system, bus, "r-1"):
        await system.stop("/bus")
        system.expect_dead_letters("/bus")


# -- interleavings ---------------------------------------------------------------------------------


async def two_rooms(system: SystemUnderTest) -> list[list[str]]:
    bus = await start(system)
    slow = [await system.spawn(Slow) for _ in range(2)]
    for ref, room in zip(slow, ("r-1", "r-2"), strict=True):
        await bus.ask(Listen(room, ref))
    for number in range(50):
        bus.tell(Publish(typing(f"r-{number % 2 + 1}", str(number))))
    await system.settle()
    return [await ref.ask(Told()) for ref in slow]


@pytest.mark.parametrize("seed", range(20))
def test_each_is_told_everything_in_order_whoever_goes_first(seed: int) -> None:
    even, odd = simulate(two_rooms, seed).result
    assert even == [str(number) for number in range(0, 50, 2)]
    assert odd == [str(number) for number in range(1, 50, 2)]


# -- what passes -----------------------------------------------------------------------------------


def test_the_makers_of_events_say_what_is_meant() -> None:
    made = [
        typing("r-1", "ada", channel_id="ws"),
        typing("r-1", "ada", False),
        presence("r-1", "ada", "online"),
        presence("r-1", "ada", "away"),
        presence("r-1", "ada", "offline"),
        presence("r-1", "ada", "on the phone"),
        read_receipt("r-1", "ada", "e-1"),
        reaction("r-1", "ada", "e-1", "👍"),
        reaction("r-1", "ada", "e-1", "👍", "remove"),
        custom("r-1", "ada", {"mood": "good"}),
    ]
    assert [(event.type.value, dict(event.data)) for event in made] == [
        ("typing_start", {}),
        ("typing_stop", {}),
        ("presence_online", {}),
        ("presence_away", {}),
        ("presence_offline", {}),
        ("custom", {"status": "on the phone"}),
        ("read_receipt", {"event_id": "e-1"}),
        ("reaction", {"target_event_id": "e-1", "emoji": "👍", "action": "add"}),
        ("reaction", {"target_event_id": "e-1", "emoji": "👍", "action": "remove"}),
        ("custom", {"mood": "good"}),
    ]
    assert made[0].channel_id == "ws"
    assert len({event.id for event in made}) == len(made)
    assert all(event.timestamp.tzinfo is not None for event in made)


async def test_the_bus_says_what_it_is_doing(system: SystemUnderTest) -> None:
    made: list[EphemeralBus] = []

    def make() -> EphemeralBus:
        made.append(EphemeralBus())
        return made[-1]

    await system.spawn(make)
    assert repr(made[0]) == "<EphemeralBus 0 subscriptions to 0 rooms>"
