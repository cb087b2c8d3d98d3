import pytest
import trio

from models.audio import Frame
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.peers import peer_of, serve
from transports.leg import (
    Clear,
    Cleared,
    CloseWire,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    SendMark,
    ShowTurn,
    Typed,
)

TONE = b"\x01\x02" * 320


async def test_a_peer_comes_in_and_sound_goes_both_ways(system: SystemUnderTest) -> None:
    place = await serve(system)
    async with peer_of(place) as peer:
        ready = await peer.start(played=True, clear=True, params={"a": "b"})
        assert ready == {
            "type": "ready",
            "stream": "s1",
            "call": "c-7",
            "leg": "a",
            "resume": "the-way-back",
            "resumed": False,
            "format": "s16le",
            "rate": 16000,
        }
        await peer.send(TONE, TONE)
        assert await place.host.audio.expect(Frame) == Frame(TONE, 16000)
        assert await place.host.audio.expect(Frame) == Frame(TONE, 16000)
        attach = place.host.attaches[0]
        assert attach.capabilities.reports_played
        assert attach.params == {"a": "b"}
        attach.wire.tell(Frame(TONE, 16000))
        attach.wire.tell(SendMark("m"))
        await peer.told("mark")
        assert peer.sounds == TONE


async def test_what_a_peer_says_reaches_the_call(system: SystemUnderTest) -> None:
    place = await serve(system)
    async with peer_of(place) as peer:
        await peer.start(shows=True)
        wire = place.host.attaches[0].wire
        wire.tell(Frame(TONE, 16000))
        wire.tell(SendMark("m"))
        wire.tell(Clear(4))
        wire.tell(ShowTurn(1, {"stt": 20.0}, 20.0))
        assert await peer.told("clear") == {"type": "clear", "id": 4}
        show = await peer.told("show")
        assert show["what"] == "turn"
        assert show["parts_ms"] == {"stt": 20.0}
        await peer.say(type="played", samples=100)
        await peer.say(type="mark", name="m")
        await peer.say(type="cleared", id=4, played=200, dropped=120)
        await peer.say(type="dtmf", digit="5")
        await peer.say(type="text", text="hello")
        await peer.say(type="mute", muted=True)
        await peer.say(type="what is that")
        await peer.say(type="stop", reason="bye")
        for event in (
            Played(100),
            MarkPlayed("m"),
            Cleared(4, 200, 120),
            Dtmf("5"),
            Typed("hello"),
            Muted(True),
            HungUp("bye"),
        ):
            assert await place.host.events.expect(type(event)) == event
        await wire_gone(system, place)


async def wire_gone(system: SystemUnderTest, place: object) -> None:
    with trio.fail_after(3):
        wire = system.find("/server/wires/w-1")
        if wire is not None:
            await wire.wait_gone()


async def test_the_call_hangs_up_and_the_last_sound_is_still_sent(
    system: SystemUnderTest,
) -> None:
    place = await serve(system)
    async with peer_of(place) as peer:
        await peer.start()
        wire = place.host.attaches[0].wire
        wire.tell(CloseWire("goodbye"))
        assert (await peer.told("stop"))["reason"] == "goodbye"
        await peer.link.close()
        await wire_gone(system, place)
    assert place.host.of(HungUp) == []


async def test_a_peer_that_vanishes_is_lost_and_comes_back_by_its_token(
    system: SystemUnderTest,
) -> None:
    place = await serve(system)
    async with peer_of(place) as peer:
        ready = await peer.start()
        peer.link.abort()
        await wire_gone(system, place)
    assert place.host.events.received == []
    async with peer_of(place) as peer:
        again = await peer.start(resume=ready["resume"])
        assert again["resumed"]
        assert place.host.attaches[1].resume == Secret("the-way-back")


async def test_a_peer_that_closes_properly_has_hung_up(system: SystemUnderTest) -> None:
    place = await serve(system)
    async with peer_of(place) as peer:
        await peer.start()
        await peer.link.close(1000, "done")
        assert await place.host.events.expect(HungUp) == HungUp("done")
        await wire_gone(system, place)


@pytest.mark.parametrize("code", [1001, 4000])
async def test_a_peer_that_goes_away_otherwise_is_lost(system: SystemUnderTest, code: int) -> None:
    place = await serve(system)
    async with peer_of(place) as peer:
        await peer.start()
        await peer.link.close(code)
        await wire_gone(system, place)
    assert place.host.events.received == []


async def test_the_service_stops_and_says_so(system: SystemUnderTest) -> None:
    place = await serve(system)
    async with peer_of(place) as peer:
        await peer.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.stop, "/server")
            assert (await peer.told("stop"))["reason"] == "the service stops"
            await peer.link.close()
