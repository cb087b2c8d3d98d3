"""HTTP to a provider: one pooled client each, and every failure as a `ProviderFault`."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar

import attrs
import httpx
import orjson
import trio
from attrs.validators import ge, gt, matches_re

from models.faults import FaultKind
from models.net.faults import ProviderFault, garbled, status_fault
from supervision.secret import Secret

K = TypeVar("K", bound=Secret | None)

_ERROR_BODY = 16 * 1024
"""Bytes of an error's body that are looked at."""

_ERROR_PATIENCE = 0.5
"""Seconds that an error's body may take; its status says enough."""

_CLOSING = 1.0
"""Seconds to say goodbye to the connections of a client that is stopped."""

URL = matches_re(r"https?://[^\s/?#@]+[^\s?#]*")
"""Validates the address of an HTTP service, with or without a path."""

WS_URL = matches_re(r"wss?://[^\s/?#@]+[^\s?#]*")
"""Validates the address of a WebSocket service, with or without a path."""


def check_key(_: object, attribute: attrs.Attribute[K], value: K) -> None:
    """Validates that a key can stand in a header: else an error would quote the header one day."""
    if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.reveal()):
        raise ValueError(
            f"'{attribute.name}' holds a blank, a line break or another character that no key has; "
            "look for one at its end"
        )


def to_json(value: object) -> bytes:
    """JSON of a request.

    Raises:
        ProviderFault: REJECTED, it holds half a surrogate pair, which no JSON can carry.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise ProviderFault(FaultKind.REJECTED, "text that is not Unicode") from None


@attrs.frozen
class HttpConfig:
    """How connections to a provider are made and kept."""

    connect: float = attrs.field(default=2.0, validator=gt(0))
    """Seconds to reach it, TLS included."""
    write: float = attrs.field(default=5.0, validator=gt(0))
    """Seconds it may take no bytes of a request."""
    idle: float = attrs.field(default=60.0, validator=ge(0))
    """Seconds an unused connection is kept, so that the next request need not connect."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that no proxy stands between."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def open_client(
    base_url: str,
    headers: Mapping[str, str],
    config: HttpConfig,
    concurrent: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client for one provider; whoever opens it has `hold` close it.

    Args:
        base_url: what the paths of requests are appended to.
        concurrent: connections at most.
        transport: stands for the network, in tests.
    """
    url = httpx.URL(base_url.rstrip("/") + "/")
    secure = url.scheme == "https" and transport is None
    return httpx.AsyncClient(
        base_url=url,
        headers=dict(headers),
        # Loading the certificates takes some 20 ms, in which no handler could run.
        verify=await trio.to_thread.run_sync(httpx.create_ssl_context) if secure else False,
        # How long an answer may take is the engines' business: it depends on what is useful.
        timeout=httpx.Timeout(
            connect=config.connect, write=config.write, read=None, pool=config.connect
        ),
        limits=httpx.Limits(
            max_connections=concurrent,
            max_keepalive_connections=concurrent,
            keepalive_expiry=config.idle,
        ),
        trust_env=not is_loopback(url.host),
        transport=transport,
    )


class BearerApi(Protocol):
    """What is configured about an OpenAI-style API, whatever it is for."""

    @property
    def base_url(self) -> str: ...
    @property
    def api_key(self) -> Secret | None: ...
    @property
    def http(self) -> HttpConfig: ...
    @property
    def concurrent(self) -> int: ...


async def open_bearer_client(
    api: BearerApi, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """A client that shows the API's key as a bearer token, if it has one; see `open_client`."""
    key = api.api_key
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    return await open_client(api.base_url, headers, api.http, api.concurrent, transport)


async def secure_context(url: str) -> ssl.SSLContext | None:
    """What a WebSocket to `url` needs for its TLS; None without TLS."""
    if not url.startswith("wss://"):
        return None
    return await trio.to_thread.run_sync(httpx.create_ssl_context)


async def hold(client: httpx.AsyncClient) -> None:
    """Keep a client open until cancelled, then close its connections. An actor's task."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING):
            await client.aclose()


class Body:
    """The body of an answer, read as it comes."""

    def __init__(self, response: httpx.Response) -> None:
        self.content_type: str = response.headers.get("content-type", "")
        self._chunks = response.aiter_bytes()

    async def next(self) -> bytes | None:
        """The next bytes; None at the end."""
        return await anext(self._chunks, None)

    async def read(self, limit: int) -> bytes:
        """All of it.

        Raises:
            ProviderFault: GARBLED, it has more than `limit` bytes.
        """
        body = bytearray()
        while (data := await self.next()) is not None:
            body += data
            if len(body) > limit:
                raise garbled(f"an answer of more than {limit} bytes")
        return bytes(body)

    async def close(self) -> None:
        """Stop reading. Of a body that is not at its end this closes the connection."""
        # httpx and httpcore read through a pile of async generators. Left alone, each would be
        # reported as abandoned when it is collected; cancelled at the bottom, they all end.
        with trio.CancelScope() as scope:
            scope.cancel()
            while await self.next() is not None:
                pass


class _Content(httpx.AsyncByteStream):
    """What is sent, in one piece. httpx's own is a generator, and would be one more that is
    reported as abandoned, when a request is cancelled while it is being sent.
    """

    def __init__(self, content: bytes) -> None:
        self._left = [content]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@asynccontextmanager
async def streamed(client: httpx.AsyncClient, path: str, **request: Any) -> AsyncIterator[Body]:
    """POST and yield the body to read from; leaving the block early closes the connection.

    Args:
        request: `content`, `files` and so on, as httpx has them.
    Raises:
        ProviderFault: it could not be reached, its status is not 200, or the connection broke,
            also while the body is read in the block.
    """
    outgoing = client.build_request("POST", path, **request)
    outgoing.stream = _Content(await outgoing.aread())
    with mapped():
        response = await client.send(outgoing, stream=True)
        body = Body(response)
        try:
            if response.status_code != 200:
                raise await _refusal(response, body)
            yield body
        finally:
            await body.close()
            await response.aclose()


async def _refusal(response: httpx.Response, body: Body) -> ProviderFault:
    beginning = bytearray()
    with trio.move_on_after(_ERROR_PATIENCE):
        while len(beginning) < _ERROR_BODY and (data := await body.next()) is not None:
            beginning += data
    return status_fault(response.status_code, response.headers, bytes(beginning), datetime.now(UTC))


@contextmanager
def mapped() -> Iterator[None]:
    """httpx's errors as `ProviderFault`s, named by their type alone: their texts quote URLs."""
    try:
        yield
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        raise ProviderFault(FaultKind.TIMEOUT, type(error).__name__) from error
    except httpx.RemoteProtocolError as error:
        # httpx has one type for "hung up" and for "spoke another protocol".
        text = str(error)
        if "disconnected" in text or "closed connection" in text:
            raise ProviderFault(FaultKind.UNAVAILABLE, "it hung up") from error
        raise garbled("not HTTP") from error
    except httpx.DecodingError as error:
        raise garbled("its compression is broken") from error
    except httpx.TransportError as error:
        raise ProviderFault(FaultKind.UNAVAILABLE, type(error).__name__) from error
