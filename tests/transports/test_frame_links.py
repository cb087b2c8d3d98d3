"""Both implementations of `FrameLink`, over real sockets, by the same tests."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from websockets.client import ClientProtocol

from transports.client_link import connect_link
from transports.connection import SocketConnection
from transports.frame_link import FrameLink, HandshakeFailed, LinkClosed, LinkLost, OpenLink
from transports.sansio_link import SansIoLink, open_sansio_link
from transports.trio_link import open_trio_link

Serve = Callable[[FrameLink], Awaitable[None]]


@pytest.fixture(params=[open_sansio_link, open_trio_link], ids=["sansio", "trio"])
def open_link(request: Any) -> OpenLink:
    opener: OpenLink = request.param
    return opener


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


@asynccontextmanager
async def both_ends(
    open_link: OpenLink, listening: socket.socket, serve: Serve
) -> AsyncIterator[SansIoLink]:
    """The client's end; `serve` runs at the other."""

    async def accept() -> None:
        await trio.lowlevel.wait_readable(listening)
        sock, address = listening.accept()
        async with open_link(SocketConnection(sock, address[0])) as link:
            await serve(link)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        port = listening.getsockname()[1]
        async with connect_link(f"ws://127.0.0.1:{port}/") as client:
            yield client


async def echo(link: FrameLink) -> None:
    with suppress(LinkClosed):
        while True:
            await link.send(await link.receive())


async def test_bytes_and_texts_come_back_as_they_were(
    open_link: OpenLink, listening: socket.socket
) -> None:
    async with both_ends(open_link, listening, echo) as client:
        for payload in (b"", b"\0" * 640, "text", "ä" * 1000, b"x" * 100_000):
            await client.send([payload])
            assert await client.receive() == [payload]
        await client.close()


async def test_the_order_is_kept_however_frames_are_sent(
    open_link: OpenLink, listening: socket.socket
) -> None:
    async def count(link: FrameLink) -> None:
        for number in range(200):
            if not link.send_nowait(str(number)):
                await link.send([str(number)])
        await link.flush()
        await link.close()

    async with both_ends(open_link, listening, count) as client:
        came: list[bytes | str] = []
        while len(came) < 200:
            came += await client.receive()
        assert came == [str(number) for number in range(200)]
        with pytest.raises(LinkClosed) as closed:
            await client.receive()
        assert closed.value.code == 1000


async def test_fragments_become_one_message(open_link: OpenLink, listening: socket.socket) -> None:
    async with both_ends(open_link, listening, echo) as client:
        protocol = client._protocol
        assert isinstance(protocol, ClientProtocol)
        protocol.send_text(b"a\xc3", fin=False)
        await client.flush()
        protocol.send_continuation(b"\xa4", fin=False)
        await client.ping()  # in between, as is allowed
        protocol.send_continuation(b"z", fin=True)
        await client.flush()
        assert await client.receive() == ["aäz"]
        await client.close()


async def test_a_close_has_its_code_and_reason(
    open_link: OpenLink, listening: socket.socket
) -> None:
    async def wait(link: FrameLink) -> None:
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "enough")
        assert not isinstance(closed.value, LinkLost)

    async with both_ends(open_link, listening, wait) as client:
        await client.close(4001, "enough")


async def test_a_connection_that_is_gone_cannot_be_pinged(
    open_link: OpenLink, listening: socket.socket
) -> None:
    async def wait(link: FrameLink) -> None:
        with pytest.raises(LinkLost):
            await link.receive()
        with pytest.raises(LinkClosed):
            await link.ping()

    async with both_ends(open_link, listening, wait) as client:
        client.abort()


async def test_a_connection_that_breaks_is_lost(
    open_link: OpenLink, listening: socket.socket
) -> None:
    async def wait(link: FrameLink) -> None:
        with pytest.raises(LinkLost):
            await link.receive()
        with pytest.raises(LinkClosed):
            await link.send([b"x"])

    async with both_ends(open_link, listening, wait) as client:
        client.abort()


async def test_an_aborted_link_receives_no_more(
    open_link: OpenLink, listening: socket.socket, autojump_clock: MockClock
) -> None:
    async def abort(link: FrameLink) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_receives_the_end, link)
            await trio.sleep(0.1)
            link.abort()

    async with both_ends(open_link, listening, abort) as client:
        with pytest.raises(LinkClosed):
            await client.receive()


async def _receives_the_end(link: FrameLink) -> None:
    with pytest.raises(LinkClosed):
        await link.receive()


async def test_a_peer_that_does_not_read_is_lost_after_two_seconds(
    open_link: OpenLink, listening: socket.socket, autojump_clock: MockClock
) -> None:
    async def flood(link: FrameLink) -> None:
        began = trio.current_time()
        with pytest.raises(LinkLost, match="read"):
            await link.send([bytes(500_000)] * 40)
        assert trio.current_time() - began == pytest.approx(2)

    async with both_ends(open_link, listening, flood):
        await trio.sleep(5)


async def test_a_goodbye_that_nobody_answers_takes_two_seconds(
    open_link: OpenLink, listening: socket.socket, autojump_clock: MockClock
) -> None:
    async def close(link: FrameLink) -> None:
        began = trio.current_time()
        await link.close()
        assert trio.current_time() - began == pytest.approx(2)

    async with both_ends(open_link, listening, close):
        await trio.sleep(5)


async def test_a_sign_of_life_is_noticed(
    open_link: OpenLink, listening: socket.socket, autojump_clock: MockClock
) -> None:
    async def ping(link: FrameLink) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_receives_the_end, link)
            await trio.sleep(10)
            await link.ping()
            await trio.sleep(1)
            assert link.heard_at == pytest.approx(trio.current_time() - 1)
            await link.close()

    async with both_ends(open_link, listening, ping) as client:
        with pytest.raises(LinkClosed):
            await client.receive()


@pytest.mark.parametrize("request_bytes", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe\r\n\r\n"])
async def test_what_is_no_web_socket_fails_the_handshake(
    open_link: OpenLink, request_bytes: bytes, autojump_clock: MockClock
) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(request_bytes)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(HandshakeFailed):
            async with open_link(SocketConnection(ours, "test")):
                pass
    assert ours.fileno() == -1
