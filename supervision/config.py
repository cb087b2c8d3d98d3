"""What can be configured about the runtime: the `[supervision]` section.

The defaults are good for a node of some hundred calls. `open_system()` takes a
`SupervisionConfig` as it is, and `config.toml` is structured into one.
"""

from __future__ import annotations

import math
import os
from typing import Any

import attrs
from attrs.validators import ge, gt

LONGEST_SOCKET_PATH = 103
"""Bytes. A socket's address holds 108 with the final zero on Linux, and 104 on macOS and BSD."""


def _finite(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be a finite number: {value}")


def _path(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if "\0" in value:
        raise ValueError(f"'{attribute.name}' must be a path: it holds a zero byte")


def _socket_path(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    length = len(os.fsencode(value))
    if length > LONGEST_SOCKET_PATH:
        raise ValueError(
            f"'{attribute.name}' must have at most {LONGEST_SOCKET_PATH} bytes,"
            f" the longest address a unix socket can have: {length}"
        )


def _at_least(minimum: int, default: int) -> Any:
    return attrs.field(default=default, validator=ge(minimum))


def _positive(default: float) -> Any:
    return attrs.field(default=default, validator=[_finite, gt(0)])


@attrs.frozen
class SupervisionConfig:
    """How a node supervises, bounds and watches its actors."""

    intensity: int = _at_least(0, 3)
    """Restarts that a supervisor forgives within `period`; one more and it fails. 0: none."""

    period: float = _positive(5.0)
    """Seconds over which restarts are counted."""

    shutdown: float = attrs.field(default=10.0, validator=[_finite, ge(0)])
    """Seconds the whole tree has to stop in order; what is left then is cancelled. 0: at once."""

    kill_grace: float = _positive(1.0)
    """Seconds an actor has to end once it was cut off; then it is fenced and left behind."""

    ask_timeout: float = _positive(5.0)
    """Seconds an ask waits for its answer when it names no timeout itself."""

    mailbox: int = _at_least(1, 1000)
    """Messages that wait in one actor's mailbox before its overflow policy decides."""

    handler_budget_ms: float = _positive(5.0)
    """Milliseconds a handler may take before the watchdog notes its stack."""

    not_live_after: float = _positive(2.0)
    """Seconds one handler may hold the node before it says of itself that it is not live."""

    dead_letters: int = _at_least(0, 1000)
    """Undeliverable messages kept for a look, the newest ones. All are counted. 0: keep none."""

    crash_reports: int = _at_least(0, 100)
    """Crash reports kept in memory, the newest ones. All are counted. 0: keep none."""

    slice_messages: int = _at_least(1, 16)
    """Messages that one actor handles in a row before the next actor has its turn."""

    slice_ms: float = _positive(1.0)
    """Milliseconds that all actors together run before timers and sockets have their turn."""

    crash_dir: str = attrs.field(default="", validator=_path)
    """Folder for what a dying node writes down. A relative path starts at the folder that the
    process was started in, and "" is that folder itself. It is made when it is first needed."""

    stack_socket: str = attrs.field(default="", validator=[_path, _socket_path])
    """Path of the unix socket on which the watchdog answers `troupe stack`. "": no socket."""

    fault_injection: bool = False
    """Whether faults may be planted (crash, delay, drop). Never on a node that people rely on."""
