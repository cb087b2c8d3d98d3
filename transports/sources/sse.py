"""A source that listens to a stream of server-sent events over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import trio
from attrs.validators import gt, matches_re

from models.net.faults import ProviderFault
from models.net.http import Body, is_loopback, mapped
from models.net.sse import EventStreamReader, ServerSentEvent
from transports.sources.listening import ListeningConfig, ListeningSource
from transports.sources.protocol import Feed, Parser, SourceFailed

MESSAGES = frozenset({"message", "msg", "chat"})
"""The events that are messages; one without a name is a "message"."""

_CLOSING = 1.0
"""Seconds to say goodbye in."""


@attrs.frozen(kw_only=True)
class SseSourceConfig(ListeningConfig):
    """Where it listens, and how patiently."""

    url: str = attrs.field(validator=matches_re(r"https?://[^\s/?#@]+([/?][^\s#]*)?"), repr=False)
    """"http://" or "https://", host, path, query."""
    idle_timeout: float = attrs.field(default=300.0, validator=gt(0))
    """Seconds in which nothing comes, no comment either; then the connection is lost."""


class SseSource(ListeningSource):
    """Every `message`, `msg` or `chat` is one of the channel, if the parser can read it.

    It goes on where it was: connecting again, it tells the server the last id it has heard, and the
    id of an event is that of the message, if the parser finds none. The source is over when the
    server says that there is nothing to listen to (204); the end of a stream is a failure.
    """

    def __init__(
        self, config: SseSourceConfig, parser: Parser | None = None, name: str = ""
    ) -> None:
        self._url = httpx.URL(config.url)
        super().__init__(name or f"sse {self._url.netloc.decode()}", config, parser)
        self._config = config
        self._last_id = ""
        self._other_events = 0

    async def listen(self, emit: Feed) -> None:
        try:
            async with self._client() as client, self._opened(client) as body:
                if body is not None:
                    self.is_connected(emit)
                    await self._hear(body, emit)
        except ProviderFault as fault:
            raise SourceFailed(str(fault)) from None

    async def _hear(self, body: Body, emit: Feed) -> None:
        reader = EventStreamReader(self._config.max_size, self._last_id)
        while True:
            data = await self._more(body)
            if data is None:
                raise SourceFailed("the stream ended")
            events = reader.feed(data)
            if reader.retry is not None:
                self.patience = reader.retry
            for event in events:
                await self._take_event(event, emit)
            self._last_id = reader.last_id

    async def _take_event(self, event: ServerSentEvent, emit: Feed) -> None:
        if event.name in MESSAGES:
            await self.take(event.data, emit, event.id)
        else:
            self._other_events += 1

    async def _more(self, body: Body) -> bytes | None:
        try:
            with trio.fail_after(self._config.idle_timeout):
                return await body.next()
        except trio.TooSlowError:
            raise SourceFailed(f"nothing came for {self._config.idle_timeout:g} s") from None

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        secure = self._url.scheme == "https"
        timeout = self._config.connect_timeout
        client = httpx.AsyncClient(
            # Loading the certificates takes some 20 ms, in which no handler could run.
            verify=await trio.to_thread.run_sync(httpx.create_ssl_context) if secure else False,
            # How long nothing may come is looked after by `_more`.
            timeout=httpx.Timeout(connect=timeout, write=timeout, pool=timeout, read=None),
            trust_env=not is_loopback(self._url.host),
        )
        try:
            yield client
        finally:
            with trio.move_on_after(_CLOSING, shield=True):
                await client.aclose()

    @asynccontextmanager
    async def _opened(self, client: httpx.AsyncClient) -> AsyncIterator[Body | None]:
        """The stream; None if there is nothing to listen to."""
        with mapped():
            response = await self._response(client)
            body = Body(response)
            try:
                if response.status_code == 204:
                    yield None
                else:
                    _check(response)
                    yield body
            finally:
                await body.close()
                await response.aclose()

    async def _response(self, client: httpx.AsyncClient) -> httpx.Response:
        headers = {**self._config.revealed(), "Accept": "text/event-stream"}
        headers["Cache-Control"] = "no-store"
        request = client.build_request("GET", self._url, headers=headers)
        if self._last_id:
            request.headers = httpx.Headers(
                [*request.headers.raw, (b"Last-Event-ID", self._last_id.encode())]
            )
        try:
            with trio.fail_after(self._config.connect_timeout):
                return await client.send(request, stream=True)
        except trio.TooSlowError:
            raise SourceFailed(f"no answer in {self._config.connect_timeout:g} s") from None

    def details(self) -> Mapping[str, Any]:
        return {**super().details(), "other_events": self._other_events}


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status != 200:
        # Of all that a client may have done wrong, only these pass.
        final = 400 <= status < 500 and status not in (408, 425, 429)
        raise SourceFailed(f"HTTP {status}", final)
    if response.headers.get("content-type", "").partition(";")[0].strip() != "text/event-stream":
        raise SourceFailed("that is no event stream", final=True)
