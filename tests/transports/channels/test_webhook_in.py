"""In by webhook, over real sockets: what is taken, and what each kind of bad request is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import httpx
import orjson
import pytest
import trio

from models.rooms.channel import DeskMessage, Receive, Report
from models.rooms.content import Composite, Edit, Media, Text
from models.rooms.errors import (
    BadValue,
    ChannelNotRegistered,
    Conflict,
    Overloaded,
    ParticipantNotFound,
    RoomClosed,
    RoomNotFound,
    RoomsError,
    StoreUnavailable,
)
from models.rooms.kinds import EventType
from models.rooms.refusals import RefuseFor
from models.rooms.traffic import DeliveryStatus, InboundMessage, InboundResult
from supervision import Actor, Promise, handles
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import DeskUnderTest, committed, desk_in
from tests.transports.channels.http_places import serving
from transports.channels.signature import sign
from transports.channels.webhook_in import InboundWebhook, webhook_routes

NOW = 1_770_000_000.5
SECRET = Secret("correct horse")
OLD = Secret("battery staple")


@attrs.define
class Sender:
    """Somebody who POSTs, and knows the secret or not."""

    client: httpx.AsyncClient
    desk: DeskUnderTest

    async def post(
        self,
        body: bytes | dict[str, Any],
        path: str = "/webhooks/crm",
        *,
        secret: Secret = SECRET,
        at: float = NOW,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        timestamp = str(int(at))
        signed = {
            "Content-Type": "application/json",
            "X-Troupe-Timestamp": timestamp,
            "X-Troupe-Signature": sign(secret, data, timestamp),
            **(headers or {}),
        }
        given = {name: value for name, value in signed.items() if value != "absent"}
        return await self.client.post(path, content=data, headers=given)


@pytest.fixture
async def desk(system: SystemUnderTest) -> DeskUnderTest:
    return await desk_in(system)


WEBHOOKS = {
    "crm": InboundWebhook((SECRET, OLD), largest=2000),
    "support": InboundWebhook((SECRET,), room_id="lobby", may_choose_room=True),
    "roomkit": InboundWebhook((SECRET,), roomkit_signature=True),
    "busy": InboundWebhook((SECRET,), concurrent=1, provider="acme"),
}


@asynccontextmanager
async def sender_to(desk: DeskUnderTest) -> AsyncIterator[Sender]:
    async with (
        serving(webhook_routes(desk.ref, WEBHOOKS, lambda: NOW)) as address,
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=None) as client,
    ):
        yield Sender(client, desk)


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
    assert {message.external_id, message.idempotency_key, message.provider_message_id} == {"x-1"}
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
    assert [r.message.idempotency_key for r in sender.desk.received] == ["x-1", "x-1"]
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
    ("two contents", b'{"sender_id": "a", "body": "x", "content": {}}', "content: goes without"),
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
    assert first.startswith(f"{int(NOW)}.")
    assert first != second


# -- what the desk says -----------------------------------------------------------------------


class Deciding(Actor[DeskMessage]):
    """Answers as the test decides."""

    def __init__(self, decide: Callable[[], Awaitable[InboundResult | None]]) -> None:
        super().__init__()
        self._decide = decide

    @handles
    def on_anything(self, message: Receive | Report) -> None:
        self.start_task(self._answer, self.defer())

    async def _answer(self, promise: Promise[InboundResult | None]) -> None:
        try:
            promise.resolve(await self._decide())
        except RefuseFor as refuse:
            promise.fail(refuse.answer(self.path))


@asynccontextmanager
async def decided_by(
    system: SystemUnderTest, decide: Callable[[], Awaitable[InboundResult | None]]
) -> AsyncIterator[Sender]:
    ref = await system.spawn(Deciding, decide, path="/deciding")
    async with sender_to(DeskUnderTest(ref, [], [])) as sender:
        yield sender


REFUSALS: list[tuple[RoomsError, int, str, str | None]] = [
    (BadValue(["content.body: too long"]), 400, "malformed", None),
    (ChannelNotRegistered("channel", "crm"), 404, "unknown_channel", None),
    (RoomNotFound("room", "lobby"), 404, "room_not_found", None),
    (ParticipantNotFound("participant", "ada"), 404, "participant_not_found", None),
    (RoomClosed("lobby", "closed"), 409, "room_closed", None),
    (Overloaded("room lobby", 100), 429, "overloaded", "1"),
    (StoreUnavailable("disk full at /var/lib/troupe"), 503, "store_unavailable", "5"),
    (Conflict("lobby", 3, 4), 503, "conflict", "1"),
]


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    REFUSALS,
    ids=[type(row[0]).__name__ for row in REFUSALS],
)
async def test_a_refusal_of_the_desk_is_told_and_may_be_repeated_where_waiting_helps(
    system: SystemUnderTest, error: RoomsError, status: int, code: str, retry_after: str | None
) -> None:
    async def refuse() -> InboundResult:
        await trio.lowlevel.checkpoint()
        raise RefuseFor(error)

    async with decided_by(system, refuse) as sender:
        for path, said in (
            ("/webhooks/crm", {"sender_id": "ada", "body": "hi"}),
            ("/webhooks/crm/status", {"message_id": "m-1", "status": "read"}),
        ):
            response = await sender.post(said, path)
            assert (response.status_code, response.json()["error"]["code"]) == (status, code)
            assert response.headers.get("retry-after") == retry_after
            assert "/var/lib" not in response.text
            again = (await sender.post(said, path)).json()["error"]["code"]
            assert again == ("replayed" if retry_after is None else code)


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("room_closed", 409, "room_closed"),
        ("rate_limited", 429, "rate_limited"),
        ("process_timeout", 503, "process_timeout"),
        ("profanity", 200, None),
        (None, 200, None),
    ],
)
async def test_a_blocked_message_is_a_fault_where_its_sender_can_do_something_about_it(
    system: SystemUnderTest, reason: str | None, status: int, code: str | None
) -> None:
    async def block() -> InboundResult:
        await trio.lowlevel.checkpoint()
        message = InboundMessage("crm", "ada", Text("hi"))
        event = committed(message, "lobby", 4) if status == 200 else None
        return InboundResult(event, blocked=True, reason=reason)

    async with decided_by(system, block) as sender:
        response = await sender.post({"sender_id": "ada", "body": "hi"})
        assert response.status_code == status
        if code is None:
            told = response.json()
            assert (told["blocked"], told["reason"], told["index"]) == (True, reason, 4)
        else:
            assert response.json()["error"]["code"] == code
            assert ("retry-after" in response.headers) == (status != 409)


async def test_what_takes_long_is_accepted_and_goes_its_way(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[float] = []

    async def slowly() -> InboundResult:
        await trio.sleep(20)
        done.append(system.now)
        if len(done) == 2:
            raise RefuseFor(StoreUnavailable("full"))
        return InboundResult()

    async with decided_by(system, slowly) as sender:
        said = {"sender_id": "ada", "body": "hi", "external_id": "x-1"}
        started = system.now
        response = await sender.post(said)
        assert response.status_code == 202
        assert response.json() == {"status": "accepted", "idempotency_key": "x-1"}
        assert system.now - started == pytest.approx(5, abs=0.1)
        await trio.sleep(16)
        assert done == [pytest.approx(started + 20, abs=0.1)]
        # Who was told 202 may ask what became of it, by the very same request.
        assert (await sender.post(said)).status_code == 202
        await trio.sleep(16)
        assert "taken, and then failed: store_unavailable" in caplog.text


async def test_a_desk_that_is_gone_is_no_riddle(system: SystemUnderTest) -> None:
    async def crash() -> InboundResult:
        await trio.lowlevel.checkpoint()
        raise KeyError("state")

    system.expect_crash("/deciding", KeyError)
    async with decided_by(system, crash) as sender:
        said = {"sender_id": "ada", "body": "hi"}
        crashed = await sender.post(said)
        await system.stop("/deciding")
        stopped = await sender.post(said)
    for response in (crashed, stopped):
        assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
        assert response.headers["retry-after"] == "5"
        assert "state" not in response.text


async def test_a_desk_that_has_no_room_for_more_says_so(system: SystemUnderTest) -> None:
    async def answer() -> InboundResult:
        await trio.lowlevel.checkpoint()
        return InboundResult()

    async with decided_by(system, answer) as sender:
        system.suspend("/deciding")
        message = InboundMessage("crm", "ada", Text("hi"))
        waiting = [sender.desk.ref.ask(Receive(message)) for _ in range(1000)]
        response = await sender.post({"sender_id": "ada", "body": "hi"})
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        system.resume("/deciding")
        assert (await sender.post({"sender_id": "ada", "body": "hi"})).status_code == 200
        assert all([await reply for reply in waiting])


async def test_of_too_many_at_a_time_some_are_told_to_come_again(system: SystemUnderTest) -> None:
    async def slowly() -> InboundResult:
        await trio.sleep(1)
        return InboundResult()

    async with decided_by(system, slowly) as sender, trio.open_nursery() as nursery:
        statuses: list[int] = []

        async def post(number: int) -> None:
            said = {"sender_id": "ada", "body": str(number)}
            statuses.append((await sender.post(said, "/webhooks/busy")).status_code)

        for number in range(3):
            nursery.start_soon(post, number)
        await trio.sleep(2)
        assert sorted(statuses) == [200, 429, 429]


def test_a_webhook_needs_a_secret() -> None:
    with pytest.raises(ValueError, match="secrets"):
        InboundWebhook(())
    with pytest.raises(TypeError, match="Secret"):
        InboundWebhook(("correct horse",))  # type: ignore[arg-type]
    assert "horse" not in repr(InboundWebhook((SECRET,)))
