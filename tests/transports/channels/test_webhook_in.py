"""In by webhook, over real sockets: what is taken, and what each kind of bad request is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import attrs
import orjson
import pytest
import trio

from models.rooms.content import Composite, Edit, Media, Text
from models.rooms.kinds import EventType
from models.rooms.traffic import DeliveryStatus
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import DeskUnderTest, desk_in
from tests.transports.channels.webhook_senders import NOW, OLD, SECRET, Sender, sender_to
from transports.channels.signature import sign
from transports.channels.webhook_in import InboundWebhook


@pytest.fixture
async def desk(system: SystemUnderTest) -> DeskUnderTest:
    return await desk_in(system)


@pytest.fixture
async def sender(desk: DeskUnderTest) -> AsyncIterator[Sender]:
    async with sender_to(desk) as sender:
        yield sender


# -- what is taken ----------------------------------------------------------------------------


async def test_a_signed_message_is_committed_and_its_place_told(sender: Sender) -> None:
    said = {"sender_id": "ada", "body": "hello", "external_id": "x-1", "metadata": {"n": 1}}
    response = await sender.post({**said, "unknown": True})
    assert response.status_code == 200
    assert response.json() == {
        "event_id": "e-0",
        "room_id": "found",
        "index": 0,
        "blocked": False,
        "reason": None,
    }
    assert response.headers["cache-control"] == "no-store"
    (received,) = sender.desk.received
    message = received.message
    assert (message.channel_id, message.sender_id, message.content) == ("crm", "ada", Text("hello"))
    assert message.external_id == message.provider_message_id == "x-1"
    assert message.idempotency_key == "crm:x-1"
    assert message.metadata == {"n": 1}
    assert received.room_id is None


async def test_the_secret_that_is_being_replaced_still_counts(sender: Sender) -> None:
    response = await sender.post({"sender_id": "ada", "body": "hello"}, secret=OLD)
    assert response.status_code == 200


async def test_files_and_contents_come_as_what_they_are(sender: Sender) -> None:
    file = {"url": "https://example.org/a"}
    for said in (
        {"media": [file]},
        {"media": [file], "body": "a map"},
        {"media": [file, file], "body": "two maps"},
        {"content": {"type": "edit", "target_event_id": "e-0", "new_content": _text("no")}},
    ):
        assert (await sender.post({"sender_id": "ada", **said})).status_code == 200
    contents = [received.message.content for received in sender.desk.received]
    media = Media("https://example.org/a", "application/octet-stream")
    assert contents == [
        media,
        attrs.evolve(media, caption="a map"),
        Composite((Text("two maps"), media, media)),
        Edit("e-0", Text("no")),
    ]
    assert sender.desk.received[3].message.event_type is EventType.EDIT


def _text(body: str) -> dict[str, str]:
    return {"type": "text", "body": body}


async def test_a_room_is_the_channels_or_the_messages_if_it_may(sender: Sender) -> None:
    said = {"sender_id": "ada", "body": "hello"}
    await sender.post(said, "/webhooks/support")
    await sender.post({**said, "room_id": "attic"}, "/webhooks/support")
    assert [received.room_id for received in sender.desk.received] == ["lobby", "attic"]


async def test_a_report_goes_to_the_desk(sender: Sender) -> None:
    report = {
        "message_id": "m-1",
        "status": "read",
        "recipient": "ada",
        "timestamp": "2026-03-02T10:00:00+01:00",
    }
    response = await sender.post(report, "/webhooks/busy/status")
    assert (response.status_code, response.json()) == (200, {"status": "taken"})
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    told = DeliveryStatus("acme", "m-1", "read", None, "busy", "ada", timestamp=at)
    assert [report.status for report in sender.desk.reports] == [told]


async def test_roomkits_signature_is_over_the_body_alone(sender: Sender) -> None:
    body = orjson.dumps({"sender_id": "ada", "body": "hello", "external_id": "x-1"})
    headers = {
        "X-RoomKit-Signature": sign(SECRET, body, ""),
        "X-Troupe-Signature": "absent",
        "X-Troupe-Timestamp": "absent",
    }
    assert (await sender.post(body, "/webhooks/roomkit", headers=headers)).status_code == 200
    # Said again it is not known to be a repetition; the store knows it by its id.
    assert (await sender.post(body, "/webhooks/roomkit", headers=headers)).status_code == 200
    assert [r.message.idempotency_key for r in sender.desk.received] == ["roomkit:x-1"] * 2
    assert (await sender.post(body, "/webhooks/crm", headers=headers)).status_code == 401

    body = orjson.dumps({"sender_id": "ada", "body": "hello"})
    headers["X-RoomKit-Signature"] = sign(SECRET, body, "")
    response = await sender.post(body, "/webhooks/roomkit", headers=headers)
    assert response.json()["error"]["faults"] == [
        "external_id: needed where the signature holds no time"
    ]


# -- what is not ------------------------------------------------------------------------------

HELLO = b'{"sender_id": "ada", "body": "hello"}'
GOOD = sign(SECRET, HELLO, str(int(NOW)))
TYPE = "unsupported_media_type"

BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("another secret", {"secret": Secret("guess")}, 401, "forged"),
    ("another body", {"body": HELLO + b" ", "X-Troupe-Signature": GOOD}, 401, "forged"),
    ("another time", {"X-Troupe-Timestamp": str(int(NOW) + 1)}, 401, "forged"),
    ("no signature", {"X-Troupe-Signature": "absent"}, 401, "unsigned"),
    ("no time", {"X-Troupe-Timestamp": "absent"}, 401, "unsigned"),
    ("no number", {"X-Troupe-Timestamp": "1e9"}, 401, "unsigned"),
    ("a negative time", {"X-Troupe-Timestamp": "-5"}, 401, "unsigned"),
    ("a huge time", {"X-Troupe-Timestamp": "9" * 400}, 401, "unsigned"),
    ("no hexadecimal", {"X-Troupe-Signature": "zz"}, 401, "forged"),
    ("an empty signature", {"X-Troupe-Signature": ""}, 401, "unsigned"),
    ("too old", {"at": NOW - 301}, 401, "stale"),
    ("from the future", {"at": NOW + 301}, 401, "stale"),
    ("an unknown channel", {"path": "/webhooks/nobody"}, 404, "unknown_channel"),
    ("a report for nobody", {"path": "/webhooks/nobody/status"}, 404, "unknown_channel"),
    ("a form", {"Content-Type": "application/x-www-form-urlencoded"}, 415, TYPE),
    ("no type", {"Content-Type": "absent"}, 415, TYPE),
    ("another charset", {"Content-Type": "application/json; charset=utf-16"}, 415, TYPE),
    ("compressed", {"Content-Encoding": "gzip"}, 415, TYPE),
    ("too large", {"body": b'{"a": "' + b"x" * 2000 + b'"}'}, 413, "too_large"),
]

MALFORMED: list[tuple[str, bytes, str]] = [
    ("no JSON", b'{"sender_id": "ada"', "no JSON"),
    ("no UTF-8", b'{"sender_id": "\xff", "body": "hi"}', "no JSON"),
    ("nothing", b"", "no JSON"),
    ("deep", b"[" * 1900, "no JSON"),
    ("no JSON number", b'{"sender_id": "a", "body": "b", "metadata": {"c": NaN}}', "no JSON"),
    ("a list", b"[]", "expected an object, got a list"),
    ("no sender", b'{"body": "hello"}', "sender_id: missing"),
    ("an empty sender", b'{"sender_id": "", "body": "hello"}', "sender_id: "),
    ("a number", b'{"sender_id": "ada", "body": 3}', "body: expected a string, got a number"),
    ("nothing said", b'{"sender_id": "ada", "body": " "}', "body: nothing is said"),
    ("a strange URL", b'{"sender_id": "a", "media": [{"url": "file:///etc"}]}', "media[0]: "),
    (
        "the room's own voice",
        b'{"sender_id": "a", "content": {"type": "system", "body": "x"}}',
        "content: 'system'",
    ),
    (
        "its voice in a part",
        b'{"sender_id": "a", "content": {"type": "composite", "parts": '
        b'[{"type": "edit", "target_event_id": "e", "new_content": '
        b'{"type": "tool_call", "tool_name": "n", "tool_id": "i"}}]}}',
        "content: 'system'",
    ),
    ("an empty text", b'{"sender_id": "a", "content": {"type": "text", "body": ""}}', "content: "),
    ("an unknown content", b'{"sender_id": "a", "content": {"type": "poem"}}', "content.type: "),
    ("half a content", b'{"sender_id": "a", "content": {"type": "text"}}', "content.body: missing"),
    (
        "two contents",
        b'{"sender_id": "a", "body": "x", "content": {"type": "text", "body": "y"}}',
        "content: goes without",
    ),
    ("a room", b'{"sender_id": "a", "body": "x", "room_id": "lobby"}', "room_id: "),
]


@pytest.mark.parametrize(
    ("request_", "status", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_a_bad_request_is_told_what_is_wrong_and_reaches_nobody(
    sender: Sender, request_: dict[str, Any], status: int, code: str
) -> None:
    headers = {name: value for name, value in request_.items() if name[0].isupper()}
    others = {name: value for name, value in request_.items() if name not in headers}
    response = await sender.post(**{"body": HELLO, **others, "headers": headers})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["faults"]) == (status, code, [])
    assert error["message"]
    assert sender.desk.received == []
    assert sender.desk.reports == []


@pytest.mark.parametrize(
    ("body", "fault"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
async def test_malformed_data_is_told_with_its_path_and_reaches_nobody(
    sender: Sender, body: bytes, fault: str
) -> None:
    response = await sender.post(body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "malformed")
    assert error["faults"][0].startswith(fault), error["faults"]
    assert sender.desk.received == []


async def test_a_malformed_report_is_told_with_its_path(sender: Sender) -> None:
    response = await sender.post({"message_id": "m", "status": "eaten"}, "/webhooks/crm/status")
    assert response.status_code == 400
    assert response.json()["error"]["faults"] == [
        "status: expected one of queued, sent, delivered, read, failed"
    ]


async def raw(sender: Sender, head: str, body: bytes = b"") -> tuple[float, bytes]:
    """What comes back, and after how many seconds, if only this is ever sent."""
    url = sender.client.base_url
    stream = await trio.open_tcp_stream(url.host, url.port or 80)
    started = trio.current_time()
    async with stream:
        lines = (
            f"POST /webhooks/crm HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}"
        )
        await stream.send_all(f"{lines}\r\n\r\n".encode() + body)
        with trio.fail_after(60):
            return trio.current_time() - started, bytes(await stream.receive_some(65536))


async def test_a_large_body_is_refused_before_it_has_come(sender: Sender) -> None:
    took, answer = await raw(sender, "Content-Length: 50000000", b"{")
    assert b"413" in answer.partition(b"\r\n")[0]
    assert took < 1
    took, answer = await raw(sender, "Transfer-Encoding: chunked", b"900\r\n" + b"x" * 0x900)
    assert b"413" in answer.partition(b"\r\n")[0]


async def test_a_body_that_does_not_come_is_not_waited_for(sender: Sender) -> None:
    _, answer = await raw(sender, "Content-Length: 100", b"{")
    assert b"408" in answer.partition(b"\r\n")[0]


async def test_only_posts_are_answered(sender: Sender) -> None:
    assert (await sender.client.get("/webhooks/crm")).status_code == 405
    assert (await sender.client.post("/webhooks/crm/other")).status_code == 404


async def test_a_repeated_request_is_told_so_and_reaches_nobody(sender: Sender) -> None:
    said = {"sender_id": "ada", "body": "hello", "external_id": "x-1"}
    assert (await sender.post(said)).status_code == 200
    again = await sender.post(said)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "replayed")
    # Signed anew it is taken: the store knows it by its id, and answers with the first event.
    assert (await sender.post(said, at=NOW + 1)).status_code == 200
    # An upper-case signature is the same signature.
    loud = sign(SECRET, orjson.dumps(said), str(int(NOW))).upper()
    assert (await sender.post(said, headers={"X-Troupe-Signature": loud})).status_code == 409
    assert len(sender.desk.received) == 2


async def test_a_message_without_a_name_is_known_by_its_signature(sender: Sender) -> None:
    await sender.post({"sender_id": "ada", "body": "hello"})
    await sender.post({"sender_id": "ada", "body": "hello"}, at=NOW + 1)
    first, second = (received.message.idempotency_key for received in sender.desk.received)
    assert first is not None
    assert first.startswith(f"crm:{int(NOW)}.")
    assert first != second


def test_a_webhook_needs_a_secret() -> None:
    with pytest.raises(ValueError, match="secrets"):
        InboundWebhook(())
    with pytest.raises(TypeError, match="Secret"):
        InboundWebhook(("correct horse",))  # type: ignore[arg-type]
    assert "horse" not in repr(InboundWebhook((SECRET,)))
