"""Looking at processes from the tests of workers."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import trio


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    # A zombie is dead, though whoever should have buried it is slow (in a container, maybe never).
    return " Z " not in Path(f"/proc/{pid}/stat").read_text() if sys.platform == "linux" else True


def children() -> list[int]:
    """Processes of ours that run, where the system tells."""
    pids: list[int] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        pids += [pid for pid in map(int, listed.read_text().split()) if runs(pid)]
    return pids


async def until(condition: Any) -> None:
    """What another process does shows only to whoever looks."""
    for _ in range(5000):
        if condition():
            return
        await trio.sleep(0.001)
    raise AssertionError("never")
