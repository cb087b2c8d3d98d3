"""Which addresses a request to somebody else's URL may go to."""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.channels.http_places import Receiver, Reply, receiving
from transports.channels.posting import PublicTransport, client_for, post
from transports.channels.url_safety import UnsafeUrl, addresses_of, check_address, check_url

PUBLIC = [
    "https://example.org/hook?token=1",
    "http://example.org:8080",
    "https://93.184.216.34/",
    "https://[2606:4700::1111]/",
    "https://bücher.example/",
    "https://3com.example/",
    "https://localhost.example.org/",
]

UNSAFE = [
    "",
    "example.org",
    "//example.org/",
    "ftp://example.org/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://",
    "https:///path",
    "https://user@example.org/",
    "https://user:password@example.org/",
    "https://example.org:0/",
    "https://example.org:99999/",
    "https://example.org/a b",
    "https://example.org\\@127.0.0.1/",
    "https://example.org/\r\nX: y",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://db.localhost/",
    "http://printer.local/",
    "http://metadata.google.internal/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://1.2.3.4.5/",
    "http://10.0.0.1/",
    "http://172.16.3.4/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://0.0.0.0/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://192.0.2.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[2002:0a00:0001::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
]


@pytest.mark.parametrize("url", PUBLIC)
def test_the_public_internet_may_be_asked(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize("url", UNSAFE)
def test_nothing_else_may(url: str) -> None:
    with pytest.raises(UnsafeUrl) as refused:
        check_url(url)
    assert str(refused.value).startswith(("it ", "its ", "only ", "an "))


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::1]:8080/", "http://localhost/"])
def test_private_addresses_may_where_that_is_wanted(url: str) -> None:
    assert check_url(url, allow_private=True) == url
    with pytest.raises(UnsafeUrl):
        check_url("file:///etc/passwd", allow_private=True)


def test_what_is_refused_is_not_repeated() -> None:
    with pytest.raises(UnsafeUrl) as refused:
        check_url("https://user:password-17@example.org/token-18")
    assert "17" not in str(refused.value) + repr(refused.value)
    assert "18" not in str(refused.value) + repr(refused.value)


@given(st.ip_addresses())
def test_an_address_that_is_let_through_is_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        check_address(str(address))
    except UnsafeUrl:
        return
    inner = getattr(address, "ipv4_mapped", None) or address
    assert inner.is_global or int(address) >> 32 == 0x64FF9B << 64
    assert not inner.is_loopback
    assert not inner.is_multicast


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::ffff:0:0", "64:ff9b::", "::"]))
def test_an_ipv4_address_in_an_ipv6_one_is_no_more_public_than_by_itself(
    number: int, wrapper: str
) -> None:
    plain = ipaddress.IPv4Address(number)
    wrapped = ipaddress.IPv6Address(int(ipaddress.IPv6Address(wrapper)) | number)
    if _public(str(wrapped)):
        assert _public(str(plain))


def _public(address: str) -> bool:
    try:
        check_address(address)
    except UnsafeUrl:
        return False
    return True


# -- names ------------------------------------------------------------------------------------


class Names(trio.abc.HostnameResolver):
    """A resolver that gives a name other addresses each time it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked = 0
        self._answers = answers

    async def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> Any:
        await trio.lowlevel.checkpoint()
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if not answer:
            raise OSError("no such host")
        return [(10 if ":" in one else 2, 1, 6, "", (one, port)) for one in answer]

    async def getnameinfo(self, *_: Any) -> Any:
        raise AssertionError


async def test_every_address_of_a_name_has_to_be_public() -> None:
    trio.socket.set_custom_hostname_resolver(
        Names(["93.184.216.34", "2606:4700::1111", "93.184.216.34"], ["93.184.216.34", "10.0.0.1"])
    )
    assert await addresses_of("hooks.example", 443) == ["93.184.216.34", "2606:4700::1111"]
    with pytest.raises(UnsafeUrl, match="not on the public internet"):
        await addresses_of("hooks.example", 443)


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The name means something else the second time; there must be no second time."""
    async with receiving() as receiver:
        names = Names(["127.0.0.1"], ["10.255.255.1"])
        trio.socket.set_custom_hostname_resolver(names)
        url = receiver.url.replace("127.0.0.1", "hooks.example.org")
        assert await _status(url, allow_private=True) == 200
        assert names.asked == 1
        assert receiver.received[0].headers["host"].startswith("hooks.example.org:")
        assert await _safe(receiver, url) == []


async def _safe(receiver: Receiver, url: str) -> Sequence[object]:
    receiver.received.clear()
    with pytest.raises(UnsafeUrl):
        await _status(url, allow_private=False)
    return receiver.received


async def test_a_dead_address_does_not_keep_the_next_one_from_being_tried(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with receiving() as receiver:
        trio.socket.set_custom_hostname_resolver(Names(["127.0.0.9", "127.0.0.1"]))
        url = receiver.url.replace("127.0.0.1", "hooks.example.org")
        assert await _status(url, allow_private=True) == 200


async def test_a_name_that_there_is_not_is_a_connection_fault() -> None:
    trio.socket.set_custom_hostname_resolver(Names([]))
    with pytest.raises(httpx.ConnectError):
        await _status("http://nowhere.example/", allow_private=False)


async def test_a_redirect_is_an_answer_like_any_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with receiving() as receiver:
        receiver.replies.append(Reply(307, headers={"Location": receiver.url}))
        assert await _status(receiver.url, allow_private=True) == 307
        assert len(receiver.received) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for hooks.example.org, signed by itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: it makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    names = (str(folder / "cert.pem"), str(folder / "key.pem"))
    subject = ["-subj", "/CN=hooks", "-addext", "subjectAltName=DNS:hooks.example.org"]
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [*made, "-nodes", "-days", "2", *subject, "-out", names[0], "-keyout", names[1]],
        check=True,
        capture_output=True,
    )
    return names


async def test_certificates_are_held_against_the_name_though_it_is_the_address_that_is_dialled(
    autojump_clock: trio.testing.MockClock, certificate: tuple[str, str]
) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=certificate[0])
    async with receiving(serving) as receiver:
        trio.socket.set_custom_hostname_resolver(Names(["127.0.0.1"]))
        named = receiver.url.replace("http://127.0.0.1", "https://hooks.example.org")
        assert await _status(named, allow_private=True, tls=trusting) == 200
        other = named.replace("hooks", "other")
        with pytest.raises(httpx.ConnectError):
            await _status(other, allow_private=True, tls=trusting)


async def _status(url: str, *, allow_private: bool, tls: ssl.SSLContext | None = None) -> int:
    transport = PublicTransport(allow_private=allow_private, tls=tls)
    async with client_for(transport, {}, connect=5) as client:
        return (await post(client, url, b"{}", {}, most=100)).status
