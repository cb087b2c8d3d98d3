"""Virtual environments of the peers, in `.bench-peers/`: they are never dependencies of Troupe.

Made on first use, which needs a package index and takes a minute; then kept. One that was not
finished is begun afresh.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

ENVIRONMENTS = Path(__file__).parents[2] / ".bench-peers"
NEWEST = 14
"""The last Python 3.x that is looked for."""
INSTALL_SECONDS = 900.0
"""A slow index may need that long; a dead one must not take for ever."""


class PeerUnavailable(click.ClickException):
    """A peer could not be installed, or did not run; the command ends with this message."""

    def __init__(self, peer: str, what: str, said: str) -> None:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        # Of several lines of pip or of a traceback, the error is the last one that is called so.
        errors = (
            [line for line in lines if "error" in line.lower()] or lines or ["nothing was said"]
        )
        remedy = "Without --peers the figures of Troupe alone are measured."
        super().__init__(f"{peer} {what}: {errors[-1]}\n{remedy}")


def python_with(peer: str, requirement: str, oldest: int = 11) -> Path:
    """The interpreter of an environment in which `requirement` is installed.

    Args:
        peer: what it is called in messages.
        requirement: pinned, as pip takes it.
        oldest: the first Python 3.x on which it runs. Without need it is the one that runs us.
    Raises:
        PeerUnavailable: it is not there, and cannot be installed.
    """
    interpreter, minor = _interpreter(peer, oldest)
    version = f"py3{minor}"
    # Brackets of extras would need quoting wherever the folder is named.
    name = re.sub(r"\[.*?\]", "", requirement).replace("==", "-")
    home = ENVIRONMENTS / f"{name}-{version}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "installed.stamp"
    if not stamp.exists():
        print(f"Installing {requirement} into {home} ...", file=sys.stderr, flush=True)
        _run(peer, [interpreter, "-m", "venv", "--clear", str(home)])
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        _run(peer, [*pip, "--no-input", "--prefer-binary", requirement])
        stamp.touch()
    return python


def _interpreter(peer: str, oldest: int) -> tuple[str, int]:
    """A Python that is new enough, and the x of its 3.x."""
    if sys.version_info.minor >= oldest:
        return sys.executable, sys.version_info.minor
    # Those who keep several versions keep them side by side, and not always on the path.
    versions = Path(sys.base_prefix).parent
    for minor in range(oldest, NEWEST + 1):
        beside = [str(path) for path in sorted(versions.glob(f"*/bin/python3.{minor}"))]
        on_path = shutil.which(f"python3.{minor}")
        for candidate in [*beside, *([on_path] if on_path else [])]:
            if _runs(candidate):
                return candidate, minor
    missing = f"error: it needs Python 3.{oldest} or later, and none was found beside this one"
    raise PeerUnavailable(peer, "could not be installed", missing)


def _runs(interpreter: str) -> bool:
    """Whether it does: on the path there may be a version manager's shim, which ends at once."""
    command = [interpreter, "-c", "import venv"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _run(peer: str, command: Sequence[str]) -> None:
    what = "could not be installed"
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as failed:
        raise PeerUnavailable(peer, what, failed.stderr or failed.stdout) from failed
    except subprocess.TimeoutExpired as late:
        raise PeerUnavailable(peer, what, f"not done after {INSTALL_SECONDS:.0f} s") from late
    except OSError as error:
        raise PeerUnavailable(peer, what, f"error: {error}") from error
