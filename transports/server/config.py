"""What can be configured about the server: the `[server]` section."""

from __future__ import annotations

import attrs
from attrs.validators import deep_iterable, ge, gt, le, matches_re

from supervision.secret import Secret


@attrs.frozen
class ServerConfig:
    """Where it listens, whom it lets in, and how much of them."""

    host: str = "127.0.0.1"
    """The address to listen on; "0.0.0.0" or "::" for all. Beyond loopback, give it `tokens`."""

    port: int = attrs.field(default=8474, validator=[ge(0), le(65535)])
    """0: any that is free."""

    tokens: tuple[Secret, ...] = ()
    """Whoever shows one of these may come in. Without any, only peers on this machine may."""

    origins: tuple[str, ...] = attrs.field(
        default=(), validator=deep_iterable(matches_re(r"https?://[^/\s]+"))
    )
    """Origins of web pages that may use the API and open wires, beside the server's own:
    "https://example.org"."""

    tls_certificate: str = ""
    """Path of a PEM file with the certificate chain; with `tls_key`, all connections are TLS."""

    tls_key: str = ""
    """Path of a PEM file with the private key."""

    max_connections: int = attrs.field(default=1000, validator=ge(1))
    """Open at the same time, of all kinds; more are turned away."""

    max_per_address: int = attrs.field(default=1000, validator=ge(1))
    """From one address. Behind a proxy all have the proxy's."""

    head_timeout: float = attrs.field(default=5.0, validator=[gt(0), le(60)])
    """Seconds a peer has to send the head of its first request, the TLS handshake included."""

    backlog: int = attrs.field(default=256, validator=ge(1))
    """Connections the kernel holds until they are accepted."""

    def __attrs_post_init__(self) -> None:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("'tls_certificate' and 'tls_key' go together: give both, or neither")
