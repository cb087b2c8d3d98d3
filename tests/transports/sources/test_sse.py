"""The source of server-sent events, against a real server on this machine."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import trio

from actors.room.sources import AttachSource, DetachSource, sources_spec
from models.rooms.channel import Receive
from models.rooms.traffic import InboundResult
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.models.net.servers import (
    Answer,
    Exchange,
    HttpServer,
    gibberish,
    hang_up,
    http_server,
    whole,
)
from tests.transports.sources.ears import Ear, body, listening
from transports.sources import SourceFailed, SseSource, SseSourceConfig

STREAM = "text/event-stream; charset=utf-8"


def event(text: str, **fields: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines.append(f'data: {{"sender_id": "ada", "text": "{text}"}}')
    return ("\n".join(lines) + "\n\n").encode()


def stream(*pieces: bytes, stays: bool = True, **headers: str) -> Answer:
    """An event stream; it stays open, or ends."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start(200, Content_Type=STREAM, **headers)
        for piece in pieces:
            await exchange.send(piece)
        if stays:
            await exchange.hung_up()
            raise trio.BrokenResourceError
        await exchange.finish()

    return answer


def source(server: HttpServer, **config: Any) -> SseSource:
    return SseSource(SseSourceConfig(url=server.url + "/feed?room=7", **config))


async def fails(listener: SseSource, ear: Ear | None = None) -> SourceFailed:
    with trio.fail_after(5), pytest.raises(SourceFailed) as failed:
        await listener.run(ear or Ear())
    return failed.value


async def test_messages_of_the_stream_are_handed_on_in_order() -> None:
    pieces = [
        event("one", event="message"),
        event("two", event="msg"),
        event("three", event="chat"),
        event("four"),
        event("five", event=""),
        event("nothing for people", event="stock"),
        b": still here\n\n",
        event("six"),
    ]
    async with http_server(stream(*pieces)) as server:
        listener = source(server)
        async with listening(listener) as ear:
            assert await ear.heard(6) == ["one", "two", "three", "four", "five", "six"]
            assert ear.log[0] == "connected"
        assert listener.details()["other_events"] == 1
        assert listener.details()["taken"] == 6


async def test_it_asks_for_a_stream_with_its_headers() -> None:
    async with http_server(stream()) as server:
        listener = source(server, headers={"Authorization": Secret("Bearer 42")})
        async with listening(listener) as ear:
            await ear.noted("connected")
        (request,) = server.received
        assert request.target == "/v1/feed?room=7"
        assert request.headers["authorization"] == "Bearer 42"
        assert request.headers["accept"] == "text/event-stream"
        assert "last-event-id" not in request.headers


async def test_an_event_cut_into_bytes_is_the_same_event() -> None:
    whole_event = event("hellø", id="7")
    pieces = [whole_event[at : at + 1] for at in range(len(whole_event))]
    async with http_server(stream(*pieces)) as server, listening(source(server)) as ear:
        assert await ear.heard(1) == ["hellø"]


async def test_a_stream_may_be_compressed() -> None:
    packed = gzip.compress(event("hello"))
    answer = stream(packed, Content_Encoding="gzip")
    async with http_server(answer) as server, listening(source(server)) as ear:
        assert await ear.heard(1) == ["hello"]


# -- ids ---------------------------------------------------------------------------------------


async def test_the_id_of_the_event_is_that_of_the_message_unless_it_has_one() -> None:
    own = b'id: 2\ndata: {"sender_id": "ada", "text": "two", "external_id": "x-2"}\n\n'
    pieces = [event("one", id="1"), own, event("three")]
    async with http_server(stream(*pieces)) as server, listening(source(server)) as ear:
        await ear.heard(3)
        assert [message.external_id for message in ear.messages] == ["1", "x-2", None]
        assert [message.idempotency_key for message in ear.messages] == [
            "news:1",
            "news:x-2",
            None,
        ]


async def test_connecting_again_it_goes_on_after_the_last_event() -> None:
    ends = stream(event("one", id="1"), event("two", id="zwei ✓"), event("three"), stays=False)
    async with http_server(ends, hang_up, stream(event("four"))) as server:
        listener = source(server, reconnect=True, reconnect_delay=0.02)
        async with listening(listener) as ear:
            assert await ear.heard(4) == ["one", "two", "three", "four"]
        sent = [request.headers.get("last-event-id") for request in server.received]
        assert sent[0] is None
        assert sent[1:] == ["zwei ✓"] * 2
        assert ear.log.count("lost: the stream ended") == 1


async def test_it_goes_on_after_a_restart_by_its_supervisor_too() -> None:
    ends = stream(event("one", id="1"), stays=False)
    async with http_server(ends, stream()) as server:
        listener = source(server)
        await fails(listener)
        async with listening(listener) as ear:
            await ear.noted("connected")
        assert server.received[1].headers["last-event-id"] == "1"


async def test_it_waits_as_long_as_the_server_asks() -> None:
    ends = stream(b"retry: 300\n\n", event("one"), stays=False)
    async with http_server(ends, stream()) as server:
        listener = source(server, reconnect=True, reconnect_delay=0.01)
        async with listening(listener) as ear:
            await ear.noted("lost: the stream ended")
            began = trio.current_time()
            await ear.noted("connected", times=2)
            assert trio.current_time() - began >= 0.29


# -- its end -----------------------------------------------------------------------------------


async def test_when_there_is_nothing_to_listen_to_the_source_is_over() -> None:
    async with http_server(whole(204)) as server:
        ear = Ear()
        await source(server).run(ear)
        assert ear.log == []


async def test_the_end_of_the_stream_is_a_failure() -> None:
    async with http_server(stream(event("one"), stays=False)) as server:
        ear = Ear()
        assert str(await fails(source(server), ear)) == "the stream ended"
        assert [body(message) for message in ear.messages] == ["one"]


@pytest.mark.parametrize(
    ("answer", "told", "final"),
    [
        (whole(404), "HTTP 404", True),
        (whole(429), "HTTP 429", False),
        (whole(503), "HTTP 503", False),
        (whole(302, Location="/elsewhere"), "HTTP 302", False),
        (whole(200, b"{}", Content_Type="application/json"), "that is no event stream", True),
        (hang_up, "unavailable (it hung up)", False),
        (gibberish, "garbled (not HTTP)", False),
    ],
)
async def test_what_is_no_stream_is_a_failure(answer: Answer, told: str, final: bool) -> None:
    async with http_server(answer) as server:
        failure = await fails(source(server))
        assert (str(failure), failure.final) == (told, final)


async def test_nobody_there_is_a_failure() -> None:
    async with http_server(hang_up) as server:
        listener = source(server)
    assert "unavailable" in str(await fails(listener))


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    async def wait(exchange: Exchange) -> None:
        await exchange.hung_up()

    async with http_server(wait) as server:
        assert str(await fails(source(server, connect_timeout=0.1))) == "no answer in 0.1 s"


async def test_a_stream_on_which_nothing_comes_is_lost() -> None:
    async with http_server(stream(event("one"))) as server:
        ear = Ear()
        assert str(await fails(source(server, idle_timeout=0.1), ear)) == "nothing came for 0.1 s"
        assert len(ear.messages) == 1


@pytest.mark.parametrize("compressed", [False, True])
async def test_an_event_that_never_ends_is_a_failure(compressed: bool) -> None:
    endless = b"data: " + b"x" * 100_000
    pieces = [gzip.compress(endless)] if compressed else [endless]
    headers = {"Content_Encoding": "gzip"} if compressed else {}
    async with http_server(stream(*pieces, **headers)) as server:  # type: ignore[arg-type]
        failure = await fails(source(server, max_size=1000))
        assert str(failure) == "garbled (an event of more than 1000 bytes)"


async def test_what_will_not_be_better_next_time_is_not_tried_again() -> None:
    async with http_server(whole(403)) as server:
        assert str(await fails(source(server, reconnect=True))) == "HTTP 403"
        assert len(server.received) == 1


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"url": "ws://example.org"}, "url"),
        ({"url": "https://user:password@example.org/"}, "url"),
        ({"url": "https://example.org/", "idle_timeout": 0}, "idle_timeout"),
    ],
)
def test_what_cannot_work_is_told_before_it_starts(config: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        SseSourceConfig(**config)


# -- under supervision ----------------------------------------------------------------------------


async def test_the_rooms_hear_it_and_it_is_started_again(system: SystemUnderTest) -> None:
    system.expect_crash("/sources/running/news", SourceFailed)
    rooms = await system.probe(Receive)
    rooms.answer(Receive, with_=InboundResult())
    await system.start_child(sources_spec(rooms.ref))
    desk = system.ref("/sources/desk")
    ends = stream(event("one", id="1"), stays=False)
    async with http_server(ends, stream(event("two"))) as server:
        await desk.ask(AttachSource("news", source(server)))
        for text in ("one", "two"):
            received = await rooms.expect(Receive, within=60)
            assert body(received.message) == text
        await desk.ask(DetachSource("news"))
        assert server.received[1].headers["last-event-id"] == "1"
