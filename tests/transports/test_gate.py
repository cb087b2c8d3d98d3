import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.secret import Secret
from transports.server.gate import Gate, is_loopback
from transports.server.head import parse_head

KEY = Secret("key")


@pytest.mark.parametrize(
    ("tokens", "shown", "peer", "host", "admitted"),
    [
        ((), None, "127.0.0.1", "localhost:8474", True),
        ((), None, "127.0.0.1", "127.0.0.1:8474", True),
        ((), None, "::1", "[::1]:8474", True),
        ((), None, "::ffff:127.0.0.1", "localhost", True),
        ((), None, "127.0.0.1", "tunnel.example", False),
        ((), None, "127.0.0.1", "localhost.evil.example", False),
        ((), None, "127.0.0.1", "", False),
        ((), None, "192.168.1.7", "localhost", False),
        ((), KEY, "192.168.1.7", "localhost", False),
        ((KEY,), None, "127.0.0.1", "localhost", False),
        ((KEY,), Secret("kex"), "127.0.0.1", "localhost", False),
        ((KEY,), KEY, "192.168.1.7", "tunnel.example", True),
        ((Secret("other"), KEY), KEY, "10.0.0.1", "", True),
    ],
)
def test_who_is_admitted(
    tokens: tuple[Secret, ...], shown: Secret | None, peer: str, host: str, admitted: bool
) -> None:
    assert Gate(tokens).admits(shown, peer=peer, host=host) is admitted


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("", "localhost:1", True),
        ("http://localhost:1", "localhost:1", True),
        ("https://a.example", "a.example", True),
        ("https://friend.example", "a.example", True),
        ("https://friend.example.evil.example", "a.example", False),
        ("http://localhost:2", "localhost:1", False),
        ("null", "localhost:1", False),
        ("http://", "", False),
        ("file://", "", False),
    ],
)
def test_which_pages_may_talk_to_us(origin: str, host: str, allowed: bool) -> None:
    assert Gate((), ("https://friend.example",)).allows_origin(origin, host) is allowed


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"])
def test_names_of_this_machine(name: str) -> None:
    assert is_loopback(name)


def test_a_head_is_read_as_far_as_it_matters() -> None:
    head = parse_head(
        b"GET /media?x=1 HTTP/1.1\r\nHost: a\r\nUPGRADE:  WebSocket \r\n"
        b"Authorization: bearer  key\r\n\r\nbody: no header\r\n"
    )
    assert head is not None
    assert (head.method, head.path, head.query) == ("GET", "/media", "x=1")
    assert head.is_websocket
    assert head.bearer == "key"
    assert "body" not in head.headers
    assert "key" not in repr(head)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    ],
)
def test_what_is_no_head(data: bytes) -> None:
    assert parse_head(data) is None


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parse_head(data + b"\r\n\r\n")
