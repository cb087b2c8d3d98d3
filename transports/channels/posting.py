"""POSTs to URLs that somebody else chose: a pooled client that reaches public addresses only.

There are no proxies and no redirects: both would connect to what nobody has checked.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
import httpcore
import httpx
import trio

from models.net.http import Body
from transports.channels.url_safety import addresses_of


@attrs.frozen
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Their names in any case."""
    body: bytes = attrs.field(repr=False)
    """The beginning of it."""


class PublicTransport(httpx.AsyncBaseTransport):
    """For an httpx client: connects to public addresses alone, each checked as it is used."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        connections: int = 16,
        idle: float = 60.0,
    ) -> None:
        """Nothing is connected yet.

        Args:
            allow_private: connect to anything.
            tls: `httpx.create_ssl_context()`, which takes 20 ms to make; None if it is all http.
            connections: open at the same time at most.
            idle: seconds an unused one is kept.
        """
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=idle,
            network_backend=_CheckedNetwork(allow_private),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("an async client sends async streams")
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        outgoing = httpcore.Request(
            request.method,
            url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            response = await self._pool.handle_async_request(outgoing)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Incoming(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Looks a host up once, checks what it finds, and connects to that."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  so it is called there
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with trio.fail_after(30.0 if timeout is None else timeout):
                addresses = await addresses_of(host, port, allow_private=self._allow_private)
                # A dead address must not eat up the time in which the next one could answer.
                share = None if timeout is None else timeout / max(1, len(addresses))
                return await self._first(addresses, port, share, local_address, socket_options)
        except OSError as error:
            raise httpcore.ConnectError("the host has no address") from error
        except trio.TooSlowError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error

    async def _first(
        self,
        addresses: Sequence[str],
        port: int,
        within: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        """A stream to the first that can be reached, each tried for some seconds."""
        for later, address in enumerate(addresses, start=1):
            try:
                return await self._network.connect_tcp(
                    address, port, within, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if later == len(addresses):
                    raise
        raise httpcore.ConnectError("the host has no address")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class _Incoming(httpx.AsyncByteStream):
    """The body of an answer."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


class _Outgoing(httpx.AsyncByteStream):
    """The body of a request, in one piece. httpx's own is a generator, and those that are left
    when a request is cancelled are reported as abandoned.
    """

    def __init__(self, content: bytes) -> None:
        self._left = [content]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


_NAMES: Mapping[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
}


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore's errors as those that users of httpx know."""
    try:
        yield
    except tuple(_NAMES) as error:
        raise _NAMES[type(error)](str(error)) from error


def client_for(
    transport: httpx.AsyncBaseTransport, headers: Mapping[str, str], *, connect: float
) -> httpx.AsyncClient:
    """A client whose requests may take as long as their callers let them.

    Args:
        connect: seconds to reach the host, TLS included.
    """
    return httpx.AsyncClient(
        transport=transport,
        headers={"User-Agent": "troupe", **headers},
        timeout=httpx.Timeout(None, connect=connect, pool=connect),
    )


async def post(
    client: httpx.AsyncClient, url: str, content: bytes, headers: Mapping[str, str], *, most: int
) -> Answered:
    """POST and read the beginning of the answer, whatever its status.

    Args:
        most: bytes of the answer that are read.
    Raises:
        httpx.TransportError: there was no answer.
        UnsafeUrl: the host is not public.
    """
    # Identity, because a small compressed answer can become a large one.
    outgoing = client.build_request(
        "POST", url, content=content, headers={"Accept-Encoding": "identity", **headers}
    )
    outgoing.stream = _Outgoing(content)
    response = await client.send(outgoing, stream=True)
    body = Body(response)
    beginning = bytearray()
    try:
        while len(beginning) < most and (data := await body.next()) is not None:
            beginning += data
    finally:
        await body.close()
        await response.aclose()
    return Answered(response.status_code, response.headers, bytes(beginning[:most]))
