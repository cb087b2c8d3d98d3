"""A byte stream that was accepted: a socket driven with as few steps as it takes, or TLS over one.

A media socket carries a hundred small frames a second, so what a write costs is most of what a wire
costs. `send_nowait` hands bytes to the kernel without a task switch; only what the kernel does not
take has to be waited for. This needs the socket itself, which `trio.SocketStream` keeps private, so
here `trio.lowlevel` waits and the standard library's socket is read and written.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import trio

RECEIVE_BYTES = 65536


class Connection(trio.abc.HalfCloseableStream):
    """A stream that knows its peer, and can be given back what was read too early."""

    def __init__(self, peer: str, *, secure: bool) -> None:
        self.peer = peer
        """The address of the other side; of the proxy, where there is one."""
        self.secure = secure
        """Whether TLS protects it."""
        self._early = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self.peer}>"

    def unread(self, data: bytes) -> None:
        """Have the next `receive_some` return this first."""
        self._early = data + self._early

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Bytes, at least one; b"" at the end.

        Raises:
            trio.BrokenResourceError: the connection broke.
            trio.ClosedResourceError: it was closed on this side.
        """
        if self._early:
            await trio.lowlevel.checkpoint()
            size = len(self._early) if max_bytes is None else max_bytes
            early, self._early = self._early[:size], self._early[size:]
            return early
        return await self._receive(max_bytes or RECEIVE_BYTES)

    async def _receive(self, size: int) -> bytes:
        raise NotImplementedError

    def send_nowait(self, data: bytes) -> int:
        """Write what can be written without waiting; returns how many bytes that were."""
        del data
        return 0

    def abort(self) -> None:
        """Close at once, without a goodbye. To do it again is harmless."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close at once; what was written is still delivered."""
        self.abort()
        await trio.lowlevel.checkpoint()


class SocketConnection(Connection):
    """A plain TCP or unix socket."""

    def __init__(
        self, sock: socket.socket, peer: str, closed: Callable[[], None] | None = None
    ) -> None:
        """Take a socket over.

        Args:
            closed: called once, when this side has closed it.
        """
        super().__init__(peer, secure=False)
        self._on_closed = closed
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    def limit_unsent(self, size: int) -> None:
        """Have the kernel hold about so many bytes for a peer that does not read.

        Its own choice can be megabytes: a minute of sound that nobody could take back.
        """
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    async def _receive(self, size: int) -> bytes:
        while True:
            # Waiting first, because that is a checkpoint: a peer that never pauses must not keep
            # all others from their turn.
            await self._wait(trio.lowlevel.wait_readable)
            try:
                return self._socket.recv(size)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._broken(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        await self._wait(trio.lowlevel.wait_writable)

    def send_nowait(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._broken(error) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await self._wait(trio.lowlevel.wait_writable)
            except OSError as error:
                raise self._broken(error) from error

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._broken(error) from error

    def abort(self) -> None:
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
            if self._on_closed is not None:
                self._on_closed()

    async def _wait(self, ready: object) -> None:
        if self._socket.fileno() == -1:
            raise trio.ClosedResourceError
        await ready(self._socket)  # type: ignore[operator]  # wait_readable or wait_writable

    def _broken(self, error: OSError) -> Exception:
        if self._socket.fileno() == -1:
            return trio.ClosedResourceError("this side closed the connection")
        return trio.BrokenResourceError(f"the connection broke: {error.strerror}")


class TlsConnection(Connection):
    """TLS over a socket. The handshake is part of the first read or write."""

    def __init__(
        self, below: SocketConnection, context: ssl.SSLContext, server_hostname: str = ""
    ) -> None:
        """Wrap a socket.

        Args:
            server_hostname: whom we want to talk to, as a client; "": we are the server.
        """
        super().__init__(below.peer, secure=True)
        self._below = below
        self._tls = trio.SSLStream(
            below,
            context,
            server_hostname=server_hostname or None,
            server_side=not server_hostname,
            https_compatible=True,
        )

    async def _receive(self, size: int) -> bytes:
        return bytes(await self._tls.receive_some(size))

    async def wait_send_all_might_not_block(self) -> None:
        await self._tls.wait_send_all_might_not_block()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._tls.send_all(data)

    async def send_eof(self) -> None:
        """TLS over TCP cannot close one half."""
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        self._below.abort()
