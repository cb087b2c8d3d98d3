"""The client for programs, against the real server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest
import trio

from models.rooms.channel import RoomDetached, StreamClosed, StreamText
from models.rooms.errors import RoomClosed
from models.rooms.event import RoomEvent, text_of_event
from models.rooms.kinds import EphemeralType
from models.rooms.traffic import EphemeralEvent
from supervision.resilience import Backoff
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.channels.websocket.places import deliver, open_world, until
from tests.transports.channels.websocket.test_room_streams import answer, opening
from transports.channels.websocket.client import (
    NotDone,
    NotLetIn,
    RoomClient,
    RoomClientConfig,
    Unreachable,
    open_room_client,
)
from transports.channels.websocket.news import (
    CaughtUp,
    ConnectionBack,
    ConnectionLost,
    Problem,
    RoomOver,
    StreamBegan,
    StreamGrew,
    StreamOver,
)
from transports.server import ServerConfig

T = TypeVar("T")


async def of(client: RoomClient, kind: type[T]) -> T:
    """The next news of a kind."""
    with trio.fail_after(60):
        async for news in client:
            if isinstance(news, kind):
                return news
    raise AssertionError("news never end")


async def words(client: RoomClient, count: int) -> Sequence[str]:
    return [text_of_event(await of(client, RoomEvent)) for _ in range(count)]


async def test_a_program_hears_and_speaks(system: SystemUnderTest) -> None:
    world = await open_world(system)
    world.commit("r", "old")
    async with open_room_client(world.url, participant_id="ada") as ada:
        assert await ada.subscribe("r") == 0
        assert (await ada.send("r", "hello")).index == 1
        assert await words(ada, 2) == ["old", "hello"]
        world.no = RoomClosed("r", "closed")
        with pytest.raises(NotDone) as refused:
            await ada.send("r", "more")
        assert refused.value.code == "room_closed"
        with pytest.raises(NotDone) as unknown:
            await ada.subscribe("nowhere")
        assert unknown.value.code == "room_not_found"


async def test_two_programs_see_each_other_type_read_and_react(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with (
        open_room_client(world.url, participant_id="ada") as ada,
        open_room_client(world.url, participant_id="bob") as bob,
    ):
        await ada.subscribe("r")
        await bob.subscribe("r")
        await ada.typing("r")
        assert (await of(bob, EphemeralEvent)).type is EphemeralType.TYPING_START
        event_id = (await bob.send("r", "hi")).event_id
        assert event_id is not None
        await ada.presence("r", "away")
        await ada.react("r", event_id, "👍")
        await ada.read("r", event_id)
        kinds = {(await of(bob, EphemeralEvent)).type for _ in range(3)}
        assert kinds == {
            EphemeralType.PRESENCE_AWAY,
            EphemeralType.REACTION,
            EphemeralType.READ_RECEIPT,
        }
        await bob.unsubscribe("r")
        await world.happen("r", "bob does not hear this")
        assert await words(ada, 2) == ["hi", "bob does not hear this"]
        await ada.typing("elsewhere")
        assert (await of(ada, Problem)).code == "not_subscribed"


async def test_an_answer_in_the_making_is_news_and_its_event_too(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    async with open_room_client(world.url, participant_id="ada", stream=True) as ada:
        await ada.subscribe("r")
        world.channel.tell(opening())
        world.channel.tell(StreamText("r", "s", "It is 5."))
        await world.channel.ask(StreamClosed("r", "s", answer(world, "It is 5.")))
        assert (await of(ada, StreamBegan)).source["channel_id"] == "ai"
        assert (await of(ada, StreamGrew)).text == "It is 5."
        assert await of(ada, StreamOver) == StreamOver("r", "s")
        assert await words(ada, 1) == ["It is 5."]


async def test_a_connection_that_breaks_comes_back_and_nothing_is_missed(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    async with open_room_client(world.url, participant_id="ada") as ada:
        await ada.subscribe("r")
        await world.happen("r", "one")
        assert await words(ada, 1) == ["one"]
        await system.stop("/server/wires/w-1")
        assert isinstance(await of(ada, ConnectionLost), ConnectionLost)
        await world.happen("r", "two")
        await of(ada, ConnectionBack)
        assert await words(ada, 1) == ["two"]
        await of(ada, CaughtUp)
        await world.happen("r", "three")
        assert await words(ada, 1) == ["three"]


async def test_a_message_whose_answer_was_lost_is_said_again_and_written_once(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    world.echoes = world.answers = False  # the answer does not come on this connection
    async with open_room_client(world.url, participant_id="ada") as ada:
        await ada.subscribe("r")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ada.send, "r", "hello")
            await until(lambda: world.received)
            await system.stop("/server/wires/w-1")
        assert len(world.received) == 2
        assert len(world.rooms["r"]) == 1
        assert await words(ada, 1) == ["hello"]


async def test_a_program_that_does_not_read_gets_all_events_later(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    config = RoomClientConfig(news=10)
    async with open_room_client(world.url, participant_id="ada", config=config) as ada:
        await ada.subscribe("r")
        for number in range(40):
            await world.happen("r", str(number))
            await ada.send("r", f"mine {number}")  # answers do not wait for the reader
        expected = [body for n in range(40) for body in (str(n), f"mine {n}")]
        assert await words(ada, 80) == expected
        await world.happen("r", "and on")
        assert await words(ada, 1) == ["and on"]


async def test_who_is_not_let_in_is_told(system: SystemUnderTest) -> None:
    world = await open_world(system, server_config=ServerConfig(port=0, tokens=(Secret("key"),)))
    with pytest.raises(NotLetIn) as refused:
        async with open_room_client(world.url, participant_id="ada", token="other"):
            pass
    assert refused.value.code == "unauthorized"
    async with open_room_client(world.url, participant_id="ada", token=Secret("key")) as ada:
        assert ada.connected
    with pytest.raises(Unreachable):
        async with open_room_client(world.url.replace("/ws", "/nothing"), participant_id="ada"):
            pass


async def test_a_server_that_is_away_is_tried_again_until_it_is_back(
    system: SystemUnderTest,
) -> None:
    world = await open_world(system)
    backoff = Backoff(base=5.0, maximum=5.0)
    async with open_room_client(
        world.url, participant_id="ada", config=RoomClientConfig(backoff=backoff)
    ) as ada:
        await ada.subscribe("r")
        await system.stop("/server/wires/w-1")
        system.suspend("/web-channel")
        await of(ada, ConnectionLost)
        assert not ada.connected
        await ada.typing("r")  # harmless
        await trio.sleep(60)
        system.resume("/web-channel")
        await of(ada, ConnectionBack)
        await world.happen("r", "hello again")
        assert await words(ada, 1) == ["hello again"]


async def test_a_room_that_loses_the_channel_is_over(system: SystemUnderTest) -> None:
    world = await open_world(system)
    async with open_room_client(world.url, participant_id="ada") as ada:
        await ada.subscribe("r")
        await world.channel.ask(RoomDetached("r"))
        assert (await of(ada, RoomOver)).room_id == "r"
        await world.channel.ask(deliver(world.commit("r")))
        await ada.subscribe("r")
        assert await words(ada, 1) == ["event 0"]
