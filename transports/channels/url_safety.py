"""Addresses that somebody else chose: a request goes to the public internet, or nowhere.

Else a webhook's owner could have this node knock at the doors behind its firewall. The check is
made where the connection is: a name is looked up once, every address it has must be public, and it
is one of these that is connected to. `check_url` alone would be too early, for a name can mean
something else a moment later.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import attrs
import trio

_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_NAT64 = 0x0064_FF9B << 64
"""The first 96 bits of an IPv6 address behind which lies an IPv4 one. Source: RFC 6052."""
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")


@attrs.define(eq=False)
class UnsafeUrl(ValueError):
    """The URL is none that a request may be made to. Its text never repeats the URL."""

    problem: str

    def __str__(self) -> str:
        return self.problem


def check_url(url: str, *, allow_private: bool = False) -> str:
    """`url`, as far as that can be told without looking its host up.

    Args:
        allow_private: let it mean this machine, or one of its network.
    Raises:
        UnsafeUrl: it is not http or https, has no host or a password in it, or its host is a
            private address, or spells an address in a way that only some programs understand.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnsafeUrl("it is no URL") from None
    if parts.scheme not in ("http", "https"):
        raise UnsafeUrl("only http and https are allowed")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise UnsafeUrl("it holds a blank, a control character or a backslash")
    if parts.username is not None or parts.password is not None:
        raise UnsafeUrl("it holds a user or a password; use a header")
    if not parts.hostname or port == 0:
        raise UnsafeUrl("it names no host, or no port that there is")
    if not allow_private:
        check_host(parts.hostname)
    return url


def check_host(host: str) -> None:
    """Refuse hosts that cannot be public, whatever they may resolve to.

    Raises:
        UnsafeUrl: it is such a host.
    """
    name = host.rstrip(".").lower()
    try:
        address = ip_address(name)
    except ValueError:
        pass
    else:
        check_address(str(address))
        return
    if "%" in name or ":" in name:
        raise UnsafeUrl("an address with a zone belongs to this machine's own network")
    # "0x7f.1", "2130706433" and "017700000001" are addresses to some resolvers and names to others.
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise UnsafeUrl("its host is a number that is no plain IPv4 address")
    if any(name == local or name.endswith(f".{local}") for local in _LOCAL_NAMES):
        raise UnsafeUrl("its host is a name of the local network")


def check_address(address: str) -> None:
    """Refuse what is not public.

    Raises:
        UnsafeUrl: it is private, loopback, link-local, multicast or reserved.
    """
    for meant in _meanings(ip_address(address.partition("%")[0])):
        site = isinstance(meant, IPv6Address) and meant.is_site_local
        if not meant.is_global or meant.is_multicast or meant.is_reserved or site:
            raise UnsafeUrl("its host is not on the public internet")


def _meanings(address: IPv4Address | IPv6Address) -> Sequence[IPv4Address | IPv6Address]:
    """The address, and what lies behind it if it is an IPv6 one that wraps another."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if address.teredo is not None:
        return (address, *address.teredo)
    if int(address) >> 32 == _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    return (address,)


async def addresses_of(host: str, port: int, *, allow_private: bool = False) -> Sequence[str]:
    """The numeric addresses of a host, in the order to try them.

    Raises:
        UnsafeUrl: one of them is not public.
        OSError: it has none.
    """
    if not allow_private:
        check_host(host)
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not allow_private:
        for address in addresses:
            check_address(address)
    return addresses
