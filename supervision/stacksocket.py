"""The watchdog's own way out of a stuck process: a unix socket that answers with what runs.

Who connects is sent one JSON document and the end of the stream; nothing is read, so there is
nothing to get wrong. A thread of its own answers, so it does while the loop is held up.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import stat
import threading
from collections.abc import Callable
from typing import Any

from supervision.errors import SupervisionError
from supervision.showing import plain

logger = logging.getLogger("troupe.supervision")

SEND_WITHIN = 1.0
"""Seconds a client has to take its answer."""


class StackSocket:
    """Answers on a unix socket, for its owner only (mode 0600).

    Args:
        look: gives the `Liveness` of the moment, on any thread.

    Raises:
        SupervisionError: another node answers there, or something that is no socket is in the way.
        OSError: the socket cannot be made there.
    """

    def __init__(self, name: str, look: Callable[[], Any], path: str) -> None:
        self._name = name
        self._look = look
        self._path = path
        _clear_the_way(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(path)
            # Nobody gets in before `listen`, so the mode is never too wide for a moment.
            os.chmod(path, 0o600)
            self._inode = os.stat(path).st_ino
            self._listener.listen(4)
            self._listener.setblocking(False)
        except BaseException:
            self._listener.close()
            raise
        self._wake, self._waking = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="troupe stack socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and take the socket away."""
        self._waking.close()
        self._thread.join()
        self._wake.close()
        self._listener.close()
        try:
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        except OSError:  # somebody was faster
            pass

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _events in selector.select()}
                if self._wake in ready:
                    return
                try:
                    self._answer()
                except OSError:  # the client went away, or was too slow
                    pass
                except Exception:
                    logger.exception("The stack socket could not answer")

    def _answer(self) -> None:
        client, _address = self._listener.accept()
        with client:
            client.settimeout(SEND_WITHIN)
            client.sendall(json.dumps(self.report()).encode() + b"\n")

    def report(self) -> dict[str, Any]:
        """What a client is sent."""
        seen = self._look()
        told = {**plain(seen), "stack": seen.stack.splitlines()}
        return {"node": self._name, "pid": os.getpid(), **told}


def _clear_the_way(path: str) -> None:
    """Remove a socket that a node left behind when it died; leave everything else alone."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SupervisionError(f"stack_socket: {path} is there already and is no socket; move it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(SEND_WITHIN)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        else:
            raise SupervisionError(
                f"stack_socket: another node answers at {path}; give each node one of its own"
            )
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
