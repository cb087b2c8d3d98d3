"""In by webhook: signed POSTs become messages and reports for the desk. docs/channels.md.

    POST /webhooks/{channel_id}          somebody said something
    POST /webhooks/{channel_id}/status   what became of something that was delivered earlier

The signature is what lets a request in, so these routes belong outside the server's gate.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import attrs
import trio
from attrs.validators import deep_iterable, ge, gt, instance_of, min_len
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from models.rooms.channel import DeskMessage, Receive, Report
from models.rooms.errors import BadValue
from models.rooms.traffic import InboundResult
from supervision import ActorRef, AskTimeout, Reply, SupervisionError
from supervision.secret import Secret
from transports.channels.signature import (
    ROOMKIT_SIGNATURE,
    SIGNATURE,
    TIMESTAMP,
    ReplayMemory,
    Verdict,
    verify,
)
from transports.channels.webhook_errors import Problem, problem_of, problem_of_result
from transports.channels.webhook_messages import read_message, read_status

logger = logging.getLogger("troupe.transports.channels")

_JSON = re.compile(r"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_UNWELCOME: Mapping[Verdict, tuple[str, str]] = {
    Verdict.UNSIGNED: ("unsigned", f"sign it: {TIMESTAMP} and {SIGNATURE}"),
    Verdict.STALE: ("stale", "it was signed too long ago, or by a clock that is wrong"),
    Verdict.FORGED: ("forged", "the signature is not that of this body, time and secret"),
}


@attrs.frozen
class InboundWebhook:
    """Who may POST to a channel, and how much."""

    secrets: tuple[Secret, ...] = attrs.field(
        validator=[min_len(1), deep_iterable(instance_of(Secret))]
    )
    """What requests are signed with: one, or while it is being replaced, the old one too."""
    roomkit_signature: bool = False
    """Take `X-RoomKit-Signature` as well. It has no time in it, so that what was overheard can be
    repeated for ever; messages need an `external_id` then."""
    room_id: str | None = None
    """The room that all of it belongs to; None lets the router find one."""
    may_choose_room: bool = False
    """Let messages name their room."""
    provider: str = "http"
    """What reports of deliveries name."""
    largest: int = attrs.field(default=256 * 1024, validator=ge(1))
    """Bytes of one request."""
    tolerance: float = attrs.field(default=300.0, validator=gt(0))
    """Seconds between the sender's clock and ours."""
    remembered: int = attrs.field(default=65_536, validator=ge(1))
    """Signatures kept to tell repeated requests; when they are more, the tolerance shrinks."""
    concurrent: int = attrs.field(default=256, validator=ge(1))
    """Requests being answered at the same time."""
    upload: float = attrs.field(default=10.0, validator=gt(0))
    """Seconds a request's body may take to come."""
    wait: float = attrs.field(default=5.0, validator=gt(0))
    """Seconds a sender waits for the outcome. Then it is told 202, and the message goes its way."""
    receive_timeout: float = attrs.field(default=300.0, validator=gt(0))
    """Seconds that may pass until all that a message caused is done."""


def webhook_routes(
    desk: ActorRef[DeskMessage],
    channels: Mapping[str, InboundWebhook],
    clock: Callable[[], float] = time.time,
) -> Sequence[BaseRoute]:
    """The routes of all webhooks.

    Args:
        desk: whom messages and reports are handed to.
        channels: by the id the channel is registered with.
        clock: the time of day, seconds since 1970, which signatures are held against.
    """
    doors = {name: _Door(name, webhook, desk, clock) for name, webhook in channels.items()}
    return [
        Route("/webhooks/{channel_id}", partial(_answer, doors, _Door.message), methods=["POST"]),
        Route(
            "/webhooks/{channel_id}/status", partial(_answer, doors, _Door.status), methods=["POST"]
        ),
    ]


async def _answer(
    doors: Mapping[str, _Door],
    handle: Callable[[_Door, Request], Awaitable[Response]],
    request: Request,
) -> Response:
    door = doors.get(request.path_params["channel_id"])
    try:
        if door is None:
            raise Problem(404, "unknown_channel", "no webhook channel has that id")
        response = await door.admitted(handle, request)
    except Problem as problem:
        response = _problem(problem)
    response.headers["Cache-Control"] = "no-store"
    return response


def _check_size(size: int, largest: int) -> None:
    if size > largest:
        raise Problem(413, "too_large", f"a request has at most {largest} bytes")


def _signature_of(request: Request) -> tuple[int | None, str]:
    """Of a genuine request: its time, None if it has none, and its signature."""
    signature = request.headers.get(SIGNATURE)
    if signature is None:
        return None, request.headers[ROOMKIT_SIGNATURE].lower()
    return int(request.headers[TIMESTAMP]), signature.lower()


def _problem(problem: Problem) -> Response:
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    error = {"code": problem.code, "message": problem.message, "faults": list(problem.faults)}
    return JSONResponse({"error": error}, problem.status, headers=headers)


@attrs.frozen
class _Signed:
    """A request whose sender knows the secret."""

    body: bytes
    name: str
    """Its time and signature: it has them alone."""
    timestamp: int | None
    signature: str


class _Door:
    """One channel's. All of it runs on the loop, and is whole between two awaits."""

    def __init__(
        self,
        channel_id: str,
        webhook: InboundWebhook,
        desk: ActorRef[DeskMessage],
        clock: Callable[[], float],
    ) -> None:
        self._channel_id = channel_id
        self._webhook = webhook
        self._desk = desk
        self._clock = clock
        self._memory = ReplayMemory(webhook.tolerance, webhook.remembered)
        self._inside = 0

    async def admitted(
        self, handle: Callable[[_Door, Request], Awaitable[Response]], request: Request
    ) -> Response:
        """Answer a request, if there are not too many."""
        if self._inside >= self._webhook.concurrent:
            text = f"{self._inside} requests of this channel are under way"
            raise Problem(429, "overloaded", text, retry_after=1)
        self._inside += 1
        try:
            return await handle(self, request)
        finally:
            self._inside -= 1

    # -- what is asked --------------------------------------------------------------------

    async def message(self, request: Request) -> Response:
        """Somebody said something."""
        signed = await self._signed(request)
        webhook = self._webhook
        try:
            message, room_id = read_message(
                signed.body,
                self._channel_id,
                largest=webhook.largest,
                may_choose_room=webhook.may_choose_room,
                # Without a time, the same words twice have the same signature.
                unnamed=signed.name if signed.timestamp is not None else None,
            )
        except BadValue as bad:
            raise problem_of(bad) from None
        ask = Receive(message, room_id or webhook.room_id)
        reply = self._desk.ask(ask, timeout=webhook.receive_timeout)
        if not await self._settled(reply, signed):
            key = message.idempotency_key
            return JSONResponse({"status": "accepted", "idempotency_key": key}, 202)
        return self._told(await reply, signed)

    async def status(self, request: Request) -> Response:
        """What became of something that was delivered earlier."""
        signed = await self._signed(request)
        webhook = self._webhook
        try:
            status = read_status(
                signed.body, self._channel_id, webhook.provider, largest=webhook.largest
            )
        except BadValue as bad:
            raise problem_of(bad) from None
        reply = self._desk.ask(Report(status), timeout=webhook.receive_timeout)
        if not await self._settled(reply, signed):
            return JSONResponse({"status": "accepted"}, 202)
        return JSONResponse({"status": "taken"})

    # -- what comes in ----------------------------------------------------------------------

    async def _signed(self, request: Request) -> _Signed:
        """The request, once it is known to be small enough, ours, and new."""
        webhook = self._webhook
        if not _JSON.fullmatch(request.headers.get("content-type", "").strip()):
            raise Problem(415, "unsupported_media_type", "send application/json, in UTF-8")
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "unsupported_media_type", "send it without a content encoding")
        body = await self._body(request)
        verdict = verify(
            webhook.secrets,
            body,
            request.headers,
            self._clock(),
            tolerance=webhook.tolerance,
            roomkit=webhook.roomkit_signature,
        )
        if verdict is not Verdict.GENUINE:
            raise Problem(401, *_UNWELCOME[verdict])
        return self._first_time(request, body)

    async def _body(self, request: Request) -> bytes:
        largest = self._webhook.largest
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and len(announced) < 19:
            _check_size(int(announced), largest)
        body = bytearray()
        try:
            with trio.fail_after(self._webhook.upload):
                async with aclosing(request.stream()) as pieces:
                    async for piece in pieces:
                        _check_size(len(body) + len(piece), largest)
                        body += piece
        except trio.TooSlowError:
            text = f"the body took longer than {self._webhook.upload:g} s"
            raise Problem(408, "timeout", text) from None
        except ClientDisconnect:
            raise Problem(400, "malformed", "the body ended early") from None
        return bytes(body)

    def _first_time(self, request: Request, body: bytes) -> _Signed:
        timestamp, signature = _signature_of(request)
        if timestamp is not None and not self._memory.take(timestamp, signature, self._clock()):
            text = "this very request has been taken before; sign it anew to send it again"
            raise Problem(409, "replayed", text)
        return _Signed(body, f"{timestamp}.{signature}", timestamp, signature)

    # -- what comes of it -------------------------------------------------------------------

    async def _settled(self, reply: Reply[Any], signed: _Signed) -> bool:
        """Whether the desk has answered in time. If it refuses, so does this.

        Raises:
            Problem: it refuses.
        """
        try:
            with trio.move_on_after(self._webhook.wait):
                await reply
                return True
        except AskTimeout:
            pass
        except SupervisionError as error:
            problem = problem_of(error)
            if problem.retry_after is not None:
                self._give_back(signed)
            raise problem from None
        self._give_back(signed)
        reply.on_settled(self._late)
        return False

    def _late(self, reply: Reply[Any]) -> None:
        """The outcome of what was answered with 202: its sender learns it by asking again."""
        if reply.error is not None:
            code = problem_of(reply.error).code
            logger.warning(f"{self._channel_id}: a message was taken, and then failed: {code}")

    def _told(self, result: InboundResult, signed: _Signed) -> Response:
        problem = problem_of_result(result)
        if problem is not None:
            if problem.retry_after is not None:
                self._give_back(signed)
            raise problem
        event = result.event
        return JSONResponse(
            {
                "event_id": event.id if event else None,
                "room_id": event.room_id if event else None,
                "index": event.index if event else None,
                "blocked": result.blocked,
                "reason": result.reason,
            }
        )

    def _give_back(self, signed: _Signed) -> None:
        """It may be sent again just as it is."""
        if signed.timestamp is not None:
            self._memory.give_back(signed.timestamp, signed.signature)
