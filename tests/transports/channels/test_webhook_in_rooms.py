"""Webhooks and whole rooms: in by one socket, through a room, out by another."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import attrs
import httpx
import orjson
import pytest

from actors.room.testing import RoomRig
from models.rooms.channel import CatchUp, Receive
from models.rooms.content import Text
from models.rooms.room import RetryPolicy
from models.rooms.traffic import InboundMessage
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.channels.http_places import Receiver, Reply, receiving, serving
from transports.channels.bodies import body_of
from transports.channels.signature import sign
from transports.channels.webhook import WebhookConfig, inbound_webhook_channel, webhook_channel
from transports.channels.webhook_in import InboundWebhook, webhook_routes

NOW = 1_770_000_000
SECRET = Secret("correct horse")


@attrs.define
class World:
    """Two webhooks in one room, and both of their other ends."""

    rig: RoomRig
    client: httpx.AsyncClient
    receiver: Receiver
    posted: int = 0

    async def says(self, text: str, name: str, channel: str = "shop") -> httpx.Response:
        self.posted += 1
        body = orjson.dumps({"sender_id": "ada", "body": text, "external_id": name})
        at = str(NOW + self.posted)
        headers = {
            "Content-Type": "application/json",
            "X-Troupe-Timestamp": at,
            "X-Troupe-Signature": sign(SECRET, body, at),
        }
        return await self.client.post(f"/webhooks/{channel}", content=body, headers=headers)


@pytest.fixture
async def world(system: SystemUnderTest) -> AsyncIterator[World]:
    rig = await RoomRig.start(system)
    desk = rig.rooms.desk
    inbound = {id: InboundWebhook((SECRET,), room_id="lobby") for id in ("shop", "crm")}
    async with (
        receiving() as receiver,
        serving(webhook_routes(desk, inbound, lambda: float(NOW))) as address,
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=None) as client,
    ):
        config = WebhookConfig(receiver.url, secret=SECRET, allow_private=True)
        await rig.rooms.register_channel(webhook_channel("shop", config, desk))
        await rig.rooms.register_channel(webhook_channel("crm", config, desk))
        await rig.room("lobby", "shop")
        await rig.rooms.attach_channel(
            "lobby", "crm", metadata={"recipient_id": "c-17"}, retry_policy=RetryPolicy()
        )
        yield World(rig, client, receiver)
        for channel in ("shop", "crm"):
            await rig.rooms.unregister_channel(channel)


async def test_what_comes_in_by_one_webhook_goes_out_by_the_other(world: World) -> None:
    response = await world.says("hello", "x-1")
    told = response.json()
    assert (response.status_code, told["room_id"], told["blocked"]) == (200, "lobby", False)
    (request,) = world.receiver.received
    assert request.json["content"]["body"] == "hello"
    assert request.json["recipient_id"] == "c-17"
    assert (request.json["channel_id"], request.json["room_id"]) == ("shop", "lobby")
    assert (request.json["event_id"], request.json["index"]) == (told["event_id"], told["index"])
    timestamp = request.headers["x-troupe-timestamp"]
    assert request.headers["x-troupe-signature"] == sign(SECRET, request.body, timestamp)


async def test_what_is_sent_twice_is_written_and_delivered_once(world: World) -> None:
    first, second = await world.says("hello", "x-1"), await world.says("hello", "x-1")
    assert first.json()["event_id"] == second.json()["event_id"]
    assert len(world.receiver.received) == 1


async def test_two_webhooks_of_a_room_may_count_from_the_same_number(world: World) -> None:
    one, other = await world.says("hello", "1"), await world.says("good day", "1", "crm")
    assert (one.json()["index"] + 1, other.json()["reason"]) == (other.json()["index"], None)
    again = await world.says("good day", "1", "crm")
    assert again.json()["event_id"] == other.json()["event_id"] != one.json()["event_id"]


async def test_a_delivery_that_fails_is_tried_again_with_the_same_key(world: World) -> None:
    world.receiver.replies.extend(
        [Reply(503, headers={"Retry-After": "2"}), Reply(0), Reply(body=b'{"message_id": "m-1"}')]
    )
    response = await world.says("hello", "x-1")
    assert response.json()["blocked"] is False
    keys = {request.headers["idempotency-key"] for request in world.receiver.received}
    assert len(world.receiver.received) == 3
    assert len(keys) == 1
    assert re.fullmatch(r"[0-9a-f]{32}:crm", keys.pop())


async def test_nothing_is_delivered_to_a_webhook_that_only_messages_come_from(
    world: World,
) -> None:
    rooms = world.rig.rooms
    await rooms.register_channel(inbound_webhook_channel("form", rooms.desk))
    await rooms.attach_channel("lobby", "form")
    result = await world.rig.system.ref("/desk").ask(
        Receive(InboundMessage("form", "bob", Text("I filled it in")), "lobby")
    )
    assert list(result.delivery_results) == ["shop", "crm"]
    (request,) = world.receiver.received
    assert request.json["channel_id"] == "form"
    said = await world.says("thank you", "x-1")
    assert said.status_code == 200


async def test_a_closed_room_is_a_conflict_and_holds_no_trace(world: World) -> None:
    await world.says("hello", "x-1")
    desk = world.rig.rooms.desk
    await world.rig.rooms.close_room("lobby")
    response = await world.says("anybody here?", "x-2")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "room_closed")
    kept = [body_of(event.content) for event in await desk.ask(CatchUp("lobby", "crm"))]
    assert "hello" in kept
    assert "anybody here?" not in kept
    assert len(world.receiver.received) == 1
