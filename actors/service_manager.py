"""What a node tells the service manager that started it: systemd's protocol of notifications.

A datagram of `NAME=value` lines to the socket that $NOTIFY_SOCKET names; sd_notify(3) describes it.
Nothing here ever raises for want of a manager: without one the node just runs.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import MutableMapping

import attrs

logger = logging.getLogger("troupe.service_manager")

PATIENCE = 0.1
"""Seconds that a manager with a full socket may hold up the node."""


@attrs.frozen
class ServiceManager:
    """The process that watches over this one, if there is one."""

    address: str = ""
    """Its socket, as Python wants it; "" for nobody."""

    beat: float = math.inf
    """Seconds between two signs of life: half of what the manager waits for one."""

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """Whom the environment names.

        It is taken out of there, so that no child process speaks in this one's name.
        """
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        watched = environment.pop("WATCHDOG_PID", "") or str(os.getpid())
        if not address:
            return cls()
        if address[0] not in "/@":
            logger.warning("NOTIFY_SOCKET is no unix socket, so nobody is notified: %s", address)
            return cls()
        if address[0] == "@":  # Linux's abstract sockets have no file
            address = "\0" + address[1:]
        if not microseconds.isdecimal() or int(microseconds) == 0 or watched != str(os.getpid()):
            return cls(address)
        return cls(address, int(microseconds) / 1_000_000 / 2)

    def ready(self, status: str) -> None:
        """The node has started."""
        self._notify("READY=1", f"STATUS={status}")

    def alive(self) -> None:
        """A sign of life. Sent from the loop, so that a loop that hangs sends none."""
        if self.beat < math.inf:
            self._notify("WATCHDOG=1")

    def stopping(self, within: float) -> None:
        """The node has begun to stop, and will take so many seconds at most."""
        self._notify(
            "STOPPING=1", "STATUS=stopping", f"EXTEND_TIMEOUT_USEC={math.ceil(within * 1_000_000)}"
        )

    def _notify(self, *lines: str) -> None:
        if not self.address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(PATIENCE)
                manager.connect(self.address)
                manager.sendall("\n".join(lines).encode())
        except OSError as error:
            logger.warning("the service manager was not told %s: %s", lines[0], error)
