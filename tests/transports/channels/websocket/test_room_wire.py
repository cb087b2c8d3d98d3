"""People in rooms over real sockets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trio
import trio.testing

from models.rooms.channel import BindingChanged, RoomDetached
from models.rooms.content import Text
from models.rooms.ephemeral import Publish
from models.rooms.errors import RoomClosed
from models.rooms.kinds import Access, EphemeralType
from models.rooms.traffic import SENT, EphemeralEvent
from supervision.testing import SystemUnderTest
from tests.transports.channels.websocket.places import binding_of, client_of, open_world, until
from transports.frame_link import LinkClosed


async def test_who_subscribes_gets_what_was_said_and_then_what_is_said(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    for body in ("one", "two", "three"):
        world.commit("r", body)
    async with client_of(world) as client:
        ready = await client.hello(display_name="Ada")
        assert ready["channel"] == "web"
        assert ready["participant_id"] == "ada"
        assert await client.subscribe(after_index=0) == 2
        assert await client.events(2) == [(1, "two"), (2, "three")]
        await client.expect("caught_up", room_id="r", index=2)
        assert await world.happen("r", "four") == SENT
        assert await client.events(1) == [(3, "four")]


async def test_a_rooms_events_go_to_its_subscribers_only(system: SystemUnderTest) -> None:
    world = await open_world(system)
    world.rooms["other"] = []
    async with client_of(world) as here, client_of(world) as there:
        await here.enter()
        await there.hello("bob")
        await there.subscribe("other")
        await there.expect("caught_up")
        await world.happen("r", "for here")
        assert await here.events(1) == [(0, "for here")]
        await there.quiet()
        await here.say("unsubscribe", room_id="r")
        await here.expect("unsubscribed", room_id="r")
        assert await world.happen("r", "for nobody") == SENT
        await here.quiet()


async def test_what_one_says_all_see_and_the_sender_knows_its_index_before_the_answer_is_over(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    world.answers = False  # agents think for long
    async with client_of(world) as ada, client_of(world) as bob:
        await ada.enter()
        await bob.enter("bob")
        await ada.say("message", room_id="r", id="m-1", text="hello")
        await ada.expect("accepted", id="m-1", room_id="r", event_id="e-0", index=0)
        assert await ada.events(1) == [(0, "hello")]
        assert await bob.events(1) == [(0, "hello")]
        message = world.received[0]
        assert message.channel_id == "web"
        assert message.sender_id == "ada"
        assert message.idempotency_key == "ada/m-1"
        assert message.content == Text("hello")
        world.promises[0]()
        await ada.quiet()


async def test_a_message_that_is_said_again_is_accepted_again_and_written_once(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    async with client_of(world) as ada:
        await ada.enter()
        await ada.say("message", room_id="r", id="m-1", text="hello")
        await ada.expect("accepted", id="m-1", event_id="e-0", index=0)
        assert await ada.events(1) == [(0, "hello")]
        await trio.testing.wait_all_tasks_blocked()
        await ada.say("message", room_id="r", id="m-1", text="hello")
        await ada.expect("accepted", id="m-1", event_id="e-0", index=0)
        await ada.quiet()
    assert len(world.rooms["r"]) == 1


async def test_a_room_that_does_not_deliver_back_accepts_by_its_answer(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    world.echoes = False
    async with client_of(world) as ada:
        await ada.enter()
        await ada.say("message", room_id="r", id="m-1", text="hello")
        await until(lambda: world.promises)
        await ada.quiet()
        world.promises[0]()
        await ada.expect("accepted", id="m-1", index=0)


async def test_what_a_room_blocks_or_refuses_is_told_to_the_sender(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    async with client_of(world) as ada:
        await ada.enter()
        world.blocks = "no_swearing"
        await ada.say("message", room_id="r", id="m-1", text="damn")
        refused = await ada.expect("refused", id="m-1", room_id="r", code="no_swearing")
        assert refused["reason"] == "no_swearing"
        world.no = RoomClosed("r", "closed")
        await ada.say("message", room_id="r", id="m-2", text="hello")
        refused = await ada.expect("refused", id="m-2", code="room_closed")
        assert refused["reason"] == str(RoomClosed("r", "closed"))
        await ada.say("message", room_id="elsewhere", id="m-3", text="hello")
        await ada.expect("refused", id="m-3", code="not_subscribed")


async def test_typing_presence_reading_and_reactions_reach_the_others(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    async with client_of(world) as ada, client_of(world) as bob:
        await ada.enter()
        await bob.enter("bob")
        await world.happen("r", "hi")
        await ada.events(1)
        await bob.events(1)
        await ada.say("typing", room_id="r", on=True)
        await ada.say("presence", room_id="r", status="online")
        await ada.say("presence", room_id="r", status="in a tunnel")
        await ada.say("read", room_id="r", event_id="e-0")
        await ada.say("reaction", room_id="r", event_id="e-0", emoji="👍")
        expected = [
            ("typing_start", {}),
            ("presence_online", {}),
            ("custom", {"status": "in a tunnel"}),
            ("reaction", {"target_event_id": "e-0", "emoji": "👍", "action": "add"}),
            ("read_receipt", {"event_id": "e-0"}),
        ]
        seen = []
        for _ in expected:
            event = (await bob.expect("ephemeral"))["event"]
            assert event["user_id"] == "ada"
            assert event["channel_id"] == "web"
            seen.append((event["type"], event["data"]))
        assert sorted(map(str, seen)) == sorted(map(str, expected))
        await ada.quiet()
        await ada.say("read", room_id="r", event_id="e-9")
        await ada.expect("error", about="read", room_id="r", code="room_not_found")


async def test_who_leaves_no_longer_types_and_is_offline(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as bob:
        await bob.enter("bob")
        async with client_of(world) as ada:
            await ada.enter()
            await ada.say("typing", room_id="r", on=True)
            await ada.say("presence", room_id="r", status="away")
            for kind in ("typing_start", "presence_away"):
                assert (await bob.expect("ephemeral"))["event"]["type"] == kind
        for kind in ("typing_stop", "presence_offline"):
            event = (await bob.expect("ephemeral"))["event"]
            assert (event["type"], event["user_id"]) == (kind, "ada")
    await until(lambda: not world.listeners)  # the last one has left


async def test_what_others_publish_reaches_all_but_its_author(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as ada, client_of(world) as bob:
        await ada.enter()
        await bob.enter("bob")
        thought = EphemeralEvent(
            "x", "r", EphemeralType.TYPING_START, "bob", datetime.now(UTC), "sms"
        )
        system.ref("/bus").tell(Publish(thought))
        assert (await ada.expect("ephemeral"))["event"]["channel_id"] == "sms"
        await bob.quiet()


async def test_an_unknown_room_is_an_error_and_not_the_end(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as client:
        await client.hello()
        await client.say("subscribe", room_id="nowhere")
        error = await client.expect("error", code="room_not_found", room_id="nowhere")
        assert error["about"] == "subscribe"
        await client.expect("unsubscribed", room_id="nowhere")
        await client.subscribe()


async def test_a_room_that_loses_the_channel_says_so(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as client:
        await client.enter()
        changed = binding_of("r", muted=True, access=Access.READ_ONLY)
        world.channel.tell(BindingChanged(changed))
        await client.expect(
            "binding", room_id="r", muted=True, output_muted=False, access="read_only"
        )
        await world.channel.ask(RoomDetached("r"))
        await client.expect("unsubscribed", room_id="r")
        await client.quiet()


async def test_a_channel_that_crashes_loses_nothing(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as client:
        await client.enter()
        system.expect_crash("/web-channel")
        world.commit("r", "while nobody listened")
        await system.restart("/web-channel")
        assert await client.events(1) == [(0, "while nobody listened")]
        await client.expect("caught_up", index=0)
        await world.happen("r", "back again")
        assert await client.events(1) == [(1, "back again")]


async def test_the_service_stops_and_says_so(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as client:
        await client.enter()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.stop, "/server")
            with pytest.raises(LinkClosed) as closed:
                await client.link.receive()
            await client.link.close()
        assert closed.value.code == 1001


async def test_a_delivery_that_is_repeated_is_not_sent_again(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with client_of(world) as client:
        await client.enter()
        await world.happen("r", "once")
        world.rooms["r"].pop()
        assert await world.happen("r", "once") == SENT
        assert await client.events(1) == [(0, "once")]
        await client.quiet()
