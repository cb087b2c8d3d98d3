"""Out to a webhook, over real sockets: the wire, the signature, and every way of failing."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from models.rooms.content import Composite, Content, Location, Media, Rich, Text
from supervision import ActorRef
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import (
    DeskUnderTest,
    deliver,
    desk_in,
)
from tests.transports.channels.http_places import Receiver, Reply, receiving
from transports.channels.webhook import WebhookChannel, WebhookConfig, webhook_channel

NOW = 1_770_000_000.25


@pytest.fixture
async def desk(system: SystemUnderTest) -> DeskUnderTest:
    return await desk_in(system)


@pytest.fixture
async def receiver(system: SystemUnderTest) -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver
        if system.find("/hook") is not None:
            await system.stop("/hook")


async def hook(
    system: SystemUnderTest, desk: DeskUnderTest, url: str, **settings: Any
) -> ActorRef[Any]:
    config = WebhookConfig(url, **{"allow_private": True, **settings})
    spec = webhook_channel("crm", config, desk.ref)
    start = WebhookChannel
    return await system.spawn(start, spec.info, desk.ref, config, lambda: NOW, path="/hook")


async def test_an_event_is_posted_as_json(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    receiver.replies.append(Reply(body=b'{"message_id": "m-1"}'))
    channel = await hook(system, desk, receiver.url, headers={"Authorization": "Bearer t"})
    result = await channel.ask(deliver("good morning", to="ada", key="e-7:crm"))
    assert (result.success, result.provider_message_id) == (True, "m-1")
    (request,) = receiver.received
    assert request.target == "/hook?tenant=7"
    assert request.json == {
        "recipient_id": "ada",
        "channel_id": "web",
        "room_id": "lobby",
        "event_id": "e-7",
        "index": 7,
        "content": {"type": "text", "body": "good morning", "language": None},
        "metadata": {},
    }
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "e-7:crm"
    assert request.headers["authorization"] == "Bearer t"
    assert not [name for name in request.headers if "signature" in name]


async def test_the_signature_is_over_the_time_and_the_raw_body(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    secret = "correct horse"
    settings = {"secret": Secret(secret), "roomkit_signature": True}
    channel = await hook(system, desk, receiver.url, **settings)
    await channel.ask(deliver("grüße"))
    (request,) = receiver.received
    timestamp = request.headers["x-troupe-timestamp"]
    assert timestamp == str(int(NOW))
    signed = timestamp.encode() + b"." + request.body
    assert request.headers["x-troupe-signature"] == _hmac(secret, signed)
    assert request.headers["x-roomkit-signature"] == _hmac(secret, request.body)


def _hmac(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


async def test_connections_are_used_again(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    channel = await hook(system, desk, receiver.url)
    for number in range(5):
        assert (await channel.ask(deliver(key=f"k-{number}"))).success
    assert (len(receiver.received), receiver.connections) == (5, 1)


async def test_rooms_do_not_wait_for_each_other(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    receiver.replies.append(Reply(delay=20))
    channel = await hook(system, desk, receiver.url)
    started = system.now
    slow = channel.ask(deliver(key="slow"), timeout=60)
    await receiver.wait_received(1)
    assert (await channel.ask(deliver(key="quick"))).success
    assert system.now - started < 1
    assert (await slow).success


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(400), {"code": "invalid_request", "retryable": False}),
        (
            Reply(400, b'{"error": {"code": "bad_recipient"}}'),
            {"code": "bad_recipient", "retryable": False},
        ),
        (Reply(401), {"code": "auth_error", "retryable": False}),
        (Reply(403), {"code": "http_403", "retryable": False}),
        (Reply(404), {"code": "http_404", "retryable": False}),
        (Reply(408), {"code": "http_408", "retryable": True}),
        (Reply(425), {"code": "http_425", "retryable": True}),
        (
            Reply(429, headers={"Retry-After": "7"}),
            {"code": "rate_limit", "retryable": True, "retry_after": 7.0},
        ),
        (Reply(500), {"code": "http_500", "retryable": True}),
        (
            Reply(503, headers={"Retry-After": "86400"}),
            {"code": "http_503", "retryable": True, "retry_after": 600.0},
        ),
        (Reply(302, headers={"Location": "/"}), {"code": "http_302", "retryable": False}),
        (
            Reply(0),
            {"code": "connection_error", "retryable": True, "message": "RemoteProtocolError"},
        ),
        (Reply(delay=31), {"code": "timeout", "retryable": True}),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else value["code"],
)
async def test_what_an_answer_means(
    system: SystemUnderTest,
    desk: DeskUnderTest,
    receiver: Receiver,
    reply: Reply,
    told: dict[str, Any],
) -> None:
    receiver.replies.append(reply)
    channel = await hook(system, desk, receiver.url)
    result = await channel.ask(deliver(), timeout=60)
    assert (result.success, result.error, result.metadata) == (False, told["code"], told)
    assert len(receiver.received) == 1  # redirects are not followed, and nothing is tried twice
    assert (await channel.ask(deliver(), timeout=60)).success


async def test_nobody_listens(system: SystemUnderTest, desk: DeskUnderTest) -> None:
    channel = await hook(system, desk, "http://127.0.0.1:9/")
    result = await channel.ask(deliver())
    assert result.metadata["code"] == "connection_error"
    assert result.metadata["retryable"] is True


@pytest.mark.parametrize(
    ("body", "message_id"),
    [
        (b'{"message_id": 17}', "17"),
        (b'{"message_id": ""}', None),
        (b'{"message_id": {"a": 1}}', None),
        (b"[1]", None),
        (b"thanks!", None),
        (b"", None),
        (b"\xff" * 200_000, None),
    ],
)
async def test_any_success_is_one_and_its_id_is_taken_if_it_tells_one(
    system: SystemUnderTest,
    desk: DeskUnderTest,
    receiver: Receiver,
    body: bytes,
    message_id: str | None,
) -> None:
    receiver.replies.append(Reply(202, body))
    channel = await hook(system, desk, receiver.url)
    result = await channel.ask(deliver())
    assert (result.success, result.provider_message_id) == (True, message_id)


@pytest.mark.parametrize(
    "content",
    [Text(""), Text("  "), Rich(""), Composite((Text(""), Text(" ")))],
    ids=lambda content: type(content).__name__,
)
async def test_of_nothing_no_request_is_made(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver, content: Content
) -> None:
    channel = await hook(system, desk, receiver.url)
    result = await channel.ask(deliver(content))
    assert result.metadata == {"code": "empty_message", "retryable": False}
    assert receiver.received == []


async def test_contents_travel_whole(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    channel = await hook(system, desk, receiver.url)
    file = Media("https://example.org/a.png", "image/png", caption="a map")
    assert (await channel.ask(deliver(Composite((file, Location(1.5, 2.5)))))).success
    (request,) = receiver.received
    parts = request.json["content"]["parts"]
    assert [part["type"] for part in parts] == ["media", "location"]
    assert (parts[0]["caption"], parts[1]["latitude"]) == ("a map", 1.5)


async def test_an_event_that_is_no_json_is_not_tried_again(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    channel = await hook(system, desk, receiver.url)
    result = await channel.ask(deliver("half a pair: \ud800"))
    assert result.metadata["code"] == "invalid_request"
    assert result.metadata["retryable"] is False


async def test_a_binding_without_recipient_is_told_so(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    channel = await hook(system, desk, receiver.url)
    assert (await channel.ask(deliver(to=""))).error == "no_recipient"
    await system.stop("/hook")
    channel = await hook(system, desk, receiver.url, recipient_key="")
    assert (await channel.ask(deliver(to=""))).success


async def test_a_key_that_no_header_can_hold_is_hashed(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    channel = await hook(system, desk, receiver.url)
    assert (await channel.ask(deliver(key="a\r\nX-Evil: 1"))).success
    (request,) = receiver.received
    assert "x-evil" not in request.headers
    assert len(request.headers["idempotency-key"]) == 64


async def test_a_private_address_is_not_connected_to(
    system: SystemUnderTest, desk: DeskUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that was public when it was configured, and points inside now."""

    class Rebound(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *_: Any, **__: Any) -> Any:
            await trio.lowlevel.checkpoint()
            return [(2, 1, 6, "", ("127.0.0.1", 80))]

        async def getnameinfo(self, *_: Any) -> Any:
            raise AssertionError

    trio.socket.set_custom_hostname_resolver(Rebound())
    channel = await hook(system, desk, "http://hooks.example.org/token-17", allow_private=False)
    with caplog.at_level(logging.DEBUG):
        result = await channel.ask(deliver())
    assert result.metadata == {
        "code": "unsafe_url",
        "retryable": False,
        "message": "its host is not on the public internet",
    }
    assert "token-17" not in str(result)


async def test_a_channel_that_stops_closes_its_connections(
    system: SystemUnderTest, desk: DeskUnderTest, receiver: Receiver
) -> None:
    receiver.replies.extend([Reply(), Reply(delay=300)])
    channel = await hook(system, desk, receiver.url)
    await channel.ask(deliver())
    hanging = channel.ask(deliver(key="k-2"), timeout=60)
    await receiver.wait_received(2)
    await system.stop("/hook")
    assert (await hanging).error == "channel_stopped"


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"url": "ftp://example.org/"}, "only http and https"),
        ({"url": "http://127.0.0.1/"}, "not on the public internet"),
        ({"headers": {"Content-Length": "3"}}, "may not set Content-Length"),
        ({"headers": {"x-troupe-signature": "forged"}}, "may not set x-troupe-signature"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "match"),
        ({"headers": {"X A": "b"}}, "match"),
        ({"roomkit_signature": True}, "needs a 'secret'"),
        ({"timeout": 0}, "timeout"),
        ({"concurrent": 0}, "concurrent"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_settings_are_refused_at_once(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        WebhookConfig(**{"url": "https://example.org/", **settings})


def test_settings_show_no_secrets() -> None:
    config = WebhookConfig(
        "https://example.org/token-17",
        secret=Secret("correct horse"),
        headers={"Authorization": "Bearer token-18"},
    )
    assert "token-1" not in repr(config)
    assert "horse" not in repr(config)


async def test_what_it_says_of_itself(desk: DeskUnderTest) -> None:
    config = WebhookConfig("https://example.org/", max_length=500)
    info = webhook_channel("crm", config, desk.ref).info
    assert (info.id, info.type.value, info.recipient_key) == ("crm", "webhook", "recipient_id")
    assert info.capabilities.max_length == 500
    assert info.capabilities.supports_media
