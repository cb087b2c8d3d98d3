"""A program in rooms by WebSocket.

    async with open_room_client("ws://127.0.0.1:8474/ws", participant_id="ada") as client:
        await client.subscribe("lobby")
        await client.send("lobby", "Hello!")
        async for news in client:
            ...

A connection that is lost comes back by itself: rooms go on after the last event that was news, and
messages without an answer are said again, to be written once.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn
from uuid import uuid4

import attrs
import orjson
import trio
from attrs.validators import ge, gt

from models.rooms.content import Content, Text
from models.rooms.errors import BadValue
from models.rooms.kinds import EventType
from models.rooms.wire import to_wire
from supervision.resilience import Backoff
from supervision.secret import Secret
from supervision.tasks import single
from transports.channels.websocket import messages
from transports.channels.websocket.news import (
    Accepted,
    ConnectionBack,
    ConnectionLost,
    News,
    Refused,
    RoomNews,
)
from transports.client_link import connect_link
from transports.frame_link import HandshakeFailed, LinkClosed
from transports.sansio_link import SansIoLink


@attrs.frozen
class RoomClientConfig:
    """How patient a client is. Seconds."""

    connect_timeout: float = attrs.field(default=10.0, validator=gt(0))
    """For name, connection and handshake together, and once more for the answer to the hello."""
    answer_timeout: float = attrs.field(default=60.0, validator=gt(0))
    """For the answer to a message or a subscription, lost connections included."""
    ping_interval: float = attrs.field(default=10.0, validator=gt(0))
    """Between pings to a server from which nothing comes; three without an answer are its end."""
    backoff: Backoff = attrs.field(factory=lambda: Backoff(base=0.2, maximum=15.0))
    """How long to wait before each attempt to come back."""
    news: int = attrs.field(default=1000, validator=ge(1))
    """News that wait for the program; events beyond it are asked for again, the rest is lost."""


@attrs.define(eq=False)
class RoomClientError(Exception):
    """The base of what a client raises."""

    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class NotLetIn(RoomClientError):
    """The server does not want us: another token, participant or channel may help."""


class Unreachable(RoomClientError):
    """Nobody is there, or it speaks something else. Try again later."""


class NotDone(RoomClientError):
    """The room said no, or no answer came in time (code `timeout`)."""


@asynccontextmanager
async def open_room_client(
    url: str,
    *,
    participant_id: str,
    token: Secret | str | None = None,
    display_name: str | None = None,
    stream: bool = False,
    channel: str | None = None,
    tls: ssl.SSLContext | None = None,
    config: RoomClientConfig | None = None,
) -> AsyncIterator[RoomClient]:
    """A client that is in; leaving the block ends it.

    Args:
        url: "ws://" or "wss://", host, path.
        stream: hear of answers while they are being made.
        channel: the id of the channel to come by, where there are several.
        tls: whom to trust, for "wss://"; the system's certificates if left out.

    Raises:
        NotLetIn: the server said no; also later, out of the block, if it does when we come back.
        Unreachable: there is no such server.
    """
    secret = Secret(token) if isinstance(token, str) and token else token or None
    assert secret is None or isinstance(secret, Secret)
    hello = {
        "participant_id": participant_id,
        "display_name": display_name,
        "stream": stream,
        "channel": channel,
    }
    client = RoomClient(url, hello, secret, tls, config or RoomClientConfig())
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(client._run)
            yield client
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # Of the two that can fail, the block and the connection, one failure is shown as itself.
        alone = single(group)
        if alone is group:
            raise
        raise alone from None


class RoomClient:
    """Made by `open_room_client`. Iterate over it for the news of all rooms."""

    def __init__(
        self,
        url: str,
        hello: Mapping[str, Any],
        token: Secret | None,
        tls: ssl.SSLContext | None,
        config: RoomClientConfig,
    ) -> None:
        self._url = url
        self._hello = hello
        self._token = token
        self._tls = tls
        self._config = config
        self._news = RoomNews(config.news)
        self._link: SansIoLink | None = None
        """While we are in."""
        self._changed = trio.Event()
        """Something came: whoever waits looks again."""

    def __repr__(self) -> str:
        state = "lost" if self._link is None else "in"
        return f"<RoomClient {self._hello['participant_id']} at {self._url}: {state}>"

    @property
    def connected(self) -> bool:
        """Whether there is a connection just now."""
        return self._link is not None

    # -- rooms ------------------------------------------------------------------------------

    async def subscribe(self, room_id: str, after_index: int = -1, *, create: bool = False) -> int:
        """Have the events of a room, those after an index first: -1 is all.

        `create` makes the room, or lets the channel into it, if need be.

        Returns the index of the room's latest event, as far as it is known by then. `CaughtUp` is
        news once all older events have come.

        Raises:
            NotDone: there is no such room, or no answer.
        """
        await self._say(self._news.subscribe(room_id, after_index, create))
        name = f"subscribe {room_id}"
        with trio.move_on_after(self._config.answer_timeout):
            while True:
                refused = self._news.answers.pop(name, None)
                if isinstance(refused, Refused):
                    raise NotDone(refused.code, refused.reason)
                room = self._news.rooms.get(room_id)
                if room is None:
                    raise NotDone("unsubscribed", "the room was left meanwhile")
                if not room.asked and room.latest is not None:
                    return room.latest
                await self._change()
        raise NotDone("timeout", "the server did not answer in time")

    async def unsubscribe(self, room_id: str) -> None:
        """Have no more of them."""
        frame = self._news.unsubscribe(room_id)
        if frame is not None:
            await self._say(frame)

    async def send(
        self,
        room_id: str,
        content: Content | str,
        *,
        event_type: EventType = EventType.MESSAGE,
        parent_event_id: str | None = None,
        visibility: str = "all",
        addressed_to: Sequence[str] | None = None,
        id: str | None = None,
    ) -> Accepted:
        """Say something; returns when it is in the room. What the room blocks is `NotDone`.

        Args:
            id: the same for every attempt to say the same; made up if left out.

        Raises:
            NotDone: the room did not take it; `code` says why. With `timeout` and `unavailable`
                it may be there all the same: say it again with the same `id` to know.
        """
        name = id or uuid4().hex
        said = Text(content) if isinstance(content, str) else content
        frame = messages.frame(
            "message",
            room_id=room_id,
            id=name,
            content=to_wire(said),
            event_type=event_type.value,
            parent_event_id=parent_event_id,
            visibility=visibility,
            addressed_to=addressed_to,
        )
        self._news.unanswered[name] = frame
        try:
            await self._say(frame)
            with trio.move_on_after(self._config.answer_timeout):
                while name not in self._news.answers:
                    await self._change()
        finally:
            self._news.unanswered.pop(name, None)
            answer = self._news.answers.pop(name, None)
        match answer:
            case Accepted():
                return answer
            case Refused(code=code, reason=reason):
                raise NotDone(code, reason)
            case None:
                raise NotDone("timeout", "the server did not answer in time")

    # -- what passes; said only while there is a connection ------------------------------------

    async def typing(self, room_id: str, on: bool = True) -> None:
        """Have the others know that somebody types, or no longer does."""
        await self._say(messages.frame("typing", room_id=room_id, on=on))

    async def presence(self, room_id: str, status: str) -> None:
        """Have them know: "online", "away", "offline", or whatever you call it."""
        await self._say(messages.frame("presence", room_id=room_id, status=status))

    async def read(self, room_id: str, event_id: str) -> None:
        """Have them know that all up to an event has been read."""
        await self._say(messages.frame("read", room_id=room_id, event_id=event_id))

    async def react(self, room_id: str, event_id: str, emoji: str, *, remove: bool = False) -> None:
        """Put an emoji to an event, or take it away."""
        action = "remove" if remove else "add"
        fields = {"room_id": room_id, "event_id": event_id, "emoji": emoji, "action": action}
        await self._say(messages.frame("reaction", **fields))

    # -- news ------------------------------------------------------------------------------------

    def __aiter__(self) -> RoomClient:
        return self

    async def __anext__(self) -> News:
        """The next news of any room; there always is a next one."""
        await trio.lowlevel.checkpoint()
        while True:
            news = self._news.next()
            if news is not None:
                return news
            for frame in self._news.caught_up_reading():
                await self._say(frame)
            if not self._news.waiting:
                await self._change()

    async def _change(self) -> None:
        await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # -- the connection ----------------------------------------------------------------------------

    async def _say(self, frame: str) -> None:
        """Send it, if there is a connection; what must not be lost is said again on the next."""
        link = self._link
        if link is None:
            await trio.lowlevel.checkpoint()
            return
        try:
            await link.send([frame])
        except LinkClosed:
            pass  # the task that reads knows it too

    async def _run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Be connected, whatever happens."""
        failures = 0
        entered = False
        rng = random.Random()
        while True:
            try:
                async with connect_link(
                    self._url, tls=self._tls, timeout=self._config.connect_timeout
                ) as link:
                    await self._come_in(link)
                    failures = 0
                    if entered:
                        self._news.add(ConnectionBack())
                        self._notify()
                    else:
                        entered = True
                        task_status.started()
                    await self._stay(link)
            except (HandshakeFailed, LinkClosed, BadValue) as error:
                if not entered:
                    raise Unreachable("unreachable", str(error)) from None
                if self._link is not None:
                    self._link = None
                    self._news.add(ConnectionLost(str(error)))
                    self._notify()
            await trio.sleep(self._config.backoff.delay(failures, rng))
            failures += 1

    async def _come_in(self, link: SansIoLink) -> None:
        token = {"token": self._token.reveal()} if self._token is not None else {}
        await link.send([messages.frame("hello", **self._hello, **token)])
        frame: Mapping[str, Any] = {}
        with trio.move_on_after(self._config.connect_timeout):
            # The server says nothing more until we do: this is one frame.
            frame = _first(await link.receive())
        if frame.get("type") == "error":
            code, reason = str(frame.get("code")), str(frame.get("message"))
            if code in ("unavailable", "no_hello"):
                raise HandshakeFailed(reason)
            raise NotLetIn(code, reason)
        if frame.get("type") != "ready":
            raise HandshakeFailed("no answer to our hello came in time")
        self._link = link
        frames = self._news.connected()
        if frames:
            await link.send(frames)

    async def _stay(self, link: SansIoLink) -> NoReturn:
        closed: LinkClosed | BadValue = LinkClosed(1006)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_for_life, link)
            try:
                while True:
                    for payload in await link.receive():
                        if isinstance(payload, str):
                            self._news.take(payload)
                    if link.unsent:
                        await link.flush()
                    self._notify()
            except (LinkClosed, BadValue) as error:
                closed = error  # raised outside: what leaves a nursery is a group
            nursery.cancel_scope.cancel()
        if isinstance(closed, LinkClosed):
            await link.close()
        raise closed

    async def _look_for_life(self, link: SansIoLink) -> None:
        interval = self._config.ping_interval
        try:
            while trio.current_time() - link.heard_at < 3 * interval:
                await trio.sleep(interval)
                if trio.current_time() - link.heard_at >= interval / 2:
                    await link.ping()
        except LinkClosed:
            pass
        link.abort()  # the task that reads ends it


def _first(payloads: Sequence[bytes | str]) -> Mapping[str, Any]:
    try:
        frame = orjson.loads(payloads[0])
    except orjson.JSONDecodeError:
        return {}
    return frame if isinstance(frame, dict) else {}
