"""Out to a webhook: every event of its rooms is a signed POST to one URL. docs/channels.md."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs
import httpx
import orjson
import trio
from attrs.validators import deep_mapping, ge, gt, instance_of, matches_re, optional

from models.net.faults import error_code
from models.net.http import hold
from models.rooms.channel import DeskMessage, TransportSpec
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelDirection, ChannelMediaType, ChannelType
from models.rooms.room import ChannelCapabilities
from models.rooms.traffic import ProviderResult
from models.rooms.wire import to_wire
from supervision import ActorRef
from supervision.secret import Secret
from transports.channels.bodies import nothing_to_send
from transports.channels.config import ChannelConfig
from transports.channels.kit import Channel
from transports.channels.posting import PublicTransport, client_for, post
from transports.channels.results import EMPTY, failed, http_failed, sent
from transports.channels.signature import ROOMKIT_SIGNATURE, SIGNATURE, TIMESTAMP, sign
from transports.channels.url_safety import check_url

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are looked at."""
CAPABILITIES = ChannelCapabilities(
    media_types=tuple(ChannelMediaType),
    supports_threading=True,
    supports_edit=True,
    supports_delete=True,
    supports_rich_text=True,
    supports_buttons=True,
    supports_cards=True,
    supports_quick_replies=True,
    supports_templates=True,
    supports_media=True,
    supports_audio=True,
    supports_video=True,
)
"""Contents travel as they are: whoever reads them is a program."""

_HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_HEADER_VALUE = r"[\t\x20-\x7e]*"
_OURS = frozenset(
    name.lower()
    for name in (
        *(SIGNATURE, TIMESTAMP, ROOMKIT_SIGNATURE, "Idempotency-Key"),
        *("Content-Type", "Content-Length", "Host", "Transfer-Encoding", "Accept-Encoding"),
    )
)


@attrs.frozen
class WebhookConfig:
    """Where a webhook goes, and how it is signed."""

    url: str = attrs.field(repr=False)
    """http or https; on the public internet, unless `allow_private`. It may hold a token of its
    own, so it is never logged."""
    secret: Secret | None = None
    """What requests are signed with; without one they are not signed."""
    roomkit_signature: bool = False
    """Sign the body alone as well, in `X-RoomKit-Signature`, for receivers made for RoomKit."""
    headers: Mapping[str, str] = attrs.field(
        factory=dict,
        repr=False,
        validator=deep_mapping(matches_re(_HEADER_NAME), matches_re(_HEADER_VALUE)),
    )
    """More of them, such as an Authorization."""
    recipient_key: str = "recipient_id"
    """The key of binding metadata that holds `recipient_id`; "" if the receiver needs none."""
    allow_private: bool = False
    """Let the URL mean this machine or its network."""
    timeout: float = attrs.field(default=30.0, validator=gt(0))
    """Seconds the receiver may take to answer."""
    connect: float = attrs.field(default=5.0, validator=gt(0))
    """Seconds to reach it, TLS included."""
    idle: float = attrs.field(default=60.0, validator=ge(0))
    """Seconds an unused connection is kept."""
    concurrent: int = attrs.field(default=16, validator=ge(1))
    """Requests under way at the same time, and so connections."""
    max_length: int | None = attrs.field(
        default=None, validator=optional([instance_of(int), gt(0)])
    )
    """Characters of one text that the receiver takes."""

    def __attrs_post_init__(self) -> None:
        check_url(self.url, allow_private=self.allow_private)
        for name in self.headers:
            if name.lower() in _OURS:
                raise ValueError(f"'headers' may not set {name}: this channel does")
        if self.roomkit_signature and self.secret is None:
            raise ValueError("'roomkit_signature' needs a 'secret' to sign with")


class WebhookChannel(Channel):
    """Delivers by POST, with one pooled client."""

    def __init__(
        self,
        info: ChannelInfo,
        desk: ActorRef[DeskMessage],
        webhook: WebhookConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is opened before the actor starts.

        Args:
            clock: the time of day, seconds since 1970; it is signed.
        """
        timing = ChannelConfig(timeout=webhook.timeout, concurrent=webhook.concurrent)
        super().__init__(info, desk, timing)
        self._webhook = webhook
        self._clock = clock
        self._client: httpx.AsyncClient

    async def open(self) -> None:
        webhook = self._webhook
        # Loading the certificates takes some 20 ms, in which no handler could run.
        secure = httpx.URL(webhook.url).scheme == "https"
        tls = await trio.to_thread.run_sync(httpx.create_ssl_context) if secure else None
        transport = PublicTransport(
            allow_private=webhook.allow_private,
            tls=tls,
            connections=webhook.concurrent,
            idle=webhook.idle,
        )
        self._client = client_for(transport, webhook.headers, connect=webhook.connect)
        self.start_task(hold, self._client, name="connections")

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        if nothing_to_send(event.content):
            return EMPTY
        try:
            body = orjson.dumps(payload(event, to))
        except TypeError:  # free data that is no JSON, or half a surrogate pair
            return failed("invalid_request", False, message="the event is not JSON")
        answer = await post(
            self._client, self._webhook.url, body, self._headers(body, key), most=MOST_ANSWER
        )
        if 200 <= answer.status < 300:
            return sent(message_id_of(answer.body))
        code = error_code(answer.body)
        return http_failed(answer.status, answer.headers, datetime.now(UTC), code)

    def _headers(self, body: bytes, key: str) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": header_safe(key)}
        secret = self._webhook.secret
        if secret is not None:
            timestamp = str(int(self._clock()))
            headers[TIMESTAMP] = timestamp
            headers[SIGNATURE] = sign(secret, body, timestamp)
            if self._webhook.roomkit_signature:
                headers[ROOMKIT_SIGNATURE] = sign(secret, body, "")
        return headers


def webhook_channel(
    channel_id: str, webhook: WebhookConfig, desk: ActorRef[DeskMessage]
) -> TransportSpec:
    """A webhook to register. What comes in from it comes by `webhook_routes`."""
    info = ChannelInfo(
        channel_id,
        ChannelType.WEBHOOK,
        capabilities=attrs.evolve(CAPABILITIES, max_length=webhook.max_length),
        provider="http",
        recipient_key=webhook.recipient_key,
    )
    return TransportSpec(info, partial(WebhookChannel, info, desk, webhook))


class InboundOnly(Channel):
    """A channel that only messages come from."""

    def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        return failed("inbound_only", False)


def inbound_webhook_channel(channel_id: str, desk: ActorRef[DeskMessage]) -> TransportSpec:
    """To register a webhook that only messages come from; see `webhook_in.py`."""
    info = ChannelInfo(
        channel_id,
        ChannelType.WEBHOOK,
        direction=ChannelDirection.INBOUND,
        capabilities=CAPABILITIES,
        provider="http",
    )
    return TransportSpec(info, partial(InboundOnly, info, desk))


def payload(event: RoomEvent, to: str) -> Mapping[str, Any]:
    """What is POSTed of an event."""
    return {
        "recipient_id": to,
        "channel_id": event.source.channel_id,
        "room_id": event.room_id,
        "event_id": event.id,
        "index": event.index,
        "content": to_wire(event.content),
        "metadata": event.metadata,
    }


def message_id_of(body: bytes) -> str | None:
    """The receiver's name for the message, if it tells one."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    name = answer.get("message_id") if isinstance(answer, dict) else None
    return str(name)[:256] if isinstance(name, str | int) and name != "" else None


def header_safe(key: str) -> str:
    """A key as it may stand in a header: itself, or a hash that stands for it."""
    if re.fullmatch(r"[\x21-\x7e]{1,200}", key):
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
