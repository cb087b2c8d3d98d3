"""The channel with real rooms behind it: sockets at one end, the store at the other."""

from __future__ import annotations

import pytest

from actors.room.scripted_agent import Turn, Use
from actors.room.testing import RoomRig
from models.rooms.event import RoomEvent, text_of_event
from models.rooms.kinds import EphemeralType, EventType
from models.rooms.traffic import EphemeralEvent
from supervision.testing import SystemUnderTest
from tests.transports.channels.websocket.places import RawClient, client_of
from tests.transports.channels.websocket.test_room_client import of
from transports.channels.websocket import room_wires, websocket_spec
from transports.channels.websocket.client import NotDone, RoomClient, open_room_client
from transports.channels.websocket.news import StreamBegan, StreamGrew, StreamOver
from transports.server import ServerConfig, Where, server


async def serve(system: SystemUnderTest, rig: RoomRig) -> str:
    """The URL of a server whose WebSocket channel "web" is registered."""
    spec = websocket_spec("web", rig.rooms.desk, system.ref("/bus"))
    await rig.rooms.register_channel(spec)
    wires = room_wires(lambda name: system.find(f"/channels/{name or 'web'}"))
    await system.start_child(server(ServerConfig(port=0), {"/ws": wires}))
    address: str = await system.ref("/server/listener").ask(Where())
    return address.replace("http", "ws") + "/ws"


async def message(client: RoomClient) -> RoomEvent:
    """The next message; what the room says of itself is passed over."""
    while True:
        event = await of(client, RoomEvent)
        if event.type is EventType.MESSAGE:
            return event


async def kind_of(client: RawClient) -> str:
    """What the next frame is, or the event in it."""
    frame = await client.next()
    kind: str = frame["event"]["type"] if frame["type"] == "event" else frame["type"]
    return kind


async def test_people_on_web_and_sms_and_an_agent_share_a_room(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    url = await serve(system, rig)
    sms = await rig.channel("sms")
    await rig.agent("helper", ["How can I help?", "Good bye."])
    await rig.room("r1", "web", "sms", "helper")
    async with (
        open_room_client(url, participant_id="ada") as ada,
        open_room_client(url, participant_id="bob") as bob,
    ):
        await ada.subscribe("r1")
        await bob.subscribe("r1")
        await sms.says("+15550100", "hi", room_id="r1")
        accepted = await ada.send("r1", "hello from the web")
        heard = [[await message(client) for _ in range(4)] for client in (ada, bob)]
        for events in heard:
            assert [text_of_event(event) for event in events] == [
                "hi",
                "How can I help?",
                "hello from the web",
                "Good bye.",
            ]
            assert [event.index for event in events] == sorted(event.index for event in events)
        assert heard[0][2].id == accepted.event_id
        assert heard[1][2].index == accepted.index
        assert sms.texts == ["How can I help?", "hello from the web", "Good bye."]


async def test_the_sender_knows_before_the_agent_has_answered(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    url = await serve(system, rig)
    await rig.agent("slow", [Turn(("at last",), after=20.0)])
    await rig.room("r1", "web", "slow")
    async with open_room_client(url, participant_id="ada") as ada:
        await ada.subscribe("r1")
        started = system.now
        await ada.send("r1", "are you there?")
        assert system.now == started
        assert text_of_event(await message(ada)) == "are you there?"
        assert text_of_event(await message(ada)) == "at last"
        assert system.now - started >= 20.0


async def test_t11_with_a_real_room(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    url = await serve(system, rig)
    pieces = ("Let me check.", Use("clock", result="5"), "It is 5.")
    turn = Turn(streams=pieces)
    await rig.agent("helper", [turn])
    await rig.room("r1", "web", "helper")
    async with client_of(url) as shows, client_of(url) as plain:
        for client, name in ((shows, "ada"), (plain, "bob")):
            await client.hello(name, stream=name == "ada")
            await client.subscribe("r1", after_index=(await rig.rooms.get_room("r1")).latest_index)
            await client.expect("caught_up")
        await plain.say("message", room_id="r1", id="m", text="what time is it?")
        await plain.expect("accepted")
        assert [await kind_of(shows) for _ in range(9)] == [
            "message",
            "stream_start",
            "stream_chunk",
            "message",
            "tool_call_start",
            "tool_call_end",
            "stream_chunk",
            "message",
            "stream_end",
        ]
        assert [await kind_of(plain) for _ in range(5)] == [
            "message",
            "message",
            "tool_call_start",
            "tool_call_end",
            "message",
        ]
        await shows.quiet()
        await plain.quiet()


async def test_a_stream_reaches_a_program_piece_by_piece(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    url = await serve(system, rig)
    await rig.agent("helper", [Turn(streams=("It ", "is ", "five."))])
    await rig.room("r1", "web", "helper")
    async with open_room_client(url, participant_id="ada", stream=True) as ada:
        await ada.subscribe("r1")
        await ada.send("r1", "what time is it?")
        await of(ada, StreamBegan)
        text = ""
        while text != "It is five.":
            text = (await of(ada, StreamGrew)).text
        assert (await of(ada, StreamOver)).error is None
        assert text_of_event(await message(ada)) == "It is five."


async def test_what_is_missed_is_caught_up_with_and_rooms_without_us_are_not_there(
    system: SystemUnderTest,
) -> None:
    rig = await RoomRig.start(system)
    url = await serve(system, rig)
    sms = await rig.channel("sms")
    await rig.room("r1", "web", "sms")
    await rig.room("private", "sms")
    for number in range(250):
        await sms.says("+15550100", str(number), room_id="r1")
    async with open_room_client(url, participant_id="ada") as ada:
        await ada.subscribe("r1")
        assert [text_of_event(await message(ada)) for _ in range(250)] == list(map(str, range(250)))
        for room_id in ("private", "nowhere"):
            with pytest.raises(NotDone) as refused:
                await ada.subscribe(room_id)
            assert refused.value.code.endswith("not_found")


async def test_typing_and_reading_pass_by_the_real_bus_and_desk(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    url = await serve(system, rig)
    await rig.room("r1", "web")
    async with (
        open_room_client(url, participant_id="ada") as ada,
        open_room_client(url, participant_id="bob") as bob,
    ):
        await ada.subscribe("r1")
        await bob.subscribe("r1")
        event_id = (await ada.send("r1", "hi")).event_id
        assert event_id is not None
        await bob.typing("r1")
        assert (await of(ada, EphemeralEvent)).type is EphemeralType.TYPING_START
        await bob.read("r1", event_id)
        receipt = await of(ada, EphemeralEvent)
        assert (receipt.type, receipt.data) == (EphemeralType.READ_RECEIPT, {"event_id": event_id})
        await system.restart("/channels/web")
        await ada.typing("r1")
        await ada.send("r1", "after the restart")
        assert text_of_event(await message(bob)) == "hi"
        assert text_of_event(await message(bob)) == "after the restart"


async def test_a_room_is_made_for_who_wants_it_made(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system, newcomers=("helper",))
    url = await serve(system, rig)
    await rig.agent("helper", ["welcome"])
    async with open_room_client(url, participant_id="ada") as ada:
        with pytest.raises(NotDone, match="no room"):
            await ada.subscribe("new")
        await ada.subscribe("new", create=True)
        await ada.send("new", "hello")
        assert text_of_event(await message(ada)) == "hello"
        assert text_of_event(await message(ada)) == "welcome"
    assert {b.channel_id for b in (await rig.rooms.look("new")).bindings} == {"helper", "web"}


async def test_whom_the_room_has_let_go_is_not_let_in_by_asking(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    url = await serve(system, rig)
    await rig.room("r1", "web")
    await rig.rooms.detach_channel("r1", "web")
    async with open_room_client(url, participant_id="ada") as ada:
        with pytest.raises(NotDone):
            await ada.subscribe("r1", create=True)
