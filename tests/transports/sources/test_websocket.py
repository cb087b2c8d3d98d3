"""The WebSocket source, against a real server on this machine."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
import pytest
import trio
from trio_websocket import WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection

from actors.room.sources import AttachSource, DetachSource, SourceHealth, sources_spec
from models.rooms.channel import Receive
from models.rooms.content import Text
from models.rooms.kinds import SourceStatus
from models.rooms.room import RateLimit
from models.rooms.traffic import InboundMessage, InboundResult
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.models.net.servers import WsServer, ws_server
from tests.transports.sources.ears import Ear, body, listening
from transports.sources import SourceFailed, WebSocketSource, WebSocketSourceConfig


def said(text: str, **fields: Any) -> str:
    return orjson.dumps({"sender_id": "ada", "text": text, **fields}).decode()


def source(server: WsServer, path: str = "/feed", **config: Any) -> WebSocketSource:
    return WebSocketSource(WebSocketSourceConfig(url=server.url + path, **config))


async def stay(socket: WebSocketConnection) -> None:
    await socket.get_message()


async def test_what_the_server_says_is_handed_on_in_order() -> None:
    async def talk(socket: WebSocketConnection) -> None:
        for number in range(5):
            await socket.send_message(said(str(number)))
        await socket.send_message(said("binary").encode())
        await stay(socket)

    async with ws_server(talk) as server, listening(source(server)) as ear:
        assert await ear.heard(6) == ["0", "1", "2", "3", "4", "binary"]
        assert ear.log[0] == "connected"


async def test_it_asks_for_its_path_with_its_headers_and_subprotocols() -> None:
    asked: list[str] = []

    async def note(stream: trio.SocketStream) -> None:
        asked.extend(bytes(await stream.receive_some(4096)).decode().split("\r\n"))

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, note, 0, host="127.0.0.1"))
        config = WebSocketSourceConfig(
            url=f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/feed?room=7",
            headers={"Authorization": Secret("Bearer 42"), "X-Team": "blue"},
            subprotocols=("chat.v2", "chat.v1"),
            connect_timeout=0.1,
        )
        await fails(WebSocketSource(config))
        nursery.cancel_scope.cancel()
    assert asked[0] == "GET /feed?room=7 HTTP/1.1"
    for line in ("Authorization: Bearer 42", "X-Team: blue"):
        assert line in asked
    assert "Sec-WebSocket-Protocol: chat.v2, chat.v1" in asked
    assert "42" not in repr(config)


async def test_what_is_no_message_is_dropped_and_counted() -> None:
    async def talk(socket: WebSocketConnection) -> None:
        for payload in ("welcome", "{}", said("hello")):
            await socket.send_message(payload)
        await stay(socket)

    async with ws_server(talk) as server:
        listener = source(server)
        async with listening(listener) as ear:
            assert await ear.heard(1) == ["hello"]
        assert listener.details() == {
            "taken": 1,
            "ignored": 2,
            "unreadable": 0,
            "rate_limited": 0,
            "sent": 0,
        }


async def test_a_parser_of_ones_own_may_fail_without_ending_the_source(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def shouted(payload: str | bytes, channel_id: str) -> InboundMessage | None:
        if payload == "my secret":
            raise ValueError(payload)
        return InboundMessage(channel_id, "crowd", Text(str(payload).upper()))

    async def talk(socket: WebSocketConnection) -> None:
        await socket.send_message("my secret")
        await socket.send_message("hello")
        await stay(socket)

    async with ws_server(talk) as server:
        listener = WebSocketSource(WebSocketSourceConfig(url=server.url), shouted, "crowd")
        async with listening(listener) as ear:
            assert await ear.heard(1) == ["HELLO"]
        assert (listener.name, listener.details()["unreadable"]) == ("crowd", 1)
    assert "my secret" not in caplog.text


async def test_more_messages_than_the_limit_are_dropped() -> None:
    async def talk(socket: WebSocketConnection) -> None:
        for number in range(20):
            await socket.send_message(said(str(number)))
        await socket.aclose()

    async with ws_server(talk) as server:
        listener = source(server, rate_limit=RateLimit(max_per_minute=3))
        ear = Ear()
        await listener.run(ear)
        assert [body(message) for message in ear.messages] == ["0"]
        assert listener.details()["rate_limited"] == 19


# -- its end -----------------------------------------------------------------------------------


async def test_when_the_server_closes_in_order_the_source_is_over() -> None:
    async def talk(socket: WebSocketConnection) -> None:
        await socket.send_message(said("goodbye"))
        await socket.aclose()

    async with ws_server(talk) as server:
        ear = Ear()
        await source(server).run(ear)
        assert ear.log == ["connected", "message"]


async def fails(listener: WebSocketSource, ear: Ear | None = None) -> SourceFailed:
    with trio.fail_after(5), pytest.raises(SourceFailed) as failed:
        await listener.run(ear or Ear())
    return failed.value


async def test_any_other_close_is_a_failure() -> None:
    async def leave(socket: WebSocketConnection) -> None:
        await socket.aclose(code=1012, reason="restart")

    async with ws_server(leave) as server:
        assert str(await fails(source(server))) == "closed (1012)"


async def test_a_connection_that_breaks_is_a_failure() -> None:
    async def cut(socket: WebSocketConnection) -> None:
        await trio.aclose_forcefully(socket._stream)

    async with ws_server(cut) as server:
        assert str(await fails(source(server))) == "closed (1006)"


async def test_a_message_that_is_too_long_is_a_failure() -> None:
    async def talk(socket: WebSocketConnection) -> None:
        await socket.send_message(said("x" * 2000))
        await stay(socket)

    async with ws_server(talk) as server:
        ear = Ear()
        failure = await fails(source(server, max_size=1000), ear)
        assert "1009" in str(failure)
        assert ear.messages == []


@pytest.mark.parametrize(("status", "final"), [(401, True), (404, True), (503, False)])
async def test_a_server_may_say_no(status: int, final: bool) -> None:
    async with ws_server(status) as server:
        failure = await fails(source(server))
        assert (str(failure), failure.final) == (f"HTTP {status}", final)


async def test_nobody_there_is_a_failure() -> None:
    async with ws_server(stay) as server:
        url = server.url
    assert "cannot connect" in str(await fails(WebSocketSource(WebSocketSourceConfig(url=url))))


async def test_a_server_that_hangs_up_instead_of_answering_is_a_failure() -> None:
    async with ws_server(None) as server:
        failure = await fails(source(server, connect_timeout=0.2))
        assert "cannot connect" in str(failure)


async def test_a_server_that_answers_no_ping_is_lost() -> None:
    async def freeze(stream: trio.SocketStream) -> None:
        """Shake hands, and then not a byte more."""
        wire = WSConnection(ConnectionType.SERVER)
        wire.receive_data(bytes(await stream.receive_some(4096)))
        list(wire.events())
        await stream.send_all(wire.send(AcceptConnection()))
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, freeze, 0, host="127.0.0.1"))
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        config = WebSocketSourceConfig(
            url=url, ping_interval=0.05, ping_timeout=0.05, close_timeout=0.05
        )
        assert str(await fails(WebSocketSource(config))) == "no answer to a ping for 0.05 s"
        nursery.cancel_scope.cancel()


async def test_a_busy_channel_is_no_silent_server() -> None:
    async def talk(socket: WebSocketConnection) -> None:
        for number in range(20):
            await socket.send_message(said(str(number)))
        await stay(socket)

    async with ws_server(talk) as server:
        ear = Ear(door=trio.Event())
        listener = source(server, ping_interval=0.02, ping_timeout=0.02)
        async with listening(listener, ear):
            await ear.heard(1)
            await trio.sleep(0.3)
            assert ear.door is not None
            ear.door.set()
            assert len(await ear.heard(20)) == 20


# -- again ----------------------------------------------------------------------------------------


async def test_it_connects_again_by_itself_if_it_is_to() -> None:
    async def leave(socket: WebSocketConnection) -> None:
        await socket.aclose(code=1012)

    async def talk(socket: WebSocketConnection) -> None:
        await socket.send_message(said("here again"))
        await stay(socket)

    async with ws_server(leave, 503, talk) as server:
        listener = source(server, reconnect=True, reconnect_delay=0.02)
        async with listening(listener) as ear:
            assert await ear.heard(1) == ["here again"]
        assert ear.log == [
            "connected",
            "lost: closed (1012)",
            "lost: HTTP 503",
            "connected",
            "message",
        ]


async def test_one_that_connects_again_does_so_after_an_orderly_close_too() -> None:
    async def leave(socket: WebSocketConnection) -> None:
        await socket.aclose()

    async with ws_server(leave, stay) as server:
        async with listening(source(server, reconnect=True, reconnect_delay=0.02)) as ear:
            await ear.noted("connected", times=2)
        assert ear.log == ["connected", "lost: closed (1000)", "connected"]


async def test_what_will_not_be_better_next_time_is_not_tried_again() -> None:
    async with ws_server(403) as server:
        failure = await fails(source(server, reconnect=True))
        assert str(failure) == "HTTP 403"
        assert len(server.targets) == 1


# -- saying something -----------------------------------------------------------------------------


async def test_a_source_can_speak_to_its_server() -> None:
    async def echo(socket: WebSocketConnection) -> None:
        while True:
            await socket.send_message(said(str(await socket.get_message())))

    async with ws_server(echo) as server:
        listener = source(server)
        with pytest.raises(SourceFailed, match="not connected"):
            await listener.send("too early")
        async with listening(listener) as ear:
            await ear.noted("connected")
            await listener.send("subscribe")
            assert await ear.heard(1) == ["subscribe"]
        with pytest.raises(SourceFailed, match="not connected"):
            await listener.send("too late")
        assert listener.details()["sent"] == 1


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"url": "http://example.org"}, "url"),
        ({"url": "ws://"}, "url"),
        ({"url": "ws://user:password@example.org"}, "url"),
        ({"url": "ws://example.org", "ping_interval": 0}, "ping_interval"),
        ({"url": "ws://example.org", "max_size": 0}, "max_size"),
        ({"url": "ws://example.org", "reconnect_delay": 60}, "maximum"),
    ],
)
def test_what_cannot_work_is_told_before_it_starts(config: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        WebSocketSourceConfig(**config)


# -- under supervision ----------------------------------------------------------------------------


async def test_the_rooms_hear_it_and_it_is_started_again(system: SystemUnderTest) -> None:
    async def leave(socket: WebSocketConnection) -> None:
        await socket.send_message(said("one", external_id="1"))
        await socket.aclose(code=1012)

    async def talk(socket: WebSocketConnection) -> None:
        await socket.send_message(said("two"))
        await stay(socket)

    system.expect_crash("/sources/running/news", SourceFailed)
    rooms = await system.probe(Receive)
    rooms.answer(Receive, with_=InboundResult())
    await system.start_child(sources_spec(rooms.ref))
    desk = system.ref("/sources/desk")
    async with ws_server(leave, talk) as server:
        await desk.ask(AttachSource("news", source(server)))
        for text in ("one", "two"):
            received = await rooms.expect(Receive, within=60)
            assert body(received.message) == text
        health = await desk.ask(SourceHealth("news"))
        assert (health.status, health.messages_received) == (SourceStatus.CONNECTED, 2)
        await desk.ask(DetachSource("news"))
