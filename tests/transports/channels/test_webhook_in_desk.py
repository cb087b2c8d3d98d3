"""In by webhook, over real sockets: what a sender is told of what the desk says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from models.rooms.channel import DeskMessage, Receive, Report
from models.rooms.content import Text
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
from models.rooms.refusals import RefuseFor
from models.rooms.traffic import InboundMessage, InboundResult
from supervision import Actor, Promise, handles
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import DeskUnderTest, committed
from tests.transports.channels.webhook_senders import Sender, sender_to


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
        assert response.json() == {"status": "accepted", "idempotency_key": "crm:x-1"}
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
