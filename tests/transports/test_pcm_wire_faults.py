import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from models.audio import Frame
from supervision.secret import Secret
from supervision.supervisor import WhichChildren
from supervision.testing import SystemUnderTest, system_under_test
from tests.transports.peers import Place, peer_of, serve
from transports.client_link import connect_link
from transports.frame_link import HandshakeFailed, LinkClosed
from transports.leg import CloseWire, HungUp, SendMark, ShowNotice
from transports.pcm.config import PcmConfig
from transports.server import ServerConfig

TONE = b"\x01\x02" * 320


def sockets() -> int:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        return 0
    count = 0
    for descriptor in descriptors.iterdir():
        try:
            count += os.readlink(descriptor).startswith("socket:")
        except OSError:
            continue
    return count


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    gc.collect()
    before = sockets()
    yield
    gc.collect()
    assert sockets() == before


@pytest.fixture
async def place(system: SystemUnderTest) -> Place:
    return await serve(system)


async def no_wire_is_left(place: Place, within: float = 5) -> None:
    with trio.fail_after(within):
        for child in await place.system.ref("/server/wires").ask(WhichChildren()):
            await child.ref.wait_gone()


async def refused(place: Place, code: int, **start: object) -> str:
    async with peer_of(place) as peer:
        await peer.say(type="start", stream="s1", **start)
        error = await peer.told("error")
        with pytest.raises(LinkClosed) as closed:
            await peer.link.receive()
        assert closed.value.code == code
        await no_wire_is_left(place)
        return str(error["code"])


# -- coming in --------------------------------------------------------------------------------


async def test_a_wrong_token_is_turned_away(system: SystemUnderTest) -> None:
    place = await serve(system, ServerConfig(port=0, tokens=(Secret("one"), Secret("two"))))
    assert await refused(place, 4401, token="three") == "unauthorized"
    assert await refused(place, 4401) == "unauthorized"
    assert place.host.attaches == []
    async with peer_of(place) as peer:
        await peer.start(token="two")
    async with peer_of(place, headers={"Authorization": "Bearer one"}) as peer:
        await peer.start()


@pytest.mark.parametrize(
    "start",
    [
        {"format": "mp3"},
        {"rate": 11025},
        {"rate": "16000"},
        {"channels": 3},
        {"played": 1},
        {"params": {"a": 1}},
        {"params": {str(n): "" for n in range(33)}},
        {"stream": "x" * 1000},
        {"out_rate": 1},
    ],
)
async def test_a_start_that_does_not_fit_is_told_why(
    place: Place, start: dict[str, object]
) -> None:
    async with peer_of(place) as peer:
        await peer.say(**{"type": "start", **start})
        assert (await peer.told("error"))["code"] == "bad-start"
        await no_wire_is_left(place)


@pytest.mark.parametrize(
    "first", ["{", "[]", "1", '{"type":1}', '{"type":"stop"}', TONE, "x" * 70000]
)
async def test_the_first_frame_is_a_start_or_the_last(place: Place, first: str | bytes) -> None:
    async with peer_of(place) as peer:
        await peer.send(first)
        assert (await peer.told("error"))["code"] == "bad-start"
        await no_wire_is_left(place)


async def test_whoever_never_starts_is_sent_away(place: Place) -> None:
    async with peer_of(place) as peer:
        assert (await peer.told("error"))["code"] == "start-timeout"
        await no_wire_is_left(place)


async def test_a_page_of_another_origin_opens_no_wire(place: Place) -> None:
    with pytest.raises(HandshakeFailed, match="403"):
        async with connect_link(place.media, headers={"Origin": "http://evil.example"}):
            pass
    own = place.address
    async with connect_link(place.media, headers={"Origin": own}):
        pass
    await no_wire_is_left(place)


async def test_without_tokens_only_this_machine_is_let_in_under_its_own_name(place: Place) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", place.port)
    async with stream:
        await stream.send_all(
            b"GET /media HTTP/1.1\r\nHost: tunnel.example\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            + masked(1, b'{"type":"start"}')  # together with the request, before the answer
        )
        answer = b""
        while b"unauthorized" not in answer:
            answer += await stream.receive_some() or pytest.fail("closed")
        assert answer.startswith(b"HTTP/1.1 101")
    await no_wire_is_left(place)


# -- what comes -------------------------------------------------------------------------------


async def test_garbage_is_dropped_and_counted_and_the_socket_stays_open(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        await peer.send("{", "[]", "null", '{"type":"dtmf","digit":"55"}', '{"type":"played"}')
        await peer.send('{"type":"cleared","id":1,"played":1,"dropped":1}')  # never asked
        await peer.send('{"type":"mark","name":"x"}', '{"type":"from the future"}')
        await peer.send(bytes(300 * 1024), '{"type":"text","text":"' + "x" * 70000 + '"}')
        await peer.send(TONE)
        assert await place.host.audio.expect(Frame) == Frame(TONE, 16000)
        traffic = place.statistics("/server/wires/w-1")["traffic"]
        assert traffic["malformed"] == 5
        assert traffic["stray"] == 2
        assert traffic["unknown"] == 1
        assert traffic["oversized"] == 2
    assert place.host.events.received == []


async def test_a_message_beyond_all_bounds_closes_with_1009(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        with trio.fail_after(2), suppress(LinkClosed):  # it may be gone before all is written
            await peer.send(bytes(1024 * 1024 + 1))
        with pytest.raises(LinkClosed) as closed:
            await peer.link.receive()
        assert closed.value.code == 1009
        await no_wire_is_left(place)


async def test_a_text_that_is_not_utf_8_closes_with_1007(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        peer.link._protocol.send_text(b"\xff\xff")
        await peer.send("more")
        with pytest.raises(LinkClosed) as closed:
            await peer.link.receive()
        assert closed.value.code == 1007
        await no_wire_is_left(place)


async def test_bytes_that_are_no_websocket_close_with_1002(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        await peer.link._connection.send_all(b"\xff" * 100)
        with pytest.raises(LinkClosed) as closed:
            await peer.link.receive()
        assert closed.value.code == 1002
        await no_wire_is_left(place)


async def test_odd_byte_counts_are_carried_over(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        await peer.send(TONE[:1], TONE[1:4], b"", TONE[4:101], TONE[101:])
        await peer.say(type="dtmf", digit="1")
        await place.host.events.expect(object)
        assert place.host.heard == TONE
        assert all(len(frame.pcm) % 2 == 0 for frame in place.host.frames)


async def test_sound_beyond_three_times_real_time_is_dropped(system: SystemUnderTest) -> None:
    place = await serve(system, pcm=PcmConfig(audio_burst=1.0))
    async with peer_of(place) as peer:
        await peer.start()
        await peer.send(*[TONE] * 100)  # two seconds at once
        await peer.say(type="dtmf", digit="1")
        await place.host.events.expect(object)
        assert len(place.host.frames) == 50
        assert place.statistics("/server/wires/w-1")["traffic"]["over_rate"] == 50
        await trio.sleep(1)
        await peer.send(*[TONE] * 50)
        await peer.say(type="dtmf", digit="1")
        await place.host.events.expect(object)
        assert len(place.host.frames) == 100


def masked(opcode: int, payload: bytes, mask: bytes = b"abcd") -> bytes:
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + mask + body


async def test_one_byte_at_a_time(place: Place) -> None:
    said = b'{"type":"start","stream":"s1"}'
    data = (
        b"GET /media HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        + masked(1, said)
        + masked(2, TONE)
    )
    stream = await trio.open_tcp_stream("127.0.0.1", place.port)
    async with stream:
        for byte in data:
            await stream.send_all(bytes([byte]))
        assert await place.host.audio.expect(Frame) == Frame(TONE, 16000)
    await no_wire_is_left(place)
    assert place.host.events.received == []


async def test_a_message_in_fragments_without_end_is_refused(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        begin, more = b"\x02\x80abcd", b"\x00\x80abcd"  # binary and continuation, both empty
        await peer.link._connection.send_all(begin + more * 2000)
        await no_wire_is_left(place)
    assert place.host.frames == []


# -- the end ----------------------------------------------------------------------------------


async def test_a_peer_that_closes_in_the_middle_of_a_frame_is_lost(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        await peer.link._connection.send_all(masked(2, TONE)[:100])
    await no_wire_is_left(place)
    assert place.host.frames == []
    assert place.host.of(HungUp) == []


async def test_a_peer_that_stops_reading_is_gone_within_three_seconds(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start(shows=True)
        wire = place.host.attaches[0].wire
        began = trio.current_time()
        for _ in range(100):  # more than the kernels of both sides hold
            wire.tell(Frame(bytes(250_000), 16000))
        wire.tell(ShowNotice("it never sees this"))
        await no_wire_is_left(place)
        assert 1.9 < trio.current_time() - began < 3


async def test_sound_that_waits_too_long_is_pushed_out_and_texts_are_not() -> None:
    async with system_under_test() as system:  # in real time, as the kernel's windows are
        place = await serve(system)
        async with peer_of(place) as peer:
            await peer.start()
            wire = place.host.attaches[0].wire
            for _ in range(200):
                wire.tell(Frame(bytes(100_000), 16000))
            wire.tell(SendMark("end"))
            await trio.sleep(0.2)
            statistics = place.statistics("/server/wires/w-1")
            assert 60 < statistics["waiting"] <= 65
            assert statistics["pushed_out"] > 50
            await peer.told("mark")
            assert len(peer.sounds) == 2 * statistics["traffic"]["samples_out"]


async def test_a_peer_that_ignores_the_goodbye_cannot_hold_the_service(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        began = trio.current_time()
        await place.system.stop("/server")
        assert trio.current_time() - began < 2.5


async def test_a_peer_that_ignores_the_goodbye_cannot_hold_the_call(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        began = trio.current_time()
        place.host.attaches[0].wire.tell(CloseWire("over"))
        await no_wire_is_left(place)
        assert trio.current_time() - began < 2.5


async def test_a_call_that_ends_without_a_word_ends_its_wire(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()
        await place.system.stop(place.host.events.ref.path)
        assert (await peer.told("stop"))["reason"] == "the call is over"
        await peer.link.close()
        await no_wire_is_left(place)


async def test_a_half_open_peer_is_noticed(place: Place) -> None:
    async with peer_of(place) as peer:
        await peer.start()  # and from now on nothing: it does not even answer pings
        began = trio.current_time()
        await no_wire_is_left(place, within=30)
        assert 10 < trio.current_time() - began < 20


async def test_a_quiet_peer_that_answers_pings_stays(place: Place) -> None:
    async with peer_of(place) as peer, trio.open_nursery() as nursery:
        await peer.start()
        nursery.start_soon(peer.hear)  # nothing comes; pings are answered by who receives
        await trio.sleep(60)
        await peer.send(TONE)
        assert await place.host.audio.expect(Frame) == Frame(TONE, 16000)
        nursery.cancel_scope.cancel()


async def test_many_come_and_go_and_nothing_is_left(place: Place) -> None:
    for number in range(30):
        async with peer_of(place) as peer:
            await peer.start()
            await peer.send(TONE)
            if number % 3 == 0:
                await peer.link.close()
            elif number % 3 == 1:
                await peer.say(type="stop")
    await no_wire_is_left(place)
    assert place.statistics("/server/listener")["open"] == 0
    assert place.statistics("/server/listener")["accepted"] == 30


@pytest.mark.soak
async def test_a_thousand_short_calls_leave_nothing() -> None:
    async with system_under_test() as system:
        place = await serve(system)

        async def call(number: int) -> None:
            async with peer_of(place) as peer:
                await peer.start()
                await peer.send(*[TONE] * 5)
                if number % 3 == 0:
                    await peer.link.close()
                elif number % 3 == 1:
                    await peer.say(type="stop")

        for batch in range(0, 1000, 10):
            async with trio.open_nursery() as nursery:
                for number in range(batch, batch + 10):
                    nursery.start_soon(call, number)
            await no_wire_is_left(place)
        assert place.statistics("/server/listener")["open"] == 0
        assert place.statistics("/server/listener")["accepted"] == 1000
        assert system.state("/server/wires").actor.mailbox == 0
