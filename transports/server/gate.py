"""Who may come in. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import attrs

from supervision.secret import Secret


@attrs.frozen
class Gate:
    """Tokens if there are any; otherwise only this machine, asked for by its own name.

    The name matters because a tunnel or a proxy on this machine makes the whole world look local,
    and because a web page may point a name of its own at 127.0.0.1. Neither can pretend to have
    been asked for as "localhost".
    """

    tokens: Sequence[Secret] = ()
    origins: Sequence[str] = ()
    """Of web pages, beside our own."""

    def admits(self, token: Secret | None, *, peer: str, host: str) -> bool:
        """Whether somebody may use what is not public.

        Args:
            peer: the address it comes from. `host`: the Host header it sent.
        """
        if not self.tokens:
            return is_loopback(peer) and is_loopback(_hostname(host))
        if token is None:
            return False
        # All are compared, so that the time tells nothing of which one it was.
        return sum(token == known for known in self.tokens) > 0

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether a web page of that origin may talk to us; "" is no browser, or no page.

        Args:
            host: the Host header of the same request.
        """
        if not origin or origin in self.origins:
            return True
        scheme, _, page_host = origin.partition("://")
        return scheme in ("http", "https") and bool(page_host) and page_host == host


def is_loopback(host: str) -> bool:
    """Whether an address or a name means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    # An IPv4 peer of an IPv6 socket has an address of both kinds.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _hostname(host: str) -> str:
    """The Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
