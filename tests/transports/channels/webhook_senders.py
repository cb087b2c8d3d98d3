"""Somebody who POSTs to our webhooks, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import orjson

from supervision.secret import Secret
from tests.transports.channels.channel_values import DeskUnderTest
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
