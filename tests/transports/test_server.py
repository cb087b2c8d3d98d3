import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator

import attrs
import httpx
import pytest
import trio
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from models.audio import Frame
from supervision import StartFailed
from supervision.secret import Secret
from supervision.supervisor import WhichChildren
from supervision.testing import SystemUnderTest
from tests.transports.peers import Peer, Place, peer_of, serve
from transports.client_link import connect_link
from transports.frame_link import HandshakeFailed
from transports.leg import HungUp, SendMark
from transports.server import ServerConfig, server


async def who(request: Request) -> JSONResponse:
    assert request.client is not None
    body = (await request.body()).decode()
    return JSONResponse({"peer": request.client.host, "body": body, "path": request.url.path})


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())
        if socket.query_params.get("once"):
            await socket.close()
            return


ROUTES = [
    Route("/api/who", who, methods=["GET", "POST"]),
    WebSocketRoute("/api/echo", echo),
]


@pytest.fixture
async def place(system: SystemUnderTest) -> AsyncIterator[Place]:
    place = await serve(system, routes=ROUTES)
    yield place
    # Hypercorn's connections linger for its grace; the node's stop must not wait for them.
    await system.stop("/server")


@pytest.fixture
async def client(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=place.address, trust_env=False) as client:
        yield client


async def raw(place: Place, data: bytes, within: float = 10) -> bytes:
    """What comes back until the other side closes."""
    stream = await trio.open_tcp_stream("127.0.0.1", place.port)
    answer = b""
    async with stream:
        await stream.send_all(data)
        with trio.fail_after(within):
            while more := await stream.receive_some():
                answer += more
    return answer


# -- pages and the API ------------------------------------------------------------------------


async def test_the_pages_come_with_their_types_and_may_not_be_stored(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    script = await client.get("/capture-worklet.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    "path", [b"/../config.toml", b"/%2e%2e/leg.py", b"//etc/passwd", b"/..%2fleg.py"]
)
async def test_no_path_leads_out_of_the_pages(place: Place, path: bytes) -> None:
    answer = await raw(
        place,
        b"GET " + path + b" HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
    )
    assert answer.split()[1] in (b"401", b"404")


async def test_health_says_that_it_lives_and_is_ready(client: httpx.AsyncClient) -> None:
    health = await client.get("/health")
    assert health.status_code == 200
    assert health.json() == {"live": True, "ready": True}


async def test_the_api_knows_who_asks_and_gets_the_whole_body(client: httpx.AsyncClient) -> None:
    body = "x" * 300_000
    for _ in range(2):  # the second on the same connection
        answer = await client.post("/api/who", content=body)
        assert answer.json() == {"peer": "127.0.0.1", "body": body, "path": "/api/who"}


async def test_the_api_has_web_sockets_of_its_own(place: Place) -> None:
    url = place.media.replace("/media", "/api/echo?once=1")
    async with connect_link(url) as link:
        await link.send(["hello"])
        assert await link.receive() == ["hello"]
        await link.close()


async def test_what_is_neither_page_nor_route_nor_media_is_not_found(
    client: httpx.AsyncClient, place: Place
) -> None:
    assert (await client.get("/nothing")).status_code == 404
    with pytest.raises(HandshakeFailed):
        async with connect_link(place.media + "-not"):
            pass


# -- who is let in ----------------------------------------------------------------------------


async def test_pages_and_health_are_open_and_the_api_wants_a_token(
    system: SystemUnderTest,
) -> None:
    place = await serve(system, ServerConfig(port=0, tokens=(Secret("key"),)), routes=ROUTES)
    async with httpx.AsyncClient(base_url=place.address, trust_env=False) as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/health")).status_code == 200
        refused = await client.get("/api/who")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        wrong = {"Authorization": "Bearer kez"}
        assert (await client.get("/api/who", headers=wrong)).status_code == 401
        right = {"Authorization": "Bearer key"}
        assert (await client.get("/api/who", headers=right)).status_code == 200
    url = place.media.replace("/media", "/api/echo?once=1")
    with pytest.raises(HandshakeFailed):
        async with connect_link(url):
            pass
    async with connect_link(url + "&token=key") as link:
        await link.send(["hello"])
        assert await link.receive() == ["hello"]


async def test_without_tokens_the_api_answers_only_to_local_names(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/api/who")).status_code == 200
    rebound = {"Host": "evil.example"}  # a name that somebody points at 127.0.0.1
    assert (await client.get("/api/who", headers=rebound)).status_code == 401


async def test_pages_of_other_origins_may_change_nothing(client: httpx.AsyncClient) -> None:
    evil = {"Origin": "http://evil.example"}
    assert (await client.post("/api/who", headers=evil)).status_code == 403
    own = {"Origin": str(client.base_url).rstrip("/")}
    assert (await client.post("/api/who", headers=own)).status_code == 200


async def test_the_private_port_behind_is_for_nobody_else(
    place: Place, client: httpx.AsyncClient
) -> None:
    await client.get("/health")
    port = json.loads(place.system.state("/server/web").attributes["_port"])
    assert port != place.port
    async with httpx.AsyncClient(trust_env=False) as stranger:
        answer = await stranger.get(f"http://127.0.0.1:{port}/api/who")
        assert answer.status_code == 403
        assert (await stranger.get(f"http://127.0.0.1:{port}/health")).status_code == 403


# -- what is no request -----------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"hello\r\n\r\n", b"\xff\xfe" * 9000, b"GET /"])
async def test_what_is_no_request_is_sent_away(place: Place, data: bytes) -> None:
    answer = await raw(place, data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


async def test_whoever_sends_no_request_is_closed_on_after_five_seconds(place: Place) -> None:
    began = trio.current_time()
    assert await raw(place, b"GET / HTTP/1.1\r\nHost:") == b""
    assert trio.current_time() - began == pytest.approx(5, abs=0.5)


async def test_there_are_never_more_than_may_be_there(system: SystemUnderTest) -> None:
    place = await serve(system, ServerConfig(port=0, max_per_address=2))
    async with peer_of(place), peer_of(place):
        with pytest.raises(HandshakeFailed):
            async with peer_of(place):
                pass
    for child in await system.ref("/server/wires").ask(WhichChildren()):
        await child.ref.wait_gone()
    async with peer_of(place) as peer:
        await peer.start()


async def test_a_port_that_is_taken_is_a_failed_start(system: SystemUnderTest) -> None:
    place = await serve(system)
    system.expect_crash("/second*", OSError)
    second = attrs.evolve(server(ServerConfig(port=place.port), {}), id="second")
    with pytest.raises(StartFailed):
        await system.start_child(second)


async def test_a_web_actor_that_crashed_comes_back_with_the_listener(
    system: SystemUnderTest,
) -> None:
    place = await serve(system, ServerConfig(port=0))
    async with peer_of(place) as peer:
        await peer.start()
        await system.restart("/server/web")
        await peer.send(b"\1\2")  # a wire does not notice
        await place.host.audio.expect(object)


# -- TLS --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: it makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    names = (str(folder / "cert.pem"), str(folder / "key.pem"))
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [*made, "-nodes", "-days", "2", *subject, "-out", names[0], "-keyout", names[1]],
        check=True,
        capture_output=True,
    )
    return names


async def test_everything_goes_through_tls_if_there_is_a_certificate(
    system: SystemUnderTest, certificate: tuple[str, str]
) -> None:
    config = ServerConfig(port=0, tls_certificate=certificate[0], tls_key=certificate[1])
    place = await serve(system, config, routes=ROUTES)
    assert place.address.startswith("https://")
    trusting = ssl.create_default_context(cafile=certificate[0])
    url = place.address
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=trusting) as client:
        assert (await client.get("/health")).json()["live"]
        assert (await client.get("/api/who")).json()["peer"] == "127.0.0.1"
    async with connect_link(url.replace("http", "ws") + "/media", tls=trusting) as link:
        peer = Peer(link)
        await peer.start()
        wire = place.host.attaches[0].wire
        for number in range(20):
            await peer.send(bytes([number, 0]) * 320)
            wire.tell(Frame(bytes([number, 0]) * 320, 16000))
        wire.tell(SendMark("end"))
        await peer.told("mark")
        assert peer.sounds == b"".join(bytes([number, 0]) * 320 for number in range(20))
        assert place.host.heard == peer.sounds
        await peer.link.close()
        await place.host.events.expect(HungUp)


async def test_whoever_speaks_no_tls_is_sent_away(
    system: SystemUnderTest, certificate: tuple[str, str]
) -> None:
    config = ServerConfig(port=0, tls_certificate=certificate[0], tls_key=certificate[1])
    place = await serve(system, config)
    answer = await raw(place, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP" not in answer
    assert await raw(place, b"\x16") == b""  # begins, and never goes on


def test_a_certificate_without_its_key_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ValueError, match="go together"):
        ServerConfig(tls_certificate="cert.pem")
